import { installedIn, missingIndex } from "../change/attachment.ts";
import { type DbLike, driverOf, type KindOf, type Result, type Row, type Steps } from "../driver/driver.ts";
import { hashOf } from "../migration/definition.ts";
import { findIndex, findTable, type Installed, type InstalledIndex } from "../migration/installed.ts";
import type { Manager } from "../migration/objects.ts";
import { damagedRecord, problemsOf } from "../migration/problems.ts";
import { eponymous, identifier, literal } from "../migration/sql-text.ts";
import { isSameName, namesOf, type TableKind } from "../schema/names.ts";
import { contentOf, damageIn } from "./fts.ts";
import {
  count,
  firstRow,
  type IndexOrName,
  readableDefinition,
  type Target,
  targetOf,
  unreadableIndex,
} from "./target.ts";
import { type VectorStatus, vectorStatuses } from "./vector-status.ts";

/** How a search index stands; every number of one snapshot. Plain data, fit for JSON. */
export interface IndexStatus {
  index: string;
  /** The table it is over. */
  table: string;
  /** Rows of the table; null where it does not exist. */
  rows: number | null;
  /** Texts in the index; null where it has no text or its table of texts is missing. */
  indexed: number | null;
  /** `text` while the text is not filled: `search` refuses, `rebuild` fills it. */
  pending: "text" | null;
  /** Entries in the log of changed vectors; null where the index has no vectors or the log is missing. */
  log: number | null;
  /** What each vector column has on disk and in memory; empty where there are none, or the definition cannot be read. */
  vectors: VectorStatus[];
  /** Bytes on disk of each table with its indexes; null where SQLite was compiled without dbstat. */
  bytes: Partial<Record<TableKind, number>> | null;
  /** Whether triggers and tables are as they should be, so that every write is followed. */
  ok: boolean;
  /** Why not, in sentences without a full stop. */
  problems: { code: string; object: string; message: string }[];
  managed: Manager;
  format: number;
  /** Whether the database records what the code declares; null where only a name was given. */
  declared: boolean | null;
  sqlite: {
    /** Of this connection; other programs that write to the database bring their own. */
    version: string;
    journalMode: string;
    /** What the version is known to get wrong, in sentences. */
    warnings: string[];
  };
}

/**
 * Tells how search indexes stand: rows and texts, what is pending, the log's length, bytes on disk, what
 * vectors have on disk and in memory, and whether triggers and
 * tables are as they should be; what has changed since codes were written, and what helps. Reads only. Counts the table's rows, and
 * those of them whose vectors have another length, reads the pages of the index's own tables and up to 256 vectors a column, so it
 * takes about as long as a `count(*)` over both; `verify` compares what is in them.
 *
 * @param index - a declaration or a name; left out: every index that the database records, by name
 * @throws {IndexMissingError} when the database does not record the index
 * @throws {InvalidOptionError | UnsupportedDriverError}
 * @example const { rows, indexed, ok } = status(db, docsSearch);
 */
export function status<TDb extends DbLike>(db: TDb, index: IndexOrName): Result<KindOf<TDb>, IndexStatus>;
export function status<TDb extends DbLike>(db: TDb): Result<KindOf<TDb>, IndexStatus[]>;
export function status(db: DbLike, index?: IndexOrName): unknown {
  const driver = driverOf(db);
  const { connection } = driver;
  if (index === undefined) return driver.run(() => allStatuses(connection));
  const target = targetOf(db, index);
  return driver.run(() => oneStatus(connection, target));
}

function* allStatuses(connection: object): Steps<IndexStatus[]> {
  const installed = yield* installedIn();
  const statuses: IndexStatus[] = [];
  for (const found of installed.indexes) {
    if (found.record)
      statuses.push(yield* statusOf(connection, found, installed, { name: found.name, declared: undefined }));
  }
  return statuses;
}

function* oneStatus(connection: object, target: Target): Steps<IndexStatus> {
  const installed = yield* installedIn();
  const found = findIndex(installed, target.name);
  if (!found?.record) throw missingIndex(target.name, installed.indexes);
  return yield* statusOf(connection, found, installed, target);
}

