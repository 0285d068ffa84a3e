import { and, eq, exists, gt, inArray, sql } from "drizzle-orm";
import { integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { describe, expect, test } from "vitest";
import {
  configure,
  ensureSearchIndexes,
  hybrid,
  nearest,
  nearestMany,
  type SearchEvent,
  search,
  searchIndex,
  vectorColumn,
} from "../../src/index.ts";
import { definitionOf } from "../../src/migration/definition.ts";
import { readInstalledSync } from "../../src/migration/installed.ts";
import { planEnsure } from "../../src/migration/plan.ts";
import type { SearchIndex } from "../../src/schema/search-index.ts";
import { DRIVERS, openBetterSqlite3 } from "../helpers/databases.ts";

const docs = sqliteTable("docs", {
  id: integer().primaryKey(),
  course: text().notNull(),
  question: text().notNull(),
  answer: text(),
  createdAt: integer("created_at", { mode: "timestamp" }),
  embedding: vectorColumn(2),
});

const DDL = `create table docs (id integer primary key, course text not null, question text not null, answer text,
  created_at integer, embedding blob)`;

const docsSearch = searchIndex("docs_search", docs, {
  text: { question: 3, answer: 1 },
  tokenizer: "porter",
  vectors: { embedding: {} },
});

const ROWS = [
  { id: 1, course: "ml", question: "Can I still join the course?", answer: "Yes, at any time." },
  { id: 2, course: "ml", question: "How do I submit homework?", answer: "You can join the form and submit." },
  { id: 3, course: "de", question: "Joining late", answer: "C++ and node.js are welcome; so is O'Brien." },
  { id: 4, course: "de", question: "Nothing to see", answer: null },
];

/** Runs the statements that create an index, as a migration would. */
async function create(db: any, exec: (sql: string) => Promise<void>, index: SearchIndex<any, any, any>): Promise<void> {
  const definition = definitionOf(index);
  const statements: string[] = [];
  if (db.session.constructor.name.startsWith("Better")) {
    const all = (statement: string) => db.session.client.prepare(statement).raw().all();
    const plan = planEnsure(definition, readInstalledSync(all, [definition.table]), { managed: "migrations" });
    statements.push(...plan.before, ...plan.after);
  } else {
    const twin = openBetterSqlite3();
    const { rows } = await db.session.client.execute(
      "select sql from sqlite_master where sql is not null and tbl_name not like '_dv_%'",
    );
    for (const row of rows) twin.client.exec(row[0]);
    const all = (statement: string) => twin.client.prepare(statement).raw().all() as any;
    statements.push(
      ...planEnsure(definition, readInstalledSync(all, [definition.table]), { managed: "migrations" }).after,
    );
  }
  for (const statement of statements) await exec(statement);
}

async function filled(open: (typeof DRIVERS)[number]["open"], config?: Record<string, unknown>) {
  const { db, exec } = open(config);
  await exec(DDL);
  await db.insert(docs).values(ROWS.slice(0, 2));
  await create(db, exec, docsSearch);
  await db.insert(docs).values(ROWS.slice(2));
  return { db, exec };
}

const ids = (hits: readonly Record<string, unknown>[]) => hits.map(({ id }) => id);

describe.each(DRIVERS)("search on $name", ({ open }) => {
  test("gives the rows that match best, best first, those from before the index and those after", async () => {
    const { db } = await filled(open);
    const hits = await search(db, docsSearch, "join");
    expect(ids(hits)).toEqual([1, 3, 2]);
    const scores = hits.map(({ $score }) => $score);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
    expect(scores.every((score) => score > 0)).toBe(true);
  });

  test("a hit is flat: all columns but vectors, mapped as Drizzle maps them, and $score", async () => {
    const { db } = await filled(open);
    const createdAt = new Date("2026-01-02T03:04:05Z");
    await db.update(docs).set({ createdAt }).where(eq(docs.id, 4));
    expect(await search(db, docsSearch, "nothing")).toEqual([
      { id: 4, course: "de", question: "Nothing to see", answer: null, createdAt, $score: expect.any(Number) },
    ]);
    expect(
      await search(db, docsSearch, "nothing", { select: { key: docs.id, loud: sql<string>`upper(${docs.course})` } }),
    ).toEqual([{ key: 4, loud: "DE", $score: expect.any(Number) }]);
  });

  test("the score is BM25 with the declared weights", async () => {
    const { db } = await filled(open);
    const raw = await db.all(
      sql.raw(
        `select rowid as id, -bm25(_dv_docs_search_fts, 3, 1) as score from _dv_docs_search_fts where _dv_docs_search_fts match '"submit" OR "join"' order by score desc`,
      ),
    );
    const hits = await search(db, docsSearch, "submit join");
    expect(hits.map(({ id, $score }) => ({ id, score: $score }))).toEqual(
      raw.map(({ id, score }: any) => ({ id, score })),
    );
  });

  test("match any finds rows with one of the words, all those with every word", async () => {
    const { db } = await filled(open);
    expect(new Set(ids(await search(db, docsSearch, "submit join")))).toEqual(new Set([1, 2, 3]));
    expect(ids(await search(db, docsSearch, "submit join", { match: "all" }))).toEqual([2]);
  });

  test("of a long text the words that most rows have are left out and reported, of a short one none", async () => {
    const { db, exec } = await filled(open);
    const common = Array.from({ length: 60 }, (_, i) => `common${i}`);
    await exec(
      `with recursive n(i) as (select 100 union all select i + 1 from n where i < 4599)
       insert into docs (id, course, question) select i, 'x', '${common.join(" ")}' || case i when 300 then ' rare1' when 200 then ' rare1 rare2' else '' end from n`,
    );
    const long = `${common.join(" ")} rare1 rare2`;
    const { terms, dropped, match } = await search(db, docsSearch, long).explain();
    expect(terms.length + dropped.length).toBe(62);
    expect(terms).toEqual(expect.arrayContaining(["rare1", "rare2"]));
    expect(dropped.length).toBeGreaterThan(15);
    expect(new Set(dropped.map(({ reason }) => reason))).toEqual(new Set(["in too many rows"]));
    expect(match).not.toContain(dropped[0]!.piece);
    expect(ids(await search(db, docsSearch, long, { limit: 3 }))).toEqual([200, 300, 100]);
    const short = await search(db, docsSearch, common.slice(0, 16).join(" ")).explain();
    expect([short.terms.length, short.dropped]).toEqual([16, []]);
    const every = await search(db, docsSearch, long, { match: "all" }).explain();
    expect([every.terms.length, every.scores.map(({ key }) => key)]).toEqual([62, [200]]);
    const cut = await search(db, docsSearch, long.padEnd(5000)).explain();
    expect(cut.terms.length).toBeLessThan(terms.length / 2);
  });

  test("over trigrams of a text too long to be read whole, words of common trigrams are left out, though no row has them", async () => {
    const notes = sqliteTable("notes", { id: integer().primaryKey(), body: text().notNull() });
    const index = searchIndex("notes_search", notes, { text: { body: 1 }, tokenizer: "trigram" });
    const { db, exec } = open();
    await exec("create table notes (id integer primary key, body text not null)");
    await ensureSearchIndexes(db as any, [index]);
    await exec(
      `with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)
       insert into notes select i, 'abcabcabcabc' || case i when 7 then ' zebras' when 9 then ' zebras quince' else '' end from n`,
    );
    // None of them is in a row, but all their trigrams are.
    const nowhere = Array.from({ length: 30 }, (_, i) => "abc".repeat(5 + i));
    const long = `zebras quince ${nowhere.join(" ")} `.padEnd(1_000_000);
    const { terms, dropped, isCut, scores } = await search(db, index, long).explain();
    expect(isCut).toBe(true);
    expect(terms).toEqual(["zebras", "quince", ...nowhere.slice(0, terms.length - 2)]);
    expect(terms.length).toBeLessThan(20);
    expect(dropped).toEqual(nowhere.slice(terms.length - 2).map((piece) => ({ piece, reason: "in too many rows" })));
    expect(scores.map(({ key }) => key)).toEqual([9, 7]);
  });

  test("a name in code is looked for by its parts where no row has it", async () => {
    const { db } = await filled(open);
    const terms = async (typed: string, options = {}) => (await search(db, docsSearch, typed, options).explain()).terms;
    expect(await terms("joinLate")).toEqual(["join", "Late"]);
    expect(ids(await search(db, docsSearch, "joinLate"))).toEqual([3, 1, 2]);
    expect(await search(db, docsSearch, "joinLate", { match: "all" })).toEqual([]);
    expect(await search(db, docsSearch, '"joinLate"')).toEqual([]);
    expect(await terms("homew", { prefix: true })).toEqual(["homew"]);
    expect(await terms("submitHomew", { prefix: true })).toEqual(["submit", "Homew"]);
    expect(ids(await search(db, docsSearch, "submitHomew", { prefix: true }))).toEqual([2]);

    await db.insert(docs).values({ id: 5, course: "de", question: "What does joinLate do?" });
    expect(await terms("joinLate")).toEqual(["joinLate"]);
    expect(ids(await search(db, docsSearch, "joinLate"))).toEqual([5]);
  });

  test("where is any condition, and limit counts the rows behind it", async () => {
    const { db, exec } = await filled(open);
    await exec("create table courses (slug text primary key, open integer not null)");
    await exec("insert into courses values ('ml', 1), ('de', 0)");
    const courses = sqliteTable("courses", { slug: text().primaryKey(), open: integer().notNull() });
    const find = (where: any, limit = 10) => search(db, docsSearch, "join", { where, limit });
    expect(ids(await find(eq(docs.course, "ml"), 1))).toEqual([1]);
    expect(ids(await find(and(eq(docs.course, "ml"), gt(docs.id, 1))))).toEqual([2]);
    expect(
      ids(await find(inArray(docs.course, db.select({ s: courses.slug }).from(courses).where(eq(courses.open, 0))))),
    ).toEqual([3]);
    expect(
      ids(
        await find(
          exists(
            db
              .select()
              .from(courses)
              .where(and(eq(courses.slug, docs.course), eq(courses.open, 1))),
          ),
        ),
      ),
    ).toEqual([1, 2]);
    expect(ids(await find(eq(docs.id, 2)))).toEqual([2]);
  });

  test("limit and offset page through one order", async () => {
    const { db } = await filled(open);
    const page = async (limit: number, offset: number) => ids(await search(db, docsSearch, "join", { limit, offset }));
    expect([await page(1, 0), await page(1, 1), await page(5, 1), await page(0, 0)]).toEqual([[1], [3], [3, 2], []]);
    for (const most of [Number.MAX_SAFE_INTEGER, 2 ** 63, Number.MAX_VALUE]) {
      expect([await page(most, 1), await page(1, most), await page(most, most)]).toEqual([[3, 2], [], []]);
      expect(ids(await search(db, docsSearch, "join", { limit: most, where: eq(docs.course, "ml") }))).toEqual([1, 2]);
    }
  });

  test.each([
    ["C++", [3]],
    ["node.js", [3]],
    ["O'Brien", [3]],
    ['"join"', [1, 3, 2]],
    ["NOT join AND (", [3, 2, 1]],
    ["nosuchcolumn:join", [1, 3, 2]],
    ["c0: join", [1, 3, 2]],
    ["join*", [1, 3, 2]],
    ["^join -join NEAR", [1, 3, 2]],
    ["\0join\0", [1, 3, 2]],
    ["\ud800join", [1, 3, 2]],
    ["", []],
    ["   ", []],
    ["?! -- +++ ()", []],
  ])("%j is safe text", async (typed, expected) => {
    const { db } = await filled(open);
    expect(ids(await search(db, docsSearch, typed))).toEqual(expected);
  });

  test("prepared once, runs with other texts and values inside where", async () => {
    const { db } = await filled(open);
    const prepared = search(db, docsSearch, sql.placeholder("text"), {
      where: eq(docs.course, sql.placeholder("course")),
    }).prepare();
    expect(ids(await prepared.all({ text: "join", course: "ml" }))).toEqual([1, 2]);
    expect(ids(await prepared.all({ text: "joining", course: "de" }))).toEqual([3]);
    expect(await prepared.get({ text: "", course: "de" })).toBeUndefined();
    await expect(async () => prepared.all({ course: "de", text: undefined })).rejects.toThrow(
      "text: expected a string to search for, got undefined",
    );
  });

  test("prepared, it fills placeholders among the selected fields, too", async () => {
    const { db } = await filled(open);
    const note = sql<string>`${docs.course} || ${sql.placeholder("note")}`;
    const options = { limit: 1, select: { id: docs.id, note } };
    const expected = { id: 1, note: "ml!" };
    for (const query of [search(db, docsSearch, "join", options), hybrid(db, docsSearch, { text: "join" }, options)]) {
      const prepared = query.prepare();
      expect(await prepared.all({ note: "!" })).toMatchObject([expected]);
      expect((await prepared.explain({ note: "!" })).hits).toBe(1);
    }
  });

  test("a placeholder without a value is named, with what to call", async () => {
    const { db } = await filled(open);
    const query = search(db, docsSearch, sql.placeholder("typed"));
    for (const run of [() => query.all(), () => query.as("hits"), () => query.prepare().all({ text: "join" })]) {
      await expect(async () => run()).rejects.toThrow(
        expect.objectContaining({
          code: "INVALID_OPTION",
          message: 'sql.placeholder("typed"): expected a value, got none',
          hint: "Call .prepare(), and give the value to what you call on that, as in .all({ typed: … }). A search with placeholders cannot be frozen by .as().",
        }),
      );
    }
  });

  test("as() freezes the hits as a subquery to join in any select", async () => {
    const { db } = await filled(open);
    const hits = await search(db, docsSearch, "join", { limit: 2 }).as("hits");
    const rows = await db
      .select({ id: docs.id, rank: hits.rank, score: hits.score })
      .from(docs)
      .leftJoin(hits, eq(hits.id, docs.id))
      .orderBy(docs.id);
    expect(rows.map(({ id, rank }: any) => [id, rank])).toEqual([
      [1, 1],
      [2, null],
      [3, 2],
      [4, null],
    ]);
    expect(rows[0].score).toBeGreaterThan(0);
  });

  test("explain tells the words used and dropped, and the SQL", async () => {
    const { db } = await filled(open);
    expect(await search(db, docsSearch, "join !! join course").explain()).toEqual({
      plan: "full text",
      index: "docs_search",
      match: '"join" OR "course"',
      terms: ["join", "course"],
      excluded: [],
      dropped: [{ piece: "!!", reason: "no letter or digit" }],
      isCut: false,
      columns: [
        { column: "question", weight: 3 },
        { column: "answer", weight: 1 },
      ],
      sql: expect.stringContaining('-bm25("_dv_docs_search_fts", 3)'),
      fetchSql: expect.stringContaining("json_each"),
      hits: 3,
      scores: [
        { key: 1, score: expect.any(Number), columns: { question: expect.any(Number), answer: 0 } },
        { key: 3, score: expect.any(Number), columns: { question: expect.any(Number), answer: 0 } },
        { key: 2, score: expect.any(Number), columns: { question: 0, answer: expect.any(Number) } },
      ],
      ms: { find: expect.any(Number), fetch: expect.any(Number), total: expect.any(Number) },
    });
  });

  test("text keys and composite keys, with columns called rank and rowid", async () => {
    const { db, exec } = open();
    await exec('create table notes (slug text primary key, "rank" text, "rowid" text)');
    await exec("create table parts (doc text not null, part integer not null, body text, primary key (doc, part))");
    const notes = sqliteTable("notes", { slug: text().primaryKey(), rank: text(), rowid: text() });
    const parts = sqliteTable("parts", { doc: text().notNull(), part: integer().notNull(), body: text() }, (t) => [
      primaryKey({ columns: [t.doc, t.part] }),
    ]);
    const notesSearch = searchIndex("notes search", notes, { text: { rank: 1, rowid: 0 } });
    const partsSearch = searchIndex("parts_search", parts, { text: { body: 1 } });
    await create(db, exec, notesSearch);
    await create(db, exec, partsSearch);
    await db.insert(notes).values([
      { slug: "b", rank: "apple pie", rowid: "pear" },
      { slug: "a", rank: "apple tart", rowid: "pear" },
    ]);
    await db.insert(parts).values([
      { doc: "x", part: 2, body: "apple" },
      { doc: "x", part: 1, body: "apple" },
      { doc: "y", part: 1, body: "pear" },
    ]);
    expect((await search(db, notesSearch, "apple")).map(({ slug }) => slug)).toEqual(["a", "b"]);
    // A column of weight 0 neither finds nor counts.
    expect(await search(db, notesSearch, "pear")).toEqual([]);
    expect(
      (await search(db, partsSearch, "apple", { where: sql`part > 0` })).map(({ doc, part }) => [doc, part]),
    ).toEqual([
      ["x", 1],
      ["x", 2],
    ]);
  });

  test("a condition in plain SQL may name columns as if the table stood alone, called as those of the key map", async () => {
    const { db, exec } = open();
    await exec("create table notes (id text primary key, k0 text, seq integer, body text, embedding blob)");
    const notes = sqliteTable("notes", {
      id: text().primaryKey(),
      k0: text(),
      seq: integer(),
      body: text(),
      embedding: vectorColumn(1),
    });
    const notesSearch = searchIndex("notes_search", notes, {
      text: { body: 1 },
      vectors: { embedding: { metric: "l2" } },
    });
    await create(db, exec, notesSearch);
    await db
      .insert(notes)
      .values(["a", "b", "c"].map((id, seq) => ({ id, k0: `k ${id}`, seq, body: "apple", embedding: [seq] }) as any));
    for (const where of [sql`id > 'a'`, sql`k0 > 'k a'`, sql`seq > 0`, sql`rowid > 1`]) {
      const options = { where, limit: 1, select: { id: notes.id } };
      expect(ids(await search(db, notesSearch, "apple", options))).toEqual(["b"]);
      expect(ids(await nearest(db, notes.embedding, [0], { ...options, metric: "l2" }))).toEqual(["b"]);
      const query = { text: "apple -pear", vector: [0] };
      expect(ids(await hybrid(db, notesSearch, query, options))).toEqual(["b"]);
    }
  });

  test("68: rows FTS5 holds and the table has no more take no place", async () => {
    const { db, exec } = await filled(open);
    for (let id = 100; id < 120; id++) await exec(`insert into _dv_docs_search_fts (rowid, c0) values (${id}, 'join')`);
    expect(ids(await search(db, docsSearch, "join", { limit: 3 }))).toEqual([1, 3, 2]);
  });

  test("the page is full however many rows at the top are ghosts or refused by where", async () => {
    const { db, exec } = await filled(open);
    await exec(
      "with recursive n(i) as (values (100) union all select i + 1 from n where i < 3200) insert into _dv_docs_search_fts (rowid, c0) select i, 'join' from n",
    );
    expect(ids(await search(db, docsSearch, "join", { limit: 2, offset: 1 }))).toEqual([3, 2]);
    expect(ids(await search(db, docsSearch, "join", { where: gt(docs.id, 1) }))).toEqual([3, 2]);
    expect(ids(await search(db, docsSearch, "join", { where: and(gt(docs.id, 1), eq(docs.course, "ml")) }))).toEqual([
      2,
    ]);
    expect(ids(await search(db, docsSearch, "join", { where: sql`course = 'ml'`, limit: 1, offset: 1 }))).toEqual([2]);
  });

  test("32: a table recreated behind our back is noticed by the next query: search throws, nearest reads every row", async () => {
    const { db, exec } = await filled(open);
    await db
      .update(docs)
      .set({ embedding: new Float32Array([1, 0]) })
      .where(eq(docs.id, 1));
    const events: SearchEvent[] = [];
    configure(db, { onEvent: (event) => events.push(event) });
    expect(await nearest(db, docs.embedding, [1, 0]).explain()).toMatchObject({ index: "docs_search", fallback: null });
    await exec(
      "create table __new_docs (id integer primary key, course text not null, question text not null, answer text, created_at integer, embedding blob)",
    );
    await exec("insert into __new_docs select * from docs");
    await exec("drop table docs");
    await exec("alter table __new_docs rename to docs");
    await expect(async () => await search(db, docsSearch, "join")).rejects.toMatchObject({
      code: "INDEX_DETACHED",
      got: expect.stringContaining("trigger _dv_docs_search_insert is missing"),
      hint: expect.stringContaining("drizzle-vector rebuild docs_search"),
    });
    expect(ids(await nearest(db, docs.embedding, [1, 0]))).toEqual([1]);
    expect((await nearest(db, docs.embedding, [1, 0]).explain()).fallback).toContain(
      "trigger _dv_docs_search_insert is missing",
    );
    expect(events.map(({ code, index }) => ({ code, index }))).toEqual([{ code: "FALLBACK", index: "docs_search" }]);
    await expect(async () => await nearest(db, docs.embedding, [1, 0], { strict: true })).rejects.toMatchObject({
      code: "INDEX_DETACHED",
      subject: "docs_search",
      hint: expect.stringContaining("drizzle-vector rebuild docs_search"),
    });
  });

  test("an index that is missing, pending, newer or of another declaration is a typed error", async () => {
    const { db, exec } = await filled(open);
    const find = (index: typeof docsSearch) => async () => await search(db, index, "join");
    const other = searchIndex("other", docs, {
      text: { question: 1, answer: 1 },
      tokenizer: "porter",
      vectors: { embedding: {} },
    });
    await expect(find(other)).rejects.toMatchObject({ code: "INDEX_MISSING", subject: "other" });
    const drifted = searchIndex("docs_search", docs, { text: { question: 3, answer: 1 }, vectors: { embedding: {} } });
    await expect(find(drifted as any)).rejects.toThrow(
      "docs_search: expected the text declared in the schema: question, answer with unicode61 remove_diacritics 2, got in the database: question, answer with porter unicode61 remove_diacritics 2",
    );
    await expect(find(drifted as any)).rejects.toMatchObject({ code: "DECLARATION_DRIFT" });
    const heavier = searchIndex("docs_search", docs, {
      text: { question: 1, answer: 9 },
      tokenizer: "porter",
      vectors: { embedding: {} },
    });
    expect(ids(await search(db, heavier, "join"))[0]).toBe(2);
    await exec("update _dv_indexes set pending = 'text'");
    await expect(find(docsSearch)).rejects.toMatchObject({ code: "INDEX_PENDING" });
    await exec("update _dv_indexes set pending = null, format = 99");
    await exec("create table moves_the_schema_version (a)");
    await expect(find(docsSearch)).rejects.toMatchObject({ code: "INDEX_FORMAT" });
  });

  test("an empty database has no index: search throws, nearest reads every row and says so once, under strict it throws", async () => {
    const { db, exec } = open();
    const tasks = sqliteTable("tasks", { id: integer().primaryKey(), title: text(), embedding: vectorColumn(2) });
    const tasksSearch = searchIndex("tasks_search", tasks, { text: { title: 1 }, vectors: { embedding: {} } });
    await exec("create table tasks (id integer primary key, title text, embedding blob)");
    await db.insert(tasks).values({ id: 1, embedding: new Float32Array([1, 0]) });
    const missing = { code: "INDEX_MISSING", subject: "tasks_search" };
    await expect(async () => await search(db, tasksSearch, "join")).rejects.toMatchObject(missing);

    const events: SearchEvent[] = [];
    configure(db, { onEvent: (event) => events.push(event) });
    expect(ids(await nearest(db, tasks.embedding, [1, 0]))).toEqual([1]);
    expect(await nearest(db, tasks.embedding, [1, 0]).explain()).toMatchObject({
      plan: "bare scan",
      index: "tasks_search",
      fallback: "index tasks_search is not in the database",
    });
    expect(events).toEqual([
      {
        code: "FALLBACK",
        index: "tasks_search",
        message: "index tasks_search is not in the database, every row is read instead",
        hint: expect.stringContaining("ensureSearchIndexes"),
      },
    ]);
    const strictly = async () => await nearest(db, tasks.embedding, [1, 0], { strict: true });
    await expect(strictly).rejects.toMatchObject(missing);
    await expect(async () => await nearestMany(db, tasks.embedding, [[1, 0]], { strict: true })).rejects.toMatchObject(
      missing,
    );

    await ensureSearchIndexes(db, [tasksSearch]);
    expect(ids(await strictly())).toEqual([1]);
  });

  test("a column that the schema declares no index for has none to miss", async () => {
    const { db, exec } = open();
    const plain = sqliteTable("plain", { id: integer().primaryKey(), embedding: vectorColumn(2) });
    await exec("create table plain (id integer primary key, embedding blob)");
    await db.insert(plain).values({ id: 1, embedding: new Float32Array([1, 0]) });
    const asked = nearest(db, plain.embedding, [1, 0], { strict: true });
    expect(ids(await asked)).toEqual([1]);
    expect(await asked.explain()).toMatchObject({ plan: "bare scan", index: null, fallback: null });
  });
});

describe("a transaction", () => {
  test("sees its own writes; a schema changed and rolled back inside it leaves nothing behind", () => {
    const { db, client } = openBetterSqlite3();
    client.exec(DDL);
    const all = (statement: string) => client.prepare(statement).raw().all() as any;
    for (const statement of planEnsure(definitionOf(docsSearch), readInstalledSync(all, ["docs"])).after)
      client.exec(statement);
    db.insert(docs)
      .values(ROWS as any)
      .run();
    const find = (handle: any) => ids(search(handle as typeof db, docsSearch, "join").all());
    expect(() =>
      db.transaction((tx) => {
        tx.insert(docs)
          .values({ id: 9, course: "ml", question: "join join join" } as any)
          .run();
        expect(find(tx)).toContain(9);
        client.exec("drop trigger _dv_docs_search_insert");
        expect(() => find(tx)).toThrow("trigger _dv_docs_search_insert is missing");
        tx.rollback();
      }),
    ).toThrow();
    // The schema_version of the rolled-back change is given out again, for a harmless one.
    client.exec("create table harmless (a)");
    expect(find(db)).toEqual([1, 3, 2]);
  });
});

describe("arguments", () => {
  test.each([
    [{ match: "some" }, "match: expected any or all"],
    [{ limit: -1 }, "limit: expected a whole number"],
    [{ limt: 1 }, "limt: expected an option of search"],
    [{ select: { $score: docs.id } }, "select.$score"],
    [{ where: "id = 1" }, "where: expected a Drizzle condition"],
  ])("%j is refused", (options, message) => {
    const { db } = openBetterSqlite3();
    expect(() => search(db, docsSearch, "join", options as any)).toThrow(message);
  });

  test("an index without text, another object and a text that is none are refused", () => {
    const { db } = openBetterSqlite3();
    const vectors = searchIndex("v", docs, { vectors: { embedding: {} } });
    const refusal = expect.objectContaining({
      message: "v: expected a searchIndex with text columns, got one with vectors only",
      hint: 'Use nearest(db, table.embedding, vector), or declare text columns under "text" in the index.',
    });
    expect(() => search(db, vectors as any, "x")).toThrow(refusal);
    expect(() => hybrid(db, vectors, { text: "x" as any })).toThrow(refusal);
    expect(() => search(db, docs as any, "x")).toThrow("index: expected a searchIndex with text columns");
    expect(() => search(db, docsSearch, 5 as any)).toThrow("text: expected a string to search for, got 5");
  });
});
