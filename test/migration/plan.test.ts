import { join } from "node:path";
import Database from "better-sqlite3";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { describe, expect, test } from "vitest";
import { definitionOf, hashOf, type IndexDefinition } from "../../src/migration/definition.ts";
import { findIndex, findTable } from "../../src/migration/installed.ts";
import { clearPending, fillText } from "../../src/migration/objects.ts";
import { detachStatements, type Plan, planEnsure, planMigration, planRemoval } from "../../src/migration/plan.ts";
import { searchIndex, vectorColumn } from "../../src/schema.ts";
import { temporaryFolder } from "../helpers/databases.ts";
import { type Db, ensure, installedIn, open, ours, problemsIn, rows, run, vector } from "./database.ts";

const docs = sqliteTable("docs", {
  id: integer().primaryKey(),
  slug: text(),
  body: text(),
  embedding: vectorColumn(2),
});
const definition = definitionOf(searchIndex("s", docs, { text: { body: 1 }, vectors: { embedding: {} } }));
const CREATE = "CREATE TABLE `docs` (`id` integer PRIMARY KEY NOT NULL, `slug` text, `body` text, `embedding` blob)";
const RECREATE = [
  "PRAGMA foreign_keys=OFF",
  "CREATE TABLE `__new_docs` (`id` integer PRIMARY KEY NOT NULL, `slug` text DEFAULT 'x', `body` text, `embedding` blob)",
  'INSERT INTO `__new_docs`("id", "slug", "body", "embedding") SELECT "id", "slug", "body", "embedding" FROM `docs`',
  "DROP TABLE `docs`",
  "ALTER TABLE `__new_docs` RENAME TO `docs`",
  "PRAGMA foreign_keys=ON",
];

function migrated(...wanted: IndexDefinition[]): Db {
  const db = open(CREATE);
  run(db, planMigration({ wanted, installed: installedIn(db, ["docs"]) }));
  db.prepare("INSERT INTO docs VALUES (1, 'one', 'first words', ?)").run(vector(1, 0));
  return db;
}

/** What the command line does: tries the new statements on a copy, detached where they fail, plans, and runs all of it. */
function migrate(db: Db, statements: readonly string[], wanted: readonly IndexDefinition[]): Plan {
  const tables = wanted.map(({ table }) => table);
  const installed = installedIn(db, tables);
  let isDetached = false;
  const tried = (first: readonly string[]) => {
    db.exec("SAVEPOINT trial");
    try {
      for (const sql of [...first, ...statements]) db.exec(sql);
      return installedIn(db, tables);
    } finally {
      db.exec("ROLLBACK TO trial; RELEASE trial");
    }
  };
  let later: ReturnType<typeof tried>;
  try {
    later = tried([]);
  } catch {
    isDetached = true;
    later = tried(detachStatements(installed));
  }
  const plan = planMigration({ wanted, installed, next: { installed: later, isDetached } });
  run(db, plan, statements);
  return plan;
}

const fts = (db: Db) => rows(db, "SELECT rowid, * FROM _dv_s_fts");
const log = (db: Db) => rows(db, "SELECT seq, id FROM _dv_s_log");

/** Both ways of writing are followed, and the database says that all is well. */
function expectInStep(db: Db, wanted: IndexDefinition): void {
  expect(problemsIn(db, wanted)).toEqual([]);
  const again = planMigration({ wanted: [wanted], installed: installedIn(db, [wanted.table]) });
  expect(again).toEqual({ before: [], after: [], changes: [], blocking: [] });
  const record = findIndex(installedIn(db), wanted.name)?.record;
  expect(record).toMatchObject({ definition: wanted, hash: hashOf(wanted), managed: "migrations", format: 1 });
  const table = `"${wanted.table}"`;
  const column = wanted.text!.columns[0]!.column;
  db.exec(`INSERT INTO ${table} (id, "${column}") VALUES (70, 'seventy')`);
  expect(rows(db, "SELECT rowid, * FROM _dv_s_fts WHERE _dv_s_fts MATCH 'seventy'")).toEqual([[70, "seventy"]]);
  db.exec(`DELETE FROM ${table} WHERE id = 70`);
  expect(rows(db, "SELECT rowid FROM _dv_s_fts WHERE rowid = 70")).toEqual([]);
}

