import { join } from "node:path";
import Database from "better-sqlite3";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  configure,
  DeclarationError,
  dropSearchIndex,
  ensureSearchIndexes,
  IndexFormatError,
  InvalidOptionError,
  nearest,
  ReadOnlyError,
  rebuild,
  type SearchEvent,
  search,
  searchIndex,
  status,
  UnsupportedDriverError,
  vectorColumn,
  verify,
} from "../../src/index.ts";
import { definitionOf } from "../../src/migration/definition.ts";
import { planMigration } from "../../src/migration/plan.ts";
import { DRIVERS, isDrizzleV1, openBetterSqlite3, openLibsql, temporaryFolder } from "../helpers/databases.ts";
import { installedIn, ours, problemsIn, rows, run } from "../migration/database.ts";
import { DDL, docs, docsSearch, pages, pagesSearch, ROWS } from "./app.ts";

function open(file?: string) {
  const opened = openBetterSqlite3({}, file);
  for (const statement of [...DDL, ...ROWS]) opened.client.exec(statement);
  return opened;
}

/** Installs indexes as migrations do. */
function migrate(client: Database.Database, ...indexes: (typeof docsSearch | typeof pagesSearch)[]) {
  const wanted = indexes.map((index) => definitionOf(index));
  const installed = installedIn(
    client,
    wanted.map(({ table }) => table),
  );
  run(client, planMigration({ wanted, installed }));
}

const find = (client: Database.Database, word: string) =>
  client
    .prepare("SELECT rowid FROM _dv_docs_search_fts WHERE _dv_docs_search_fts MATCH ? ORDER BY rowid")
    .pluck()
    .all(word);

describe.each(DRIVERS)("on $name", ({ open }) => {
  test("creates what is missing, fills it from the rows there are, and finds nothing to do afterwards", async () => {
    const { db, exec } = open();
    for (const statement of [...DDL, ...ROWS]) await exec(statement);
    expect(await ensureSearchIndexes(db, { docs, docsSearch, pages, pagesSearch, somethingElse: 1 })).toEqual([
      { index: "docs_search", action: "created", changes: ["create index docs_search on docs"] },
      { index: "pages_search", action: "created", changes: ["create index pages_search on pages"] },
    ]);
    await exec("INSERT INTO docs (id, title) VALUES (4, 'apples')");
    const found = sql`SELECT rowid AS id FROM _dv_docs_search_fts WHERE _dv_docs_search_fts MATCH 'apples' ORDER BY rowid`;
    expect(await db.all(found)).toEqual([{ id: 1 }, { id: 4 }]);
    const unchanged = (index: string) => ({ index, action: "unchanged", changes: [] });
    expect(await ensureSearchIndexes(db, [pagesSearch, docsSearch])).toEqual([
      unchanged("pages_search"),
      unchanged("docs_search"),
    ]);
  });

  test("a newer trigger of the user that may stop a write and keep its row makes it repair, and search refuse till then", async () => {
    const { db, exec } = open();
    for (const statement of [...DDL, ...ROWS]) await exec(statement);
    await ensureSearchIndexes(db, [docsSearch]);
    const found = async () => (await search(db, docsSearch, "apples", { select: { id: docs.id } })).map(({ id }) => id);
    expect(await found()).toEqual([1]);
    await exec("CREATE TRIGGER limits AFTER INSERT ON docs WHEN new.id > 3 BEGIN SELECT RAISE(FAIL, 'too many'); END");
    await expect(exec("INSERT INTO docs (id, title) VALUES (4, 'apples')")).rejects.toThrow();
    await expect(async () => found()).rejects.toThrow(
      expect.objectContaining({
        code: "INDEX_DETACHED",
        message: expect.stringContaining("trigger limits, which is newer"),
      }),
    );
    expect(await ensureSearchIndexes(db, [docsSearch])).toMatchObject([{ action: "repaired" }]);
    expect((await found()).sort()).toEqual([1, 4]);
    await expect(exec("INSERT INTO docs (id, title) VALUES (5, 'apples')")).rejects.toThrow();
    expect((await found()).sort()).toEqual([1, 4, 5]);
  });

  test("an error leaves nothing behind", async () => {
    const { db, exec } = open();
    await exec(DDL[0]!);
    expect(() => ensureSearchIndexes(db, [docsSearch, docsSearch, 1] as never)).toThrow(InvalidOptionError);
    // The table of the second index is missing: the first is not created either.
    await expect(async () => ensureSearchIndexes(db, [docsSearch, pagesSearch])).rejects.toThrow(
      expect.objectContaining({
        code: "DECLARATION_DRIFT",
        message: "pages_search: expected the table it is declared over, got table pages does not exist",
      }),
    );
    expect(await db.all(sql`SELECT name FROM sqlite_master WHERE name LIKE '_dv_%'`)).toEqual([]);
  });

  test("a statement that fails inside takes the others back", async () => {
    const { db, exec } = open();
    for (const statement of DDL) await exec(statement);
    // FTS5 refuses a table whose shadow table is there already.
    await exec("CREATE TABLE _dv_pages_search_fts_content (id)");
    await expect(async () => ensureSearchIndexes(db, [docsSearch, pagesSearch])).rejects.toThrow(/already/);
    expect(await db.all(sql`SELECT name FROM sqlite_master WHERE name LIKE '_dv_%'`)).toEqual([
      { name: "_dv_pages_search_fts_content" },
    ]);
  });
});

