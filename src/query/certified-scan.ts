import type { Attachment } from "../change/attachment.ts";
import { casingOf } from "../driver/casing.ts";
import type { DbLike, Driver, Row, Steps } from "../driver/driver.ts";
import { memoryBudgetOf } from "../driver/events.ts";
import { columnName } from "../migration/definition.ts";
import { isSameName } from "../schema/names.ts";
import { ChunkDamage } from "../vector/chunk.ts";
import type { SpaceQuery } from "../vector/code-space.ts";
import { Generations } from "../vector/generation.ts";
import { type IndexedColumn, indexedColumnOf } from "../vector/indexed-column.ts";
import type { CodesFound, ReadCodes, ResidentCodes, Skip } from "../vector/resident-codes.ts";
import { forgetCodes, reportDamage, residentCodes } from "../vector/resident-column.ts";
import { considerFold } from "../vector/upkeep.ts";
import type { Found, RowsSkipped } from "./found.ts";
import { Matching } from "./matching.ts";
import type { NearestRequest } from "./nearest-request.ts";
import { BATCH_ROWS, CodesContradicted, Rescoring } from "./rescoring.ts";
import type { Values } from "./search-query.ts";

/** Why a plan gives no answer. */
export interface Refusal {
  readonly refusal: string;
  /** Whether the codes contradict the table, which they never should. */
  readonly isFault?: boolean;
}

export interface CertifiedInput {
  readonly request: NearestRequest;
  readonly driver: Driver;
  readonly db: DbLike;
  readonly attachment: Attachment;
  readonly values: Values;
}

/**
 * More survivors than this share of the rows, and reading them one by one is no faster than reading all in order. So many are
 * always let through: few as they are, they cost a millisecond.
 */
const SURVIVORS_SHARE = 1 / 20;
const SURVIVORS_MIN = 1000;

/** Rows a walk looks at first, beside those asked for. */
const WALK_ROWS = 12;
/** Rows it looks at at most: their conditions and one more scan cost about as much as the query without a condition. */
const WALK_ROWS_MAX = 320;
/** By how much more than the share of matches so far suggests it looks at. */
const WALK_MARGIN = 1.5;

/**
 * Answers from the resident codes of an index, exactly: what the codes cannot rule out is read from the table and scored by
 * the reference. All in the snapshot of these steps, so that the answer is that of a bare scan to the last tie.
 */
export function* certifiedScan(input: CertifiedInput): Steps<Found | Refusal> {
  const { driver } = input;
  const column = indexedColumn(input);
  if ("refusal" in column) return column;
  const shadow: Row[] = yield {
    type: "rows",
    sql: "SELECT 1 FROM temp.sqlite_master WHERE name = ? COLLATE NOCASE AND type IN ('table', 'view')",
    params: [column.table.name],
  };
  if (shadow.length > 0) return { refusal: `a temporary table hides ${column.table.name}` };

  try {
    return yield* scanCodes(input, column);
  } catch (error) {
    if (!(error instanceof ChunkDamage)) throw error;
    // Codes that are read from disk are gone: another generation is current, or something is wrong with this one.
    forgetCodes(driver.connection);
  }
  try {
    return yield* scanCodes(input, column);
  } catch (error) {
    if (!(error instanceof ChunkDamage)) throw error;
    forgetCodes(driver.connection);
    reportDamage(driver.connection, column, error);
    return { refusal: error.message };
  }
}

function* scanCodes({ request, driver, db, values }: CertifiedInput, column: IndexedColumn): Steps<Found | Refusal> {
  const start = performance.now();
  const resident = yield* residentCodes(driver.connection, column, {
    budgetBytes: memoryBudgetOf(driver.connection),
  });
  considerFold(driver, column, resident);
  if (resident.refusal !== undefined) return resident;
  const ready = performance.now();
  const encoded = request.query(values);
  const query = resident.codes.space.query(encoded);
  const generations = new Generations(column);
  const scan: CodeScan = {
    codes: resident.codes,
    query,
    maxDistance: request.maxDistance,
    wanted: request.offset + request.limit,
    read: (source) => generations.codes(source),
    rescoring: (k) => Rescoring.begin({ request, column, db, encoded, query, k }),
  };
  try {
    const matching = request.where ? new Matching(request, db, values, column) : undefined;
    const answer = (matching && (yield* walk(scan, matching))) ?? (yield* scanAmong(scan, matching));
    if ("refusal" in answer) return answer;
    const { rescoring, scanMs, size, skipped, scanBytes } = answer;
    const end = performance.now();
    return {
      plan: "certified scan",
      candidates: rescoring.sorted().slice(request.offset),
      kernel: resident.codes.kernel,
      sql: rescoring.sql,
      rowsScanned: size + skipped.wrongLength + skipped.notFinite + skipped.notAVector,
      rowsRescored: rescoring.rescored,
      rowsSkipped: skipped,
      bytesRead: scanBytes + rescoring.bytesRead,
      ms: { catchUp: ready - start, scan: scanMs, score: end - ready - scanMs },
    };
  } catch (error) {
    if (!(error instanceof CodesContradicted)) throw error;
    forgetCodes(driver.connection);
    return { refusal: `the codes contradict the table: ${error.message}`, isFault: true };
  }
}

/** What a scan of codes needs, whatever the condition. */
interface CodeScan {
  readonly codes: ResidentCodes;
  readonly query: SpaceQuery;
  readonly maxDistance: number;
  /** Rows from the nearest on, those that `offset` passes over included. */
  readonly wanted: number;
  readonly read: ReadCodes;
  rescoring(k: number): Steps<Rescoring>;
}

