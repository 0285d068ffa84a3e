import { and, isNotNull, type SQL, sql } from "drizzle-orm";
import type { SubqueryWithSelection } from "drizzle-orm/sqlite-core";
import { attachmentOfVector, attachmentsOf } from "../change/attachment.ts";
import { type Element, vectorBytes } from "../codec/codec.ts";
import { casingOf } from "../driver/casing.ts";
import {
  type DbLike,
  type Driver,
  driverOf,
  type KindOf,
  type Page,
  type Row,
  type Snapshot,
  type Steps,
} from "../driver/driver.ts";
import { report, reportOnce } from "../driver/events.ts";
import { StoredDimensionsError } from "../errors.ts";
import { type Scorer, scorerFor } from "../kernel/kernel.ts";
import { checkMetric, type Metric, type MetricOf } from "../metric/metric.ts";
import { columnName } from "../migration/definition.ts";
import { type AnyVectorColumn, columnLabel, configOf } from "../schema/vector-column.ts";
import { attach, fetchStep, fieldsOf, hitsSelect } from "./fetch.ts";
import type { DefaultRow, ElementOf, FieldOf, Flat, KeyColumns, Selected, VectorQuery } from "./hit.ts";
import { hitsSubquery, type RankedColumn } from "./hits-subquery.ts";
import { type Collation, plainKey } from "./key.ts";
import { tableOfVector } from "./keyed-table.ts";
import { type Candidate, NearestRows } from "./nearest-rows.ts";
import { condition, isPlaceholder, knownOptions, LIMIT_DEFAULT, numberWithin, wholeNumber } from "./options.ts";
import { SearchQuery, type SubqueryOf, type Values } from "./search-query.ts";
import { encodeQuery } from "./vector-query.ts";

export interface NearestOptions<TColumn extends AnyVectorColumn, TSelect> {
  /** Which fields a hit has, as in `db.select({...})`; default all columns but vectors. */
  select?: TSelect;
  /** Any Drizzle condition on the table, subqueries on others included. `limit` rows come back whenever that many match. */
  where?: SQL | undefined;
  /** Most hits, a whole number from 0 up; default 10. */
  limit?: number;
  /** Hits to leave out at the start, a whole number from 0 up; default 0. */
  offset?: number;
  /** Hits farther than this are left out; in the metric's own range. Default none. */
  maxDistance?: number;
  /** Default what the column's `searchIndex` declares, else `cosine`; `hamming` for `bit`, which has no other. */
  metric?: MetricOf<ElementOf<TColumn>>;
  /** Share of the true nearest rows to find, 0.5..1; default 1, exact. A bare column is always answered exactly. */
  recall?: number;
}

const OPTIONS = ["select", "where", "limit", "offset", "maxDistance", "metric", "recall"] as const;

/** One row found: the selected fields and its distance in the metric's own range, smaller is nearer. */
export type NearestHit<TDb, TColumn extends AnyVectorColumn, TSelect> = Flat<
  (TSelect extends undefined ? DefaultRow<TDb, TColumn["_"]["tableName"]> : Selected<TSelect>) & { $distance: number }
>;

/** How a search went. Times are milliseconds. */
export interface NearestExplain {
  /** `bare scan`: every row that matches `where` is read and scored. */
  plan: "bare scan";
  /** The search index the column belongs to, or null. */
  index: string | null;
  /** Why that index was not asked, or null where there is none or nothing is wrong with it. */
  fallback: string | null;
  metric: Metric;
  kernel: Scorer["kernel"];
  /** The statement that reads the vectors. */
  sql: string;
  /** The statement that reads the rows of the hits. */
  fetchSql: string;
  /** Rows with a vector that matched `where`. */
  rowsScanned: number;
  /** Of those, rows left out because their vector cannot be compared. */
  rowsSkipped: { wrongLength: number; notFinite: number; notAVector: number };
  /** Bytes of vectors scored. */
  bytesRead: number;
  hits: number;
  ms: { scan: number; score: number; fetch: number; total: number };
}