test("answers at once on a synchronous driver, and takes no lock where nothing is to be done", () => {
  const file = join(temporaryFolder(), "app.db");
  const { db } = open(file);
  expect(ensureSearchIndexes(db, [docsSearch]).map(({ action }) => action)).toEqual(["created"]);
  const other = openBetterSqlite3({}, file);
  other.client.exec("BEGIN IMMEDIATE");
  expect(ensureSearchIndexes(db, [docsSearch]).map(({ action }) => action)).toEqual(["unchanged"]);
  other.client.exec("ROLLBACK");
});

test("35: a UNIQUE index added later makes it repair, and rows are found as before", () => {
  const { client, db } = open();
  ensureSearchIndexes(db, [docsSearch]);
  client.exec("CREATE UNIQUE INDEX by_views ON docs (views)");
  const [{ action, changes }] = ensureSearchIndexes(db, [docsSearch]) as [any];
  expect(action).toBe("repaired");
  expect(changes[0]).toContain("_dv_docs_search_guardinsert is missing");
  client.exec("INSERT INTO docs (id, title, views) VALUES (8, 'old', 1)");
  client.exec("INSERT OR REPLACE INTO docs (id, title, views) VALUES (9, 'new', 1)");
  expect(find(client, "old OR new")).toEqual([9]);
  expect(problemsIn(client, definitionOf(docsSearch))).toEqual([]);
});

test("32: a recreated table, all triggers gone, is repaired, and what was written unseen is found", () => {
  const { client, db } = open();
  ensureSearchIndexes(db, [docsSearch]);
  recreate(client);
  client.exec("INSERT INTO docs (id, title) VALUES (7, 'unseen')");
  expect(find(client, "unseen")).toEqual([]);
  expect(ensureSearchIndexes(db, [docsSearch])).toMatchObject([{ action: "repaired" }]);
  expect(find(client, "unseen")).toEqual([7]);
});

test("38: a dropped FTS table fails the user's writes loudly, until it is filled anew", () => {
  const { client, db } = open();
  ensureSearchIndexes(db, [docsSearch]);
  client.exec("DROP TABLE _dv_docs_search_fts");
  expect(() => client.exec("INSERT INTO docs (id, title) VALUES (7, 'x')")).toThrow("no such table");
  expect(ensureSearchIndexes(db, [docsSearch])).toEqual([
    { index: "docs_search", action: "repaired", changes: ["fill the text of index docs_search anew"] },
  ]);
  client.exec("INSERT INTO docs (id, title) VALUES (7, 'apples')");
  expect(find(client, "apples")).toEqual([1, 7]);
});

test("takes over what a new declaration says", () => {
  const { client, db } = open();
  ensureSearchIndexes(db, [docsSearch]);
  const other = searchIndex("docs_search", docs, { text: { body: 1 } });
  expect(ensureSearchIndexes(db, [other])).toMatchObject([{ action: "repaired" }]);
  expect(problemsIn(client, definitionOf(other))).toEqual([]);
  expect(ours(client)).not.toContain("_dv_docs_search_log");
});

