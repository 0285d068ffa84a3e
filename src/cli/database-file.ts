import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { ConfigError } from "../errors.ts";
import type { Config } from "./config.ts";

/**
 * The database file of a project: as named with `--db`, else that of `dbCredentials.url` if it is there. Undefined for a
 * remote database and for one in memory.
 *
 * @throws {ConfigError} when the named file does not exist, or is none
 */
export function databaseFile({ root, url }: Pick<Config, "root" | "url">, named?: string): string | undefined {
  if (named !== undefined) {
    const file = resolve(root, named);
    const found = statSync(file, { throwIfNoEntry: false });
    if (found?.isFile()) return file;
    throw new ConfigError({
      subject: "--db",
      expected: "a database file",
      got: `${found ? "a folder" : "nothing"} at ${file}`,
    });
  }
  if (url === undefined || url === ":memory:" || isRemote(url)) return undefined;
  const file = url.startsWith("file://") ? fileURLToPath(url) : resolve(root, url.replace(/^file:/, "").split("?")[0]!);
  return existsSync(file) ? file : undefined;
}

/** `libsql://…`, `https://…`, `wss://…`; not `file:…` and not `C:\…`. */
export function isRemote(url: string): boolean {
  return /^(?!file:)[a-z]{2,}:/i.test(url) && url !== ":memory:";
}

/** The error for a file that can be opened and not be read, as most often because it is no database. */
export function unreadable(file: string, cause: unknown): ConfigError {
  return new ConfigError({
    subject: file,
    expected: "a SQLite database that can be read",
    got: (cause as Error).message,
    hint: "name another file with --db",
    cause,
  });
}
