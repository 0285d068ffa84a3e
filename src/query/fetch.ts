import { Column, getTableColumns, is, SQL, Subquery, sql, Table } from "drizzle-orm";
import { describe } from "../codec/codec.ts";
import type { PreparedSelect, Row, SelectBuilder, Selecting, SelectStep } from "../driver/driver.ts";
import { getOrMake } from "../driver/get-or-make.ts";
import { InvalidOptionError, UnsupportedKeyError } from "../errors.ts";
import { JSON_EACH } from "../migration/sql-text.ts";
import { configOf } from "../schema/vector-column.ts";
import { keyPart, keysForm, keysToJson, plainKey } from "./key.ts";
import type { KeyedTable } from "./keyed-table.ts";
import type { Values } from "./search-query.ts";

/** A row that was found, by its primary key. */
export interface Keyed {
  readonly key: Row;
}

/** What `db.select({...})` takes. */
export type Fields = Record<string, unknown>;

export const RANK = "$rank";
const KEYS = "_dv_keys";

/**
 * What to read of each hit: the fields asked for, or all columns but vectors.
 *
 * @throws {InvalidOptionError} when `select` is no object of fields, is empty, or takes a name that hits use
 */
export function fieldsOf(keyed: KeyedTable, select: unknown, reserved: readonly string[]): Fields {
  if (select !== undefined) return checkedFields(select, reserved);
  return getOrMake(defaults, keyed, () => checkedFields(withoutVectors(keyed.columns), reserved));
}

/** What is read where nothing is selected: the same object for each table, so that its select is built once. */
const defaults = new WeakMap<KeyedTable, Fields>();

function checkedFields(select: unknown, reserved: readonly string[]): Fields {
  checkFields(select, "select");
  const fields = select as Fields;
  const taken = Object.keys(fields).find((name) => name === RANK || reserved.includes(name));
  if (taken !== undefined) {
    throw new InvalidOptionError({
      subject: `select.${taken}`,
      expected: "a name without a meaning of its own",
      got: taken,
      hint: "Select the field under another name.",
    });
  }
  return copiedFields(fields);
}

/** Fields as they were given, with the columns of tables among them: what becomes of the object afterwards is its owner's affair. */
function copiedFields(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]) => {
      if (is(field, Table)) return [name, getTableColumns(field)];
      return [name, isField(field) ? field : copiedFields(field as Fields)];
    }),
  );
}

function withoutVectors(columns: Fields): Fields {
  return Object.fromEntries(Object.entries(columns).filter(([, column]) => configOf(column) === undefined));
}

/** Drizzle meets anything else with an error that names no field. */
function checkFields(fields: unknown, subject: string): void {
  const isObject = typeof fields === "object" && fields !== null && !Array.isArray(fields);
  if (isObject && Object.keys(fields).length > 0) {
    for (const [name, field] of Object.entries(fields)) {
      if (!isField(field)) checkFields(field, `${subject}.${name}`);
    }
    return;
  }
  throw new InvalidOptionError({
    subject,
    expected:
      subject === "select"
        ? "an object of fields, such as { id: docs.id }"
        : "a column, an SQL expression, or an object of both",
    got: isObject ? "an empty object" : describe(fields),
  });
}

function isField(value: unknown): boolean {
  return [Column, SQL, SQL.Aliased, Table, Subquery].some((kind) => is(value, kind as typeof Column));
}

/**
 * The select that reads hits by key, in the order of the keys, mapped by Drizzle. The keys travel as one JSON parameter, so
 * its text is the same for any number of hits.
 *
 * SQL: `select … from "docs" inner join (select "key" as "_dv_rank", "value" as "_dv_key" from "_dv".json_each(?)) "_dv_hit"
 * on "docs"."id" = "_dv_hit"."_dv_key" order by "_dv_hit"."_dv_rank"`
 */
export function hitsSelect(
  db: Selecting,
  keyed: KeyedTable,
  fields: Fields,
  candidates: readonly Keyed[],
): SelectBuilder {
  const builder = keyedSelect(db, keyed, fields, candidates).orderBy(sql`"_dv_hit"."_dv_rank"`);
  // A cache of Drizzle's could outlive the rows; it is skipped where there is one.
  return builder.$withCache?.(false) ?? builder;
}