test("deferText creates the text empty and says so in the registry", () => {
  const { client, db } = open();
  ensureSearchIndexes(db, [docsSearch], { deferText: true });
  expect(find(client, "apples")).toEqual([]);
  expect(rows(client, "SELECT pending FROM _dv_indexes")).toEqual([["text"]]);
  expect(ensureSearchIndexes(db, [docsSearch])).toMatchObject([{ action: "unchanged" }]);
});

describe("beside migrations", () => {
  test("restores what they recorded, and leaves it to them", () => {
    const { client, db } = open();
    migrate(client, docsSearch);
    expect(ensureSearchIndexes(db, [docsSearch])).toMatchObject([{ action: "unchanged" }]);
    recreate(client);
    expect(ensureSearchIndexes(db, [docsSearch])).toMatchObject([{ action: "repaired" }]);
    expect(rows(client, "SELECT managed FROM _dv_indexes")).toEqual([["migrations"]]);
    expect(find(client, "apples")).toEqual([1]);
  });

  test("an old replica does not undo a newer migration", () => {
    const { client, db } = open();
    const newer = searchIndex("docs_search", docs, { text: { title: 3, body: 1 }, tokenizer: "trigram" });
    migrate(client, newer as never);
    const before = rows(client, "SELECT * FROM sqlite_master");
    const attempt = () => ensureSearchIndexes(db, [pagesSearch, docsSearch]);
    expect(attempt).toThrow(
      "docs_search: expected the declaration its migrations were made from, got another text, vectors in the code",
    );
    expect(attempt).toThrow(
      expect.objectContaining({ code: "DECLARATION_DRIFT", hint: expect.stringContaining("drizzle-vector generate") }),
    );
    expect(rows(client, "SELECT * FROM sqlite_master")).toEqual(before);
  });

  test("a damaged record is written anew where its hash tells that it was the same", () => {
    const { client, db } = open();
    migrate(client, docsSearch);
    client.exec("UPDATE _dv_indexes SET definition = 'damaged'");
    expect(ensureSearchIndexes(db, [docsSearch])).toMatchObject([{ action: "repaired" }]);
    expect(rows(client, "SELECT definition, managed FROM _dv_indexes")).toEqual([
      [JSON.stringify(definitionOf(docsSearch)), "migrations"],
    ]);
  });
});

test("an index of a newer format is refused, and nothing is written", () => {
  const { client, db } = open();
  ensureSearchIndexes(db, [docsSearch]);
  client.exec("UPDATE _dv_indexes SET format = 2, definition = 'of the future'; DROP TRIGGER _dv_docs_search_insert");
  const before = rows(client, "SELECT * FROM sqlite_master");
  expect(() => ensureSearchIndexes(db, [docsSearch])).toThrow(IndexFormatError);
  expect(() => dropSearchIndex(db, docsSearch)).toThrow(IndexFormatError);
  expect(rows(client, "SELECT * FROM sqlite_master")).toEqual(before);
});

test("what was renamed by hand is found again by every connection, once it is recorded", () => {
  const file = join(temporaryFolder(), "app.db");
  const { client, db } = open(file);
  ensureSearchIndexes(db, [docsSearch]);
  const [first, second] = [openBetterSqlite3({}, file).db, openBetterSqlite3({}, file).db];
  const events: SearchEvent[] = [];
  configure(first, { onEvent: (event) => void events.push(event) });
  expect(search(first, docsSearch, "apples").all()).toHaveLength(1);
  client.exec("ALTER TABLE docs RENAME TO papers; ALTER TABLE papers RENAME COLUMN body TO contents");
  const papers = sqliteTable("papers", {
    id: integer().primaryKey(),
    title: text(),
    contents: text(),
    embedding: vectorColumn(2),
  });
  const renamed = searchIndex("docs_search", papers, {
    text: { title: 3, contents: 1 },
    vectors: { embedding: { metric: "cosine" } },
  });
  for (const each of [db, first, second]) {
    expect(() => search(each, renamed, "apples").all()).toThrow("table docs does not exist");
  }
  expect(ensureSearchIndexes(second, [renamed])).toMatchObject([
    { action: "repaired", changes: ["record what is declared for index docs_search"] },
  ]);
  for (const each of [db, first, second]) {
    expect(search(each, renamed, "apples").all()).toHaveLength(1);
    expect(nearest(each, papers.embedding, [1, 0]).explain()).toMatchObject({ index: "docs_search", fallback: null });
  }
  expect(events).toEqual([]);
});

