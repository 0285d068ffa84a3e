import { join } from "node:path";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { sqliteTable, text } from "drizzle-orm/sqlite-core";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  configure,
  ensureSearchIndexes,
  IndexFormatError,
  IndexMissingError,
  InvalidOptionError,
  nearest,
  optimize,
  type Progress,
  rebuild,
  type SearchEvent,
  search,
  searchIndex,
  status,
  verify,
} from "../../src/index.ts";
import { definitionOf } from "../../src/migration/definition.ts";
import { driftOf } from "../../src/migration/drift.ts";
import { DRIVERS, openBetterSqlite3, randomVector, seeded, temporaryFolder } from "../helpers/databases.ts";
import { installedIn } from "../migration/database.ts";
import { DDL, docs, docsSearch, pagesSearch, ROWS } from "./app.ts";
import { bytesOf, DIMENSIONS, items, itemsSearch, openVectors } from "./vectors.ts";

function open(file?: string) {
  const opened = openBetterSqlite3({}, file);
  for (const statement of [...DDL, ...ROWS]) opened.client.exec(statement);
  ensureSearchIndexes(opened.db, [docsSearch, pagesSearch]);
  // Shadow tables are written to below, which SQLite's defensive mode refuses.
  opened.client.unsafeMode(true);
  return opened;
}

const FTS = "_dv_docs_search_fts";

describe.each(DRIVERS)("on $name", ({ name, open }) => {
  test("an index that equals its table is fine, whatever its key", async () => {
    const { db, exec } = open();
    for (const statement of [...DDL, ...ROWS]) await exec(statement);
    await ensureSearchIndexes(db, [docsSearch, pagesSearch]);
    const fine = { ok: true, problems: [], rows: 3, indexed: 3, ms: expect.any(Number) };
    const reason = "docs.embedding: expected more than 10 rows with a vector, so that something can be missed, got 0";
    const nothing = { measured: null, standardError: null, p5: null, queries: 0, limit: 10, reason };
    const recall = name === "libSQL" ? [] : [{ column: "embedding", asked: 0.95, ...nothing }];
    expect(await verify(db, docsSearch)).toEqual({ index: "docs_search", recall, ...fine });
    expect(await verify(db, docsSearch, { recallQueries: 0 })).toMatchObject({ ok: true, recall: [] });
    expect(await verify(db, "pages_search")).toEqual({ index: "pages_search", recall: [], ...fine });
  });

  test("what disagrees is told with its number and the key of the first", async () => {
    const { db, exec } = open();
    for (const statement of [...DDL, ...ROWS]) await exec(statement);
    await ensureSearchIndexes(db, [docsSearch, pagesSearch]);
    await exec(`DELETE FROM ${FTS} WHERE rowid IN (2, 3)`);
    await exec(`INSERT INTO ${FTS} (rowid, c0) VALUES (9007199254740993, 'ghost')`);
    await exec(`UPDATE ${FTS} SET c0 = 'Apples', c1 = 'red and green' WHERE rowid = 1`);
    expect(await verify(db, docsSearch)).toMatchObject({
      ok: false,
      rows: 3,
      indexed: 2,
      problems: [
        { code: "ROW_NOT_INDEXED", message: "rows of docs are not in index docs_search", count: 2, key: 2 },
        { code: "TEXT_DIFFERS", message: "index docs_search has another text of rows of docs", count: 1, key: 1 },
        {
          code: "NOT_A_ROW",
          message: "index docs_search has texts of rows that docs does not have",
          count: 1,
          key: 9007199254740993n,
        },
      ],
    });
    await exec("DELETE FROM _dv_pages_search_fts WHERE rowid = 2");
    await exec("DELETE FROM _dv_pages_search_keys WHERE id = 3");
    await exec("INSERT INTO _dv_pages_search_keys VALUES (8, 'c', '/')");
    expect((await verify(db, pagesSearch)).problems).toMatchObject([
      { code: "ROW_NOT_INDEXED", count: 1, key: ["a", "/pears"] },
      { code: "NOT_A_ROW", count: 1 },
      { code: "ROW_WITHOUT_ID", count: 1, key: ["b", "/"] },
      { code: "ID_WITHOUT_ROW", count: 1, key: ["c", "/"] },
    ]);
    await rebuild(db, docsSearch);
    await rebuild(db, pagesSearch);
    expect(await verify(db, docsSearch)).toMatchObject({ ok: true });
    expect(await verify(db, pagesSearch)).toMatchObject({ ok: true });
  });
});

