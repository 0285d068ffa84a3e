import type { Attachment } from "../change/attachment.ts";
import type { DbLike, Driver, Steps } from "../driver/driver.ts";
import { memoryBudgetOf } from "../driver/events.ts";
import { factorFor } from "../vector/calibration.ts";
import { ChunkDamage } from "../vector/chunk.ts";
import type { CodesFound, Survivor } from "../vector/code-scans.ts";
import type { SpaceQuery } from "../vector/code-space.ts";
import { distrust } from "../vector/distrust.ts";
import { Generations } from "../vector/generation.ts";
import { withoutPause } from "../vector/indexed-column.ts";
import type { OneBitSpaceQuery } from "../vector/one-bit-space.ts";
import type { ResidentCodes } from "../vector/resident-codes.ts";
import { loadBits, reportDamage, residentCodes } from "../vector/resident-column.ts";
import type { CodeKind } from "../vector/row-blocks.ts";
import type { Selection } from "../vector/selection.ts";
import type { Skip } from "../vector/skip.ts";
import type { ReadCodes } from "../vector/stored-codes.ts";
import { considerFold } from "../vector/upkeep.ts";
import type { Found, Refusal, RowsSkipped } from "./found.ts";
import { Matching } from "./matching.ts";
import type { NearestRequest } from "./nearest-request.ts";
import { BATCH_ROWS, type Bounds, CodesContradicted, Rescoring } from "./rescoring.ts";
import type { Values } from "./search-query.ts";
import { type Searched, searchedColumn } from "./searched-column.ts";
import type { Together } from "./together.ts";

export interface CertifiedInput {
  readonly request: NearestRequest;
  readonly driver: Driver;
  readonly db: DbLike;
  readonly attachment: Attachment;
  readonly values: Values;
  readonly together: SearchesTogether;
  /** Which of them this is. */
  readonly n: number;
  /** The share of the true nearest rows to find. */
  readonly recall: number;
  /** Whether this query must not have anything written. */
  readonly isReadOnly: boolean;
}

/** What they share. */
export type SearchesTogether = Together<Asked | Refusal>;

/**
 * More survivors than this share of the rows, and reading them one by one is no faster than reading all in order. So many are
 * always let through: few as they are, they cost a millisecond.
 */
const SURVIVORS_SHARE = 1 / 8;
const SURVIVORS_MIN = 1000;
/** So many likely rows by 1-bit codes alone, and all rows are read in order. */
const LIKELY_ALONE_SHARE = 1 / 4;
/**
 * Deviations more than a recall takes, where codes for exact answers rule out what is too much: a look at them takes 0.1 µs a row, and
 * far less is missed than may be (bench/README.md).
 */
const LIKELY_MARGIN = 0.5;
/** More likely rows than this share, and a scan of all rows by codes for exact answers is as fast as a look at those. */
const LOOKED_SHARE = 1 / 16;
/** Bytes of codes that are read from disk in the time of a row of the table. */
const ROW_COST_BYTES = 16_000;
/** Rows of the first batch after a scan of 1-bit codes alone, or twice as many as are wanted. */
const FIRST_ROWS = 32;
/** The same after one of codes for exact answers that leaves more rows than are read at once: the best of them rule most others out. */
const FIRST_PROVEN_ROWS = 16;
const ROWS_AT_ONCE = 32;
/** Bytes of a head that are scanned in the time of a byte of 1-bit codes, which need a second look at more rows. */
const HEAD_RATIO = 1.5;

/** Rows a walk looks at first, beside those asked for. */
const WALK_ROWS = 12;
/** Rows it looks at at most: their conditions and one more scan cost about as much as the query without a condition. */
const WALK_ROWS_MAX = 320;
/** 1-bit codes leave more rows, of which the first few rule most out. */
const LIKELY_WALK_ROWS_MAX = 800;
/** Codes that a scan gets through, about. */
const SCAN_BYTES_PER_MS = 2e7;
/** What a round takes beside its scan, which takes longer the deeper it goes: the second about twice as long. */
const ROUND_MS = 1;
/** By how much more than the share of matches so far suggests it looks at. */
const WALK_MARGIN = 1.5;

