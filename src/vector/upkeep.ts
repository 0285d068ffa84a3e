import type { Driver } from "../driver/driver.ts";
import { maintenanceOf, reportOnce, reportQuietly } from "../driver/events.ts";
import { getOrMake } from "../driver/get-or-make.ts";
import { processWide } from "../driver/process-wide.ts";
import { clearLeftOvers, Fold, type FoldResult } from "./fold.ts";
import { columnKey, type IndexedColumn, indexedColumnOf } from "./indexed-column.ts";
import { reportDamage } from "./report-damage.ts";
import { noteStored, type Resident } from "./resident-column.ts";

/** A fold that waits for its next slice. */
interface Job {
  readonly driver: Driver;
  readonly column: IndexedColumn;
  /** Undefined once it has failed: then what it has left behind is deleted. */
  fold: Fold | undefined;
  readonly start: number;
  /** How often in turn the lock was taken. */
  misses: number;
  /** Of the bytes it has written, those that a write-ahead log need not hold any more. */
  checkpointed: number;
  timer: unknown;
}

/** What each connection's folds are at, by column. */
interface Upkeep {
  readonly jobs: Map<string, Job>;
  /** When a column may be tried again after a failure, and how many there were in turn. */
  readonly failures: Map<string, { until: number; count: number }>;
}

const upkeeps: WeakMap<object, Upkeep> = processWide("upkeep-1", () => new WeakMap());

/**
 * A slice is to hold up the event loop, and other writers, for 10 ms at most: its last step and COMMIT come on top of this, and
 * now and then 4 ms in which the system has another thread run.
 */
const SLICE_MS = 3;
/** A checkpoint takes about 4 ms for a chunk of 1 MB, and is a slice of its own; several small chunks may share one. */
const CHECKPOINT_BYTES = 500_000;
const PAUSE_MS = 5;
const DELAY_MS = 20;
const MISSES_MAX = 12;
const RETRY_MS_MAX = 300_000;

/** Fewer changes than this, or than this share of the rows, are read again by whoever needs them, in no time. */
export const CHANGES_MIN = 1000;
const CHANGES_SHARE = 1 / 16;
/** Where the log is this long a generation is written however small the index: only then can the log be cut. */
const LOG_MAX = 50_000;

/** Has changes written a little later, where a query has found many. */
export function considerFold(driver: Driver, column: IndexedColumn, resident: Resident): void {
  if (!isDue(resident)) return;
  // Another process may have written them meanwhile.
  start(driver, column, { isChecked: resident.storedTo === undefined, leastChanges: changesMin(rowsOf(resident)) });
}

function start(driver: Driver, column: IndexedColumn, options: { isChecked: boolean; leastChanges: number }): void {
  const { connection } = driver;
  if (!driver.tryWrite || maintenanceOf(connection) === "manual") return;
  const { jobs, failures } = upkeepOf(connection);
  const key = columnKey(column);
  if (jobs.has(key) || (failures.get(key)?.until ?? 0) > performance.now()) return;
  const fold = new Fold(connection, column, { sliceMs: SLICE_MS, isWhole: false, ...options });
  const job: Job = { driver, column, fold, start: performance.now(), misses: 0, checkpointed: 0, timer: undefined };
  jobs.set(key, job);
  later(job, key, DELAY_MS);
}

/** Ends the folds of a connection where they stand; what they have written is not used. */
export function stopFolds(connection: object): void {
  for (const { timer } of upkeeps.get(connection)?.jobs.values() ?? []) clearTimeout(timer as never);
  upkeeps.delete(connection);
}

function isDue(resident: Resident): boolean {
  if (resident.needsFold) return true;
  if (!resident.codes) return false;
  const { storedTo, knownTo } = resident;
  if (storedTo === undefined) return rowsOf(resident) >= CHANGES_MIN || knownTo >= LOG_MAX;
  return Number(knownTo - storedTo) >= changesMin(rowsOf(resident));
}

/** From so many changes on, those of so many rows are written. */
export function changesMin(rows: number): number {
  return Math.max(CHANGES_MIN, rows * CHANGES_SHARE);
}

function rowsOf({ codes }: Resident): number {
  return codes ? codes.size + codes.skipped.size : 0;
}

