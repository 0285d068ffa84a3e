import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { MigrationError } from "../../src/errors.ts";
import { replay } from "../../src/migration/replay.ts";

const migration = (name: string, ...statements: string[]) => ({
  name,
  path: `${name}.sql`,
  sql: statements.join("\n--> statement-breakpoint\n"),
});

test("what the migrations leave can be read back, the recreate of a table with children included", () => {
  const database = new Database(":memory:");
  const first = migration(
    "0000_first",
    "CREATE TABLE parent (id integer PRIMARY KEY)",
    "CREATE TABLE child (id integer PRIMARY KEY, parent integer REFERENCES parent (id) ON DELETE RESTRICT)",
  );
  const second = migration(
    "0001_second",
    "PRAGMA foreign_keys=OFF;",
    "CREATE TABLE __new_parent (id integer PRIMARY KEY, name text)",
    "INSERT INTO __new_parent (id) SELECT id FROM parent",
    "DROP TABLE parent",
    "ALTER TABLE __new_parent RENAME TO parent",
    "PRAGMA foreign_keys=ON;",
  );
  expect(replay([first, second], database)).toEqual([]);
  expect(database.prepare("SELECT name FROM pragma_table_info('parent')").pluck().all()).toEqual(["id", "name"]);
});

test("statements that need rows or an extension are skipped and told", () => {
  const skipped = replay(
    [
      migration(
        "0000_seed",
        "CREATE TABLE roles (id integer PRIMARY KEY, name text NOT NULL)",
        "-- the first role\nINSERT INTO roles (name) VALUES ((SELECT name FROM roles))",
        "CREATE VIRTUAL TABLE old USING vec0 (embedding float[4])",
      ),
    ],
    new Database(":memory:"),
  );
  expect(skipped.map(({ migration, reason }) => `${migration}: ${reason}`)).toEqual([
    "0000_seed: NOT NULL constraint failed: roles.name",
    "0000_seed: no such module: vec0",
  ]);
});

test("any other statement that fails is an error that names file and statement", () => {
  const broken = migration("0003_by_hand", "CREATE TABLE a (id integer)", "ALTER TABLE b ADD COLUMN c text");
  expect(() => replay([broken], new Database(":memory:"))).toThrow(MigrationError);
  expect(() => replay([broken], new Database(":memory:"))).toThrow(
    "0003_by_hand: expected a migration that runs on an empty database, got no such table: b in: ALTER TABLE b ADD COLUMN c text",
  );
});
