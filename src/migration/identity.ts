import { namesOf } from "../schema/names.ts";
import type { IndexDefinition } from "./definition.ts";
import { identifier } from "./sql-text.ts";
import type { KeyPart, TableFacts } from "./table-facts.ts";

/** The least and the greatest id a row can have: SQLite's integers have 64 bits. */
export const FIRST_ID = -(2n ** 63n);
export const LAST_ID = 2n ** 63n - 1n;

/**
 * How rows of the user's table get the integer ids that our tables and FTS5 know them by. An INTEGER PRIMARY KEY is the id.
 * Any other key gets one from the map `_dv_<index>_keys`: a rowid would not do, since a copy of the table renumbers it, and a
 * WITHOUT ROWID table has none.
 *
 * In the SQL, `r` is a row of the user's table and `k` its entry in the map; `new` and `old` are the row of a trigger. Tables
 * always go by these aliases, so that a table called `new` cannot be mistaken for the trigger's row.
 */
export interface Identity {
  /** FROM clause of rows that have an id. */
  readonly rows: string;
  /** FROM clause of everything that has an id, also where the map has ids of rows that are gone: for paging. */
  readonly ids: string;
  /** The id within `rows` and `ids`. */
  readonly id: string;
  /** SELECT of the id of the trigger's row; no row where the map has none. */
  selectId(row: "new" | "old"): string;
  /** The same as a value; NULL where the map has none. */
  idOf(row: "new" | "old"): string;
  /** SELECT of the ids of rows that meet a condition, in which the table's columns may stand without `r`. */
  among(condition: string, options?: { except: "old" }): string;
  /** Whether `r` has the key of the trigger's row. */
  isRow(row: "new" | "old"): string;
  /** Whether an UPDATE changed the key. */
  readonly hasMoved: string;
  readonly hasNotMoved: string;
  /** Whether no row has the id that an expression gives. */
  isGone(id: string): string;
  /** The map, or undefined where the key is the id. */
  readonly map: KeyMap | undefined;
}

export interface KeyMap {
  readonly create: string;
  /** Gives every row an id. */
  readonly fill: string;
  /** FROM clause of rows with a key that the map does not have. */
  readonly unmapped: string;
  /** FROM clause of entries without a row. */
  readonly orphans: string;
  /** FROM clause of rows that can have no id, because a part of their key is NULL. */
  readonly keyless: string;
  /** Gives the row with this key an id, if it has none and is there. */
  add(row: "new" | "old"): string;
  /** Forgets this key, unless a row has it. */
  remove(row: "new" | "old"): string;
}

export function identityOf(definition: IndexDefinition, table: TableFacts): Identity {
  return definition.key.isRowid ? byRowid(definition, table) : byMap(definition, table);
}

function byRowid({ key }: IndexDefinition, table: TableFacts): Identity {
  const column = identifier(key.columns[0]!);
  const from = identifier(table.name);
  return {
    rows: `${from} AS r`,
    ids: `${from} AS r`,
    id: `r.${column}`,
    selectId: (row) => `SELECT ${row}.${column}`,
    idOf: (row) => `${row}.${column}`,
    among: (condition, options) =>
      `SELECT r.${column} FROM ${from} AS r WHERE ${condition}${options ? ` AND r.${column} IS NOT ${options.except}.${column}` : ""}`,
    isRow: (row) => `r.${column} = ${row}.${column}`,
    hasMoved: `old.${column} IS NOT new.${column}`,
    hasNotMoved: `old.${column} IS new.${column}`,
    isGone: (id) => `NOT EXISTS (SELECT 1 FROM ${from} AS r WHERE r.${column} = ${id})`,
    map: undefined,
  };
}

function byMap({ name }: IndexDefinition, table: TableFacts): Identity {
  const from = identifier(table.name);
  const keys = identifier(namesOf(name).tables.keys);
  const all = (compare: (column: string, place: string, part: KeyPart) => string) =>
    table.key.map((part, i) => compare(identifier(part.column), `k${i}`, part)).join(" AND ");

  const isEntry = all((c, k, part) => `k.${k} = r.${c}${collate(part)}`);
  const join = `JOIN ${keys} AS k ON ${isEntry}`;
  const rows = `${from} AS r ${join}`;
  const isRow = (row: string) => all((c, _, part) => `r.${c} = ${row}.${c}${collate(part)}`);
  const selectId = (row: string) =>
    `SELECT k.id FROM ${keys} AS k WHERE ${all((c, k, part) => `k.${k} = ${row}.${c}${collate(part)}`)}`;
  // A key is moved by any change of its bytes: whether a collation sees it is all the same to the map.
  const moved = table.key.map(({ column: c }) => `old.${identifier(c)} IS NOT new.${identifier(c)} COLLATE BINARY`);
  const places = table.key.map((_, i) => `k${i}`).join(", ");
  const columns = table.key.map(({ column }) => `r.${identifier(column)}`).join(", ");
  // A key with a NULL is no key: SQLite takes it for different from every other.
  const isWhole = all((c) => `r.${c} IS NOT NULL`);
  return {
    rows,
    ids: `${keys} AS k`,
    id: "k.id",
    selectId,
    idOf: (row) => `(${selectId(row)})`,
    // The condition stands where only the table is in sight: a column of the user may be called `id` as in the map.
    among: (condition, options) =>
      `SELECT k.id FROM (SELECT ${columns} FROM ${from} AS r WHERE ${condition}) AS r ${join} WHERE ${options ? `k.id IS NOT (${selectId(options.except)})` : "true"}`,
    isRow,
    hasMoved: moved.length === 1 ? moved[0]! : `(${moved.join(" OR ")})`,
    hasNotMoved: all((c) => `old.${c} IS new.${c} COLLATE BINARY`),
    isGone: (id) => `NOT EXISTS (SELECT 1 FROM ${rows} WHERE k.id = ${id})`,
    map: {
      create: `CREATE TABLE ${keys} (id INTEGER PRIMARY KEY, ${table.key
        .map((part, i) => `k${i} ${part.affinity}${collate(part)} NOT NULL`)
        .join(", ")}, UNIQUE (${places}))`,
      fill: `INSERT INTO ${keys} (${places}) SELECT ${columns} FROM ${from} AS r WHERE ${isWhole}`,
      unmapped: `${from} AS r WHERE ${isWhole} AND NOT EXISTS (SELECT 1 FROM ${keys} AS k WHERE ${isEntry})`,
      orphans: `${keys} AS k WHERE NOT EXISTS (SELECT 1 FROM ${from} AS r WHERE ${isEntry})`,
      keyless: `${from} AS r WHERE NOT (${isWhole})`,
      // ON CONFLICT holds whatever OR clause the user's statement has; INSERT OR IGNORE would give way to it.
      add: (row) =>
        `INSERT INTO ${keys} (${places}) SELECT ${columns} FROM ${from} AS r WHERE ${isRow(row)} ON CONFLICT DO NOTHING`,
      remove: (row) =>
        `DELETE FROM ${keys} WHERE id = (${selectId(row)}) AND NOT EXISTS (SELECT 1 FROM ${from} AS r WHERE ${isRow(row)})`,
    },
  };
}

export function collate({ collation }: { readonly collation: string }): string {
  return ` COLLATE ${/^[A-Za-z]\w*$/.test(collation) ? collation : identifier(collation)}`;
}