/** The same in any order. The rank, from 0, tells which is which. */
export function keyedSelect(db: Selecting, { table, key }: KeyedTable, fields: Fields, candidates: readonly Keyed[]) {
  const hits = sql`(select "key" as "_dv_rank", "value" as "_dv_key" from ${sql.raw(JSON_EACH)}(${sql.placeholder(KEYS)})) "_dv_hit"`;
  const keys = candidates.map((candidate) => candidate.key);
  const on = sql.join(
    key.map((part, i) => sql`${part} = ${keyPart(sql`"_dv_hit"."_dv_key"`, i, key.length, keys)}`),
    sql` and `,
  );
  return db
    .select({ ...fields, [RANK]: sql`"_dv_hit"."_dv_rank"` })
    .from(table)
    .innerJoin(hits, on);
}

/** The values of the placeholders in `hitsSelect`. */
export function hitsValues(candidates: readonly Keyed[]): Record<string, unknown> {
  return { [KEYS]: keysToJson(candidates.map(({ key }) => key)) };
}

/** The step that reads the rows of the candidates; see `attach`. `values` are for placeholders among the fields. */
export function fetchStep(table: KeyedTable, fields: Fields, candidates: readonly Keyed[], values: Values): SelectStep {
  return {
    type: "select",
    prepare: (db) => preparedSelect(db, table, fields, candidates),
    values: { ...values, ...hitsValues(candidates) },
  };
}

/** Selects that Drizzle has built: for the same fields, on the same handle, with keys of the same form. */
const prepared = new WeakMap<Fields, WeakMap<Selecting, Map<string, PreparedSelect>>>();

/** The select of hits; built by Drizzle once, which takes longer than to run it. */
function preparedSelect(
  db: Selecting,
  table: KeyedTable,
  fields: Fields,
  candidates: readonly Keyed[],
): PreparedSelect {
  const handles = getOrMake(prepared, fields, () => new WeakMap());
  const selects = getOrMake(handles, db, () => new Map());
  const form = keysForm(candidates.map(({ key }) => key));
  return getOrMake(selects, form, () => hitsSelect(db, table, fields, candidates).prepare());
}

/**
 * Drizzle's rows with what `extra` adds to each, from the candidate it belongs to.
 *
 * @throws {UnsupportedKeyError} when a row was found and its key does not lead back to it
 */
export function attach<TCandidate extends Keyed, TExtra extends object>(
  rows: readonly Record<string, unknown>[],
  candidates: readonly TCandidate[],
  extra: (candidate: TCandidate) => TExtra,
): (Record<string, unknown> & TExtra)[] {
  if (rows.length < candidates.length) checkKeys(rows, candidates);
  return rows.map((row) => {
    const added: Record<string, unknown> = extra(candidates[Number(row[RANK])]!) as Record<string, unknown>;
    // Several times as fast as to take a row apart and spread the rest.
    const hit: Record<string, unknown> = {};
    for (const name in row) if (name !== RANK) hit[name] = row[name];
    for (const name in added) hit[name] = added[name];
    return hit as Record<string, unknown> & TExtra;
  });
}

/** Drivers read what is no UTF-8 in a text as U+FFFD, and lose by that what it was. Half of an emoji, as `slice` leaves it, is such. */
const UNREADABLE = "\uFFFD";

function checkKeys(rows: readonly Record<string, unknown>[], candidates: readonly Keyed[]): void {
  const read = new Set(rows.map((row) => Number(row[RANK])));
  const isUnreadable = (part: unknown) => typeof part === "string" && part.includes(UNREADABLE);
  const lost = candidates.find(({ key }, rank) => !read.has(rank) && key.some(isUnreadable));
  if (!lost) return;
  throw new UnsupportedKeyError({
    subject: "primary key",
    expected: "text in valid UTF-8",
    got: String(plainKey(lost.key)),
    hint: "The driver reads such a key as another one, so that its row cannot be looked up. Give the row a new key.",
  });
}