test("of two connections that find nothing at the same time, the second sees what the first has made", () => {
  const file = join(temporaryFolder(), "app.db");
  const { db } = open(file);
  const actions: string[] = [];
  let isFirst = true;
  const client = new Database(file, {
    verbose(statement) {
      if (statement !== "BEGIN IMMEDIATE" || !isFirst) return;
      isFirst = false;
      actions.push(...ensureSearchIndexes(db, [docsSearch]).map(({ action }) => action));
    },
  });
  onTestFinished(() => void client.close());
  actions.push(...ensureSearchIndexes(drizzle({ client }), [docsSearch]).map(({ action }) => action));
  expect(actions).toEqual(["created", "unchanged"]);
});

describe("inside a transaction", () => {
  test("joins it on better-sqlite3, with its own writes, and goes with its rollback", () => {
    const { client, db } = open();
    expect(() =>
      db.transaction((tx) => {
        tx.insert(docs).values({ id: 9, title: "inside" }).run();
        expect(ensureSearchIndexes(tx, [docsSearch])).toMatchObject([{ action: "created" }]);
        expect(find(client, "inside")).toEqual([9]);
        tx.rollback();
      }),
    ).toThrow(/[Rr]ollback/);
    expect(ours(client)).toEqual([]);
  });

  test("takes back only its own statements when it fails", () => {
    const { client, db } = open();
    client.exec("CREATE TABLE _dv_docs_search_fts_content (id)");
    db.transaction((tx) => {
      tx.insert(docs).values({ id: 9, title: "inside" }).run();
      expect(() => ensureSearchIndexes(tx, [docsSearch])).toThrow(/already/);
    });
    expect(rows(client, "SELECT title FROM docs WHERE id = 9")).toEqual([["inside"]]);
    expect(ours(client)).toEqual(["_dv_docs_search_fts_content"]);
  });

  test("joins it on libSQL", async () => {
    const { db } = openLibsql();
    for (const statement of DDL) await db.run(sql.raw(statement));
    await db.transaction(async (tx) => {
      await tx.insert(docs).values({ id: 9, title: "inside" });
      expect(await ensureSearchIndexes(tx, [docsSearch])).toMatchObject([{ action: "created" }]);
    });
    expect(await ensureSearchIndexes(db, [docsSearch])).toMatchObject([{ action: "unchanged" }]);
  });
});

test("works in memory on libSQL", async () => {
  const { db } = openLibsql({}, ":memory:");
  for (const statement of [...DDL, ...ROWS]) await db.run(sql.raw(statement));
  expect(await ensureSearchIndexes(db, [docsSearch])).toMatchObject([{ action: "created" }]);
  expect(await db.all(sql`SELECT count(*) AS n FROM _dv_docs_search_fts`)).toEqual([{ n: 3 }]);
});

test("a read-only database: nothing to do is fine, anything else is said clearly", () => {
  const file = join(temporaryFolder(), "app.db");
  const { client, db } = open(file);
  ensureSearchIndexes(db, [docsSearch]);
  const readonly = new Database(file, { readonly: true });
  onTestFinished(() => void readonly.close());
  expect(ensureSearchIndexes(drizzle({ client: readonly }), [docsSearch])).toMatchObject([{ action: "unchanged" }]);
  expect(() => ensureSearchIndexes(drizzle({ client: readonly }), [pagesSearch])).toThrow(ReadOnlyError);
  client.pragma("query_only = 1");
  expect(() => ensureSearchIndexes(db, [pagesSearch])).toThrow("db: expected a database that can be written");
  expect(client.inTransaction).toBe(false);
});

