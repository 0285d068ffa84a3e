import type { Placeholder, SQL } from "drizzle-orm";
import type { SQLiteTable, SubqueryWithSelection } from "drizzle-orm/sqlite-core";
import { describe } from "../codec/codec.ts";
import { type DbLike, driverOf, type KindOf, type Snapshot, type Steps } from "../driver/driver.ts";
import { InvalidOptionError } from "../errors.ts";
import { isSearchIndex, type SearchIndex } from "../schema/search-index.ts";
import type { Dropped } from "../text/match.ts";
import { attach, fetchStep, fieldsOf, hitsSelect } from "./fetch.ts";
import type { FieldOf, Flat, KeyOf, RowOf, Selected } from "./hit.ts";
import { hitsSubquery, type RankedColumn } from "./hits-subquery.ts";
import { keysToJson, plainKey } from "./key.ts";
import { keyedTable } from "./keyed-table.ts";
import { condition, knownOptions, LIMIT_DEFAULT, wholeNumber } from "./options.ts";
import { checkSearchable } from "./search-attachment.ts";
import { Highlighter, type HighlightOptions, type Highlights } from "./search-highlight.ts";
import { type FoundText, TextLeg } from "./search-leg.ts";
import { checkHasText, TEXT_OPTIONS, type TextOptions } from "./search-options.ts";
import { SearchQuery, type SubqueryOf, type Values } from "./search-query.ts";

export interface SearchOptions<TSelect, TText extends string = string, THighlight = unknown>
  extends TextOptions<TText> {
  /** Which fields a hit has, as in `db.select({...})`; default all columns but vectors. */
  select?: TSelect;
  /** Any Drizzle condition on the table, subqueries on others included. `limit` rows come back whenever that many match. */
  where?: SQL | undefined;
  /** Most hits, a whole number from 0 up; default 10. */
  limit?: number;
  /** Hits to leave out at the start, a whole number from 0 up; default 0. */
  offset?: number;
  /** Shows the words found in their text, as `$highlights`; `{}` for all text columns, whole, between `<mark>` and `</mark>`. */
  highlight?: THighlight;
}

const OPTIONS = ["select", "where", "limit", "offset", "highlight", ...TEXT_OPTIONS] as const;

/** One row found: the selected fields and its BM25 score, larger is better. */
export type SearchHit<
  TTable extends SQLiteTable,
  TSelect = undefined,
  TText extends string = string,
  THighlight = undefined,
> = Flat<
  (TSelect extends undefined ? RowOf<TTable["_"]["columns"]> : Selected<TSelect>) & { $score: number } & Highlights<
      TText,
      THighlight
    >
>;

/** What an index has to be for `search`; of one with vectors only the compiler then shows what to call instead. */
type HasText<TText extends string> = [TText] extends [never]
  ? { readonly "this index has no text columns: use nearest()": never }
  : unknown;

/** How a person's text was understood. */
export interface TextExplain {
  /** The right side of MATCH, or null where no word was left: nothing is asked of the database then. */
  match: string | null;
  /** The words and phrases used. */
  terms: readonly string[];
  /** Words and phrases with a minus in front, which a hit has not. */
  excluded: readonly string[];
  /** The pieces of the text left out, and why. */
  dropped: readonly Dropped[];
  /** Whether the text was longer than the 4,096 characters that are read; over trigrams 128 of each word or phrase then count. */
  isCut: boolean;
  /** The text columns with what a word in each counts; 0 is left out. */
  columns: readonly { column: string; weight: number }[];
}

/** How a search went. Times are milliseconds. */
export interface SearchExplain extends TextExplain {
  plan: "full text";
  index: string;
  /** The statement that finds the hits. */
  sql: string;
  /** The statement that reads their rows. */
  fetchSql: string;
  hits: number;
  /**
   * For each hit its key, its score and what each column has to do with it: BM25 of the words in that column alone. The
   * parts of a word that stands in several columns add up to more than its score.
   */
  scores: readonly { key: unknown; score: number; columns: Record<string, number> }[];
  ms: { find: number; fetch: number; total: number };
}

export interface SearchSubquery<TTable extends SQLiteTable> extends SubqueryOf {
  readonly type: SubqueryWithSelection<
    KeyOf<TTable["_"]["columns"]> & { rank: RankedColumn<"rank">; score: RankedColumn<"score"> },
    this["alias"]
  >;
}

/**
 * Finds the rows whose text matches `text` best, best first; ties in the order of the primary key. BM25 with the weights of
 * the declaration, or of `weights`. Any text is safe: it is cut into words, of which at most 64 in 4,096 characters count; of
 * more than 16 words the most frequent are left out where they would cost more than about 25 ms.
 * `"words in quotes"` are a phrase, `-word` excludes rows that have the word, and nothing else is an operator. `explain` tells
 * what was used and what was left out. A text without a word finds nothing.
 *
 * Reads one snapshot, inside a transaction with its own writes.
 *
 * SQL: `select …, -bm25("_dv_docs_search_fts", 3) … where "_dv_docs_search_fts" match '"join" OR "course"'`, joined to the
 * table, so that rows are counted after `where`.
 *
 * @param db - a Drizzle database or transaction on better-sqlite3 (answers at once) or libSQL (promises)
 * @param index - a `searchIndex` with text columns
 * @param text - what a person typed, or `sql.placeholder("name")`
 * @returns a query to await, or to call `.all()`, `.get()`, `.explain()`, `.prepare()`, `.as("hits")` on
 * @throws {IndexMissingError} when the index is not in the database
 * @throws {IndexDetachedError} when writes may have gone by it: nothing is answered from stale data
 * @throws {IndexPendingError} while it is not filled
 * @throws {IndexDamagedError} when its bytes cannot be read
 * @throws {DeclarationDriftError} when the database was made by another declaration of its text
 * @throws {IndexFormatError | InvalidOptionError | UnsupportedKeyError | UnsupportedDriverError}
 * @example await search(db, docsSearch, "can I still join?", { where: eq(docs.course, "ml"), limit: 5 });
 */