describe("a migration", () => {
  test("creates an index over rows that are there, and says so in a sentence", () => {
    const db = open(CREATE, "INSERT INTO docs (id, body) VALUES (5, 'old words')");
    const plan = planMigration({ wanted: [definition], installed: installedIn(db, ["docs"]) });
    expect(plan.changes).toEqual(["create index s on docs"]);
    expect(plan.before).toEqual([]);
    for (const sql of plan.after) expect(sql).not.toContain("\n");
    run(db, plan);
    expect(fts(db)).toEqual([[5, "old words"]]);
    expectInStep(db, definition);
  });

  test("34: an added column changes nothing", () => {
    const db = migrated(definition);
    const plan = migrate(db, ["ALTER TABLE `docs` ADD `note` text"], [definition]);
    expect(plan).toEqual({ before: [], after: [], changes: [], blocking: [] });
    expectInStep(db, definition);
  });

  test("34: a renamed column and table keep their triggers and text; only the record is written", () => {
    const db = migrated(definition);
    const wanted = {
      ...definition,
      table: "articles",
      text: { ...definition.text!, columns: [{ column: "content", weight: 1 }] },
    };
    const statements = [
      "ALTER TABLE `docs` RENAME TO `articles`",
      "ALTER TABLE `articles` RENAME COLUMN `body` TO `content`",
    ];
    const plan = migrate(db, statements, [wanted]);
    expect(plan).toMatchObject({ before: [], changes: ["record what is declared for index s"] });
    expect(plan.after).toHaveLength(1);
    expectInStep(db, wanted);
  });

  test("34: a dropped indexed column drops our triggers in front, an unindexed one nothing", () => {
    const db = migrated(definition);
    expect(migrate(db, ["ALTER TABLE `docs` DROP COLUMN `slug`"], [definition]).changes).toEqual([]);
    const wanted = { ...definition, vectors: [] };
    const plan = migrate(db, ["ALTER TABLE `docs` DROP COLUMN `embedding`"], [wanted]);
    expect(plan.before[0]).toBe('DROP TRIGGER IF EXISTS "_dv_s_insert"');
    expect(fts(db)).toEqual([[1, "first words"]]);
    expect(ours(db)).not.toContain("_dv_s_log");
    expectInStep(db, wanted);
  });

  test("34: where SQLite refuses a statement, indexes on other tables stay as they are", () => {
    const db = migrated(definition);
    db.exec("CREATE TABLE other (id integer PRIMARY KEY, body text)");
    const other: IndexDefinition = { ...definition, name: "o", table: "other", vectors: [] };
    migrate(db, [], [definition, other]);
    const plan = migrate(db, ["ALTER TABLE `docs` DROP COLUMN `embedding`"], [{ ...definition, vectors: [] }, other]);
    expect(plan.changes).toHaveLength(1);
    expect(problemsIn(db, other)).toEqual([]);
  });

  test("32, 33: a recreated table gets its triggers back, and a log no process has seen", () => {
    const db = migrated(definition);
    const nonce = db.prepare("SELECT nonce FROM _dv_s_log WHERE seq = 1").pluck().get();
    const plan = migrate(db, RECREATE, [definition]);
    expect(plan.before.slice(0, 2)).toEqual([
      'DROP TRIGGER IF EXISTS "_dv_s_insert"',
      'DROP TRIGGER IF EXISTS "_dv_s_delete"',
    ]);
    expect(log(db)).toEqual([[1, null]]);
    expect(db.prepare("SELECT nonce FROM _dv_s_log").pluck().get()).not.toBe(nonce);
    expect(fts(db)).toEqual([[1, "first words"]]);
    expectInStep(db, definition);
  });

  test("32: a recreate behind our back is seen, and the next plan heals it", () => {
    const db = migrated(definition);
    for (const sql of RECREATE) db.exec(sql);
    db.exec("INSERT INTO docs (id, body) VALUES (2, 'unseen')");
    expect(problemsIn(db, definition)).toContain("trigger _dv_s_insert is missing");
    run(db, planMigration({ wanted: [definition], installed: installedIn(db) }));
    expect(fts(db)).toEqual([
      [1, "first words"],
      [2, "unseen"],
    ]);
    expectInStep(db, definition);
  });

  test("35: a UNIQUE index that comes later brings its guards", () => {
    const db = migrated(definition);
    migrate(db, ["CREATE UNIQUE INDEX `slug_unique` ON `docs` (`slug`)"], [definition]);
    expectInStep(db, definition);
    db.exec("INSERT OR REPLACE INTO docs (id, slug, body) VALUES (9, 'one', 'second')");
    expect(fts(db)).toEqual([[9, "second"]]);
  });

  test("35: made behind our back, it is a problem until the guards are there", () => {
    const db = migrated(definition);
    db.exec("CREATE UNIQUE INDEX slug_unique ON docs (lower(slug)) WHERE slug <> ''");
    expect(problemsIn(db, definition)).toEqual([
      "trigger _dv_s_guardinsert is missing",
      "trigger _dv_s_guardupdate is not as it should be",
      "trigger _dv_s_sweepinsert is missing",
      "trigger _dv_s_sweepupdate is not as it should be",
    ]);
  });

  test("a changed tokenizer fills the text anew and leaves the triggers alone", () => {
    const db = migrated(definition);
    const wanted = { ...definition, text: { ...definition.text!, tokenizer: "trigram" } };
    const plan = migrate(db, [], [wanted]);
    expect(plan.changes).toEqual(["fill the text of index s anew"]);
    expect(plan.after.filter((sql) => sql.includes("TRIGGER"))).toEqual([]);
    expect(rows(db, "SELECT rowid FROM _dv_s_fts WHERE _dv_s_fts MATCH 'ord'")).toEqual([[1]]);
    expectInStep(db, wanted);
  });

  test("changed dimensions reset the vectors: another generation, no chunks, a new row in the log", () => {
    const db = migrated(definition);
    db.exec("UPDATE _dv_s_head SET generation = 4, seq = 2, nonce = 7");
    db.exec("INSERT INTO _dv_s_chunks VALUES ('embedding', 4, 0, x'00')");
    const wanted = { ...definition, vectors: [{ ...definition.vectors[0]!, dimensions: 3 }] };
    const schemaVersion = db.pragma("schema_version", { simple: true }) as number;
    const plan = migrate(db, [], [wanted]);
    expect(plan.changes).toEqual(["reset the vectors of index s"]);
    // By which other processes read what is recorded once more.
    expect(db.pragma("schema_version", { simple: true })).toBeGreaterThan(schemaVersion);
    expect(rows(db, "SELECT * FROM _dv_s_head")).toEqual([["embedding", 5, null, null, 1]]);
    expect(rows(db, "SELECT count(*) FROM _dv_s_chunks")).toEqual([[0]]);
    expect(log(db)).toEqual([
      [1, null],
      [2, 1],
      [3, null],
    ]);
    expectInStep(db, wanted);
  });

  test("changed weights are recorded and nothing else", () => {
    const db = migrated(definition);
    const wanted = { ...definition, text: { ...definition.text!, columns: [{ column: "body", weight: 2 }] } };
    expect(migrate(db, [], [wanted]).changes).toEqual(["record what is declared for index s"]);
    expectInStep(db, wanted);
  });

  test.each<[string, IndexDefinition[]]>([
    ["another tokenizer", [{ ...definition, text: { ...definition.text!, tokenizer: "trigram" } }]],
    ["other dimensions", [{ ...definition, vectors: [{ ...definition.vectors[0]!, dimensions: 3 }] }]],
    ["other weights", [{ ...definition, text: { ...definition.text!, columns: [{ column: "body", weight: 2 }] } }]],
    ["another name", [{ ...definition, name: "renamed" }]],
    ["one index more", [definition, { ...definition, name: "other", vectors: [] }]],
    ["no index", []],
  ])("for %s asks for the lock first: a transaction that has begun to read waits for no writer", (_, wanted) => {
    const file = join(temporaryFolder(), "written.db");
    const db = new Database(file, { timeout: 0 });
    db.exec(CREATE);
    run(db, planMigration({ wanted: [definition], installed: installedIn(db, ["docs"]) }));
    const { before, after } = planMigration({ wanted, installed: installedIn(db, ["docs"]) });
    const app = new Database(file);
    app.exec("BEGIN IMMEDIATE");
    db.exec("BEGIN");
    expect(() => db.exec([...before, ...after][0]!)).toThrow("database is locked");
    app.close();
    db.close();
  });

  test("39: a removed declaration leaves nothing of ours and touches no row", () => {
    const db = migrated(definition);
    const before = rows(db, "SELECT * FROM docs");
    const plan = planMigration({ wanted: [], installed: installedIn(db) });
    expect(plan.changes).toEqual(["drop index s"]);
    run(db, plan);
    expect(ours(db)).toEqual([]);
    expect(rows(db, "SELECT * FROM docs")).toEqual(before);
  });

  test("39: one of two indexes goes, the other stays", () => {
    const other = { ...definition, name: "other", vectors: [] };
    const db = migrated(definition, other);
    run(db, planRemoval("other", installedIn(db)));
    expectInStep(db, definition);
    expect(ours(db).filter((name) => String(name).includes("other"))).toEqual([]);
  });

  test("39: remains of an index nobody has recorded are cleared away", () => {
    const db = migrated(definition);
    db.exec("DROP TABLE _dv_indexes");
    run(db, planMigration({ wanted: [], installed: installedIn(db) }));
    expect(ours(db)).toEqual([]);
  });

  test("a deferred text index is marked, takes new rows, and is whole once it is filled", () => {
    const db = open(CREATE, "INSERT INTO docs (id, body) VALUES (1, 'old')");
    run(db, planMigration({ wanted: [definition], installed: installedIn(db, ["docs"]), deferText: true }));
    expect(findIndex(installedIn(db), "s")?.record?.pending).toBe("text");
    db.exec("INSERT INTO docs (id, body) VALUES (2, 'new')");
    expect(fts(db)).toEqual([[2, "new"]]);
    db.exec(
      fillText(definition, findTable(installedIn(db), "docs")!, (id) => `${id} NOT IN (SELECT rowid FROM _dv_s_fts)`),
    );
    db.exec(clearPending("s"));
    expect(fts(db)).toEqual([
      [1, "old"],
      [2, "new"],
    ]);
    expect(findIndex(installedIn(db), "s")?.record?.pending).toBeUndefined();
    expectInStep(db, definition);
  });
});