test("texts that equal but for their case or a NUL differ", async () => {
  const { client, db } = open();
  client.exec(`UPDATE docs SET title = 'a' || char(0) || 'b' WHERE id = 2`);
  expect((await verify(db, docsSearch)).ok).toBe(true);
  client.exec(`UPDATE ${FTS}_content SET c0 = 'a' || char(0) || 'c' WHERE id = 2`);
  expect((await verify(db, docsSearch)).problems).toMatchObject([
    { code: "TEXT_DIFFERS", key: 2 },
    { code: "TEXT_DAMAGED" },
  ]);
});

test("32: a recreated table: each missing trigger, and the rows that went by unseen", async () => {
  const { client, db } = open();
  client.exec(`${DDL[0]!.replace("docs", "__new_docs")}; INSERT INTO __new_docs SELECT * FROM docs; DROP TABLE docs;
    ALTER TABLE __new_docs RENAME TO docs; INSERT INTO docs (id) VALUES (4)`);
  const { problems } = await verify(db, docsSearch);
  expect(problems.filter(({ code }) => code === "OBJECT_MISSING").map(({ message }) => message)).toContain(
    "trigger _dv_docs_search_insert is missing",
  );
  expect(problems).toContainEqual({
    code: "ROW_NOT_INDEXED",
    message: "rows of docs are not in index docs_search",
    count: 1,
    key: 4,
  });
});

test.each([
  ["an overwritten leaf", `UPDATE ${FTS}_data SET block = zeroblob(length(block)) WHERE id > 10`, "corruption found"],
  ["an index wiped", `DELETE FROM ${FTS}_data`, "corruption found"],
  ["a wiped configuration", `DELETE FROM ${FTS}_config`, "invalid fts5 file format"],
  ["a row of docsize lost", `DELETE FROM ${FTS}_docsize WHERE id = 1`, "malformed inverted index"],
  ["the copy of the text lost", `DROP TABLE ${FTS}_content`, "no such table"],
])("67: %s", async (_, damage, message) => {
  const file = join(temporaryFolder(), "app.db");
  const { client } = open(file);
  client.exec(damage);
  // What a connection has in memory of FTS5's index hides the damage from it.
  const { db } = openBetterSqlite3({}, file);
  const { problems } = await verify(db, docsSearch);
  expect(problems[0]).toEqual({ code: "TEXT_DAMAGED", message: expect.stringContaining(message) });
});

test("a table of texts that is gone is told, and the rest compared", async () => {
  const { client, db } = open();
  client.exec(`DROP TABLE ${FTS}`);
  expect(await verify(db, docsSearch)).toMatchObject({
    rows: 3,
    indexed: 0,
    problems: [{ code: "OBJECT_MISSING", message: `table ${FTS} is missing` }],
  });
});

test("a key map that is gone is told, and nothing is guessed", async () => {
  const { client, db } = open();
  client.exec("DROP TABLE _dv_pages_search_keys");
  expect(await verify(db, pagesSearch)).toMatchObject({
    rows: 0,
    problems: [{ code: "OBJECT_MISSING", message: "table _dv_pages_search_keys is missing" }],
  });
});

test("rows without a key cannot be indexed", async () => {
  const notes = sqliteTable("notes", { slug: text().primaryKey(), body: text() });
  const notesSearch = searchIndex("notes_search", notes, { text: { body: 1 } });
  const { client, db } = open();
  client.exec(
    "CREATE TABLE notes (slug TEXT PRIMARY KEY, body TEXT); INSERT INTO notes VALUES ('a', 'a'), (NULL, 'b')",
  );
  ensureSearchIndexes(db, [notesSearch]);
  expect(await verify(db, notesSearch)).toMatchObject({
    rows: 2,
    indexed: 1,
    problems: [{ code: "KEY_NULL", message: "rows of notes have NULL in their primary key", count: 1 }],
  });
});

