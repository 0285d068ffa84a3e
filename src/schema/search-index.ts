import { type Column, entityKind, getTableColumns, getTableName, is, Table, View } from "drizzle-orm";
import { getTableConfig, type SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import { describe, type Element } from "../codec/codec.ts";
import { DeclarationError } from "../errors.ts";
import { checkMetric, type Metric, type MetricOf } from "../metric/metric.ts";
import { checkIndexName, checkTableName } from "./names.ts";
import { type Tokenizer, tokenizerText } from "./tokenizer.ts";
import { configOf, type VectorBytes } from "./vector-column.ts";

/** The columns of a table by their TypeScript keys. */
type ColumnsOf<TTable extends SQLiteTable> = TTable["_"]["columns"];

/** The keys of a table's text columns. */
export type TextKeys<TTable extends SQLiteTable> = {
  [K in keyof ColumnsOf<TTable> & string]: IsText<ColumnsOf<TTable>[K]["_"]> extends true ? K : never;
}[keyof ColumnsOf<TTable> & string];

/** `numeric()` and JSON columns travel as text, too, but hold no words. */
type IsText<T extends { data: unknown; driverParam: unknown; dataType: string }> = unknown extends T["data"]
  ? false
  : T extends { columnType: "SQLiteNumeric" } | { dataType: "string numeric" }
    ? false
    : [T["data"], T["driverParam"]] extends [string, string]
      ? true
      : false;

/** The keys of a table's `vectorColumn`s. */
export type VectorKeys<TTable extends SQLiteTable> = {
  [K in keyof ColumnsOf<TTable> & string]: ColumnsOf<TTable>[K]["_"]["driverParam"] extends VectorBytes ? K : never;
}[keyof ColumnsOf<TTable> & string];

/** The element of the vector column at a key. */
export type ElementAt<TTable extends SQLiteTable, TKey extends keyof ColumnsOf<TTable>> =
  ColumnsOf<TTable>[TKey]["_"]["driverParam"] extends VectorBytes<infer TElement, any> ? TElement : never;

export interface VectorOptions<TElement extends Element = Element> {
  /** How distances are measured: cosine (default), l2 or dot; hamming for `bit`. */
  metric?: MetricOf<TElement>;
  /** `false` keeps 1-bit codes only: a fraction of the memory, and answers by the recall asked for. Default `true`. */
  exact?: boolean;
}

export interface SearchIndexConfig<
  TTable extends SQLiteTable,
  TText extends TextKeys<TTable>,
  TVectors extends VectorKeys<TTable>,
> {
  /** Text columns and what a word in each counts; 0 keeps a column for highlights only. */
  text?: { [K in TText]: number };
  /** How text is cut into words, default `unicode61`. Needs `text`. */
  tokenizer?: Tokenizer;
  /** Vector columns; each may be in one index only. */
  vectors?: { [K in TVectors]: VectorOptions<ElementAt<TTable, K>> };
}

/** A text column of an index with its weight. */
export interface IndexedText {
  readonly key: string;
  readonly column: Column;
  readonly weight: number;
}

/** A vector column of an index with its options, defaults filled in. */
export interface IndexedVector {
  readonly key: string;
  readonly column: Column;
  readonly dimensions: number;
  readonly element: Element;
  readonly metric: Metric;
  readonly exact: boolean;
}

/** FTS5 multiplies weights by counts: beyond this a score could overflow and be NULL. */
export const WEIGHT_MAX = 1e9;

/** What `searchIndex` returns: the declaration, checked. `definitionOf` tells what it becomes in a database. */
export class SearchIndex<
  TTable extends SQLiteTable = SQLiteTable,
  TText extends string = string,
  TVectors extends string = string,
> {
  /** Drizzle's own way to tell classes apart; holds between the ESM and the CommonJS copy, and says that this is no table. */
  static readonly [entityKind]: string = "DrizzleVectorSearchIndex";

  declare readonly _: { readonly table: TTable; readonly text: TText; readonly vectors: TVectors };

  constructor(
    readonly name: string,
    readonly table: TTable,
    /** In the order declared, which is the order of the columns c0..cn in the database. */
    readonly text: readonly IndexedText[],
    /** As FTS5 takes it: `porter unicode61 remove_diacritics 2`. */
    readonly tokenizer: string,
    readonly vectors: readonly IndexedVector[],
  ) {}
}

/**
 * Declares a search index over columns of one table. Export it from the schema beside the table; drizzle-kit ignores it, and
 * `drizzle-vector generate` or `ensureSearchIndexes` creates what it needs in the database.
 *
 * @param name - unique in the database; our tables are named after it (`_dv_<name>_…`)
 * @param table - a table with a primary key; parts of a composite key must be NOT NULL
 * @throws {DeclarationError} when nothing is indexed, a column is unknown or of the wrong kind, a weight is not
 * within 0..1e9 or all are 0, a tokenizer or option does not exist, a name cannot be used, or the table has no primary key
 * @throws {MetricError} when the column's element does not have the metric
 * @example
 * export const docsSearch = searchIndex("docs_search", docs, {
 *   text: { question: 3, answer: 1 },
 *   tokenizer: "porter",
 *   vectors: { embedding: { metric: "cosine" } },
 * });
 */
export function searchIndex<
  TTable extends SQLiteTable,
  TText extends TextKeys<TTable> = never,
  TVectors extends VectorKeys<TTable> = never,
>(
  name: string,
  table: TTable,
  config: SearchIndexConfig<TTable, TText, TVectors>,
): SearchIndex<TTable, TText, TVectors> {
  checkIndexName(name);
  const subject = `searchIndex(${JSON.stringify(name)})`;
  checkTable(table, subject);
  checkOptions(config, ["text", "tokenizer", "vectors"], subject);
  const columns = new Map(Object.entries(getTableColumns(table) as Record<string, SQLiteColumn>));

  const text = Object.entries<number>(config.text ?? {}).map(([key, weight]): IndexedText => {
    const label = `${subject}.text.${key}`;
    const column = columnAt(columns, key, label);
    if (!isText(column)) throw wrongKind(label, "a text column", column);
    if (isJson(column)) throw wrongKind(label, "a text column of words", column, " in mode json");
    if (!isWeight(weight)) {
      throw new DeclarationError({
        subject: label,
        expected: `a weight from 0 to ${WEIGHT_MAX}`,
        got: describe(weight),
      });
    }
    return { key, column, weight };
  });
  if (text.length > 0 && text.every(({ weight }) => weight === 0)) {
    throw new DeclarationError({ subject: `${subject}.text`, expected: "a weight above 0", got: "only zeros" });
  }

  const vectors = Object.entries<VectorOptions>(config.vectors ?? {}).map(([key, options]): IndexedVector => {
    const label = `${subject}.vectors.${key}`;
    const column = columnAt(columns, key, label);
    const shape = configOf(column);
    if (!shape) throw wrongKind(label, "a vectorColumn", column);
    checkOptions(options, ["metric", "exact"], label);
    const { metric, exact = true } = options;
    if (typeof exact !== "boolean") {
      throw new DeclarationError({ subject: `${label}.exact`, expected: "true or false", got: describe(exact) });
    }
    const { dimensions, element } = shape;
    const checked = checkMetric(metric, element, label);
    // So that `nearest` and `distance` measure alike without being told, also where the index is not in the database.
    shape.metric = checked;
    shape.index = name;
    return { key, column, dimensions, element, metric: checked, exact };
  });

  if (text.length + vectors.length === 0) {
    throw new DeclarationError({ subject, expected: "a text or vector column to index", got: "none" });
  }
  if (config.tokenizer !== undefined && text.length === 0) {
    throw new DeclarationError({ subject: `${subject}.tokenizer`, expected: "text columns to cut", got: "none" });
  }
  const tokenizer = tokenizerText(config.tokenizer ?? "unicode61", `${subject}.tokenizer`);
  checkKey(table, subject);
  return new SearchIndex(name, table, text, tokenizer, vectors) as SearchIndex<TTable, TText, TVectors>;
}

/** What a text column may count. */
export function isWeight(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= WEIGHT_MAX;
}

/** Whether a value came from `searchIndex`, of whichever copy of the library. */
export function isSearchIndex(value: unknown): value is SearchIndex {
  return value !== null && typeof value === "object" && is(value, SearchIndex);
}

/**
 * The columns of a table's primary key in its order; empty where none is declared. Reads the table's extra configuration,
 * which may refer to other tables: not to be called before every module of the schema has run, unless a column says it all.
 */
export function keyColumnsOf(table: SQLiteTable): SQLiteColumn[] {
  const own = Object.values(getTableColumns(table) as Record<string, SQLiteColumn>).filter(({ primary }) => primary);
  return own.length > 0 ? own : [...(getTableConfig(table).primaryKeys[0]?.columns ?? [])];
}

/** @throws {DeclarationError} when the table has no key, or a part of a composite key may be NULL */
export function checkKeyColumns(columns: readonly SQLiteColumn[], subject: string): void {
  if (columns.length === 0) {
    throw new DeclarationError({ subject, expected: "a table with a primary key", got: "none" });
  }
  const nullable = columns.length > 1 && columns.find(({ notNull }) => !notNull);
  if (nullable) {
    throw new DeclarationError({
      subject,
      expected: "every part of the primary key to be notNull()",
      got: `${nullable.name}, which may be NULL`,
      hint: "SQLite lets rows with the same key stand side by side where a part is NULL.",
    });
  }
}

function checkKey(table: SQLiteTable, subject: string): void {
  let columns: SQLiteColumn[];
  try {
    columns = keyColumnsOf(table);
  } catch {
    // A circular import: the other table does not exist yet. `definitionOf` looks again when everything does.
    return;
  }
  checkKeyColumns(columns, subject);
}

function checkTable(table: unknown, subject: string): asserts table is SQLiteTable {
  if (!is(table, SQLiteTable)) {
    const got = is(table, View) ? "a view" : describe(table);
    throw new DeclarationError({ subject, expected: "a table made by sqliteTable", got });
  }
  const symbols = (Table as unknown as { Symbol: { IsAlias: symbol; OriginalName: symbol } }).Symbol;
  if ((table as unknown as Record<symbol, unknown>)[symbols.IsAlias]) {
    throw new DeclarationError({ subject, expected: "the table itself", got: `its alias ${getTableName(table)}` });
  }
  checkTableName(getTableName(table), subject);
}

function checkOptions(options: unknown, known: readonly string[], subject: string): void {
  if (typeof options !== "object" || options === null) {
    throw new DeclarationError({ subject, expected: "an object of options", got: describe(options) });
  }
  const unknown = Object.keys(options).find((option) => !known.includes(option));
  if (unknown === undefined) return;
  throw new DeclarationError({ subject, expected: `options ${known.join(", ")}`, got: unknown });
}

function columnAt(columns: ReadonlyMap<string, SQLiteColumn>, key: string, subject: string): SQLiteColumn {
  const column = columns.get(key);
  if (!column) {
    throw new DeclarationError({ subject, expected: `a column of ${[...columns.keys()].join(", ")}`, got: key });
  }
  if (column.name === "" || column.name.includes("\0")) {
    throw new DeclarationError({ subject, expected: "a column name without NUL", got: JSON.stringify(column.name) });
  }
  return column;
}

/** Text by SQLite's rules, so that custom types over text count. */
function isText(column: SQLiteColumn): boolean {
  const type = column.getSQLType().toUpperCase();
  return /CHAR|CLOB|TEXT/.test(type) && !type.includes("INT");
}

/** JSON is text to SQLite, but has no words. */
function isJson(column: SQLiteColumn): boolean {
  return /json/i.test(column.dataType);
}

function wrongKind(subject: string, expected: string, column: SQLiteColumn, mode = ""): DeclarationError {
  return new DeclarationError({ subject, expected, got: `${column.name} of type ${column.getSQLType()}${mode}` });
}
