import { join } from "node:path";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { ensureSearchIndexes, IndexMissingError, searchIndex, status } from "../../src/index.ts";
import { sqliteWarnings } from "../../src/maintenance/status.ts";
import { DRIVERS, openBetterSqlite3, temporaryFolder } from "../helpers/databases.ts";
import { DDL, docs, docsSearch, pagesSearch, ROWS } from "./app.ts";

function open(file?: string) {
  const opened = openBetterSqlite3({}, file);
  for (const statement of [...DDL, ...ROWS]) opened.client.exec(statement);
  ensureSearchIndexes(opened.db, [docsSearch, pagesSearch]);
  return opened;
}

describe.each(DRIVERS)("on $name", ({ open }) => {
  test("tells how an index stands", async () => {
    const { db, exec } = open();
    for (const statement of [...DDL, ...ROWS]) await exec(statement);
    await ensureSearchIndexes(db, [docsSearch, pagesSearch]);
    await exec("INSERT INTO docs (id, title) VALUES (4, 'four'), (5, 'five')");
    expect(await status(db, docsSearch)).toEqual({
      index: "docs_search",
      table: "docs",
      rows: 5,
      indexed: 5,
      pending: null,
      log: 3,
      bytes: { log: 4096, head: 8192, chunks: 8192, evicted: 4096, fts: 20480 },
      ok: true,
      problems: [],
      managed: "ensure",
      format: 1,
      declared: true,
      sqlite: { version: expect.any(String), journalMode: expect.any(String), warnings: [] },
    });
    const all = await status(db);
    expect(all.map(({ index, declared }) => ({ index, declared }))).toEqual([
      { index: "docs_search", declared: null },
      { index: "pages_search", declared: null },
    ]);
    expect(all[1]).toMatchObject({ rows: 3, indexed: 3, log: null, bytes: { keys: 8192, evicted: 4096, fts: 20480 } });
  });
});

test("a database without an index has none", () => {
  const { db } = openBetterSqlite3();
  expect(status(db)).toEqual([]);
  expect(() => status(db, docsSearch)).toThrow(IndexMissingError);
});

test("tells what is pending, what is wrong and whether the code declares the same", () => {
  const { client, db } = open();
  const other = searchIndex("docs_search", docs, { text: { title: 1 } });
  ensureSearchIndexes(db, [other], { deferText: true });
  client.exec("DROP TRIGGER _dv_docs_search_insert");
  expect(status(db, docsSearch)).toMatchObject({
    pending: "text",
    rows: 3,
    indexed: 0,
    log: null,
    declared: false,
    ok: false,
    problems: [
      {
        code: "OBJECT_MISSING",
        object: "_dv_docs_search_insert",
        message: "trigger _dv_docs_search_insert is missing",
      },
    ],
  });
});

test("tells what there is of an index whose tables are gone, or which a newer library made", () => {
  const { client, db } = open();
  client.exec("DROP TABLE _dv_docs_search_fts; DROP TABLE _dv_docs_search_log; DROP TABLE pages");
  client.exec("UPDATE _dv_indexes SET format = 2 WHERE name = 'pages_search'");
  const [first, second] = status(db) as [any, any];
  expect(first).toMatchObject({ indexed: null, log: null, rows: 3, ok: false });
  expect(second).toMatchObject({
    table: "pages",
    rows: null,
    format: 2,
    ok: false,
    problems: [{ code: "INDEX_FORMAT" }],
  });
});

test("works on a read-only database", () => {
  const file = join(temporaryFolder(), "app.db");
  open(file);
  const client = new Database(file, { readonly: true });
  onTestFinished(() => void client.close());
  expect(status(drizzle({ client }), "pages_search")).toMatchObject({ rows: 3, indexed: 3, ok: true });
});

test("76: says where a version of SQLite is too old", () => {
  expect(sqliteWarnings("3.51.3", "wal")).toEqual([]);
  expect(sqliteWarnings("3.51.2", "delete")).toEqual([]);
  expect(sqliteWarnings("3.51.2", "wal")).toEqual([expect.stringContaining("use 3.51.3 or newer")]);
  expect(sqliteWarnings("3.9.2", "WAL")).toHaveLength(2);
  expect(sqliteWarnings("4.0.0", "wal")).toEqual([]);
});
