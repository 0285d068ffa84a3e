import { join } from "node:path";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable } from "drizzle-orm/sqlite-core";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  CodesMissingError,
  configure,
  DimensionMismatchError,
  dropSearchIndex,
  ensureSearchIndexes,
  IndexDetachedError,
  IndexMissingError,
  InvalidOptionError,
  nearest,
  nearestMany,
  optimize,
  ReadOnlyError,
  rebuild,
  searchIndex,
  status,
  storeRecall,
  TooFewRowsError,
  type TuneSetting,
  tune,
  UnsupportedDriverError,
  VectorValueError,
  vectorColumn,
  verify,
  ZeroQueryError,
} from "../../src/index.ts";
import { recommended } from "../../src/maintenance/tune-setting.ts";
import { definitionOf } from "../../src/migration/definition.ts";
import { driftOf } from "../../src/migration/drift.ts";
import { readInstalledSync } from "../../src/migration/installed.ts";
import { openLibsql, randomVector, seeded, temporaryFolder } from "../helpers/databases.ts";
import { docsSearch } from "./app.ts";
import { bytesOf, DIMENSIONS, items, itemsSearch, openVectors, pairsSearch } from "./vectors.ts";

const query = randomVector(seeded(3), DIMENSIONS);

describe("tune", () => {
  test("the exact answers of a column with 1-bit codes alone share readings of the table, and are the same", async () => {
    const { client } = openVectors();
    const read: string[] = [];
    const db = drizzle({ client, logger: { logQuery: (sql) => read.push(sql) } });
    const options = { column: "approximate", recall: 0.8, recalls: [0.5] } as const;
    const report = await tune(db, itemsSearch, { ...options, queries: 45 });
    const scans = read.filter((sql) => sql.includes('"approximate" is not null'));
    // One to warm up, five that are timed, and five times eight.
    expect(scans.length).toBe(11);
    expect(report.settings.map(({ recall, plan }) => [recall, plan])).toEqual([
      [1, "bare scan"],
      [0.8, "1-bit scan"],
      [0.5, "1-bit scan"],
    ]);
    const [exact, most, half] = report.settings;
    expect(exact!.measured).toEqual({ mean: 1, standardError: 0, p5: 1 });
    expect(exact!.ms.median).toBeGreaterThan(0);
    expect(most!.measured.mean).toBeGreaterThan(half!.measured.mean);
    expect(half!.measured.mean).toBeLessThan(1);
    // Asked one by one, the same rows are found in the same shares.
    const given = Array.from({ length: 13 }, (_, i) => randomVector(seeded(100 + i), DIMENSIONS));
    const together = await tune(db, itemsSearch, { ...options, queries: given });
    const alone = await Promise.all(given.map((one) => tune(db, itemsSearch, { ...options, queries: [one] })));
    for (const [at, { measured }] of together.settings.entries()) {
      const means = alone.map(({ settings }) => settings[at]!.measured.mean);
      expect(measured.mean).toBeCloseTo(means.reduce((sum, mean) => sum + mean, 0) / means.length, 12);
    }
    read.length = 0;
    await verify(db, itemsSearch, { recallQueries: 20 });
    expect(read.filter((sql) => sql.includes('"approximate" is not null')).length).toBe(3);
  });

  test("tells what each recall found and cost, exact answers first, and stores nothing unasked", async () => {
    const { client, db } = openVectors();
    const before = client.serialize();
    const progress: number[] = [];
    const report = await tune(db, itemsSearch, {
      column: "embedding",
      recall: 0.8,
      recalls: [0.5, 0.95],
      queries: 60,
      seed: 5,
      onProgress: ({ done, total }) => progress.push(done, total),
    });
    expect(report).toMatchObject({
      index: "items_search",
      column: "vec",
      rows: 1500,
      limit: 10,
      recall: 0.8,
      queries: { count: 60, from: "rows", seed: 5 },
      stored: null,
    });
    expect(progress.slice(-2)).toEqual([60, 60]);
    const { settings } = report;
    expect(settings.map(({ recall, plan }) => [recall, plan])).toEqual([
      [1, "certified scan"],
      [0.95, "1-bit scan"],
      [0.8, "1-bit scan"],
      [0.5, "1-bit scan"],
    ]);
    const found = settings.map(({ measured }) => measured.mean);
    expect(found[0]).toBe(1);
    expect(settings[0]!.measured).toEqual({ mean: 1, standardError: 0, p5: 1 });
    // Noise is missed: the measure sees it, and more of it where less is asked for.
    expect(found[1]).toBeGreaterThanOrEqual(0.94);
    expect(found[3]).toBeLessThan(found[1]!);
    expect(found[3]).toBeGreaterThanOrEqual(0.49);
    for (const { ms, rowsRescored, bytesRead } of settings) {
      expect(ms.p95).toBeGreaterThanOrEqual(ms.median);
      expect(rowsRescored).toBeGreaterThanOrEqual(10);
      expect(bytesRead).toBeGreaterThan(0);
    }
    expect(client.serialize().equals(before)).toBe(true);
    expect(nearest(db, items.embedding, query).explain().plan).toBe("certified scan");
  });

  test("counts by distance, and leaves the row that is the query out: copies of a row are as good as it", async () => {
    const { client, db } = openVectors({ rows: 40 });
    client.exec("UPDATE items SET vec = (SELECT vec FROM items WHERE id = 1)");
    const { settings } = await tune(db, itemsSearch, { column: "embedding", queries: 10 });
    expect(settings.map(({ measured }) => measured.mean)).toEqual(settings.map(() => 1));
  });

  test("the same seed draws the same rows, another one others", async () => {
    const { db } = openVectors();
    const found = async (seed: number) => {
      const report = await tune(db, itemsSearch, {
        column: "embedding",
        queries: 20,
        recalls: [0.5],
        recall: 0.5,
        seed,
      });
      return report.settings[1]!.measured;
    };
    expect(await found(1)).toEqual(await found(1));
    expect(await found(2)).not.toEqual(await found(1));
  });

  test("asks your own queries, of a key of any kind, of any column by its name in schema or database", async () => {
    const { db } = openVectors();
    const queries = [query, Float32Array.from(query, (value) => -value)];
    const own = await tune(db, "items_search", { column: "vec", queries });
    expect(own.queries).toEqual({ count: 2, from: "given", seed: null });
    const pairs = await tune(db, pairsSearch, { limit: 3, queries: 20, recalls: [] });
    expect(pairs).toMatchObject({ index: "pairs_search", rows: 50, settings: [{ recall: 1 }, { recall: 0.95 }] });
    const approximate = await tune(db, itemsSearch, { column: "approximate", recalls: [], queries: 5 });
    expect(approximate.settings.map(({ plan }) => plan)).toEqual(["bare scan", "1-bit scan"]);
    const bits = await tune(db, itemsSearch, { column: "bits", recalls: [], queries: 5 });
    expect(bits.settings.map(({ plan, measured }) => [plan, measured.mean])).toEqual([
      ["certified scan", 1],
      ["certified scan", 1],
    ]);
    expect(bits.recommendation).toMatchObject({
      recall: 1,
      reason: expect.stringContaining("there is nothing to gain"),
    });
  });

  test("refuses what cannot be measured, with a word on what to do", async () => {
    const { client, db } = openVectors({ rows: 30 });
    const of = (options: object, index: any = itemsSearch) => tune(db, index, options as any);
    await expect(of({})).rejects.toThrow(
      "column: expected the name of a vector column of items_search: vec, approximate, bits, got none",
    );
    await expect(of({ column: "nothing" })).rejects.toThrow(InvalidOptionError);
    await expect(of({ column: "vec", limit: 0 })).rejects.toThrow("limit: expected a hit or more, got 0");
    await expect(of({ column: "vec", recall: 0.2 })).rejects.toThrow(InvalidOptionError);
    await expect(of({ column: "vec", recalls: [0.9, "x"] })).rejects.toThrow("recalls[1]: expected a number 0.5..1");
    await expect(of({ column: "vec", queries: 1 })).rejects.toThrow(InvalidOptionError);
    await expect(of({ column: "vec", queries: [] })).rejects.toThrow("got an empty array");
    await expect(of({ column: "vec", store: "yes" })).rejects.toThrow(InvalidOptionError);
    await expect(of({ column: "vec", colunm: 1 })).rejects.toThrow("expected an option of tune");
    await expect(of({ column: "vec", queries: [query, [1]] })).rejects.toThrow(DimensionMismatchError);
    await expect(of({ column: "vec", queries: [query.map(String)] })).rejects.toThrow(VectorValueError);
    await expect(of({ column: "vec", queries: [query.map(() => 0)] })).rejects.toThrow(ZeroQueryError);
    await expect(of({ column: "vec", queries: [query, [1]] })).rejects.toThrow(
      "queries[1]: expected 64 dimensions, got 1",
    );
    await expect(of({ column: "vec", limit: 30 })).rejects.toThrow(TooFewRowsError);
    await expect(of({}, "nothing")).rejects.toThrow(IndexMissingError);
    const text = searchIndex("items_text", items, { vectors: { embedding: {} } });
    expect(() => storeRecall(db, text, 0.9)).toThrow(IndexMissingError);
    client.exec("DROP TRIGGER _dv_items_search_insert");
    await expect(of({ column: "vec" })).rejects.toThrow(IndexDetachedError);
    client.exec("CREATE TEMP TABLE items (id)");
    await expect(of({ column: "vec" })).rejects.toThrow(
      expect.objectContaining({ code: "INDEX_DETACHED", hint: expect.stringMatching(/^Drop it, or use a connection/) }),
    );
  });

  test("says that codes have to be written first where they do not fit into memory", async () => {
    const { db } = openVectors();
    configure(db, { memoryBudget: 0, maintenance: "manual" });
    await expect(tune(db, itemsSearch, { column: "embedding" })).rejects.toThrow(CodesMissingError);
    await optimize(db, itemsSearch);
    const report = await tune(db, itemsSearch, { column: "embedding", queries: 3, recalls: [] });
    expect(report.settings.map(({ plan }) => plan)).toEqual(["certified scan", "1-bit scan"]);
  });

  test("asks queries as they were given, whatever becomes of their buffers meanwhile", async () => {
    const { db } = openVectors();
    const queries = Array.from({ length: 40 }, () => query.slice());
    let calls = 0;
    const onProgress = () => {
      if (calls++ === 0) for (const one of queries) one.fill(0);
    };
    const own = await tune(db, itemsSearch, { column: "embedding", queries, onProgress });
    expect(own.queries.count).toBe(40);
    const work = tune(db, itemsSearch, { column: "embedding", queries: queries.fill(query) });
    queries.length = 0;
    expect((await work).queries.count).toBe(40);
  });

  test("can be stopped", async () => {
    const { db } = openVectors();
    const stop = new AbortController();
    const onProgress = () => stop.abort(new Error("enough"));
    const work = tune(db, itemsSearch, { column: "embedding", queries: 1000, onProgress, signal: stop.signal });
    await expect(work).rejects.toThrow("enough");
  });

  test("there is nothing to tune on libSQL", async () => {
    await expect(tune(openLibsql().db as any, docsSearch)).rejects.toThrow(UnsupportedDriverError);
  });
});

