import { describe, type Element } from "../codec/codec.ts";
import { type DbLike, type Driver, driverOf, type Steps } from "../driver/driver.ts";
import { InvalidOptionError, UnsupportedDriverError } from "../errors.ts";
import type { VectorDefinition } from "../migration/definition.ts";
import { storedRecallIn } from "../migration/settings.ts";
import { identifier } from "../migration/sql-text.ts";
import { copied } from "../query/as-given.ts";
import type { VectorInput } from "../query/hit.ts";
import { LIMIT_DEFAULT, numberWithin, wholeNumber } from "../query/options.ts";
import { encodeQuery } from "../query/vector-query.ts";
import { REGISTRY } from "../schema/names.ts";
import {
  type Answered,
  answerAll,
  drawQueries,
  type Measured,
  queriesOfSlice,
  type RecallQuery,
  readyColumn,
} from "./recall.ts";
import { type LongWorkOptions, longWorkOptions, pause, SLICE_MS } from "./slices.ts";
import { type ColumnOf, keepRecall } from "./store-recall.ts";
import { execute, type IndexOrName, recordedIndex, type Target, targetOf } from "./target.ts";
import { recommended, settingOf, type TuneRecommendation, type TuneSetting } from "./tune-setting.ts";
import { chosenVector } from "./vector-choice.ts";

export interface TuneOptions<TColumn extends string = string> extends LongWorkOptions {
  /** The vector column, by its key in the schema or its name in the database; needed where the index has several. */
  column?: TColumn;
  /** Hits a query asks for, a whole number from 1 up; default 10. */
  limit?: number;
  /** Share of the true nearest rows that is wanted, on average over queries, 0.5..1; default 0.95. */
  recall?: number;
  /** What is measured beside exact search and `recall`, each 0.5..1; default 0.99, 0.98, 0.95, 0.9, 0.8. */
  recalls?: readonly number[];
  /**
   * Queries as your app asks them, each as `nearest` takes it; or how many rows are drawn in their place: a whole number from
   * 2 up, default 200, and 50 for a column with `exact: false`, whose exact answers need the whole table.
   */
  queries?: number | readonly VectorInput<Element>[];
  /** Of the draw, a whole number; default 1. The same seed draws the same rows. */
  seed?: number;
  /** Whether what is recommended becomes what `nearest` goes by where a query names no recall; default `false`. */
  store?: boolean;
}

/** What `tune` has measured. Plain data, fit for JSON. */
export interface TuneReport {
  index: string;
  /** The vector column, as the database calls it. */
  column: string;
  /** Rows with a vector. */
  rows: number;
  limit: number;
  /** What was asked for. */
  recall: number;
  queries: {
    count: number;
    /** `rows`: drawn from the table, each left out of its own truth and answers. `given`: your own. */
    from: "rows" | "given";
    /** Null for given queries. */
    seed: number | null;
  };
  /** The exact search first, then by falling recall. */
  settings: TuneSetting[];
  /** The fastest setting that found what was asked for. */
  recommendation: TuneRecommendation;
  /** What `nearest` now goes by where a query names no recall; null: 1, exact. */
  stored: number | null;
  ms: number;
}

const RECALL_DEFAULT = 0.95;
const RECALLS_DEFAULT = [0.99, 0.98, 0.95, 0.9, 0.8];
const QUERIES_DEFAULT = 200;
const QUERIES_WITHOUT_CODES = 50;
/** Queries that are answered one by one, whatever their exact answers are read from. */
const TIMED_QUERIES = 5;
const OPTIONS = [
  "column",
  "limit",
  "recall",
  "recalls",
  "queries",
  "seed",
  "store",
  "onProgress",
  "signal",
] as const satisfies readonly (keyof TuneOptions)[];
/**
 * Measures what a `recall` delivers and costs on your own rows: for exact search and a ladder of recalls the share of the true
 * nearest rows that is found, the time, and what is read; and recommends the cheapest that delivers what you ask for, or exact
 * search where that is as fast.
 *
 * Queries are yours, or rows drawn with equal chance. A row finds itself whatever the codes, so it is left out of the truth and of
 * the answers. Rows stand for queries that look like rows; where yours do not, as questions beside passages, give some hundred
 * of them. Every setting answers every query in turn, in one snapshot, after a first round that does not count.
 *
 * Reads only, unless `store` is set. Takes queries times the sum of all settings' times: seconds at 100,000 × 384. One query with
 * all settings is one slice: for so long the event loop waits. With `exact: false` it is eight, whose exact answers come by one
 * reading of the table; how long such an answer takes is measured on the first five.
 *
 * @param index - a declaration or a name; the recorded definition counts
 * @throws {IndexMissingError | IndexFormatError} when the database does not record the index, or a newer version made it
 * @throws {IndexDetachedError} when a trigger or table of it is missing: `rebuild` repairs it
 * @throws {CodesMissingError} when the column's codes do not fit into memory and have not been written: `optimize` does
 * @throws {TooFewRowsError} when the table has no more than `limit` vectors
 * @throws {DimensionMismatchError | VectorValueError | ZeroQueryError} for a query that does not fit the column, `queries[3]`
 * @throws {ReadOnlyError} when something is to be stored and the database cannot be written; before anything is measured
 * @throws {InvalidOptionError | UnsupportedDriverError}
 * @example const { recommendation } = await tune(db, docsSearch, { recall: 0.98, store: true });
 */
