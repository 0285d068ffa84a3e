import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { UnsupportedDriverError } from "../errors.ts";
import type { SqlRow } from "../migration/installed.ts";
import type { Config } from "./config.ts";

/** One connection as the commands use it: synchronous, rows as arrays, the same for each driver. */
export interface CliDatabase {
  exec(sql: string): void;
  rows(sql: string, ...parameters: unknown[]): SqlRow[];
  close(): void;
}

interface Statement {
  all(...parameters: unknown[]): unknown[];
  /** better-sqlite3 and libsql. */
  raw?(): Statement;
  /** node:sqlite. */
  setReturnArrays?(enabled: boolean): void;
}

interface Connection {
  exec(sql: string): unknown;
  prepare(sql: string): Statement;
  close(): void;
}

type Open = (file: string) => Connection;

/**
 * Opens a file for reading, with a driver of the project: better-sqlite3, libsql or node:sqlite. For dialect turso libsql
 * comes first, since drizzle-kit 0.31 writes statements for it that SQLite itself does not know (`ALTER COLUMN ... TO`).
 *
 * @throws {UnsupportedDriverError} when there is none
 */
export function openFile(file: string, project: Project): CliDatabase {
  return handle(driverOf(project)(file));
}

/** Opens an empty database in memory, with the same driver. */
export function openMemory(project: Project): CliDatabase {
  return openFile(":memory:", project);
}

type Project = Pick<Config, "root" | "dialect">;

function handle(connection: Connection): CliDatabase {
  return {
    exec: (sql) => void connection.exec(sql),
    rows: (sql, ...parameters) => asArrays(connection.prepare(sql)).all(...parameters) as SqlRow[],
    close: () => connection.close(),
  };
}

function asArrays(statement: Statement): Statement {
  if (statement.raw) return statement.raw();
  statement.setReturnArrays!(true);
  return statement;
}

function driverOf({ root, dialect }: Project): Open {
  const require = createRequire(join(root, "package.json"));
  const failures: string[] = [];
  const names =
    dialect === "turso" ? ["libsql", "better-sqlite3", "node:sqlite"] : ["better-sqlite3", "libsql", "node:sqlite"];
  for (const name of names) {
    try {
      const open = DRIVERS[name]!(require);
      open(":memory:").close();
      return open;
    } catch (error) {
      failures.push(`${name}: ${(error as Error).message.split("\n")[0]}`);
    }
  }
  throw new UnsupportedDriverError({
    subject: "drizzle-vector",
    expected: "better-sqlite3, @libsql/client or node:sqlite",
    got: failures.join("; "),
    hint: "npm install better-sqlite3",
  });
}

const DRIVERS: Record<string, (require: NodeJS.Require) => Open> = {
  "better-sqlite3": (require) => {
    const Database = require("better-sqlite3");
    return (file) => new Database(file, inMemory(file) ? {} : { readonly: true, fileMustExist: true });
  },
  // Its synchronous half, which @libsql/client stands on.
  libsql: (require) => {
    const client = createRequire(require.resolve("@libsql/client"));
    const Database = client("libsql");
    return (file) => {
      if (!inMemory(file) && !existsSync(file)) throw new Error(`${file}: no such file`);
      return new Database(file);
    };
  },
  "node:sqlite": (require) => {
    const { DatabaseSync, StatementSync } = require("node:sqlite");
    if (!("setReturnArrays" in StatementSync.prototype)) throw new Error("needs Node 22.16 or newer");
    return (file) => new DatabaseSync(file, { readOnly: !inMemory(file) });
  },
};

function inMemory(file: string): boolean {
  return file === ":memory:";
}
