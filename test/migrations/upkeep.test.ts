import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { namesOf } from "../../src/schema/names.ts";
import { ScratchApp } from "./scratch-app.ts";
import { writeFromApp } from "./writers.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const { tables, triggers } = namesOf("docs_search");

let app: ScratchApp;

beforeAll(async () => {
  app = await ScratchApp.create({
    "schema.ts": `import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { searchIndex, vectorColumn } from "drizzle-vector/schema";
export const docs = sqliteTable("docs", { id: integer().primaryKey(), body: text(), embedding: vectorColumn(4) });
export const docsSearch = searchIndex("docs_search", docs, { text: { body: 1 }, vectors: { embedding: {} } });
`,
  });
  await app.cli("generate", "--defer-text");
});

afterAll(() => app.remove());

test("before there is a database, the commands could not tell, and say what to do", async () => {
  const { code, output } = await app.cli("status");
  expect(code).toBe(2);
  expect(output).toContain("dbCredentials.url: expected a database that is there, got app.db");
  expect(output).toContain("hint  name a file with --db, or apply the migrations first");
});

test("status of a deferred text names the command that fills it", async () => {
  await app.kit("migrate");
  writeFromApp(app.database, "INSERT INTO docs (body) VALUES ('one'), ('two'), ('three')");
  const { code, output } = await app.cli("status");
  expect(code).toBe(1);
  expect(output).toMatch(
    /^index +table +rows +indexed +coded +log +size +by +state\s*\n *docs_search +docs +3 +\d+ +- +\d+ +\S+ kB +migrations +text pending/m,
  );
  expect(output).toContain("hint `drizzle-vector rebuild docs_search` fills its text");
});

test("rebuild fills it; status, verify and check are content then", async () => {
  expect(await app.cli("rebuild", "docs_search")).toMatchObject({
    code: 0,
    output: expect.stringMatching(/^docs_search: rebuilt, 3 texts in \d+\.\d s\n$/),
  });
  const status = await app.cli("status", "--json");
  expect(status.code).toBe(0);
  expect(JSON.parse(status.output)).toMatchObject([
    { index: "docs_search", rows: 3, indexed: 3, pending: null, ok: true },
  ]);
  expect(await app.cli("verify")).toMatchObject({
    code: 0,
    output: expect.stringMatching(/^docs_search: ok, 3 rows compared in \d+\.\d s\n$/),
  });
  expect(await app.cli("check")).toMatchObject({ code: 0 });
});

test("verify names what differs and the first row of it, rebuild heals it", async () => {
  writeFromApp(app.database, `DROP TRIGGER ${triggers.updatetext}; UPDATE docs SET body = 'deux' WHERE id = 2`);
  const status = await app.cli("status");
  expect(status).toMatchObject({
    code: 1,
    output: expect.stringContaining(`- trigger ${triggers.updatetext} is missing`),
  });
  const verify = await app.cli("verify");
  expect(verify.code).toBe(1);
  expect(verify.output).toContain("docs_search: 2 problems, 3 rows compared in ");
  expect(verify.output).toContain("(1, first 2)");
  const json = JSON.parse((await app.cli("verify", "--json")).output);
  expect(json[0].problems.map(({ code }: { code: string }) => code).sort()).toEqual(["OBJECT_MISSING", "TEXT_DIFFERS"]);
  await app.cli("rebuild");
  expect(await app.cli("verify")).toMatchObject({ code: 0 });
});

test("an index that is not there is an error with what to do", async () => {
  const unknown = {
    output: expect.stringContaining("error nothing: expected a search index in the database, got none of that name"),
  };
  expect(await app.cli("verify", "nothing")).toMatchObject({ code: 2, ...unknown });
  expect(await app.cli("rebuild", "nothing")).toMatchObject({ code: 1, ...unknown });
});

test("--db needs no config file, and without better-sqlite3 libSQL does the work", async () => {
  rmSync(join(app.root, "node_modules/better-sqlite3"));
  rmSync(join(app.root, "drizzle.config.ts"));
  writeFromApp(app.database, `DELETE FROM ${tables.fts}`);
  expect(await app.cli("verify", "--db", "app.db")).toMatchObject({ code: 1 });
  expect(await app.cli("rebuild", "--db", "app.db")).toMatchObject({ code: 0 });
  expect(await app.cli("verify", "--db", "app.db")).toMatchObject({ code: 0 });
  expect(await app.cli("status", "--db", "app.db")).toMatchObject({ code: 0 });
});
