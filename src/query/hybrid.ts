import type { Placeholder, SQL } from "drizzle-orm";
import type { SQLiteTable, SubqueryWithSelection } from "drizzle-orm/sqlite-core";
import type { DbLike, KindOf, Row, Snapshot, Steps } from "../driver/driver.ts";
import type { ElementAt, SearchIndex, VectorKeys } from "../schema/search-index.ts";
import { attach, fetchStep, hitsSelect } from "./fetch.ts";
import { type Fusion, type Leg, weightOf } from "./fusion.ts";
import type { FieldOf, Flat, KeyOf, RowOf, Selected, VectorQuery } from "./hit.ts";
import { hitsSubquery, type RankedColumn } from "./hits-subquery.ts";
import { type Candidates, candidatesOf, standingOf } from "./hybrid-legs.ts";
import { HybridRequest } from "./hybrid-request.ts";
import { compareKeys, plainKey } from "./key.ts";
import { keyCollations } from "./key-collations.ts";
import type { NearestExplain } from "./nearest.ts";
import { type TextExplain, textExplain } from "./search.ts";
import { checkSearchable } from "./search-attachment.ts";
import type { HighlightOptions, Highlights } from "./search-highlight.ts";
import type { TextOptions } from "./search-options.ts";
import { SearchQuery, type SubqueryOf, type Values } from "./search-query.ts";

/** What to look for: a text, a vector, or both, as far as the index has them. */
export interface HybridQuery<TVector, TText extends string = string> {
  /** What a person typed, or `sql.placeholder("name")`; of an index with text columns only. */
  text?: ([TText] extends [never] ? undefined : string | Placeholder) | undefined;
  /** The vector, or vectors by column where the index has several. */
  vector?: TVector | undefined;
}

/** A vector where the index has one vector column; vectors by the columns' names wherever. */
type VectorOf<TTable extends SQLiteTable, TVectors extends string> = [TVectors] extends [never]
  ? never
  :
      | (IsSingle<TVectors> extends true ? QueryAt<TTable, TVectors> : Placeholder)
      | { readonly [K in TVectors]?: QueryAt<TTable, K> };

type QueryAt<TTable extends SQLiteTable, TKey extends string> =
  TKey extends VectorKeys<TTable> ? VectorQuery<ElementAt<TTable, TKey>> : never;

type IsSingle<T extends string, TAll = T> = T extends unknown ? ([TAll] extends [T] ? true : false) : never;

export interface HybridOptions<TSelect, TText extends string = string, THighlight = unknown>
  extends TextOptions<TText> {
  /** Which fields a hit has, as in `db.select({...})`; default all columns but vectors. */
  select?: TSelect;
  /** Any Drizzle condition on the table, the same for every leg. `limit` rows come back whenever that many are candidates. */
  where?: SQL | undefined;
  /** Most hits, a whole number from 0 up; default 10. */
  limit?: number;
  /** Hits to leave out at the start, a whole number from 0 up; default 0. `offset + limit` may not exceed `depth`. */
  offset?: number;
  /** How many candidates each leg gives to be fused, 1..10,000; default 100. Pages are slices of one fused list. */
  depth?: number;
  /** How the legs become one order: `shares()` (default), `linear()` or `rrf()`. */
  fusion?: Fusion;
  /** Shows the words found in their text, as `$highlights`; null where a hit has none of them. */
  highlight?: THighlight;
}

/** What the text leg says of a hit. */
export interface TextStanding {
  /** From 1; null for a hit that is not among the first `depth` of the leg. */
  rank: number | null;
  /** BM25, larger is better. */
  score: number;
}

/** What a vector leg says of a hit. */
export interface VectorStanding {
  /** From 1; null for a hit that is not among the first `depth` of the leg. */
  rank: number | null;
  /** In the range of the column's own metric, smaller is nearer. */
  distance: number;
}

/** One row found: the selected fields, its fused score, larger is better, and what each leg says of it. */
export type HybridHit<
  TTable extends SQLiteTable,
  TSelect = undefined,
  TVector = undefined,
  TText extends string = string,
  THighlight = undefined,
> = Flat<
  (TSelect extends undefined ? RowOf<TTable["_"]["columns"]> : Selected<TSelect>) & {
    $score: number;
    /** Null where the row has none of the words. */
    $text: TextStanding | null;
    /** Null where the row has no vector, or no vector was asked for; by column where the query was. */
    $vector: VectorPart<TVector>;
  } & Highlights<TText, THighlight>
>;

type VectorPart<TVector> = TVector extends readonly unknown[] | ArrayBufferView | Placeholder | undefined
  ? VectorStanding | null
  : { -readonly [K in keyof TVector]-?: VectorStanding | null };