describe("what is recommended", () => {
  const setting = (recall: number, mean: number, median: number, rest: Partial<TuneSetting> = {}): TuneSetting => ({
    recall,
    plan: recall === 1 ? "certified scan" : "1-bit scan",
    fallback: null,
    measured: { mean, standardError: 0.004, p5: 0.8 },
    ms: { median, p95: median * 2 },
    rowsRescored: 10,
    bytesRead: 1,
    ...rest,
  });
  const exact = setting(1, 1, 6);

  test("the cheapest setting that delivers; below what was asked for only beyond what chance explains", () => {
    const settings = [exact, setting(0.98, 0.985, 3), setting(0.95, 0.957, 2), setting(0.9, 0.957, 1)];
    expect(recommended(settings, 0.95)).toEqual({
      recall: 0.95,
      reason: "it found 0.957 of the true nearest rows in 2 ms, 3.0 times as fast as exact answers in 6 ms",
    });
    expect(recommended([...settings.slice(0, 3), setting(0.9, 0.959, 1)], 0.95).recall).toBe(0.9);
    expect(recommended(settings, 0.98).recall).toBe(0.98);
  });

  test("of settings that cost the same, the one that promises most", () => {
    const settings = [exact, setting(0.98, 0.99, 2.1), setting(0.95, 0.97, 2), setting(0.9, 0.96, 2.05)];
    expect(recommended(settings, 0.9).recall).toBe(0.98);
  });

  test("exact where it is as fast, where nothing delivers, and where all was asked for", () => {
    expect(recommended([exact, setting(0.95, 0.97, 5.6)], 0.95).recall).toBe(1);
    expect(recommended([exact, setting(0.95, 0.94, 1)], 0.95)).toEqual({
      recall: 1,
      reason: "no other setting found 0.95 of the true nearest rows; exact answers take 6 ms",
    });
    const sure = { measured: { mean: 1, standardError: 0, p5: 1 } };
    expect(recommended([exact, setting(0.95, 1, 1, sure)], 1).recall).toBe(1);
    expect(recommended([exact, setting(0.95, 1, 1, { ...sure, plan: "certified scan" })], 0.95).recall).toBe(1);
  });
});

