import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { verify } from "../../src/maintenance/verify.ts";
import { namesOf } from "../../src/schema/names.ts";
import { applyMigrations, hasTerminal, type Outcome, ScratchApp, tested } from "./scratch-app.ts";
import { installedWriters, writeFromApp } from "./writers.ts";

/** A schema of one table with an index; each test changes a part of it, as a developer would. */
interface Shape {
  table: string;
  /** Lines within sqliteTable. */
  columns: string[];
  /** What searchIndex takes, or undefined for no index. */
  index: string | undefined;
}

let app: ScratchApp;
let shape: Shape = {
  table: "docs",
  columns: [
    "id: integer().primaryKey()",
    "question: text().notNull()",
    "answer: text().notNull()",
    "embedding: vectorColumn(4)",
  ],
  index: undefined,
};

const { tables, triggers } = namesOf("docs_search");
const INDEX = '{ text: { question: 3, answer: 1 }, vectors: { embedding: { metric: "cosine" } } }';

beforeAll(async () => {
  app = await ScratchApp.create({ "schema.ts": schemaText(shape) });
});

afterAll(() => app.remove());

function schemaText({ table, columns, index }: Shape): string {
  return `import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { searchIndex, vectorColumn } from "drizzle-vector/schema";

export const docs = sqliteTable("${table}", {
  ${columns.join(",\n  ")},
});
${index ? `export const docsSearch = searchIndex("docs_search", docs, ${index});\n` : ""}`;
}

function change(changes: Partial<Shape>): void {
  shape = { ...shape, ...changes };
  app.write("schema.ts", schemaText(shape));
}

function replaceColumn(old: string, now: string | undefined): string[] {
  return shape.columns.flatMap((column) => (column.startsWith(old) ? (now ?? []) : column));
}

/** Runs `drizzle-vector generate` and expects it to write one migration; returns what it printed and the file's text. */
function generated(...args: string[]): Promise<Outcome & { sql: string }> {
  return written(() => app.cli("generate", ...args));
}

async function written(run: () => Promise<Outcome>): Promise<Outcome & { sql: string }> {
  const before = app.migrations();
  const outcome = await run();
  const added = app.migrations().filter((name) => !before.includes(name));
  expect({ code: outcome.code, added: added.length, output: outcome.output }).toMatchObject({ code: 0, added: 1 });
  return { ...outcome, sql: app.read(added[0]!) };
}

function query(sql: string, ...parameters: unknown[]): unknown[] {
  const database = new Database(app.database);
  try {
    return database
      .prepare(sql)
      .raw()
      .all(...parameters);
  } finally {
    database.close();
  }
}

let words = 0;

/** Each program adds a row and deletes one it added before; the index follows every one of them. */
function writeFromEverywhere(): void {
  const columns = shape.columns.map((column) => column.split(":")[0]!).filter((column) => column !== "id");
  const values = columns.map((column) => (column === "embedding" ? "x'0000803f000000000000000000000000'" : "'WORD'"));
  const insert = (word: string) =>
    `INSERT INTO ${shape.table} (${columns.join(", ")}) VALUES (${values.join(", ").replaceAll("WORD", word)});`;
  for (const [name, write] of installedWriters) {
    const [kept, gone] = [`kept${++words}`, `gone${++words}`];
    write(app.database, insert(kept) + insert(gone));
    write(app.database, `DELETE FROM ${shape.table} WHERE answer = '${gone}';`);
    expect({ name, kept: matches(kept), gone: matches(gone) }).toEqual({ name, kept: 1, gone: 0 });
  }
}

function matches(word: string): number {
  return query(`SELECT rowid FROM ${tables.fts} WHERE ${tables.fts} MATCH ?`, `"${word}"`).length;
}

/** With Drizzle's own migrator, as an app does when it starts; `drizzle-kit migrate` has its turn in other tests. */
function migrateApp(): void {
  const database = new Database(app.database);
  applyMigrations(database, app);
  database.close();
}

/** What has to hold after every step: applied, every writer followed, nothing left to do for us. */
async function expectSettled(text: string[]): Promise<void> {
  migrateApp();
  writeFromEverywhere();
  const indexed = text.map((_, i) => `c${i}`).join(", ");
  expect(query(`SELECT rowid, ${indexed} FROM ${tables.fts} ORDER BY rowid`)).toEqual(
    query(`SELECT id, ${text.join(", ")} FROM ${shape.table} ORDER BY id`),
  );
  expect(await verified()).toEqual([]);
  expect(await app.cli("check")).toMatchObject({
    code: 0,
    output: "In step with migrations and app.db: docs_search\n",
  });
}