test("37: a log that was emptied or cut, and a vector column without its head", async () => {
  const { client, db } = open();
  const codes = async () => (await verify(db, docsSearch)).problems.map(({ code }) => code);
  client.exec("UPDATE _dv_docs_search_head SET seq = 1, nonce = (SELECT nonce FROM _dv_docs_search_log WHERE seq = 1)");
  expect(await codes()).toEqual([]);
  client.exec("UPDATE _dv_docs_search_head SET nonce = nonce + 1");
  expect(await codes()).toEqual(["LOG_LOST"]);
  client.exec("UPDATE _dv_docs_search_head SET nonce = nonce - 1; UPDATE docs SET embedding = NULL");
  expect(await codes()).toEqual([]);
  client.exec("DELETE FROM _dv_docs_search_log WHERE seq = (SELECT max(seq) FROM _dv_docs_search_log)");
  expect(await codes()).toEqual(["LOG_LOST"]);
  client.exec("DELETE FROM _dv_docs_search_head");
  expect(await codes()).toEqual(["HEAD_MISSING"]);
  await rebuild(db, docsSearch);
  expect(await codes()).toEqual([]);
});

test("a vector-only index has rows and no texts", async () => {
  const { db } = open();
  const other = searchIndex("vectors_only", docs, { vectors: { embedding: {} } });
  ensureSearchIndexes(db, [other]);
  expect(await verify(db, other)).toMatchObject({ ok: true, rows: 3, indexed: null });
});

test("a declaration that differs from the record, and text that is pending", async () => {
  const { db } = open();
  const other = searchIndex("docs_search", docs, { text: { title: 1 } });
  ensureSearchIndexes(db, [other], { deferText: true });
  expect((await verify(db, docsSearch)).problems).toEqual([
    {
      code: "DECLARATION_DIFFERS",
      message: "index docs_search is declared otherwise in the code than the database records it",
    },
    { code: "TEXT_PENDING", message: "the text of index docs_search is not filled yet" },
  ]);
});

test("check tells a declaration that differs before the objects that differ because of it", () => {
  const { client } = open();
  const other = searchIndex("docs_search", docs, { text: { title: 1 } });
  const [first, ...others] = driftOf([definitionOf(other)], installedIn(client)).filter(
    ({ index }) => index === "docs_search",
  );
  expect(first).toMatchObject({
    code: "DECLARATION_DIFFERS",
    message: expect.stringMatching(/^index docs_search was made with /),
  });
  expect(new Set(others.map(({ code }) => code))).toContain("OBJECT_DIFFERS");
});

test("a record that was altered is told, whoever asks, and recorded anew by the declaration", async () => {
  const file = join(temporaryFolder(), "app.db");
  const { client, db } = open(file);
  const message = "the record of index docs_search in _dv_indexes is damaged, or was altered";
  const remedy = "Call ensureSearchIndexes with the declaration, which records it anew.";
  for (const heal of [() => rebuild(db, docsSearch), () => ensureSearchIndexes(db, [docsSearch])]) {
    client.exec("UPDATE _dv_indexes SET definition = replace(definition, 'cosine', 'l2') WHERE name = 'docs_search'");
    const other = openBetterSqlite3({}, file);
    const events: SearchEvent[] = [];
    configure(other.db, { onEvent: (event) => void events.push(event) });
    expect(nearest(other.db, docs.embedding, [1, 0]).all()).toEqual([]);
    expect(events).toEqual([
      expect.objectContaining({ code: "FALLBACK", message: expect.stringContaining(message), hint: remedy }),
    ]);
    expect(() => search(other.db, docsSearch, "apples").all()).toThrow(
      expect.objectContaining({ code: "INDEX_DETACHED", message: expect.stringContaining(message), hint: remedy }),
    );
    const problem = { code: "RECORD_DAMAGED", message };
    expect((await verify(other.db, docsSearch)).problems).toEqual([problem]);
    for (const index of [docsSearch, "docs_search"]) {
      expect(status(other.db, index)).toMatchObject({ ok: false, problems: [{ ...problem, object: "docs_search" }] });
    }
    expect(
      driftOf(
        [docsSearch, pagesSearch].map((index) => definitionOf(index)),
        installedIn(other.client),
      ),
    ).toEqual([{ index: "docs_search", ...problem }]);
    await heal();
    expect(search(other.db, docsSearch, "apples").all()).toHaveLength(1);
    expect(await verify(db, "docs_search")).toMatchObject({ ok: true });
  }
  // The record of an index of text alone is mended without any change of the schema.
  client.exec("UPDATE _dv_indexes SET definition = replace(definition, 'porter', 'ascii') WHERE name = 'pages_search'");
  const other = openBetterSqlite3({}, file);
  expect(() => search(other.db, pagesSearch, "apples").all()).toThrow("the record of index pages_search");
  ensureSearchIndexes(db, [pagesSearch]);
  expect(search(other.db, pagesSearch, "apples").all()).toHaveLength(1);
});

