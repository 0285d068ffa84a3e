import { cpSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { afterAll, describe, expect, test } from "vitest";
import { ensureSearchIndexes } from "../../src/maintenance/ensure.ts";
import { namesOf } from "../../src/schema/names.ts";
import { searchIndex } from "../../src/schema/search-index.ts";
import { applyMigrations, ScratchApp, tested, testOn } from "./scratch-app.ts";

const { tables, triggers } = namesOf("docs_search");
const apps: ScratchApp[] = [];

afterAll(() => {
  for (const app of apps) app.remove();
});

async function appWith(files: Record<string, string>, line = tested): Promise<ScratchApp> {
  const app = await ScratchApp.create(files, line);
  apps.push(app);
  return app;
}

const IMPORTS = `import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { searchIndex, vectorColumn } from "drizzle-vector/schema";
`;
const INDEX = 'export const docsSearch = searchIndex("docs_search", docs, { text: { body: 1 } });\n';
const schema = (columns: string, rest = INDEX) =>
  `${IMPORTS}export const docs = sqliteTable("docs", { ${columns} });\n${rest}`;

const DOCS = "id: integer().primaryKey(), body: text().notNull()";

function rows(app: ScratchApp, sql: string): unknown[] {
  const database = new Database(app.database);
  try {
    return database.prepare(sql).raw().all();
  } finally {
    database.close();
  }
}

function write(app: ScratchApp, sql: string): void {
  const database = new Database(app.database);
  database.exec(sql);
  database.close();
}

// Each test has an app of its own, and spends most of its time in other processes.
describe.concurrent("an app", () => {
  test("the first migration of a new app has tables and index in one file", async () => {
    const app = await appWith({ "schema.ts": schema(DOCS) });
    const { output } = await app.cli("generate", "--name", "start");
    expect(output).not.toContain("note");
    expect(app.migrations()).toEqual([expect.stringContaining("start")]);
    await app.kit("migrate");
    write(app, "INSERT INTO docs (body) VALUES ('hello there')");
    expect(rows(app, `SELECT rowid, c0 FROM ${tables.fts}`)).toEqual([[1, "hello there"]]);
  });

  test("in a CommonJS app, a text key survives the recreate that renumbers the rowids", async () => {
    const columns = "slug: text().primaryKey(), body: text().notNull()";
    const app = await appWith({ "package.json": "{}", "schema.ts": schema(columns) });
    await app.cli("generate");
    await app.kit("migrate");
    write(
      app,
      "INSERT INTO docs VALUES ('a', 'apple'), ('b', 'banana'), ('c', 'cherry'); DELETE FROM docs WHERE slug = 'a'",
    );
    app.write("schema.ts", schema('slug: text().primaryKey(), body: text().notNull().default("")'));
    await app.cli("generate");
    await app.kit("migrate");
    const found = `SELECT k.k0 FROM ${tables.fts} f JOIN ${tables.keys} k ON k.id = f.rowid WHERE ${tables.fts} MATCH 'banana'`;
    expect(rows(app, found)).toEqual([["b"]]);
  });

  test("--defer-text leaves the filling to rebuild; check tells until it is done", async () => {
    const app = await appWith({ "schema.ts": schema(DOCS, "") });
    await app.cli("generate");
    await app.kit("migrate");
    write(app, "INSERT INTO docs (body) VALUES ('there before')");
    app.write("schema.ts", schema(DOCS));
    const { output } = await app.cli("generate", "--defer-text");
    expect(output).not.toContain("note");
    await app.kit("migrate");
    expect(rows(app, `SELECT rowid FROM ${tables.fts}`)).toEqual([]);
    const check = await app.cli("check", "--json");
    expect(check.code).toBe(1);
    expect(JSON.parse(check.output).findings).toEqual([
      { where: "database", index: "docs_search", code: "TEXT_PENDING", message: expect.any(String) },
    ]);
  });

  test("a trigger by hand that may stop a write and keep its row: check tells, generate puts ours in front of it", async () => {
    const app = await appWith({ "schema.ts": schema(DOCS) });
    await app.cli("generate");
    await app.kit("generate", "--custom", "--name", "by_hand");
    const byHand = [
      "CREATE TABLE audit (body text UNIQUE);",
      "CREATE TRIGGER audits AFTER INSERT ON docs BEGIN INSERT INTO audit VALUES (new.body); END;",
      "CREATE TRIGGER limits AFTER INSERT ON docs WHEN new.id > 2 BEGIN SELECT RAISE(FAIL, 'too many'); END;",
    ];
    app.write(app.migrations().at(-1)!, byHand.join("\n--> statement-breakpoint\n"));
    const migrate = () => {
      const sqlite = new Database(app.database);
      applyMigrations(sqlite, app);
      sqlite.close();
    };
    const check = async () => {
      const { code, output } = await app.cli("check", "--json");
      const { findings, notices } = JSON.parse(output);
      return { code, findings, notices };
    };
    const missed = () => {
      expect(() => write(app, "INSERT INTO docs (body) VALUES ('one'), ('two'), ('three')")).toThrow("too many");
      return rows(app, `SELECT count(*) - (SELECT count(*) FROM ${tables.fts}) FROM docs`);
    };
    migrate();
    const message = expect.stringContaining("trigger limits, which is newer than those of the index");
    const finding = { index: "docs_search", code: "TRIGGER_IN_FRONT", message };
    expect(await check()).toEqual({
      code: 1,
      findings: ["migrations", "database"].map((where) => ({ where, ...finding })),
      notices: [expect.stringContaining("trigger audits runs before those of index docs_search")],
    });
    expect(missed()).toEqual([[1]]);

    const { output } = await app.cli("generate");
    expect(output).toContain("recreate index docs_search: trigger limits");
    migrate();
    expect(await check()).toEqual({ code: 0, findings: [], notices: [] });
    write(app, "DELETE FROM audit");
    expect(missed()).toEqual([[0]]);
  });

  test("a recreate that would take the rows of other tables along is announced, and what is advised keeps them", async () => {
    const children = `export const notes = sqliteTable("notes", {
    id: integer().primaryKey(), doc: integer().references(() => docs.id, { onDelete: "cascade" }),
});\n${INDEX}`;
    const app = await appWith({ "schema.ts": schema(DOCS, children) });
    await app.cli("generate");
    await app.kit("migrate");
    write(app, "INSERT INTO docs (body) VALUES ('parent'); INSERT INTO notes (doc) VALUES (1)");
    app.write("schema.ts", schema("id: integer().primaryKey(), body: text()", children));

    const { output } = await app.cli("generate");
    expect(output).toContain("warning the migration recreates docs, which notes refers to with ON DELETE CASCADE");
    expect(output).toContain("deletes its rows");
    expect(output).toContain('sqlite.pragma("foreign_keys = OFF")');
    const sqlite = new Database(app.database);
    sqlite.pragma("foreign_keys = OFF");
    applyMigrations(sqlite, app);
    sqlite.close();
    expect(rows(app, "SELECT doc FROM notes")).toEqual([[1]]);
    expect(rows(app, `SELECT rowid FROM ${tables.fts} WHERE ${tables.fts} MATCH 'parent'`)).toEqual([[1]]);
  });

  test("schema files in folders and behind globs, paths of the tsconfig, .env and a barrel", async () => {
    const app = await appWith({
      ".env": "DATABASE_FILE=app.db\n",
      "tsconfig.json": '{ "compilerOptions": { "paths": { "#db/*": ["./src/db/*"] } } }',
      "src/db/tables/docs.ts": `${IMPORTS}export const docs = sqliteTable("docs", { ${DOCS} });`,
      "src/db/search.ts": `import { searchIndex } from "drizzle-vector/schema";\nimport { docs } from "#db/tables/docs";\n${INDEX}`,
      "src/db/index.ts": 'export { docsSearch } from "./search";\n',
      "drizzle.config.ts": `export default {
    dialect: "sqlite",
    schema: ["src/db/tables", "./src/db/*.ts"],
    out: "./migrations",
    dbCredentials: { url: "file:" + process.env.DATABASE_FILE },
    tablesFilter: ["!_dv_*"],
  };`,
    });
    expect(await app.cli("generate")).toMatchObject({
      code: 0,
      output: expect.stringContaining("+ create index docs_search"),
    });
    await app.kit("migrate");
    expect(await app.cli("check")).toMatchObject({
      code: 0,
      output: "In step with migrations and app.db: docs_search\n",
    });
  });

  testOn("0.x")("casing of the config names the columns", async () => {
    const app = await appWith({
      "schema.ts": schema("id: integer().primaryKey(), fullText: text().notNull()", INDEX.replace("body", "fullText")),
      "drizzle.config.ts":
        'export default { dialect: "sqlite", schema: "./schema.ts", out: "./migrations", casing: "snake_case" };',
    });
    expect(await app.cli("generate")).toMatchObject({ code: 0 });
    expect(app.read(app.migrations()[0]!)).toContain('r."full_text"');
  });

  testOn("0.x")("dialect turso changes columns in libSQL's own way", async () => {
    const config = 'export default { dialect: "turso", schema: "./schema.ts", out: "./migrations" };';
    const app = await appWith({ "schema.ts": schema(DOCS), "drizzle.config.ts": config });
    await app.cli("generate");
    app.write("schema.ts", schema("id: integer().primaryKey(), body: text()"));
    expect(await app.cli("generate")).toMatchObject({ code: 0 });
    expect(app.read(app.migrations()[1]!)).toContain("ALTER COLUMN");
  });

  testOn("1.0")("a folder of drizzle-kit 0.31 goes through drizzle-kit up as it is", async () => {
    const old = await appWith({ "schema.ts": schema(DOCS, "") }, "0.x");
    await old.cli("generate");
    old.write("schema.ts", schema(DOCS));
    await old.cli("generate");
    expect(old.migrations()).toHaveLength(2);

    const app = await appWith({ "schema.ts": schema(DOCS) });
    cpSync(join(old.root, "migrations"), join(app.root, "migrations"), { recursive: true });
    const refused = await app.cli("generate");
    expect(refused).toMatchObject({ code: 1, output: expect.stringContaining("hint  run `drizzle-kit up` once") });
    await app.kit("up");
    expect(app.migrations()).toHaveLength(2);
    const before = app.migrations();
    expect((await app.cli("generate")).output).toContain("Search indexes are in step, nothing to add");
    expect(app.migrations()).toEqual(before);
    await app.kit("migrate");
    expect(await app.cli("check")).toMatchObject({ code: 0 });
  });

  test("push with the filter leaves our tables alone; a recreate it makes is found by check", async () => {
    const app = await appWith({ "schema.ts": schema(DOCS) });
    await app.cli("generate");
    await app.kit("migrate");
    write(app, "INSERT INTO docs (body) VALUES ('pushed')");
    app.write("schema.ts", schema(`${DOCS}, extra: text()`));
    await app.kit("push", "--force");
    expect(rows(app, "SELECT extra FROM docs")).toEqual([[null]]);
    expect(rows(app, `SELECT rowid FROM ${tables.fts} WHERE ${tables.fts} MATCH 'pushed'`)).toEqual([[1]]);
    write(app, "INSERT INTO docs (body) VALUES ('later')");
    expect(rows(app, `SELECT rowid FROM ${tables.fts} WHERE ${tables.fts} MATCH 'later'`)).toEqual([[2]]);

    app.write("schema.ts", schema(`id: integer().primaryKey(), body: text().notNull().default(""), extra: text()`));
    await app.kit("push", "--force");
    const check = await app.cli("check", "--json");
    expect(check.code).toBe(1);
    const messages = JSON.parse(check.output).findings.map(
      ({ where, message }: Record<string, string>) => `${where}: ${message}`,
    );
    expect(messages).toContain(`database: trigger ${triggers.insert} is missing`);
    expect(await app.cli("rebuild")).toMatchObject({ code: 0 });
    expect(await app.cli("verify")).toMatchObject({ code: 0 });
  });

  test("an index that is not there is one line of check; of an app that pushes the database alone is looked at", async () => {
    const app = await appWith({ "schema.ts": schema(DOCS) });
    await app.kit("push", "--force");
    expect(await app.cli("check")).toMatchObject({
      code: 1,
      output:
        "database\n- index docs_search does not exist\nhint run `drizzle-vector generate` and apply the migration; without migrations `drizzle-kit push`, then ensureSearchIndexes(db, schema)\n",
    });
    const docs = sqliteTable("docs", { id: integer().primaryKey(), body: text().notNull() });
    const client = new Database(app.database);
    ensureSearchIndexes(drizzle({ client }), [searchIndex("docs_search", docs, { text: { body: 1 } })]);
    client.close();
    expect(await app.cli("check")).toMatchObject({ code: 0, output: "In step with app.db: docs_search\n" });

    write(app, `DROP TRIGGER ${triggers.insert}`);
    expect((await app.cli("check")).output).toBe(
      `database\n- trigger ${triggers.insert} is missing\nhint run \`drizzle-vector rebuild\` or ensureSearchIndexes(db, schema)\n`,
    );
    app.write("schema.ts", schema(DOCS, ""));
    expect((await app.cli("check")).output).toBe(
      "database\n- index docs_search is there, but no schema file exports it\nhint export it, or call dropSearchIndex(db, name)\n",
    );
  });

  test("an index that is no longer exported would be dropped by generate, which check says", async () => {
    const app = await appWith({ "schema.ts": schema(DOCS) });
    await app.cli("generate");
    app.write("schema.ts", schema(DOCS, INDEX.replace("export ", "")));
    expect((await app.cli("check")).output).toBe(
      "migrations\n- index docs_search is there, but no schema file exports it\nhint run `drizzle-vector generate`, which drops what no schema file exports\n",
    );
  });

  test("without the filter push would drop our tables, which check says before and after", async () => {
    const config = (filter: string) =>
      `export default { dialect: "sqlite", schema: "./schema.ts", out: "./migrations", dbCredentials: { url: "app.db" }${filter} };`;
    const app = await appWith({ "schema.ts": schema(DOCS), "drizzle.config.ts": config("") });
    await app.cli("generate");
    await app.kit("migrate");
    const before = await app.cli("check");
    expect(before).toMatchObject({
      code: 1,
      output: expect.stringContaining("tablesFilter does not keep drizzle-kit push"),
    });

    await app.kit("push", "--force");
    app.write("drizzle.config.ts", config(', tablesFilter: "docs"'));
    const after = await app.cli("check");
    // 1.0 asks before it drops tables that hold rows, and does nothing without a terminal.
    if (tested === "1.0") expect(after).toMatchObject({ code: 0 });
    else expect(after).toMatchObject({ code: 1, output: expect.stringContaining(`table ${tables.fts} is missing`) });
    const docs = sqliteTable("docs", { id: integer().primaryKey(), body: text().notNull() });
    const client = new Database(app.database);
    ensureSearchIndexes(drizzle({ client }), [searchIndex("docs_search", docs, { text: { body: 1 } })]);
    client.close();
    expect(await app.cli("verify")).toMatchObject({ code: 0 });
  });
});