export function search<
  TDb extends DbLike,
  TTable extends SQLiteTable,
  TText extends string,
  TSelect extends Record<string, FieldOf<TTable["_"]["name"]>> | undefined = undefined,
  const THighlight extends HighlightOptions<TText> | undefined = undefined,
>(
  db: TDb,
  index: SearchIndex<TTable, TText, any> & HasText<TText>,
  text: string | Placeholder,
  options?: SearchOptions<TSelect, TText, THighlight>,
): SearchQuery<SearchHit<TTable, TSelect, TText, THighlight>, SearchExplain, SearchSubquery<TTable>, KindOf<TDb>> {
  type Hit = SearchHit<TTable, TSelect, TText, THighlight>;
  const request = new SearchRequest(db, index, text, options);
  const { leg, keyed, fields, driver } = request;
  return new SearchQuery({
    driver,
    *hits(values, snapshot) {
      return (yield* request.hits(yield* request.find(values, snapshot), values)) as Hit[];
    },
    *answer(values, snapshot) {
      const start = performance.now();
      const found = yield* request.find(values, snapshot);
      const between = performance.now();
      const hits = (yield* request.hits(found, values)) as Hit[];
      const end = performance.now();
      const { candidates, match } = found;
      const keys = candidates.map(({ key }) => key);
      const alone = new Map(
        (yield* leg.columnScores(match, keys)).map(({ key, values: parts }) => [keysToJson([key]), parts]),
      );
      return {
        hits,
        explain: {
          plan: "full text",
          index: request.index.name,
          ...textExplain(request.index, leg, found),
          sql: leg.selects.page(driver.handle).toSQL().sql,
          fetchSql: hitsSelect(driver.handle, keyed, fields, candidates).toSQL().sql,
          hits: hits.length,
          scores: candidates.map(({ key, score }) => ({
            key: plainKey(key),
            score,
            columns: Object.fromEntries(
              request.index.text.map(({ key: column }, i) => [column, Number(alone.get(keysToJson([key]))?.[i] ?? 0)]),
            ),
          })),
          ms: { find: between - start, fetch: end - between, total: end - start },
        },
      };
    },
    *freeze(alias, snapshot) {
      const { candidates } = yield* request.find({}, snapshot);
      const hits = candidates.map(({ key, score }) => ({ key, measure: score }));
      return hitsSubquery(driver.handle, keyed, alias, "score", fields, hits);
    },
  });
}

/** What `explain` tells of a text leg. */
export function textExplain(index: SearchIndex, leg: TextLeg, { match }: FoundText): TextExplain {
  return {
    match: match.expression ?? null,
    terms: match.terms,
    excluded: match.excluded,
    dropped: match.dropped,
    isCut: match.isCut,
    columns: index.text.map(({ key }, i) => ({ column: key, weight: leg.weights[i]! })),
  };
}

/** What `search` was asked for, its arguments checked. */
class SearchRequest {
  readonly driver;
  readonly index: SearchIndex;
  readonly keyed;
  readonly fields;
  readonly leg: TextLeg;
  readonly limit: number;
  readonly offset: number;
  readonly #highlighter: Highlighter | undefined;

  constructor(db: DbLike, index: unknown, text: string | Placeholder, given: unknown) {
    this.driver = driverOf(db);
    this.index = checkTextIndex(index);
    this.keyed = keyedTable(this.index.table);
    const options = knownOptions<SearchOptions<unknown>>(given, "search", OPTIONS);
    const where = condition(options.where);
    this.limit = wholeNumber(options.limit, "limit", LIMIT_DEFAULT);
    this.offset = wholeNumber(options.offset, "offset", 0);
    this.leg = new TextLeg({ driver: this.driver, index: this.index, keyed: this.keyed, text, where, options });
    this.#highlighter = options.highlight === undefined ? undefined : new Highlighter(options.highlight, this.index);
    this.fields = fieldsOf(this.keyed, options.select, ["$score", "$highlights"]);
  }

  *find(values: Values, snapshot: Snapshot): Steps<FoundText> {
    const { driver, leg } = this;
    yield* checkSearchable({ driver, snapshot, declared: leg.declared, needsText: true });
    return yield* leg.find(values, this);
  }

  /** The rows of what was found. */
  *hits({ candidates, match }: FoundText, values: Values): Steps<Record<string, unknown>[]> {
    if (candidates.length === 0) return [];
    const rows: Record<string, unknown>[] = yield fetchStep(this.keyed, this.fields, candidates, values);
    const marked = this.#highlighter
      ? yield* this.#highlighter.mark(
          this.leg,
          match,
          candidates.map(({ key }) => key),
        )
      : undefined;
    const extras = candidates.map(({ key, score }, i) => ({ key, $score: score, $highlights: marked?.[i] }));
    return attach(rows, extras, ({ $score, $highlights }) => ($highlights ? { $score, $highlights } : { $score }));
  }
}

function checkTextIndex(index: unknown): SearchIndex {
  if (!isSearchIndex(index)) {
    throw new InvalidOptionError({
      subject: "index",
      expected: "a searchIndex with text columns",
      got: describe(index),
    });
  }
  checkHasText(index);
  return index;
}