test("the name of the table beside the definition, which says it, too, is for people: to alter it does no harm", async () => {
  const file = join(temporaryFolder(), "app.db");
  const { client } = open(file);
  client.exec("UPDATE _dv_indexes SET tbl = 'pages' WHERE name = 'docs_search'");
  const { db } = openBetterSqlite3({}, file);
  expect(search(db, docsSearch, "apples").all()).toHaveLength(1);
  expect(status(db, docsSearch)).toMatchObject({ ok: true, table: "docs", rows: 3 });
  expect(await verify(db, docsSearch)).toMatchObject({ ok: true, rows: 3 });
  expect(ensureSearchIndexes(db, [docsSearch])).toMatchObject([{ action: "unchanged" }]);
});

test("a table without what is recorded", async () => {
  const { client, db } = open();
  client.exec("DROP TABLE docs");
  expect(await verify(db, docsSearch)).toMatchObject({
    ok: false,
    problems: [{ code: "TABLE_MISSING", message: "table docs does not exist" }],
  });
});

test("works on a read-only database, and writes nothing anywhere", async () => {
  const file = join(temporaryFolder(), "app.db");
  const { client } = open(file);
  client.exec(`DELETE FROM ${FTS} WHERE rowid = 1`);
  const version = client.pragma("data_version", { simple: true });
  const readonly = new Database(file, { readonly: true });
  onTestFinished(() => void readonly.close());
  expect((await verify(drizzle({ client: readonly }), docsSearch)).problems).toMatchObject([
    { code: "ROW_NOT_INDEXED" },
  ]);
  expect((await verify(openBetterSqlite3({}, file).db, docsSearch)).ok).toBe(false);
  expect(client.pragma("data_version", { simple: true })).toBe(version);
});

test("writes between slices are no problems, and a signal ends it", async () => {
  const { client, db } = open();
  client.exec(
    "WITH n(i) AS (VALUES (10) UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO docs (id, title) SELECT i, i FROM n",
  );
  const progress: Progress[] = [];
  let slice = 0;
  const result = await verify(db, docsSearch, {
    onProgress(step) {
      progress.push(step);
      client.exec(
        `UPDATE docs SET title = 'changed' WHERE id IN (1, 4000); DELETE FROM docs WHERE id = ${4999 - slice++}`,
      );
      client.exec(`INSERT INTO docs (id, title) VALUES (${-slice}, ''), (${9000 + slice}, '')`);
    },
  });
  expect(result).toMatchObject({ ok: true });
  expect(progress.length).toBeGreaterThan(2);
  expect(progress[0]).toEqual({ done: 256, total: 4994 });
  const controller = new AbortController();
  const aborted = verify(db, docsSearch, {
    signal: controller.signal,
    onProgress: () => controller.abort(new Error("enough")),
  });
  await expect(aborted).rejects.toThrow("enough");
});

test("what another connection wrote since this one last searched is no damage", async () => {
  const file = join(temporaryFolder(), "shared.db");
  const { db } = open(file);
  const other = new Database(file);
  onTestFinished(() => void other.close());
  for (const word of ["plums", "grapes", "figs"]) {
    expect(search(db, docsSearch, word).all()).toEqual([]);
    other.exec(`UPDATE docs SET body = '${word} and more' WHERE id = 2`);
    expect((await verify(db, docsSearch)).problems).toEqual([]);
    other.exec("UPDATE docs SET body = 'green' WHERE id = 2");
  }
});

test("inside a transaction it sees the transaction's own writes", async () => {
  const { client, db } = open();
  client.exec("BEGIN; INSERT INTO docs (id) VALUES (4)");
  expect(await verify(db, docsSearch)).toMatchObject({ ok: true, rows: 4 });
  client.exec("ROLLBACK");
});

describe("refuses", () => {
  test("an index that is not there, is of a newer format or damaged, or no index", async () => {
    const { client, db } = open();
    await expect(verify(db, "other")).rejects.toThrow(IndexMissingError);
    await expect(verify(db, {} as never)).rejects.toThrow(InvalidOptionError);
    client.exec("UPDATE _dv_indexes SET definition = ''");
    await expect(verify(db, "docs_search")).rejects.toThrow(
      "expected a definition that can be read, got a damaged one",
    );
    client.exec("UPDATE _dv_indexes SET format = 2");
    await expect(verify(db, docsSearch)).rejects.toThrow(IndexFormatError);
  });
});