export async function tune<TIndex extends IndexOrName>(
  db: DbLike,
  index: TIndex,
  options: TuneOptions<ColumnOf<TIndex>> = {},
): Promise<TuneReport> {
  return tuneNaming(db, index, options, (at) => `queries[${at}]`);
}

/** `tune`, with a say in what a query is called in errors: by the line of its file. */
export async function tuneNaming(
  db: DbLike,
  index: IndexOrName,
  given: TuneOptions,
  nameOf: (query: number) => string,
): Promise<TuneReport> {
  const start = performance.now();
  const driver = driverOf(db);
  const target = targetOf(db, index);
  const asked = checked(given);
  asked.signal?.throwIfAborted();
  if (driver.kind === "async") {
    throw new UnsupportedDriverError({
      subject: "db",
      expected: "a Drizzle database on better-sqlite3",
      got: driver.name,
      hint: "On libSQL nearest reads the table, exactly; there is nothing to tune.",
    });
  }
  // Whether it can be stored shows before the work is done.
  if (asked.store) await driver.write(() => canStore(target, index, asked));
  const measured = await driver.run(function* (): Steps<Measured> {
    const { definition, vector } = yield* vectorOf(target, index, asked);
    return { driver, definition, vector, limit: asked.limit };
  });
  const { vector } = measured;
  const own = ownQueries(asked.queries, measured, nameOf);
  const { rows, queries } = await driver.run(function* (snapshot) {
    const column = yield* readyColumn(measured, snapshot);
    const most = vector.exact ? QUERIES_DEFAULT : QUERIES_WITHOUT_CODES;
    const count = typeof asked.queries === "number" ? asked.queries : own ? 0 : most;
    const drawn = yield* drawQueries(measured, column, { count, seed: asked.seed });
    return { rows: drawn.rows, queries: own ?? drawn.queries };
  });
  const settings = await measureAll(measured, queries, asked);
  const recommendation = recommended(settings, asked.recall);
  const stored = asked.store
    ? await keep(driver, target, vector, { recall: recommendation.recall, asked: asked.recall })
    : await driver.run(() => storedNow(target, vector));
  return {
    index: measured.definition.name,
    column: vector.column,
    rows,
    limit: asked.limit,
    recall: asked.recall,
    queries: { count: queries.length, from: own ? "given" : "rows", seed: own ? null : asked.seed },
    settings,
    recommendation,
    stored,
    ms: performance.now() - start,
  };
}

interface Asked extends LongWorkOptions {
  readonly column: unknown;
  readonly limit: number;
  readonly recall: number;
  /** 1 first, then falling, none twice. */
  readonly recalls: readonly number[];
  readonly queries: number | readonly unknown[] | undefined;
  readonly seed: number;
  readonly store: boolean;
}

