import { MigrationError } from "../errors.ts";
import type { Migration } from "./folder.ts";
import { type Installed, readInstalledSync, type SqlRow } from "./installed.ts";
import { splitStatements } from "./statements.ts";

/** What replaying needs from a database. */
export interface ReplayDatabase {
  /** Runs SQL that returns nothing, several statements as well. */
  exec(sql: string): unknown;
  /** The rows of one statement, as arrays. */
  rows(sql: string, ...parameters: unknown[]): SqlRow[];
}

export interface Replayed {
  /** The database the migrations ran on. */
  database: ReplayDatabase;
  /** What of ours they lead to. */
  installed: Installed;
  /** Statements that need rows or an extension and were left out. */
  skipped: Skipped[];
}

/** A statement that cannot run on an empty database, and that no table depends on. */
export interface Skipped {
  migration: string;
  statement: string;
  reason: string;
}

/** Replays migrations on an empty database and reads back what they leave, `tables` included. */
export function replayed(
  migrations: readonly Migration[],
  database: ReplayDatabase,
  tables: readonly string[],
): Replayed {
  const skipped = replay(migrations, database);
  return { database, skipped, installed: readInstalledSync((sql) => database.rows(sql), tables) };
}

/**
 * Runs migrations on an empty database, each in a transaction as the migrators do, so that what they leave can be read back
 * from `sqlite_master`: by hand or by kit, whatever wrote them.
 *
 * Foreign keys are off, for there are no rows to protect. Statements that only move rows may need rows that are not here,
 * and a virtual table may need an extension: both are skipped and told, because no table of the schema depends on them.
 *
 * @returns the statements that were skipped
 * @throws {MigrationError} when any other statement fails; it names file and statement
 */
export function replay(migrations: readonly Migration[], database: Pick<ReplayDatabase, "exec">): Skipped[] {
  database.exec("PRAGMA foreign_keys = OFF");
  return migrations.flatMap((migration) => replayOne(migration, database));
}

function replayOne(migration: Migration, database: Pick<ReplayDatabase, "exec">): Skipped[] {
  const skipped: Skipped[] = [];
  database.exec("BEGIN");
  for (const statement of splitStatements(migration.sql)) {
    try {
      database.exec(statement);
    } catch (cause) {
      const reason = (cause as Error).message;
      if (!isSkippable(statement, reason)) throw failed(migration, statement, cause as Error);
      skipped.push({ migration: migration.name, statement, reason });
    }
  }
  database.exec("COMMIT");
  return skipped;
}

const MOVES_ROWS = /^\s*(?:(?:--[^\n]*\n|\/\*[\s\S]*?\*\/)\s*)*(?:insert|update|delete|replace|select|with)\b/i;

function isSkippable(statement: string, reason: string): boolean {
  return MOVES_ROWS.test(statement) || /^no such module/i.test(reason);
}

function failed(migration: Migration, statement: string, cause: Error): MigrationError {
  return new MigrationError({
    subject: migration.name,
    expected: "a migration that runs on an empty database",
    got: `${cause.message} in: ${shortened(statement)}`,
    hint: "migrations are replayed in memory to learn what the database looks like; make this statement run there too",
    cause,
  });
}

/** One line, so that a message stays readable. */
export function shortened(statement: string): string {
  const line = statement.replace(/\s+/g, " ").trim();
  return line.length > 120 ? `${line.slice(0, 117)}...` : line;
}
