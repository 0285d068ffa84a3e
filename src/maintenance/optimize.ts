import { attachmentNamed, attachmentsOf, remedyOf } from "../change/attachment.ts";
import { type DbLike, type Driver, driverOf, type Snapshot, type Steps } from "../driver/driver.ts";
import { IndexDetachedError, IndexFormatError, UnsupportedDriverError } from "../errors.ts";
import { identifier } from "../migration/sql-text.ts";
import { namesOf } from "../schema/names.ts";
import { CHUNK_FORMAT } from "../vector/chunk.ts";
import { clearLeftOvers, Fold, type FoldResult } from "../vector/fold.ts";
import { type IndexedColumn, indexedColumnOf } from "../vector/indexed-column.ts";
import { reportDamage } from "../vector/report-damage.ts";
import { noteStored } from "../vector/resident-column.ts";
import { checkOutside, type LongWorkOptions, longWorkOptions, outsideTransactions, pause, SLICE_MS } from "./slices.ts";
import { firstRow, type IndexOrName, recordedIndex, type Target, targetOf } from "./target.ts";

export interface OptimizeResult {
  index: string;
  /** Vectors whose codes were written; 0 where those on disk were up to date. */
  rows: number;
  ms: number;
}

/**
 * Writes the codes of an index's vectors to disk now, as one segment a column, so that the next process answers its first query
 * from them without reading the table; and merges the parts of its text index. What is there already is not written again. It
 * is not needed for right answers, nor for what changes later: queries have changes written by themselves.
 *
 * In slices of about 20 ms, each a transaction of its own, of which few write, so that other writers get in between. Stopped at any of them, what
 * was there before is what is used. About 25 µs a vector of 384 dimensions.
 *
 * @param index - a declaration or a name; the recorded definition counts
 * @throws {IndexMissingError} when the database does not record the index
 * @throws {IndexFormatError} when a newer version of the library made it, or writes to it
 * @throws {IndexDetachedError} when a trigger or table of it is missing: `rebuild` repairs it
 * @throws {TransactionOpenError} inside a transaction
 * @throws {ReadOnlyError | InvalidOptionError | UnsupportedDriverError}
 * @example await optimize(db, docsSearch, { onProgress: ({ done, total }) => console.log(done, "of", total) });
 */
export async function optimize(db: DbLike, index: IndexOrName, options?: LongWorkOptions): Promise<OptimizeResult> {
  const start = performance.now();
  const { onProgress, signal } = longWorkOptions<LongWorkOptions>(options, "optimize", ["onProgress", "signal"]);
  const driver = driverOf(db);
  const target = targetOf(db, index);
  signal?.throwIfAborted();
  const { columns, hasText, isShared } = await driver.run((snapshot) => plan(target, driver, snapshot));
  checkOutside(isShared, "optimize", "commits slice by slice");
  const rows = await foldColumns(driver, columns, { onProgress, signal });
  if (hasText) await mergeText(driver, target, signal);
  return { index: target.name, rows, ms: performance.now() - start };
}

/** Writes the generations of columns. */
export async function foldColumns(
  driver: Driver,
  columns: readonly IndexedColumn[],
  { onProgress, signal }: LongWorkOptions,
): Promise<number> {
  if (columns.length > 0 && driver.kind === "async") {
    throw new UnsupportedDriverError({
      subject: "db",
      expected: "a Drizzle database on better-sqlite3",
      got: driver.name,
      hint: "On libSQL nearest reads the table; there is nothing to optimize.",
    });
  }
  let rows = 0;
  for (const column of columns) rows += await foldColumn(driver, column, { onProgress, signal });
  return rows;
}

async function foldColumn(driver: Driver, column: IndexedColumn, options: LongWorkOptions): Promise<number> {
  const { onProgress, signal } = options;
  for (;;) {
    const fold = new Fold(driver.connection, column, {
      sliceMs: SLICE_MS,
      isWhole: true,
      isChecked: true,
      isCounted: onProgress !== undefined,
    });
    const result = await folded(driver, column, fold, options);
    if (result.damage) reportDamage(driver.connection, column, result.damage);
    if (result.storedTo !== undefined) {
      noteStored(driver.connection, column, result.storedTo);
      onProgress?.({ done: result.rows, total: result.rows });
      return result.rows;
    }
    if (result.outcome === "newer") throw newerFormat(column);
    // Another process folded, a file was restored, a table altered: what is there now decides.
    await pause();
    signal?.throwIfAborted();
    const fresh = await driver.run((snapshot) => columnAgain(driver, snapshot, column));
    if (!fresh) return 0;
    column = fresh;
  }
}