describe("a recall that is stored", () => {
  const plans = (db: any) =>
    [
      nearest(db, items.embedding, query).explain(),
      (nearestMany(db, items.embedding, [query]).explain() as any)[0],
      nearest(db, items.embedding, query, { recall: 1 }).explain(),
      nearest(db, items.embedding, query, { recall: 0.99 }).explain(),
    ].map(({ plan, recall }: any) => [plan, recall]);
  const EXACT = ["certified scan", 1];
  const ASKED = ["1-bit scan", 0.99];

  test("is what nearest goes by where a query names none, until it is taken away", () => {
    const { client, db } = openVectors();
    expect(plans(db)).toEqual([EXACT, EXACT, EXACT, ASKED]);
    storeRecall(db, itemsSearch, 0.9, { column: "embedding" });
    expect(plans(db)).toEqual([["1-bit scan", 0.9], ["1-bit scan", 0.9], EXACT, ASKED]);
    expect(client.prepare("SELECT settings FROM _dv_indexes WHERE name = 'items_search'").pluck().get()).toBe(
      '{"vec":{"recall":0.9,"asked":0.9,"for":"64 float32 cosine"}}',
    );
    const recalls = () => status(db, itemsSearch).vectors.map(({ column, recall }) => [column, recall]);
    expect(recalls()).toEqual([
      ["vec", 0.9],
      ["approximate", null],
      ["bits", null],
    ]);
    storeRecall(db, itemsSearch, 0.8, { column: "approximate" });
    expect(nearest(db, items.approximate, query).explain()).toMatchObject({ plan: "1-bit scan", recall: 0.8 });
    storeRecall(db, itemsSearch, null, { column: "embedding" });
    expect(plans(db)).toEqual([EXACT, EXACT, EXACT, ASKED]);
    expect(recalls()).toEqual([
      ["vec", null],
      ["approximate", 0.8],
      ["bits", null],
    ]);
    storeRecall(db, itemsSearch, 1, { column: "approximate" });
    expect(client.prepare("SELECT settings FROM _dv_indexes").pluck().all()).toEqual([null, null]);
    for (const wrong of [0.2, Number.NaN, "0.9", undefined]) {
      expect(() => storeRecall(db, itemsSearch, wrong as number, { column: "embedding" })).toThrow(InvalidOptionError);
    }
  });

  test("belongs to the snapshot: rolled back with its transaction, and seen by other connections", () => {
    const file = join(temporaryFolder(), "app.db");
    const { db } = openVectors({ file });
    const other = new Database(file);
    onTestFinished(() => void other.close());
    const reader = drizzle({ client: other });
    expect(plans(reader)[0]).toEqual(EXACT);
    expect(plans(db)[0]).toEqual(EXACT);
    expect(() =>
      db.transaction((tx) => {
        storeRecall(tx, itemsSearch, 0.9, { column: "embedding" });
        expect(plans(tx)[0]).toEqual(["1-bit scan", 0.9]);
        throw new Error("back");
      }),
    ).toThrow("back");
    expect(plans(db)[0]).toEqual(EXACT);
    storeRecall(db, itemsSearch, 0.9, { column: "embedding" });
    expect(plans(reader)[0]).toEqual(["1-bit scan", 0.9]);
  });

  test("lasts through folds, rebuild and ensure, is no drift, and goes with the index or another kind of vector", async () => {
    const { client, db } = openVectors();
    storeRecall(db, itemsSearch, 0.9, { column: "embedding" });
    const recall = () => status(db, "items_search").vectors[0]!.recall;
    await optimize(db, itemsSearch);
    await rebuild(db, itemsSearch);
    ensureSearchIndexes(db, [itemsSearch, pairsSearch]);
    expect(recall()).toBe(0.9);
    const installed = readInstalledSync((sql) => client.prepare(sql).raw().all() as unknown[][]);
    expect(driftOf([definitionOf(itemsSearch), definitionOf(pairsSearch)], installed)).toEqual([]);
    // A table of its own: a declaration tells the column what it is measured by.
    const again = sqliteTable("items", { id: integer().primaryKey(), embedding: vectorColumn("vec", DIMENSIONS) });
    const otherMetric = searchIndex("items_search", again, { vectors: { embedding: { metric: "l2" } } });
    ensureSearchIndexes(db, [otherMetric]);
    expect(recall()).toBe(null);
    dropSearchIndex(db, "items_search");
    ensureSearchIndexes(db, [itemsSearch]);
    expect(recall()).toBe(null);
  });

  test("is what tune recommends, where it is asked to store it", async () => {
    const { db } = openVectors();
    storeRecall(db, itemsSearch, 0.7, { column: "embedding" });
    const measured = { column: "embedding", queries: 20, recalls: [] } as const;
    expect((await tune(db, itemsSearch, measured)).stored).toBe(0.7);
    // Exact was asked for: nothing is stored any more.
    const exact = await tune(db, itemsSearch, { ...measured, recall: 1, store: true });
    expect([exact.stored, status(db, itemsSearch).vectors[0]!.recall]).toEqual([null, null]);
    // Exact answers of this column take the whole table.
    const report = await tune(db, itemsSearch, { column: "approximate", queries: 20, store: true });
    const { recall } = report.recommendation;
    expect(report.stored).toBe(recall === 1 ? null : recall);
    expect(status(db, itemsSearch).vectors[1]!.recall).toBe(report.stored);
  });

  test("a registry without a place for it gets one, and an entry that makes no sense is none", () => {
    const { client, db } = openVectors();
    client.exec("ALTER TABLE _dv_indexes DROP COLUMN settings");
    expect(plans(db)[0]).toEqual(EXACT);
    storeRecall(db, itemsSearch, null, { column: "embedding" });
    expect(client.prepare("SELECT * FROM _dv_indexes").columns()).toHaveLength(7);
    storeRecall(db, itemsSearch, 0.9, { column: "embedding" });
    expect(plans(db)[0]).toEqual(["1-bit scan", 0.9]);
    const set = client.prepare("UPDATE _dv_indexes SET settings = ?");
    for (const settings of [
      "",
      "{",
      "[]",
      "null",
      "7",
      '{"vec":0.9}',
      '{"vec":{"recall":0.1,"asked":0.9,"for":"64 float32 cosine"}}',
      '{"vec":{"recall":"0.9","asked":0.9,"for":"64 float32 cosine"}}',
      '{"vec":{"recall":0.9,"asked":0.9,"for":"32 float32 cosine"}}',
      '{"__proto__":{"vec":{"recall":0.9,"asked":0.9,"for":"64 float32 cosine"}}}',
      Buffer.from([0xff]),
    ]) {
      set.run(settings);
      expect(plans(db)[0], String(settings)).toEqual(EXACT);
    }
    storeRecall(db, itemsSearch, 0.9, { column: "embedding" });
    expect(plans(db)[0]).toEqual(["1-bit scan", 0.9]);
  });

  test("a read-only database is measured, and refuses to store before it is", async () => {
    const file = join(temporaryFolder(), "app.db");
    openVectors({ file }).client.close();
    const client = new Database(file, { readonly: true });
    onTestFinished(() => void client.close());
    const db = drizzle({ client });
    const progress: unknown[] = [];
    const options = { column: "embedding", queries: 10, recalls: [] } as const;
    const stored = tune(db, itemsSearch, { ...options, store: true, onProgress: (at) => progress.push(at) });
    await expect(stored).rejects.toThrow(ReadOnlyError);
    expect(progress).toEqual([]);
    expect(() => storeRecall(db, itemsSearch, 0.9, { column: "embedding" })).toThrow(ReadOnlyError);
    expect((await tune(db, itemsSearch, options)).settings).toHaveLength(2);
    expect((await verify(db, itemsSearch, { recallQueries: 10 })).recall).toMatchObject([
      { column: "vec", queries: 10, reason: null },
      { column: "approximate", queries: 10, reason: null },
    ]);
  });
});

