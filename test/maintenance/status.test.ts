import { join } from "node:path";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  configure,
  ensureSearchIndexes,
  IndexMissingError,
  nearest,
  optimize,
  release,
  searchIndex,
  status,
} from "../../src/index.ts";
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
      vectors: [
        {
          column: "embedding",
          generation: null,
          rows: null,
          segments: null,
          pending: null,
          problem: null,
          resident: null,
          drift: null,
          advice: null,
          skipped: 0,
          recall: null,
        },
      ],
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

test("tells what vectors have on disk and in memory", async () => {
  const { client, db } = open();
  const vector = () => (status(db, docsSearch) as any).vectors[0];
  client.exec("UPDATE docs SET embedding = x'0000803f00000040' WHERE id < 3");
  expect(nearest(db, docs.embedding, [1, 2]).all()).toHaveLength(2);
  const { bytes, ...resident } = vector().resident;
  expect(resident).toEqual({ rows: 2, streamed: 0 });
  expect(bytes).toBeGreaterThan(0);
  release(db);
  await optimize(db, docsSearch);
  const stored = {
    column: "embedding",
    rows: 2,
    segments: 1,
    problem: null,
    resident: null,
    advice: null,
    skipped: 0,
    recall: null,
  };
  const drift = { changed: 0, changedShare: 0, unfitted: 0, shift: 0 };
  expect(vector()).toEqual({ ...stored, generation: 3, pending: 0, drift });
  client.exec("UPDATE docs SET embedding = NULL WHERE id = 1");
  expect(vector()).toEqual({
    ...stored,
    generation: 3,
    pending: 1,
    drift: { ...drift, changed: 1, changedShare: 0.5 },
  });
  configure(db, { memoryBudget: 0 });
  expect(nearest(db, docs.embedding, [1, 2]).all()).toHaveLength(1);
  expect(vector().resident).toMatchObject({ rows: 1, streamed: 1 });
  release(db);
  client.exec("CREATE TABLE other (x)");
  const since = { ...stored, generation: 3, pending: null, drift: null };
  expect(vector()).toEqual({ ...since, problem: "the schema has changed since it was written" });
  await optimize(db, docsSearch);
  client.exec("DELETE FROM _dv_docs_search_log");
  expect(vector()).toMatchObject({ rows: 1, pending: null, problem: "the log does not reach back to it" });
  client.exec("UPDATE _dv_docs_search_chunks SET bytes = x'00'");
  expect(vector()).toMatchObject({ rows: null, segments: null, problem: "part 0 of generation 6 is no chunk" });
  client.exec("DROP TABLE _dv_docs_search_chunks");
  expect(vector()).toMatchObject({ generation: null, problem: null });
});

test("counts the rows whose values are of another length than the column's vectors, which nearest does not find", () => {
  const { client, db } = open();
  const skipped = () => (status(db, docsSearch) as any).vectors[0].skipped;
  client.exec("UPDATE docs SET embedding = x'0000803f00000040'");
  expect(skipped()).toBe(0);
  client.exec("UPDATE docs SET embedding = x'0000803f0000004000004040' WHERE id = 1");
  client.exec("UPDATE docs SET embedding = '12345678' WHERE id = 2");
  expect(skipped()).toBe(2);
  expect(status(db, docsSearch)).toMatchObject({ rows: 3, ok: true });
  client.exec("UPDATE docs SET embedding = NULL WHERE id < 3");
  expect(skipped()).toBe(0);
  client.exec("ALTER TABLE docs RENAME COLUMN embedding TO other");
  expect(skipped()).toBe(null);
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
