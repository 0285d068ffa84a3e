// Asks enough at once for threads to scan, and prints how many have started and not failed, and whether their answers are those of one alone.
import { setTimeout } from "node:timers/promises";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable } from "drizzle-orm/sqlite-core";
import { configure, ensureSearchIndexes, nearestMany, searchIndex, vectorColumn } from "drizzle-vector";

const client = new Database(":memory:");
const db = drizzle({ client });
const points = sqliteTable("points", { id: integer().primaryKey(), v: vectorColumn(64) });
client.exec("create table points (id integer primary key, v blob)");
ensureSearchIndexes(db, [searchIndex("points_search", points, { vectors: { v: {} } })]);

let state = 1;
const random = () => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 2 ** 32 - 0.5;
};
const vector = () => Float32Array.from({ length: 64 }, random);
const insert = client.prepare("insert into points (v) values (?)");
client.transaction(() => {
  for (let i = 0; i < 20_000; i++) insert.run(Buffer.from(vector().buffer));
})();

const queries = Array.from({ length: 320 }, vector);
const answersBy = (threads) => {
  configure(db, { threads });
  return JSON.stringify(nearestMany(db, points.v, queries).all());
};
const alone = answersBy(1);
const together = answersBy(3);
// A thread that cannot run its code ends a moment later.
await setTimeout(200);
const threads = globalThis[Symbol.for("drizzle-vector:scan-threads-1")].size;
console.log(JSON.stringify({ threads, isSame: alone === together }));
