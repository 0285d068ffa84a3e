import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable } from "drizzle-orm/sqlite-core";
import { configure, ensureSearchIndexes, nearest, nearestMany, searchIndex, vectorColumn } from "../../src/index.ts";
import { scanThreads } from "../../src/kernel/scan-threads.ts";
import { seeded } from "./databases.ts";

/** Asks many queries with a thread beside its own, and ends without closing anything. */
const [rows, count, dimensions] = [3000, 420, 256];
const table = sqliteTable("t", { id: integer().primaryKey(), v: vectorColumn(dimensions) });
const client = new Database(":memory:");
const db = drizzle({ client, schema: { table } });
const random = seeded(1);
const vector = () => Float32Array.from({ length: dimensions }, () => random() - 0.5);
client.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)");
for (let id = 1; id <= rows; id++) db.insert(table).values({ id, v: vector() }).run();
await ensureSearchIndexes(db, [searchIndex("t_search", table, { vectors: { v: { metric: "l2" } } })]);
configure(db, { threads: 2 });
const queries = Array.from({ length: count }, vector);
const expected = JSON.stringify(queries.map((query) => nearest(db, table.v, query).all()));
let isSame = true;
for (let round = 0; round < 3; round++) {
  isSame &&= JSON.stringify(nearestMany(db, table.v, queries).all()) === expected;
  await new Promise((resolve) => setTimeout(resolve, 50));
}
process.stdout.write(`${scanThreads.size} thread, ${isSame ? "as alone" : "otherwise"}\n`);
