import type { Steps } from "../driver/driver.ts";
import { factorFor } from "../vector/calibration.ts";
import type { OneBitSpaceQuery } from "../vector/one-bit-space.ts";
import { ask, type BaseScan, type BeginTeam, type Scanned, scoreDown } from "./code-search.ts";
import { type CodeScan, mostSurvivors, queryFor, scanAmong } from "./exact-scan.ts";
import type { Refusal } from "./found.ts";
import type { Matching } from "./matching.ts";
import { BATCH_ROWS, type Bounds } from "./rescoring.ts";
import { walk } from "./walk.ts";

/** So many likely rows by 1-bit codes alone, and all rows are read in order. */
const LIKELY_ALONE_SHARE = 1 / 4;
/**
 * Deviations more than a recall takes, where codes for exact answers rule out what is too much: a look at them takes 0.1 µs a row, and
 * far less is missed than may be (bench/README.md).
 */
const LIKELY_MARGIN = 0.5;
/** Bytes of codes that are read from disk in the time of a row of the table. */
const ROW_COST_BYTES = 16_000;
/** Rows of the first batch after a scan of 1-bit codes alone, or twice as many as are wanted. */
const FIRST_ROWS = 32;
/** Rows that a walk looks at at most: more than by codes for exact answers are left, of which the first few rule most out. */
const LIKELY_WALK_ROWS_MAX = 800;

/** Answers with the recall asked for: the rows that are likely enough among the nearest by their 1-bit codes are looked at. */
export function* likely(base: BaseScan, matching: Matching | undefined, recall: number): Steps<Scanned | Refusal> {
  const start = performance.now();
  const { codes, encoded, maxDistance, read } = base;
  const { space } = codes;
  const factor = factorFor(recall, space.oneBit!.spread, base.wanted);
  if (matching && (!space.isExact || codes.streamedBytes("codes") > 0)) {
    const query = codes.scans.likelyQuery(encoded, factor);
    const walked = yield* walk(base, matching, {
      plan: "1-bit scan",
      kind: "bits",
      bounds: likelyBounds(query),
      rowsMax: LIKELY_WALK_ROWS_MAX,
      *search(k, maxDistance) {
        const most = mostSurvivors(codes);
        const search = { query, k, maxDistance, most, among: undefined, isHasty: true };
        const found = yield* codes.scans.searchLikely(search, read);
        return found && { survivors: found.rows(), threshold: found.threshold, bytesRead: codes.likelyBytes };
      },
    });
    if (walked) return walked;
  }
  const asked = yield* base.together.asked(() => ask(base, matching));
  if ("refusal" in asked) return asked;
  const { among, k, size, skipped } = asked;
  const most = mostSurvivors(codes, space.isExact ? undefined : LIKELY_ALONE_SHARE);
  if (k === 0 || k > most) {
    if (space.isExact) return yield* scanAmong({ ...base, query: space.query(encoded) }, asked, start);
    if (k > 0) return { refusal: "more rows are asked for than reading one by one is good for" };
  }
  if (space.isExact && k > 0 && codes.isWhole) {
    const queryOf = (encoded: Uint8Array) => codes.scans.likelyQuery(encoded, factor + LIKELY_MARGIN);
    const scan: CodeScan = { ...base, query: queryFor(codes, base.together, base.n) };
    const scanned = yield* scanAmong(scan, asked, start, { isShared: true, likelyOf: queryOf });
    if (!("refusal" in scanned)) return { ...scanned, plan: "1-bit scan" };
    // Too many rows are likely, which codes for exact answers tell apart better.
    return yield* scanAmong(scan, asked, start);
  }
  const queryOf = (encoded: Uint8Array) => codes.scans.likelyQuery(encoded, factor);
  const query = queryOf(encoded);
  // Exact codes are a way out that is better than a second scan; without them it is all that keeps the table from being read.
  const searchOf = (query: OneBitSpaceQuery) => ({ query, k, maxDistance, most, among, isHasty: space.isExact });
  const begin: BeginTeam = (count, threads) => {
    return codes.scans.likelyTeam(count, (at) => searchOf(queryOf(base.together.encoded(base.n + at))), threads);
  };
  const made = k === 0 ? undefined : base.together.scan(base.n, codes.likelyBytes, begin);
  const found = k === 0 ? undefined : yield* codes.scans.searchLikely(made ?? searchOf(query), read);
  if (space.isExact && !(found && found.count * ROW_COST_BYTES < codes.streamedBytes("codes"))) {
    // The codes for exact answers cost far less than vectors, unless they are on disk, and rule most of the likely rows out.
    const scan: CodeScan = { ...base, query: space.query(encoded) };
    if (!found) return yield* scanAmong(scan, asked, start);
    const among = found.selection();
    const scanned = yield* scanAmong(scan, { ...asked, among }, start);
    if ("refusal" in scanned) return scanned;
    return { ...scanned, plan: "1-bit scan", size, scanBytes: scanned.scanBytes + codes.likelyBytes };
  }
  if (!found && k > 0) return { refusal: "more rows are likely than reading one by one is good for" };
  const scanMs = performance.now() - start;
  const rescoring = yield* base.rescoring(k, likelyBounds(query));
  if (found) {
    // The first rows tell how many more are worth reading, and those how many of the rest.
    const first = Math.min(BATCH_ROWS, Math.max(FIRST_ROWS, k * 2));
    const bound = found.boundOf(first);
    yield* scoreDown(rescoring, found.rows(bound));
    yield* scoreDown(rescoring, found.rows(rescoring.floor, bound), first);
  }
  const inDoubt = found?.count ?? 0;
  return { plan: "1-bit scan", rescoring, scanMs, size, skipped, scanBytes: codes.likelyBytes, inDoubt };
}

function likelyBounds(query: OneBitSpaceQuery): Bounds {
  return {
    isProven: false,
    floorOf: (distance) => (Number.isFinite(distance) ? query.similarityOf(distance) : Number.NEGATIVE_INFINITY),
  };
}
