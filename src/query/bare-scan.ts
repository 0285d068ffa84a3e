import { and, isNotNull, sql } from "drizzle-orm";
import { vectorBytes } from "../codec/codec.ts";
import type { Driver, Page, Row, Selecting, Steps } from "../driver/driver.ts";
import { StoredDimensionsError } from "../errors.ts";
import { type Scorer, scorerFor } from "../kernel/kernel.ts";
import type { Found } from "./found.ts";
import { plainKey } from "./key.ts";
import { isInteger, keyOf, readPart } from "./keyed-table.ts";
import type { NearestRequest } from "./nearest-request.ts";
import { NearestRows } from "./nearest-rows.ts";
import type { Values } from "./search-query.ts";

/**
 * Answers from the table alone: reads every vector that matches, once, and scores it for each request.
 *
 * @param requests - at least one; they differ in their queries alone
 */
export function* bareScan(requests: readonly NearestRequest[], { driver, values }: BareScanInput): Steps<Found[]> {
  const start = performance.now();
  const first = requests[0]!;
  const { offset, limit, maxDistance } = first;
  // A client that answers with promises reads integers as numbers, and would round large ones. Such are read in pages.
  const isRounded = driver.kind === "async";
  const sql = scanSelect(first, driver.handle).toSQL().sql;
  const collations = limit === 0 ? [] : yield* first.collations();
  const scorings = requests.map((request): Scoring => {
    const scorer = scorerFor({ shape: request.shape, metric: request.metric, query: request.query(values) });
    return {
      request,
      scorer,
      nearest: new NearestRows(offset + limit, maxDistance, collations),
      found: {
        plan: "bare scan",
        candidates: [],
        kernel: scorer.kernel,
        sql,
        rowsScanned: 0,
        rowsInDoubt: 0,
        rowsRescored: 0,
        rowsSkipped: { wrongLength: 0, notFinite: 0, notAVector: 0 },
        bytesRead: 0,
        ms: { catchUp: 0, scan: 0, score: 0 },
      },
      wrong: new WrongLengths(vectorBytes(request.shape)),
      keyOf: (row) =>
        keyOf(row, request.keyed, isRounded).map((value, i) => (isText(row, request, i) ? row[i] : value)),
    };
  });
  if (limit > 0) {
    yield {
      type: "scan",
      build: (handle, page) => scanSelect(first, handle, page),
      values,
      batchRows: scorings[0]!.scorer.capacity,
      onRows: (rows) => {
        for (const scoring of scorings) score(rows, scoring);
      },
    };
  }
  for (const scoring of scorings) {
    const { nearest, found, wrong } = scoring;
    if (wrong.first && found.bytesRead === 0) throw storedDimensions(scoring, wrong.first);
    found.candidates = nearest.sorted().slice(offset);
    found.ms.scan = performance.now() - start;
  }
  return scorings.map(({ found }) => found);
}

interface BareScanInput {
  readonly driver: Driver;
  readonly values: Values;
}

/**
 * The select over all vectors, or over one page of them in key order. Nothing is behind a NULL: of keys of text, where SQLite allows many, the
 * pages leave those out.
 */
function scanSelect(request: NearestRequest, db: Selecting, page?: Page) {
  const { keyed, column, where } = request;
  const { key, table } = keyed;
  const fields = Object.fromEntries(
    key.map((part, i) => [`key${i}`, readPart(sql`${part}`, part, page !== undefined)]),
  );
  // Integers come as text, which does not tell them from text: a key of text may stand where the schema declares an integer.
  const types = page && Object.fromEntries(key.map((part, i) => [`type${i}`, sql`typeof(${part})`]));
  const after = page?.after?.slice(0, key.length).map((value, i) => {
    // Without a sign in front SQLite would compare text behind it as numbers.
    return isInteger(key[i]!) && !isText(page.after!, request, i) ? sql`+cast(${value} as integer)` : sql`${value}`;
  });
  const behind = after && sql`(${sql.join([...key], sql`, `)}) > (${sql.join(after, sql`, `)})`;
  const all = db
    .select({ ...fields, vector: sql`${column}`, ...types })
    .from(table)
    .where(and(isNotNull(column), where, behind, ...(page ? key.map((part) => isNotNull(part)) : [])));
  return page ? all.orderBy(...key).limit(page.rows) : all;
}

/** Whether a part of a key is stored as text, in a row of a page. */
function isText(row: Row, { keyed: { key } }: NearestRequest, part: number): boolean {
  return row[key.length + 1 + part] === "text";
}

interface Scoring {
  readonly request: NearestRequest;
  readonly scorer: Scorer;
  readonly nearest: NearestRows;
  readonly found: Found;
  readonly wrong: WrongLengths;
  keyOf(row: Row): Row;
}

function score(rows: readonly Row[], { request, scorer, nearest, found, wrong, keyOf }: Scoring): void {
  const start = performance.now();
  const keyParts = request.keyed.key.length;
  const fitting: Row[] = [];
  const blobs: Uint8Array[] = [];
  for (const row of rows) {
    const blob = blobOf(row[keyParts]);
    if (blob === undefined) found.rowsSkipped.notAVector++;
    else if (wrong.has(blob, row)) found.rowsSkipped.wrongLength++;
    else {
      fitting.push(row);
      blobs.push(blob);
    }
  }
  const distances = scorer.score(blobs);
  for (let i = 0; i < distances.length; i++) {
    const distance = distances[i]!;
    // The distance is finite exactly when the stored vector is.
    if (!Number.isFinite(distance)) found.rowsSkipped.notFinite++;
    else if (distance <= nearest.bound) {
      const key = keyOf(fitting[i]!);
      // A NULL, which SQLite allows in keys without NOT NULL, names no row that could be read again; an index knows none either.
      if (!key.includes(null)) nearest.offer(distance, key);
    }
  }
  found.rowsScanned += rows.length;
  found.bytesRead += blobs.length * wrong.expectedBytes;
  found.ms.score += performance.now() - start;
}

/** No vector that was met had the right length: the rows were written by another model. */
function storedDimensions({ request, found, wrong, keyOf }: Scoring, first: Row): StoredDimensionsError {
  const { dimensions: declared } = request.shape;
  const { wrongLength } = found.rowsSkipped;
  const bytes = blobOf(first[request.keyed.key.length])!.byteLength;
  const dimensions = (bytes / wrong.expectedBytes) * declared;
  const key = plainKey(keyOf(first));
  return new StoredDimensionsError({
    subject: request.label,
    expected: `${declared} dimensions`,
    got: `${Number.isInteger(dimensions) ? `${dimensions} dimensions` : `${bytes} bytes`} in ${wrongLength} of ${found.rowsScanned} rows, the first with key ${keyText(key)}`,
    hint: "The rows were embedded by another model: embed them again, or declare the column with the dimensions they have.",
    count: wrongLength,
    key,
  });
}

/** Vectors of another length than declared: none of them is scored, and the first one is kept for the error. */
class WrongLengths {
  readonly expectedBytes: number;
  first: Row | undefined;

  constructor(expectedBytes: number) {
    this.expectedBytes = expectedBytes;
  }

  has(blob: Uint8Array, row: Row): boolean {
    if (blob.byteLength === this.expectedBytes) return false;
    this.first ??= row;
    return true;
  }
}

/** Text that looks like hex is no vector here: only what the database holds as a blob counts. */
function blobOf(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value;
  return value instanceof ArrayBuffer ? new Uint8Array(value) : undefined;
}

function keyText(key: unknown): string {
  return JSON.stringify(key, (_, value) => (typeof value === "bigint" ? value.toString() : value));
}
