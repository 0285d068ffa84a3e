import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type DbLike, driverOf } from "../driver/driver.ts";
import { ConfigError, UnsupportedDriverError } from "../errors.ts";
import { type Config, loadConfig } from "./config.ts";
import { databaseFile, isRemote, sqliteErrorIn, unreadable } from "./database-file.ts";

export interface Connected {
  db: DbLike;
  /** The file, or the address of a remote database. */
  place: string;
  close(): void;
}

export interface ConnectOptions {
  config?: string | undefined;
  /** A database file, instead of `dbCredentials.url`; no config file is needed then. */
  db?: string | undefined;
  readonly: boolean;
}

type Target = Pick<Config, "root" | "dialect" | "url" | "authToken">;

/**
 * A Drizzle database over the project's own driver: better-sqlite3 or @libsql/client, which also reaches remote ones.
 *
 * @throws {ConfigError} when there is no database to connect to, or a file is none
 * @throws {UnsupportedDriverError} when neither driver is installed
 */
export async function connect({ config, db, readonly }: ConnectOptions): Promise<Connected> {
  const root = process.cwd();
  const target: Target =
    db !== undefined && config === undefined
      ? { root, dialect: "sqlite", url: undefined, authToken: undefined }
      : await loadConfig(root, config);
  const file = databaseFile(target, db);
  if (file !== undefined) return checked(file, await connectFile(file, target, readonly));
  if (target.url !== undefined && isRemote(target.url)) return connectRemote(target.url, target);
  throw new ConfigError({
    subject: "dbCredentials.url",
    expected: "a database that is there",
    got: target.url ?? "none",
    hint: "name a file with --db, or apply the migrations first",
  });
}

/** Drivers open any file: only what is read shows that it is no database. */
async function checked(file: string, connected: Connected): Promise<Connected> {
  try {
    await driverOf(connected.db).bare("SELECT 1 FROM sqlite_master LIMIT 1");
    return connected;
  } catch (cause) {
    connected.close();
    throw unreadable(file, cause);
  }
}

async function connectRemote(url: string, target: Target): Promise<Connected> {
  try {
    return await viaLibsql(url, target);
  } catch (cause) {
    throw new UnsupportedDriverError({
      subject: url,
      expected: "a database that @libsql/client opens",
      got: (cause as Error).message.split("\n")[0]!,
      hint: "name a local file with --db, or npm install @libsql/client",
      cause,
    });
  }
}

async function connectFile(file: string, target: Target, readonly: boolean): Promise<Connected> {
  const ways = [() => viaBetterSqlite3(file, target, readonly), () => viaLibsql(pathToFileURL(file).href, target)];
  const failures: string[] = [];
  for (const way of target.dialect === "turso" ? ways.reverse() : ways) {
    try {
      return await way();
    } catch (error) {
      // The driver is there, and would open it.
      if (sqliteErrorIn(error)) throw unreadable(file, error);
      failures.push((error as Error).message.split("\n")[0]!);
    }
  }
  throw new UnsupportedDriverError({
    subject: file,
    expected: "a database that better-sqlite3 or @libsql/client opens",
    got: failures.join("; "),
    hint: "npm install better-sqlite3",
  });
}

async function viaBetterSqlite3(file: string, target: Target, readonly: boolean): Promise<Connected> {
  const Database = requireOf(target)("better-sqlite3");
  const { drizzle } = await import("drizzle-orm/better-sqlite3");
  const client = new Database(file, { readonly, fileMustExist: true });
  return { db: drizzle({ client }), place: file, close: () => client.close() };
}

async function viaLibsql(url: string, target: Target): Promise<Connected> {
  const { createClient } = requireOf(target)("@libsql/client");
  const { drizzle } = await import("drizzle-orm/libsql");
  const client = createClient({ url, authToken: target.authToken });
  return { db: drizzle({ client }), place: url, close: () => client.close() };
}

function requireOf({ root }: Target): NodeJS.Require {
  return createRequire(join(root, "package.json"));
}
