import { schemaVersionOf } from "../change/attachment.ts";
import { type DbLike, driverOf, type Snapshot, type Steps } from "../driver/driver.ts";
import type { IndexDefinition } from "../migration/definition.ts";
import { FIRST_ID, identityOf, LAST_ID } from "../migration/identity.ts";
import { findTable } from "../migration/installed.ts";
import { clearPending, fillText } from "../migration/objects.ts";
import { planRebuild } from "../migration/plan.ts";
import { isTheirs } from "../migration/problems.ts";
import type { TableFacts } from "../migration/table-facts.ts";
import { contentOf, textDamage } from "./fts.ts";
import { foldColumns, vectorColumnsOf } from "./optimize.ts";
import {
  checkOutside,
  inSlices,
  type LongWorkOptions,
  longWorkOptions,
  outsideTransactions,
  SLICE_MS,
} from "./slices.ts";
import {
  checkFeasible,
  count,
  execute,
  firstRow,
  type IndexOrName,
  type RecordedIndex,
  recordedIndex,
  type Target,
  targetOf,
} from "./target.ts";

export interface RebuildResult {
  index: string;
  /** Rows whose text was gone through; 0 for an index without text. */
  rows: number;
  ms: number;
}

/**
 * Makes a search index anew from its table, as the database records it: tables and triggers at once, the text in slices of
 * about 20 ms, each a transaction of its own, so that other writers get in between. What they write meanwhile is followed by
 * the triggers. It takes two to three times as long as filling in one statement. Vectors are reset, and their codes written as
 * `optimize` does.
 *
 * Until the text is complete the index is marked as pending and `search` throws `IndexPendingError`; so it stays after a crash
 * or an abort, and the next call goes on where this one stopped.
 *
 * The first transaction is not sliced: it drops the old tables, and gives every row an id where the key is no INTEGER PRIMARY
 * KEY (about 2 µs a row).
 *
 * SQL: `INSERT INTO "_dv_docs_search_fts" (rowid, c0) SELECT r."id", r."title" FROM "docs" AS r WHERE r."id" BETWEEN … AND …`
 *
 * @param index - a declaration or a name; the recorded definition counts, also where the code declares another
 * @throws {IndexMissingError} when the database does not record the index
 * @throws {IndexFormatError} when a newer version of the library made it
 * @throws {DeclarationDriftError} when the table lacks what is recorded
 * @throws {TransactionOpenError} inside a transaction
 * @throws {ReadOnlyError | InvalidOptionError | UnsupportedDriverError}
 * @example await rebuild(db, docsSearch, { onProgress: ({ done, total }) => console.log(done, "of", total) });
 */
export async function rebuild(db: DbLike, index: IndexOrName, options?: LongWorkOptions): Promise<RebuildResult> {
  const start = performance.now();
  const { onProgress, signal } = longWorkOptions<LongWorkOptions>(options, "rebuild", ["onProgress", "signal"]);
  const driver = driverOf(db);
  const target = targetOf(db, index);
  signal?.throwIfAborted();
  const isSound = await driver.run(() => canGoOn(target));
  let made = await driver.write((snapshot) => begin(target, snapshot, isSound));
  const total = onProgress ? await driver.run(() => countIds(target)) : 0;

  let rows = 0;
  await inSlices(signal, async (from, limit) => {
    const slice = { from, limit, made };
    const { filled, next, ms, schemaVersion } = await outsideTransactions(driver, signal, () =>
      fillSlice(target, slice),
    );
    made = schemaVersion;
    rows = next === FIRST_ID ? 0 : rows + filled;
    if (filled > 0) onProgress?.({ done: rows, total: Math.max(rows, total) });
    return { next, ms };
  });
  if (driver.tryWrite)
    await foldColumns(driver, await driver.run((now) => vectorColumnsOf(target, driver, now)), { signal });
  return { index: target.name, rows, ms: performance.now() - start };
}

