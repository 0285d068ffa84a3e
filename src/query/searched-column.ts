import type { Attachment } from "../change/attachment.ts";
import { casingOf } from "../driver/casing.ts";
import type { Driver } from "../driver/driver.ts";
import { getOrMake } from "../driver/get-or-make.ts";
import { type Casing, columnName } from "../migration/definition.ts";
import { isSameName } from "../schema/names.ts";
import type { AnyVectorColumn } from "../schema/vector-column.ts";
import { type IndexedColumn, indexedColumnOf } from "../vector/indexed-column.ts";
import type { Refusal } from "./found.ts";
import type { NearestRequest } from "./nearest-request.ts";
import { vectorsSql } from "./rescoring.ts";

/** A column as its index knows it. */
export interface Searched {
  readonly column: IndexedColumn;
  /** Reads vectors; see `vectorsSql`. */
  readonly sql: string;
}

export interface SearchedInput {
  readonly request: NearestRequest;
  readonly attachment: Attachment;
  readonly driver: Driver;
  /** The share of the true nearest rows to find. */
  readonly recall: number;
}

/** The column as the index knows it, unless what is asked is not what is indexed. */
export function searchedColumn({ request, attachment, driver, recall }: SearchedInput): Searched | Refusal {
  const columns = getOrMake(known, attachment, () => new WeakMap());
  const casing = casingOf(driver.handle);
  let entry = columns.get(request.column);
  if (!entry || entry.casing !== casing) {
    entry = { casing, found: lookedUp(request, attachment, casing) };
    columns.set(request.column, entry);
  }
  const { found } = entry;
  if ("refusal" in found) return found;
  const { metric, isExact, shape } = found.column;
  if (metric !== request.metric) return { refusal: `the index measures by ${metric}` };
  if (!isExact && shape.element !== "bit" && recall === 1) {
    return { refusal: "the index keeps 1-bit codes alone: ask for a recall below 1 to have them used" };
  }
  return found;
}

/** What was looked up for columns of the schema, as long as the database is in the state of an attachment. */
const known = new WeakMap<Attachment, WeakMap<AnyVectorColumn, KnownColumn>>();

interface KnownColumn {
  readonly casing: Casing | undefined;
  readonly found: Searched | Refusal;
}

function lookedUp(request: NearestRequest, attachment: Attachment, casing: Casing | undefined): Searched | Refusal {
  const { table, record } = attachment;
  const definition = record.definition;
  if (!definition || !table) return { refusal: "the index cannot be read" };
  const name = columnName(request.column, casing);
  const declared = definition.vectors.find(({ column }) => isSameName(column, name));
  const { dimensions, element } = request.shape;
  if (declared?.dimensions !== dimensions || declared.element !== element) {
    return { refusal: "the index was made for vectors of another shape" };
  }
  const keys = request.keyed.key.map((part) => columnName(part, casing));
  const isSameKey =
    keys.length === table.key.length && keys.every((key) => table.key.some(({ column }) => isSameName(column, key)));
  if (!isSameKey) return { refusal: "the schema declares another primary key than the database has" };
  const column = indexedColumnOf(attachment, declared);
  return column ? { column, sql: vectorsSql(column, keys) } : { refusal: "the index is not attached" };
}