describe("recall in verify", () => {
  test("is measured for what is stored, and a problem where it stays behind what was asked", async () => {
    const { client, db } = openVectors();
    const { ok, recall, problems } = await verify(db, itemsSearch, { recallQueries: 40 });
    expect([ok, problems]).toEqual([true, []]);
    expect(recall).toMatchObject([
      { column: "vec", asked: 0.95, queries: 40, limit: 10, reason: null },
      { column: "approximate", asked: 0.95, queries: 40, limit: 10, reason: null },
    ]);
    for (const { measured } of recall) expect(measured).toBeGreaterThanOrEqual(0.94);
    // As if the data had changed since 0.5 was found to be enough for 0.99.
    client
      .prepare("UPDATE _dv_indexes SET settings = ? WHERE name = 'items_search'")
      .run('{"approximate":{"recall":0.5,"asked":0.99,"for":"64 float32 l2 1-bit"}}');
    const low = await verify(db, itemsSearch, { recallQueries: 40 });
    expect(low.recall[1]!.measured).toBeLessThan(0.96);
    expect(low).toMatchObject({
      ok: false,
      problems: [
        {
          code: "RECALL_LOW",
          message: expect.stringMatching(
            /^approximate search on column approximate finds 0\.\d{3} of the true nearest rows where 0\.99 is asked for$/,
          ),
        },
      ],
    });
    await expect(verify(db, itemsSearch, { recallQueries: -1 })).rejects.toThrow(InvalidOptionError);
  });

  test("has nothing written, however much has changed", async () => {
    const { client, db } = openVectors();
    const before = client.serialize();
    await verify(db, itemsSearch, { recallQueries: 5 });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(client.serialize().equals(before)).toBe(true);
  });
});

