import type { Attachment } from "../change/attachment.ts";
import type { Driver, Steps } from "../driver/driver.ts";
import { memoryBudgetOf } from "../driver/events.ts";
import { ChunkDamage } from "../vector/chunk.ts";
import { distrust } from "../vector/distrust.ts";
import { Generations } from "../vector/generation.ts";
import { withoutPause } from "../vector/indexed-column.ts";
import { reportDamage } from "../vector/report-damage.ts";
import type { ResidentCodes } from "../vector/resident-codes.ts";
import { loadBits, residentCodes } from "../vector/resident-column.ts";
import { considerFold } from "../vector/upkeep.ts";
import type { BaseScan, SearchesTogether } from "./code-search.ts";
import { certified } from "./exact-scan.ts";
import type { Found, Refusal } from "./found.ts";
import { likely } from "./likely-scan.ts";
import { Matching } from "./matching.ts";
import type { NearestRequest } from "./nearest-request.ts";
import { CodesContradicted, Rescoring } from "./rescoring.ts";
import type { Values } from "./search-query.ts";
import { type Searched, searchedColumn } from "./searched-column.ts";

/** Bytes of a head that are scanned in the time of a byte of 1-bit codes, which need a second look at more rows. */
const HEAD_RATIO = 1.5;

export interface CertifiedInput {
  readonly request: NearestRequest;
  readonly driver: Driver;
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
    return { refusal: error.message, isDamage: true };
  }
}

/** @param isChecked - whether codes on disk that are not kept in memory are looked at first */
function* scanCodes(
  { request, driver, values, together, n, recall, isReadOnly }: CertifiedInput,
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
  const base: BaseScan = {
    codes,
    encoded,
    together,
    n,
    maxDistance: request.maxDistance,
    wanted: request.offset + request.limit,
    read: new Generations(column).reading(space),
    rescoring: (k, bounds) => Rescoring.begin({ request, sql, encoded, bounds, k }),
  };
  try {
    if (isLikelyEnough) yield* withoutPause(loadBits(connection, column, codes, budgetBytes));
    const ready = performance.now();
    const matching = request.where ? new Matching({ request, driver, values, column }) : undefined;
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
