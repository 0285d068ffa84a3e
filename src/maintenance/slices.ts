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

/** What a slice aims at: the event loop and other writers wait for so long. */
const SLICE_MS = 20;
/** Between two slices. A writer of another process looks for the lock every few milliseconds, and has to find it free. */
const PAUSE_MS = 5;
const ROWS_FIRST = 256;
const ROWS_MAX = 16_384;

/**
 * Does work in slices, with a pause between them.
 *
 * @param slice - does the next slice of about `rows` rows; tells whether more is to come
 */
export async function inSlices(
  signal: AbortSignal | undefined,
  slice: (rows: number) => Promise<boolean>,
): Promise<void> {
  let rows = ROWS_FIRST;
  for (;;) {
    signal?.throwIfAborted();
    const start = performance.now();
    if (!(await slice(rows))) return;
    const ratio = SLICE_MS / (performance.now() - start);
    rows = Math.round(Math.min(Math.max(rows * Math.min(Math.max(ratio, 0.25), 4), 1), ROWS_MAX));
    await pause();
  }
}

export function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