describe("what stands in the way", () => {
  const blocking = (create: string, wanted = definition) =>
    planMigration({ wanted: [wanted], installed: installedIn(open(create), ["docs"]) }).blocking.map(
      ({ message }) => message,
    );

  test("a table, a column, another key, a newer format", () => {
    expect(blocking("SELECT 1")).toEqual(["table docs does not exist"]);
    expect(blocking("CREATE TABLE docs (id integer PRIMARY KEY, body text)")).toEqual([
      "column docs.embedding does not exist",
    ]);
    expect(blocking("CREATE TABLE docs (key text PRIMARY KEY, body text, embedding blob)")).toEqual([
      "docs has the primary key (key), declared is (id)",
    ]);
    const db = migrated(definition);
    db.exec("UPDATE _dv_indexes SET format = 2, definition = 'unknown'");
    const message = "index s has format 2, this library knows 1: update drizzle-vector";
    expect(planEnsure(definition, installedIn(db)).blocking).toMatchObject([{ code: "FORMAT_NEWER", message }]);
    expect(planMigration({ wanted: [], installed: installedIn(db) }).blocking).toMatchObject([{ message }]);
  });

  test.each([
    "CREATE TABLE docs (id integer PRIMARY KEY, body text, embedding blob) WITHOUT ROWID",
    "CREATE TABLE docs (id integer PRIMARY KEY DESC, body text, embedding blob)",
  ])("41: an integer key that is no rowid: %s", (create) => {
    expect(blocking(create)).toEqual([
      "the INTEGER PRIMARY KEY of docs is not its rowid (WITHOUT ROWID, or DESC): drop that, or declare the key as text",
    ]);
  });

  test.each([
    ["INT PRIMARY KEY", "of type INT"],
    ["text PRIMARY KEY NOT NULL", "of type TEXT"],
    ["PRIMARY KEY", "has no type"],
  ])("an integer key that is %s in the database", (type, got) => {
    expect(blocking(`CREATE TABLE docs (id ${type}, body text, embedding blob)`)).toEqual([
      `docs.id is declared as an integer key, and ${got} in the database: it has to be INTEGER there, or another key in the schema`,
    ]);
  });

  test("a text key that is an integer in the database", () => {
    const declared = { ...definition, key: { ...definition.key, isRowid: false } };
    expect(blocking("CREATE TABLE docs (id integer PRIMARY KEY, body text, embedding blob)", declared)).toEqual([
      "docs.id is an INTEGER PRIMARY KEY, and declared as a key of another type",
    ]);
  });

  test("two indexes of one name, or one vector column in two indexes", () => {
    const plan =
      (...wanted: IndexDefinition[]) =>
      () =>
        planMigration({ wanted, installed: installedIn(open(CREATE)) });
    expect(plan(definition, { ...definition, name: "S", vectors: [] })).toThrow(
      'searchIndex("S"): expected a name of its own, got s',
    );
    expect(plan(definition, { ...definition, name: "z" })).toThrow(
      "docs.embedding: expected one index for a vector column, got s and z",
    );
  });
});

