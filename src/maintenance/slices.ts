import { describe } from "../codec/codec.ts";
import type { Driver, Steps } from "../driver/driver.ts";
import { InvalidOptionError, TransactionOpenError } from "../errors.ts";
import { FIRST_ID } from "../migration/identity.ts";
import { knownOptions } from "../query/options.ts";

/** How long work goes on for, what it tells meanwhile, and how it is stopped. */
export interface LongWorkOptions {
  /** Called after each slice, at most about 40 times a second; an error it throws ends the work. */
  onProgress?: (progress: Progress) => void;
  /** Ends the work before its next slice: the promise is rejected with the signal's reason. */
  signal?: AbortSignal;
}

export interface Progress {
  /** Rows that are done. */
  done: number;
  /** Rows there were at the beginning. */
  total: number;
}

/**
 * The options of long work.
 *
 * @param names - those it takes
 * @throws {InvalidOptionError} for an option that does not exist, an `onProgress` that cannot be called, a `signal` that is none
 */
export function longWorkOptions<T extends LongWorkOptions>(
  given: unknown,
  helper: string,
  names: readonly (keyof T & string)[],
): T {
  const options = knownOptions<T>(given, helper, names);
  const { onProgress, signal }: LongWorkOptions = options;
  if (onProgress !== undefined && typeof onProgress !== "function") {
    throw new InvalidOptionError({ subject: "onProgress", expected: "a function", got: describe(onProgress) });
  }
  if (signal !== undefined && typeof (signal as AbortSignal | null)?.throwIfAborted !== "function") {
    throw new InvalidOptionError({ subject: "signal", expected: "an AbortSignal", got: describe(signal) });
  }
  return options;
}

/** What a slice aims at: for so long the event loop and other writers wait. */
export const SLICE_MS = 20;
/** Between two slices. A writer of another process looks for the lock every few milliseconds, and has to find it free. */
const PAUSE_MS = 5;
const ROWS_FIRST = 256;
const ROWS_MAX = 16_384;

/** What became of a slice. */
export interface Slice {
  /** The id to go on from; undefined: that was the last. */
  readonly next: bigint | undefined;
  /** How long its rows took; not what it took whatever their number, to commit or to report. */
  readonly ms: number;
}

/** Goes through ids in slices of as many rows as the one before makes likely to take `SLICE_MS`, with a pause between them. */
export async function inSlices(
  signal: AbortSignal | undefined,
  slice: (from: bigint, rows: number) => Promise<Slice>,
): Promise<void> {
  let from = FIRST_ID;
  let rows = ROWS_FIRST;
  for (;;) {
    signal?.throwIfAborted();
    const { next, ms } = await slice(from, rows);
    if (next === undefined) return;
    from = next;
    rows = clamp(Math.round(rows * clamp(SLICE_MS / ms, 0.25, 4)), 1, ROWS_MAX);
    await pause();
  }
}

/**
 * Works outside of the app's own transactions: what is done inside one may be rolled back with it, unseen. Waits until it is
 * over, where the app has one open on this connection.
 *
 * @param how - in a transaction that writes, or in one that reads
 */
export async function outsideTransactions<T>(
  driver: Driver,
  signal: AbortSignal | undefined,
  steps: () => Steps<T>,
  how: "write" | "run" = "write",
): Promise<T> {
  for (;;) {
    const done = await driver[how](function* ({ isShared }) {
      return isShared ? undefined : { value: yield* steps() };
    });
    if (done) return done.value;
    await pause();
    signal?.throwIfAborted();
  }
}

/** @throws {TransactionOpenError} where a helper that cannot work inside the app's own transaction was called in one */
export function checkOutside(isShared: boolean, helper: string, does: string): void {
  if (!isShared) return;
  throw new TransactionOpenError({
    subject: helper,
    expected: "no open transaction",
    got: "one",
    hint: `${helper} ${does}; call it outside of transactions.`,
  });
}

export function pause(ms = PAUSE_MS): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