interface NearestSubquery<TDb, TColumn extends AnyVectorColumn, TSelect> extends SubqueryOf {
  readonly type: SubqueryWithSelection<
    KeyColumns<TDb, TColumn["_"]["tableName"], TSelect> & {
      rank: RankedColumn<"rank">;
      distance: RankedColumn<"distance">;
    },
    this["alias"]
  >;
}

/** A search for the nearest rows; see `SearchQuery` for what it can do. */
export type NearestQuery<TDb extends DbLike, TColumn extends AnyVectorColumn, TSelect = undefined> = SearchQuery<
  NearestHit<TDb, TColumn, TSelect>,
  NearestExplain,
  NearestSubquery<TDb, TColumn, TSelect>,
  KindOf<TDb>
>;

/**
 * Finds the rows whose vectors lie nearest to `query`, nearest first; ties in the order of the primary key. Exact: distances
 * are computed in float64 and equal `distance(column, query)` to the last bit. Rows with a NULL vector never match; a stored
 * zero vector has cosine distance 1; rows whose bytes are no vector of the column are left out, counted in `explain` and
 * reported to `configure`'s `onEvent`.
 *
 * Reads every vector that matches `where` once, in one read snapshot, inside a transaction with its own writes; memory does
 * not grow with the table.
 *
 * SQL: `select "id", "embedding" from "docs" where "embedding" is not null and …`, then the rows of the hits by key.
 *
 * @param db - a Drizzle database or transaction on better-sqlite3 (answers at once) or libSQL (promises)
 * @param column - a `vectorColumn` of a table or of its `alias`
 * @param query - `dimensions` numbers, or `sql.placeholder("name")`; need not be of unit length; converted as if stored; not kept
 * @returns a query to await, or to call `.all()`, `.get()`, `.explain()`, `.prepare()`, `.as("hits")` on
 * @throws {DimensionMismatchError | VectorValueError} when `query` does not fit the column
 * @throws {ZeroQueryError} when `query` is all zeros under cosine
 * @throws {StoredDimensionsError} when every vector met has another length than the column declares
 * @throws {InvalidOptionError | MetricError | UnsupportedColumnError | UnsupportedKeyError | UnsupportedDriverError}
 * @example await nearest(db, docs.embedding, query, { where: eq(docs.course, "ml"), limit: 5 });
 */
export function nearest<
  TDb extends DbLike,
  TColumn extends AnyVectorColumn,
  TSelect extends Record<string, FieldOf<TColumn["_"]["tableName"]>> | undefined = undefined,
>(
  db: TDb,
  column: TColumn,
  query: VectorQuery<ElementOf<TColumn>>,
  options?: NearestOptions<TColumn, TSelect>,
): NearestQuery<TDb, TColumn, TSelect> {
  const driver = driverOf(db);
  const search = new BareSearch(column, query, options);

  return new SearchQuery({
    driver,
    *answer(values, snapshot) {
      const start = performance.now();
      const use = yield* indexUse(db, driver, column, snapshot);
      const found = yield* search.find(values, driver.connection);
      const fetchStart = performance.now();
      const rows = found.candidates.length === 0 ? [] : yield fetchStep(search.keyed, search.fields, found.candidates);
      const hits = attach(rows, found.candidates, ({ distance }) => ({ $distance: distance }));
      const end = performance.now();
      return {
        hits: hits as NearestHit<TDb, TColumn, TSelect>[],
        explain: {
          plan: "bare scan",
          ...use,
          metric: search.metric,
          kernel: found.kernel,
          sql: search.scanSelect(db).toSQL().sql,
          fetchSql: hitsSelect(db, search.keyed, search.fields, found.candidates).toSQL().sql,
          rowsScanned: found.rowsScanned,
          rowsSkipped: found.rowsSkipped,
          bytesRead: found.bytesRead,
          hits: hits.length,
          ms: { scan: fetchStart - start, score: found.scoreMs, fetch: end - fetchStart, total: end - start },
        },
      };
    },
    *freeze(alias) {
      const { candidates } = yield* search.find({}, driver.connection);
      const hits = candidates.map(({ key, distance }) => ({ key, measure: distance }));
      return hitsSubquery(db, search.keyed, alias, "distance", search.fields, hits);
    },
  });
}

