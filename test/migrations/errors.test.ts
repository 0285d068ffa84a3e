import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { rememberFolder } from "../../src/cli/migrations/folder.ts";
import { ScratchApp, testOn } from "./scratch-app.ts";

const IMPORTS = `import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { searchIndex, vectorColumn } from "drizzle-vector/schema";
`;
const DOCS = 'export const docs = sqliteTable("docs", { id: integer().primaryKey(), body: text().notNull() });\n';
const INDEX = 'export const docsSearch = searchIndex("docs_search", docs, { text: { body: 1 } });\n';
const CONFIG = `export default {
  dialect: "sqlite", schema: "./schema.ts", out: "./migrations", tablesFilter: "docs", dbCredentials: { url: "app.db" },
};`;

/** An app with one migration and its table; each test spoils it and gets it back whole. */
let app: ScratchApp;
let restore: () => void;

beforeAll(async () => {
  app = await ScratchApp.create({ "schema.ts": IMPORTS + DOCS, "drizzle.config.ts": CONFIG });
  await app.kit("generate");
  app.write("schema.ts", IMPORTS + DOCS + INDEX);
  restore = rememberFolder(join(app.root, "migrations"));
});

afterEach(() => {
  restore();
  app.write("schema.ts", IMPORTS + DOCS + INDEX);
  app.write("drizzle.config.ts", CONFIG);
});

afterAll(() => app.remove());

/** Runs `generate`, expects it to fail and to leave the migrations folder as it was. */
async function failure(...args: string[]): Promise<string> {
  const before = app.migrations().map((name) => [name, app.read(name)]);
  const { code, output } = await app.cli("generate", ...args);
  expect({ code, output }).toMatchObject({ code: 1 });
  expect(app.migrations().map((name) => [name, app.read(name)])).toEqual(before);
  return output;
}

/** A custom migration of the user's own. */
async function custom(sql: string): Promise<string> {
  await app.kit("generate", "--custom", "--name", "by_hand");
  const file = app.migrations().at(-1)!;
  app.write(file, sql);
  return file.split("/")[1]!.replace(".sql", "");
}

test("without a config file the command says where it looked", async () => {
  const { code, output } = await app.cli("generate", "--config", "nope.config.ts");
  expect(code).toBe(1);
  expect(output).toContain("error nope.config.ts: expected a drizzle config file, got none in ");
  expect(output).toContain("hint  run the command where drizzle.config.ts is, or name it with --config");
  expect((await app.cli("check", "--config", "nope.config.ts")).code).toBe(2);
});

test("a config for another database is refused", async () => {
  app.write("drizzle.config.ts", CONFIG.replace('"sqlite"', '"postgresql"'));
  expect(await failure()).toContain("expected dialect sqlite or turso, got postgresql");
});

test("a schema file that does not load is an error, though drizzle-kit 0.31 exits 0 then", async () => {
  app.write("schema.ts", `${IMPORTS}throw new Error("no SECRET in the environment");`);
  expect(await failure()).toContain("expected a file that loads, got no SECRET in the environment");
  expect((await app.cli("check")).code).toBe(2);
});

test("a pattern that matches no schema file is an error", async () => {
  app.write("drizzle.config.ts", CONFIG.replace("schema.ts", "nowhere/*.ts"));
  expect(await failure()).toContain("schema: expected at least one file, got none for ./nowhere/*.ts");
});

test("declarations that contradict each other are refused before anything is written", async () => {
  app.write("schema.ts", `${IMPORTS}${DOCS}${INDEX}${INDEX.replace("docsSearch", "again")}`);
  expect(await failure()).toContain('searchIndex("docs_search"): expected');
});

test("an index on a table that no migration makes takes drizzle-kit's new migration back as well", async () => {
  const hidden = DOCS.replace("export ", "").replaceAll("docs", "hidden");
  const extra = DOCS.replaceAll("docs", "extra");
  app.write("schema.ts", `${IMPORTS}${DOCS}${hidden}${extra}${INDEX.replace("docs,", "hidden,")}`);
  const output = await failure();
  expect(output).toContain("table hidden does not exist");
  expect(output).toContain("export it from a schema file");
});

test("a file that is no database is told; check could not tell", async () => {
  for (const [name, message] of [
    ["schema.ts", "expected a SQLite database that can be read, got file is not a database"],
    ["nothing.db", "--db: expected a database file, got nothing at "],
  ] as const) {
    for (const command of ["check", "status", "verify"]) {
      const told = { code: 2, output: expect.stringContaining(message) };
      expect(await app.cli(command, "--db", name)).toMatchObject(told);
    }
  }
  expect((await app.cli("status", "--db", ".")).output).toContain("--db: expected a database file, got a folder at ");
});

test("a database that another process holds, a damaged one and a folder are told apart, with what to do", async () => {
  const file = join(app.root, "held.db");
  const writer = new Database(file);
  writer.exec(
    "CREATE TABLE _dv_indexes (name, tbl, definition, hash, managed, format, pending, settings); BEGIN EXCLUSIVE",
  );
  const busy = await app.cli("status", "--db", "held.db");
  expect(busy).toMatchObject({ code: 2, output: expect.stringContaining("can be read, got database is locked") });
  expect(busy.output).toContain("hint  another process is writing to it, or holds it: run the command again");
  writer.close();
  const header = readFileSync(file).subarray(0, 4096);
  writeFileSync(file, Buffer.concat([header, Buffer.alloc(4096, 0xff)]));
  for (const command of ["status", "verify"]) {
    const damaged = await app.cli(command, "--db", "held.db");
    expect(damaged).toMatchObject({ code: 2, output: expect.stringContaining("got database disk image is malformed") });
    expect(damaged.output).toContain("hint  the file is damaged: restore a backup");
  }
  app.write("drizzle.config.ts", CONFIG.replace("app.db", "migrations"));
  for (const command of ["check", "status"]) {
    const folder = "error dbCredentials.url: expected a database file, got a folder at ";
    expect(await app.cli(command)).toMatchObject({ code: 2, output: expect.stringContaining(folder) });
  }
});

