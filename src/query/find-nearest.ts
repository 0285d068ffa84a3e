import { type Attachment, attachmentOfVector, attachmentsOf, missingIndex, remedyOf } from "../change/attachment.ts";
import { casingOf } from "../driver/casing.ts";
import type { Driver, Row, Snapshot, Steps } from "../driver/driver.ts";
import { report, reportOnce, threadsOf } from "../driver/events.ts";
import { IndexDamagedError } from "../errors.ts";
import { columnName } from "../migration/definition.ts";
import { storedRecallIn } from "../migration/settings.ts";
import { identifier } from "../migration/sql-text.ts";
import { isSameName, REGISTRY } from "../schema/names.ts";
import { configOf } from "../schema/vector-column.ts";
import { bareScan } from "./bare-scan.ts";
import { type CertifiedInput, certifiedScan } from "./certified-scan.ts";
import type { SearchesTogether } from "./code-search.ts";
import type { Found } from "./found.ts";
import type { NearestRequest } from "./nearest-request.ts";
import { checkAttached } from "./search-attachment.ts";
import type { Values } from "./search-query.ts";
import { Together } from "./together.ts";

/** Chooses the plan and runs it: the codes of the column's index where they can be relied on, else the whole table. */
export function* findNearest(request: NearestRequest, input: FindInput): Steps<Chosen> {
  const [chosen] = yield* findNearestMany([request], input);
  return chosen!;
}

/**
 * As `findNearest` for each of several requests that differ in their queries alone. What the index and its codes are is looked
 * up once, and those that the table has to answer share one reading of it.
 *
 * @param onFound - what else is to be done for each, in order, while threads scan for those that follow; those that the table answers come
 * last
 */
export function* findNearestMany(
  requests: readonly NearestRequest[],
  input: FindInput,
  onFound?: OnFound,
): Steps<Chosen[]> {
  const { driver, values, isReadOnly = false } = input;
  if (requests.length === 0) return [];
  const attachment = yield* indexOf(requests[0]!, input);
  const together: SearchesTogether = new Together(requests, values, threadsOf(driver.connection));
  const recall = yield* recallOf(requests[0]!, input, attachment);
  const chosen: (Chosen | Unanswered)[] = [];
  const { connection } = driver;
  const isWithin = driver.kind === "sync" && searching.has(connection);
  searching.add(connection);
  try {
    for (const [n, request] of requests.entries()) {
      const one = isWithin
        ? { index: attachment?.name ?? null, recall, fallback: "a search of this connection is under way" }
        : yield* fromCodes({ request, driver, values, together, n, recall, isReadOnly }, attachment);
      chosen.push(one);
      if (onFound && !isBare(one)) yield* onFound(n, one);
    }
  } finally {
    together.end();
    if (!isWithin) searching.delete(connection);
  }
  const bare = requests.filter((_, i) => isBare(chosen[i]!));
  const read = bare.length === 0 ? [] : yield* bareScan(bare, { driver, values });
  const all: Chosen[] = [];
  for (const [n, one] of chosen.entries()) {
    if (!isBare(one)) {
      all.push(one);
      continue;
    }
    const answered = { ...read.shift()!, ...one };
    all.push(answered);
    if (onFound) yield* onFound(n, answered);
  }
  return all;
}

/**
 * Connections whose codes a search is at. Between its statements runs what the app has given Drizzle, such as a logger. Where that searches
 * itself, the table answers: codes that threads scan must not be brought up to date.
 */
const searching = new WeakSet<object>();

/** Is told of an answer as soon as it is there. */
export type OnFound = (n: number, found: Chosen) => Steps<void>;

/** The table has to answer. */
type Unanswered = Pick<Chosen, "index" | "recall" | "fallback">;

function isBare(one: Chosen | Unanswered): one is Unanswered {
  return !("candidates" in one);
}