test("a trigger of the user that only writes elsewhere is put behind ours, with the text as it is, where that can be written", () => {
  const file = join(temporaryFolder(), "app.db");
  const { client, db } = open(file);
  ensureSearchIndexes(db, [docsSearch]);
  const audits = "CREATE TRIGGER audits AFTER UPDATE ON docs BEGIN INSERT INTO audit VALUES (new.title); END";
  client.exec(`CREATE TABLE audit (title TEXT UNIQUE); ${audits}`);
  const readonly = new Database(file, { readonly: true });
  onTestFinished(() => void readonly.close());
  expect(ensureSearchIndexes(drizzle({ client: readonly }), [docsSearch])).toEqual([
    { index: "docs_search", action: "unchanged", changes: [] },
  ]);
  const texts = () => rows(client, "SELECT id, block FROM _dv_docs_search_fts_data");
  const before = texts();
  expect(ensureSearchIndexes(db, [docsSearch])).toEqual([
    { index: "docs_search", action: "repaired", changes: ["run the triggers of index docs_search before audits"] },
  ]);
  expect(texts()).toEqual(before);
  expect(() => client.exec("UPDATE OR FAIL docs SET title = 'plums'")).toThrow("audit.title");
  expect(find(client, "plums")).toEqual([1, 2]);
  expect(ensureSearchIndexes(db, [docsSearch])).toMatchObject([{ action: "unchanged" }]);
});

test("a full disk is the driver's error, and leaves nothing", () => {
  const { client, db } = open();
  const full = client.pragma("page_count", { simple: true }) as number;
  client.pragma(`max_page_count = ${full + 3}`);
  expect(() => ensureSearchIndexes(db, [docsSearch])).toThrow(expect.objectContaining({ code: "SQLITE_FULL" }));
  expect(client.inTransaction).toBe(false);
  expect(ours(client)).toEqual([]);
});

test("settings of the app's connection change nothing", () => {
  const { client, db } = open();
  client.defaultSafeIntegers(true);
  expect(ensureSearchIndexes(db, [docsSearch, pagesSearch])).toMatchObject([
    { action: "created" },
    { action: "created" },
  ]);
  expect(ensureSearchIndexes(db, [docsSearch])).toMatchObject([{ action: "unchanged" }]);
});

test("columns named by casing are those of the database", () => {
  const config = isDrizzleV1 ? {} : { casing: "snake_case" };
  const name = (text: string) => (isDrizzleV1 ? text : undefined);
  const notes = sqliteTable("notes", {
    noteId: integer(name("note_id") as string).primaryKey(),
    fullText: text(name("full_text") as string),
  });
  const { client, db } = openBetterSqlite3(config);
  client.exec("CREATE TABLE notes (note_id INTEGER PRIMARY KEY NOT NULL, full_text TEXT)");
  const notesSearch = searchIndex("notes_search", notes, { text: { fullText: 1 } });
  expect(ensureSearchIndexes(db, [notesSearch])).toMatchObject([{ action: "created" }]);
});

