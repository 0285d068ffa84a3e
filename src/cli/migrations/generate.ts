import { writeFileSync } from "node:fs";
import { KitError, MigrationError } from "../../errors.ts";
import type { IndexDefinition } from "../../migration/definition.ts";
import { driftOf } from "../../migration/drift.ts";
import { findTable, type Installed } from "../../migration/installed.ts";
import { detachStatements, type Plan, planMigration } from "../../migration/plan.ts";
import { endangeredBy, type Reference } from "../../migration/recreates.ts";
import { type Migration, type ReplayDatabase, type Replayed, replayed, type Skipped } from "../../migration/replay.ts";
import { identifier } from "../../migration/sql-text.ts";
import { surround } from "../../migration/statements.ts";
import { namesOf } from "../../schema/names.ts";
import type { Kit } from "../kit/find-kit.ts";
import { kitGenerate } from "../kit/run-kit.ts";
import { readMigrations, rememberFolder } from "./folder.ts";

export interface GenerateInput {
  wanted: readonly IndexDefinition[];
  kit: Kit;
  /** Where drizzle-kit is run. */
  root: string;
  /** The migrations folder. */
  out: string;
  /** The config file, named to drizzle-kit. */
  config: string;
  /** What else to hand to `drizzle-kit generate`. */
  args: readonly string[];
  deferText: boolean;
  print: (output: string) => void;
  /** Gives an empty database in memory. */
  open: () => ReplayDatabase;
}

export interface Generated {
  /** The migration that was written, by drizzle-kit, by us or by both; undefined: nothing has changed. */
  migration: Migration | undefined;
  /** What our part of it does, in sentences. */
  changes: string[];
  /** Indexes whose text the migration fills from rows that may be many. */
  fills: string[];
  /** Foreign keys that act when it recreates a table. */
  endangered: Reference[];
  /** Statements of earlier migrations that could not be replayed and were left out. */
  skipped: Skipped[];
}

/**
 * Runs drizzle-kit's generate, and writes what the declared indexes need into the migration it wrote: drops in front, the rest
 * behind. Where it wrote none and there is something to do, into a custom migration, so that its book of migrations stays right.
 *
 * The folder replayed into memory tells where we start from; the result is replayed as well, and must be in step.
 *
 * @throws {KitError | MigrationError} with the folder as it was before
 */
export async function generateMigration(input: GenerateInput): Promise<Generated> {
  const restore = rememberFolder(input.out);
  try {
    return await generate(input);
  } catch (error) {
    restore();
    throw error;
  }
}

async function generate(input: GenerateInput): Promise<Generated> {
  const { wanted, deferText } = input;
  const earlier = readMigrations(input.out);
  const old = replayAll(input, earlier);
  const written = await runKit(input, input.args);
  const next = written && trial(input, { earlier, written, installed: old.installed });
  const plan = planMigration({ wanted, installed: old.installed, ...(next && { next }), deferText });
  refuseBlocked(plan);

  const endangered = written ? endangeredBy(written.sql, old.database) : [];
  const told = { endangered, skipped: old.skipped };
  if (plan.changes.length === 0) return { migration: written, changes: [], fills: [], ...told };
  const migration = written ?? (await runKit(input, customArgs(input.args, wanted, old.installed)));
  if (!migration) throw noCustomMigration(input.kit);
  writeFileSync(migration.path, surround(migration.sql, plan));
  confirm(input, migration);
  return { migration, changes: plan.changes, fills: fills(plan, wanted, old.installed), ...told };
}

function replayAll({ open, wanted }: GenerateInput, migrations: readonly Migration[]): Replayed {
  return replayed(
    migrations,
    open(),
    wanted.map(({ table }) => table),
  );
}

function runKit(input: GenerateInput, args: readonly string[]): Promise<Migration | undefined> {
  const { kit, root, out, config, print } = input;
  return kitGenerate({ kit, root, out, print, args: ["--config", config, ...args] });
}

interface Trial {
  earlier: readonly Migration[];
  /** As drizzle-kit wrote it. */
  written: Migration;
  /** What `earlier` leads to. */
  installed: Installed;
}

/** What drizzle-kit's statements lead to; without our triggers, where SQLite refuses them because of those. */
function trial(input: GenerateInput, { earlier, written, installed }: Trial) {
  try {
    return { installed: replayAll(input, [...earlier, written]).installed, isDetached: false };
  } catch (error) {
    const detach = detachStatements(installed);
    if (detach.length === 0) throw error;
    const detached = { ...written, sql: surround(written.sql, { before: detach, after: [] }) };
    return { installed: replayAll(input, [...earlier, detached]).installed, isDetached: true };
  }
}

/** What drizzle-kit was given, and a name that says which index it is about, unless the user gave one. */
function customArgs(args: readonly string[], wanted: readonly IndexDefinition[], old: Installed): string[] {
  if (args.some((arg) => arg === "--name" || arg.startsWith("--name="))) return ["--custom", ...args];
  const names = new Set([...wanted, ...old.indexes].map(({ name }) => name));
  const subject = names.size === 1 ? [...names][0]!.replace(/\W+/g, "_") : "indexes";
  return ["--custom", ...args, "--name", subject.includes("search") ? subject : `search_${subject}`];
}

function refuseBlocked({ blocking }: Plan): void {
  if (blocking.length === 0) return;
  const isNewer = blocking.some(({ code }) => code === "FORMAT_NEWER");
  throw new MigrationError({
    subject: "generate",
    expected: "migrations that make what the search indexes need",
    got: blocking.map(({ message }) => message).join("; "),
    hint: isNewer
      ? "npm install drizzle-vector@latest"
      : "the table, as the migrations make it, has to match the schema: export it from a schema file, or change it by a migration",
  });
}

/** Replays everything once more, with the new file as it is now. */
function confirm(input: GenerateInput, migration: Migration): void {
  const all = readMigrations(input.out);
  const drift = driftOf(input.wanted, replayAll(input, all).installed).filter(({ code }) => code !== "TEXT_PENDING");
  if (drift.length === 0) return;
  const isLast = all.at(-1)?.name === migration.name;
  throw new MigrationError({
    subject: migration.name,
    expected: "a migration that brings the indexes in step",
    got: drift.map(({ message }) => message).join("; "),
    hint: isLast
      ? "the folder is as it was; please report this, with the migrations"
      : "it is not the last migration in the folder's order: is another one dated in the future?",
  });
}

function fills(plan: Plan, wanted: readonly IndexDefinition[], old: Installed): string[] {
  return wanted
    .filter(({ name, table }) => {
      const insert = `INSERT INTO ${identifier(namesOf(name).tables.fts)} (rowid`;
      return findTable(old, table) !== undefined && plan.after.some((statement) => statement.startsWith(insert));
    })
    .map(({ name }) => name);
}

function noCustomMigration(kit: Kit): KitError {
  return new KitError({
    subject: `drizzle-kit ${kit.version} generate --custom`,
    expected: "an empty migration",
    got: "none",
    hint: "drizzle-kit's own words are above",
  });
}
