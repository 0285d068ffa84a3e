import { describe } from "../codec/codec.ts";
import { type DbLike, driverOf, type KindOf, type Snapshot, type Steps } from "../driver/driver.ts";
import { InvalidOptionError } from "../errors.ts";
import type { AnyVectorColumn } from "../schema/vector-column.ts";
import { attach, fetchStep, hitsSelect, RANK } from "./fetch.ts";
import { type Chosen, findNearestMany, reportSkipped } from "./find-nearest.ts";
import type { ElementOf, FieldOf, VectorQuery } from "./hit.ts";
import type { NearestExplain, NearestHit, NearestOptions } from "./nearest.ts";
import { NearestRequest } from "./nearest-request.ts";
import { SearchQuery, type Values } from "./search-query.ts";

/** How each of the searches went, in the order of the queries; `fetch` and `total` are those of all. */
export type NearestManyExplain = NearestExplain[];

/** Several searches in one; see `SearchQuery`. One list of hits a query; there is no `as`, and `get` gives the first list. */
export type NearestManyQuery<TDb extends DbLike, TColumn extends AnyVectorColumn, TSelect = undefined> = Omit<
  SearchQuery<NearestHit<TDb, TColumn, TSelect>[], NearestManyExplain, never, KindOf<TDb>>,
  "as"
>;

/**
 * `nearest` for many queries: the same answers, from one snapshot. The rows of all hits are read by one statement, so that a
 * query costs less than alone.
 *
 * SQL: as that of `nearest`; the last statement reads the rows of the hits of all queries.
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

  function* find(values: Values, snapshot: Snapshot): Steps<Chosen[]> {
    const found = yield* findNearestMany(requests, { db, driver, values, snapshot });
    if (requests[0]) reportSkipped(requests[0], found[0]!, driver.connection);
    return found;
  }

  /** The rows of all hits, by one statement. */
  function* hitsOf(found: readonly Chosen[], values: Values): Steps<NearestHit<TDb, TColumn, TSelect>[][]> {
    const candidates = found.flatMap((one) => one.candidates);
    const hits: unknown[][] = requests.map(() => []);
    if (candidates.length > 0) {
      const queryOf = found.flatMap((one, query) => one.candidates.map(() => query));
      const { keyed, fields } = requests[0]!;
      const rows: Record<string, unknown>[] = yield fetchStep(keyed, fields, candidates, values);
      attach(rows, candidates, ({ distance }) => ({ $distance: distance })).forEach((hit, i) => {
        hits[queryOf[Number(rows[i]![RANK])]!]!.push(hit);
      });
    }
    return hits as NearestHit<TDb, TColumn, TSelect>[][];
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
      const candidates = found.flatMap((one) => one.candidates);
      const { keyed, fields } = requests[0] ?? {};
      const fetchSql = requests[0] ? hitsSelect(db, keyed!, fields!, candidates).toSQL().sql : "";
      return {
        hits,
        explain: found.map(({ candidates: _, ms, ...how }, query) => ({
          ...how,
          metric: requests[query]!.metric,
          fetchSql,
          hits: hits[query]!.length,
          ms: { ...ms, fetch: end - fetchStart, total: end - start },
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