describe("41: tables of every kind", () => {
  const tagged = sqliteTable("tagged", { tag: text().primaryKey(), body: text() });
  const taggedSearch = searchIndex("tagged_search", tagged, { text: { body: 1 } });

  test("a WITHOUT ROWID table has a key map", async () => {
    const { client, db } = openBetterSqlite3();
    client.exec("CREATE TABLE tagged (tag TEXT PRIMARY KEY, body TEXT) WITHOUT ROWID");
    client.exec("INSERT INTO tagged VALUES ('a', 'one')");
    ensureSearchIndexes(db, [taggedSearch]);
    client.exec("INSERT INTO tagged VALUES ('b', 'two'); UPDATE tagged SET tag = 'c' WHERE tag = 'a'");
    expect(await verify(db, taggedSearch)).toMatchObject({ ok: true, rows: 2, indexed: 2 });
    await rebuild(db, taggedSearch);
    expect(await verify(db, taggedSearch)).toMatchObject({ ok: true, rows: 2, indexed: 2 });
  });

  test("an INTEGER PRIMARY KEY that is no rowid is refused, and the user's writes work on", () => {
    const { client, db } = openBetterSqlite3();
    client.exec(DDL[0]!.replace(/\)$/, ") WITHOUT ROWID"));
    expect(() => ensureSearchIndexes(db, [docsSearch])).toThrow("the INTEGER PRIMARY KEY of docs is not its rowid");
    client.exec("INSERT INTO docs (id) VALUES (1)");
    expect(ours(client)).toEqual([]);
  });

  test("names may be anything, and columns may hide the rowid", async () => {
    const odd = sqliteTable('select "a"', {
      key: integer("ro'w id").primaryKey(),
      rowid: text("rowid"),
      rank: text("rank"),
      id: text("id"),
    });
    const oddSearch = searchIndex(`odd "näme'`, odd, { text: { rowid: 1, rank: 1, id: 1 } });
    const { client, db } = openBetterSqlite3();
    client.exec(`CREATE TABLE "select ""a""" ("ro'w id" INTEGER PRIMARY KEY NOT NULL, rowid TEXT, rank TEXT, id TEXT)`);
    client.exec(`INSERT INTO "select ""a""" VALUES (7, 'x', 'y', 'z')`);
    ensureSearchIndexes(db, [oddSearch]);
    client.exec(`UPDATE "select ""a""" SET rowid = 'changed'; INSERT INTO "select ""a""" VALUES (9, '', '', '')`);
    expect(await verify(db, oddSearch)).toMatchObject({ ok: true, rows: 2, indexed: 2 });
    await rebuild(db, oddSearch);
    expect(await verify(db, oddSearch)).toMatchObject({ ok: true, rows: 2, indexed: 2 });
    expect(status(db, oddSearch)).toMatchObject({ table: 'select "a"', bytes: { fts: expect.any(Number) } });
    expect(dropSearchIndex(db, oddSearch)).toBe(true);
    expect(ours(client)).toEqual([]);
  });
});

describe("refuses", () => {
  test("declarations that contradict each other", () => {
    const { db } = open();
    const twin = searchIndex("DOCS_SEARCH", pages, { text: { body: 1 } });
    expect(() => ensureSearchIndexes(db, [docsSearch, twin])).toThrow(DeclarationError);
  });

  test("what is no schema and no database", () => {
    const { db } = open();
    expect(() => ensureSearchIndexes(db, null as never)).toThrow(InvalidOptionError);
    // What a circular import hides.
    expect(() => ensureSearchIndexes(db, [undefined] as never)).toThrow(
      "indexes: expected a searchIndex, got undefined",
    );
    expect(() => ensureSearchIndexes({} as never, [docsSearch])).toThrow(UnsupportedDriverError);
  });

  test("an index without the array around it, and options that are none", () => {
    const { db } = open();
    expect(() => ensureSearchIndexes(db, docsSearch as never)).toThrow(
      expect.objectContaining({
        message: "indexes: expected an array of searchIndex or a schema, got one searchIndex",
        hint: "Put it into an array: ensureSearchIndexes(db, [index]).",
      }),
    );
    expect(() => ensureSearchIndexes(db, [docsSearch], { defer: true } as never)).toThrow(
      "defer: expected an option of ensureSearchIndexes: deferText, got defer",
    );
  });
});

describe("39: dropSearchIndex", () => {
  test("leaves nothing of ours, and every row as it was", () => {
    const { client, db } = open();
    const before = rows(client, "SELECT * FROM sqlite_master");
    const content = rows(client, "SELECT * FROM docs");
    ensureSearchIndexes(db, [docsSearch, pagesSearch]);
    expect(dropSearchIndex(db, docsSearch)).toBe(true);
    expect(ours(client).filter((name) => String(name).includes("docs_search"))).toEqual([]);
    expect(dropSearchIndex(db, "pages_search")).toBe(true);
    expect(rows(client, "SELECT * FROM sqlite_master")).toEqual(before);
    expect(rows(client, "SELECT * FROM docs")).toEqual(content);
    expect(dropSearchIndex(db, "pages_search")).toBe(false);
  });
});

/** What drizzle-kit does to change a column: the triggers go with the old table. */
function recreate(client: Database.Database) {
  client.exec(`BEGIN; ${DDL[0]!.replace("docs", "__new_docs")};
    INSERT INTO __new_docs SELECT * FROM docs; DROP TABLE docs; ALTER TABLE __new_docs RENAME TO docs; COMMIT`);
}
