import { eq } from "drizzle-orm";
import { integer, sqliteTable } from "drizzle-orm/sqlite-core";
import { expect, onTestFinished, test, vi } from "vitest";
import { openBetterSqlite3, randomVector, seeded } from "../helpers/databases.ts";

test("without room for the memory of a kernel, as under ulimit -v, plain TypeScript answers and folds, from the table", async () => {
  class NoMemory {
    constructor() {
      throw new RangeError("WebAssembly.Memory(): could not allocate memory");
    }
  }
  const { Module, Instance } = (globalThis as any).WebAssembly;
  vi.resetModules();
  vi.stubGlobal("WebAssembly", { Module, Instance, Memory: NoMemory });
  onTestFinished(() => {
    vi.unstubAllGlobals();
    vi.resetModules();
  });
  const { ensureSearchIndexes, nearest, nearestMany, optimize, searchIndex, vectorColumn, verify } = await import(
    "../../src/index.ts"
  );
  const docs = sqliteTable("docs", { id: integer().primaryKey(), even: integer(), v: vectorColumn(8) });
  const index = searchIndex("docs_search", docs, { vectors: { v: {} } });
  const { client, db } = openBetterSqlite3();
  client.exec("create table docs (id integer primary key, even integer, v blob)");
  ensureSearchIndexes(db, [index]);
  const random = seeded(9);
  const rows = Array.from({ length: 300 }, (_, id) => ({ id, even: +(id % 2 === 0), v: randomVector(random, 8) }));
  for (let at = 0; at < rows.length; at += 100) {
    db.insert(docs)
      .values(rows.slice(at, at + 100) as any)
      .run();
  }
  const query = Array.from(rows[7]!.v);
  for (const where of [undefined, eq(docs.even, 0)]) {
    const search = nearest(db, docs.v, query, { where, limit: 1 });
    expect(search.all()).toMatchObject([{ id: 7, $distance: 0 }]);
    const fallback = "the codes of docs.v do not fit into memory";
    expect(search.explain()).toMatchObject({ plan: "bare scan", kernel: "scalar", fallback });
  }
  expect(nearestMany(db, docs.v, [query], { limit: 1 }).all()).toMatchObject([[{ id: 7 }]]);
  expect((await optimize(db, index)).rows).toBe(300);
  expect((await verify(db, index)).problems).toEqual([]);
});
