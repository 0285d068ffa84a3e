import { integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { expect, test } from "vitest";
import { definitionOf, hashOf } from "../../src/migration/definition.ts";
import { searchIndex, vectorColumn } from "../../src/schema.ts";
import { ensure, open, rows, vector } from "./database.ts";

const docs = sqliteTable("docs", {
  id: integer().primaryKey(),
  slug: text().notNull().unique(),
  question: text().notNull(),
  answer: text(),
  embedding: vectorColumn(2),
});
const docsSearch = searchIndex("docs_search", docs, {
  text: { question: 3, answer: 1 },
  tokenizer: "porter",
  vectors: { embedding: {} },
});
const CREATE =
  "CREATE TABLE docs (id integer PRIMARY KEY, slug text NOT NULL, question text NOT NULL, answer text, embedding blob)";
const UNIQUE = "CREATE UNIQUE INDEX docs_slug ON docs (slug)";

function sqlOf(db: ReturnType<typeof open>): unknown[] {
  const ours =
    "SELECT sql FROM sqlite_master WHERE name LIKE '\\_dv\\_%' ESCAPE '\\' AND name NOT LIKE '%fts\\_%' ESCAPE '\\'";
  return db.prepare(`${ours} AND sql IS NOT NULL`).pluck().all();
}

test("a definition is plain data in a fixed order, and its hash is known", () => {
  const definition = definitionOf(docsSearch);
  expect(JSON.stringify(definition)).toBe(
    '{"name":"docs_search","table":"docs","key":{"columns":["id"],"isRowid":true},"text":{"columns":[{"column":"question","weight":3},{"column":"answer","weight":1}],"tokenizer":"porter unicode61 remove_diacritics 2"},"vectors":[{"column":"embedding","dimensions":2,"element":"float32","metric":"cosine","exact":true}]}',
  );
  expect(hashOf(definition)).toMatchInlineSnapshot(`"167c1413e07a9d8d"`);
});

test("text and vectors on an integer key with a further UNIQUE index: every object, whole", () => {
  const db = open(CREATE, UNIQUE);
  ensure(db, docsSearch);
  expect(sqlOf(db)).toMatchInlineSnapshot(`
    [
      "CREATE TABLE "_dv_indexes" (name TEXT PRIMARY KEY COLLATE NOCASE NOT NULL, tbl TEXT NOT NULL, definition TEXT NOT NULL, hash TEXT NOT NULL, managed TEXT NOT NULL, format INTEGER NOT NULL, pending TEXT, settings TEXT)",
      "CREATE TABLE "_dv_docs_search_log" (seq INTEGER PRIMARY KEY, id INTEGER, nonce INTEGER NOT NULL DEFAULT (random()))",
      "CREATE TABLE "_dv_docs_search_head" ("column" TEXT PRIMARY KEY NOT NULL, generation INTEGER NOT NULL, seq INTEGER, nonce INTEGER, format INTEGER NOT NULL)",
      "CREATE TABLE "_dv_docs_search_chunks" ("column" TEXT NOT NULL, generation INTEGER NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY ("column", generation, part))",
      "CREATE TABLE "_dv_docs_search_evicted" (seq INTEGER PRIMARY KEY, id INTEGER NOT NULL)",
      "CREATE VIRTUAL TABLE "_dv_docs_search_fts" USING fts5(c0, c1, tokenize = 'porter unicode61 remove_diacritics 2')",
      "CREATE TRIGGER "_dv_docs_search_logdelete" AFTER DELETE ON "_dv_docs_search_log" WHEN (SELECT count(*) = count(h.seq) AND old.seq < min(h.seq) - 4096 FROM "_dv_docs_search_head" AS h) IS NOT 1 BEGIN INSERT INTO "_dv_docs_search_log" (id) SELECT NULL WHERE NOT ((SELECT l.id IS NULL FROM "_dv_docs_search_log" AS l WHERE l.seq > old.seq ORDER BY l.seq DESC LIMIT 1) IS 1); END",
      "CREATE TRIGGER "_dv_docs_search_logupdate" AFTER UPDATE ON "_dv_docs_search_log" WHEN (SELECT count(*) = count(h.seq) AND old.seq < min(h.seq) - 4096 FROM "_dv_docs_search_head" AS h) IS NOT 1 BEGIN INSERT INTO "_dv_docs_search_log" (id) SELECT NULL WHERE NOT ((SELECT l.id IS NULL FROM "_dv_docs_search_log" AS l WHERE l.seq > old.seq ORDER BY l.seq DESC LIMIT 1) IS 1); END",
      "CREATE TRIGGER "_dv_docs_search_insert" AFTER INSERT ON "docs" BEGIN INSERT INTO "_dv_docs_search_log" (id) SELECT new."id"; DELETE FROM "_dv_docs_search_fts" WHERE rowid = new."id"; INSERT INTO "_dv_docs_search_fts" (rowid, c0, c1) SELECT r."id", r."question", r."answer" FROM "docs" AS r WHERE r."id" = new."id"; END",
      "CREATE TRIGGER "_dv_docs_search_delete" AFTER DELETE ON "docs" BEGIN DELETE FROM "_dv_docs_search_fts" WHERE rowid = old."id"; INSERT INTO "_dv_docs_search_fts" (rowid, c0, c1) SELECT r."id", r."question", r."answer" FROM "docs" AS r WHERE r."id" = old."id"; END",
      "CREATE TRIGGER "_dv_docs_search_updatekey" AFTER UPDATE OF "id", "rowid", "_rowid_", "oid" ON "docs" WHEN old."id" IS NOT new."id" BEGIN DELETE FROM "_dv_docs_search_fts" WHERE rowid = old."id"; INSERT INTO "_dv_docs_search_fts" (rowid, c0, c1) SELECT r."id", r."question", r."answer" FROM "docs" AS r WHERE r."id" = old."id"; DELETE FROM "_dv_docs_search_fts" WHERE rowid = new."id"; INSERT INTO "_dv_docs_search_fts" (rowid, c0, c1) SELECT r."id", r."question", r."answer" FROM "docs" AS r WHERE r."id" = new."id"; END",
      "CREATE TRIGGER "_dv_docs_search_updatetext" AFTER UPDATE OF "question", "answer" ON "docs" WHEN old."id" IS new."id" AND (old."question" IS NOT new."question" COLLATE BINARY OR old."answer" IS NOT new."answer" COLLATE BINARY) BEGIN DELETE FROM "_dv_docs_search_fts" WHERE rowid = new."id"; INSERT INTO "_dv_docs_search_fts" (rowid, c0, c1) SELECT r."id", r."question", r."answer" FROM "docs" AS r WHERE r."id" = new."id"; END",
      "CREATE TRIGGER "_dv_docs_search_deletevectors" BEFORE DELETE ON "docs" BEGIN INSERT INTO "_dv_docs_search_log" (id) SELECT old."id"; END",
      "CREATE TRIGGER "_dv_docs_search_movevectors" BEFORE UPDATE OF "id", "rowid", "_rowid_", "oid" ON "docs" WHEN old."id" IS NOT new."id" BEGIN INSERT INTO "_dv_docs_search_log" (id) SELECT old."id"; INSERT INTO "_dv_docs_search_log" (id) SELECT new."id"; END",
      "CREATE TRIGGER "_dv_docs_search_updatevectors" BEFORE UPDATE OF "embedding" ON "docs" WHEN old."id" IS new."id" AND (old."embedding" IS NOT new."embedding" COLLATE BINARY) BEGIN INSERT INTO "_dv_docs_search_log" (id) SELECT old."id"; END",
      "CREATE TRIGGER "_dv_docs_search_guardinsert" BEFORE INSERT ON "docs" WHEN EXISTS (SELECT 1 FROM "docs" AS r WHERE r."slug" = new."slug" COLLATE BINARY) BEGIN INSERT INTO "_dv_docs_search_log" (id) SELECT r."id" FROM "docs" AS r WHERE r."slug" = new."slug" COLLATE BINARY; INSERT INTO "_dv_docs_search_evicted" (id) SELECT r."id" FROM "docs" AS r WHERE r."slug" = new."slug" COLLATE BINARY; DELETE FROM "_dv_docs_search_evicted" WHERE seq <= (SELECT e.seq FROM "_dv_docs_search_evicted" AS e ORDER BY e.seq DESC LIMIT 1) - 2 AND id NOT IN (SELECT e.id FROM "_dv_docs_search_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "docs" AS r WHERE r."id" = e.id)); END",
      "CREATE TRIGGER "_dv_docs_search_guardupdate" BEFORE UPDATE OF "id", "rowid", "_rowid_", "oid", "slug" ON "docs" WHEN old."id" IS NOT new."id" OR old."slug" IS NOT new."slug" COLLATE BINARY BEGIN INSERT INTO "_dv_docs_search_log" (id) SELECT r."id" FROM "docs" AS r WHERE r."slug" = new."slug" COLLATE BINARY AND r."id" IS NOT old."id"; INSERT INTO "_dv_docs_search_evicted" (id) SELECT r."id" FROM "docs" AS r WHERE r."id" = new."id" AND r."id" IS NOT old."id"; INSERT INTO "_dv_docs_search_evicted" (id) SELECT r."id" FROM "docs" AS r WHERE r."slug" = new."slug" COLLATE BINARY AND r."id" IS NOT old."id"; DELETE FROM "_dv_docs_search_evicted" WHERE seq <= (SELECT e.seq FROM "_dv_docs_search_evicted" AS e ORDER BY e.seq DESC LIMIT 1) - 2 AND id NOT IN (SELECT e.id FROM "_dv_docs_search_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "docs" AS r WHERE r."id" = e.id)); END",
      "CREATE TRIGGER "_dv_docs_search_sweepinsert" AFTER INSERT ON "docs" WHEN EXISTS (SELECT 1 FROM "_dv_docs_search_evicted") BEGIN DELETE FROM "_dv_docs_search_fts" WHERE rowid IN (SELECT e.id FROM "_dv_docs_search_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "docs" AS r WHERE r."id" = e.id)); DELETE FROM "_dv_docs_search_evicted" WHERE id IN (SELECT e.id FROM "_dv_docs_search_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "docs" AS r WHERE r."id" = e.id)); END",
      "CREATE TRIGGER "_dv_docs_search_sweepupdate" AFTER UPDATE OF "id", "rowid", "_rowid_", "oid", "slug" ON "docs" WHEN (old."id" IS NOT new."id" OR old."slug" IS NOT new."slug" COLLATE BINARY) AND EXISTS (SELECT 1 FROM "_dv_docs_search_evicted") BEGIN DELETE FROM "_dv_docs_search_fts" WHERE rowid IN (SELECT e.id FROM "_dv_docs_search_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "docs" AS r WHERE r."id" = e.id)); DELETE FROM "_dv_docs_search_evicted" WHERE id IN (SELECT e.id FROM "_dv_docs_search_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "docs" AS r WHERE r."id" = e.id)); END",
      "CREATE TRIGGER "_dv_docs_search_sweepdelete" AFTER DELETE ON "docs" WHEN EXISTS (SELECT 1 FROM "_dv_docs_search_evicted") BEGIN DELETE FROM "_dv_docs_search_fts" WHERE rowid IN (SELECT e.id FROM "_dv_docs_search_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "docs" AS r WHERE r."id" = e.id)); DELETE FROM "_dv_docs_search_evicted" WHERE id IN (SELECT e.id FROM "_dv_docs_search_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "docs" AS r WHERE r."id" = e.id)); END",
    ]
  `);
});

test("text alone on a composite key: the map of keys, and no log", () => {
  const pages = sqliteTable("pages", { site: text().notNull(), path: text().notNull(), body: text() }, (t) => [
    primaryKey({ columns: [t.site, t.path] }),
  ]);
  const db = open(
    "CREATE TABLE pages (site TEXT NOT NULL COLLATE NOCASE, path TEXT NOT NULL, body TEXT, PRIMARY KEY (site, path))",
  );
  ensure(db, searchIndex("pages", pages, { text: { body: 1 } }));
  expect(sqlOf(db)).toMatchInlineSnapshot(`
    [
      "CREATE TABLE "_dv_indexes" (name TEXT PRIMARY KEY COLLATE NOCASE NOT NULL, tbl TEXT NOT NULL, definition TEXT NOT NULL, hash TEXT NOT NULL, managed TEXT NOT NULL, format INTEGER NOT NULL, pending TEXT, settings TEXT)",
      "CREATE TABLE "_dv_pages_keys" (id INTEGER PRIMARY KEY, k0 TEXT COLLATE NOCASE NOT NULL, k1 TEXT COLLATE BINARY NOT NULL, UNIQUE (k0, k1))",
      "CREATE TABLE "_dv_pages_evicted" (seq INTEGER PRIMARY KEY, id INTEGER NOT NULL)",
      "CREATE VIRTUAL TABLE "_dv_pages_fts" USING fts5(c0, tokenize = 'unicode61 remove_diacritics 2')",
      "CREATE TRIGGER "_dv_pages_insert" AFTER INSERT ON "pages" BEGIN INSERT INTO "_dv_pages_keys" (k0, k1) SELECT r."site", r."path" FROM "pages" AS r WHERE r."site" = new."site" COLLATE NOCASE AND r."path" = new."path" COLLATE BINARY ON CONFLICT DO NOTHING; DELETE FROM "_dv_pages_fts" WHERE rowid = (SELECT k.id FROM "_dv_pages_keys" AS k WHERE k.k0 = new."site" COLLATE NOCASE AND k.k1 = new."path" COLLATE BINARY); INSERT INTO "_dv_pages_fts" (rowid, c0) SELECT k.id, r."body" FROM "pages" AS r JOIN "_dv_pages_keys" AS k ON k.k0 = r."site" COLLATE NOCASE AND k.k1 = r."path" COLLATE BINARY WHERE r."site" = new."site" COLLATE NOCASE AND r."path" = new."path" COLLATE BINARY; END",
      "CREATE TRIGGER "_dv_pages_delete" AFTER DELETE ON "pages" BEGIN DELETE FROM "_dv_pages_fts" WHERE rowid = (SELECT k.id FROM "_dv_pages_keys" AS k WHERE k.k0 = old."site" COLLATE NOCASE AND k.k1 = old."path" COLLATE BINARY); INSERT INTO "_dv_pages_fts" (rowid, c0) SELECT k.id, r."body" FROM "pages" AS r JOIN "_dv_pages_keys" AS k ON k.k0 = r."site" COLLATE NOCASE AND k.k1 = r."path" COLLATE BINARY WHERE r."site" = old."site" COLLATE NOCASE AND r."path" = old."path" COLLATE BINARY; DELETE FROM "_dv_pages_keys" WHERE id = (SELECT k.id FROM "_dv_pages_keys" AS k WHERE k.k0 = old."site" COLLATE NOCASE AND k.k1 = old."path" COLLATE BINARY) AND NOT EXISTS (SELECT 1 FROM "pages" AS r WHERE r."site" = old."site" COLLATE NOCASE AND r."path" = old."path" COLLATE BINARY); END",
      "CREATE TRIGGER "_dv_pages_updatekey" AFTER UPDATE OF "site", "path" ON "pages" WHEN (old."site" IS NOT new."site" COLLATE BINARY OR old."path" IS NOT new."path" COLLATE BINARY) BEGIN DELETE FROM "_dv_pages_fts" WHERE rowid = (SELECT k.id FROM "_dv_pages_keys" AS k WHERE k.k0 = old."site" COLLATE NOCASE AND k.k1 = old."path" COLLATE BINARY); INSERT INTO "_dv_pages_fts" (rowid, c0) SELECT k.id, r."body" FROM "pages" AS r JOIN "_dv_pages_keys" AS k ON k.k0 = r."site" COLLATE NOCASE AND k.k1 = r."path" COLLATE BINARY WHERE r."site" = old."site" COLLATE NOCASE AND r."path" = old."path" COLLATE BINARY; DELETE FROM "_dv_pages_keys" WHERE id = (SELECT k.id FROM "_dv_pages_keys" AS k WHERE k.k0 = old."site" COLLATE NOCASE AND k.k1 = old."path" COLLATE BINARY) AND NOT EXISTS (SELECT 1 FROM "pages" AS r WHERE r."site" = old."site" COLLATE NOCASE AND r."path" = old."path" COLLATE BINARY); INSERT INTO "_dv_pages_keys" (k0, k1) SELECT r."site", r."path" FROM "pages" AS r WHERE r."site" = new."site" COLLATE NOCASE AND r."path" = new."path" COLLATE BINARY ON CONFLICT DO NOTHING; DELETE FROM "_dv_pages_fts" WHERE rowid = (SELECT k.id FROM "_dv_pages_keys" AS k WHERE k.k0 = new."site" COLLATE NOCASE AND k.k1 = new."path" COLLATE BINARY); INSERT INTO "_dv_pages_fts" (rowid, c0) SELECT k.id, r."body" FROM "pages" AS r JOIN "_dv_pages_keys" AS k ON k.k0 = r."site" COLLATE NOCASE AND k.k1 = r."path" COLLATE BINARY WHERE r."site" = new."site" COLLATE NOCASE AND r."path" = new."path" COLLATE BINARY; END",
      "CREATE TRIGGER "_dv_pages_updatetext" AFTER UPDATE OF "body" ON "pages" WHEN old."site" IS new."site" COLLATE BINARY AND old."path" IS new."path" COLLATE BINARY AND (old."body" IS NOT new."body" COLLATE BINARY) BEGIN DELETE FROM "_dv_pages_fts" WHERE rowid = (SELECT k.id FROM "_dv_pages_keys" AS k WHERE k.k0 = new."site" COLLATE NOCASE AND k.k1 = new."path" COLLATE BINARY); INSERT INTO "_dv_pages_fts" (rowid, c0) SELECT k.id, r."body" FROM "pages" AS r JOIN "_dv_pages_keys" AS k ON k.k0 = r."site" COLLATE NOCASE AND k.k1 = r."path" COLLATE BINARY WHERE r."site" = new."site" COLLATE NOCASE AND r."path" = new."path" COLLATE BINARY; END",
      "CREATE TRIGGER "_dv_pages_guardinsert" BEFORE INSERT ON "pages" WHEN EXISTS (SELECT 1 FROM "pages" AS r WHERE r.rowid = new.rowid) BEGIN INSERT INTO "_dv_pages_evicted" (id) SELECT k.id FROM (SELECT r."site", r."path" FROM "pages" AS r WHERE r.rowid = new.rowid) AS r JOIN "_dv_pages_keys" AS k ON k.k0 = r."site" COLLATE NOCASE AND k.k1 = r."path" COLLATE BINARY WHERE true; DELETE FROM "_dv_pages_evicted" WHERE seq <= (SELECT e.seq FROM "_dv_pages_evicted" AS e ORDER BY e.seq DESC LIMIT 1) - 2 AND id NOT IN (SELECT e.id FROM "_dv_pages_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "pages" AS r JOIN "_dv_pages_keys" AS k ON k.k0 = r."site" COLLATE NOCASE AND k.k1 = r."path" COLLATE BINARY WHERE k.id = e.id)); END",
      "CREATE TRIGGER "_dv_pages_guardupdate" BEFORE UPDATE OF "site", "path", "rowid", "_rowid_", "oid" ON "pages" WHEN (old."site" IS NOT new."site" COLLATE BINARY OR old."path" IS NOT new."path" COLLATE BINARY) OR old.rowid IS NOT new.rowid BEGIN INSERT INTO "_dv_pages_evicted" (id) SELECT k.id FROM (SELECT r."site", r."path" FROM "pages" AS r WHERE r."site" = new."site" COLLATE NOCASE AND r."path" = new."path" COLLATE BINARY) AS r JOIN "_dv_pages_keys" AS k ON k.k0 = r."site" COLLATE NOCASE AND k.k1 = r."path" COLLATE BINARY WHERE k.id IS NOT (SELECT k.id FROM "_dv_pages_keys" AS k WHERE k.k0 = old."site" COLLATE NOCASE AND k.k1 = old."path" COLLATE BINARY); INSERT INTO "_dv_pages_evicted" (id) SELECT k.id FROM (SELECT r."site", r."path" FROM "pages" AS r WHERE r.rowid = new.rowid) AS r JOIN "_dv_pages_keys" AS k ON k.k0 = r."site" COLLATE NOCASE AND k.k1 = r."path" COLLATE BINARY WHERE k.id IS NOT (SELECT k.id FROM "_dv_pages_keys" AS k WHERE k.k0 = old."site" COLLATE NOCASE AND k.k1 = old."path" COLLATE BINARY); DELETE FROM "_dv_pages_evicted" WHERE seq <= (SELECT e.seq FROM "_dv_pages_evicted" AS e ORDER BY e.seq DESC LIMIT 1) - 2 AND id NOT IN (SELECT e.id FROM "_dv_pages_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "pages" AS r JOIN "_dv_pages_keys" AS k ON k.k0 = r."site" COLLATE NOCASE AND k.k1 = r."path" COLLATE BINARY WHERE k.id = e.id)); END",
      "CREATE TRIGGER "_dv_pages_sweepinsert" AFTER INSERT ON "pages" WHEN EXISTS (SELECT 1 FROM "_dv_pages_evicted") BEGIN DELETE FROM "_dv_pages_fts" WHERE rowid IN (SELECT e.id FROM "_dv_pages_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "pages" AS r JOIN "_dv_pages_keys" AS k ON k.k0 = r."site" COLLATE NOCASE AND k.k1 = r."path" COLLATE BINARY WHERE k.id = e.id)); DELETE FROM "_dv_pages_keys" WHERE id IN (SELECT e.id FROM "_dv_pages_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "pages" AS r JOIN "_dv_pages_keys" AS k ON k.k0 = r."site" COLLATE NOCASE AND k.k1 = r."path" COLLATE BINARY WHERE k.id = e.id)); DELETE FROM "_dv_pages_evicted" WHERE id IN (SELECT e.id FROM "_dv_pages_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "pages" AS r JOIN "_dv_pages_keys" AS k ON k.k0 = r."site" COLLATE NOCASE AND k.k1 = r."path" COLLATE BINARY WHERE k.id = e.id)); END",
      "CREATE TRIGGER "_dv_pages_sweepupdate" AFTER UPDATE OF "site", "path", "rowid", "_rowid_", "oid" ON "pages" WHEN ((old."site" IS NOT new."site" COLLATE BINARY OR old."path" IS NOT new."path" COLLATE BINARY) OR old.rowid IS NOT new.rowid) AND EXISTS (SELECT 1 FROM "_dv_pages_evicted") BEGIN DELETE FROM "_dv_pages_fts" WHERE rowid IN (SELECT e.id FROM "_dv_pages_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "pages" AS r JOIN "_dv_pages_keys" AS k ON k.k0 = r."site" COLLATE NOCASE AND k.k1 = r."path" COLLATE BINARY WHERE k.id = e.id)); DELETE FROM "_dv_pages_keys" WHERE id IN (SELECT e.id FROM "_dv_pages_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "pages" AS r JOIN "_dv_pages_keys" AS k ON k.k0 = r."site" COLLATE NOCASE AND k.k1 = r."path" COLLATE BINARY WHERE k.id = e.id)); DELETE FROM "_dv_pages_evicted" WHERE id IN (SELECT e.id FROM "_dv_pages_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "pages" AS r JOIN "_dv_pages_keys" AS k ON k.k0 = r."site" COLLATE NOCASE AND k.k1 = r."path" COLLATE BINARY WHERE k.id = e.id)); END",
      "CREATE TRIGGER "_dv_pages_sweepdelete" AFTER DELETE ON "pages" WHEN EXISTS (SELECT 1 FROM "_dv_pages_evicted") BEGIN DELETE FROM "_dv_pages_fts" WHERE rowid IN (SELECT e.id FROM "_dv_pages_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "pages" AS r JOIN "_dv_pages_keys" AS k ON k.k0 = r."site" COLLATE NOCASE AND k.k1 = r."path" COLLATE BINARY WHERE k.id = e.id)); DELETE FROM "_dv_pages_keys" WHERE id IN (SELECT e.id FROM "_dv_pages_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "pages" AS r JOIN "_dv_pages_keys" AS k ON k.k0 = r."site" COLLATE NOCASE AND k.k1 = r."path" COLLATE BINARY WHERE k.id = e.id)); DELETE FROM "_dv_pages_evicted" WHERE id IN (SELECT e.id FROM "_dv_pages_evicted" AS e WHERE NOT EXISTS (SELECT 1 FROM "pages" AS r JOIN "_dv_pages_keys" AS k ON k.k0 = r."site" COLLATE NOCASE AND k.k1 = r."path" COLLATE BINARY WHERE k.id = e.id)); END",
    ]
  `);
});

test("vectors alone on an integer key: a log and no text", () => {
  const db = open(CREATE);
  ensure(db, searchIndex("v", docs, { vectors: { embedding: {} } }));
  expect(sqlOf(db)).toMatchInlineSnapshot(`
    [
      "CREATE TABLE "_dv_indexes" (name TEXT PRIMARY KEY COLLATE NOCASE NOT NULL, tbl TEXT NOT NULL, definition TEXT NOT NULL, hash TEXT NOT NULL, managed TEXT NOT NULL, format INTEGER NOT NULL, pending TEXT, settings TEXT)",
      "CREATE TABLE "_dv_v_log" (seq INTEGER PRIMARY KEY, id INTEGER, nonce INTEGER NOT NULL DEFAULT (random()))",
      "CREATE TABLE "_dv_v_head" ("column" TEXT PRIMARY KEY NOT NULL, generation INTEGER NOT NULL, seq INTEGER, nonce INTEGER, format INTEGER NOT NULL)",
      "CREATE TABLE "_dv_v_chunks" ("column" TEXT NOT NULL, generation INTEGER NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY ("column", generation, part))",
      "CREATE TRIGGER "_dv_v_logdelete" AFTER DELETE ON "_dv_v_log" WHEN (SELECT count(*) = count(h.seq) AND old.seq < min(h.seq) - 4096 FROM "_dv_v_head" AS h) IS NOT 1 BEGIN INSERT INTO "_dv_v_log" (id) SELECT NULL WHERE NOT ((SELECT l.id IS NULL FROM "_dv_v_log" AS l WHERE l.seq > old.seq ORDER BY l.seq DESC LIMIT 1) IS 1); END",
      "CREATE TRIGGER "_dv_v_logupdate" AFTER UPDATE ON "_dv_v_log" WHEN (SELECT count(*) = count(h.seq) AND old.seq < min(h.seq) - 4096 FROM "_dv_v_head" AS h) IS NOT 1 BEGIN INSERT INTO "_dv_v_log" (id) SELECT NULL WHERE NOT ((SELECT l.id IS NULL FROM "_dv_v_log" AS l WHERE l.seq > old.seq ORDER BY l.seq DESC LIMIT 1) IS 1); END",
      "CREATE TRIGGER "_dv_v_insert" AFTER INSERT ON "docs" BEGIN INSERT INTO "_dv_v_log" (id) SELECT new."id"; END",
      "CREATE TRIGGER "_dv_v_deletevectors" BEFORE DELETE ON "docs" BEGIN INSERT INTO "_dv_v_log" (id) SELECT old."id"; END",
      "CREATE TRIGGER "_dv_v_movevectors" BEFORE UPDATE OF "id", "rowid", "_rowid_", "oid" ON "docs" WHEN old."id" IS NOT new."id" BEGIN INSERT INTO "_dv_v_log" (id) SELECT old."id"; INSERT INTO "_dv_v_log" (id) SELECT new."id"; END",
      "CREATE TRIGGER "_dv_v_updatevectors" BEFORE UPDATE OF "embedding" ON "docs" WHEN old."id" IS new."id" AND (old."embedding" IS NOT new."embedding" COLLATE BINARY) BEGIN INSERT INTO "_dv_v_log" (id) SELECT old."id"; END",
    ]
  `);
});

test("what the shadow tables hold after rows that were there before, a REPLACE, an update and a delete", () => {
  const db = open(CREATE, UNIQUE);
  const insert = db.prepare("INSERT OR REPLACE INTO docs VALUES (?, ?, ?, ?, ?)");
  insert.run(1, "join", "can I join", "yes", vector(1, 0));
  insert.run(2, "late", "can I submit late", null, null);
  ensure(db, docsSearch);
  expect(rows(db, "SELECT rowid, c0, c1 FROM _dv_docs_search_fts")).toEqual([
    [1, "can I join", "yes"],
    [2, "can I submit late", null],
  ]);
  expect(rows(db, "SELECT seq, id, typeof(nonce) FROM _dv_docs_search_log")).toEqual([[1, null, "integer"]]);
  expect(rows(db, "SELECT * FROM _dv_docs_search_head")).toEqual([["embedding", 0, null, null, 1]]);
  expect(rows(db, "SELECT name, tbl, hash, managed, format, pending FROM _dv_indexes")).toEqual([
    ["docs_search", "docs", hashOf(definitionOf(docsSearch)), "ensure", 1, null],
  ]);

  insert.run(3, "late", "deadlines", "none", vector(0, 1));
  db.exec("UPDATE docs SET answer = 'of course' WHERE id = 1");
  db.exec("UPDATE docs SET embedding = NULL WHERE id = 1");
  db.exec("DELETE FROM docs WHERE id = 3");
  expect(rows(db, "SELECT rowid, c0, c1 FROM _dv_docs_search_fts")).toEqual([[1, "can I join", "of course"]]);
  expect(rows(db, "SELECT seq, id FROM _dv_docs_search_log")).toEqual([
    [1, null],
    [2, 2],
    [3, 3],
    [4, 1],
    [5, 3],
  ]);
  expect(rows(db, "SELECT * FROM _dv_docs_search_evicted")).toEqual([]);
  expect(rows(db, "SELECT rowid FROM _dv_docs_search_fts WHERE _dv_docs_search_fts MATCH 'joining'")).toEqual([[1]]);
});
