import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { ConfigError } from "../errors.ts";
import type { Config } from "./config.ts";

/**
 * The database file of a project: as named with `--db`, else that of `dbCredentials.url` if it is there. Undefined for a
 * remote database and for one in memory.
 *
 * @throws {ConfigError} when the named file does not exist, or it is a folder
 */
export function databaseFile({ root, url }: Pick<Config, "root" | "url">, named?: string): string | undefined {
  if (named !== undefined) {
    const file = resolve(root, named);
    if (!existsSync(file)) throw noFile("--db", "nothing", file);
    return notFolder("--db", file);
  }
  if (url === undefined || url === ":memory:" || isRemote(url)) return undefined;
  const file = url.startsWith("file://") ? fileURLToPath(url) : resolve(root, url.replace(/^file:/, "").split("?")[0]!);
  return existsSync(file) ? notFolder("dbCredentials.url", file) : undefined;
}

function notFolder(subject: string, file: string): string {
  if (statSync(file).isDirectory()) throw noFile(subject, "a folder", file);
  return file;
}

function noFile(subject: string, found: string, file: string): ConfigError {
  return new ConfigError({ subject, expected: "a database file", got: `${found} at ${file}` });
}

/** `libsql://…`, `https://…`, `wss://…`; not `file:…` and not `C:\…`. */
export function isRemote(url: string): boolean {
  return /^(?!file:)[a-z]{2,}:/i.test(url) && url !== ":memory:";
}

/** What to do about an error of SQLite, by the beginning of its code. */
const WAYS_OUT: readonly [code: string, hint: string][] = [
  ["SQLITE_NOTADB", "name another file with --db"],
  ["SQLITE_BUSY", "another process is writing to it, or holds it: run the command again when that has ended"],
  ["SQLITE_LOCKED", "another process is writing to it, or holds it: run the command again when that has ended"],
  ["SQLITE_CORRUPT", "the file is damaged: restore a backup, or save what can be read with `sqlite3 FILE .recover`"],
  ["SQLITE_FULL", "make room on the disk, and run the command again: what was begun is undone or goes on"],
  [
    "SQLITE_IOERR",
    "see that the disk has room and can be written, and run the command again: what was begun is undone or goes on",
  ],
  [
    "SQLITE_READONLY_ROLLBACK",
    "a process that was stopped has left its journal: open the file once for writing, which undoes what it had begun",
  ],
  ["SQLITE_READONLY", "see that this user may write the file and the folder it is in"],
  ["SQLITE_CANTOPEN", "see that this user may read the file and the folder it is in"],
];

/** The error of SQLite in what was thrown, if it is about the file: not a statement that is wrong, and nothing of ours. */
export function sqliteErrorIn(thrown: unknown): (Error & { code: string }) | undefined {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    const { code } = error as { code?: unknown };
    if (typeof code === "string" && wayOut(code)) return error as Error & { code: string };
  }
  return undefined;
}

function wayOut(code: string): string | undefined {
  return WAYS_OUT.find(([beginning]) => code.startsWith(beginning))?.[1];
}

/** The error for a file that is there, and that SQLite does not open, read or write: most often because it is no database. */
export function unreadable(file: string, thrown: unknown): ConfigError {
  const error = sqliteErrorIn(thrown);
  return new ConfigError({
    subject: file,
    expected: "a SQLite database that can be read",
    got: (error ?? (thrown as Error)).message,
    hint: (error && wayOut(error.code)) ?? "name another file with --db",
    cause: thrown,
  });
}