describe("drift in status", () => {
  test("tells what has changed since the codes were written, and what helps", async () => {
    const { client, db } = openVectors();
    configure(db, { maintenance: "manual" });
    const vector = () => status(db, itemsSearch).vectors[0]!;
    expect(vector()).toMatchObject({
      drift: null,
      advice: { action: "optimize", reason: "no codes have been written yet" },
    });
    await optimize(db, itemsSearch);
    const fresh = vector();
    expect(fresh).toMatchObject({ drift: { changed: 0, changedShare: 0, unfitted: 0 }, advice: null });
    expect(fresh.drift!.shift).toBeLessThan(0.02);

    // Each row counts once, however often it was written.
    client.exec("UPDATE items SET vec = NULL WHERE id <= 30; UPDATE items SET vec = bits WHERE id <= 30");
    expect(vector()).toMatchObject({ drift: { changed: 30, changedShare: 0.02 }, advice: null });
    client.exec(
      "UPDATE items SET vec = (SELECT approximate FROM items AS o WHERE o.id = items.id + 1) WHERE id <= 1200",
    );
    expect(vector()).toMatchObject({
      drift: { changed: 1200, changedShare: 0.8 },
      advice: { action: "optimize", reason: "1,200 rows, 80 %, have changed since the codes were written" },
    });
    await optimize(db, itemsSearch);
    expect(vector()).toMatchObject({ drift: { changed: 0 }, advice: null });
    client.exec("INSERT INTO items (vec) SELECT vec FROM items UNION ALL SELECT vec FROM items");
    expect(vector()).toMatchObject({
      drift: { changed: 3000, changedShare: 2 },
      advice: { reason: "3,000 rows have changed since codes of 1,500 were written" },
    });

    client.exec("CREATE TABLE other (x)");
    expect(vector()).toMatchObject({ drift: null, advice: { action: "optimize" } });
  });

  test("tells of rows that came after the model, and of vectors that have moved away from it", async () => {
    const { client, db } = openVectors({ rows: 1000 });
    configure(db, { maintenance: "manual" });
    await optimize(db, itemsSearch);
    const vector = () => status(db, itemsSearch).vectors[0]!;
    client.exec("INSERT INTO items (vec) SELECT vec FROM items WHERE id <= 500");
    await optimize(db, itemsSearch);
    expect(vector().drift!.unfitted).toBeCloseTo(1 / 3);
    // Another model of as many dimensions, whose vectors point another way.
    const away = bytesOf(query.map((value) => value + 3));
    client.prepare("UPDATE items SET vec = ?").run(away);
    await optimize(db, itemsSearch);
    const moved = vector();
    expect(moved.drift!.shift).toBeGreaterThan(0.9);
    expect(moved.advice).toEqual({
      action: "rebuild",
      reason: expect.stringMatching(
        /^the vectors have moved away from what their codes were fitted to: \d+ % of their spread$/,
      ),
    });
    await rebuild(db, itemsSearch);
    expect(vector()).toMatchObject({ drift: { shift: 0, unfitted: 0 }, advice: null });
  });
});
