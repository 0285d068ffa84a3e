import { relative } from "node:path";
import { Command } from "commander";
import pc from "picocolors";
import type { IndexDefinition } from "../../migration/definition.ts";
import { driftOf, noticesOf } from "../../migration/drift.ts";
import { type Installed, readInstalledSync } from "../../migration/installed.ts";
import { RECORD_REMEDY } from "../../migration/problems.ts";
import { replayed, type Skipped } from "../../migration/replay.ts";
import { namesOf } from "../../schema/names.ts";
import { type Config, loadConfig } from "../config.ts";
import { openFile, openMemory } from "../database.ts";
import { databaseFile, unreadable } from "../database-file.ts";
import { loadDeclarations } from "../declarations.ts";
import { readMigrations } from "../migrations/folder.ts";
import { exitingWith, reportError, warnSkipped } from "../report.ts";
import { isShutOut } from "../tables-filter.ts";

/** Where something was found out of step, and what to do about it. */
interface Finding {
  where: "migrations" | "database" | "config";
  index: string;
  code: string;
  message: string;
}

interface Checked {
  indexes: string[];
  findings: Finding[];
  /** What is no drift, and worth knowing. */
  notices: string[];
  skipped: Skipped[];
  /** The folder of migrations that was compared, or undefined where it has none. */
  migrations: string | undefined;
  /** The database file that was compared, or undefined where there was none to look at. */
  database: string | undefined;
}

/** What is found where the database has not been brought to what the schema declares. */
const BEHIND = ["TABLE_MISSING", "COLUMN_MISSING", "NOT_RECORDED", "DECLARATION_DIFFERS"];

/** The way out of what was found in one place. */
function hintFor(where: Finding["where"], codes: ReadonlySet<Finding["code"]>, hasMigrations: boolean): string {
  if (where === "migrations") {
    return `run \`drizzle-vector generate\`${codes.has("NOT_DECLARED") ? ", which drops what no schema file exports" : ""}`;
  }
  if (where === "config") return 'put `tablesFilter: searchTablesFilter()` from "drizzle-vector/kit" into the config';
  if (codes.has("RECORD_DAMAGED")) return RECORD_REMEDY;
  if (codes.size === 1 && codes.has("TEXT_PENDING")) return "run `drizzle-vector rebuild`, which fills it";
  const repair = "run `drizzle-vector rebuild` or ensureSearchIndexes(db, schema)";
  if (!hasMigrations) {
    if (codes.has("NOT_DECLARED")) return "export it, or call dropSearchIndex(db, name)";
    if (!BEHIND.some((code) => codes.has(code))) return repair;
    return "run `drizzle-vector generate` and apply the migration; without migrations `drizzle-kit push`, then ensureSearchIndexes(db, schema)";
  }
  if (codes.has("DECLARATION_DIFFERS") || codes.has("NOT_DECLARED")) {
    return "run `drizzle-vector generate`, where it has not been run, and apply the migrations";
  }
  return `apply the migrations; where they are applied, ${repair}`;
}

/** `drizzle-vector check`: schema against migrations against a database. Exits 0 in step, 1 with drift, 2 could not tell. */
export function checkCommand(): Command {
  return exitingWith(2, new Command("check"))
    .description("compare schema, migrations and database; exits 0 in step, 1 drift, 2 could not tell")
    .option("--config <file>", "drizzle config file")
    .option("--db <file>", "database file to compare, instead of dbCredentials.url")
    .option("--json", "print the findings as JSON")
    .action(async (options: { config?: string; db?: string; json?: boolean }) => {
      try {
        const config = await loadConfig(process.cwd(), options.config);
        const checked = await check(config, options.db);
        if (options.json) console.log(JSON.stringify(checked, undefined, 2));
        else print(config, checked);
        process.exitCode = exitCode(checked);
      } catch (error) {
        reportError(error);
        process.exitCode = 2;
      }
    });
}

async function check(config: Config, named: string | undefined): Promise<Checked> {
  const wanted = await loadDeclarations(config);
  const tables = wanted.map(({ table }) => table);
  const migrations = readMigrations(config.out);
  const { installed, skipped } = replayed(migrations, openMemory(config), tables);
  const database = databaseFile(config, named);
  // An app that pushes has no migrations; its database alone has to be in step.
  const isPushed = migrations.length === 0 && database !== undefined;
  const findings: Finding[] = (isPushed ? [] : driftOf(wanted, installed))
    // A deferred fill is the database's business: the migrations never do it.
    .filter(({ code }) => code !== "TEXT_PENDING")
    .map((drift) => ({ where: "migrations", ...drift }));
  const notices = isPushed ? [] : noticesOf(wanted, installed);
  if (database !== undefined) {
    const live = readDatabase(config, database, tables);
    findings.push(...driftOf(wanted, live).map((drift): Finding => ({ where: "database", ...drift })));
    notices.push(...noticesOf(wanted, live));
  }
  findings.push(...filterFindings(wanted, config.tablesFilter));
  return {
    indexes: wanted.map(({ name }) => name),
    ...{ findings, notices: [...new Set(notices)], skipped },
    migrations: migrations.length === 0 ? undefined : config.out,
    database,
  };
}

function readDatabase(config: Config, file: string, tables: string[]): Installed {
  try {
    const database = openFile(file, config);
    const installed = readInstalledSync((sql) => database.rows(sql), tables);
    database.close();
    return installed;
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

/** Without the filter, `drizzle-kit push` drops our tables and `pull` makes nonsense of them. */
function filterFindings(wanted: readonly IndexDefinition[], filter: readonly string[]): Finding[] {
  return wanted
    .filter(({ name }) => Object.values(namesOf(name).tables).some((table) => !isShutOut(table, filter)))
    .map(({ name }) => ({
      where: "config",
      index: name,
      code: "TABLES_FILTER",
      message: `tablesFilter does not keep drizzle-kit push and pull away from the tables of index ${name}`,
    }));
}

function exitCode({ findings }: Checked): number {
  if (findings.length === 0) return 0;
  return findings.some(({ code }) => code === "FORMAT_NEWER") ? 2 : 1;
}

function print({ root }: Config, checked: Checked): void {
  const { indexes, findings, notices, skipped, migrations, database } = checked;
  warnSkipped(skipped);
  for (const where of ["migrations", "database", "config"] as const) {
    const here = findings.filter((finding) => finding.where === where);
    if (here.length === 0) continue;
    const codes = new Set(here.map(({ code }) => code));
    console.log(pc.bold(where));
    for (const { message } of here) console.log(`${pc.red("-")} ${message}`);
    console.log(`${pc.dim("hint")} ${hintFor(where, codes, migrations !== undefined)}`);
  }
  for (const notice of notices) console.log(`${pc.dim("note")} ${notice}`);
  const file = database && relative(root, database);
  const looked = file && (migrations ? `migrations and ${file}` : file);
  if (findings.length === 0)
    console.log(
      `In step with ${looked ?? "migrations (no database file to look at)"}: ${indexes.join(", ") || "no search index declared"}`,
    );
}