/**
 * Answers from the resident codes of an index: what the codes cannot rule out is read from the table and scored by the
 * reference. All in the snapshot of these steps, so that the answer is that of a bare scan to the last tie; or, where a recall
 * below 1 is asked for, that share of it.
 */
export function* certifiedScan(input: CertifiedInput): Steps<Found | Refusal> {
  const { driver } = input;
  const searched = searchedColumn(input);
  if ("refusal" in searched) return searched;
  const { column } = searched;

  try {
    return yield* scanCodes(input, searched, false);
  } catch (error) {
    if (!(error instanceof ChunkDamage)) throw error;
    // Codes that are read from disk are gone: another generation is current, or something is wrong with this one.
    input.together.forget(driver.connection);
  }
  try {
    return yield* scanCodes(input, searched, true);
  } catch (error) {
    if (!(error instanceof ChunkDamage)) throw error;
    input.together.forget(driver.connection);
    reportDamage(driver.connection, column, error);
    return { refusal: error.message };
  }
}

/** @param isChecked - whether codes on disk that are not kept in memory are looked at first */
function* scanCodes(
  { request, driver, db, values, together, n, recall, isReadOnly }: CertifiedInput,
  { column, sql }: Searched,
  isChecked: boolean,
): Steps<Found | Refusal> {
  const encoded = together.encoded(n);
  const start = performance.now();
  const { connection } = driver;
  const budgetBytes = memoryBudgetOf(connection);
  const resident = yield* together.resident(function* () {
    const isApproximate = recall < 1;
    const resident = yield* residentCodes(connection, column, { budgetBytes, isChecked, isApproximate });
    if (!isReadOnly) considerFold(driver, column, resident);
    return resident;
  });
  if (resident.refusal !== undefined) return resident;
  const { codes } = resident;
  const { space } = codes;
  const isLikelyEnough = recall < 1 && isWorthIt(codes, request.where !== undefined);
  const generations = new Generations(column);
  const base: BaseScan = {
    codes,
    encoded,
    together,
    n,
    maxDistance: request.maxDistance,
    wanted: request.offset + request.limit,
    read: (source, kind) => generations.codes(source, kind, space),
    rescoring: (k, bounds) => Rescoring.begin({ request, sql, encoded, bounds, k }),
  };
  try {
    if (isLikelyEnough) yield* withoutPause(loadBits(connection, column, codes, budgetBytes));
    const ready = performance.now();
    const matching = request.where ? new Matching({ request, driver, db, values, column }) : undefined;
    const answer = yield* isLikelyEnough ? likely(base, matching, recall) : certified(base, matching);
    if ("refusal" in answer) return answer;
    const { plan, rescoring, scanMs, size, skipped, scanBytes, inDoubt } = answer;
    const end = performance.now();
    return {
      plan,
      candidates: rescoring.sorted().slice(request.offset),
      kernel: codes.kernel,
      sql: rescoring.sql,
      rowsScanned: size + skipped.wrongLength + skipped.notFinite + skipped.notAVector,
      rowsInDoubt: inDoubt,
      rowsRescored: rescoring.rescored,
      rowsSkipped: skipped,
      bytesRead: scanBytes + rescoring.bytesRead,
      ms: { catchUp: ready - start, scan: scanMs, score: end - ready - scanMs },
    };
  } catch (error) {
    if (error instanceof RangeError) {
      together.forget(connection);
      return { refusal: `there is no memory for a search of the codes: ${error.message}` };
    }
    if (!(error instanceof CodesContradicted)) throw error;
    together.forget(connection);
    yield* distrust(connection, column);
    return { refusal: `the codes contradict the table: ${error.message}`, isFault: true };
  }
}