function checked(given: TuneOptions): Asked {
  const { column, onProgress, signal, ...options } = longWorkOptions<TuneOptions>(given, "tune", OPTIONS);
  const limit = wholeNumber(options.limit, "limit", LIMIT_DEFAULT);
  if (limit === 0) throw new InvalidOptionError({ subject: "limit", expected: "a hit or more", got: "0" });
  const recall = numberWithin(options.recall, "recall", 0.5, 1, RECALL_DEFAULT);
  const { recalls = RECALLS_DEFAULT, store = false, queries } = options;
  if (!Array.isArray(recalls)) {
    throw new InvalidOptionError({ subject: "recalls", expected: "an array of numbers", got: describe(recalls) });
  }
  const ladder = recalls.map((one, i) => numberWithin(one ?? Number.NaN, `recalls[${i}]`, 0.5, 1, 1));
  if (typeof store !== "boolean") {
    throw new InvalidOptionError({ subject: "store", expected: "true or false", got: describe(store) });
  }
  return {
    column,
    limit,
    recall,
    recalls: [...new Set([1, recall, ...ladder])].sort((a, b) => b - a),
    queries: queries === undefined ? undefined : checkedQueries(queries),
    seed: wholeNumber(options.seed, "seed", 1),
    store,
    ...(onProgress && { onProgress }),
    ...(signal && { signal }),
  };
}

function checkedQueries(queries: unknown): number | readonly unknown[] {
  const isCount = typeof queries === "number" && Number.isInteger(queries) && queries >= 2;
  if (isCount) return queries;
  // They are asked one by one, while the app goes on with its buffers.
  if (Array.isArray(queries) && queries.length > 0) return queries.map(copied);
  throw new InvalidOptionError({
    subject: "queries",
    expected: "how many rows to draw, 2 or more, or an array of vectors",
    got: Array.isArray(queries) ? "an empty array" : describe(queries),
  });
}

/** The queries that were given, each checked as `nearest` would; undefined where rows are to be drawn. */
function ownQueries(
  queries: Asked["queries"],
  { vector }: Measured,
  nameOf: (query: number) => string,
): RecallQuery[] | undefined {
  if (!Array.isArray(queries)) return undefined;
  return queries.map((query, at) => {
    encodeQuery(query, vector, vector.metric, nameOf(at));
    return { vector: query, key: undefined };
  });
}

function* vectorOf(target: Target, index: IndexOrName, { column }: Asked) {
  const { definition } = yield* recordedIndex(target);
  return { definition, vector: chosenVector(definition, index, column) };
}

/** @throws {ReadOnlyError} Beginning a transaction does not tell: the first statement that writes does, were it to change nothing. */
function* canStore(target: Target, index: IndexOrName, asked: Asked): Steps<void> {
  yield* vectorOf(target, index, asked);
  yield* execute([`UPDATE ${identifier(REGISTRY)} SET name = name WHERE false`]);
}

function* storedNow(target: Target, vector: VectorDefinition): Steps<number | null> {
  const { record } = yield* recordedIndex(target);
  return storedRecallIn(record.settings, vector)?.recall ?? null;
}

async function keep(
  driver: Driver,
  target: Target,
  vector: VectorDefinition,
  { recall, asked }: { recall: number; asked: number },
): Promise<number | null> {
  await driver.write(() => keepRecall(target, vector, recall === 1 ? undefined : { recall, asked }));
  return recall === 1 ? null : recall;
}

async function measureAll(
  measured: Measured,
  queries: readonly RecallQuery[],
  { recalls, onProgress, signal }: Asked,
): Promise<TuneSetting[]> {
  const answered: Answered[][] = recalls.map(() => []);
  const { driver } = measured;
  const answer = (some: readonly RecallQuery[], from: number) =>
    driver.run((snapshot) => answerAll(measured, some, { recalls, from }, snapshot));
  // The first round loads codes and has the kernels compiled.
  await answer(queries.slice(0, 1), 0);
  let sliceEnd = performance.now() + SLICE_MS;
  for (let done = 0; done < queries.length; ) {
    signal?.throwIfAborted();
    // The first few tell what exact answers take by themselves.
    const some = queries.slice(done, done + (done < TIMED_QUERIES ? 1 : queriesOfSlice(measured)));
    for (const answers of await answer(some, done)) {
      for (const [at, one] of answers?.entries() ?? []) answered[at]!.push(one);
    }
    done += some.length;
    if (performance.now() < sliceEnd) continue;
    onProgress?.({ done, total: queries.length });
    await pause();
    sliceEnd = performance.now() + SLICE_MS;
  }
  onProgress?.({ done: queries.length, total: queries.length });
  return recalls.map((recall, at) => settingOf(recall, answered[at]!));
}
