import { is, Placeholder, type SQL } from "drizzle-orm";
import { describe, encodeVector } from "../codec/codec.ts";
import { type DbLike, type Driver, driverOf } from "../driver/driver.ts";
import { InvalidOptionError } from "../errors.ts";
import type { IndexDefinition } from "../migration/definition.ts";
import { type IndexedVector, isSearchIndex, type SearchIndex } from "../schema/search-index.ts";
import { columnLabel, configOf } from "../schema/vector-column.ts";
import { copied } from "./as-given.ts";
import { type Fields, fieldsOf } from "./fetch.ts";
import { type Fusion, fusionOption } from "./fusion.ts";
import type { HybridOptions } from "./hybrid.ts";
import { type KeyedTable, keyedTable } from "./keyed-table.ts";
import { condition, isPlaceholder, knownOptions, LIMIT_DEFAULT, wholeNumber } from "./options.ts";
import { declarationOf } from "./search-attachment.ts";
import { Highlighter } from "./search-highlight.ts";
import { TextLeg } from "./search-leg.ts";
import { checkHasText, TEXT_OPTIONS } from "./search-options.ts";

const OPTIONS = ["select", "where", "limit", "offset", "depth", "fusion", "highlight", ...TEXT_OPTIONS] as const;

/** Candidates a leg gives to be fused. */
const DEPTH_DEFAULT = 100;
const DEPTH_MAX = 10_000;

/** A vector to search by, and the column it is compared with. */
export interface VectorLeg {
  readonly indexed: IndexedVector;
  readonly query: unknown;
}

/** What `hybrid` was asked for, its arguments checked. */
export class HybridRequest {
  readonly driver: Driver;
  readonly index: SearchIndex;
  /** What the code declares. */
  readonly declared: IndexDefinition;
  readonly keyed: KeyedTable;
  readonly fields: Fields;
  readonly where: SQL | undefined;
  readonly limit: number;
  readonly offset: number;
  readonly depth: number;
  readonly fusion: Fusion;
  /** Whether the fusion is the library's own choice, so that its weights are, too. */
  readonly isDefaultFusion: boolean;
  readonly text: TextLeg | undefined;
  readonly vectors: readonly VectorLeg[];
  /** Whether the vectors were given by their columns' names, and so are the parts of a hit. */
  readonly isByName: boolean;
  readonly highlighter: Highlighter | undefined;

  constructor(db: DbLike, index: unknown, query: unknown, given: unknown) {
    this.driver = driverOf(db);
    if (!isSearchIndex(index)) {
      throw new InvalidOptionError({ subject: "index", expected: "a searchIndex", got: describe(index) });
    }
    this.index = index;
    this.declared = declarationOf(index, this.driver);
    this.keyed = keyedTable(index.table);
    const { text, vector } = checkQuery(query);
    const options = knownOptions<HybridOptions<unknown>>(given, "hybrid", OPTIONS);
    this.where = condition(options.where);
    this.depth = checkDepth(options.depth);
    this.offset = wholeNumber(options.offset, "offset", 0);
    const rest = Math.max(0, this.depth - this.offset);
    this.limit = wholeNumber(options.limit, "limit", Math.min(LIMIT_DEFAULT, rest));
    const last = this.offset + this.limit;
    if (last > this.depth) {
      throw new InvalidOptionError({
        subject: "depth",
        expected: `offset + limit within the depth of ${this.depth} candidates that are fused`,
        got: `${this.offset} + ${this.limit}`,
        hint:
          last > DEPTH_MAX
            ? `No more than ${DEPTH_MAX} candidates are fused: page less far, or go on with search() or nearest().`
            : `Ask for depth: ${last} or more; the same for every page, so that they fit together.`,
      });
    }
    this.isByName = isNamed(vector);
    const legs = vector === undefined ? [] : this.isByName ? named(vector as object, index) : [single(vector, index)];
    for (const leg of legs) checkVector(leg);
    this.vectors = legs.map((leg) => ({ ...leg, query: copied(leg.query) }));
    if (text !== undefined) checkHasText(index);
    this.text =
      text === undefined
        ? undefined
        : new TextLeg({
            driver: this.driver,
            index,
            keyed: this.keyed,
            text: text as string | Placeholder,
            where: this.where,
            options,
          });
    this.isDefaultFusion = options.fusion === undefined;
    this.fusion = fusionOption(options.fusion, ["text", "vector", ...index.vectors.map(({ key }) => key)]);
    this.highlighter = options.highlight === undefined ? undefined : new Highlighter(options.highlight, index);
    this.fields = fieldsOf(this.keyed, options.select, ["$score", "$text", "$vector", "$highlights"]);
  }
}

function checkDepth(depth: unknown): number {
  if (depth === undefined) return DEPTH_DEFAULT;
  if (typeof depth === "number" && Number.isInteger(depth) && depth >= 1 && depth <= DEPTH_MAX) return depth;
  throw new InvalidOptionError({
    subject: "depth",
    expected: `a whole number, 1..${DEPTH_MAX}`,
    got: describe(depth),
  });
}

function checkQuery(query: unknown): { text: unknown; vector: unknown } {
  const naming = { subject: "query", expected: "{ text, vector } or one of them", member: "a part of hybrid's query" };
  const { text, vector } = knownOptions<{ text: unknown; vector: unknown }>(query ?? null, naming, ["text", "vector"]);
  if (text !== undefined || vector !== undefined) return { text, vector };
  throw new InvalidOptionError({ subject: "query", expected: "a text, a vector or both", got: "neither" });
}

/** Whether vectors are given as an object by column. */
function isNamed(vector: unknown): boolean {
  const isObject = typeof vector === "object" && vector !== null;
  return isObject && !Array.isArray(vector) && !ArrayBuffer.isView(vector) && !is(vector, Placeholder);
}

function single(query: unknown, { name, vectors }: SearchIndex): VectorLeg {
  const [indexed] = vectors;
  if (indexed && vectors.length === 1) return { indexed, query };
  if (vectors.length === 0) throw withoutVectors(name, query);
  const names = vectors.map(({ key }) => key);
  throw new InvalidOptionError({
    subject: "vector",
    expected: `vectors by column, as { ${names[0]}: … }, since ${name} has ${names.join(", ")}`,
    got: gotOf(query),
  });
}

function withoutVectors(name: string, query: unknown): InvalidOptionError {
  const expected = `an index with a vector column; ${name} has none`;
  return new InvalidOptionError({ subject: "vector", expected, got: gotOf(query) });
}

function gotOf(query: unknown): string {
  return isPlaceholder(query) ? "a placeholder" : describe(query);
}

function named(given: object, { name, vectors }: SearchIndex): VectorLeg[] {
  const known = vectors.map(({ key }) => key);
  if (known.length === 0) throw withoutVectors(name, given);
  const naming = { subject: "vector", expected: "vectors by column", member: `a vector column of ${name}` };
  const queries = knownOptions<Record<string, unknown>>(given, naming, known);
  const legs = vectors.flatMap((indexed) =>
    queries[indexed.key] === undefined ? [] : [{ indexed, query: queries[indexed.key] }],
  );
  if (legs.length > 0) return legs;
  throw new InvalidOptionError({ subject: "vector", expected: `a vector for ${known.join(", ")}`, got: "none" });
}

/** Refuses at once what is no vector of the column, as `nearest` does; zeros are for the leg to say nothing of. */
function checkVector({ indexed, query }: VectorLeg): void {
  if (isPlaceholder(query)) return;
  const { column } = indexed;
  encodeVector(query, configOf(column)!, columnLabel(column));
}
