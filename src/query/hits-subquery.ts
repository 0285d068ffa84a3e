import { Column, getTableName, is, type SQL, Subquery, sql } from "drizzle-orm";
import { SelectionProxyHandler } from "drizzle-orm/selection-proxy";
import { integer, real, type SQLiteColumn, sqliteTable } from "drizzle-orm/sqlite-core";
import { describe } from "../codec/codec.ts";
import type { Row, Selecting } from "../driver/driver.ts";
import { InvalidOptionError } from "../errors.ts";
import { JSON_EACH } from "../migration/sql-text.ts";
import type { Fields } from "./fetch.ts";
import { keyPart, keysToJson } from "./key.ts";
import type { KeyedTable } from "./keyed-table.ts";

/** What a frozen list of hits adds to the key: `rank` from 1, and what the search measures. */
const ranked = sqliteTable("_dv_hits", {
  rank: integer().notNull(),
  distance: real().notNull(),
  score: real().notNull(),
});

/**
 * The type of these columns, written out: what would be inferred on drizzle-orm 0.x means nothing on 1.0, where column types
 * have other parameters and the kinds of numbers other names.
 */
export type RankedColumn<TName extends string> = SQLiteColumn<{
  name: TName;
  tableName: "_dv_hits";
  dataType: "custom";
  columnType: "SQLiteCustomColumn";
  data: number;
  driverParam: number;
  notNull: true;
  hasDefault: false;
  isPrimaryKey: false;
  isAutoincrement: false;
  hasRuntimeDefault: false;
  enumValues: undefined;
  baseColumn: never;
  identity: undefined;
  generated: undefined;
}>;

/**
 * Hits as a typed subquery over one JSON parameter.
 *
 * SQL: `select json_extract("value", '$[0]') as "distance", "key" + 1 as "rank", json_extract("value", '$[1]') as "id" from "_dv".json_each(?)`
 *
 * @param measure - the name of the number each hit carries
 * @param selected - the search's own fields: key columns among them keep the names they have there, too
 */
export function hitsSubquery(
  db: Selecting,
  { name, columns, key }: KeyedTable,
  alias: unknown,
  measure: "distance" | "score",
  selected: Fields,
  hits: readonly { readonly key: Row; readonly measure: number }[],
): unknown {
  if (typeof alias !== "string" || alias === "") {
    throw new InvalidOptionError({ subject: "as", expected: "a name for the subquery", got: describe(alias) });
  }
  const named = [...Object.entries(columns), ...Object.entries(selected)];
  const keyFields = named.filter((field): field is [string, SQLiteColumn] => isPartOf(key, field[1]));
  const taken = keyFields.find(([field]) => field === "rank" || field === measure);
  if (taken) {
    throw new InvalidOptionError({
      subject: `${name}.${taken[0]}`,
      expected: `a key column that is not called rank or ${measure}`,
      got: taken[0],
      hint: "Declare the column under another TypeScript name; its name in the database can stay.",
    });
  }
  const rows: Row[] = hits.map((hit) => [hit.measure, ...hit.key]);
  const json = keysToJson(rows);
  const part = (index: number) => keyPart(sql`"value"`, index, key.length + 1, rows);
  const parts = key.map((column, i) => sql`${part(i + 1)} as ${sql.identifier(databaseName(db, column))}`);
  const list = sql.join([sql`"key" + 1 as "rank"`, sql`${part(0)} as ${sql.identifier(measure)}`, ...parts], sql`, `);
  const fields = { ...Object.fromEntries(keyFields), rank: ranked.rank, [measure]: ranked[measure] };
  return new Proxy(
    new Subquery(sql`select ${list} from ${sql.raw(JSON_EACH)}(${json})`, fields, alias),
    new SelectionProxyHandler({ alias, sqlAliasedBehavior: "alias", sqlBehavior: "error" }) as ProxyHandler<Subquery>,
  );
}

/** By name: an alias hands out a new proxy of a column at every access. */
function isPartOf(key: KeyedTable["key"], field: unknown): boolean {
  return (
    is(field, Column) &&
    key.some((part) => part.name === field.name && getTableName(part.table) === getTableName(field.table))
  );
}

/** The column's name in the database: Drizzle alone knows it where `casing` is set on the database. */
function databaseName(db: Selecting, column: unknown): string {
  const { dialect } = db as unknown as { dialect: { sqlToQuery(sql: SQL): { sql: string } } };
  const quoted = dialect.sqlToQuery(sql`${column}`).sql;
  const name = /"((?:[^"]|"")*)"$/.exec(quoted)?.[1];
  return (name ?? quoted).replaceAll('""', '"');
}
