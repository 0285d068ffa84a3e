import { spawnSync } from "node:child_process";
import Database from "better-sqlite3";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable } from "drizzle-orm/sqlite-core";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
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
import { bundled } from "../reliability/program.ts";

const program = await bundled(new URL("../helpers/many-app.ts", import.meta.url));

describe("nearestMany with threads", { timeout: 30_000 }, () => {
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

  test("a logger may write and search while threads scan: the table answers it, and all answers are right", async () => {
    const { db, queries } = await app("l2", true);
    const expected = queries.map((query) => nearest(db, wide.v, query, { limit: 3 }).all());
    configure(db, { threads: 2 });
    scanThreads.get(1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const far = new Float32Array(DIMENSIONS).fill(100);
    const within: unknown[] = [];
    const logQuery = (text: string) => {
      if (!text.includes("_dv_hit") || within.length > 0) return;
      db.insert(wide).values({ id: 10_000, v: far }).run();
      const query = nearest(db, wide.v, far, { limit: 1 });
      within.push(query.all(), query.explain().fallback);
    };
    const logging = drizzle({ client: db.$client, schema: { wide }, logger: { logQuery } });
    expect(nearestMany(logging, wide.v, queries, { limit: 3 }).all()).toEqual(expected);
    expect(within).toEqual([[{ id: 10_000, $distance: 0 }], "a search of this connection is under way"]);
    const after = nearest(db, wide.v, far, { limit: 1 });
    expect([after.all(), after.explain().plan]).toEqual([[{ id: 10_000, $distance: 0 }], "certified scan"]);
  });

  test("a process that has used threads ends by itself, at once", () => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [program], { encoding: "utf8" });
    expect([stdout, stderr, status]).toEqual(["1 thread, as alone\n", "", 0]);
  });
});