/** The index of a column and whether it follows every write. It is no help to a bare scan; but a broken one has to be told of. */
function* indexUse(
  db: DbLike,
  driver: Driver,
  column: AnyVectorColumn,
  snapshot: Snapshot,
): Steps<Pick<NearestExplain, "index" | "fallback">> {
  const attachments = yield* attachmentsOf(driver, snapshot);
  const table = tableOfVector(column).name;
  const attachment = attachmentOfVector(attachments, table, columnName(column, casingOf(db)));
  if (!attachment) return { index: null, fallback: null };
  const { name, problems } = attachment;
  if (problems.length === 0) return { index: name, fallback: null };
  const fallback = problems.map(({ message }) => message).join("; ");
  reportOnce(driver.connection, {
    code: "FALLBACK",
    index: name,
    message: `index ${name} may have missed writes, every row is read instead: ${fallback}`,
    hint: `Run "drizzle-vector rebuild ${name}" to repair this database, and "drizzle-vector generate" to repair the migrations.`,
  });
  return { index: name, fallback };
}

interface Found {
  candidates: Candidate[];
  kernel: Scorer["kernel"];
  rowsScanned: number;
  rowsSkipped: NearestExplain["rowsSkipped"];
  bytesRead: number;
  scoreMs: number;
}

/** A search over a column without an index, its arguments checked: reads every vector that matches. */
class BareSearch {
  readonly keyed;
  readonly fields;
  readonly metric: Metric;
  readonly #column: AnyVectorColumn;
  readonly #label: string;
  readonly #shape: { dimensions: number; element: Element; metric?: Metric };
  readonly #query: (values: Values) => Uint8Array;
  readonly #where: SQL | undefined;
  readonly #limit: number;
  readonly #offset: number;
  readonly #maxDistance: number;

  constructor(column: AnyVectorColumn, query: unknown, given: unknown) {
    this.keyed = tableOfVector(column);
    this.#column = column;
    this.#label = columnLabel(column);
    this.#shape = configOf(column)!;
    const options = knownOptions<NearestOptions<AnyVectorColumn, unknown>>(given, "nearest", OPTIONS);
    this.metric = checkMetric(
      options.metric === undefined ? this.#shape.metric : options.metric,
      this.#shape.element,
      this.#label,
    );
    this.#where = condition(options.where);
    this.#limit = wholeNumber(options.limit, "limit", LIMIT_DEFAULT);
    this.#offset = wholeNumber(options.offset, "offset", 0);
    const { POSITIVE_INFINITY: any, NEGATIVE_INFINITY } = Number;
    this.#maxDistance = numberWithin(options.maxDistance, "maxDistance", NEGATIVE_INFINITY, any, any);
    numberWithin(options.recall, "recall", 0.5, 1, 1);
    this.fields = fieldsOf(this.keyed, options.select, ["$distance"]);
    if (isPlaceholder(query)) {
      this.#query = (values) => this.#encode(values[query.name]);
    } else {
      const encoded = this.#encode(query);
      this.#query = () => encoded;
    }
  }

