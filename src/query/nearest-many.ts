import { describe } from "../codec/codec.ts";
import { type DbLike, driverOf, type KindOf, type Snapshot, type Steps } from "../driver/driver.ts";
import { InvalidOptionError } from "../errors.ts";
import type { AnyVectorColumn } from "../schema/vector-column.ts";
import { attach, fetchStep, hitsSelect, RANK } from "./fetch.ts";
import { type Chosen, findNearestMany, reportSkipped } from "./find-nearest.ts";
import type { ElementOf, FieldOf, VectorQuery } from "./hit.ts";
import type { NearestExplain, NearestHit, NearestOptions } from "./nearest.ts";
import { NearestRequest } from "./nearest-request.ts";
import type { Candidate } from "./nearest-rows.ts";
import { SearchQuery, type Values } from "./search-query.ts";

/**
 * Rows of hits that are read by one statement, or those of one query: fewer of them cost as little each, and while they are read threads
 * scan for the queries that follow.
 */
const FETCHED_HITS = 100;

/** How each of the searches went, in the order of the queries; `fetch` and `total` are those of all. */
export type NearestManyExplain = NearestExplain[];

/** Several searches in one; see `SearchQuery`. One list of hits a query; there is no `as`, and `get` gives the first list. */
export type NearestManyQuery<TDb extends DbLike, TColumn extends AnyVectorColumn, TSelect = undefined> = Omit<
  SearchQuery<NearestHit<TDb, TColumn, TSelect>[], NearestManyExplain, never, KindOf<TDb>>,
  "as"
>;

/**
 * `nearest` for many queries: the same answers, from one snapshot. The rows of the hits of many queries are read by one statement, so
 * that a query costs less than alone.
 *
 * SQL: as that of `nearest`; the statements that read rows of hits read those of several queries.
 *
 * @param queries - each as `nearest` takes it; none gives no lists
 * @param options - those of `nearest`, for all queries
 * @returns one list of hits a query, in the order of the queries, to await or to call `.all()`, `.explain()`, `.prepare()` on
 * @throws {InvalidOptionError} when `queries` is no array; and whatever `nearest` throws, for the first query that it throws for, which is named `queries[i]`
 * @example const [first, second] = await nearestMany(db, docs.embedding, [a, b], { limit: 5 });
 */
export function nearestMany<
  TDb extends DbLike,
  TColumn extends AnyVectorColumn,
  TSelect extends Record<string, FieldOf<TColumn["_"]["tableName"]>> | undefined = undefined,
>(
  db: TDb,
  column: TColumn,
  queries: readonly VectorQuery<ElementOf<TColumn>>[],
  options?: NearestOptions<TColumn, TSelect>,
): NearestManyQuery<TDb, TColumn, TSelect> {
  const driver = driverOf(db);
  if (!Array.isArray(queries)) {
    throw new InvalidOptionError({ subject: "queries", expected: "an array of vectors", got: describe(queries) });
  }
  const requests = queries.map((query, i) => new NearestRequest(column, query, options, `queries[${i}]`));

  function* answerAll(values: Values, snapshot: Snapshot): Steps<Answered<NearestHit<TDb, TColumn, TSelect>>> {
    const hits: unknown[][] = requests.map(() => []);
    let waiting: Waiting[] = [];
    let fetchMs = 0;

    function* fetchWaiting(): Steps<void> {
      const start = performance.now();
      const { keyed, fields } = requests[0]!;
      const rows: Record<string, unknown>[] = yield fetchStep(keyed, fields, waiting, values);
      attach(rows, waiting, ({ distance }) => ({ $distance: distance })).forEach((hit, i) => {
        hits[waiting[Number(rows[i]![RANK])]!.query]!.push(hit);
      });
      waiting = [];
      fetchMs += performance.now() - start;
    }

    const found = yield* findNearestMany(requests, { driver, values, snapshot }, function* (query, { candidates }) {
      for (const candidate of candidates) waiting.push({ ...candidate, query });
      if (waiting.length >= FETCHED_HITS) yield* fetchWaiting();
    });
    if (requests[0]) reportSkipped(requests[0], found[0]!, driver.connection);
    if (waiting.length > 0) yield* fetchWaiting();
    return { found, hits: hits as NearestHit<TDb, TColumn, TSelect>[][], fetchMs };
  }

  return new SearchQuery({
    driver,
    *hits(values, snapshot) {
      return (yield* answerAll(values, snapshot)).hits;
    },
    *answer(values, snapshot) {
      const start = performance.now();
      const { found, hits, fetchMs } = yield* answerAll(values, snapshot);
      const total = performance.now() - start;
      const candidates = found.flatMap((one) => one.candidates);
      const { keyed, fields } = requests[0] ?? {};
      const fetchSql = requests[0] ? hitsSelect(driver.handle, keyed!, fields!, candidates).toSQL().sql : "";
      return {
        hits,
        explain: found.map(({ candidates: _, ms, ...how }, query) => ({
          ...how,
          metric: requests[query]!.metric,
          fetchSql,
          hits: hits[query]!.length,
          ms: { ...ms, fetch: fetchMs, total },
        })),
      };
    },
    // biome-ignore lint/correctness/useYield: there is nothing to ask.
    *freeze() {
      throw new InvalidOptionError({
        subject: "nearestMany",
        expected: "one query to freeze as a subquery",
        got: `${requests.length} queries`,
        hint: "Use nearest(...).as(...) for each.",
      });
    },
  });
}

/** A row whose other columns are still to be read. */
interface Waiting extends Candidate {
  readonly query: number;
}

interface Answered<THit> {
  readonly found: readonly Chosen[];
  readonly hits: THit[][];
  readonly fetchMs: number;
}
