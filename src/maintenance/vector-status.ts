import { vectorBytes } from "../codec/codec.ts";
import type { Steps } from "../driver/driver.ts";
import type { IndexDefinition, VectorDefinition } from "../migration/definition.ts";
import { storedRecallIn } from "../migration/settings.ts";
import { identifier } from "../migration/sql-text.ts";
import type { TableFacts } from "../migration/table-facts.ts";
import { tableNameOf } from "../schema/names.ts";
import { ChunkDamage } from "../vector/chunk.ts";
import { Generations, liveRows } from "../vector/generation.ts";
import type { StoredColumn } from "../vector/indexed-column.ts";
import { heldOf } from "../vector/resident-column.ts";
import { count, firstRow } from "./target.ts";
import {
  adviceOn,
  type DriftAdvice,
  type DriftInput,
  isWorthCodes,
  type VectorDrift,
  vectorDriftOf,
} from "./vector-drift.ts";

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

interface VectorsInput {
  readonly definition: IndexDefinition;
  readonly settings: string | null | undefined;
  /** The indexed table, where the index follows every write. */
  readonly table: TableFacts | undefined;
  readonly hasTables: boolean;
}

/** How each vector column of an index stands. */
export function* vectorStatuses(
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
    const drift = drifting ? yield* vectorDriftOf(drifting, generations, manifest) : null;
    return { ...written, pending: Number(pending), drift, advice: drift && adviceOn(drift, rows) };
  } catch (error) {
    if (!(error instanceof ChunkDamage)) throw error;
    return yield* unusable(status, error.message);
  }
}
