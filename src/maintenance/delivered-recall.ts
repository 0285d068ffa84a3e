import type { Driver } from "../driver/driver.ts";
import { CodesMissingError, IndexDetachedError, TooFewRowsError } from "../errors.ts";
import { type StoredRecall, storedRecallIn } from "../migration/settings.ts";
import { LIMIT_DEFAULT } from "../query/options.ts";
import { answerAll, drawQueries, type Measured, queriesOfSlice, readyColumn, summaryOf } from "./recall.ts";
import { pause, SLICE_MS } from "./slices.ts";
import { recordedIndex, type Target } from "./target.ts";

/** What approximate search on a column finds. */
export interface DeliveredRecall {
  column: string;
  /** The share of the true nearest rows that was wanted: as `tune` stored it, else 0.95. */
  asked: number;
  /** The share that was found, of the `limit` nearest, by distance; null where it could not be measured. */
  measured: number | null;
  /** Of `measured`, by chance; null with it. */
  standardError: number | null;
  /** One query in twenty found no more than this; null with `measured`. */
  p5: number | null;
  /** Rows that were drawn as queries. */
  queries: number;
  limit: number;
  /** Why it could not be measured, in a sentence without a full stop. */
  reason: string | null;
}

export interface DeliveredInput {
  readonly driver: Driver;
  readonly target: Target;
  /** Rows to draw as queries; undefined: as many as take a moment. */
  readonly count: number | undefined;
  readonly signal: AbortSignal | undefined;
}

const QUERIES_DEFAULT = 100;
const QUERIES_WITHOUT_CODES = 20;
const SEED = 1;
const ASKED_DEFAULT = { recall: 0.95, asked: 0.95 };
/** What recall may stay behind, as the mean of many queries. */
const TOLERANCE = 0.01;

/** Measures each vector column of an index; nothing where all answers are exact, as on an asynchronous driver. */
export async function deliveredRecalls({ driver, target, count, signal }: DeliveredInput): Promise<DeliveredRecall[]> {
  if (driver.kind === "async" || count === 0) return [];
  const { definition, record } = await driver.run(() => recordedIndex(target));
  const delivered: DeliveredRecall[] = [];
  for (const vector of definition.vectors) {
    // Bits are their own codes, and always exact.
    if (vector.element === "bit") continue;
    const stored = storedRecallIn(record.settings, vector) ?? ASKED_DEFAULT;
    const queries = count ?? (vector.exact ? QUERIES_DEFAULT : QUERIES_WITHOUT_CODES);
    delivered.push(await deliveredBy({ driver, definition, vector, limit: LIMIT_DEFAULT }, stored, queries, signal));
  }
  return delivered;
}

async function deliveredBy(
  measured: Measured,
  { recall, asked }: StoredRecall,
  count: number,
  signal: AbortSignal | undefined,
): Promise<DeliveredRecall> {
  const { driver, vector, limit } = measured;
  const nothing = { column: vector.column, asked, measured: null, standardError: null, p5: null, queries: 0, limit };
  const found: number[] = [];
  try {
    const { queries } = await driver.run(function* (snapshot) {
      return yield* drawQueries(measured, yield* readyColumn(measured, snapshot), { count, seed: SEED });
    });
    let sliceEnd = performance.now() + SLICE_MS;
    for (let done = 0; done < queries.length; ) {
      signal?.throwIfAborted();
      const some = queries.slice(done, done + queriesOfSlice(measured));
      const asking = { recalls: [1, recall], from: 0 };
      const answers = await driver.run((snapshot) => answerAll(measured, some, asking, snapshot));
      for (const answer of answers) if (answer) found.push(answer[1]!.recall);
      done += some.length;
      if (performance.now() < sliceEnd) continue;
      await pause();
      sliceEnd = performance.now() + SLICE_MS;
    }
  } catch (error) {
    if (!isNoMeasure(error)) throw error;
    return { ...nothing, reason: error.message };
  }
  if (found.length === 0) return { ...nothing, reason: "no row that was drawn has a neighbour" };
  const { mean, standardError, p5 } = summaryOf(found);
  return { ...nothing, measured: mean, standardError, p5, queries: found.length, reason: null };
}

/** States in which there is nothing to measure; `verify` tells those that are wrong by itself. */
function isNoMeasure(error: unknown): error is Error {
  return error instanceof CodesMissingError || error instanceof IndexDetachedError || error instanceof TooFewRowsError;
}

/** Whether it is too low by more than is tolerated, and more than chance explains. */
export function isTooLow({ asked, measured, standardError }: DeliveredRecall): boolean {
  return measured !== null && measured + 2 * standardError! < asked - TOLERANCE;
}
