import type { Steps } from "../driver/driver.ts";
import type { CodesFound } from "../vector/code-scans.ts";
import type { CodeKind } from "../vector/row-blocks.ts";
import type { BaseScan, Scanned } from "./code-search.ts";
import type { Found } from "./found.ts";
import type { Matching } from "./matching.ts";
import { BATCH_ROWS, type Bounds } from "./rescoring.ts";

/** Rows a walk looks at first, beside those asked for. */
const WALK_ROWS = 12;
/** Codes that a scan gets through, about. */
const SCAN_BYTES_PER_MS = 2e7;
/** What a round takes beside its scan, which takes longer the deeper it goes: the second about twice as long. */
const ROUND_MS = 1;
/** By how much more than the share of matches so far suggests it looks at. */
const WALK_MARGIN = 1.5;

/** Which codes a walk goes by. */
export interface Walk {
  readonly plan: Found["plan"];
  readonly kind: CodeKind;
  readonly bounds: Bounds;
  /** Rows it looks at at most. */
  readonly rowsMax: number;
  search(k: number, maxDistance: number): Steps<CodesFound | undefined>;
}

/**
 * Looks at rows in the order of their bounds, whether they match, until enough do; in a second round at as many more as the share
 * of matches suggests. The rows a round does not look at are less similar than its threshold: the answer is exact as soon
 * as the last row wanted is surely not.
 *
 * @returns undefined where matches are too rare for that, or reading all of them is cheaper by what is known of the condition
 */
export function* walk(base: BaseScan, matching: Matching, how: Walk): Steps<Scanned | undefined> {
  const { codes, wanted } = base;
  // Whether rows that have no code match nobody has asked; and codes on disk are not read twice.
  if (codes.skipped.size > 0 || codes.streamedBytes(how.kind) > 0 || wanted === 0) return undefined;
  const k = 2 * wanted + WALK_ROWS;
  if (k > Math.min(how.rowsMax, codes.size)) return undefined;
  const allMs = yield* matching.expected(codes.size);
  const scanMs = (codes.size * codes.space.headBytes) / SCAN_BYTES_PER_MS;
  if (allMs() < scanMs + ROUND_MS) return undefined;
  if (!matching.isWalkable) return undefined;
  const start = performance.now();
  const answer = yield* rounds(base, matching, how, k, allMs);
  // One that takes longer than reading all matches should have is as good as in vain: what that takes is then measured anew, and is
  // much less where it was last done in a bad moment.
  matching.walked(answer !== undefined && performance.now() - start < allMs() + scanMs);
  return answer;
}

/** The rounds of a walk; in the first `k` rows and those that may be as near. */
function* rounds(
  { codes, maxDistance, wanted, rescoring: begin }: BaseScan,
  matching: Matching,
  { plan, bounds, rowsMax, search }: Walk,
  k: number,
  allMs: (matches?: number) => number,
): Steps<Scanned | undefined> {
  const start = performance.now();
  const rescoring = yield* begin(wanted, bounds);
  const seen = new Set<bigint>();
  let matches = 0;
  let scanBytes = 0;
  let scanMs = 0;
  for (let round = 0; round < 2; round++) {
    const found = yield* search(k, maxDistance);
    scanMs = performance.now() - start;
    if (!found) return undefined;
    scanBytes += found.bytesRead;
    const unseen = found.survivors.filter(({ id }) => !seen.has(id));
    if (bounds.isProven && seen.size + unseen.length > rowsMax) return undefined;
    for (let i = 0; i < unseen.length && unseen[i]!.upper >= rescoring.floor; i += BATCH_ROWS) {
      const batch = unseen.slice(i, i + BATCH_ROWS);
      for (const { id } of batch) seen.add(id);
      const matched = yield* matching.among(batch.map(({ id }) => id));
      matches += matched.size;
      yield* rescoring.score(batch.filter(({ id }) => matched.has(id)));
      const isRare = wanted * seen.size > rowsMax * Math.max(matches, 1);
      if (!bounds.isProven && (isRare || seen.size > rowsMax)) return undefined;
    }
    // A scan that nothing but `maxDistance` has ended leaves no row out.
    const isAll = found.threshold <= bounds.floorOf(maxDistance);
    if (isAll || (rescoring.isFull && rescoring.floor >= found.threshold)) {
      const skipped = { wrongLength: 0, notFinite: 0, notAVector: 0 };
      return {
        plan,
        rescoring,
        scanMs,
        size: seen.size,
        skipped,
        scanBytes,
        inDoubt: seen.size,
      };
    }
    if (allMs((codes.size * matches) / seen.size) < 2 * scanMs + ROUND_MS) return undefined;
    k = Math.ceil(((wanted * seen.size) / Math.max(matches, 1)) * WALK_MARGIN) + WALK_ROWS;
    if (k > rowsMax || k > codes.size) return undefined;
  }
  return undefined;
}
