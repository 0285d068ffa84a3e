import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { sqliteTable, text } from "drizzle-orm/sqlite-core";
import { describe, expect, test } from "vitest";
import * as library from "../../src/index.ts";
import { DRIVERS, temporaryFolder } from "../helpers/databases.ts";
import { APP_NAMES, APPS, createApp } from "./app.ts";
import { open, write } from "./opened.ts";
import { expectAnswers, expectInStep } from "./witness.ts";

const { dropSearchIndex, ensureSearchIndexes, hybrid, nearest, search, searchIndex, vectorColumn } = library;

const SOURCES = new URL("../../src/", import.meta.url);

/** The table-valued functions of SQLite that our SQL reads, as the sources name them. */
const FUNCTIONS = [
  ...new Set(
    (readdirSync(SOURCES, { recursive: true }) as string[])
      .filter((name) => name.endsWith(".ts"))
      .flatMap((name) => [...readFileSync(new URL(name, SOURCES), "utf8").matchAll(/\beponymous\("(\w+)"\)/g)])
      .map(([, name]) => name!),
  ),
].sort();

test("they are these", () => {
  expect(FUNCTIONS).toEqual([
    "dbstat",
    "json_each",
    "pragma_database_list",
    "pragma_encoding",
    "pragma_foreign_key_list",
    "pragma_index_list",
    "pragma_index_xinfo",
    "pragma_table_xinfo",
  ]);
});

describe.each(DRIVERS)("73: on $name", ({ open }) => {
  test.each(FUNCTIONS)("a table called %s is indexed as any other", async (name) => {
    const { db, exec } = open();
    await exec(`create table "${name}" (id text primary key not null, value text, "key" blob)`);
    const table = sqliteTable(name, { id: text().primaryKey(), value: text(), key: vectorColumn(2) });
    const index = searchIndex("ix", table, { text: { value: 1 }, vectors: { key: {} } });
    await ensureSearchIndexes(db, [index]);
    await db.insert(table).values([
      { id: "a", value: "red apple", key: [1, 0] },
      { id: "b", value: "green pear", key: [0, 1] },
    ]);
    expect(await ensureSearchIndexes(db, [index])).toMatchObject([{ action: "unchanged" }]);
    for (let i = 0; i < 2; i++) {
      const asked = nearest(db, table.key, [1, 0]);
      expect(await asked).toMatchObject([{ id: "a" }, { id: "b" }]);
      expect(await asked.explain()).toMatchObject({ fallback: null });
      expect(await search(db, index, "pear")).toMatchObject([{ id: "b" }]);
      expect(await hybrid(db, index, { text: "pear", vector: [1, 0] })).toHaveLength(2);
      const frozen = await nearest(db, table.key, [1, 0], { limit: 1 }).as("hits");
      expect(await db.select({ id: frozen.id }).from(frozen)).toEqual([{ id: "a" }]);
      expect((await library.verify(db, index)).problems).toEqual([]);
      await library.rebuild(db, index);
    }
    expect(await library.status(db, index)).toMatchObject({ rows: 2, problems: [] });
    await dropSearchIndex(db, index);
    expect(await nearest(db, table.key, [1, 0], { limit: 1 })).toMatchObject([{ id: "a" }]);
  });
});

describe.each(APP_NAMES)("73: beside an index, %s keys", (name) => {
  const app = APPS[name];
  const create = (kind: string, schema: string) =>
    FUNCTIONS.map(
      (fn) => `CREATE ${kind} ${schema}.${fn} ${kind === "VIEW" ? "AS SELECT 7 AS value" : "(value, name)"};`,
    );

  test.each([
    ["tables", create("TABLE", "main")],
    ["views", create("VIEW", "main")],
    ["temporary tables", create("TABLE", "temp")],
    ["temporary views", create("VIEW", "temp")],
    ["tables of an attached database", ["ATTACH ':memory:' AS other;", ...create("TABLE", "other")]],
    ["tables, with an untrusted schema,", [...create("TABLE", "main"), "PRAGMA trusted_schema = OFF;"]],
  ])("%s called as the functions that our SQL reads hide none of them", async (_, statements) => {
    const file = join(temporaryFolder(), "app.db");
    createApp(file, name, "wal");
    const { client, db } = open(file);
    // Statements that were prepared before they came are prepared again.
    expectAnswers({ client, db }, app);
    client.exec(statements.join(""));
    expectAnswers({ client, db }, app);
    write(client, name, 5, 40);
    await library.rebuild(db, app.index);
    await library.purge(db);
    expect((library.status(db, app.index) as any).bytes).toMatchObject({ fts: expect.any(Number) });
    await expectInStep(client, app);
    dropSearchIndex(db, app.index);
    ensureSearchIndexes(db, [app.index]);
    write(client, name, 6, 40);
    await expectInStep(client, app);
  });
});
