import { copyFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { eq, gt, lt, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { alias, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Element, type Metric, nearest, searchIndex, vectorColumn } from "../../src/index.ts";
import { openBetterSqlite3, openLibsql, randomVector, seeded, temporaryFolder } from "../helpers/databases.ts";
import { hasSharedData, readVectors } from "../helpers/shared-data.ts";
import { ensure } from "../migration/database.ts";

type Vector = ArrayLike<number>;

/** The same rows in a table with an index and in one without. */
function twins(base: readonly Vector[], element: Element, metric: Metric, key: "integer" | "text" = "integer") {
  const { db, client } = openBetterSqlite3();
  const dimensions = element === "bit" && base[0] instanceof Uint8Array ? base[0].length * 8 : base[0]!.length;
  const make = (name: string) => {
    client.exec(`create table ${name} (id ${key} primary key not null, tag integer, v blob)`);
    const id = key === "integer" ? integer().primaryKey() : text().primaryKey();
    return sqliteTable(name, { id: id as any, tag: integer(), v: vectorColumn({ dimensions, element }) as any });
  };
  const [indexed, bare] = [make("indexed"), make("bare")] as [any, any];
  for (let i = 0; i < base.length; i += 500) {
    const rows = base.slice(i, i + 500).map((v, at) => {
      const id = i + at;
      return { id: key === "integer" ? id : `key ${id}`, tag: id % 10, v: element === "bit" ? v : Array.from(v) };
    });
    db.insert(bare).values(rows).run();
  }
  client.exec("insert into indexed select * from bare");
  ensure(client, searchIndex("ix", indexed, { vectors: { v: { metric } as object } } as any));
  function expectSame(query: unknown, options: Record<string, unknown> = {}, filter?: (table: any) => unknown) {
    const search = (table: any) =>
      nearest(db, table.v, query as any, {
        metric: metric as any,
        ...options,
        ...(filter ? { where: filter(table) as any } : {}),
      });
    expect(search(indexed).all()).toEqual(search(bare).all());
    return search(indexed).explain();
  }
  return { db, client, indexed, bare, expectSame };
}

const certified = { plan: "certified scan", fallback: null };

describe("the answer is that of the bare scan, to the last tie", () => {
  if (hasSharedData) {
    const floats = (path: string) => readVectors(path).map((row) => Float32Array.from(row));
    const SETS: Record<string, { base: Vector[]; metrics: Metric[] }> = {
      "cranfield, minilm384": { base: floats("cranfield/docs.minilm384.fvecs"), metrics: ["cosine", "l2", "dot"] },
      sift10k: { base: floats("sift10k/base.bvecs").slice(0, 4000), metrics: ["l2", "cosine"] },
      fashion1k: { base: floats("fashion1k/base.bvecs.gz"), metrics: ["l2", "dot"] },
      random1k: { base: floats("random1k/base.fvecs"), metrics: ["cosine", "l2", "dot"] },
      emoji2vec: { base: floats("emoji2vec/base.fvecs"), metrics: ["cosine"] },
    };
    test.each(Object.entries(SETS).flatMap(([name, { metrics }]) => metrics.map((metric) => [name, metric] as const)))(
      "%s by %s",
      (name, metric) => {
        const { base } = SETS[name]!;
        const { expectSame } = twins(base, "float32", metric);
        for (let q = 0; q < 12; q++) {
          const query = base[(q * 97) % base.length]!.length
            ? Array.from(base[(q * 97) % base.length]!, (x, i) => x * (1 + ((i + q) % 5) / 20))
            : [];
          expect(expectSame(query, { limit: q % 3 ? 10 : 60, offset: q % 4 })).toMatchObject(certified);
        }
      },
    );
  }

  const random = seeded(4);
  const noise = Array.from({ length: 1500 }, () => randomVector(random, 48));

  test.each([
    ["float16", "cosine"],
    ["float16", "l2"],
    ["float16", "dot"],
    ["float32", "cosine"],
  ] as const)("%s by %s", (element, metric) => {
    const { expectSame } = twins(noise, element, metric);
    for (const query of noise.slice(0, 10)) expect(expectSame(query)).toMatchObject(certified);
  });

  test.each(["cosine", "l2", "dot"] as const)("int8 by %s, where few rows are read again", (metric) => {
    const rows = noise.map((row) => row.map((x) => Math.round(x * 127)));
    const { expectSame } = twins(rows, "int8", metric);
    for (const query of rows.slice(0, 10)) {
      const explain = expectSame(query);
      expect(explain).toMatchObject(certified);
      expect(explain.rowsRescored).toBeLessThan(20);
    }
  });

  test("bits by hamming", () => {
    const bits = noise.map((row) => row.map((x) => (x > 0 ? 1 : 0)));
    const { expectSame } = twins(bits, "bit", "hamming");
    for (const query of bits.slice(0, 10)) expect(expectSame(query)).toMatchObject(certified);
  });

  test("conditions fill the limit, under text keys, an alias and placeholders too", () => {
    const { db, expectSame, indexed } = twins(noise, "float32", "cosine", "text");
    for (const query of noise.slice(0, 5)) {
      expect(expectSame(query, { limit: 20 }, (t) => eq(t.tag, 3))).toMatchObject(certified);
      expect(expectSame(query, { limit: 20 }, (t) => lt(t.id, "key 1005"))).toMatchObject(certified);
      expect(expectSame(query, { limit: 20 }, () => sql`id = 'key 7'`)).toMatchObject({ ...certified, rowsScanned: 1 });
      expect(expectSame(query, { limit: 20 }, (t) => gt(t.tag, 10))).toMatchObject({ ...certified, rowsScanned: 0 });
    }
    const other = alias(indexed, "other") as any;
    const search = nearest(db, other.v, noise[0] as any, {
      where: eq(other.tag, sql.placeholder("tag")),
      select: { id: other.id },
    }).prepare();
    expect(search.explain({ tag: 4 })).toMatchObject(certified);
    expect(search.all({ tag: 4 })).toHaveLength(10);
  });

  test.each(["SEARCH", "SCAN"])("conditions over ids of any size, spread and order, where SQLite has to %s", (way) => {
    const { client, expectSame } = twins(noise, "float32", "cosine");
    for (const table of ["indexed", "bare"]) {
      // Even and dense at first, then sparse, then far apart, then beyond what a number can hold.
      client.exec(`update ${table} set id = -id * id * id where id between 500 and 800`);
      client.exec(`update ${table} set id = (9007199254740992 + id) * (1 - id % 2 * 2) where id between 900 and 1000`);
      client.exec(`update ${table} set id = 9223372036854775807 where id = 1200`);
      client.exec(`update ${table} set id = -9223372036854775808 where id = 1201`);
      if (way === "SEARCH") client.exec(`create index ${table}_tag on ${table} (tag)`);
    }
    for (const query of noise.slice(0, 4)) {
      // Before, while and after what the condition costs is known.
      for (const tag of [3, 3, 11, 7]) {
        expect(expectSame(query, {}, (t) => eq(t.tag, tag))).toMatchObject(certified);
        expect(expectSame(query, {}, (t) => gt(t.tag, tag - 5))).toMatchObject(certified);
      }
      expect(expectSame(query, { limit: 100 }, (t) => lt(t.id, 0))).toMatchObject({ ...certified, rowsScanned: 352 });
    }
  });

  test("a condition whose matches are all far away is asked first, once that is known of it", () => {
    const base = Array.from({ length: 2000 }, (_, i) => [Math.cos(i / 800), Math.sin(i / 800)]);
    const { client, indexed, expectSame } = twins(base, "float32", "cosine");
    // Looking at every row takes longer than looking at the nearest.
    const from = (table: any, least: number) =>
      sql`${table.id} >= ${least} * (length(hex(zeroblob(2000 + ${table.id}))) > 0)`;
    const logged: string[] = [];
    const db = drizzle({ client, logger: { logQuery: (text) => void logged.push(text) } });
    const walksOf = (times: number, least: number) => {
      logged.length = 0;
      const where = from(indexed, least);
      for (let i = 0; i < times; i++) nearest(db, indexed.v, [1, 0], { where, limit: 5 }).all();
      // The nearest rows are named where it is looked which of them match.
      return logged.filter((text) => text.includes("json_each") && !text.includes('"tag"')).length;
    };
    expectSame([1, 0], { limit: 5 }, (table) => from(table, 1000));
    const [first, later] = [walksOf(1, 1000), walksOf(30, 1000)];
    expect(first + later).toBeLessThan(8);
    // Another value of which the nearest rows match: the next walk tells, and from then on each.
    expect(walksOf(60, 1)).toBeGreaterThan(20);
    const explains = Array.from({ length: 20 }, () => expectSame([1, 0], { limit: 5 }, (table) => from(table, 1)));
    const { rowsScanned, rowsInDoubt, rowsRescored } = explains.find(({ rowsScanned }) => rowsScanned < 1000)!;
    // Of the rows that were asked all but the first match.
    expect({ rowsInDoubt, rowsRescored }).toEqual({ rowsInDoubt: rowsScanned, rowsRescored: rowsScanned - 1 });
    for (const least of [1, 1000, 1999, 9000]) expectSame([1, 0], { limit: 5 }, (table) => from(table, least));
  });

  test("maxDistance, offset and limits beyond the table", () => {
    const { expectSame } = twins(noise, "float32", "l2");
    const query = noise[3]!;
    for (const maxDistance of [0, 3, 4.5, 100, -1, Number.NEGATIVE_INFINITY]) {
      expect(expectSame(query, { maxDistance, limit: 900 })).toMatchObject(certified);
    }
    expect(expectSame(query, { offset: 2000 })).toMatchObject({ plan: "bare scan" });
    expect(expectSame(query, { limit: 5000 }).fallback).toContain("more rows are asked for");
    expectSame(query, { limit: 0 });
  });
});

describe("29: rows that lie close together", () => {
  test("10,000 equal rows: too many to read one by one, so all are read in order", () => {
    const base = [...Array.from({ length: 10_000 }, () => [1, 2, 3]), [1, 2, 4], [-1, 0, 0]];
    const { expectSame } = twins(base, "float32", "cosine");
    expect(expectSame([1, 2, 3], { limit: 7, offset: 2 })).toMatchObject({ plan: "bare scan" });
    expect(expectSame([-1, 0, 0.1], { limit: 1 })).toMatchObject(certified);
  });

  test("900 equal rows tie at the last place, and the smallest keys win", () => {
    const base = [
      ...Array.from({ length: 900 }, () => [1, 2, 3]),
      ...Array.from({ length: 600 }, (_, i) => [i, -9, 1]),
    ];
    const { expectSame } = twins(base, "float32", "l2");
    expect(expectSame([1, 2, 3.5], { limit: 7 })).toMatchObject({ ...certified, rowsRescored: 900 });
  });

  test("gaps of one unit in the last place", () => {
    const base = Array.from({ length: 800 }, (_, i) => [1 + (i % 400) * 2 ** -23, 1, -1]);
    const { expectSame } = twins(base, "float32", "l2");
    expect(expectSame([1, 1, -1], { limit: 50 })).toMatchObject(certified);
  });
});

describe("rows that are no vector", () => {
  test("26, 27: are counted as the bare scan counts them, and come back when they are mended", () => {
    const { client, expectSame, db, indexed, bare } = twins(
      [
        [1, 0],
        [0, 1],
        [2, 2],
      ],
      "float32",
      "cosine",
    );
    const spoil = `(10, 1, x'00'), (11, 1, 'text'), (12, 2, x'0000c07f00000000'), (13, 2, x'0000807f00000000'), (14, 2, 3.5)`;
    for (const table of ["indexed", "bare"]) client.exec(`insert into ${table} values ${spoil}`);
    const skipped = { wrongLength: 1, notFinite: 2, notAVector: 2 };
    expect(expectSame([1, 0])).toMatchObject({ ...certified, rowsScanned: 8, rowsSkipped: skipped });
    const some = expectSame([1, 0], {}, (t) => gt(t.tag, 1));
    expect(some).toMatchObject({
      ...certified,
      rowsScanned: 4,
      rowsSkipped: { wrongLength: 0, notFinite: 2, notAVector: 1 },
    });
    expect(nearest(db, bare.v, [1, 0] as any).explain().rowsSkipped).toEqual(skipped);
    for (const table of ["indexed", "bare"]) client.exec(`update ${table} set v = x'0000803f0000803f' where id = 11`);
    expect(expectSame([1, 0])).toMatchObject({ ...certified, rowsSkipped: { ...skipped, notAVector: 1 } });
    client.exec("delete from indexed where id < 10");
    client.exec("update indexed set v = x'00'");
    expect(() => nearest(db, indexed.v, [1, 0] as any).all()).toThrow(
      expect.objectContaining({ code: "STORED_DIMENSIONS", count: 5 }),
    );
  });
});

describe("what others do to the file", () => {
  const docs = sqliteTable("docs", { id: integer().primaryKey(), v: vectorColumn(2) });
  const index = searchIndex("ix", docs, { vectors: { v: { metric: "l2" } } });

  function file(path = join(temporaryFolder(), "test.db")) {
    const client = new Database(path);
    onTestFinished(() => void client.close());
    const db = drizzle({ client });
    const ids = () =>
      nearest(db, docs.v, [0, 0], { metric: "l2" })
        .all()
        .map(({ id }) => id);
    return { path, client, db, ids, explain: () => nearest(db, docs.v, [0, 0], { metric: "l2" }).explain() };
  }

  function filled(path?: string) {
    const opened = file(path);
    opened.client.exec("create table docs (id integer primary key, v blob)");
    opened.db
      .insert(docs)
      .values([
        { id: 1, v: [1, 0] },
        { id: 2, v: [2, 0] },
      ] as any)
      .run();
    ensure(opened.client, index);
    return opened;
  }

  test("2, 3: a transaction sees its own writes, others do not, and after ROLLBACK nothing of them stays", () => {
    const one = filled();
    one.client.pragma("journal_mode = WAL");
    const two = file(one.path);
    expect([one.ids(), two.ids()]).toEqual([
      [1, 2],
      [1, 2],
    ]);
    one.client.exec("begin; delete from docs where id = 1; insert into docs values (3, x'0000000000000000')");
    expect([one.ids(), two.ids()]).toEqual([
      [3, 2],
      [1, 2],
    ]);
    one.client.exec("rollback");
    expect([one.ids(), two.ids()]).toEqual([
      [1, 2],
      [1, 2],
    ]);
    expect(one.explain()).toMatchObject(certified);
  });

  test("5: after a rollback another process may write the same number of rows", () => {
    const one = filled();
    const two = file(one.path);
    one.client.exec("begin; update docs set v = x'0000404000004040' where id = 1");
    expect(one.ids()).toEqual([2, 1]);
    one.client.exec("rollback");
    two.client.exec("update docs set v = x'0000000000000000' where id = 2");
    expect(one.ids()).toEqual([2, 1]);
    two.client.exec("delete from docs where id = 2");
    expect(one.ids()).toEqual([1]);
  });

  test("10: an older snapshot is answered as it is", () => {
    const one = filled();
    one.client.pragma("journal_mode = WAL");
    const two = file(one.path);
    expect(one.ids()).toEqual([1, 2]);
    one.client.exec("begin; select * from docs");
    two.client.exec("delete from docs where id = 1");
    expect([one.ids(), two.ids()]).toEqual([[1, 2], [2]]);
    one.client.exec("commit");
    expect([one.ids(), two.ids()]).toEqual([[2], [2]]);
  });

  test("53: an open iterator pins the snapshot", () => {
    const { path, client, ids, explain } = filled();
    client.pragma("journal_mode = WAL");
    const other = file(path);
    for (const { id } of client.prepare<[], { id: number }>("select id from docs").iterate()) {
      other.client.exec(`delete from docs where id = ${id}`);
      expect(ids()).toEqual([1, 2]);
    }
    expect(ids()).toEqual([]);
    expect(explain()).toMatchObject(certified);
  });

  test("59: a copy of the file has codes of its own", () => {
    const one = filled();
    one.ids();
    const path = join(temporaryFolder(), "copy.db");
    copyFileSync(one.path, path);
    const two = file(path);
    one.client.exec("delete from docs where id = 1");
    two.client.exec("delete from docs where id = 2");
    expect([one.ids(), two.ids()]).toEqual([[2], [1]]);
  });

  test("21: ids at both ends of 64 bits", () => {
    const { client, explain, db } = filled();
    client.exec(
      "insert into docs values (-9223372036854775808, x'0000000000000000'), (9223372036854775807, x'0000003f00000000'), (9007199254740993, x'0000003f00000000')",
    );
    const select = { id: sql<string>`cast(${docs.id} as text)` };
    const ids = nearest(db, docs.v, [0, 0], { metric: "l2", select, limit: 3 })
      .all()
      .map(({ id }) => id);
    expect(ids).toEqual(["-9223372036854775808", "9007199254740993", "9223372036854775807"]);
    expect(explain()).toMatchObject(certified);
  });

  test("a log that is cleared says that every row may differ", () => {
    const { client, ids, explain } = filled();
    ids();
    client.exec("delete from docs where id = 1; delete from _dv_ix_log");
    expect(ids()).toEqual([2]);
    expect(explain()).toMatchObject(certified);
  });

  test("a log that somebody has used up is not followed: new numbers no longer come last", () => {
    const { client, ids, explain } = filled();
    ids();
    client.exec("insert into _dv_ix_log (seq, id) values (9223372036854775807, 1)");
    for (const id of [1, 2]) {
      client.exec(`delete from docs where id = ${id}`);
      expect(ids()).not.toContain(id);
      expect(explain().plan).toBe("bare scan");
    }
  });

  test("a reset in the log makes everything be read again", () => {
    const { client, ids } = filled();
    ids();
    // The nonce of the newest entry stays, so that nothing but the reset could tell.
    client.exec("drop trigger _dv_ix_updatevectors");
    client.exec("update docs set v = x'0000404000004040' where id = 1");
    ensure(client, index);
    expect(ids()).toEqual([2, 1]);
  });

  test("60: a temporary table of the same name is what the query names, and is read", () => {
    const { client, ids, explain } = filled();
    expect(ids()).toEqual([1, 2]);
    client.exec(
      "create temp table docs (id integer primary key, v blob); insert into docs values (9, x'0000000000000000')",
    );
    expect(ids()).toEqual([9]);
    expect(explain().fallback).toContain("a temporary table hides docs");
  });

  test("another metric than the declared one is answered by the bare scan, which says so", () => {
    const { db } = filled();
    const search = nearest(db, docs.v, [1, 1], { metric: "cosine" });
    expect(search.explain()).toMatchObject({ plan: "bare scan", index: "ix", fallback: "the index measures by l2" });
  });

  test("a detached index is not asked", () => {
    const { client, ids, explain } = filled();
    ids();
    client.exec("drop trigger _dv_ix_insert; insert into docs values (3, x'0000000000000000')");
    expect(ids()).toEqual([3, 1, 2]);
    expect(explain()).toMatchObject({
      plan: "bare scan",
      index: "ix",
      fallback: expect.stringContaining("is missing"),
    });
  });

  test("a read-only connection is served", () => {
    const { path } = filled();
    const client = new Database(path, { readonly: true });
    onTestFinished(() => void client.close());
    expect(nearest(drizzle({ client }), docs.v, [0, 0], { metric: "l2" }).explain()).toMatchObject(certified);
  });

  test("libSQL keeps the bare scan", async () => {
    const { path } = filled();
    const { db } = openLibsql({}, `file:${path}`);
    expect(await nearest(db, docs.v, [0, 0], { metric: "l2" }).explain()).toMatchObject({
      plan: "bare scan",
      index: "ix",
      fallback: null,
    });
  });
});