async function folded(
  driver: Driver,
  column: IndexedColumn,
  fold: Fold,
  { onProgress, signal }: LongWorkOptions,
): Promise<FoldResult> {
  try {
    for (;;) {
      const { isWriting } = fold;
      const result = await outsideTransactions(driver, signal, () => fold.slice(), isWriting ? "write" : "run");
      if (result) return result;
      const { done, total } = fold.progress;
      if (total !== undefined) onProgress?.({ done, total: Math.max(done, total) });
      // Other writers find the lock free while a slice reads, too.
      await pause(isWriting && fold.isWriting ? undefined : 0);
      signal?.throwIfAborted();
    }
  } catch (error) {
    await clear(driver, column);
    throw error;
  }
}

/** Deletes what a fold that ended early has left behind. What cannot be deleted now, the next one deletes. */
async function clear(driver: Driver, column: IndexedColumn): Promise<void> {
  let outcome: ReturnType<NonNullable<Driver["tryWrite"]>> = "busy";
  do {
    try {
      outcome = driver.tryWrite!(() => clearLeftOvers(column));
    } catch {
      return;
    }
    await pause();
  } while (typeof outcome === "object" && outcome.value === false);
}

function newerFormat({ definition, column }: IndexedColumn): IndexFormatError {
  return new IndexFormatError({
    subject: `${definition.name}, column ${column}`,
    expected: `codes of format ${CHUNK_FORMAT} or older`,
    got: "those of a newer version of the library",
    hint: "Update drizzle-vector here; until then the table answers, exactly.",
  });
}

interface OptimizePlan {
  readonly columns: readonly IndexedColumn[];
  readonly hasText: boolean;
  readonly isShared: boolean;
}

function* plan(target: Target, driver: Driver, snapshot: Snapshot): Steps<OptimizePlan> {
  const { definition, problems, record } = yield* recordedIndex(target);
  if (problems.length > 0) {
    throw new IndexDetachedError({
      subject: target.name,
      expected: "an index that follows every write",
      got: problems.map(({ message }) => message).join("; "),
      hint: remedyOf({ name: target.name, record, problems }),
    });
  }
  return {
    columns: yield* vectorColumnsOf(target, driver, snapshot),
    hasText: definition.text !== null && record.pending !== "text",
    isShared: snapshot.isShared,
  };
}

/** The vector columns of an index whose codes are kept; none where it does not follow every write. */
export function* vectorColumnsOf(
  { name }: { readonly name: string },
  driver: Driver,
  snapshot: Snapshot,
): Steps<IndexedColumn[]> {
  const attachment = attachmentNamed(yield* attachmentsOf(driver, snapshot), name);
  return (attachment?.record.definition?.vectors ?? []).flatMap((vector) => indexedColumnOf(attachment!, vector) ?? []);
}

function* columnAgain(driver: Driver, snapshot: Snapshot, { definition, column }: IndexedColumn) {
  const columns = yield* vectorColumnsOf(definition, driver, snapshot);
  return columns.find((fresh) => fresh.column === column);
}

/** Pages FTS5 merges in one slice. */
const MERGE_PAGES = 200;

/**
 * Merges the parts of a text index, a few pages a slice: a negative number lets FTS5 begin with parts it would leave alone.
 * It is done when a step has changed nothing.
 *
 * @see https://sqlite.org/fts5.html#the_merge_command
 */
async function mergeText(driver: Driver, target: Target, signal: AbortSignal | undefined): Promise<void> {
  const fts = identifier(namesOf(target.name).tables.fts);
  const merge = function* (pages: number): Steps<boolean> {
    // It may have been dropped meanwhile.
    yield* recordedIndex(target);
    const before = yield* firstRow("SELECT total_changes()");
    yield { type: "rows", sql: `INSERT INTO ${fts} (${fts}, rank) VALUES ('merge', ${pages})`, params: [] };
    const after = yield* firstRow("SELECT total_changes()");
    return Number(after![0]) - Number(before![0]) < 2;
  };
  let isDone = await outsideTransactions(driver, signal, () => merge(-MERGE_PAGES));
  while (!isDone) {
    await pause();
    signal?.throwIfAborted();
    isDone = await outsideTransactions(driver, signal, () => merge(MERGE_PAGES));
  }
}
