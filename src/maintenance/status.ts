import { installedIn } from "../change/attachment.ts";
import { vectorBytes } from "../codec/codec.ts";
import { type DbLike, driverOf, type KindOf, type Result, type Row, type Steps } from "../driver/driver.ts";
import { hashOf, type IndexDefinition, type VectorDefinition } from "../migration/definition.ts";
import { findIndex, findTable, type Installed, type InstalledIndex } from "../migration/installed.ts";
import type { Manager } from "../migration/objects.ts";
import { damagedRecord, problemsOf } from "../migration/problems.ts";
import { storedRecallIn } from "../migration/settings.ts";
import { eponymous, identifier, literal } from "../migration/sql-text.ts";
import type { TableFacts } from "../migration/table-facts.ts";
import { isSameName, namesOf, type TableKind, tableNameOf } from "../schema/names.ts";
import { ChunkDamage } from "../vector/chunk.ts";
import { Generations, liveRows } from "../vector/generation.ts";
import type { StoredColumn } from "../vector/indexed-column.ts";
import { heldOf } from "../vector/resident-column.ts";
import { adviceOn, type DriftAdvice, type DriftInput, driftOf, isWorthCodes, type VectorDrift } from "./drift.ts";
import { contentOf, damageIn } from "./fts.ts";
import {
  firstRow,
  type IndexOrName,
  missingIndex,
  readableDefinition,
  type Target,
  targetOf,
  unreadableIndex,
} from "./target.ts";

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

/** What is kept of a vector column beside its table. */
export interface VectorStatus {
  column: string;
  /** Number of the generation on disk; null while none has been written. */
  generation: number | null;
  /** Rows whose codes are in it; null with `generation`, or where it cannot be read. */
  rows: number | null;
  /** How many parts it has been written in. */
  segments: number | null;
  /** Entries in the log behind it, which a new process reads from the table; null where all rows are. */
  pending: number | null;
  /** Why the generation on disk cannot be used, in a sentence without a full stop; the next fold writes it anew. */
  problem: string | null;
  /**
   * What this connection holds in memory: rows, bytes, and how many of its blocks are read from disk by each query because
   * `memoryBudget` has no room for them. Null while it holds nothing.
   */
  resident: { rows: number; bytes: number; streamed: number } | null;
  /** What has changed since the generation on disk was written; null while there is none that can be used. */
  drift: VectorDrift | null;
  /** What would help, and why; null where nothing has to be done. */
  advice: DriftAdvice | null;
  /**
   * Rows whose stored bytes are not of the column's length, as those that an embedding model of other dimensions has left: `nearest`
   * does not find them. Null where the index has problems.
   */
  skipped: number | null;
  /** The `recall` of queries that name none, as `tune` or `storeRecall` has stored it; null: 1, exact. */
  recall: number | null;
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
  if (!found?.record) throw missingIndex(target.name);
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
      ? yield* vectorsOf(connection, {
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

interface VectorsInput {
  readonly definition: IndexDefinition;
  readonly settings: string | null | undefined;
  /** The indexed table, where the index follows every write. */
  readonly table: TableFacts | undefined;
  readonly hasTables: boolean;
}

function* vectorsOf(
  connection: object,
  { definition, settings, table, hasTables }: VectorsInput,
): Steps<VectorStatus[]> {
  const statuses: VectorStatus[] = [];
  for (const vector of definition.vectors) {
    const { column, dimensions, element, metric } = vector;
    const held = heldOf(connection, { definition, column, shape: { dimensions, element }, metric });
    const drifting = table && { definition, vector, table };
    statuses.push({
      column,
      ...(hasTables ? yield* storedStatus({ definition, column }, drifting) : NOTHING_STORED),
      resident: held ? { rows: held.size, bytes: held.bytes, streamed: held.streamed } : null,
      skipped: table ? yield* countSkipped(table, vector) : null,
      recall: storedRecallIn(settings, vector)?.recall ?? null,
    });
  }
  return statuses;
}

/** SQLite tells the length of a blob from the row's header, so that no vector is read. */
function* countSkipped(table: TableFacts, { column, dimensions, element }: VectorDefinition): Steps<number> {
  const vector = identifier(column);
  const isVector = `typeof(${vector}) = 'blob' AND length(${vector}) = ${vectorBytes({ dimensions, element })}`;
  return yield* count(`main.${identifier(table.name)} WHERE ${vector} IS NOT NULL AND NOT (${isVector})`);
}

type StoredStatus = Omit<VectorStatus, "column" | "resident" | "skipped" | "recall">;

const NOTHING_STORED: StoredStatus = {
  generation: null,
  rows: null,
  segments: null,
  pending: null,
  problem: null,
  drift: null,
  advice: null,
};

/** @param drifting - undefined where writes may have gone by unseen: `rebuild` is what helps then, whatever has drifted */
function* storedStatus(column: StoredColumn, drifting: DriftInput | undefined): Steps<StoredStatus> {
  const generations = new Generations(column);
  const head = yield* generations.head();
  const advice = function* (reason: string): Steps<DriftAdvice | null> {
    return drifting && (yield* isWorthCodes(drifting)) ? { action: "optimize", reason } : null;
  };
  if (!head?.base) return { ...NOTHING_STORED, advice: yield* advice("no codes have been written yet") };
  const status = { ...NOTHING_STORED, generation: Number(head.generation) };
  const unusable = function* (written: StoredStatus, problem: string): Steps<StoredStatus> {
    return { ...written, problem, advice: yield* advice("the codes on disk cannot be used") };
  };
  try {
    const manifest = yield* generations.manifest(head);
    const { segments, schemaVersion } = manifest;
    const rows = liveRows(segments);
    const written = { ...status, rows, segments: segments.length };
    const [now] = (yield* firstRow("PRAGMA schema_version"))!;
    if (String(now) !== schemaVersion) return yield* unusable(written, "the schema has changed since it was written");
    const log = identifier(tableNameOf(column.definition.name, "log"));
    const { seq, nonce } = manifest.base;
    const sql = `SELECT count(*), count(id) = coalesce(max(seq) - ${seq}, 0), (SELECT nonce FROM ${log} WHERE seq = ${seq}) FROM ${log} WHERE seq > ${seq}`;
    const [pending, isWhole, found] = (yield* firstRow(sql))!;
    if (found !== nonce) return yield* unusable(written, "the log does not reach back to it");
    if (Number(isWhole) === 0) return yield* unusable(written, "rows of the log behind it were deleted or altered");
    const drift = drifting ? yield* driftOf(drifting, generations, manifest) : null;
    return { ...written, pending: Number(pending), drift, advice: drift && adviceOn(drift, rows) };
  } catch (error) {
    if (!(error instanceof ChunkDamage)) throw error;
    return yield* unusable(status, error.message);
  }
}

function unreadableProblem({ name, record }: InstalledIndex): IndexStatus["problems"][number] {
  const { code, message } = unreadableIndex(name, record!);
  return { code, object: name, message };
}

function* count(table: string): Steps<number> {
  return Number((yield* firstRow(`SELECT count(*) FROM ${table}`))![0]);
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
