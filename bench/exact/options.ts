import type { Kind } from "../lib/vectors.ts";

/** What the command line sets for every measure. */
export interface Options {
  readonly seed: number;
  readonly rounds: number;
  /** Rows of the data sets that have 100,000 in the full run. */
  readonly rows: number;
  readonly kinds: readonly Kind[];
}

export const DIMENSIONS = 384;
export const LIMIT = 10;
