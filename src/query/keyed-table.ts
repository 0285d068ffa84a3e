import { type Column, getTableColumns, getTableName, is, type SQL, sql, type Table } from "drizzle-orm";
import { getTableConfig, type SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import type { Row } from "../driver/driver.ts";
import { getOrMake } from "../driver/get-or-make.ts";
import { UnsupportedColumnError, UnsupportedKeyError } from "../errors.ts";
import { columnLabel, configOf, describeColumn } from "../schema/vector-column.ts";

/** A user's table, possibly under an alias, with what tells its rows apart. */
export interface KeyedTable {
  readonly table: SQLiteTable;
  /** The name in the schema, whatever the alias. */
  readonly name: string;
  readonly columns: Record<string, SQLiteColumn>;
  /** The parts of the primary key in their declared order, at least one. */
  readonly key: readonly SQLiteColumn[];
}

/** Drizzle's own marks on tables and aliases; registered symbols, the same in every copy and both lines. */
const IS_ALIAS = Symbol.for("drizzle:IsAlias");
const ORIGINAL_NAME = Symbol.for("drizzle:OriginalName");
const ORIGINAL_COLUMN = Symbol.for("drizzle:OriginalColumn");

/**
 * The table a vector column belongs to, to be searched.
 *
 * @throws {UnsupportedColumnError} when the column is no vector column, or belongs to a view or, on drizzle-orm 1.0, to a subquery
 * @throws {UnsupportedKeyError} when the table declares no primary key, or one with nullable parts
 */
export function tableOfVector(column: Column<any, any, any>): KeyedTable {
  checkVectorColumn(column);
  const table = (column as unknown as { table: SQLiteTable }).table;
  if (!is(table, SQLiteTable) || isOfView(table)) {
    throw new UnsupportedColumnError({
      subject: columnLabel(column),
      expected: "a column of a table",
      got: "a column of a view",
      hint: "Search the table beneath the view, with the view's condition as `where`.",
    });
  }
  if (isOfSubquery(column, table)) {
    throw new UnsupportedColumnError({
      subject: columnLabel(column),
      expected: "a column of a table",
      got: "a column of a subquery",
      hint: "Search the table beneath the subquery, with the subquery's condition as `where`.",
    });
  }
  return keyedTable(table);
}

/** @throws {UnsupportedColumnError} when the column is no vector column, of whatever it is part */
export function checkVectorColumn(column: Column<any, any, any>): void {
  if (configOf(column) !== undefined) return;
  throw new UnsupportedColumnError({
    subject: columnLabel(column),
    expected: "a vectorColumn of a table",
    got: describeColumn(column),
  });
}

/**
 * A table with its key.
 *
 * @throws {UnsupportedKeyError} when the table declares no primary key, or one with nullable parts
 */
export function keyedTable(table: SQLiteTable): KeyedTable {
  return getOrMake(keyedTables, table, () => withKey(table));
}

/** A declared table does not change. */
const keyedTables = new WeakMap<SQLiteTable, KeyedTable>();

function withKey(table: SQLiteTable): KeyedTable {
  const name = (table as unknown as Record<symbol, string>)[ORIGINAL_NAME] ?? getTableName(table);
  const columns = getTableColumns(table) as Record<string, SQLiteColumn>;
  const all = Object.values(columns);
  const single = all.filter((column) => column.primary);
  const composite = getTableConfig(table).primaryKeys[0]?.columns.map((part) => part.name) ?? [];
  const key = single.length > 0 ? single : composite.flatMap((part) => all.filter((column) => column.name === part));
  if (key.length === 0) {
    throw new UnsupportedKeyError({
      subject: name,
      expected: "a primary key",
      got: "none",
      hint: "Declare one, for example id: integer().primaryKey(). Rowids are not steady enough to name rows by.",
    });
  }
  const nullable = key.find((part) => !part.notNull);
  if (nullable && key.length > 1) {
    throw new UnsupportedKeyError({
      subject: `${name}.${nullable.name}`,
      expected: "a part of the primary key that is notNull()",
      got: "one that may be NULL",
      hint: "SQLite allows several rows with NULL in a composite key; they could not be told apart.",
    });
  }
  return { table, name, columns, key };
}

/** Drizzle hands out a view's columns as those of an alias whose original name is the view's own. */
function isOfView(table: SQLiteTable): boolean {
  const marks = table as unknown as Record<symbol, unknown>;
  return marks[IS_ALIAS] === true && marks[ORIGINAL_NAME] === getTableName(table as Table);
}

/**
 * On drizzle-orm 1.0 a column of an alias knows the column it stands for, one of a subquery does not. On 0.x the two are the
 * same in every respect, so that nothing can be said.
 */
function isOfSubquery(column: unknown, table: SQLiteTable): boolean {
  const { [ORIGINAL_COLUMN]: original } = column as { [ORIGINAL_COLUMN]?: () => unknown };
  if (typeof original !== "function" || (table as unknown as Record<symbol, unknown>)[IS_ALIAS] !== true) return false;
  return original.call(column) === column;
}

/** Whether a key part holds integers, which some clients would round. */
export function isInteger(column: { getSQLType(): string }): boolean {
  return column.getSQLType().toLowerCase().startsWith("integer");
}

/**
 * A part of a key as it is read.
 *
 * @param isRounded - whether the client reads integers as numbers, and would round large ones: they come as text
 */
export function readPart(value: SQL, part: KeyedTable["key"][number], isRounded: boolean): SQL {
  return isRounded && isInteger(part) ? sql`cast(${value} as text)` : value;
}

/** The key of a row that begins with its parts, read so. What is no integer, though the schema declares one, stays as it is stored. */
export function keyOf(row: Row, { key }: KeyedTable, isRounded: boolean): Row {
  return key.map((part, i) => (isRounded && isInteger(part) ? integerOf(row[i]) : row[i]));
}

function integerOf(value: unknown): unknown {
  return typeof value === "string" && /^-?\d+$/.test(value) ? BigInt(value) : value;
}