/** Whether an earlier rebuild was interrupted and what it left can be built on: nothing is in it that triggers did not follow. */
function* canGoOn(target: Target): Steps<boolean> {
  const { record, definition, problems } = yield* recordedIndex(target);
  if (record.pending !== "text" || !problems.every(isTheirs)) return false;
  return (yield* textDamage(definition.name)) === undefined;
}

/** @returns the state of the schema in which there is something to fill */
function* begin(target: Target, { isShared }: Snapshot, isSound: boolean): Steps<string> {
  checkOutside(isShared, "rebuild", "commits slice by slice");
  const { record, definition, installed, problems } = yield* recordedIndex(target);
  const isBegun = isSound && record.pending === "text" && problems.every(isTheirs);
  if (!isBegun) yield* createAnew({ record, definition, installed });
  return yield* schemaVersionOf();
}

function* createAnew({ record, definition, installed }: Omit<RecordedIndex, "problems">): Steps<void> {
  const plan = planRebuild(definition, installed, record.managed);
  checkFeasible(definition.name, plan);
  yield* execute([...plan.before, ...plan.after]);
}

interface SliceInput {
  readonly from: bigint;
  readonly limit: number;
  /** The state of the schema in which everything in front of it was filled. */
  readonly made: string;
}

interface Filled {
  readonly filled: number;
  /** Where the next slice begins; undefined: the text is complete. */
  readonly next: bigint | undefined;
  readonly ms: number;
  readonly schemaVersion: string;
}

function* fillSlice(target: Target, { from, limit, made }: SliceInput): Steps<Filled> {
  const start = performance.now();
  const { record, definition, installed, problems } = yield* recordedIndex(target);
  // There is no text, or another process has completed it.
  if (record.pending !== "text") return { filled: 0, next: undefined, ms: 0, schemaVersion: made };
  // The table was altered under our hands: writes may have gone by unseen.
  const isAltered = !problems.every(isTheirs);
  if (isAltered) yield* createAnew({ record, definition, installed });
  const schemaVersion = yield* schemaVersionOf();
  // Another rebuild, a migration or a restore may have made the text anew, and what this one has filled is gone. Rows that
  // are there are passed over.
  if (isAltered || schemaVersion !== made) return { filled: 0, next: FIRST_ID, ms: SLICE_MS, schemaVersion };
  const table = findTable(installed, definition.table)!;
  const { ids, id } = identityOf(definition, table);
  const page = `SELECT ${id} AS id FROM ${ids} WHERE ${id} >= ${from} ORDER BY ${id} LIMIT ${limit}`;
  const [last, found] = (yield* firstRow(`SELECT CAST(max(id) AS TEXT), count(*) FROM (${page})`))!;
  const filled = Number(found);
  const to = filled < limit ? LAST_ID : BigInt(String(last));
  if (filled > 0) yield* execute([fillRange(definition, table, from, to)]);
  const ms = performance.now() - start;
  if (to < LAST_ID) return { filled, next: to + 1n, ms, schemaVersion };
  // Nothing lies behind, and what comes is the triggers' business: complete within this transaction, however fast rows arrive.
  yield* execute([clearPending(definition.name)]);
  return { filled, next: undefined, ms, schemaVersion };
}

/** Rows that triggers have put into the text index meanwhile are there already. */
function fillRange(definition: IndexDefinition, table: TableFacts, from: bigint, to: bigint): string {
  const content = contentOf(definition.name);
  return fillText(
    definition,
    table,
    (id) => `${id} BETWEEN ${from} AND ${to} AND NOT EXISTS (SELECT 1 FROM ${content} AS f WHERE f.id = ${id})`,
  );
}

function* countIds(target: Target): Steps<number> {
  const { definition, installed } = yield* recordedIndex(target);
  const { ids } = identityOf(definition, findTable(installed, definition.table)!);
  return yield* count(ids);
}
