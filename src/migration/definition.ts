import { type Column, getTableName } from "drizzle-orm";
import { toCamelCase, toSnakeCase } from "drizzle-orm/casing";
import type { Element } from "../codec/codec.ts";
import { DeclarationError } from "../errors.ts";
import type { Metric } from "../metric/metric.ts";
import { foldName } from "../schema/names.ts";
import { checkKeyColumns, keyColumnsOf, type SearchIndex } from "../schema/search-index.ts";

/** The format of everything we put into a database; a library refuses to touch a newer one. */
export const FORMAT_VERSION = 1;

/** How `drizzle()` and `drizzle.config.ts` of drizzle-orm 0.x name columns that are declared without a name. */
export type Casing = "snake_case" | "camelCase";

/** A search index as plain data with the names of the database: what is recorded, compared and turned into SQL. */
export interface IndexDefinition {
  readonly name: string;
  readonly table: string;
  readonly key: {
    readonly columns: readonly string[];
    /** Whether the key is one INTEGER PRIMARY KEY, whose value is then the id in all our tables. */
    readonly isRowid: boolean;
  };
  readonly text: {
    /** In the order of c0..cn. */
    readonly columns: readonly { readonly column: string; readonly weight: number }[];
    /** FTS5's `tokenize`. */
    readonly tokenizer: string;
  } | null;
  readonly vectors: readonly VectorDefinition[];
}

export interface VectorDefinition {
  readonly column: string;
  readonly dimensions: number;
  readonly element: Element;
  readonly metric: Metric;
  readonly exact: boolean;
}

/**
 * What a declaration means in a database. Equal declarations give equal JSON.
 *
 * @param options.casing - `casing` of the Drizzle configuration, for drizzle-orm 0.x; 1.0 has final names already
 * @throws {DeclarationError} when the table's key cannot be used; seen here where a circular import hid it before
 */
export function definitionOf(index: SearchIndex, { casing }: { casing?: Casing } = {}): IndexDefinition {
  const key = keyColumnsOf(index.table);
  checkKeyColumns(key, `searchIndex(${JSON.stringify(index.name)})`);
  return {
    name: index.name,
    table: getTableName(index.table),
    key: {
      columns: key.map((column) => columnName(column, casing)),
      isRowid: key.length === 1 && foldName(key[0]!.getSQLType()) === "integer",
    },
    text:
      index.text.length === 0
        ? null
        : {
            columns: index.text.map(({ column, weight }) => ({ column: columnName(column, casing), weight })),
            tokenizer: index.tokenizer,
          },
    vectors: index.vectors.map(({ column, dimensions, element, metric, exact }) => ({
      column: columnName(column, casing),
      dimensions,
      element,
      metric,
      exact,
    })),
  };
}

/** The name a column has in the database. */
export function columnName(column: Column, casing: Casing | undefined): string {
  const { name, keyAsName } = column as Column & { keyAsName?: boolean };
  if (!keyAsName || casing === undefined) return name;
  return casing === "snake_case" ? toSnakeCase(name) : toCamelCase(name);
}

/** Sixteen hex digits that differ when two definitions do. FNV-1a over UTF-16; pure, as no tool that loads a schema needs more. */
export function hashOf(definition: IndexDefinition): string {
  let hash = 0xcbf29ce484222325n;
  for (const unit of JSON.stringify(definition)) {
    for (let i = 0; i < unit.length; i++) {
      hash = BigInt.asUintN(64, (hash ^ BigInt(unit.charCodeAt(i))) * 0x100000001b3n);
    }
  }
  return hash.toString(16).padStart(16, "0");
}

/**
 * What only shows when all declarations of a database stand side by side: two indexes of one name, and a vector column in two
 * indexes.
 *
 * @throws {DeclarationError}
 */
export function checkTogether(definitions: readonly IndexDefinition[]): void {
  const names = new Map<string, string>();
  const columns = new Map<string, string>();
  for (const { name, table, vectors } of definitions) {
    const twin = names.get(foldName(name));
    if (twin !== undefined) {
      throw new DeclarationError({
        subject: `searchIndex(${JSON.stringify(name)})`,
        expected: "a name of its own",
        got: twin,
      });
    }
    names.set(foldName(name), name);
    for (const { column } of vectors) {
      const id = JSON.stringify([foldName(table), foldName(column)]);
      const other = columns.get(id);
      if (other !== undefined) {
        throw new DeclarationError({
          subject: `${table}.${column}`,
          expected: "one index for a vector column",
          got: `${other} and ${name}`,
        });
      }
      columns.set(id, name);
    }
  }
}
