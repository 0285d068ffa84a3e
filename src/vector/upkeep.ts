import type { Driver } from "../driver/driver.ts";
import { maintenanceOf, reportOnce, reportQuietly } from "../driver/events.ts";
import { processWide } from "../driver/process-wide.ts";
import { Fold, type FoldResult } from "./fold.ts";
import type { IndexedColumn } from "./indexed-column.ts";
import { noteStored, type Resident } from "./resident-column.ts";

/** A fold that waits for its next slice. */
interface Job {
  readonly driver: Driver;
  readonly column: IndexedColumn;
  readonly fold: Fold;
  readonly start: number;
  /** How often in turn the lock was taken. */
  misses: number;
  timer: unknown;
}

/** What each connection's folds are at, by column. */
interface Upkeep {
  readonly jobs: Map<string, Job>;
  /** When a column may be tried again after a failure, and how many there were in turn. */
  readonly failures: Map<string, { until: number; count: number }>;
}

const upkeeps: WeakMap<object, Upkeep> = processWide("upkeep-1", () => new WeakMap());

/** A slice holds up the event loop, and other writers, for about so long. */
const SLICE_MS = 10;
const PAUSE_MS = 5;
const DELAY_MS = 20;
const MISSES_MAX = 12;
const RETRY_MS_MAX = 300_000;

/** Fewer changes than this, or than this share of the rows, are read again by whoever needs them, in no time. */
const CHANGES_MIN = 1000;
const CHANGES_SHARE = 1 / 16;

/** Has changes written a little later, where a query has found many. */
export function considerFold(driver: Driver, column: IndexedColumn, resident: Resident): void {
  const { connection } = driver;
  if (!driver.tryWrite || maintenanceOf(connection) === "manual" || !isDue(resident)) return;
  const { jobs, failures } = upkeepOf(connection);
  const key = `${column.definition.name}\0${column.column}`;
  if (jobs.has(key) || (failures.get(key)?.until ?? 0) > performance.now()) return;
  const isChecked = resident.codes !== undefined && resident.storedTo === undefined;
  const fold = new Fold(connection, column, { sliceMs: SLICE_MS, isWhole: false, isChecked });
  const job: Job = { driver, column, fold, start: performance.now(), misses: 0, timer: undefined };
  jobs.set(key, job);
  later(job, key, DELAY_MS);
}

/** Ends the folds of a connection where they stand; what they have written is not used. */
export function stopFolds(connection: object): void {
  for (const { timer } of upkeeps.get(connection)?.jobs.values() ?? []) clearTimeout(timer as never);
  upkeeps.delete(connection);
}

function isDue(resident: Resident): boolean {
  // What does not fit into memory can be read from disk once it is there.
  if (!resident.codes) return resident.isTooLarge;
  const { codes, storedTo, knownTo } = resident;
  const size = codes.size + codes.skipped.size;
  if (storedTo === undefined) return size >= CHANGES_MIN;
  return Number(knownTo - storedTo) >= Math.max(CHANGES_MIN, size * CHANGES_SHARE);
}

function later(job: Job, key: string, ms: number): void {
  const timer: { unref?(): void } = setTimeout(() => slice(job, key), ms) as never;
  // An app that has nothing else to do may end.
  timer.unref?.();
  job.timer = timer;
}

function slice(job: Job, key: string): void {
  const { driver, fold } = job;
  const { jobs, failures } = upkeepOf(driver.connection);
  let outcome: ReturnType<NonNullable<Driver["tryWrite"]>>;
  try {
    outcome = driver.tryWrite!(() => fold.slice());
  } catch (error) {
    jobs.delete(key);
    fail(job, failures, key, error);
    return;
  }
  if (outcome === "busy" && ++job.misses < MISSES_MAX) {
    later(job, key, DELAY_MS * 2 ** job.misses);
    return;
  }
  if (typeof outcome === "object" && outcome.value === undefined) {
    job.misses = 0;
    later(job, key, PAUSE_MS);
    return;
  }
  jobs.delete(key);
  if (typeof outcome === "object") finish(job, outcome.value as FoldResult);
  // Nothing will ever be written here.
  if (outcome === "readonly") failures.set(key, { until: Number.POSITIVE_INFINITY, count: 0 });
  else failures.delete(key);
}

function finish({ driver: { connection }, column, start }: Job, { outcome, rows, storedTo }: FoldResult): void {
  if (storedTo !== undefined) noteStored(connection, column, storedTo);
  if (outcome !== "folded") return;
  reportQuietly(connection, {
    code: "FOLD",
    index: column.definition.name,
    message: `index ${column.definition.name}, column ${column.column}: ${rows} rows were written to the index`,
    hint: 'It happens by itself; configure(db, { maintenance: "manual" }) turns it off.',
    ms: performance.now() - start,
  });
}

function fail(
  { driver: { connection }, column }: Job,
  failures: Upkeep["failures"],
  key: string,
  error: unknown,
): void {
  const count = (failures.get(key)?.count ?? 0) + 1;
  failures.set(key, { until: performance.now() + Math.min(RETRY_MS_MAX, 1000 * 2 ** count), count });
  const event = {
    code: "FOLD_FAILED",
    index: column.definition.name,
    message: `index ${column.definition.name}, column ${column.column}: changes could not be written to the index: ${error instanceof Error ? error.message : error}`,
    hint: "Answers are right, and it is tried again later. Look whether the disk is full or can be written.",
  } as const;
  reportOnce(connection, event, reportQuietly);
}

function upkeepOf(connection: object): Upkeep {
  let upkeep = upkeeps.get(connection);
  if (!upkeep) {
    upkeep = { jobs: new Map(), failures: new Map() };
    upkeeps.set(connection, upkeep);
  }
  return upkeep;
}
