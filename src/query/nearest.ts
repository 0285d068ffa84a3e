import type { SQL } from "drizzle-orm";
import type { SubqueryWithSelection } from "drizzle-orm/sqlite-core";
import { type DbLike, driverOf, type KindOf, type Snapshot, type Steps } from "../driver/driver.ts";
import type { Scorer } from "../kernel/kernel.ts";
import type { Metric, MetricOf } from "../metric/metric.ts";
import type { AnyVectorColumn } from "../schema/vector-column.ts";
import { attach, fetchStep, hitsSelect } from "./fetch.ts";
import { type Chosen, findNearest, reportSkipped } from "./find-nearest.ts";
import type { RowsSkipped } from "./found.ts";
import type { DefaultRow, ElementOf, FieldOf, Flat, KeyColumns, Selected, VectorQuery } from "./hit.ts";
import { hitsSubquery, type RankedColumn } from "./hits-subquery.ts";
import { NearestRequest } from "./nearest-request.ts";
import { SearchQuery, type SubqueryOf, type Values } from "./search-query.ts";

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
  /**
   * Share of the true nearest rows to find, on average over queries, 0.5..1; default what `tune` or `storeRecall` has stored for
   * the column, else 1, exact. Less is answered from 1-bit codes, and faster. A bare column is always answered exactly.
   */
  recall?: number;
  /**
   * Whether to throw where the column's index is missing, detached or damaged, instead of reading every row, which is as right and
   * slower; default `false`.
   */
  strict?: boolean;
}

/** One row found: the selected fields and its distance in the metric's own range, smaller is nearer. */
export type NearestHit<TDb, TColumn extends AnyVectorColumn, TSelect = undefined> = Flat<
  (TSelect extends undefined ? DefaultRow<TDb, TColumn["_"]["tableName"]> : Selected<TSelect>) & { $distance: number }
>;

/** How a search went. Times are milliseconds. */
export interface NearestExplain {
  /**
   * `bare scan`: every row that matches `where` is read and scored. `certified scan`: codes in memory rule out all rows but
   * a few, which are read and scored; the answer is the same. `1-bit scan`: the codes are those of 1 bit and the rows those that
   * are likely enough among the nearest; the answer has the `recall` asked for.
   */
  plan: "bare scan" | "certified scan" | "1-bit scan";
  /** The search index the column belongs to, by the database or else by the schema, or null. */
  index: string | null;
  /** Why that index was not asked; null where it was, there is none, `limit` is 0 and nothing is, or on libSQL, whose tables answer always. */
  fallback: string | null;
  /** The share of the true nearest rows that was asked for: by the query, else as stored for the column, else 1. */
  recall: number;
  metric: Metric;
  kernel: Scorer["kernel"];
  /** The statement that reads the vectors that are scored. */
  sql: string;
  /** The statement that reads the rows of the hits. */
  fetchSql: string;
  /**
   * Rows with a vector that matched `where`. Where an index answers under a condition by asking the nearest rows by code whether
   * they match, nobody counts those: then the rows that were asked.
   */
  rowsScanned: number;
  /** Of those, rows that their codes alone did not rule out; 0 in a bare scan, which has no codes. */
  rowsInDoubt: number;
  /** Of those, rows whose vectors were read: the best ruled out the others. */
  rowsRescored: number;
  /** Of the rows scanned, those left out because their vector cannot be compared. */
  rowsSkipped: RowsSkipped;
  /** Bytes of vectors scored and codes scanned. */
  bytesRead: number;
  hits: number;
  /**
   * `catchUp`: bringing the codes up to date, the first time making them. `scan`: a bare scan, or that of the codes with the
   * reading of what matches `where`. `score`: distances in float64, which a bare scan includes.
   */
  ms: { catchUp: number; scan: number; score: number; fetch: number; total: number };
}

export interface NearestSubquery<TDb, TColumn extends AnyVectorColumn, TSelect> extends SubqueryOf {
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
 * A column without an index is read once, every vector that matches `where`, in one read snapshot, inside a transaction with
 * its own writes; memory does not grow with the table. A column of a `searchIndex` is answered from codes in memory, a
 * quarter of its size, that follow every write; answers are the same to the last tie. `explain` tells which it was.
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
 * @throws {IndexMissingError | IndexDetachedError | IndexDamagedError | IndexFormatError} with `strict` alone
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
  const request = new NearestRequest(column, query, options);

  function* find(values: Values, snapshot: Snapshot): Steps<Chosen> {
    const found = yield* findNearest(request, { driver, values, snapshot });
    reportSkipped(request, found, driver.connection);
    return found;
  }

  function* hitsOf({ candidates }: Chosen, values: Values): Steps<NearestHit<TDb, TColumn, TSelect>[]> {
    if (candidates.length === 0) return [];
    const rows = yield fetchStep(request.keyed, request.fields, candidates, values);
    const hits = attach(rows, candidates, ({ distance }) => ({ $distance: distance }));
    return hits as NearestHit<TDb, TColumn, TSelect>[];
  }

  return new SearchQuery({
    driver,
    *hits(values, snapshot) {
      return yield* hitsOf(yield* find(values, snapshot), values);
    },
    *answer(values, snapshot) {
      const start = performance.now();
      const found = yield* find(values, snapshot);
      const fetchStart = performance.now();
      const hits = yield* hitsOf(found, values);
      const end = performance.now();
      const { candidates, ms, ...how } = found;
      return {
        hits,
        explain: {
          ...how,
          metric: request.metric,
          fetchSql: hitsSelect(driver.handle, request.keyed, request.fields, candidates).toSQL().sql,
          hits: hits.length,
          ms: { ...ms, fetch: end - fetchStart, total: end - start },
        },
      };
    },
    *freeze(alias, snapshot) {
      const { candidates } = yield* find({}, snapshot);
      const hits = candidates.map(({ key, distance }) => ({ key, measure: distance }));
      return hitsSubquery(driver.handle, request.keyed, alias, "distance", request.fields, hits);
    },
  });
}