/** How one leg of a hybrid search went. */
export interface LegExplain {
  /** `text`, or the vector column's key in the schema. */
  leg: string;
  /** What its votes count in the fusion, beside those of the other legs. */
  weight: number;
  /** How many rows it found, at most `depth`. */
  found: number;
  /** How many rows it scored besides, because another leg had found them. */
  scored: number;
  /** Why it found nothing without being asked, or null: no word in the text, a vector of zeros. */
  empty: string | null;
  /** How the rows were found: by words, or as `nearest` says; null where the leg was not asked. */
  plan: NearestExplain["plan"] | "full text" | null;
  /** Why the index of the vector was not asked, or null where it was or there is nothing to say. */
  fallback: string | null;
  /** The statement that reads what is scored; null where the leg was not asked. */
  sql: string | null;
  ms: number;
}

/** How a hybrid search went. Times are milliseconds. */
export interface HybridExplain {
  plan: "hybrid";
  index: string;
  fusion: string;
  depth: number;
  /** How the text was understood; null where none was given. */
  text: TextExplain | null;
  legs: readonly LegExplain[];
  /** How many rows were fused. */
  candidates: number;
  /** The statement that reads the rows of the hits. */
  fetchSql: string;
  hits: number;
  /** For each hit its key, its score, and what each leg adds to that. */
  scores: readonly { key: unknown; score: number; parts: Record<string, number> }[];
  ms: { find: number; fetch: number; total: number };
}

export interface HybridSubquery<TTable extends SQLiteTable> extends SubqueryOf {
  readonly type: SubqueryWithSelection<
    KeyOf<TTable["_"]["columns"]> & { rank: RankedColumn<"rank">; score: RankedColumn<"score"> },
    this["alias"]
  >;
}

/**
 * Finds rows by words and by meaning at once. Each leg, text and every vector, gives its best `depth` rows that match
 * `where` and have none of the words the text excludes; a row that one leg found is scored by the others, too; then `fusion` makes
 * one order of them, ties in the order of the primary key. There is no threshold: the page is full whenever so many rows are candidates. A text without a word or a
 * vector of zeros leaves its leg empty, and `explain` says so.
 *
 * Scores rank the hits of one query; they are no measure of how good a hit is, and those of two queries do not compare.
 *
 * Reads one snapshot, inside a transaction with its own writes.
 *
 * @param db - a Drizzle database or transaction on better-sqlite3 (answers at once) or libSQL (promises)
 * @param index - a `searchIndex` with the columns the query asks for
 * @param query - `{ text, vector }`, or one of them; `vector` by column (`{ embedding: … }`) where the index has several
 * @returns a query to await, or to call `.all()`, `.get()`, `.explain()`, `.prepare()`, `.as("hits")` on
 * @throws {IndexMissingError | IndexDetachedError | IndexPendingError | IndexDamagedError | DeclarationDriftError | IndexFormatError}
 * @throws {DimensionMismatchError | VectorValueError | StoredDimensionsError} as `nearest` does
 * @throws {InvalidOptionError | UnsupportedKeyError | UnsupportedDriverError}
 * @example await hybrid(db, docsSearch, { text: question, vector: await embed(question) }, { limit: 5 });
 */
export function hybrid<
  TDb extends DbLike,
  TTable extends SQLiteTable,
  TText extends string,
  TVectors extends string,
  const TVector extends VectorOf<TTable, TVectors> | undefined = undefined,
  TSelect extends Record<string, FieldOf<TTable["_"]["name"]>> | undefined = undefined,
  const THighlight extends HighlightOptions<TText> | undefined = undefined,
>(
  db: TDb,
  index: SearchIndex<TTable, TText, TVectors>,
  query: HybridQuery<TVector, TText>,
  options?: HybridOptions<TSelect, TText, THighlight>,
): SearchQuery<
  HybridHit<TTable, TSelect, TVector, TText, THighlight>,
  HybridExplain,
  HybridSubquery<TTable>,
  KindOf<TDb>