describe("ensure", () => {
  test("does nothing twice, and repairs in place", () => {
    const db = open(CREATE, "INSERT INTO docs (id, body) VALUES (1, 'one')");
    ensure(db, definition);
    expect(planEnsure(definition, installedIn(db))).toEqual({ before: [], after: [], changes: [], blocking: [] });
    db.exec("DROP TRIGGER _dv_s_insert");
    db.exec("INSERT INTO docs (id, body) VALUES (2, 'two')");
    const plan = planEnsure(definition, installedIn(db));
    expect(plan.changes).toEqual(["recreate index s: trigger _dv_s_insert is missing"]);
    run(db, plan);
    expect(fts(db)).toEqual([
      [1, "one"],
      [2, "two"],
    ]);
  });

  test("38: with the text table gone every write fails loudly; a repair heals without losing a row", () => {
    const db = migrated(definition);
    db.exec("DROP TABLE _dv_s_fts");
    expect(() => db.exec("INSERT INTO docs (id, body) VALUES (2, 'two')")).toThrow("no such table: main._dv_s_fts");
    run(db, planEnsure(definition, installedIn(db), { managed: "migrations" }));
    expect(fts(db)).toEqual([[1, "first words"]]);
    expectInStep(db, definition);
  });

  test("37: a log the user emptied goes on with a new nonce", () => {
    const db = migrated(definition);
    const nonces = db.prepare("SELECT nonce FROM _dv_s_log").pluck().all();
    db.exec("DELETE FROM _dv_s_log");
    db.exec("UPDATE docs SET embedding = NULL WHERE id = 1");
    // Every row may differ, says what the trigger leaves; then the update.
    expect(rows(db, "SELECT id FROM _dv_s_log").flat()).toEqual([null, 1]);
    expect(nonces).not.toContain(db.prepare("SELECT nonce FROM _dv_s_log").pluck().get());
  });

  test("spacing and quotes of a trigger do not matter, its meaning does", () => {
    const db = migrated(definition);
    const sql = db.prepare("SELECT sql FROM sqlite_master WHERE name = '_dv_s_delete'").pluck().get() as string;
    const replace = (text: string) => db.exec(`DROP TRIGGER _dv_s_delete; ${text}`);
    replace(sql.replaceAll('"', "").replaceAll(" BEGIN ", "\n-- ours\nbegin\n  "));
    expect(problemsIn(db, definition)).toEqual([]);
    replace(sql.replace('old."id"', 'old."id" + 1'));
    expect(problemsIn(db, definition)).toEqual(["trigger _dv_s_delete is not as it should be"]);
  });
});