  /** The select over all vectors, or over one page of them in key order. */
  scanSelect(db: DbLike, page?: Page) {
    const { table, key } = this.keyed;
    // A client that reads integers as numbers would round large keys: a page carries them as text.
    const keyField = (part: (typeof key)[number]) =>
      page && isInteger(part) ? sql`cast(${part} as text)` : sql`${part}`;
    const fields = Object.fromEntries(key.map((part, i) => [`key${i}`, keyField(part)]));
    const after =
      page?.after &&
      key.map((part, i) => (isInteger(part) ? sql`cast(${page.after![i]} as integer)` : sql`${page.after![i]}`));
    const behind = after && sql`(${sql.join([...key], sql`, `)}) > (${sql.join(after, sql`, `)})`;
    const all = db
      .select({ ...fields, vector: sql`${this.#column}` })
      .from(table)
      .where(and(isNotNull(this.#column), this.#where, behind));
    return page ? all.orderBy(...key).limit(page.rows) : all;
  }

  /** The nearest rows of the snapshot, from `offset` on, nearest first. */
  *find(values: Values, connection: object): Steps<Found> {
    const query = this.#query(values);
    const scorer = scorerFor({ shape: this.#shape, metric: this.metric, query });
    const found: Found = {
      candidates: [],
      kernel: scorer.kernel,
      rowsScanned: 0,
      rowsSkipped: { wrongLength: 0, notFinite: 0, notAVector: 0 },
      bytesRead: 0,
      scoreMs: 0,
    };
    if (this.#limit === 0) return found;
    const nearest = new NearestRows(this.#offset + this.#limit, this.#maxDistance, yield* this.#collations());
    const wrong = new WrongLengths(vectorBytes(this.#shape));
    yield {
      type: "scan",
      build: (db, page) => this.scanSelect(db, page),
      values,
      batchRows: scorer.capacity,
      onRows: (rows) => this.#score(rows, scorer, nearest, found, wrong),
    };
    this.#judge(found, wrong, connection);
    found.candidates = nearest.sorted().slice(this.#offset);
    return found;
  }

  #score(rows: readonly Row[], scorer: Scorer, nearest: NearestRows, found: Found, wrong: WrongLengths): void {
    const start = performance.now();
    const keyParts = this.keyed.key.length;
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
      else if (distance <= nearest.bound) nearest.offer(distance, this.#keyOf(fitting[i]!));
    }
    found.rowsScanned += rows.length;
    found.bytesRead += blobs.length * wrong.expectedBytes;
    found.scoreMs += performance.now() - start;
  }

  #keyOf(row: Row): Row {
    return this.keyed.key.map((part, i) => (isInteger(part) && typeof row[i] === "string" ? BigInt(row[i]) : row[i]));
  }

  /** Throws when no vector had the right length, reports when some had not. */
  #judge(found: Found, wrong: WrongLengths, connection: object): void {
    const { wrongLength, notFinite, notAVector } = found.rowsSkipped;
    const skipped = wrongLength + notFinite + notAVector;
    if (wrong.first && found.bytesRead === 0) {
      const bytes = blobOf(wrong.first[this.keyed.key.length])!.byteLength;
      const dimensions = (bytes / wrong.expectedBytes) * this.#shape.dimensions;
      const key = plainKey(this.#keyOf(wrong.first));
      throw new StoredDimensionsError({
        subject: this.#label,
        expected: `${this.#shape.dimensions} dimensions`,
        got: `${Number.isInteger(dimensions) ? `${dimensions} dimensions` : `${bytes} bytes`} in ${wrongLength} of ${found.rowsScanned} rows, the first with key ${keyText(key)}`,
        hint: "The rows were embedded by another model: embed them again, or declare the column with the dimensions they have.",
        count: wrongLength,
        key,
      });
    }
    if (skipped > 0) {
      report(connection, {
        code: "ROWS_SKIPPED",
        index: null,
        message: `${this.#label}: ${skipped} of ${found.rowsScanned} rows were left out: ${wrongLength} of another length, ${notFinite} with NaN or infinity, ${notAVector} that are no blob`,
        hint: "Write vectors through the column, which checks them, and embed the rows left out again.",
      });
    }
  }

  *#collations(): Steps<Collation[]> {
    const { key, name } = this.keyed;
    if (key.every(isInteger)) return [];
    const rows: Row[] = yield {
      type: "rows",
      sql: `select x.coll from pragma_index_list(?) l, pragma_index_xinfo(l.name) x where l.origin = 'pk' and x."key" = 1 order by x.seqno`,
      params: [name],
    };
    return rows.map(([collation]) => String(collation).toUpperCase());
  }

  #encode(query: unknown): Uint8Array {
    return encodeQuery(query, this.#shape, this.metric, this.#label);
  }
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

function isInteger(column: { getSQLType(): string }): boolean {
  return column.getSQLType().toLowerCase().startsWith("integer");
}

function keyText(key: unknown): string {
  return JSON.stringify(key, (_, value) => (typeof value === "bigint" ? value.toString() : value));
}