/** The answer of the codes, unless there are none to rely on. */
function* fromCodes(
  input: Omit<CertifiedInput, "attachment">,
  attachment: Attachment | undefined,
): Steps<Chosen | Unanswered> {
  const { request, driver, values, together, n, recall, isReadOnly } = input;
  const index = attachment?.name ?? null;
  // A query of no rows reads none.
  if (request.limit === 0) return { index, recall, fallback: null };
  if (!attachment) return { recall, ...withoutIndex(request, driver.connection) };
  const { name, problems } = attachment;
  if (problems.length > 0) {
    if (request.strict) checkAttached(attachment);
    const fallback = problems.map(({ message }) => message).join("; ");
    reportOnce(driver.connection, {
      code: "FALLBACK",
      index: name,
      message: `index ${name} may have missed writes, every row is read instead: ${fallback}`,
      hint: remedyOf(attachment),
    });
    return { index, recall, fallback };
  }
  // An asynchronous driver hands out its connection between two steps: codes that several searches share need one at a time.
  if (driver.kind === "async") return { index, recall, fallback: null };
  const found = yield* certifiedScan({ request, driver, values, together, n, recall, isReadOnly, attachment });
  // To spread so many fields takes 2 µs, to add three a twentieth.
  if (!("refusal" in found)) return Object.assign(found, { index, recall, fallback: null });
  if (request.strict && (found.isFault || found.isDamage)) {
    throw new IndexDamagedError({
      subject: name,
      expected: "codes that agree with the table",
      got: found.refusal,
      hint: `Run "drizzle-vector rebuild ${name}" or rebuild(db, index). Without strict the table answers.`,
    });
  }
  if (found.isFault) {
    reportOnce(driver.connection, {
      code: "FALLBACK",
      index: name,
      message: `index ${name} was answered from the table: ${found.refusal}`,
      hint: "The answer is right, and the codes are made anew. Please report how this came about.",
    });
  }
  return { index, recall, fallback: found.refusal };
}

/** A column that no index in the database has; the schema may declare one, which then is missing. */
function withoutIndex({ column, strict }: NearestRequest, connection: object): Pick<Unanswered, "index" | "fallback"> {
  const index = configOf(column)!.index;
  if (index === undefined) return { index: null, fallback: null };
  const missing = missingIndex(index, []);
  if (strict) throw missing;
  const fallback = `index ${index} is not in the database`;
  const message = `${fallback}, every row is read instead`;
  reportOnce(connection, { code: "FALLBACK", index, message, hint: missing.hint! });
  return { index, fallback };
}

export interface FindInput {
  readonly driver: Driver;
  readonly values: Values;
  readonly snapshot: Snapshot;
  /** Whether this query must not have anything written, as queries that find many changes do. Default false. */
  readonly isReadOnly?: boolean;
}

/** What the chosen plan found. */
export interface Chosen extends Found {
  /** The search index the column belongs to, by the database or else by the schema, or null. */
  index: string | null;
  /** Why that index was not asked, or null where it was or there is none. */
  fallback: string | null;
  /** The share of the true nearest rows that was asked for: by the query, else as `tune` has stored it, else 1. */
  recall: number;
}

/** The index a column belongs to, if any. */
function* indexOf(
  { column, keyed }: NearestRequest,
  { driver, snapshot }: Omit<FindInput, "values">,
): Steps<Attachment | undefined> {
  const attachments = yield* attachmentsOf(driver, snapshot);
  return attachmentOfVector(attachments, keyed.name, columnName(column, casingOf(driver.handle)));
}

/** The recall of a query: what it names, else what is stored. An asynchronous driver answers exactly, whatever is asked for. */
function* recallOf(
  { recall, column }: NearestRequest,
  { driver }: FindInput,
  attachment: Attachment | undefined,
): Steps<number> {
  if (recall !== undefined) return recall;
  return attachment && driver.kind === "sync"
    ? yield* storedRecall(attachment, columnName(column, casingOf(driver.handle)))
    : 1;
}

/**
 * What is stored as the recall of queries that name none. Read in the snapshot of the query: a change of it moves no
 * schema_version, by which attachments are kept. One look-up by key.
 */
function* storedRecall({ name, record }: Attachment, column: string): Steps<number> {
  const vector = record.definition?.vectors.find((one) => isSameName(one.column, column));
  if (!vector || record.settings === undefined) return 1;
  const rows: Row[] = yield { type: "rows", sql: SETTINGS, params: [name] };
  const settings = rows[0]?.[0] ?? null;
  return settings === null ? 1 : (storedRecallIn(settings, vector)?.recall ?? 1);
}

const SETTINGS = `SELECT settings FROM main.${identifier(REGISTRY)} WHERE name = ?`;

/** Tells `onEvent` of rows whose bytes are no vector of the column. */
export function reportSkipped(
  { label }: NearestRequest,
  { rowsSkipped, rowsScanned, index }: Chosen,
  connection: object,
): void {
  const { wrongLength, notFinite, notAVector } = rowsSkipped;
  const skipped = wrongLength + notFinite + notAVector;
  if (skipped === 0) return;
  report(connection, {
    code: "ROWS_SKIPPED",
    index,
    message: `${label}: ${skipped} of ${rowsScanned} rows were left out: ${wrongLength} of another length, ${notFinite} with NaN or infinity, ${notAVector} that are no blob`,
    hint: "Write vectors through the column, which checks them, and embed the rows left out again.",
  });
}
