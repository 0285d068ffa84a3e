import { and, eq, exists, gt, inArray, isNull, sql } from "drizzle-orm";
import { alias, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { describe, expect, test } from "vitest";
import {
  configure,
  distance,
  nearest,
  nearestMany,
  registerFunctions,
  type SearchEvent,
  vectorColumn,
} from "../../src/index.ts";
import { DRIVERS, openBetterSqlite3, openLibsql, randomVector, seeded } from "../helpers/databases.ts";

const docs = sqliteTable("docs", {
  id: integer().primaryKey(),
  course: text().notNull(),
  title: text(),
  createdAt: integer("created_at", { mode: "timestamp" }),
  published: integer({ mode: "boolean" }),
  tags: text({ mode: "json" }).$type<string[]>(),
  embedding: vectorColumn(2),
});

const DDL = `create table docs (id integer primary key, course text not null, title text, created_at integer,
  published integer, tags text, embedding blob)`;

const ROWS = [
  { id: 1, course: "ml", title: "east", embedding: [1, 0] },
  { id: 2, course: "ml", title: "north", embedding: [0, 2] },
  { id: 3, course: "de", title: "north-east", embedding: [3, 3] },
  { id: 4, course: "de", title: "west", embedding: [-1, 0] },
  { id: 5, course: "ml", title: "nothing", embedding: null },
  { id: 6, course: "ml", title: "zero", embedding: [0, 0] },
];

async function filled(open: (typeof DRIVERS)[number]["open"], config?: Record<string, unknown>) {
  const { db, exec } = open(config);
  await exec(DDL);
  await db.insert(docs).values(ROWS);
  return { db, exec };
}

const ids = (hits: readonly Record<string, unknown>[]) => hits.map(({ id }) => id);
const distances = (hits: readonly { $distance: number }[]) => hits.map(({ $distance }) => Number($distance.toFixed(6)));

describe.each(DRIVERS)("nearest on $name", ({ name, open }) => {
  test("gives the nearest rows by cosine, nearest first, ties by key, NULL vectors never", async () => {
    const { db } = await filled(open);
    const hits = await nearest(db, docs.embedding, [1, 0]);
    expect(ids(hits)).toEqual([1, 3, 2, 6, 4]);
    expect(distances(hits)).toEqual([0, 0.292893, 1, 1, 2]);
  });

  test("a hit is flat: all columns but vectors, mapped as Drizzle maps them, and $distance", async () => {
    const { db } = await filled(open);
    const createdAt = new Date("2026-01-02T03:04:05Z");
    await db
      .update(docs)
      .set({ createdAt, published: true, tags: ["a", "b"] })
      .where(eq(docs.id, 1));
    expect(await nearest(db, docs.embedding, [1, 0], { limit: 1 })).toEqual([
      { id: 1, course: "ml", title: "east", createdAt, published: true, tags: ["a", "b"], $distance: 0 },
    ]);
  });

  test("select decides what a hit has: columns, expressions, vectors, objects", async () => {
    const { db } = await filled(open);
    const select = {
      key: docs.id,
      loud: sql<string>`upper(${docs.title})`,
      embedding: docs.embedding,
      of: { course: docs.course, length: sql<number>`length(${docs.course})`.as("len") },
    };
    expect(await nearest(db, docs.embedding, [1, 0], { select, limit: 1 })).toEqual([
      { key: 1, loud: "EAST", embedding: new Float32Array([1, 0]), of: { course: "ml", length: 2 }, $distance: 0 },
    ]);
  });

  test.each([
    ["l2", [1, 6, 4, 2, 3], [0, 1, 2, 2.236068, 3.605551]],
    ["dot", [3, 1, 2, 6, 4], [-3, -1, 0, 0, 1]],
  ] as const)("orders by %s", async (metric, expected, expectedDistances) => {
    const { db } = await filled(open);
    const hits = await nearest(db, docs.embedding, [1, 0], { metric });
    expect(ids(hits)).toEqual(expected);
    expect(distances(hits)).toEqual(expectedDistances);
  });

  test("where is any condition, subqueries and exists on other tables included", async () => {
    const { db, exec } = await filled(open);
    await exec("create table courses (slug text primary key, open integer not null)");
    await exec("insert into courses values ('ml', 1), ('de', 0)");
    const courses = sqliteTable("courses", { slug: text().primaryKey(), open: integer().notNull() });
    const search = (where: any) => nearest(db, docs.embedding, [1, 0], { where });
    expect(ids(await search(eq(docs.course, "ml")))).toEqual([1, 2, 6]);
    expect(ids(await search(and(eq(docs.course, "ml"), gt(docs.id, 1))))).toEqual([2, 6]);
    const openCourses = db.select({ slug: courses.slug }).from(courses).where(eq(courses.open, 1));
    expect(ids(await search(inArray(docs.course, openCourses)))).toEqual([1, 2, 6]);
    const ofCourse = db
      .select()
      .from(courses)
      .where(and(eq(courses.slug, docs.course), eq(courses.open, 0)));
    expect(ids(await search(exists(ofCourse)))).toEqual([3, 4]);
    expect(ids(await search(isNull(docs.embedding)))).toEqual([]);
    expect(ids(await search(undefined))).toEqual([1, 3, 2, 6, 4]);
  });

  test("where of plain SQL holds as a whole: an OR in it lets in no row that has no vector, and no page twice", async () => {
    const { db, exec } = open();
    await exec("create table wide (id integer primary key, embedding blob)");
    await exec(`insert into wide with recursive n (i) as (select 1 union all select i + 1 from n where i < 200)
      select i, case when i % 10 > 0 then zeroblob(4000) end from n`);
    const wide = sqliteTable("wide", { id: integer().primaryKey(), embedding: vectorColumn(1000) });
    const where = sql`${wide.id} <= 20 or ${wide.id} > 110`;
    const search = nearest(db, wide.embedding, new Float32Array(1000), { metric: "l2", where, limit: 200 });
    const expected = Array.from({ length: 200 }, (_, i) => i + 1).filter((i) => i % 10 > 0 && (i <= 20 || i > 110));
    expect(ids(await search)).toEqual(expected);
    const skipped = { wrongLength: 0, notFinite: 0, notAVector: 0 };
    expect(await search.explain()).toMatchObject({ rowsScanned: expected.length, rowsSkipped: skipped });
  });

  test("limit and offset page through one order, limit 0 gives nothing", async () => {
    const { db } = await filled(open);
    const page = async (limit: number, offset: number) =>
      ids(await nearest(db, docs.embedding, [1, 0], { limit, offset }));
    expect([await page(2, 0), await page(2, 2), await page(2, 4), await page(2, 6)]).toEqual([[1, 3], [2, 6], [4], []]);
    expect(await page(0, 0)).toEqual([]);
    expect(await page(1e9, 1)).toEqual([3, 2, 6, 4]);
  });

  test("maxDistance keeps the rows at most that far", async () => {
    const { db } = await filled(open);
    expect(ids(await nearest(db, docs.embedding, [1, 0], { maxDistance: 1 }))).toEqual([1, 3, 2, 6]);
    expect(ids(await nearest(db, docs.embedding, [1, 0], { metric: "dot", maxDistance: -1 }))).toEqual([3, 1]);
  });

  test("get gives the first hit or undefined", async () => {
    const { db } = await filled(open);
    expect((await nearest(db, docs.embedding, [1, 0]).get())?.id).toBe(1);
    expect(await nearest(db, docs.embedding, [1, 0], { where: eq(docs.id, 5) }).get()).toBeUndefined();
  });

  test("a recall on a bare column is accepted and answered exactly", async () => {
    const { db } = await filled(open);
    expect(ids(await nearest(db, docs.embedding, [1, 0], { recall: 0.9 }))).toEqual([1, 3, 2, 6, 4]);
  });

  test("prepared once, runs with other values for the query and inside where", async () => {
    const { db } = await filled(open);
    const search = nearest(db, docs.embedding, sql.placeholder("q"), {
      where: eq(docs.course, sql.placeholder("course")),
    }).prepare();
    expect(ids(await search.all({ q: [1, 0], course: "ml" }))).toEqual([1, 2, 6]);
    expect(ids(await search.all({ q: [0, 1], course: "ml" }))).toEqual([2, 1, 6]);
    expect(ids(await search.execute({ q: new Float32Array([1, 0]), course: "de" }))).toEqual([3, 4]);
    expect((await search.get({ q: [-1, 0], course: "de" }))?.id).toBe(4);
    await expect(async () => search.all({ q: [1], course: "de" })).rejects.toThrow(
      "docs.embedding: expected 2 dimensions, got 1",
    );
  });

  test("prepared, it fills placeholders among the selected fields, too", async () => {
    const { db } = await filled(open);
    const note = sql<string>`${docs.title} || ${sql.placeholder("note")}`;
    const options = { limit: 1, select: { id: docs.id, note } };
    const one = nearest(db, docs.embedding, [1, 0], options).prepare();
    expect(await one.all({ note: "!" })).toEqual([{ id: 1, note: "east!", $distance: 0 }]);
    expect(await one.get({ note: "?" })).toEqual({ id: 1, note: "east?", $distance: 0 });
    expect((await one.explain({ note: "?" })).hits).toBe(1);
    const many = nearestMany(db, docs.embedding, [[1, 0]], options).prepare();
    expect(await many.all({ note: "." })).toEqual([[{ id: 1, note: "east.", $distance: 0 }]]);
  });

  test("as() freezes the hits as a subquery to join in any select", async () => {
    const { db } = await filled(open);
    const hits = await nearest(db, docs.embedding, [1, 0], { limit: 3 }).as("hits");
    await db.delete(docs).where(eq(docs.id, 3));
    const joined = await db
      .select({ title: docs.title, rank: hits.rank, distance: hits.distance, id: hits.id })
      .from(hits)
      .leftJoin(docs, eq(docs.id, hits.id!))
      .orderBy(hits.rank);
    expect(joined).toEqual([
      { title: "east", rank: 1, distance: 0, id: 1 },
      { title: null, rank: 2, distance: expect.closeTo(0.292893), id: 3 },
      { title: "north", rank: 3, distance: 1, id: 2 },
    ]);
    const right = await db
      .select({ id: docs.id, distance: hits.distance })
      .from(docs)
      .leftJoin(hits, eq(docs.id, hits.id!))
      .orderBy(docs.id);
    expect(right[3]).toEqual({ id: 5, distance: null });
  });

  test("inside a transaction it sees the transaction's own writes, after a rollback none of them", async () => {
    const { db } = await filled(open);
    const find = (handle: any) => nearest(handle, docs.embedding, [1, 0], { limit: 2 });
    if (name === "better-sqlite3") {
      expect(() =>
        db.transaction((tx: any) => {
          tx.insert(docs)
            .values({ id: 7, course: "ml", embedding: [5, 0] })
            .run();
          expect(ids(find(tx).all() as any)).toEqual([1, 7]);
          tx.rollback();
        }),
      ).toThrow();
    } else {
      await expect(
        db.transaction(async (tx: any) => {
          await tx.insert(docs).values({ id: 7, course: "ml", embedding: [5, 0] });
          expect(ids(await find(tx))).toEqual([1, 7]);
          tx.rollback();
        }),
      ).rejects.toThrow();
    }
    expect(ids(await find(db))).toEqual([1, 3]);
  });

  test("an alias of the table searches the table", async () => {
    const { db } = await filled(open);
    const d = alias(docs, "d");
    const hits = await nearest(db, d.embedding, [1, 0], {
      where: eq(d.course, "de"),
      select: { id: d.id, course: d.course },
    });
    expect(hits).toEqual([
      { id: 3, course: "de", $distance: expect.closeTo(0.292893) },
      { id: 4, course: "de", $distance: 2 },
    ]);
  });

  test("explain tells plan, SQL, kernel, rows and bytes, and time a step", async () => {
    const { db } = await filled(open);
    const explain = await nearest(db, docs.embedding, [1, 0], { where: eq(docs.course, "ml"), limit: 2 }).explain();
    expect(explain).toEqual({
      plan: "bare scan",
      index: null,
      fallback: null,
      recall: 1,
      metric: "cosine",
      kernel: "wasm",
      sql: expect.stringMatching(
        /^select "id", "embedding" from "docs" where \(.*"embedding" is not null.* and .*"course" = \?\)+$/,
      ),
      fetchSql: expect.stringContaining(
        'inner join (select "key" as "_dv_rank", "value" as "_dv_key" from "_dv".json_each(?))',
      ),
      rowsScanned: 3,
      rowsInDoubt: 0,
      rowsRescored: 0,
      rowsSkipped: { wrongLength: 0, notFinite: 0, notAVector: 0 },
      bytesRead: 24,
      hits: 2,
      ms: {
        catchUp: 0,
        scan: expect.any(Number),
        score: expect.any(Number),
        fetch: expect.any(Number),
        total: expect.any(Number),
      },
    });
  });

  test("the statements over user tables go through Drizzle's logger", async () => {
    const logged: string[] = [];
    const { db } = await filled(open, { logger: { logQuery: (query: string) => logged.push(query) } });
    logged.length = 0;
    await nearest(db, docs.embedding, [1, 0], { limit: 1 });
    expect(logged).toHaveLength(2);
    expect(logged[0]).toMatch(/^select .*"embedding".* from "docs" where/);
    expect(logged[1]).toMatch(/^select .* from "docs" inner join/);
  });

  test("text keys order ties as SQLite does, with the column's collation", async () => {
    const { db, exec } = open();
    await exec("create table words (word text primary key collate nocase, v blob)");
    const words = sqliteTable("words", { word: text().primaryKey(), v: vectorColumn(1) });
    await db.insert(words).values(["b", "A", "C", "\u{1F600}", "\uFFFD", "a b"].map((word) => ({ word, v: [1] })));
    const inSql = (await db.select({ word: words.word }).from(words).orderBy(words.word)).map(({ word }: any) => word);
    const found = (limit: number) => nearest(db, words.v, [1], { metric: "l2", limit });
    expect((await found(10)).map(({ word }) => word)).toEqual(inSql);
    expect((await found(2)).map(({ word }) => word)).toEqual(["A", "a b"]);
  });

  test.each([
    ["UTF-8", "a b ÿ ā \u0161 \uff61 \u{1F600}"],
    ["UTF-16le", "ā \u{1F600} a \u0161 \uff61 b ÿ"],
    ["UTF-16be", "a b ÿ ā \u0161 \u{1F600} \uff61"],
  ])("text keys of a database of %s order ties as its bytes do", async (encoding, expected) => {
    const { db, exec } = open();
    await exec(`pragma encoding = '${encoding}'`);
    await exec("create table words (word text primary key not null, v blob)");
    const words = sqliteTable("words", { word: text().primaryKey(), v: vectorColumn(1) });
    await db
      .insert(words)
      .values(["b", "a", "\u{1F600}", "ÿ", "\uff61", "ā", "\u0161"].map((word) => ({ word, v: [1] })));
    const inSql = (await db.select({ word: words.word }).from(words).orderBy(words.word)).map(({ word }: any) => word);
    expect(inSql.join(" ")).toBe(expected);
    const found = async (limit: number) =>
      (await nearest(db, words.v, [1], { metric: "l2", limit })).map(({ word }: any) => word);
    expect(await found(10)).toEqual(inSql);
    expect(await found(2)).toEqual(inSql.slice(0, 2));
  });

  test("rows whose key is NULL, which SQLite allows in keys of text, keep none of the others from being found", async () => {
    const { db, exec } = open();
    await exec("create table words (word text primary key, v blob)");
    await exec(`insert into words with recursive n (i) as (select 1 union all select i + 1 from n where i < 60)
      select case when i > 57 then 'word ' || i end, zeroblob(4000) from n`);
    const words = sqliteTable("words", { word: text().primaryKey(), v: vectorColumn(1000) });
    const hits = await nearest(db, words.v, new Float32Array(1000), { metric: "l2", limit: 100 });
    expect(hits.map(({ word }: any) => word)).toEqual(["word 58", "word 59", "word 60"]);
  });

  test.each([
    ["text", "'word ' || i"],
    ["text", "i * 7 % 101"],
    ["integer", "i * 7 % 101"],
    ["", "case when i % 2 then i else cast(i as text) end"],
  ])("keys that the schema takes for integers are paged through as they are stored: %s, %s", async (type, key) => {
    const { db, exec } = open();
    await exec(`create table words (word ${type} not null, v blob, primary key (word)) without rowid`);
    await exec(`insert into words with recursive n (i) as (select 1 union all select i + 1 from n where i < 90)
      select ${key}, zeroblob(4000) from n`);
    const words = sqliteTable("words", { word: integer().primaryKey(), v: vectorColumn(1000) });
    const inSql = (await db.select({ word: words.word }).from(words).orderBy(words.word)).map(({ word }: any) => word);
    const hits = await nearest(db, words.v, new Float32Array(1000), { metric: "l2", limit: 100 });
    expect(hits.map(({ word }: any) => word)).toEqual(inSql);
    expect(hits).toHaveLength(90);
  });

  test("composite keys tell rows apart and order ties", async () => {
    const { db, exec } = open();
    await exec("create table parts (doc text not null, part integer not null, v blob, primary key (doc, part))");
    const parts = sqliteTable(
      "parts",
      { doc: text().notNull(), part: integer().notNull(), v: vectorColumn(1) },
      (t) => [primaryKey({ columns: [t.doc, t.part] })],
    );
    await db.insert(parts).values(
      [
        ["b", 1],
        ["a", 10],
        ["a", 2],
        ["a", 1],
      ].map(([doc, part]) => ({ doc, part, v: [1] }) as any),
    );
    await db.insert(parts).values({ doc: "c", part: 1, v: [5] });
    const hits = await nearest(db, parts.v, [1], { metric: "l2" });
    expect(hits.map(({ doc, part }) => `${doc}${part}`)).toEqual(["a1", "a2", "a10", "b1", "c1"]);
    const frozen = await nearest(db, parts.v, [5], { metric: "l2", limit: 1 }).as("f");
    expect(await db.select().from(frozen)).toEqual([{ doc: "c", part: 1, rank: 1, distance: 0 }]);
  });

  test("keys beyond 2^53 are told apart", async () => {
    const { db, exec } = await filled(open);
    const big = sqliteTable("docs", { id: integer().primaryKey(), title: text(), embedding: vectorColumn(2) });
    await exec(`insert into docs (id, course, title, embedding) values (9007199254740993, 'x', 'odd', x'0000a0400000a040'),
      (9007199254740992, 'x', 'even', x'0000a0400000803f'), (-9223372036854775808, 'x', 'least', x'0000803f0000a040')`);
    const select = { title: big.title };
    expect(await nearest(db, big.embedding, [5, 5], { select, metric: "l2", limit: 1 })).toEqual([
      { title: "odd", $distance: 0 },
    ]);
    expect(await nearest(db, big.embedding, [1, 5], { select, metric: "l2", limit: 1 })).toEqual([
      { title: "least", $distance: 0 },
    ]);
  });

  test("rows that are no vector are left out, counted and reported", async () => {
    const { db, exec } = await filled(open);
    const events: SearchEvent[] = [];
    configure(db, { onEvent: (event) => events.push(event) });
    await exec(`insert into docs (id, course, embedding) values (10, 'x', x'00'), (11, 'x', 'text'), (12, 'x', x'0000c07f00000000'),
      (13, 'x', x'0000807f00000000'), (14, 'x', 3.5), (15, 'x', x'')`);
    const search = nearest(db, docs.embedding, [1, 0]);
    expect(ids(await search)).toEqual([1, 3, 2, 6, 4]);
    expect((await search.explain()).rowsSkipped).toEqual({ wrongLength: 2, notFinite: 2, notAVector: 2 });
    expect(events[0]).toEqual({
      code: "ROWS_SKIPPED",
      index: null,
      message: expect.stringContaining("docs.embedding: 6 of 11 rows were left out"),
      hint: expect.any(String),
    });
  });

  test("when every vector met has another length, the error names column, dimensions, count and a key", async () => {
    const { db } = await filled(open);
    const three = sqliteTable("docs", { id: integer().primaryKey(), embedding: vectorColumn(3) });
    await expect(async () => await nearest(db, three.embedding, [1, 0, 0])).rejects.toMatchObject({
      code: "STORED_DIMENSIONS",
      subject: "docs.embedding",
      expected: "3 dimensions",
      got: "2 dimensions in 5 of 5 rows, the first with key 1",
      count: 5,
      key: 1,
    });
  });

  test("an empty table gives no hits", async () => {
    const { db, exec } = open();
    await exec(DDL);
    expect(await nearest(db, docs.embedding, [1, 0])).toEqual([]);
  });

  test("identifiers with quotes, spaces and keywords, and names of our own statements", async () => {
    const { db, exec } = open();
    const odd = sqliteTable('my "select" täble', {
      key: integer('value"').primaryKey(),
      rank2: text("key"),
      v: vectorColumn("json_each", 1),
    });
    await exec(`create table "my ""select"" täble" ("value""" integer primary key, "key" text, "json_each" blob)`);
    await db.insert(odd).values([
      { key: 2, rank2: "b", v: [2] },
      { key: 1, rank2: "a", v: [1] },
    ]);
    expect(await nearest(db, odd.v, [1], { metric: "l2", where: gt(odd.key, 0) })).toEqual([
      { key: 1, rank2: "a", $distance: 0 },
      { key: 2, rank2: "b", $distance: 1 },
    ]);
    const frozen = await nearest(db, odd.v, [1], { metric: "l2" }).as("hits");
    expect(await db.select({ key: frozen.key, r: frozen.rank }).from(frozen)).toEqual([
      { key: 1, r: 1 },
      { key: 2, r: 2 },
    ]);
  });

  test("over thousands of rows it equals brute force, to the last tie", async () => {
    const { db, exec } = open();
    const random = seeded(11);
    await exec("create table points (id integer primary key, v blob)");
    const points = sqliteTable("points", { id: integer().primaryKey(), v: vectorColumn(5) });
    // Whole numbers from a small range: many equal distances.
    const rows = Array.from({ length: 3000 }, (_, i) => ({
      id: i + 1,
      v: Array.from({ length: 5 }, () => Math.floor(random() * 3)),
    }));
    for (let i = 0; i < rows.length; i += 500) await db.insert(points).values(rows.slice(i, i + 500));
    const query = [1, 2, 0, 1, 2];
    const expected = rows
      .map(({ id, v }) => ({ id, $distance: Math.hypot(...v.map((x, i) => x - query[i]!)) }))
      .sort((a, b) => a.$distance - b.$distance || a.id - b.id)
      .slice(100, 400);
    const hits = await nearest(db, points.v, query, { metric: "l2", limit: 300, offset: 100 });
    expect(ids(hits)).toEqual(expected.map(({ id }) => id));
    expect(distances(hits)).toEqual(distances(expected));
  });
});

describe("what only a synchronous driver can do", () => {
  test("text keys that hold a NUL order ties as SQLite does: NOCASE looks no further", () => {
    const { db, client } = openBetterSqlite3();
    for (const collation of ["nocase", "binary", "rtrim"]) {
      client.exec(`create table ${collation} (word text primary key not null collate ${collation}, v blob)`);
      const words = sqliteTable(collation, { word: text().primaryKey(), v: vectorColumn(1) });
      const keys = ["b\0long", "B\0z", "b", "a\0", "ab", "A"];
      db.insert(words)
        .values(keys.map((word) => ({ word, v: [1] })) as any)
        .run();
      const inSql = client.prepare(`select word from ${collation} order by word`).pluck().all();
      const found = (limit: number) => nearest(db, words.v, [1], { metric: "l2", limit }).all();
      expect(found(10).map(({ word }) => word)).toEqual(inSql);
      expect(found(3).map(({ word }) => word)).toEqual(inSql.slice(0, 3));
    }
  });

  test("all, get, explain, prepare and as answer at once", async () => {
    const { db } = await filled(DRIVERS[0]!.open);
    const search = nearest(db as ReturnType<typeof openBetterSqlite3>["db"], docs.embedding, [1, 0]);
    expect(search.all().map(({ id }) => id)).toEqual([1, 3, 2, 6, 4]);
    expect(search.get()?.id).toBe(1);
    expect(search.explain().rowsScanned).toBe(5);
    expect(search.prepare().all()).toHaveLength(5);
  });

  test("it works while an iterator of the same connection is open", async () => {
    const { db, client } = openBetterSqlite3();
    client.exec(DDL);
    db.insert(docs)
      .values(ROWS as any)
      .run();
    for (const row of client.prepare("select id from docs where id < 3").iterate()) {
      expect(row).toBeDefined();
      expect(ids(nearest(db, docs.embedding, [1, 0], { limit: 1 }).all())).toEqual([1]);
    }
    expect(client.inTransaction).toBe(false);
  });

  test("54: called from inside an SQL function it throws a typed error", () => {
    const { db, client } = openBetterSqlite3();
    client.exec(DDL);
    let thrown: unknown;
    client.function("inside", () => {
      try {
        nearest(db, docs.embedding, [1, 0]).all();
      } catch (error) {
        thrown = error;
      }
      return 1;
    });
    client.prepare("select inside()").get();
    expect(thrown).toMatchObject({ code: "CONNECTION_BUSY", got: "one that is executing another statement" });
    client.close();
    expect(() => nearest(db, docs.embedding, [1, 0]).all()).toThrow(
      expect.objectContaining({ code: "CONNECTION_BUSY", got: "a closed connection" }),
    );
  });

  test("63: safe integers switched on for the connection change nothing but what Drizzle itself reads", () => {
    const { db, client } = openBetterSqlite3();
    client.exec(DDL);
    db.insert(docs)
      .values(ROWS as any)
      .run();
    client.defaultSafeIntegers(true);
    const hits = nearest(db, docs.embedding, [1, 0], { select: { title: docs.title }, limit: 2 }).all();
    expect(hits.map(({ title }) => title)).toEqual(["east", "north-east"]);
  });

  test("an error inside where leaves no transaction open", () => {
    const { db, client } = openBetterSqlite3();
    client.exec(DDL);
    expect(() => nearest(db, docs.embedding, [1, 0], { where: sql`no_such_column = 1` }).all()).toThrow();
    expect(client.inTransaction).toBe(false);
  });
});

test("an in-memory libSQL database is searched without losing it", async () => {
  const { db } = openLibsql({}, ":memory:");
  await db.run(sql.raw(DDL));
  await db.insert(docs).values(ROWS as any);
  expect(ids(await nearest(db, docs.embedding, [1, 0], { limit: 2 }))).toEqual([1, 3]);
  expect(ids(await nearest(db, docs.embedding, [1, 0], { limit: 2 }))).toEqual([1, 3]);
});

test("two searches of different shapes run at the same time on an asynchronous driver", async () => {
  const { db } = openLibsql();
  await db.run(sql.raw("create table a (id integer primary key, v blob)"));
  await db.run(sql.raw("create table b (id integer primary key, v blob)"));
  const a = sqliteTable("a", { id: integer().primaryKey(), v: vectorColumn(3) });
  const b = sqliteTable("b", { id: integer().primaryKey(), v: vectorColumn(7) });
  const random = seeded(3);
  for (let i = 0; i < 5; i++) {
    await db.insert(a).values(Array.from({ length: 500 }, () => ({ v: randomVector(random, 3) })) as any);
    await db.insert(b).values(Array.from({ length: 500 }, () => ({ v: randomVector(random, 7) })) as any);
  }
  const [qa, qb] = [randomVector(random, 3), randomVector(random, 7)];
  const alone = [await nearest(db, a.v, qa), await nearest(db, b.v, qb)];
  const together = await Promise.all([nearest(db, a.v, qa), nearest(db, b.v, qb)]);
  expect(together).toEqual(alone);
});

describe("distance()", () => {
  test("is the number nearest gives, in select, orderBy and where", () => {
    const { db, client } = openBetterSqlite3();
    client.exec(DDL);
    registerFunctions(db);
    registerFunctions(db);
    db.insert(docs)
      .values(ROWS as any)
      .run();
    const d = distance(docs.embedding, [1, 0.5]);
    const rows = db.select({ id: docs.id, d }).from(docs).where(sql`${d} < 1.5`).orderBy(d, docs.id).all();
    const hits = nearest(db, docs.embedding, [1, 0.5], { maxDistance: 1.5 }).all();
    expect(rows).toEqual(hits.map(({ id, $distance }) => ({ id, d: $distance })));
  });

  test.each([
    ["float32", "l2", [0.1, -0.7, 3, 2, 1, 0, 0, 9]],
    ["float16", "cosine", [0.1, -0.7, 3, 2, 1, 0, 0, 9]],
    ["float16", "dot", [0.1, -0.7, 3, 2, 1, 0, 0, 9]],
    ["int8", "cosine", [1, -7, 3, 2, 1, 0, 0, 9]],
    ["int8", "l2", [1, -7, 3, 2, 1, 0, 0, 9]],
    ["bit", "hamming", [1, 0, 1, 1, 1, 0, 0, 1]],
  ] as const)("%s by %s: a placeholder for the query, the same number as nearest", (element, metric, query) => {
    const { db, client } = openBetterSqlite3();
    client.exec("create table t (id integer primary key, v blob)");
    const t = sqliteTable("t", { id: integer().primaryKey(), v: vectorColumn({ dimensions: 8, element }) });
    registerFunctions(db);
    const rows = [
      [1, 1, 1, 0, 0, 0, 1, 1],
      [0, 1, 1, 1, 0, 0, 1, 0],
      [1, 0, 1, 1, 1, 0, 0, 1],
    ];
    db.insert(t)
      .values(rows.map((v) => ({ v })) as any)
      .run();
    db.insert(t)
      .values({ v: null } as any)
      .run();
    const d = distance(t.v, sql.placeholder("q"), metric as any);
    const found = db.select({ id: t.id, d }).from(t).prepare().all({ q: query });
    const hits = nearest(db, t.v, query as any, { metric: metric as any }).all();
    for (const hit of hits) expect(found[Number(hit.id) - 1]!.d).toBe(hit.$distance);
    expect(found[3]!.d).toBeNull();
  });

  test("is NULL where the stored bytes are no vector", () => {
    const { db, client } = openBetterSqlite3();
    client.exec(
      `${DDL}; insert into docs (course, embedding) values ('x', x'00'), ('x', 'text'), ('x', x'0000c07f00000000')`,
    );
    registerFunctions(db);
    expect(
      db
        .select({ d: distance(docs.embedding, [1, 0]) })
        .from(docs)
        .all(),
    ).toEqual([{ d: null }, { d: null }, { d: null }]);
  });

  test("without registerFunctions SQLite says which function is missing; libSQL cannot register", async () => {
    const { db, client } = openBetterSqlite3();
    client.exec(DDL);
    expect(() =>
      db
        .select({ d: distance(docs.embedding, [1, 0]) })
        .from(docs)
        .all(),
    ).toThrow();
    const { db: async } = openLibsql();
    expect(() => registerFunctions(async)).toThrow(
      expect.objectContaining({ code: "UNSUPPORTED_DRIVER", got: "libsql" }),
    );
  });

  test("refuses a query without direction under cosine, and one of the wrong length", () => {
    expect(() => distance(docs.embedding, [0, 0])).toThrow(expect.objectContaining({ code: "ZERO_QUERY" }));
    expect(() => distance(docs.embedding, [1])).toThrow(expect.objectContaining({ code: "DIMENSION_MISMATCH" }));
    expect(() => distance(docs.embedding, [0, 0], "l2")).not.toThrow();
  });
});
