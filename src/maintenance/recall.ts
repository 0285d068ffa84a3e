import { integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { attachmentNamed, attachmentsOf, remedyOf } from "../change/attachment.ts";
import { codecOf, vectorBytes } from "../codec/codec.ts";
import type { Driver, Row, Snapshot, Steps } from "../driver/driver.ts";
import { memoryBudgetOf } from "../driver/events.ts";
import { CodesMissingError, IndexDetachedError, TooFewRowsError } from "../errors.ts";
import { squaredNorm } from "../metric/reference.ts";
import type { IndexDefinition, VectorDefinition } from "../migration/definition.ts";
import { identityOf } from "../migration/identity.ts";
import { identifier, JSON_EACH } from "../migration/sql-text.ts";
import { type Chosen, findNearest, findNearestMany } from "../query/find-nearest.ts";
import { compareKeys } from "../query/key.ts";
import { NearestRequest } from "../query/nearest-request.ts";
import type { Candidate } from "../query/nearest-rows.ts";
import { type AnyVectorColumn, vectorColumn } from "../schema/vector-column.ts";
import { numbersFrom } from "../vector/calibration.ts";
import { type IndexedColumn, indexedColumnOf } from "../vector/indexed-column.ts";
import { residentCodes } from "../vector/resident-column.ts";

/** A query whose answers are compared. */
export interface RecallQuery {
  /** As `nearest` takes it. */
  readonly vector: unknown;
  /** The key of the row it was taken from; undefined where it is no row. */
  readonly key: Row | undefined;
}

/** How one query was answered for one recall that was asked for. */
export interface Answered {
  /** The share of the true nearest rows that was found. */
  readonly recall: number;
  readonly plan: Chosen["plan"];
  readonly fallback: string | null;
  readonly rowsRescored: number;
  readonly bytesRead: number;
  /** Undefined where it was answered together with other queries, which tells nothing of what it takes by itself. */
  readonly ms: number | undefined;
}

/** What queries are measured on. */
export interface Measured {
  readonly driver: Driver;
  readonly definition: IndexDefinition;
  readonly vector: VectorDefinition;
  readonly limit: number;
}

/**
 * The column of an index as its codes are kept, with codes that can be used: brought up to date, made if need be.
 *
 * @throws {IndexDetachedError} when the index does not follow every write
 * @throws {CodesMissingError} when there are no codes, and `optimize` would have to write them
 */
export function* readyColumn({ driver, definition, vector }: Measured, snapshot: Snapshot): Steps<IndexedColumn> {
  const { name } = definition;
  const attachment = attachmentNamed(yield* attachmentsOf(driver, snapshot), name);
  const column = attachment && indexedColumnOf(attachment, vector);
  if (!column) {
    throw new IndexDetachedError({
      subject: name,
      expected: "an index that follows every write",
      got: attachment?.problems.map(({ message }) => message).join("; ") || "one that is gone",
      hint: attachment ? remedyOf(attachment) : `Run "drizzle-vector rebuild ${name}" to repair it.`,
    });
  }
  const { connection } = driver;
  const resident = yield* residentCodes(connection, column, { budgetBytes: memoryBudgetOf(connection) });
  if (resident.refusal !== undefined) {
    throw new CodesMissingError({
      subject: `${definition.table}.${vector.column}`,
      expected: "codes to search",
      got: resident.refusal,
      hint: `Run "drizzle-vector optimize ${name}", or await optimize(db, "${name}"), which writes them to the database.`,
    });
  }
  return column;
}

/**
 * Rows drawn as queries: each with equal chance, the same for the same seed and rows. Rows whose vectors are no query, such as
 * zeros under cosine, are passed over. One pass over ids and lengths of vectors.
 *
 * @throws {TooFewRowsError} when there are not more than `limit` rows, of which one is the query
 */
export function* drawQueries(
  { definition, vector, limit }: Measured,
  { table }: IndexedColumn,
  { count, seed }: { count: number; seed: number },
): Steps<{ queries: RecallQuery[]; rows: number }> {
  const { id, rows } = identityOf(definition, table);
  const column = `r.${identifier(vector.column)}`;
  const drawn: bigint[] = [];
  const random = numbersFrom(seed);
  let seen = 0;
  yield {
    type: "stream",
    sql: `SELECT ${id} FROM ${rows} WHERE typeof(${column}) = 'blob' AND length(${column}) = ${vectorBytes(vector)} ORDER BY ${id}`,
    params: [],
    batchRows: 4096,
    // Vitter, "Random sampling with a reservoir", 1985, algorithm R.
    onRows: (batch) => {
      for (const [row] of batch) {
        const place = seen < count ? seen : Math.floor(random() * (seen + 1));
        if (place < count) drawn[place] = row as bigint;
        seen++;
      }
    },
  };
  const tooFew = (expected: string, got: number) =>
    new TooFewRowsError({
      subject: `${definition.table}.${vector.column}`,
      expected,
      got: String(got),
      hint: "Ask again when the table has its rows, or with a smaller limit.",
    });
  if (seen <= limit) throw tooFew(`more than ${limit} rows with a vector, so that something can be missed`, seen);
  const keys = definition.key.columns.map((part) => `r.${identifier(part)}`).join(", ");
  const sql = `SELECT ${column}, ${keys} FROM ${rows} WHERE ${id} IN (SELECT value FROM ${JSON_EACH}(?)) ORDER BY ${id}`;
  const found: Row[] = yield { type: "rows", sql, params: [`[${drawn.join(",")}]`] };
  const queries = found.flatMap(([blob, ...key]) => {
    const decoded = codecOf(vector.element).decode(blob as Uint8Array);
    return isQuery(decoded, vector) ? [{ vector: decoded, key }] : [];
  });
  if (queries.length === 0 && count > 0) throw tooFew("rows whose vectors can be queries", 0);
  return { queries, rows: seen };
}

/** Whether a stored vector can be asked for: zeros have no direction, and norms may leave float64. */
export function isQuery(decoded: ArrayLike<number>, { metric }: Pick<VectorDefinition, "metric">): boolean {
  const squares = squaredNorm(decoded as Float32Array);
  return Number.isFinite(squares) && !(metric === "cosine" && squares === 0);
}

/** Queries whose exact answers share a reading of the table: most of what sharing gains, and a slice still ends in time. */
const SHARED_QUERIES = 8;

/** How many queries are answered in one slice: one, unless exact answers come from the table. */
export function queriesOfSlice({ vector: { exact, element } }: Measured): number {
  return exact || element === "bit" ? 1 : SHARED_QUERIES;
}

/** An answer, before it is compared. */
interface Given {
  readonly candidates: readonly Candidate[];
  readonly rest: Omit<Answered, "recall">;
}

/**
 * Answers queries for each recall that is asked for, in one snapshot, and compares the answers with the exact ones, the first. What
 * is found counts by its distance: a row no farther than the true k-th is as good as it, so that ties are no misses. A query that
 * is a row finds itself, whatever the codes: it is left out of the truth and of the answers, and one row more is asked for. The
 * exact answers of several queries come by one reading, of whatever they are read from.
 *
 * @param recalls - the first is 1
 * @param from - with which of them to begin, with the first query: in turn, so that none is always the one to find memory cold
 * @returns for each query in the order of `recalls`; undefined where there is nothing to find
 */
export function* answerAll(
  measured: Measured,
  queries: readonly RecallQuery[],
  { recalls, from }: { recalls: readonly number[]; from: number },
  snapshot: Snapshot,
): Steps<(Answered[] | undefined)[]> {
  const { driver } = measured;
  const input = { driver, values: {}, snapshot, isReadOnly: true };
  const exact =
    queries.length > 1
      ? yield* findNearestMany(
          queries.map((query) => requestOf(measured, query, 1)),
          input,
        )
      : undefined;
  const answered: (Answered[] | undefined)[] = [];
  for (const [n, query] of queries.entries()) {
    const answers: Given[] = [];
    if (exact) answers[0] = given(measured, query, exact[n]!, undefined);
    for (let i = 0; i < recalls.length; i++) {
      const at = (i + from + n) % recalls.length;
      if (answers[at]) continue;
      const request = requestOf(measured, query, recalls[at]!);
      const start = performance.now();
      const found = yield* findNearest(request, input);
      answers[at] = given(measured, query, found, performance.now() - start);
    }
    answered.push(compared(answers));
  }
  return answered;
}

function requestOf({ definition, vector, limit }: Measured, { vector: query, key }: RecallQuery, recall: number) {
  const options = { limit: key ? limit + 1 : limit, recall, metric: vector.metric };
  return new NearestRequest(columnIn(definition, vector), query, options);
}

function given({ limit }: Measured, { key: own }: RecallQuery, found: Chosen, ms: number | undefined): Given {
  const { candidates, plan, fallback, rowsRescored, bytesRead } = found;
  const others = own ? candidates.filter(({ key }) => compareKeys(key, own, []) !== 0) : candidates;
  return { candidates: others.slice(0, limit), rest: { plan, fallback, rowsRescored, bytesRead, ms } };
}

function compared(answers: readonly Given[]): Answered[] | undefined {
  const truth = answers[0]!.candidates;
  const farthest = truth.at(-1)?.distance;
  if (farthest === undefined) return undefined;
  return answers.map(({ candidates, rest }) => {
    const within = candidates.filter(({ distance }) => distance <= farthest).length;
    return { recall: within / truth.length, ...rest };
  });
}

/** Mean, its standard error, and the share that nineteen of twenty queries reach. */
export interface RecallMeasured {
  mean: number;
  standardError: number;
  p5: number;
}

export function summaryOf(recalls: readonly number[]): RecallMeasured {
  const mean = recalls.reduce((sum, recall) => sum + recall, 0) / recalls.length;
  const squares = recalls.reduce((sum, recall) => sum + (recall - mean) ** 2, 0);
  const standardError = recalls.length > 1 ? Math.sqrt(squares / (recalls.length - 1) / recalls.length) : 0;
  return { mean, standardError, p5: quantile(recalls, 0.05) };
}

/** The value that this share of all is at most: the nearest rank. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))]!;
}

/** A Drizzle column like the one that is indexed: the database tells what it needs, and the app's schema may not be at hand. */
function columnIn(definition: IndexDefinition, vector: VectorDefinition): AnyVectorColumn {
  const { column, dimensions, element } = vector;
  const { columns: keys, isRowid } = definition.key;
  const parts = Object.fromEntries(
    keys.map((key) => [key, isRowid ? integer(key).primaryKey() : text(key).notNull()] as const),
  );
  const table = sqliteTable(
    definition.table,
    { ...parts, [column]: vectorColumn(column, { dimensions, element }) } as any,
    (own: any) => (isRowid ? [] : [primaryKey({ columns: keys.map((key) => own[key]) as any })]),
  );
  return (table as any)[column];
}
