import { and, eq, gt, lt, sql } from "drizzle-orm";
import { integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { describe, expect, test } from "vitest";
import {
  ensureSearchIndexes,
  hybrid,
  linear,
  nearest,
  rrf,
  search,
  searchIndex,
  shares,
  vectorColumn,
} from "../../src/index.ts";
import { DRIVERS, openBetterSqlite3, seeded } from "../helpers/databases.ts";

const docs = sqliteTable("docs", {
  id: integer().primaryKey(),
  course: text().notNull(),
  body: text(),
  embedding: vectorColumn(2),
  title: vectorColumn("title_vector", { dimensions: 2 }),
});

const DDL =
  "create table docs (id integer primary key, course text not null, body text, embedding blob, title_vector blob)";

const docsSearch = searchIndex("docs_search", docs, {
  text: { body: 1 },
  vectors: { embedding: { metric: "l2" }, title: {} },
});
const oneVector = searchIndex("one_vector", docs, { text: { body: 1 }, vectors: { embedding: { metric: "l2" } } });

/** Words and vectors that disagree: the nearest to [0, 0] are 1, 2, 3, …; "apple" stands in 5, 4 and 3. */
const ROWS = [
  { id: 1, course: "ml", body: "pear", embedding: [0, 0] },
  { id: 2, course: "ml", body: "pear tart with plums", embedding: [1, 0] },
  { id: 3, course: "ml", body: "apple tart with plums and cream", embedding: [2, 0] },
  { id: 4, course: "de", body: "apple tart", embedding: [3, 0] },
  { id: 5, course: "de", body: "apple", embedding: [4, 0] },
  { id: 6, course: "de", body: "apple juice", embedding: null },
];

async function filled(open: (typeof DRIVERS)[number]["open"], index: any = oneVector) {
  const { db, exec } = open();
  await exec(DDL);
  await ensureSearchIndexes(db, [index]);
  const vector = (numbers: number[] | null) => (numbers ? new Float32Array(numbers) : null);
  await db.insert(docs).values(ROWS.map((row) => ({ ...row, embedding: vector(row.embedding) })));
  return { db, exec };
}

const ids = (hits: readonly Record<string, any>[]) => hits.map(({ id }) => id);

describe.each(DRIVERS)("hybrid on $name", ({ open }) => {
  test.each([
    ["an array", [2, 0]],
    ["a typed array", Float32Array.of(2, 0)],
  ])("%s that is filled anew before the query runs is asked as it was given, as by nearest", async (_, vector) => {
    const { db } = await filled(open);
    const fused = hybrid(db, oneVector, { vector }, { limit: 1, select: { id: docs.id } });
    const near = nearest(db, docs.embedding, vector, { limit: 1, select: { id: docs.id } });
    vector.fill(0);
    expect([ids(await fused), ids(await near)]).toEqual([[3], [3]]);
  });

  test("every hit carries its score, and rank and value of each leg", async () => {
    const { db } = await filled(open);
    const hits = await hybrid(
      db,
      oneVector,
      { text: "apple", vector: [0, 0] },
      { depth: 3, limit: 3, select: { id: docs.id } },
    );
    const all: any[] = await hybrid(
      db,
      oneVector,
      { text: "apple", vector: [0, 0] },
      { select: { id: docs.id }, depth: 100 },
    );
    expect(hits).toHaveLength(3);
    const byId = new Map(all.map((hit) => [hit.id, hit]));
    expect(byId.get(1)).toEqual({
      id: 1,
      $score: expect.any(Number),
      $text: null,
      $vector: { rank: 1, distance: 0 },
    });
    expect(byId.get(6)).toEqual({
      id: 6,
      $score: expect.any(Number),
      $text: { rank: 3, score: expect.any(Number) },
      $vector: null,
    });
    expect(byId.get(5)).toMatchObject({ $text: { rank: 1 }, $vector: { rank: 5, distance: 4 } });
    const scores = all.map(({ $score }) => $score);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
  });

  test("a row that one leg found is scored in the other, with rank null beyond its depth", async () => {
    const { db } = await filled(open);
    const found: any[] = await hybrid(
      db,
      oneVector,
      { text: "apple", vector: [0, 0] },
      { depth: 2, limit: 2, select: { id: docs.id } },
    );
    const { candidates, legs } = await hybrid(
      db,
      oneVector,
      { text: "apple", vector: [0, 0] },
      { depth: 2, limit: 2 },
    ).explain();
    expect(candidates).toBe(4);
    expect(legs.map(({ leg, found, scored }: any) => ({ leg, found, scored }))).toEqual([
      { leg: "text", found: 2, scored: 0 },
      { leg: "embedding", found: 2, scored: 2 },
    ]);
    const [raw] = await search(db, oneVector, "apple", { select: { id: docs.id } });
    const five = found.find(({ id }) => id === 5);
    expect(five).toMatchObject({ $text: { rank: 1, score: raw!.$score }, $vector: { rank: null, distance: 4 } });
    const wide = (
      await hybrid(db, oneVector, { text: "tart", vector: [0, 0] }, { depth: 1, limit: 1 }).explain()
    ).legs.map(({ scored }: any) => scored);
    expect(wide).toEqual([0, 1]);
    const both: any[] = await hybrid(db, oneVector, { text: "plums", vector: [3, 0] }, { depth: 1, limit: 1 });
    expect(both).toHaveLength(1);
  });

  test("what the text excludes no leg finds, whatever its depth and the condition", async () => {
    const { db } = await filled(open);
    const found = async (query: any, options = {}) =>
      ids(await hybrid(db, oneVector, query, { select: { id: docs.id }, ...options })).sort();
    expect(await found({ text: "apple -tart", vector: [0, 0] })).toEqual([1, 5, 6]);
    expect(await found({ text: 'apple -"tart with"', vector: [0, 0] })).toEqual([1, 4, 5, 6]);
    expect(await found({ text: "-tart", vector: [0, 0] })).toEqual([1, 5]);
    expect(await found({ text: "-tart -tart -pear", vector: [0, 0] })).toEqual([5]);
    expect(await found({ text: "-tart", vector: [0, 0] }, { depth: 2, limit: 2 })).toEqual([1, 5]);
    expect(await found({ text: "juice -tart", vector: [0, 0] }, { where: eq(docs.course, "de") })).toEqual([5, 6]);
    expect(await found({ text: "-apple", vector: [0, 0] }, { where: eq(docs.course, "de") })).toEqual([]);
    const plain = sql`${docs.course} = 'ml' or ${docs.course} = 'fr'`;
    expect(await found({ text: "-tart", vector: [0, 0] }, { where: plain })).toEqual([1]);
    // A word that is asked for, too, is not excluded.
    expect(await found({ text: "tart -tart", vector: [0, 0] })).toEqual([1, 2, 3, 4, 5]);
    expect(
      await hybrid(db, oneVector, { text: sql.placeholder("typed"), vector: [0, 0] }, { select: { id: docs.id } })
        .prepare()
        .execute({ typed: "-tart -apple" }),
    ).toMatchObject([{ id: 1 }]);
  });

  test("also where the key is a text or has several parts, and in columns of weight 0 nothing is excluded", async () => {
    const { db, exec } = open();
    const parts = sqliteTable(
      "parts",
      { a: text().notNull(), b: integer().notNull(), body: text(), note: text(), embedding: vectorColumn(2) },
      (t) => [primaryKey({ columns: [t.a, t.b] })],
    );
    const index = searchIndex("parts_search", parts, { text: { body: 1, note: 1 }, vectors: { embedding: {} } });
    await exec(
      "create table parts (a text not null, b integer not null, body text, note text, embedding blob, primary key (a, b))",
    );
    await ensureSearchIndexes(db, [index]);
    await db.insert(parts).values([
      { a: "x", b: 1, body: "apple tart", embedding: [1, 0] },
      { a: "x", b: 2, body: "pear", note: "tart", embedding: [1, 1] },
      { a: "y", b: 1, body: "pear", embedding: [0, 1] },
    ]);
    const found = async (options = {}) =>
      (await hybrid(db, index, { text: "pear -tart", vector: [1, 0] }, options)).map(({ a, b }: any) => `${a}${b}`);
    expect(await found()).toEqual(["y1"]);
    expect((await found({ weights: { note: 0 } })).sort()).toEqual(["x2", "y1"]);
  });

  test("text scores of rows that only vectors found are those of search", async () => {
    const { db } = await filled(open);
    const scores = new Map(
      (await search(db, oneVector, "tart plums cream", { limit: 100 })).map(({ id, $score }: any) => [id, $score]),
    );
    const hits: any[] = await hybrid(
      db,
      oneVector,
      { text: "tart plums cream", vector: [3, 0] },
      { depth: 2, limit: 2 },
    );
    for (const { id, $text } of hits) expect($text?.score).toBe(scores.get(id));
    const all: any[] = await hybrid(db, oneVector, { text: "tart plums cream", vector: [3, 0] });
    expect(all.filter(({ $text }) => $text).length).toBe(3);
  });

  test("text scores are those of search whatever the weights, also those written with an exponent", async () => {
    const { db } = await filled(open);
    for (const body of [1, 3, 0.25, 1e-7, 1e9]) {
      const options = { weights: { body }, select: { id: docs.id } };
      const found: any[] = await search(db, oneVector, "apple tart", options);
      const hits: any[] = await hybrid(db, oneVector, { text: "apple tart", vector: [0, 0] }, options);
      expect(found).toHaveLength(5);
      expect(new Map(hits.flatMap(({ id, $text }) => ($text ? [[id, $text.score]] : [])))).toEqual(
        new Map(found.map(({ id, $score }) => [id, $score])),
      );
    }
  });

  test.each(["OFF", "ON"])(
    "of equal scores the smaller keys are candidates, in whatever order and however often rows were written, PRAGMA reverse_unordered_selects %s",
    async (isReverse) => {
      const { db, exec } = await filled(open);
      await exec(`PRAGMA reverse_unordered_selects = ${isReverse}`);
      const quinces = (from: number, to: number) =>
        Array.from({ length: to - from }, (_, i) => ({
          id: to - 1 - i,
          course: "xx",
          body: "quince",
          embedding: null,
        }));
      for (const [from, to] of [
        [2000, 3000],
        [100, 1000],
        [1000, 2000],
      ] as const) {
        await db.insert(docs).values(quinces(from, to));
      }
      await db.delete(docs).where(and(gt(docs.id, 101), lt(docs.id, 150)));
      await db.insert(docs).values(quinces(120, 130));
      await db.insert(docs).values(quinces(-2, 0));
      await db
        .update(docs)
        .set({ embedding: new Float32Array([0, 0.5]) })
        .where(eq(docs.id, 2990));
      const first = [-2, -1, 100, 101, 120, 121];
      for (const where of [undefined, gt(docs.id, -9)]) {
        const options = { limit: 6, select: { id: docs.id }, where };
        expect(ids(await search(db, oneVector, "quince", options))).toEqual(first);
        const both = (text: number, embedding: number) =>
          hybrid(
            db,
            oneVector,
            { text: "quince", vector: [0, 0] },
            { ...options, depth: 6, fusion: linear({ weights: { text, embedding } }) },
          );
        const byText: any[] = await both(1, 0);
        expect(byText.map(({ id, $text }) => [id, $text?.rank])).toEqual(first.map((id, i) => [id, i + 1]));
        const byVector: any[] = await both(0, 1);
        expect(ids(byVector).slice(0, 5)).toEqual([1, 2990, 2, 3, 4]);
        expect(byVector[1].$text).toEqual({ rank: null, score: byText[0].$text.score });
      }
    },
  );

  test("where holds for both legs, and limit counts the rows behind it", async () => {
    const { db } = await filled(open);
    const query = { text: "apple", vector: [0, 0] };
    expect(new Set(ids(await hybrid(db, oneVector, query, { where: eq(docs.course, "ml") })))).toEqual(
      new Set([1, 2, 3]),
    );
    const few = await hybrid(db, oneVector, query, { where: and(eq(docs.course, "de"), gt(docs.id, 4)) });
    expect(new Set(ids(few))).toEqual(new Set([5, 6]));
  });

  test("pages are slices of one list: disjoint and complete", async () => {
    const { db } = await filled(open);
    const query = { text: "apple", vector: [0, 0] };
    const whole = ids(await hybrid(db, oneVector, query, { limit: 100 }));
    const pages = [];
    for (let offset = 0; offset < 6; offset += 2) {
      pages.push(...ids(await hybrid(db, oneVector, query, { limit: 2, offset })));
    }
    expect(pages).toEqual(whole);
    expect(new Set(whole)).toEqual(new Set([1, 2, 3, 4, 5, 6]));
    expect(await hybrid(db, oneVector, query, { limit: 0 })).toEqual([]);
  });

  test("with one leg the order is that of search, or of nearest", async () => {
    const { db } = await filled(open);
    expect(ids(await hybrid(db, oneVector, { text: "apple tart" }))).toEqual(
      ids(await search(db, oneVector, "apple tart")),
    );
    expect(ids(await hybrid(db, oneVector, { vector: [2.2, 0] }))).toEqual(
      ids(await nearest(db, docs.embedding, [2.2, 0])),
    );
  });

  test("a text without a word leaves its leg empty, and explain says so", async () => {
    const { db } = await filled(open);
    const query = { text: "?!", vector: [0, 0] };
    expect(ids(await hybrid(db, oneVector, query))).toEqual([1, 2, 3, 4, 5]);
    const { legs, text } = await hybrid(db, oneVector, query).explain();
    expect(legs[0]).toMatchObject({ leg: "text", found: 0, empty: "no word of the text can be searched for" });
    expect(text).toMatchObject({ match: null, dropped: [{ piece: "?!", reason: "no letter or digit" }] });
    expect(await hybrid(db, oneVector, { text: "nosuchword", vector: [0, 0] }, { limit: 1 })).toMatchObject([
      { id: 1, $text: null },
    ]);
  });

  test("several vectors by name: a zero vector under cosine leaves its leg empty", async () => {
    const { db } = await filled(open, docsSearch);
    await db
      .update(docs)
      .set({ title: new Float32Array([0, 1]) })
      .where(eq(docs.id, 5));
    const hits: any[] = await hybrid(db, docsSearch, { vector: { embedding: [0, 0], title: [0, 2] } });
    expect(hits.find(({ id }) => id === 5).$vector).toEqual({
      embedding: { rank: 5, distance: 4 },
      title: { rank: 1, distance: 0 },
    });
    expect(hits.find(({ id }) => id === 1).$vector).toEqual({
      embedding: { rank: 1, distance: 0 },
      title: null,
    });
    const { legs } = await hybrid(db, docsSearch, { vector: { embedding: [0, 0], title: [0, 0] } }).explain();
    expect(legs.map(({ leg, empty, weight }: any) => ({ leg, empty, weight }))).toEqual([
      { leg: "embedding", empty: null, weight: 0.175 },
      { leg: "title", empty: "the vector is all zeros", weight: 0.175 },
    ]);
    await expect(async () => await hybrid(db, docsSearch, { vector: [0, 1] as any })).rejects.toThrow(
      "vector: expected vectors by column, as { embedding: … }, since docs_search has embedding, title",
    );
  });

  test("prepared once, runs with other texts, vectors and values", async () => {
    const { db } = await filled(open);
    const prepared = hybrid(
      db,
      oneVector,
      { text: sql.placeholder("text"), vector: sql.placeholder("vector") },
      { where: eq(docs.course, sql.placeholder("course")), limit: 1 },
    ).prepare();
    expect(ids(await prepared.all({ text: "pear", vector: [0, 0], course: "ml" }))).toEqual([1]);
    expect(ids(await prepared.all({ text: "apple", vector: [4, 0], course: "de" }))).toEqual([5]);
    expect(await prepared.get({ text: "", vector: [4, 0], course: "none" })).toBeUndefined();
  });

  test("as() freezes the hits as a subquery", async () => {
    const { db } = await filled(open);
    const hits = await hybrid(db, oneVector, { text: "apple", vector: [4, 0] }, { limit: 2 }).as("hits");
    const rows = await db
      .select({ id: docs.id, rank: hits.rank, score: hits.score })
      .from(docs)
      .innerJoin(hits, eq(hits.id, docs.id))
      .orderBy(hits.rank);
    expect(rows[0]).toMatchObject({ id: 5, rank: 1 });
    expect(rows).toHaveLength(2);
  });

  test("explain tells the legs, the fusion and what each leg adds to a score", async () => {
    const { db } = await filled(open);
    const explain: any = await hybrid(db, oneVector, { text: "apple", vector: [0, 0] }).explain();
    expect(explain).toMatchObject({
      plan: "hybrid",
      index: "one_vector",
      fusion: "shares",
      depth: 100,
      candidates: 6,
      hits: 6,
      text: { match: '"apple"', terms: ["apple"] },
      legs: [
        { leg: "text", weight: 0.65, plan: "full text", found: 4, scored: 0, sql: expect.stringContaining("bm25") },
        { leg: "embedding", weight: 0.35, found: 5, scored: 0, fallback: null },
      ],
    });
    for (const { score, parts } of explain.scores) expect(parts.text + parts.embedding).toBeCloseTo(score, 12);
  });

  test("beginnings of runs without spaces count less than words by default, and in full where weights are given", async () => {
    const { db } = await filled(open);
    const weights = async (text: string, options = {}) =>
      (await hybrid(db, oneVector, { text, vector: [0, 0] }, options).explain()).legs.map(({ weight }) => weight);
    expect(await weights("apple")).toEqual([0.65, 0.35]);
    expect((await weights("日本語"))[0]).toBeCloseTo(0.3 * 0.65, 12);
    // Three of four terms.
    expect((await weights("apple 日本語"))[0]).toBeCloseTo((0.3 + 0.7 / 4) * 0.65, 12);
    expect(await weights("日本語", { fusion: shares() })).toEqual([0.65, 0.35]);
  });

  test("highlights of hits that have the words, null for the others", async () => {
    const { db } = await filled(open);
    const hits: any[] = await hybrid(db, oneVector, { text: "apple", vector: [0, 0] }, { highlight: {} });
    expect(hits.find(({ id }) => id === 4).$highlights).toEqual({ body: "<mark>apple</mark> tart" });
    expect(hits.find(({ id }) => id === 1).$highlights).toEqual({ body: null });
  });

  test("text and composite keys, in one list with their vectors", async () => {
    const { db, exec } = open();
    await exec(
      "create table parts (doc text not null, part integer not null, body text, v blob, primary key (doc, part))",
    );
    const parts = sqliteTable(
      "parts",
      { doc: text().notNull(), part: integer().notNull(), body: text(), v: vectorColumn(2) },
      (t) => [primaryKey({ columns: [t.doc, t.part] })],
    );
    const index = searchIndex("parts_search", parts, { text: { body: 1 }, vectors: { v: { metric: "l2" } } });
    await ensureSearchIndexes(db, [index]);
    const v = (x: number) => new Float32Array([x, 0]);
    await db.insert(parts).values([
      { doc: "x", part: 2, body: "apple", v: v(0) },
      { doc: "x", part: 1, body: "apple", v: v(0) },
      { doc: "y", part: 1, body: "pear apple", v: v(1) },
      { doc: "z", part: 1, body: "plum", v: v(2) },
    ]);
    const hits: any[] = await hybrid(db, index, { text: "apple", vector: [0, 0] }, { depth: 3, limit: 3 });
    expect(hits.map(({ doc, part }) => `${doc}${part}`)).toEqual(["x1", "x2", "y1"]);
    const [first]: any[] = await hybrid(db, index, { text: "apple", vector: [2, 0] }, { depth: 1, limit: 1 });
    expect(first).toMatchObject({ $vector: expect.anything() });
    const explain = await hybrid(db, index, { text: "apple", vector: [1, 0] }, { depth: 1, limit: 1 }).explain();
    expect(explain.legs.map(({ found, scored }: any) => [found, scored])).toEqual([
      [1, 1],
      [1, 1],
    ]);
  });

  test.each([
    ["integer", integer().primaryKey(), (i: number) => i],
    ["text", text().primaryKey(), (i: number) => `k${(i * 7919) % 1000}`],
  ])("what it says of each row is what search and nearest say: keys of %s", async (type, key, keyOf) => {
    const table = sqliteTable("many", {
      id: key as any,
      course: text().notNull(),
      body: text(),
      embedding: vectorColumn(2),
    });
    const index = searchIndex("many_search", table, { text: { body: 1 }, vectors: { embedding: { metric: "l2" } } });
    const { db, exec } = open();
    await exec(`create table many (id ${type} primary key, course text not null, body text, embedding blob)`);
    await ensureSearchIndexes(db, [index]);
    const random = seeded(3);
    const word = () => `w${Math.floor(6 * random())}`;
    await db.insert(table).values(
      Array.from({ length: 400 }, (_, i) => ({
        id: keyOf(i),
        course: `c${i % 3}`,
        body: Array.from({ length: 1 + Math.floor(5 * random()) }, word).join(" "),
        embedding: new Float32Array([random(), random()]),
      })),
    );
    const query = { text: "w1 w2", vector: [random(), random()] };
    for (const where of [undefined, eq(table.course, "c1")]) {
      const ranked = async (rows: any) =>
        new Map((await rows).map((row: any, i: number) => [row.id, { ...row, rank: i + 1 }]));
      const texts = await ranked(search(db, index, query.text, { where, limit: 400 }));
      const vectors = await ranked(nearest(db, table.embedding, query.vector, { where, limit: 400 }));
      for (const depth of [1, 20, 90]) {
        const hits: any[] = await hybrid(db, index, query, { where, depth, limit: depth, fusion: rrf() });
        expect(hits).toHaveLength(depth);
        for (const { id, $text, $vector } of hits) {
          const [spoken, near]: any[] = [texts.get(id), vectors.get(id)];
          const within = ({ rank }: { rank: number }) => (rank <= depth ? rank : null);
          expect($text).toEqual(spoken ? { rank: within(spoken), score: spoken.$score } : null);
          expect($vector).toEqual({ rank: within(near), distance: near.$distance });
        }
      }
    }
  });

  test("68: rows FTS5 holds and the table has no more take no place", async () => {
    const { db, exec } = await filled(open);
    for (let id = 100; id < 120; id++) await exec(`insert into _dv_one_vector_fts (rowid, c0) values (${id}, 'apple')`);
    const hits = await hybrid(db, oneVector, { text: "apple", vector: [0, 0] }, { depth: 4, limit: 4 });
    expect(hits).toHaveLength(4);
    expect(hits.every(({ id }: any) => id <= 6)).toBe(true);
  });

  test("an index that is missing or detached is a typed error, also for a vector alone", async () => {
    const { db, exec } = await filled(open);
    await expect(async () => await hybrid(db, docsSearch, { vector: { embedding: [0, 0] } })).rejects.toMatchObject({
      code: "INDEX_MISSING",
    });
    await exec("drop trigger _dv_one_vector_insert");
    await expect(async () => await hybrid(db, oneVector, { vector: [0, 0] })).rejects.toMatchObject({
      code: "INDEX_DETACHED",
    });
  });
});

describe("fusion, counted by hand", () => {
  const query = { text: "apple", vector: [0, 0] };
  async function scores(fusion: any) {
    const { db } = await filled(DRIVERS[0]!.open);
    const hits: any[] = await hybrid(db, oneVector, query, { fusion, select: { id: docs.id } });
    return new Map(hits.map(({ id, $score, $text }) => [id, { $score, text: $text?.score }]));
  }

  test("rrf adds weight / (rankConstant + rank) of each leg that found the row", async () => {
    const found = await scores(rrf());
    expect(found.get(1)?.$score).toBe(1 / 61);
    expect(found.get(5)?.$score).toBe(1 / 61 + 1 / 65);
    const weighted = await scores(rrf({ rankConstant: 1, weights: { text: 2, vector: 3 } }));
    expect(weighted.get(5)?.$score).toBe(2 / 2 + 3 / 6);
  });

  test("linear minmax puts each leg into 0..1 over what it found", async () => {
    const found = await scores(linear({ weights: { text: 1, vector: 2 } }));
    // Distances 0..4 are 1, 0.75, 0.5, 0.25, 0; the longest text with an apple, 3, has the least BM25.
    expect(found.get(1)?.$score).toBe(2);
    expect(found.get(2)?.$score).toBe(1.5);
    expect(found.get(3)?.$score).toBe(1);
    expect(found.get(5)?.$score).toBe(1);
  });

  test("linear zscore and dbsf count standard deviations from the mean", async () => {
    const z = await scores(linear({ normalize: "zscore", weights: { text: 0, vector: 1 } }));
    // Similarities 0, -1, …, -4: mean -2, deviation √2.
    expect(z.get(1)?.$score).toBeCloseTo(2 / Math.SQRT2, 12);
    expect(z.get(6)?.$score).toBeCloseTo(-2 / Math.SQRT2, 12);
    const dbsf = await scores(linear({ normalize: "dbsf", weights: { vector: 1 } }));
    expect(dbsf.get(1)?.$score).toBeCloseTo(0.5 + 2 / (6 * Math.SQRT2), 12);
    expect(dbsf.get(6)?.$score).toBe(0);
  });

  test("shares gives each candidate its part of e^2.5z of all, and a fifth of minmax", async () => {
    const found = await scores(shares({ weights: { vector: 1 } }));
    // Row 6 has no vector and counts as the farthest: similarities 0, -1, -2, -3, -4, -4.
    const similarities = [0, -1, -2, -3, -4, -4];
    const mean = similarities.reduce((a, b) => a + b) / 6;
    const deviation = Math.sqrt(similarities.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 6);
    const powers = similarities.map((x) => Math.exp((2.5 * x) / deviation));
    const sum = powers.reduce((a, b) => a + b);
    expect(found.get(1)?.$score).toBeCloseTo(powers[0]! / sum + 0.2, 12);
    expect(found.get(2)?.$score).toBeCloseTo(powers[1]! / sum + 0.2 * 0.75, 12);
    expect(found.get(6)?.$score).toBeCloseTo(powers[5]! / sum, 12);
  });

  test("shares without sharpness gives every candidate the same vote, without plain nothing else", async () => {
    const found = await scores(shares({ weights: { vector: 1 }, sharpness: 0, plain: 0 }));
    expect([1, 2, 6].map((id) => found.get(id)?.$score)).toEqual([1 / 6, 1 / 6, 1 / 6]);
    expect((await scores(shares({ weights: { vector: 1 }, sharpness: 0, plain: 1 }))).get(1)?.$score).toBe(1 / 6 + 1);
  });

  test("the surer leg decides: one row with the rare word, and vectors that hardly differ", async () => {
    const { db } = openBetterSqlite3();
    db.run(sql.raw(DDL));
    ensureSearchIndexes(db, [oneVector]);
    const random = seeded(1);
    for (let id = 1; id <= 60; id++) {
      db.insert(docs)
        .values({
          id,
          course: "ml",
          body: id === 42 ? "error E4711" : `error ${id}`,
          embedding: new Float32Array([1 + random() / 100, random() / 100]),
        })
        .run();
    }
    const [first] = hybrid(db, oneVector, { text: "E4711", vector: [1, 0] }).all();
    expect(first?.id).toBe(42);
  });

  test("one candidate, equal scores and 1 candidate a leg are no trouble to any fusion", async () => {
    const { db } = await filled(DRIVERS[0]!.open);
    db.run(sql`update docs set body = 'same', embedding = x'0000000000000000'`);
    for (const fusion of [shares(), linear(), linear({ normalize: "zscore" }), linear({ normalize: "dbsf" }), rrf()]) {
      const all: any[] = await hybrid(db, oneVector, { text: "same", vector: [1, 1] }, { fusion });
      expect(all.map(({ $score }) => $score).every(Number.isFinite)).toBe(true);
      if (fusion.name !== "rrf") expect(ids(all)).toEqual([1, 2, 3, 4, 5, 6]);
      const one: any[] = await hybrid(
        db,
        oneVector,
        { text: "same", vector: [1, 1] },
        { fusion, where: eq(docs.id, 3) },
      );
      expect(one).toMatchObject([{ id: 3, $score: expect.any(Number) }]);
      expect(Number.isFinite(one[0].$score)).toBe(true);
    }
  });
});

describe("arguments of hybrid", () => {
  const run = (query: any, options?: any, index: any = oneVector) => {
    const { db } = openBetterSqlite3();
    return () => hybrid(db, index, query, options);
  };

  test.each([
    [{ limit: 101 }, "depth: expected offset + limit within the depth of 100 candidates that are fused, got 0 + 101"],
    [{ limit: 60, offset: 60 }, "depth: expected offset + limit within the depth of 100"],
    [{ offset: 101 }, "depth: expected offset + limit within the depth of 100"],
    [{ depth: 0 }, "depth: expected a whole number, 1..10000"],
    [{ depth: 10_001 }, "depth: expected a whole number, 1..10000"],
    [{ depth: -1 }, "depth: expected a whole number, 1..10000, got -1"],
    [{ depth: 1.5 }, "depth: expected a whole number"],
    [{ limit: -1 }, "limit: expected a whole number"],
    [{ fusion: "rrf" }, "fusion: expected shares(), linear() or rrf(), got"],
    [
      { fusion: rrf({ weights: { title: 1 } }) },
      "weights.title: expected a leg of this index: text, vector, embedding",
    ],
    [{ rankConstant: 1 }, "rankConstant: expected an option of hybrid"],
    [{ weights: { body: 0 } }, "weights: expected a column with a weight above 0"],
    [{ match: "some" }, "match: expected any or all"],
  ])("%j is refused", (options, message) => {
    expect(run({ text: "apple", vector: [0, 0] }, options)).toThrow(message);
  });

  test("a bigint is refused as what it is, and a page beyond all depths with advice that can be followed", () => {
    const query = { text: "apple", vector: [0, 0] };
    expect(run(query, { depth: 50n })).toThrow("depth: expected a whole number, 1..10000, got 50n");
    expect(run(query, { limit: 50, offset: 100 })).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("Ask for depth: 150 or more") }),
    );
    expect(run(query, { limit: 10, offset: 9_991, depth: 10_000 })).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("No more than 10000 candidates are fused") }),
    );
  });

  test.each([
    [{}, "query: expected a text, a vector or both, got neither"],
    [undefined, "query: expected { text, vector } or one of them, got null"],
    ["apple", 'query: expected { text, vector } or one of them, got text "apple"'],
    [{ words: "x" }, "words: expected a part of hybrid's query: text, vector, got words"],
    [{ vector: [1] }, "docs.embedding: expected 2 dimensions, got 1"],
    [{ vector: { other: [1, 2] } }, "other: expected a vector column of one_vector: embedding, got other"],
    [{ vector: {} }, "vector: expected a vector for embedding, got none"],
    [{ text: 5 }, "text: expected a string to search for, got 5"],
  ])("the query %j is refused at once", async (query, message) => {
    const { db } = await filled(DRIVERS[0]!.open);
    expect(() => hybrid(db, oneVector, query as any)).toThrow(message);
  });

  test("vectors of an index that has none are refused, by column, too", () => {
    const { db, client } = openBetterSqlite3();
    const words = searchIndex("words", docs, { text: { body: 1 } });
    client.exec(DDL);
    ensureSearchIndexes(db, [words]);
    for (const vector of [[1, 2], {}, { embedding: [1, 2] }]) {
      expect(() => hybrid(db, words, { text: "x", vector } as any).all()).toThrow(
        "vector: expected an index with a vector column; words has none",
      );
    }
  });

  test("67: a damaged text index is a typed error where a vector leg asks it for what is excluded", async () => {
    const { db } = await filled(DRIVERS[0]!.open);
    const client = db.$client;
    client.unsafeMode(true);
    client.exec("delete from _dv_one_vector_fts_data");
    client.unsafeMode(false);
    expect(() => hybrid(db, oneVector, { text: "-tart", vector: [0, 0] }).all()).toThrow(
      expect.objectContaining({ code: "INDEX_DAMAGED" }),
    );
  });

  test("fusions refuse what they cannot use", () => {
    expect(() => rrf({ rankConstant: 0 })).toThrow("rankConstant: expected a number above 0, got 0");
    expect(() => rrf({ k: 60 } as any)).toThrow("k: expected an option of rrf");
    expect(() => linear({ normalize: "max" as any })).toThrow("normalize: expected one of minmax, zscore, dbsf");
    expect(() => linear({ normalize: "constructor" as any })).toThrow("normalize: expected one of");
    expect(() => linear({ weights: { text: -1 } })).toThrow(
      "weights.text: expected a number from 0 to 1000000000, got -1",
    );
    expect(() => shares({ weights: { text: 0, vector: 0 } })).toThrow("weights: expected a weight above 0, got none");
    expect(() => shares({ weights: { text: Number.NaN } })).toThrow("weights.text");
    expect(() => rrf({ weights: { text: 1e308, vector: 1e308 } })).toThrow("weights.text");
    expect(() => shares({ weights: [1, 2] as any })).toThrow("weights: expected an object");
    expect(() => shares({ sharpness: -1 })).toThrow("sharpness: expected a number, 0..100, got -1");
    expect(() => shares({ plain: Number.NaN })).toThrow("plain: expected a number, 0..100, got NaN");
  });
});
