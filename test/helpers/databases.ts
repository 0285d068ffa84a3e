import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@libsql/client";
import Database from "better-sqlite3";
import { sql } from "drizzle-orm";
import { drizzle as drizzleBetter } from "drizzle-orm/better-sqlite3";
import { drizzle as drizzleLibsql } from "drizzle-orm/libsql";
import { npmVersion } from "drizzle-orm/version";
import { onTestFinished } from "vitest";

/** Which line of Drizzle this run of the suite is on. */
export const isDrizzleV1 = npmVersion.startsWith("1.");

export type Db = ReturnType<typeof openBetterSqlite3>["db"];

/** A better-sqlite3 database, closed and removed when the test ends. `config` goes to `drizzle()`. */
export function openBetterSqlite3(config: Record<string, unknown> = {}, file = ":memory:") {
  const client = new Database(file);
  onTestFinished(() => void client.close());
  return { client, db: drizzleBetter({ client, ...config }) };
}

/** A libSQL database on a file of its own, closed and removed when the test ends. */
export function openLibsql(config: Record<string, unknown> = {}, url = `file:${join(temporaryFolder(), "test.db")}`) {
  const client = createClient({ url });
  onTestFinished(() => client.close());
  return { client, db: drizzleLibsql({ client, ...config }) };
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "drizzle-vector-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Both drivers behind one asynchronous face, so that one suite runs on both. */
export const DRIVERS = [
  {
    name: "better-sqlite3",
    open(config?: Record<string, unknown>) {
      const { db } = openBetterSqlite3(config);
      return { db: db as any, exec: async (statement: string) => void db.run(sql.raw(statement)) };
    },
  },
  {
    name: "libSQL",
    open(config?: Record<string, unknown>) {
      const { db } = openLibsql(config);
      return { db: db as any, exec: async (statement: string) => void (await db.run(sql.raw(statement))) };
    },
  },
];

export { randomVector, seeded } from "../reliability/random.ts";