function* statusOf(
  connection: object,
  found: InstalledIndex,
  installed: Installed,
  { declared }: Target,
): Steps<IndexStatus> {
  const record = found.record!;
  const { tables } = namesOf(found.name);
  const definition = readableDefinition(record, declared);
  const table = findTable(installed, record.table);
  const has = (kind: TableKind) =>
    found.objects.some(({ type, name }) => type === "table" && isSameName(name, tables[kind]));
  const damaged = damagedRecord(found);
  const known = definition && [...damaged, ...problemsOf(definition, installed)];
  const problems = known ?? (damaged.length > 0 ? damaged : [unreadableProblem(found)]);
  return {
    index: found.name,
    table: record.table,
    rows: table ? yield* count(identifier(table.name)) : null,
    indexed: has("fts") ? yield* countTexts(found.name) : null,
    pending: record.pending ?? null,
    log: has("log") ? yield* count(identifier(tables.log)) : null,
    vectors: definition
      ? yield* vectorStatuses(connection, {
          definition,
          settings: record.settings,
          table: problems.length === 0 ? table : undefined,
          hasTables: (["log", "head", "chunks"] as const).every(has),
        })
      : [],
    bytes: yield* bytesOf(found.name),
    ok: problems.length === 0,
    problems: problems.map(({ code, object, message }) => ({ code, object, message })),
    managed: record.managed,
    format: record.format,
    declared: declared ? hashOf(declared) === record.hash : null,
    sqlite: yield* sqliteStatus(),
  };
}

function unreadableProblem({ name, record }: InstalledIndex): IndexStatus["problems"][number] {
  const { code, message } = unreadableIndex(name, record!);
  return { code, object: name, message };
}

function* countTexts(index: string): Steps<number | null> {
  try {
    return yield* count(contentOf(index));
  } catch (error) {
    damageIn(error);
    return null;
  }
}

function* bytesOf(index: string): Steps<IndexStatus["bytes"]> {
  const { tables } = namesOf(index);
  const parts = ["data", "idx", "content", "docsize", "config"].map(
    (part) => [`${tables.fts}_${part}`, "fts"] as const,
  );
  const own = [...Object.entries(tables).map(([kind, name]) => [name, kind as TableKind] as const), ...parts];
  const values = own.map(([name, kind]) => `(${literal(name)}, ${literal(kind)})`).join(", ");
  // Indexes count for their table; CROSS JOIN, so that dbstat reads the pages of one name at a time.
  const sql = `SELECT t.column2, sum(s.pgsize) FROM (VALUES ${values}) AS t CROSS JOIN sqlite_master AS m ON m.tbl_name = t.column1 COLLATE NOCASE CROSS JOIN ${eponymous("dbstat")} AS s ON s.name = m.name AND s.aggregate = 1 WHERE m.rootpage > 0 GROUP BY 1`;
  try {
    const rows: Row[] = yield { type: "rows", sql, params: [] };
    return Object.fromEntries(rows.map(([kind, bytes]) => [String(kind), Number(bytes)]));
  } catch (error) {
    if (/no such (table|module): .*dbstat/.test(damageIn(error))) return null;
    throw error;
  }
}

function* sqliteStatus(): Steps<IndexStatus["sqlite"]> {
  const [version] = (yield* firstRow("SELECT sqlite_version()"))!;
  const [mode] = (yield* firstRow("PRAGMA journal_mode"))!;
  return {
    version: String(version),
    journalMode: String(mode),
    warnings: sqliteWarnings(String(version), String(mode)),
  };
}

/** What a version of SQLite is known to get wrong for us. @see https://www.sqlite.org/wal.html#walresetbug */
export function sqliteWarnings(version: string, journalMode: string): string[] {
  const warnings: string[] = [];
  if (isOlder(version, "3.51.3") && journalMode.toLowerCase() === "wal") {
    warnings.push(
      `SQLite ${version} can corrupt a database in WAL mode that several processes write to: use 3.51.3 or newer, or another journal_mode.`,
    );
  }
  if (isOlder(version, "3.37.0")) {
    warnings.push(`SQLite ${version} is older than the search index supports: use 3.37 or newer.`);
  }
  return warnings;
}

function isOlder(version: string, than: string): boolean {
  const parts = version.split(".").map(Number);
  const bounds = than.split(".").map(Number);
  const first = bounds.findIndex((bound, i) => (parts[i] ?? 0) !== bound);
  return first >= 0 && (parts[first] ?? 0) < bounds[first]!;
}
