// Both copies of the library on one connection: one resident index, and a fold by one copy of what the other has loaded.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable } from "drizzle-orm/sqlite-core";
import * as esm from "drizzle-vector";

const cjs = createRequire(import.meta.url)("drizzle-vector");
assert.notEqual(esm.nearest, cjs.nearest);

const client = new Database(":memory:");
const db = drizzle({ client });
client.exec("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, v BLOB)");
const table = sqliteTable("t", { id: integer().primaryKey(), v: esm.vectorColumn(2) });
const index = esm.searchIndex("ix", table, { vectors: { v: {} } });
esm.ensureSearchIndexes(db, [index]);
const insert = client.prepare("INSERT INTO t VALUES (?, ?)");
for (let id = 0; id < 2000; id++) insert.run(id, Buffer.from(Float32Array.of(Math.cos(id), Math.sin(id)).buffer));

const events = [];
cjs.configure(db, { onEvent: ({ code }) => void events.push(code) });
const [nearest] = esm.nearest(db, table.v, [1, 0]).all();
const resident = ({ status }) => status(db, index).vectors[0].resident;
assert.equal(resident(cjs).rows, 2000);
assert.equal(resident(cjs).bytes, resident(esm).bytes);
assert.deepEqual(cjs.nearest(db, table.v, [1, 0]).all()[0], nearest);
assert.equal(resident(cjs).bytes, resident(esm).bytes);

// The codes were loaded by one copy, and are folded by the other.
client.exec("DELETE FROM t WHERE id % 5 = 4");
assert.equal((await cjs.optimize(db, index)).rows, 1600);
assert.equal(cjs.status(db, index).vectors[0].rows, 1600);
esm.release(db);
assert.equal(resident(cjs), null);
assert.deepEqual(cjs.nearest(db, table.v, [1, 0]).all()[0], nearest);
cjs.configure(db, { memoryBudget: 0 });
assert.deepEqual(esm.nearest(db, table.v, [1, 0]).all()[0], nearest);
assert.equal(resident(cjs).streamed, 1);
assert.deepEqual(cjs.nearest(db, table.v, [1, 0]).all()[0], nearest);
assert.deepEqual(
  events.filter((code) => code !== "FOLD"),
  [],
);
client.close();
console.log("shared");