async function verified(): Promise<unknown[]> {
  const client = new Database(app.database);
  const { problems } = await verify(drizzle({ client }), "docs_search");
  client.close();
  return problems;
}

/** Nor is there for drizzle-kit, which knows its own snapshots alone: looked at once for each way in which we add to them. */
async function expectNothingToDo(): Promise<void> {
  const before = app.migrations();
  const kit = await app.kit("generate");
  expect(kit.output).toContain("No schema changes");
  expect(app.migrations()).toEqual(before);
}

describe("the life of an app", () => {
  test("an app without an index: drizzle-kit's generate, nothing more", async () => {
    const { sql, output } = await generated();
    expect(sql).not.toContain("_dv_");
    expect(output).toContain("No schema file exports a search index, nothing to add");
    migrateApp();
    const rows = "('may I join late', 'yes'), ('is it free', 'it is')";
    writeFromApp(app.database, `INSERT INTO docs (question, answer) VALUES ${rows}`);
  });

  test("a new index on a table with rows finds the rows that were there", async () => {
    change({ index: INDEX });
    const { output, sql } = await generated();
    expect(output).toContain("+ create index docs_search on docs");
    expect(output).toContain("--defer-text");
    expect(sql).not.toContain("Custom SQL migration file");
    await expectSettled(["question", "answer"]);
    await expectNothingToDo();
    expect(matches("late")).toBe(1);
  });

  test("where nothing has changed, generate says so and writes nothing", async () => {
    const before = app.migrations();
    const { code, output } = await app.cli("generate");
    expect(code).toBe(0);
    expect(output).toContain("No schema changes");
    expect(output).toContain("Search indexes are in step, nothing to add");
    expect(app.migrations()).toEqual(before);
  });

  test("an added column leaves the index alone", async () => {
    change({ columns: [...shape.columns, "course: text()"] });
    const { sql } = await generated();
    expect(sql).not.toContain("_dv_");
    await expectSettled(["question", "answer"]);
  });

  test.skipIf(tested === "0.x" && !hasTerminal)(
    "a renamed column keeps its text, which is not indexed anew",
    async () => {
      change({
        columns: replaceColumn("question", 'ask: text("ask").notNull()'),
        index: INDEX.replace("question", "ask"),
      });
      const hints = [
        { type: "rename", kind: "column", from: ["public", "docs", "question"], to: ["public", "docs", "ask"] },
      ];
      const { sql, output } = await (tested === "0.x"
        ? written(() => app.cliInTerminal("generate"))
        : generated("--hints", JSON.stringify(hints)));
      expect(sql).toMatch(/RENAME COLUMN [`"]question[`"] TO [`"]ask[`"]/);
      expect(sql).not.toContain(`INSERT INTO "${tables.fts}"`);
      expect(output).toContain("record what is declared for index docs_search");
      await expectSettled(["ask", "answer"]);
      await expectNothingToDo();
      expect(matches("late")).toBe(1);
    },
  );

  test.skipIf(!hasTerminal)("a table renamed in the terminal takes its index along", async () => {
    change({ table: "entries" });
    const { sql } = await written(() => app.cliInTerminal("generate"));
    expect(sql).toMatch(/ALTER TABLE [`"]docs[`"] RENAME TO [`"]entries[`"]/);
    await expectSettled([textColumn(), "answer"]);
  });

  test("a question without a terminal is an error that says what to do, and nothing is left", async () => {
    const before = app.migrations();
    const columns = shape.columns;
    change({ columns: replaceColumn("course", 'topic: text("topic")') });
    const { code, output } = await app.cli("generate");
    expect(code).toBe(1);
    expect(output).toContain("a question and no terminal to ask it in");
    expect(output).toContain("hint  run it in a terminal and answer");
    expect(app.migrations()).toEqual(before);
    change({ columns });
  });

  test("NOT NULL dropped recreates the table, and the index comes back with it", async () => {
    change({ columns: replaceColumn("answer", "answer: text()") });
    const { sql, output } = await generated();
    expect(sql).toContain(`CREATE TABLE \`__new_${shape.table}\``);
    expect(output).toContain("+ recreate index docs_search");
    await expectSettled([textColumn(), "answer"]);
    expect(matches("late")).toBe(1);
  });

  test("a new default recreates the table, and the index comes back with it", async () => {
    change({ columns: replaceColumn("course", 'course: text().default("all")') });
    await generated();
    await expectSettled([textColumn(), "answer"]);
  });

  test("a UNIQUE that comes later is guarded: a row evicted by REPLACE is not found", async () => {
    change({ columns: [...shape.columns, "slug: text().unique()"] });
    const { sql } = await generated();
    expect(sql).toContain(triggers.guardinsert);
    await expectSettled([textColumn(), "answer"]);
    const replace = (word: string) =>
      writeFromApp(
        app.database,
        `INSERT OR REPLACE INTO ${shape.table} (${textColumn()}, answer, slug) VALUES ('${word}', '', 'same')`,
      );
    replace("evicted");
    replace("evicting");
    expect([matches("evicted"), matches("evicting")]).toEqual([0, 1]);
  });

  test("changed dimensions are drift, though no Drizzle migration comes of it: the vectors are reset", async () => {
    change({ columns: replaceColumn("embedding", "embedding: vectorColumn(8)") });
    expect(await app.cli("check")).toMatchObject({ code: 1, output: expect.stringContaining('"dimensions":4') });
    const { sql, output } = await generated();
    expect(output).toContain("No schema changes");
    expect(output).toContain("+ reset the vectors of index docs_search");
    expect(sql).not.toContain(tables.fts);
    await expectSettled([textColumn(), "answer"]);
    await expectNothingToDo();
  });

  test("another metric and other text columns are drift too", async () => {
    change({
      columns: replaceColumn("embedding", "embedding: vectorColumn(4)"),
      index: `{ text: { answer: 2, course: 1 }, tokenizer: "porter", vectors: { embedding: { metric: "dot" } } }`,
    });
    await generated();
    await expectSettled(["answer", "course"]);
  });

  test("a dropped column that was indexed goes, with the triggers that named it out of its way", async () => {
    change({
      columns: replaceColumn("course", undefined),
      index: '{ text: { answer: 1 }, vectors: { embedding: { metric: "dot" } } }',
    });
    const { sql } = await generated();
    expect(sql).toMatch(/DROP COLUMN [`"]course[`"]/);
    await expectSettled(["answer"]);
  });

  test("a recreate that plain drizzle-kit wrote takes the triggers away; check tells and generate repairs", async () => {
    change({ columns: replaceColumn("answer", 'answer: text().notNull().default("")') });
    await app.kit("generate");
    migrateApp();
    const missed = `INSERT INTO ${shape.table} (${textColumn()}, answer) VALUES ('', 'unseen')`;
    writeFromApp(app.database, missed);
    expect(matches("unseen")).toBe(0);

    const check = await app.cli("check");
    expect(check.code).toBe(1);
    expect(check.output).toContain(`- trigger ${triggers.insert} is missing`);
    const { output } = await generated();
    expect(output).toMatch(/\+ recreate index docs_search: \d+ triggers are missing, as after a table is made anew\n/);
    await expectSettled(["answer"]);
    await expectNothingToDo();
    expect(matches("unseen")).toBe(1);
  });

  test("a migration edited by hand before it was applied is seen and repaired by the next one", async () => {
    change({ index: '{ text: { answer: 1 }, tokenizer: "trigram" }' });
    await generated();
    const file = app.migrations().at(-1)!;
    const statements = app.read(file).split("--> statement-breakpoint\n");
    const kept = statements.filter((statement) => !statement.startsWith(`CREATE TRIGGER "${triggers.updatetext}"`));
    expect(kept).toHaveLength(statements.length - 1);
    app.write(file, kept.join("--> statement-breakpoint\n"));

    const { output } = await generated();
    expect(output).toContain(`trigger ${triggers.updatetext} is missing`);
    await expectSettled(["answer"]);
  });

  test("a removed declaration leaves nothing of ours, and every row", async () => {
    const rows = query(`SELECT * FROM ${shape.table} ORDER BY id`);
    change({ index: undefined });
    const { output } = await generated();
    expect(output).toContain("+ drop index docs_search");
    migrateApp();
    expect(query("SELECT name FROM sqlite_master WHERE name LIKE '\\_dv\\_%' ESCAPE '\\'")).toEqual([]);
    expect(query(`SELECT * FROM ${shape.table} ORDER BY id`)).toEqual(rows);
    await expectNothingToDo();
    expect(await app.cli("check")).toMatchObject({ code: 0 });
  });

  test("drizzle-kit's check agrees with the whole folder, and Drizzle's own migrator applies it to a new database", async () => {
    expect(await app.kit("check")).toMatchObject({ code: 0 });
    const database = new Database(":memory:");
    applyMigrations(database, app);
    const names = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").pluck().all();
    expect(names).toEqual(["__drizzle_migrations", shape.table]);
  });
});

function textColumn(): string {
  return shape.columns[1]!.split(":")[0]!;
}