/** What a scan of codes needs, whatever the codes and the condition. */
interface BaseScan {
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

/** The n-th query for codes for exact answers: made once, whether a team or the search itself is the first to ask. */
function queryFor(codes: ResidentCodes, together: SearchesTogether, n: number): SpaceQuery {
  return together.query(n, () => codes.space.query(together.encoded(n)));
}

/** One of codes for exact answers. */
interface CodeScan extends BaseScan {
  readonly query: SpaceQuery;
}

interface Scanned {
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

/** Exact answers. */
function* certified(base: BaseScan, matching: Matching | undefined): Steps<Scanned | Refusal> {
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

/** Answers with the recall asked for: the rows that are likely enough among the nearest by their 1-bit codes are looked at. */
function* likely(base: BaseScan, matching: Matching | undefined, recall: number): Steps<Scanned | Refusal> {
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
  const share = space.isExact ? SURVIVORS_SHARE : LIKELY_ALONE_SHARE;
  const most = Math.max(SURVIVORS_MIN, Math.floor(codes.size * share));
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

/**
 * Scores rows, best bound first, until those left are ruled out.
 *
 * @param batch - rows of the first statement; each further one reads twice as many
 */
function* scoreDown(rescoring: Rescoring, survivors: readonly Survivor[], batch = BATCH_ROWS): Steps<void> {
  let rows = batch;
  for (let i = 0; i < survivors.length && survivors[i]!.upper >= rescoring.floor; ) {
    const { floor } = rescoring;
    yield* rescoring.score(survivors.slice(i, i + rows).filter(({ upper }) => upper >= floor));
    i += rows;
    rows = Math.min(BATCH_ROWS, rows * 2);
  }
}

/**
 * Heads for exact answers that are no longer than the bits are scanned as fast, and the answer has no gaps. Under a condition most
 * of the time goes into asking which rows match, and exact codes ask for the fewest. Where they are on disk, bits are a fraction
 * of them.
 */
function isWorthIt(codes: ResidentCodes, isFiltered: boolean): boolean {
  const { isExact, headBytes, oneBit } = codes.space;
  if (oneBit === undefined) return false;
  if (!isExact || codes.streamedBytes("codes") > codes.streamedBytes("bits")) return true;
  return !isFiltered && headBytes * 8 > oneBit.shape.width * HEAD_RATIO;
}

function likelyBounds(query: OneBitSpaceQuery): Bounds {
  return {
    isProven: false,
    floorOf: (distance) => (Number.isFinite(distance) ? query.similarityOf(distance) : Number.NEGATIVE_INFINITY),
  };
}

/** Which rows are asked. */
interface Asked {
  /** Undefined for all. */
  readonly among: Selection | undefined;
  readonly k: number;
  readonly size: number;
  readonly skipped: RowsSkipped;
}

function* ask({ codes, wanted }: BaseScan, matching: Matching | undefined): Steps<Asked | Refusal> {
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

/** Makes a team of so many searches from this one on. */
type BeginTeam = Parameters<SearchesTogether["scan"]>[2];

interface ScanHow {
  /** Whether those searches that follow are about to do the same. */
  readonly isShared?: boolean;
  /** The query for 1-bit codes, where rows that are not likely enough by these are left out. */
  readonly likelyOf?: (encoded: Uint8Array) => OneBitSpaceQuery;
}

/** Scans the codes of all rows that are asked. */
function* scanAmong(
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
        most: Math.max(SURVIVORS_MIN, Math.floor(codes.size * LOOKED_SHARE)),
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

function provenBounds(query: SpaceQuery): Bounds {
  return { isProven: true, floorOf: (distance) => query.floorOf(distance) };
}

/**
 * Looks at rows in the order of their bounds, whether they match, until enough do; in a second round at as many more as the share
 * of matches suggests. The rows a round does not look at are less similar than its threshold: the answer is exact as soon
 * as the last row wanted is surely not.
 *
 * @returns undefined where matches are too rare for that, or reading all of them is cheaper by what is known of the condition
 */
function* walk(base: BaseScan, matching: Matching, how: Walk): Steps<Scanned | undefined> {
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

/** Which codes a walk goes by. */
interface Walk {
  readonly plan: Found["plan"];
  readonly kind: CodeKind;
  readonly bounds: Bounds;
  /** Rows it looks at at most. */
  readonly rowsMax: number;
  search(k: number, maxDistance: number): Steps<CodesFound | undefined>;
}

const NOTHING_FOUND: CodesFound = { survivors: [], threshold: Number.NEGATIVE_INFINITY, bytesRead: 0 };

function mostSurvivors({ size }: ResidentCodes): number {
  return Math.max(SURVIVORS_MIN, Math.floor(size * SURVIVORS_SHARE));
}

function countOf(skips: Iterable<Skip>): RowsSkipped {
  const counts: RowsSkipped = { wrongLength: 0, notFinite: 0, notAVector: 0 };
  for (const skip of skips) counts[skip]++;
  return counts;
}