> {
  type Hit = HybridHit<TTable, TSelect, TVector, TText, THighlight>;
  const request = new HybridRequest(db, index, query, options);
  const { driver, keyed, fields } = request;
  return new SearchQuery({
    driver,
    *hits(values, snapshot) {
      return (yield* hitsOf(request, yield* find(request, { values, snapshot }), values)) as Hit[];
    },
    *answer(values, snapshot) {
      const start = performance.now();
      const found = yield* find(request, { values, snapshot });
      const between = performance.now();
      const hits = (yield* hitsOf(request, found, values)) as Hit[];
      const end = performance.now();
      return {
        hits,
        explain: {
          plan: "hybrid",
          index: request.index.name,
          fusion: request.fusion.name,
          depth: request.depth,
          text: request.text && found.text ? textExplain(request.index, request.text, found.text) : null,
          legs: found.legs.map((leg) => ({
            leg: leg.name,
            weight: found.weightOf(leg),
            found: leg.found,
            scored: leg.scored,
            empty: leg.reason,
            plan: leg.nearest?.plan ?? (leg.kind === "text" && leg.reason === null ? "full text" : null),
            fallback: leg.nearest?.fallback ?? null,
            sql:
              leg.nearest?.sql ??
              (leg.kind === "text" && leg.reason === null
                ? request.text!.selects.pageWith(driver.handle, []).toSQL().sql
                : null),
            ms: leg.ms,
          })),
          candidates: found.keys.length,
          fetchSql: hitsSelect(driver.handle, keyed, fields, found.hits).toSQL().sql,
          hits: hits.length,
          scores: found.hits.map(({ key, at, score }) => ({
            key: plainKey(key),
            score,
            parts: Object.fromEntries(found.legs.map(({ name }, leg) => [name, found.parts[leg]![at]!])),
          })),
          ms: { find: between - start, fetch: end - between, total: end - start },
        },
      };
    },
    *freeze(alias, snapshot) {
      const { hits } = yield* find(request, { values: {}, snapshot });
      const measured = hits.map(({ key, score }) => ({ key, measure: score }));
      return hitsSubquery(driver.handle, keyed, alias, "score", fields, measured);
    },
  });
}

interface FindInput {
  readonly values: Values;
  readonly snapshot: Snapshot;
}

interface Fused extends Candidates {
  readonly weightOf: (leg: Leg) => number;
  /** What each leg adds to each candidate. */
  readonly parts: readonly Float64Array[];
  /** The page asked for, best first; `at` is the candidate's place among `keys`. */
  readonly hits: readonly { readonly key: Row; readonly at: number; readonly score: number }[];
}

function* find(request: HybridRequest, input: FindInput): Steps<Fused> {
  const { driver, limit, offset, fusion } = request;
  const needsText = request.text !== undefined;
  yield* checkSearchable({ driver, snapshot: input.snapshot, declared: request.declared, needsText });
  if (limit === 0) return { keys: [], legs: [], text: undefined, weightOf: () => 0, parts: [], hits: [] };
  const candidates = yield* candidatesOf({ request, ...input });
  const { keys, legs } = candidates;
  const declared = weightOf(fusion, legs);
  const trust = request.isDefaultFusion ? trustIn(candidates.text?.match.wholeness ?? 1) : 1;
  const weight = (leg: Leg) => declared(leg) * (leg.kind === "text" ? trust : 1);
  // A leg that found nothing has nothing to say.
  const active = legs.filter(({ found }) => found > 0);
  const said = fusion.parts(active, weight);
  const parts = legs.map((leg) => said[active.indexOf(leg)] ?? new Float64Array(keys.length));
  const scores = keys.map((_, at) => parts.reduce((sum, part) => sum + part[at]!, 0));
  const collations = yield* keyCollations(request.keyed);
  const order = keys.map((_, at) => at);
  order.sort((a, b) => scores[b]! - scores[a]! || compareKeys(keys[a]!, keys[b]!, collations));
  const hits = order.slice(offset, offset + limit).map((at) => ({ key: keys[at]!, at, score: scores[at]! }));
  return { ...candidates, weightOf: weight, parts, hits };
}

/**
 * What text counts, 0..1: beginnings of runs without spaces are found by chance more often than words are. With the whole weight
 * hybrid falls from 0.912, the vectors' nDCG@10, to 0.842 on xquad-zh over unicode61; with 0.3 of it, to 0.908 (bench/quality.ts).
 */
function trustIn(wholeness: number): number {
  return 0.3 + 0.7 * wholeness;
}

/** The rows of the page, each with its score and what every leg says of it. */
function* hitsOf(
  request: HybridRequest,
  { hits, legs, text }: Fused,
  values: Values,
): Steps<Record<string, unknown>[]> {
  if (hits.length === 0) return [];
  const rows: Record<string, unknown>[] = yield fetchStep(request.keyed, request.fields, hits, values);
  const keys = hits.map(({ key }) => key);
  const { highlighter, isByName } = request;
  const marked =
    highlighter && request.text && text
      ? yield* highlighter.mark(request.text, text.match, keys)
      : highlighter && keys.map(() => highlighter.none());
  const extras = hits.map(({ key, at, score }, i) => {
    const textLeg = legs.find(({ kind }) => kind === "text");
    const spoken = textLeg && standingOf(textLeg, at);
    const $text = spoken ? { rank: spoken.rank, score: spoken.value } : null;
    const distances = legs.flatMap((leg) => {
      const standing = standingOf(leg, at);
      return leg.kind === "vector" ? [[leg.name, standing && { rank: standing.rank, distance: standing.value }]] : [];
    });
    const $vector = isByName ? Object.fromEntries(distances) : (distances[0]?.[1] ?? null);
    const extra = { $score: score, $text, $vector };
    return { key, extra: marked ? { ...extra, $highlights: marked[i] } : extra };
  });
  return attach(rows, extras, ({ extra }) => extra);
}