describe("codes are compared with the rows there are", () => {
  /** Does something on a connection that finds no trigger of ours for vectors: another has taken them out of the schema meanwhile. */
  function untracked(client: Database.Database, file: string, sql: string): void {
    const triggers = client
      .prepare("SELECT * FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%_log%'")
      .raw(true)
      .all() as unknown[][];
    client.unsafeMode(true);
    client.pragma("writable_schema = ON");
    client.exec("DELETE FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%_log%'");
    const other = new Database(file);
    other.exec(sql);
    other.close();
    const restored = client.prepare("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)");
    for (const trigger of triggers) restored.run(...trigger);
    client.pragma("writable_schema = OFF");
    client.unsafeMode(false);
  }

  const columns = ["vec", "approximate", "bits"];

  test.each([
    {
      what: "rows that came unseen",
      sql: "INSERT INTO items (id, vec, approximate, bits) SELECT id + 5000, vec, approximate, bits FROM items WHERE id IN (7, 9)",
      code: "ROW_WITHOUT_CODE",
      message: (column: string) =>
        `rows of items have a vector in column ${column} that index items_search knows nothing of`,
      key: 5007,
    },
    {
      what: "rows that went unseen",
      sql: "DELETE FROM items WHERE id IN (7, 9)",
      code: "CODE_WITHOUT_ROW",
      message: (column: string) =>
        `index items_search has codes of rows that items does not have, or without a vector in column ${column}`,
      key: undefined,
    },
  ])("$what are told, and healed by rebuild", async ({ sql, code, message, key }) => {
    const file = join(temporaryFolder(), "app.db");
    const { client, db } = openVectors({ rows: 400, file });
    await optimize(db, itemsSearch);
    expect(await verify(db, itemsSearch, { recallQueries: 0 })).toMatchObject({ ok: true });
    untracked(client, file, sql);
    const { problems } = await verify(db, itemsSearch, { recallQueries: 0 });
    expect(problems).toEqual(
      columns.map((column) => ({ code, message: message(column), count: 2, ...(key && { key }) })),
    );
    await rebuild(db, itemsSearch);
    expect(await verify(db, itemsSearch, { recallQueries: 0 })).toMatchObject({ ok: true, problems: [] });
  });

  test("vectors that changed unseen are told, and this connection does without the codes; rebuild heals", async () => {
    const file = join(temporaryFolder(), "app.db");
    const { client, db } = openVectors({ rows: 400, file });
    await optimize(db, itemsSearch);
    const first = () => nearest(db, items.embedding, other, { limit: 1 }).all()[0];
    const other = randomVector(seeded(3), DIMENSIONS);
    const vector = bytesOf(other).toString("hex");
    first();
    untracked(
      client,
      file,
      `UPDATE items SET vec = x'${vector}', approximate = x'${vector}', bits = x'${vector.slice(0, 16)}' WHERE id IN (7, 9, 300);
      UPDATE items SET vec = 'text' WHERE id = 350`,
    );
    expect(first()?.$distance).toBeGreaterThan(0.1);
    const message = (column: string) =>
      `index items_search has codes of other vectors than rows of items have in column ${column}`;
    // Estimates from 1-bit codes prove nothing.
    expect((await verify(db, itemsSearch, { recallQueries: 0 })).problems).toEqual([
      { code: "CODE_DIFFERS", message: message("vec"), count: 4, key: 7 },
      { code: "CODE_DIFFERS", message: message("bits"), count: 3, key: 7 },
    ]);
    expect(first()).toMatchObject({ id: 7, $distance: 0 });
    await rebuild(db, itemsSearch);
    expect(await verify(db, itemsSearch, { recallQueries: 0 })).toMatchObject({ ok: true, problems: [] });
    expect(first()).toMatchObject({ id: 7, $distance: 0 });
  });

  test("rows that came, went, changed, hold no vector or lost it since the codes were written are none", async () => {
    const { client, db } = openVectors({ rows: 400 });
    client.exec("UPDATE items SET vec = x'00' WHERE id = 3; UPDATE items SET vec = 'text' WHERE id = 4");
    await optimize(db, itemsSearch);
    client.exec("UPDATE items SET vec = NULL WHERE id IN (3, 5); DELETE FROM items WHERE id = 6");
    client.exec(
      "INSERT INTO items (vec, bits) SELECT vec, x'00' FROM items WHERE id = 7; UPDATE items SET id = -1 WHERE id = 8",
    );
    expect(await verify(db, itemsSearch, { recallQueries: 0 })).toMatchObject({ ok: true, problems: [] });
  });
});
