import Database from "better-sqlite3";
import { eq, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { describe, expect, expectTypeOf, test } from "vitest";
import { ensureSearchIndexes, nearest, nearestMany, searchIndex, vectorColumn } from "../../src/index.ts";
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

  test("names the query that does not fit", async () => {
    const { db, queries } = await filled(isIndexed);
    const find = (query: any) => () => nearestMany(db, docs.embedding, [queries[0]!, query]).all();
    expect(find([1])).toThrow(/^queries\[1\]: expected \d+ dimensions, got 1$/);
    expect(find([Number.NaN, ...[...queries[0]!].slice(1)])).toThrow("queries[1][0]: expected a finite number");
    expect(find(null)).toThrow("queries[1]: expected an array or typed array of numbers, got null");
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
