import Database from "better-sqlite3";
import { definitionOf, type IndexDefinition } from "../../src/migration/definition.ts";
import { type Installed, readInstalledSync, type SqlRow } from "../../src/migration/installed.ts";
import { type Plan, planEnsure } from "../../src/migration/plan.ts";
import { problemsOf } from "../../src/migration/problems.ts";
import type { SearchIndex } from "../../src/schema.ts";

export type Db = Database.Database;

/** A fresh database in memory, with the tables given. */
export function open(...statements: string[]): Db {
  const db = new Database(":memory:");
  for (const sql of statements) db.exec(sql);
  return db;
}

export function installedIn(db: Db, tables: readonly string[] = []): Installed {
  return readInstalledSync((sql) => db.prepare(sql).raw().all() as SqlRow[], tables);
}

/** Runs a plan as a migration does: one statement at a time, all in one transaction. */
export function run(db: Db, { before, after }: Plan, between: readonly string[] = []): void {
  db.transaction(() => {
    for (const sql of [...before, ...between, ...after]) db.prepare(sql).run();
  })();
}

export function ensure(db: Db, index: SearchIndex<any, any, any> | IndexDefinition): IndexDefinition {
  const definition = "key" in index ? index : definitionOf(index);
  const plan = planEnsure(definition, installedIn(db, [definition.table]));
  if (plan.blocking.length > 0) throw new Error(JSON.stringify(plan.blocking));
  run(db, plan);
  return definition;
}

export function problemsIn(db: Db, definition: IndexDefinition): string[] {
  return problemsOf(definition, installedIn(db, [definition.table])).map(({ message }) => message);
}

export function rows(db: Db, sql: string): unknown[] {
  return db.prepare(sql).raw().all();
}

/** Names of everything of ours in the database. */
export function ours(db: Db): unknown[] {
  return db
    .prepare("SELECT name FROM sqlite_master WHERE name LIKE '\\_dv\\_%' ESCAPE '\\' ORDER BY name")
    .pluck()
    .all();
}

/** Four float32 as a vector column of four dimensions stores them. */
export function vector(...numbers: number[]): Buffer {
  return Buffer.from(Float32Array.from(numbers).buffer);
}
