import type { Steps } from "../driver/driver.ts";
import type { Survivor } from "../vector/code-scans.ts";
import type { ResidentCodes } from "../vector/resident-codes.ts";
import type { Selection } from "../vector/selection.ts";
import type { Skip } from "../vector/skip.ts";
import type { ReadCodes } from "../vector/stored-codes.ts";
import type { Found, Refusal, RowsSkipped } from "./found.ts";
import type { Matching } from "./matching.ts";
import { BATCH_ROWS, type Bounds, CodesContradicted, type Rescoring } from "./rescoring.ts";
import type { Together } from "./together.ts";

/** What the searches of one call share. */
export type SearchesTogether = Together<Asked | Refusal>;

/** Makes a team of so many searches from this one on. */
export type BeginTeam = Parameters<SearchesTogether["scan"]>[2];

/** What a scan of codes needs, whatever the codes and the condition. */
export interface BaseScan {
  readonly codes: ResidentCodes;
  /** The query as the column stores it. */
  readonly encoded: Uint8Array;
  /** The searches that this is the n-th of. */
  readonly together: SearchesTogether;
  readonly n: number;
  readonly maxDistance: number;
  /** Rows from the nearest on, those that `offset` passes over included. */
  readonly wanted: number;
  readonly read: ReadCodes;
  rescoring(k: number, bounds: Bounds): Steps<Rescoring>;
}

/** What a scan has found, its rows scored. */
export interface Scanned {
  readonly plan: Found["plan"];
  readonly rescoring: Rescoring;
  readonly scanMs: number;
  /** Rows that were asked. */
  readonly size: number;
  readonly skipped: RowsSkipped;
  readonly scanBytes: number;
  /** Rows that the codes have left. */
  readonly inDoubt: number;
}

/** Which rows are asked. */
export interface Asked {
  /** Undefined for all. */
  readonly among: Selection | undefined;
  readonly k: number;
  readonly size: number;
  readonly skipped: RowsSkipped;
}

/** @param matching - of a condition; without one all rows are asked */
export function* ask({ codes, wanted }: BaseScan, matching: Matching | undefined): Steps<Asked | Refusal> {
  // Rows are selected only while nothing can change the codes: no step of these does.
  const among = matching ? codes.selection() : undefined;
  if (among && !(yield* matching!.all(among))) {
    throw new CodesContradicted("a row that matches is not among its codes");
  }
  const size = among ? among.size : codes.size;
  const skipped = countOf(among ? among.skipped : codes.skipped.values());
  if (skipped.wrongLength > 0 && size + skipped.notFinite === 0) {
    return { refusal: "no vector has the length the column declares" };
  }
  return { among, k: Math.min(wanted, size), size, skipped };
}

/**
 * Scores rows, best bound first, until those left are ruled out.
 *
 * @param batch - rows of the first statement; each further one reads twice as many
 */
export function* scoreDown(rescoring: Rescoring, survivors: readonly Survivor[], batch = BATCH_ROWS): Steps<void> {
  let rows = batch;
  for (let i = 0; i < survivors.length && survivors[i]!.upper >= rescoring.floor; ) {
    const { floor } = rescoring;
    yield* rescoring.score(survivors.slice(i, i + rows).filter(({ upper }) => upper >= floor));
    i += rows;
    rows = Math.min(BATCH_ROWS, rows * 2);
  }
}

function countOf(skips: Iterable<Skip>): RowsSkipped {
  const counts: RowsSkipped = { wrongLength: 0, notFinite: 0, notAVector: 0 };
  for (const skip of skips) counts[skip]++;
  return counts;
}
