import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable } from "drizzle-orm/sqlite-core";
import { configure, nearest, vectorColumn } from "../../src/index.ts";

/** Asks once, stays for so many milliseconds, and ends without closing anything. */
const [file, ms] = process.argv.slice(2) as [string, string];
const table = sqliteTable("t", { id: integer().primaryKey(), v: vectorColumn(8) });
const db = drizzle({ client: new Database(file) }) as any;
configure(db, { onEvent: ({ code }) => void process.stdout.write(`${code}\n`) });
process.stdout.write(`${(nearest(db, table.v, Array(8).fill(1)).all() as unknown[]).length} hits\n`);
if (ms !== "0") setTimeout(() => {}, Number(ms));
