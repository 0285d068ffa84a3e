import type { Steps } from "../driver/driver.ts";
import type { CodesFound } from "../vector/code-scans.ts";
import type { SpaceQuery } from "../vector/code-space.ts";
import type { OneBitSpaceQuery } from "../vector/one-bit-space.ts";
import type { ResidentCodes } from "../vector/resident-codes.ts";
import {
  type Asked,
  ask,
  type BaseScan,
  type BeginTeam,
  type Scanned,
  type SearchesTogether,
  scoreDown,
} from "./code-search.ts";
import type { Refusal } from "./found.ts";
import type { Matching } from "./matching.ts";
import { BATCH_ROWS, type Bounds } from "./rescoring.ts";
import { walk } from "./walk.ts";

/**
 * More survivors than this share of the rows, and reading them one by one is no faster than reading all in order. So many are
 * always let through: few as they are, they cost a millisecond.
 */
const SURVIVORS_SHARE = 1 / 8;
const SURVIVORS_MIN = 1000;
/** More likely rows than this share, and a scan of all rows by codes for exact answers is as fast as a look at those. */
const LOOKED_SHARE = 1 / 16;
/** Rows of the first batch after a scan that leaves more rows than are read at once: the best of them rule most others out. */
const FIRST_PROVEN_ROWS = 16;
const ROWS_AT_ONCE = 32;
/** Rows that a walk looks at at most: their conditions and one more scan cost about as much as the query without a condition. */
const WALK_ROWS_MAX = 320;

/** One of codes for exact answers. */
export interface CodeScan extends BaseScan {
  readonly query: SpaceQuery;
}

/** The n-th query for codes for exact answers: made once, whether a team or the search itself is the first to ask. */
export function queryFor(codes: ResidentCodes, together: SearchesTogether, n: number): SpaceQuery {
  return together.query(n, () => codes.space.query(together.encoded(n)));
}

/** Exact answers. */
export function* certified(base: BaseScan, matching: Matching | undefined): Steps<Scanned | Refusal> {
  const { codes } = base;
  if (!codes.space.isExact) return { refusal: "the index keeps 1-bit codes alone" };
  const query = queryFor(codes, base.together, base.n);
  const scan: CodeScan = Object.assign(base, { query });
  const walked =
    matching &&
    (yield* walk(scan, matching, {
      plan: "certified scan",
      kind: "codes",
      bounds: provenBounds(query),
      rowsMax: WALK_ROWS_MAX,
      search: (k, maxDistance) =>
        codes.scans.search({ query, k, maxDistance, most: mostSurvivors(codes), among: undefined }, base.read),
    }));
  if (walked) return walked;
  const start = performance.now();
  const asked = yield* base.together.asked(() => ask(scan, matching));
  return "refusal" in asked ? asked : yield* scanAmong(scan, asked, start, { isShared: true });
}

interface ScanHow {
  /** Whether those searches that follow are about to do the same. */
  readonly isShared?: boolean;
  /** The query for 1-bit codes, where rows that are not likely enough by these are left out. */
  readonly likelyOf?: (encoded: Uint8Array) => OneBitSpaceQuery;
}

/** Scans the codes of all rows that are asked. */
export function* scanAmong(
  { codes, query, encoded, maxDistance, read, rescoring, together, n }: CodeScan,
  { among, k, size, skipped }: Asked,
  start: number,
  { isShared = false, likelyOf }: ScanHow = {},
): Steps<Scanned | Refusal> {
  const most = mostSurvivors(codes);
  if (k > most) return { refusal: "more rows are asked for than reading one by one is good for" };
  const searchOf = (query: SpaceQuery, encoded: Uint8Array) => {
    return {
      query,
      k,
      maxDistance,
      most,
      among,
      likely: likelyOf && {
        query: likelyOf(encoded),
        most: mostSurvivors(codes, LOOKED_SHARE),
      },
    };
  };
  const begin: BeginTeam = (count, threads) => {
    const nth = (at: number) => {
      const encoded = together.encoded(n + at);
      return searchOf(queryFor(codes, together, n + at), encoded);
    };
    return codes.scans.searchTeam(count, nth, threads);
  };
  const bytes = likelyOf ? codes.likelyBytes : size * codes.space.headBytes;
  const made = isShared && k > 0 ? together.scan(n, bytes, begin) : undefined;
  const found = k === 0 ? NOTHING_FOUND : yield* codes.scans.search(made ?? searchOf(query, encoded), read);
  if (!found) return { refusal: "too many rows lie too close to each other for their codes to tell apart" };
  const scanMs = performance.now() - start;
  const scoring = yield* rescoring(k, provenBounds(query));
  const { survivors } = found;
  yield* scoreDown(
    scoring,
    survivors,
    survivors.length > ROWS_AT_ONCE ? Math.max(FIRST_PROVEN_ROWS, 2 * k) : BATCH_ROWS,
  );
  const { bytesRead: scanBytes } = found;
  return { plan: "certified scan", rescoring: scoring, scanMs, size, skipped, scanBytes, inDoubt: survivors.length };
}

const NOTHING_FOUND: CodesFound = { survivors: [], threshold: Number.NEGATIVE_INFINITY, bytesRead: 0 };

function provenBounds(query: SpaceQuery): Bounds {
  return { isProven: true, floorOf: (distance) => query.floorOf(distance) };
}

/** Most rows that a scan may leave to be looked at, of a share of all. */
export function mostSurvivors({ size }: ResidentCodes, share = SURVIVORS_SHARE): number {
  return Math.max(SURVIVORS_MIN, Math.floor(size * share));
}
