import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { eq, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { afterAll, beforeEach, describe, expect, expectTypeOf, test } from "vitest";
import {
  configure,
  ensureSearchIndexes,
  nearest,
  nearestMany,
  release,
  searchIndex,
  vectorColumn,
} from "../../src/index.ts";
import { scanThreads } from "../../src/kernel/scan-threads.ts";
import { seeded } from "../helpers/databases.ts";

const docs = sqliteTable("docs", {
  id: integer().primaryKey(),
  course: text().notNull(),
  embedding: vectorColumn(16),
});
const docsSearch = searchIndex("docs_search", docs, { vectors: { embedding: { metric: "l2" } } });

async function filled(isIndexed: boolean) {
  const client = new Database(":memory:");
  const db = drizzle({ client, schema: { docs } });
  client.exec("CREATE TABLE docs (id INTEGER PRIMARY KEY, course TEXT NOT NULL, embedding BLOB)");
  const random = seeded(3);
  const vector = () => Float32Array.from({ length: 16 }, () => random() - 0.5);
  for (let id = 1; id <= 300; id++) {
    db.insert(docs)
      .values({ id, course: id % 3 ? "ml" : "de", embedding: vector() })
      .run();
  }
  if (isIndexed) await ensureSearchIndexes(db, [docsSearch]);
  return { db, queries: Array.from({ length: 9 }, vector) };
}

describe.each([
  ["a bare column", false],
  ["a column of an index", true],
])("nearestMany on %s", (_, isIndexed) => {
  test("gives each query the hits of nearest", async () => {
    const { db, queries } = await filled(isIndexed);
    for (const options of [
      {},
      { limit: 3, offset: 2, where: eq(docs.course, "de") },
      { select: { course: docs.course }, maxDistance: 0.9 },
      { limit: 0 },
      { recall: 0.95, limit: 4 },
    ]) {
      const lists = nearestMany(db, docs.embedding, queries, options).all();
      expect(lists).toEqual(queries.map((query) => nearest(db, docs.embedding, query, options).all()));
    }
    const [first] = await nearestMany(db, docs.embedding, queries, { limit: 1 });
    expectTypeOf(first!).toEqualTypeOf<{ id: number; course: string; $distance: number }[]>();
    expect(first).toHaveLength(1);
  });

  test("no queries give no lists, the same query twice the same list twice", async () => {
    const { db, queries } = await filled(isIndexed);
    expect(nearestMany(db, docs.embedding, []).all()).toEqual([]);
    expect(nearestMany(db, docs.embedding, []).explain()).toEqual([]);
    const [one, two] = nearestMany(db, docs.embedding, [queries[0]!, queries[0]!]).all();
    expect(one).toEqual(two);
  });

  test("takes placeholders, and explains each query", async () => {
    const { db, queries } = await filled(isIndexed);
    const prepared = nearestMany(db, docs.embedding, [sql.placeholder("a"), queries[1]!], { limit: 2 }).prepare();
    const expected = [0, 1].map((i) => nearest(db, docs.embedding, queries[i]!, { limit: 2 }).all());
    expect(prepared.all({ a: queries[0] })).toEqual(expected);
    const explained = nearestMany(db, docs.embedding, queries, { limit: 2 }).explain();
    expect(explained).toHaveLength(queries.length);
    expect(new Set(explained.map(({ plan }) => plan))).toEqual(new Set([isIndexed ? "certified scan" : "bare scan"]));
    expect(explained.every(({ hits }) => hits === 2)).toBe(true);
  });

  test("refuses what is no list of vectors", async () => {
    const { db, queries } = await filled(isIndexed);
    // @ts-expect-error: one vector is not several
    expect(() => nearestMany(db, docs.embedding, new Float32Array(16))).toThrow(
      "queries: expected an array of vectors",
    );
    expect(() => nearestMany(db, docs.embedding, [queries[0]!, [1, 2]])).toThrow("expected 16 dimensions, got 2");
  });
});

test("the table is read once for all queries, where it has to answer, and so are the rows of all hits", async () => {
  const { db, queries } = await filled(false);
  const logged: string[] = [];
  const logging = drizzle({ client: db.$client, schema: { docs }, logger: { logQuery: (text) => logged.push(text) } });
  const lists = nearestMany(logging, docs.embedding, queries, { limit: 2, where: eq(docs.course, "ml") }).all();
  expect(lists.every((hits) => hits.length === 2 && hits.every(({ course }) => course === "ml"))).toBe(true);
  expect(logged).toEqual([
    expect.stringContaining('select "id", "embedding" from "docs" where'),
    expect.stringContaining("json_each"),
  ]);
});

describe("with threads", { timeout: 30_000 }, () => {
  /** So many rows and queries that threads are worth being started; rows in small groups, so that codes tell them apart. */
  const [ROWS, GROUP_ROWS, QUERIES, DIMENSIONS] = [3000, 20, 420, 256];
  const wide = sqliteTable("wide", { id: integer().primaryKey(), v: vectorColumn(DIMENSIONS) });

  /** @param groups - of rows that lie together; with none each row lies by itself, and all of its code is read by a scan */
  async function app(metric: "l2" | "cosine", isExact: boolean, groups = ROWS / GROUP_ROWS) {
    const client = new Database(":memory:");
    const db = drizzle({ client, schema: { wide } });
    client.exec("CREATE TABLE wide (id INTEGER PRIMARY KEY, v BLOB)");
    const random = seeded(5);
    const middles = Array.from({ length: groups }, () => Array.from({ length: DIMENSIONS }, () => random() - 0.5));
    const vector = (_: unknown, n: number) =>
      Float32Array.from({ length: DIMENSIONS }, (_, i) => (middles[n % groups]?.[i] ?? 0) + random() / 2);
    const rows = Array.from({ length: ROWS }, vector);
    client.transaction(() => {
      for (const [i, v] of rows.entries())
        db.insert(wide)
          .values({ id: i + 1, v })
          .run();
    })();
    const index = searchIndex("wide_search", wide, { vectors: { v: { metric, exact: isExact } } });
    await ensureSearchIndexes(db, [index]);
    return { db, index, queries: Array.from({ length: QUERIES }, vector) };
  }

  beforeEach(() => {
    scanThreads.dismiss();
  });
  afterAll(() => {
    scanThreads.dismiss();
  });

  test.each([
    ["l2", true, {}],
    ["cosine", true, { recall: 0.95, maxDistance: 0.8 }],
    ["cosine", true, { isFiltered: true }],
    ["l2", false, { recall: 0.9 }],
  ] as [
    metric: "l2" | "cosine",
    isExact: boolean,
    options: { recall?: number; maxDistance?: number; isFiltered?: boolean },
  ][])("the hits are those of nearest: %s, exact: %s, %o", async (metric, isExact, { isFiltered, ...others }) => {
    const options = { ...others, where: isFiltered ? sql`${wide.id} % 3 > 0` : undefined };
    const { db, queries } = await app(metric, isExact);
    const expected = queries.map((query) => nearest(db, wide.v, query, options).all());
    configure(db, { threads: 3 });
    // Codes of 1 bit alone would not be enough work for threads to be started.
    scanThreads.get(2);
    for (let round = 0; round < 2; round++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(nearestMany(db, wide.v, queries, options).all()).toEqual(expected);
    }
    expect(scanThreads.size).toBe(2);
  });

  test("threads: 1 starts none, and what a thread is asked in vain is done without it", async () => {
    const { db, queries } = await app("l2", true);
    const expected = queries.map((query) => nearest(db, wide.v, query).all());
    configure(db, { threads: 1 });
    expect(nearestMany(db, wide.v, queries).all()).toEqual(expected);
    expect(scanThreads.size).toBe(0);
    configure(db, { threads: 2 });
    for (let round = 0; round < 4; round++) {
      const [thread] = scanThreads.get(1);
      if (round % 2 === 0) void thread!.worker.terminate();
      expect(nearestMany(db, wide.v, queries).all()).toEqual(expected);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  });

  test("few queries start none, and release ends those there are", async () => {
    const { db, queries } = await app("l2", true, 0);
    configure(db, { threads: 2 });
    nearestMany(db, wide.v, queries.slice(0, 50)).all();
    expect(scanThreads.size).toBe(0);
    nearestMany(db, wide.v, queries).all();
    expect(scanThreads.size).toBe(1);
    release(db);
    expect(scanThreads.size).toBe(0);
  });

  test("a process that has used threads ends by itself, at once", () => {
    const script = fileURLToPath(new URL("../helpers/many-app.ts", import.meta.url));
    const { stdout, stderr, status } = spawnSync(process.execPath, ["--import", "tsx", script], { encoding: "utf8" });
    expect([stdout, stderr, status]).toEqual(["1 thread, as alone\n", "", 0]);
  });
});
