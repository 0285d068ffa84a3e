import type { ReplayDatabase } from "./replay.ts";
import { eponymous } from "./sql-text.ts";
import { splitStatements } from "./statements.ts";

/** A foreign key of rows that a recreate of the table they refer to puts at risk. */
export interface Reference {
  /** The table that is recreated. */
  table: string;
  /** The table whose rows refer to it; may be the same one. */
  child: string;
  /** What the foreign key says: `CASCADE`, `SET NULL`, `SET DEFAULT`, `NO ACTION`, `RESTRICT`. */
  onDelete: string;
}

/**
 * The foreign keys that act when a migration recreates a table (create anew, copy, drop, rename, as drizzle-kit does for
 * most changes SQLite has no ALTER for). The `PRAGMA foreign_keys=OFF` it writes has no effect inside the transaction of the
 * migrators, so that dropping the old table deletes its children's rows.
 *
 * @param before - the database before the migration
 * @see https://github.com/drizzle-team/drizzle-orm/issues/5782
 */
export function endangeredBy(sql: string, before: Pick<ReplayDatabase, "rows">): Reference[] {
  return recreatedTables(sql).flatMap((table) =>
    before.rows(REFERENCES, table).map(([child, action]) => ({
      table,
      child: String(child),
      onDelete: String(action),
    })),
  );
}

const REFERENCES = `SELECT DISTINCT m.name, f.on_delete
  FROM sqlite_master m JOIN ${eponymous("pragma_foreign_key_list")}(m.name) f
  WHERE m.type = 'table' AND f."table" = ? COLLATE NOCASE ORDER BY m.rowid`;

const CREATE_NEW = /^create\s+table\s+[`"]?__new_([^`"\s(]+)/i;

function recreatedTables(sql: string): string[] {
  return splitStatements(sql).flatMap((statement) => CREATE_NEW.exec(statement)?.[1] ?? []);
}