function later(job: Job, key: string, ms: number): void {
  const timer: { unref?(): void } = setTimeout(() => slice(job, key), ms) as never;
  // An app that has nothing else to do may end.
  timer.unref?.();
  job.timer = timer;
}

function slice(job: Job, key: string): void {
  const { driver, column, fold } = job;
  const { jobs, failures } = upkeepOf(driver.connection);
  if (maintenanceOf(driver.connection) === "manual") {
    jobs.delete(key);
    return;
  }
  if (fold && fold.written - job.checkpointed >= CHECKPOINT_BYTES) {
    job.checkpointed = fold.written;
    driver.checkpoint!();
    later(job, key, PAUSE_MS);
    return;
  }
  let outcome: ReturnType<typeof attempt>;
  try {
    outcome = attempt(driver, column, fold);
  } catch (error) {
    jobs.delete(key);
    if (!fold) return;
    const count = (failures.get(key)?.count ?? 0) + 1;
    failures.set(key, { until: performance.now() + Math.min(RETRY_MS_MAX, 1000 * 2 ** count), count });
    // What it has written so far may be what fills the disk.
    job.fold = undefined;
    jobs.set(key, job);
    later(job, key, PAUSE_MS);
    reportFailure(job, error);
    return;
  }
  if (outcome === "busy" && ++job.misses < MISSES_MAX) {
    later(job, key, DELAY_MS * 2 ** job.misses);
    return;
  }
  if (outcome === "more") {
    job.misses = 0;
    later(job, key, PAUSE_MS);
    return;
  }
  jobs.delete(key);
  if (outcome === "cleared") return;
  if (outcome === "readonly" || outcome === "newer") {
    // That may change, but not soon.
    failures.set(key, { until: performance.now() + RETRY_MS_MAX, count: 0 });
  } else failures.delete(key);
  if (typeof outcome === "object") finish(job, outcome);
}

/** One slice of a fold, or of clearing up behind one. */
function attempt(
  driver: Driver,
  column: IndexedColumn,
  fold: Fold | undefined,
): FoldResult | "more" | "cleared" | "newer" | "busy" | "closed" | "readonly" {
  if (!fold) {
    const done = driver.tryWrite!(() => clearLeftOvers(column));
    return typeof done === "object" ? (done.value ? "cleared" : "more") : done;
  }
  const done = driver.tryWrite!(() => fold.slice());
  if (typeof done === "string") return done;
  return done.value?.outcome === "newer" ? "newer" : (done.value ?? "more");
}

function finish({ driver, column, start: startMs }: Job, { outcome, rows, storedTo, damage }: FoldResult): void {
  const { connection } = driver;
  if (storedTo !== undefined) noteStored(connection, column, storedTo);
  if (damage) reportDamage(connection, column, damage, reportQuietly);
  if (outcome !== "folded") return;
  reportQuietly(connection, {
    code: "FOLD",
    index: column.definition.name,
    message: `index ${column.definition.name}, column ${column.column}: ${rows} rows were written to the index`,
    hint: 'It happens by itself; configure(db, { maintenance: "manual" }) turns it off.',
    ms: performance.now() - startMs,
  });
  if (storedTo! < LOG_MAX) return;
  // The columns of an index share its log, which can be cut only up to where the last of them stands.
  for (const vector of column.definition.vectors) {
    const other = vector.column !== column.column && indexedColumnOf(column.attachment, vector);
    if (other) start(driver, other, { isChecked: false, leastChanges: LOG_MAX });
  }
}

function reportFailure({ driver: { connection }, column }: Job, error: unknown): void {
  const event = {
    code: "FOLD_FAILED",
    index: column.definition.name,
    message: `index ${column.definition.name}, column ${column.column}: changes could not be written to the index: ${error instanceof Error ? error.message : error}`,
    hint: "Answers are right, and it is tried again later. Look whether the disk is full or can be written.",
  } as const;
  reportOnce(connection, event, reportQuietly);
}

function upkeepOf(connection: object): Upkeep {
  return getOrMake(upkeeps, connection, () => ({ jobs: new Map(), failures: new Map() }));
}