interface Scanned {
  readonly rescoring: Rescoring;
  readonly scanMs: number;
  /** Rows that were asked. */
  readonly size: number;
  readonly skipped: RowsSkipped;
  readonly scanBytes: number;
}

/** Scans the codes of all rows, or of all that match. */
function* scanAmong(
  { codes, query, maxDistance, wanted, read, rescoring: begin }: CodeScan,
  matching: Matching | undefined,
): Steps<Scanned | Refusal> {
  const start = performance.now();
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
  const k = Math.min(wanted, size);
  const most = mostSurvivors(codes);
  if (k > most) return { refusal: "more rows are asked for than reading one by one is good for" };
  const found = k === 0 ? NOTHING_FOUND : yield* codes.search({ query, k, maxDistance, most, among }, read);
  if (!found) return { refusal: "too many rows lie too close to each other for their codes to tell apart" };
  const scanMs = performance.now() - start;
  const rescoring = yield* begin(k);
  const { survivors } = found;
  for (let i = 0; i < survivors.length && survivors[i]!.upper >= rescoring.floor; i += BATCH_ROWS) {
    yield* rescoring.score(survivors.slice(i, i + BATCH_ROWS));
  }
  return { rescoring, scanMs, size, skipped, scanBytes: found.bytesRead };
}

/**
 * Looks at rows in the order of their bounds, whether they match, until enough do; in a second round at as many more as the share
 * of matches suggests. The rows a round does not look at are less similar than its threshold: the answer is exact as soon
 * as the last row wanted is surely not.
 *
 * @returns undefined where matches are too rare for that, and reading all of them is cheaper
 */
function* walk(scan: CodeScan, matching: Matching): Steps<Scanned | undefined> {
  const { codes, query, maxDistance, wanted, read, rescoring: begin } = scan;
  // Whether rows that have no code match nobody has asked; and codes on disk are not read twice.
  if (codes.skipped.size > 0 || codes.streamed > 0 || wanted === 0) return undefined;
  let k = 2 * wanted + WALK_ROWS;
  if (k > Math.min(WALK_ROWS_MAX, codes.size)) return undefined;
  const start = performance.now();
  const rescoring = yield* begin(wanted);
  const seen = new Set<bigint>();
  let matches = 0;
  let scanBytes = 0;
  let scanMs = 0;
  for (let round = 0; round < 2; round++) {
    const found = yield* codes.search({ query, k, maxDistance, most: mostSurvivors(codes), among: undefined }, read);
    scanMs = performance.now() - start;
    if (!found) return undefined;
    scanBytes += found.bytesRead;
    const unseen = found.survivors.filter(({ id }) => !seen.has(id));
    if (seen.size + unseen.length > WALK_ROWS_MAX) return undefined;
    for (let i = 0; i < unseen.length && unseen[i]!.upper >= rescoring.floor; i += BATCH_ROWS) {
      const batch = unseen.slice(i, i + BATCH_ROWS);
      for (const { id } of batch) seen.add(id);
      const matched = yield* matching.among(batch.map(({ id }) => id));
      matches += matched.size;
      yield* rescoring.score(batch.filter(({ id }) => matched.has(id)));
    }
    // A scan that nothing but `maxDistance` has ended leaves no row out.
    const isAll = found.threshold <= query.floorOf(maxDistance);
    if (isAll || (rescoring.isFull && rescoring.floor >= found.threshold)) {
      const skipped = { wrongLength: 0, notFinite: 0, notAVector: 0 };
      return { rescoring, scanMs, size: seen.size, skipped, scanBytes };
    }
    k = Math.ceil(((wanted * seen.size) / Math.max(matches, 1)) * WALK_MARGIN) + WALK_ROWS;
    if (k > WALK_ROWS_MAX || k > codes.size) return undefined;
  }
  return undefined;
}

const NOTHING_FOUND: CodesFound = { survivors: [], threshold: Number.NEGATIVE_INFINITY, bytesRead: 0 };

function mostSurvivors({ size }: ResidentCodes): number {
  return Math.max(SURVIVORS_MIN, Math.floor(size * SURVIVORS_SHARE));
}

/** The column as the index knows it, unless what is asked is not what is indexed. */
function indexedColumn({ request, attachment, db }: CertifiedInput): IndexedColumn | Refusal {
  const { table, record } = attachment;
  const definition = record.definition;
  if (!definition || !table) return { refusal: "the index cannot be read" };
  const casing = casingOf(db);
  const name = columnName(request.column, casing);
  const declared = definition.vectors.find(({ column }) => isSameName(column, name));
  const { dimensions, element } = request.shape;
  if (declared?.dimensions !== dimensions || declared.element !== element) {
    return { refusal: "the index was made for vectors of another shape" };
  }
  if (declared.metric !== request.metric) return { refusal: `the index measures by ${declared.metric}` };
  const keys = request.keyed.key.map((part) => columnName(part, casing));
  const isSameKey =
    keys.length === table.key.length && keys.every((key) => table.key.some(({ column }) => isSameName(column, key)));
  if (!isSameKey) return { refusal: "the schema declares another primary key than the database has" };
  return indexedColumnOf(attachment, declared) ?? { refusal: "the index keeps no codes for exact answers" };
}

function countOf(skips: Iterable<Skip>): RowsSkipped {
  const counts: RowsSkipped = { wrongLength: 0, notFinite: 0, notAVector: 0 };
  for (const skip of skips) counts[skip]++;
  return counts;
}