test("a command line that is not understood is no drift to check, and no problem to verify and status", async () => {
  for (const command of ["check", "status", "verify"]) {
    const told = { code: 2, output: expect.stringContaining("error: unknown option '--nonsense'") };
    expect(await app.cli(command, "--nonsense")).toMatchObject(told);
    expect(await app.cli(command, "--help")).toMatchObject({ code: 0 });
  }
  expect(await app.cli("check", "docs_search")).toMatchObject({ code: 2 });
  expect(await app.cli("rebuild", "--nonsense")).toMatchObject({ code: 1 });
});

test("an unknown flag goes to drizzle-kit, and what it says of it is the error", async () => {
  expect(await failure("--nonsense")).toMatch(/nonsense[\s\S]*error drizzle-kit/);
});

test("a migration that does not run on an empty database is named; check could not tell", async () => {
  const name = await custom("ALTER TABLE elsewhere ADD COLUMN x text;");
  expect(await failure()).toContain(`error ${name}: expected a migration that runs on an empty database`);
  expect(await app.cli("check")).toMatchObject({
    code: 2,
    output: expect.stringContaining("no such table: elsewhere"),
  });
});

test("a migration that needs rows or an extension is told, and the rest goes on", async () => {
  const name = await custom(
    "INSERT INTO docs (body) SELECT NULL;\n--> statement-breakpoint\nCREATE VIRTUAL TABLE old USING vec0(embedding float[4]);",
  );
  const { code, output } = await app.cli("generate");
  expect(code).toBe(0);
  expect(output).toContain(`warning ${name}: left out of the replay in memory, NOT NULL constraint failed: docs.body`);
  expect(output).toContain("no such module: vec0");
  expect(output).toContain("+ create index docs_search on docs");
});

testOn("0.x")("migrations of two branches that collide are an error, though drizzle-kit exits 0", async () => {
  await custom("SELECT 1;");
  const snapshot = JSON.parse(app.read("migrations/meta/0001_snapshot.json"));
  app.write(
    "migrations/meta/0002_snapshot.json",
    JSON.stringify({ ...snapshot, id: "00000000-0000-4000-8000-000000000001" }),
  );
  const output = await failure();
  expect(output).toContain("hint  two branches made a migration each: `drizzle-kit check` names them");
});

testOn("1.0")(
  "what drizzle-kit takes for a conflict of branches is passed over on request, for our own migration, too",
  async () => {
    const aside = join(app.root, "aside");
    /** Two migrations that do not know of each other. */
    async function branches(one: readonly string[], other: readonly string[]): Promise<void> {
      await app.kit("generate", "--name", "one", ...one);
      const folder = join(app.root, dirname(app.migrations().at(-1)!));
      renameSync(folder, aside);
      app.write("schema.ts", `${IMPORTS}${DOCS.replace("body:", "more: text(), body:")}${INDEX}`);
      await app.kit("generate", "--name", "other", ...other);
      renameSync(aside, folder);
    }
    await branches(["--custom"], []);
    await branches(["--custom"], ["--custom"]);
    expect(await failure()).toContain("(drizzle-kit 1.0) --ignore-conflicts where they are not in each other's way");
    expect(await app.cli("generate", "--ignore-conflicts")).toMatchObject({
      code: 0,
      output: expect.stringContaining("+ create index docs_search on docs"),
    });
    expect(app.read(app.migrations().at(-1)!)).toContain("_dv_docs_search_fts");
  },
);

testOn("1.0")("--explain writes nothing, and what tells of the search indexes is named", async () => {
  expect(await failure("--explain")).toContain("hint  --explain writes none; `drizzle-vector check` tells");
});

test("--name names the migration, also where drizzle-kit itself has nothing to write", async () => {
  expect((await app.cli("generate", "--name", "find_docs")).code).toBe(0);
  expect(app.migrations().at(-1)).toContain("find_docs");
});

test("--custom makes the user's own migration, with our statements where there are any", async () => {
  await app.cli("generate", "--custom", "--name=seed");
  expect(app.migrations().at(-1)).toContain("seed");
  expect(app.read(app.migrations().at(-1)!)).toContain("_dv_docs_search_fts");
  await app.cli("generate", "--custom", "--name=empty");
  expect(app.read(app.migrations().at(-1)!)).toBe("-- Custom SQL migration file, put your code below! --");
});

test("without drizzle-kit in the project the error says how to get it", async () => {
  const bare = await ScratchApp.create({ "schema.ts": IMPORTS + DOCS, "drizzle.config.ts": CONFIG });
  rmSync(join(bare.root, "node_modules/drizzle-kit"));
  const { code, output } = await bare.cli("generate");
  bare.remove();
  expect(code).toBe(1);
  expect(output).toContain("hint  npm install --save-dev drizzle-kit");
});

test("a remote database without @libsql/client is told in a sentence", async () => {
  rmSync(join(app.root, "node_modules/@libsql/client"));
  app.write("drizzle.config.ts", CONFIG.replace("app.db", "libsql://example.invalid"));
  const { code, output } = await app.cli("status");
  expect(code).toBe(2);
  expect(output).toContain(
    "error libsql://example.invalid: expected a database that @libsql/client opens, got Cannot find",
  );
  expect(output).toContain("hint  name a local file with --db, or npm install @libsql/client");
});
