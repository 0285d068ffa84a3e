import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { namesOf } from "../../src/schema/names.ts";
import { ScratchApp } from "./scratch-app.ts";
import { writeFromApp } from "./writers.ts";

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
    /^index +table +rows +indexed +coded +changed +log +size +by +state\s*\n *docs_search +docs +3 +\d+ +- +- +\d+ +\S+ kB +migrations +text pending/m,
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

test("tune measures, tells what it found in a table and a plot, and stores nothing unasked", async () => {
  const few = await app.cli("tune");
  expect(few).toMatchObject({ code: 1, output: expect.stringContaining("docs.embedding: expected more than 10 rows") });
  const vector = (i: number) => Buffer.from(Float32Array.of(i % 7, i % 5, i % 3, 1).buffer).toString("hex");
  const rows = Array.from({ length: 60 }, (_, i) => `(${i + 10}, x'${vector(i)}')`);
  writeFromApp(app.database, `INSERT INTO docs (id, embedding) VALUES ${rows.join(", ")}`);
  expect(await app.cli("optimize")).toMatchObject({
    code: 0,
    output: expect.stringMatching(/^docs_search: optimized, 60 vectors written in \d+\.\d s\n$/),
  });
  const { code, output } = await app.cli("tune", "docs_search", "--sample", "20", "--recall", "0.9");
  expect(output).toContain("docs_search.embedding: 60 vectors, limit 10, 20 rows as queries, seed 1");
  expect(output).toMatch(/^recall +found +worst 5 % +median ms +p95 ms +re-scored +read +plan/m);
  expect(output).toMatch(/^exact +1\.0000 +1\.00 +\d+\.\d\d +\d+\.\d\d +\d+ +\S+ k?B +certified scan/m);
  expect(output).toMatch(/^recommended (exact search|recall): /m);
  expect(output).toContain("hint        nearest is exact where a query names no recall");
  expect(code).toBe(0);
  const json = JSON.parse((await app.cli("tune", "--json", "--store", "--sample", "5")).output);
  expect(json).toMatchObject([{ column: "embedding", rows: 60 }]);
  // Which is faster is for the clock to say.
  const [{ recommendation, stored }] = json;
  expect(stored === null).toBe(recommendation.recall === 1);
});

test("tune asks the queries of a file, and names the line of a bad one", async () => {
  app.write("queries.jsonl", "[1, 2, 3, 4]\n[4, 3, 2, 1]\n");
  const { code, output } = await app.cli("tune", "--queries", "queries.jsonl");
  expect(output).toContain("60 vectors, limit 10, 2 queries of yours");
  expect(code).toBe(0);
  app.write("bad.jsonl", "[1, 2, 3, 4]\n\n[1, 2]\n");
  const bad = await app.cli("tune", "--queries", "bad.jsonl", "--store");
  expect(bad).toMatchObject({
    code: 1,
    output: expect.stringContaining("error bad.jsonl:3: expected 4 dimensions, got 2"),
  });
});

test("a stored recall is shown by status, no drift to check, and taken away by tune --forget", async () => {
  const settings = '{"embedding":{"recall":0.9,"asked":0.95,"for":"4 float32 cosine"}}';
  writeFromApp(app.database, `UPDATE _dv_indexes SET settings = '${settings}'`);
  const shown = "- docs_search, column embedding: nearest goes by recall 0.9 where a query names none";
  expect(await app.cli("status")).toMatchObject({ code: 0, output: expect.stringContaining(shown) });
  expect(await app.cli("check")).toMatchObject({ code: 0 });
  const verified = await app.cli("verify", "--recall-queries", "15");
  expect(verified.output).toContain("- column embedding: recall 1.000 where 0.95 is asked for (15 rows as queries");
  expect(await app.cli("tune", "--forget")).toMatchObject({
    code: 0,
    output: "docs_search.embedding: nearest is exact where a query names no recall\n",
  });
  const { output } = await app.cli("status", "--json");
  expect(JSON.parse(output)[0].vectors).toMatchObject([{ column: "embedding", rows: 60, recall: null, advice: null }]);
  const forgotten = await app.cli("tune", "--forget", "--json");
  expect(JSON.parse(forgotten.output)).toEqual([{ index: "docs_search", column: "embedding", stored: null }]);
});

test("status says how many rows nearest does not find, as their vectors are those of another model", async () => {
  const lines = async () => (await app.cli("status")).output.split("\n").filter((line) => line.includes("length"));
  expect(await lines()).toEqual([]);
  writeFromApp(app.database, "INSERT INTO docs (id, embedding) VALUES (901, x'0000803f'), (902, x'0000803f')");
  const does = "of another length than the column's vectors, which nearest does not find; embed them again";
  expect(await lines()).toEqual([`- docs_search, column embedding: 2 rows have values ${does}`]);
  writeFromApp(app.database, "DELETE FROM docs WHERE id = 902");
  expect(await lines()).toEqual([`- docs_search, column embedding: 1 row has a value ${does}`]);
  writeFromApp(app.database, "DELETE FROM docs WHERE id = 901");
});

test("status tells of codes that are not used, and promises nothing of a small table", async () => {
  writeFromApp(app.database, "CREATE TABLE later (x); DROP TABLE later");
  const { code, output } = await app.cli("status");
  expect(code).toBe(0);
  expect(output).toContain(
    "- docs_search, column embedding: the generation of codes on disk is not used: the schema has changed since it was written; answers are right without it\n",
  );
});

test.each([
  [["--store", "--forget"], "error: option '--forget' cannot be used with option '--store'"],
  [
    ["--queries", "queries.jsonl", "--sample", "5"],
    "error: option '--sample <rows>' cannot be used with option '--queries <file>'",
  ],
])("tune %j contradicts itself, and does nothing", async (args, message) => {
  expect(await app.cli("tune", ...args)).toMatchObject({ code: 1, output: expect.stringContaining(message) });
});

test("an index that is not there is an error with what to do", async () => {
  const unknown = {
    output: expect.stringContaining("error nothing: expected a search index in the database, got none of that name"),
  };
  expect((await app.cli("verify", "nothing")).output).toContain("got none of that name, only docs_search\n");
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
