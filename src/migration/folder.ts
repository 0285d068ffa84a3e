import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { MigrationError } from "../errors.ts";

/** One migration of a Drizzle project, in either line's layout. */
export interface Migration {
  /** `0003_calm_hulk` (drizzle-kit 0.31) or `20260102030405_calm_hulk` (1.0); what people call it by. */
  name: string;
  /** The file with the SQL. */
  path: string;
  sql: string;
}

/**
 * The migrations in the order their migrator applies them: with a journal (drizzle-kit 0.31) as it lists them, else a folder
 * each (1.0) in the order of their names. A folder that is not there yet holds none.
 *
 * @throws {MigrationError} when the journal names a file that is not there, or cannot be read
 */
export function readMigrations(folder: string): Migration[] {
  const journal = join(folder, "meta", "_journal.json");
  const files = existsSync(journal) ? journalled(folder, journal) : folders(folder);
  return files.map(({ name, path }) => ({ name, path, sql: readSql(name, path) }));
}

/** Remembers every file of a folder. The function returned puts them back and removes what has come since. */
export function rememberFolder(folder: string): () => void {
  const existed = existsSync(folder);
  const before = new Map(filesOf(folder).map((path) => [path, readFileSync(path)]));
  return () => {
    if (!existed) return rmSync(folder, { recursive: true, force: true });
    for (const path of filesOf(folder)) if (!before.has(path)) removeFile(path, folder);
    for (const [path, bytes] of before) {
      if (existsSync(path) && readFileSync(path).equals(bytes)) continue;
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, bytes);
    }
  };
}

interface Named {
  name: string;
  path: string;
}

function journalled(folder: string, journal: string): Named[] {
  try {
    const { entries } = JSON.parse(readFileSync(journal, "utf8")) as { entries: { tag: string }[] };
    return entries.map(({ tag }) => ({ name: tag, path: join(folder, `${tag}.sql`) }));
  } catch (cause) {
    throw new MigrationError({
      subject: "meta/_journal.json",
      expected: "the journal drizzle-kit writes",
      got: (cause as Error).message,
      hint: "a conflict left by a merge? Run `drizzle-kit check`",
      cause,
    });
  }
}

function folders(folder: string): Named[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .map((name) => ({ name, path: join(folder, name, "migration.sql") }))
    .filter(({ path }) => existsSync(path))
    .sort((a, b) => a.name.localeCompare(b.name));
}

function readSql(name: string, path: string): string {
  if (existsSync(path)) return readFileSync(path, "utf8");
  throw new MigrationError({
    subject: name,
    expected: "its file, as the journal lists it",
    got: "no such file",
    hint: "restore it from version control, or take the entry out of meta/_journal.json",
  });
}

function filesOf(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

/** Takes the folders that become empty along. */
function removeFile(path: string, root: string): void {
  rmSync(path, { force: true });
  for (let parent = dirname(path); parent !== root && parent.startsWith(root); parent = dirname(parent)) {
    if (readdirSync(parent).length > 0) return;
    rmSync(parent, { recursive: true });
  }
}
