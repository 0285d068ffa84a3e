import { type Placeholder, type SQL, sql } from "drizzle-orm";
import type { BuiltSelect, DbLike, Driver, Row, SelectBuilder, Step, Steps } from "../driver/driver.ts";
import { IndexDamagedError } from "../errors.ts";
import type { IndexDefinition } from "../migration/definition.ts";
import { identifier, JSON_EACH } from "../migration/sql-text.ts";
import { namesOf } from "../schema/names.ts";
import type { SearchIndex } from "../schema/search-index.ts";
import { type Match, type MatchOptions, matchOf, phraseOf } from "../text/match.ts";
import { partsOfName } from "../text/name-parts.ts";
import { type WordCharacters, wordCharacters } from "../text/word-characters.ts";
import {
  COST_MAX,
  COST_MAX_CUT,
  countStep,
  FREE_TERMS,
  rowsOfTerms,
  TRIGRAMS_COUNTED,
  tooCommon,
  trigramSample,
  trigramsCost,
} from "./common-terms.ts";
import { compareKeys, keyPart, keysForm, keysToJson } from "./key.ts";
import { type KeyedTable, keyOf, readPart } from "./keyed-table.ts";
import { isPlaceholder, placeholderValue } from "./options.ts";
import { declarationOf } from "./search-attachment.ts";
import {
  checkText,
  matchOption,
  prefixOption,
  stopWordsOption,
  type TextOptions,
  weightsOption,
} from "./search-options.ts";
import type { Values } from "./search-query.ts";

/** A row that FTS5 found, and its BM25 score: larger is better. */
export interface Scored {
  readonly key: Row;
  readonly score: number;
}

/** Which of the rows found are wanted. */
export interface Page {
  readonly limit: number;
  readonly offset: number;
}

/** Rows found, best first, and the scores of further rows that match. */
export interface FoundText {
  readonly match: Match;
  readonly candidates: readonly Scored[];
  /** Of the rows asked for beside them, those that match the text. */
  readonly others: readonly Scored[];
}

interface LegInput {
  readonly db: DbLike;
  readonly driver: Driver;
  readonly index: SearchIndex;
  readonly keyed: KeyedTable;
  readonly text: string | Placeholder;
  readonly where: SQL | undefined;
  readonly options: TextOptions;
}

/** Of FTS5's best rows, so many at least and so many a row of the page are put in order where there is a condition. */
const BEST_MIN = 2048;
const BEST_SHARE = 20;
/** How many more than the page, where there is none: for rows that FTS5 has and the table has no more. */
const SPARE = 32;

const MATCH = "_dv_match";
const OTHERS = "_dv_others";
const BEST = "_dv_best";
const LIMIT = "_dv_limit";
const OFFSET = "_dv_offset";

/** Statements without a condition, by the index they are asked of. */
const statements = new WeakMap<IndexDefinition, Map<string, BuiltSelect>>();
/** Other weights make another statement, and may differ from query to query. */
const STATEMENTS_MAX = 64;

function statementsOf(declared: IndexDefinition): Map<string, BuiltSelect> {
  const known = statements.get(declared) ?? new Map<string, BuiltSelect>();
  statements.set(declared, known);
  return known;
}

/** The parts of a select that tells further rows from the best. */
interface Apart {
  /** Fills `"_dv_all"`. */
  readonly all: SQL;
  readonly best: SQL;
  readonly others: SQL;
}

/** A person's text over a text index, its options checked: what `search` is, and one leg of `hybrid`. */
export class TextLeg {
  readonly declared: IndexDefinition;
  /** One a text column, in the index's order. */
  readonly weights: readonly number[];
  readonly #input: LegInput;
  readonly #characters: WordCharacters;
  readonly #match: "any" | "all";
  readonly #prefix: boolean;
  readonly #stopWords: ReadonlySet<string>;
  readonly #text: (values: Values) => string;
  readonly #statements: Map<string, BuiltSelect>;

  constructor(input: LegInput) {
    const { db, index, text, where, options } = input;
    this.#input = input;
    this.declared = declarationOf(index, db);
    this.#statements = where ? new Map() : statementsOf(this.declared);
    this.weights = weightsOption(options.weights, index);
    this.#characters = wordCharacters(index.tokenizer);
    this.#match = matchOption(options.match);
    this.#prefix = prefixOption(options.prefix);
    this.#stopWords = stopWordsOption(options.stopWords, this.#characters.isEnglish && this.#match === "any");
    const checked = isPlaceholder(text) ? undefined : checkText(text);
    this.#text = (values) => checked ?? checkText(placeholderValue(text as Placeholder, values));
  }

  /** What becomes of the words. A column of weight 0 is there for highlights only: its words neither find a row nor count. */
  #matchOf(values: Values, known: Pick<MatchOptions, "unknown" | "tooCommon"> = {}): Match {
    const columns = this.weights.flatMap((weight, i) => (weight > 0 ? [`c${i}`] : []));
    return matchOf(this.#text(values), {
      match: this.#match,
      prefix: this.#prefix,
      stopWords: this.#stopWords,
      columns: columns.length === this.weights.length ? undefined : columns,
      characters: this.#characters,
      ...known,
    });
  }

  /**
   * What becomes of the words by what the index knows: of names in code that no row has, their parts; of a long text, not the words
   * that most rows have, which would cost the most and tell the least.
   */
  *match(values: Values): Steps<Match> {
    const match = this.#matchOf(values);
    if (this.#match === "all") return match;
    const names = match.terms.flatMap((term, at) => (partsOfName(term).length > 1 ? [{ term, at }] : []));
    const rows = yield* this.#rowsOf(names.map(({ at }) => match.alone[at]!));
    const unknown = new Set(names.flatMap(({ term }, i) => (rows[i] === 0 ? [term] : [])));
    const inParts = unknown.size === 0 ? match : this.#matchOf(values, { unknown });
    if (inParts.terms.length <= FREE_TERMS) return inParts;
    const common = match.isCut
      ? yield* this.#tooCommonOf(inParts)
      : tooCommon(yield* this.#rowsOf(inParts.alone), COST_MAX);
    return common.size === 0 ? inParts : this.#matchOf(values, { unknown, tooCommon: common });
  }

  /** The terms that are left out of a text that is too long to be read whole. */
  *#tooCommonOf({ terms, alone }: Match): Steps<Set<number>> {
    if (!this.#characters.isTrigram) return tooCommon(yield* this.#rowsOf(alone), COST_MAX_CUT);
    const samples = terms.map(trigramSample);
    const counted = yield* this.#rowsOf(samples.flat().map(phraseOf), TRIGRAMS_COUNTED);
    const rows = samples.map(({ length }) => Math.min(...counted.splice(0, length)));
    return tooCommon(
      rows,
      COST_MAX_CUT,
      terms.map((term, i) => trigramsCost(term, rows[i]!)),
    );
  }

  /** About how many rows each of the terms has. */
  *#rowsOf(alone: readonly string[], most?: number): Steps<number[]> {
    return alone.length === 0 ? [] : rowsOfTerms(yield* this.ask(countStep(this.declared.name, alone, most)), most);
  }

  /**
   * The rows that match best, in the order of score and key.
   *
   * @param options.match - of these values, where it is known
   * @param options.among - further rows to score, wherever they stand, which are in the table and match the condition; scored by the
   * same run of FTS5
   */
  *find(
    values: Values,
    page: Page,
    { match: known, among }: { match?: Match; among?: readonly Row[] | undefined } = {},
  ): Steps<FoundText> {
    if (page.limit === 0) return { match: known ?? this.#matchOf(values), candidates: [], others: [] };
    const match = known ?? (yield* this.match(values));
    if (match.expression === undefined) return { match, candidates: [], others: [] };
    const filled = { ...values, [MATCH]: match.expression, ...this.#pageValues(page, among?.length ?? 0) };
    let candidates: readonly Scored[];
    let others: readonly Scored[] = [];
    if (among === undefined) {
      const rows = yield* this.ask({ type: "query", build: (db) => this.select(db), values: filled });
      candidates = rows.map((row) => this.#scored(row));
    } else {
      const rows = yield* this.ask({
        type: "query",
        build: (db) => this.selectWith(db, among),
        values: { ...filled, [OTHERS]: keysToJson(among) },
      });
      ({ candidates, others } = this.#apart(rows, page));
    }
    if (candidates.length < page.limit && (yield* this.#hasMore(match.expression, page))) {
      const rows = yield* this.ask({ type: "query", build: (db) => this.selectAll(db), values: filled });
      candidates = rows.map((row) => this.#scored(row));
    }
    return { match, candidates, others };
  }

  /** The condition that a row has no word or phrase that a match excludes; undefined where there are none. */
  without({ unwanted }: Match): SQL | undefined {
    if (unwanted === undefined) return undefined;
    const { key } = this.#input.keyed;
    const ids = sql`select rowid from ${this.#fts(unwanted)}`;
    if (this.declared.key.isRowid) return sql`${key[0]} not in (${ids})`;
    const isKey = key.map((part, i) => sql`${sql.raw(`"_dv_key".k${i}`)} = ${part}`);
    return sql`not exists (select 1 from ${this.#keys} where ${allOf([...isKey, sql`"_dv_key".id in (${ids})`])})`;
  }

  /** Whether more rows match the text than were looked at, so that a page that is not full may yet be filled. */
  *#hasMore(expression: string, page: Page): Steps<boolean> {
    if (!this.declared.key.isRowid) return false;
    const most = this.#best(page);
    const fts = identifier(namesOf(this.declared.name).tables.fts);
    const [row] = yield* this.ask({
      type: "rows",
      sql: `select count(*) from (select 1 from ${fts} where ${fts} match ? limit ${most + 1})`,
      params: [expression],
    });
    return Number(row?.[0]) > most;
  }

  /**
   * How many of FTS5's best rows are joined to the table where the id is the key: more than the page by far, since a condition
   * may refuse some and the table may have others no more. Where the id does not tell the order of the key all are: of equal
   * scores the wrong ones could be left.
   */
  #best({ limit, offset }: Page): number {
    return this.#input.where ? Math.max(BEST_MIN, BEST_SHARE * (limit + offset)) : limit + offset + SPARE;
  }

  #pageValues(page: Page, others: number): Values {
    return { [BEST]: this.#best(page) + others, [LIMIT]: page.limit, [OFFSET]: page.offset };
  }

  /**
   * The select that finds keys and scores.
   *
   * FTS5 stands first, whatever the planner thinks: looked up by rowid, it would run the whole query again for each row. Its
   * best rows, many more than the page, are joined to the table one after the other until enough have passed, so that neither
   * a row the condition refuses nor one the table has no more takes a place. Where that does not fill the page, `selectAll`
   * does. FTS5's own ORDER BY rank would sort all that match, with the positions of their words. Sorted by BM25 as FTS5 gives
   * it, smaller being better, so that a row too far down is passed over before its score is turned round.
   */
  select(db: DbLike): BuiltSelect {
    return this.#remembered("select", () => this.#page(db, sql`(${this.#ranked}) "_dv_hit"`));
  }

  /** The same over everything that matches: which rows pass the condition is found first, and FTS5 scores only those. */
  selectAll(db: DbLike): BuiltSelect {
    const { key, table } = this.#input.keyed;
    const passing = db
      .select({ id: sql`${key[0]}` })
      .from(table)
      .where(this.#input.where);
    const hits = sql`(select rowid as "_dv_id", ${this.#scoreOf(this.weights)} as "_dv_score" from ${this.#fts(sql.placeholder(MATCH))} and +rowid in ${passing}) "_dv_hit"`;
    const id = sql`"_dv_hit"."_dv_id"`;
    const score = sql`"_dv_hit"."_dv_score"`;
    return db
      .select({ key0: this.#plain(id, key[0]!), score })
      .from(hits)
      .orderBy(sql`${score} desc`, id)
      .limit(sql.placeholder(LIMIT))
      .offset(sql.placeholder(OFFSET));
  }

  /**
   * As `select`, with further rows of the same run of FTS5, told apart by the last field. Where the id is the key they stand in
   * front of its best rows, having NULL to be sorted by. Else a temporary table holds all that match. A run of its own for them
   * would count every word's rows again, which BM25 needs; an IN that is the condition of a CASE, not its value, is asked of a
   * Bloom filter first. BM25 as FTS5's hidden column is cheaper for each row than the function, which pays for that question; to say
   * its weights takes 10 µs, which `select` saves for the sake of rare words.
   */
  selectWith(db: DbLike, among: readonly Row[]): BuiltSelect {
    // Of the keys only their shape stands in the text.
    return this.#remembered(`with ${keysForm(among)}`, () => {
      const { key } = this.#input.keyed;
      const names = key.map((_, i) => sql.identifier(`key${i}`));
      const keyParts = key.map((part, i) => this.#plain(this.#idOrKey(sql`"_dv_id"`, i), part));
      const { all, best, others } = this.declared.key.isRowid ? this.#inFront(among) : this.#beside(among);
      const found = this.#page(db, sql`(select "_dv_id", "_dv_score" from ${best}) "_dv_hit"`);
      const union = sql`(with "_dv_all" as materialized (${all}) select ${listOf(names)}, "_dv_score", 0 as "_dv_asked" from ${found} union all select ${listOf(keyParts)}, "_dv_score", 1 from ${others}) "_dv_union"`;
      return db
        .select({
          ...Object.fromEntries(names.map((name, i) => [`key${i}`, sql`"_dv_union".${name}`])),
          score: sql`"_dv_union"."_dv_score"`,
          asked: sql`"_dv_union"."_dv_asked"`,
        })
        .from(union);
    });
  }

  /**
   * The question and its answer stand in the key to sort by, and a second time in a column, where it is only asked of rows that are kept:
   * the score of further rows. Equal scores stay in the order of FTS5, which is that of the ids.
   */
  #inFront(among: readonly Row[]): Apart {
    const isAsked = sql`+rowid in (${this.#idsOf(among)})`;
    // What FTS5 reads here as a number has no exponent; as a text it may.
    const weights = written(this.weights).map((weight) => (weight.includes("e") ? `''${weight}''` : weight));
    const bm25 = sql.raw(`'bm25(${weights.join(", ")})'`);
    const sorted = sql`select +rowid as "_dv_id", case when ${isAsked} then null else rank end as "_dv_rank", case when ${isAsked} then rank end as "_dv_other" from ${this.#fts(sql.placeholder(MATCH))} and rank match ${bm25} order by 2 limit ${sql.placeholder(BEST)}`;
    return {
      // The condition keeps the subquery one: a temporary table sorted by itself has all columns of every row computed, kept or not.
      all: sql`select "_dv_id", -case when "_dv_rank" is null then "_dv_other" else "_dv_rank" end as "_dv_score", "_dv_rank" from (${sorted}) where +"_dv_id" is not null`,
      best: sql`"_dv_all" where "_dv_rank" is not null`,
      others: sql`"_dv_all" where "_dv_rank" is null`,
    };
  }

  #beside(among: readonly Row[]): Apart {
    return {
      all: this.#ranked,
      best: sql`"_dv_all"`,
      others: sql`"_dv_all" cross join ${this.#keys} where "_dv_key".id = "_dv_id" and "_dv_id" in (${this.#idsOf(among)})`,
    };
  }

  /** The page and the further rows, of what `selectWith` gave. */
  #apart(rows: readonly Row[], { limit, offset }: Page): Pick<FoundText, "candidates" | "others"> {
    const isAsked = (row: Row) => Number(row.at(-1)) === 1;
    const scored = (row: Row) => this.#scored(row.slice(0, -1));
    const [best, others] = [rows.filter((row) => !isAsked(row)).map(scored), rows.filter(isAsked).map(scored)];
    if (!this.declared.key.isRowid) return { candidates: best, others };
    // Further rows stand on no page yet, however good they are.
    const order = [...best, ...others].sort((a, b) => b.score - a.score || compareKeys(a.key, b.key, []));
    return { candidates: order.slice(offset, offset + limit), others };
  }

  /**
   * The text of a statement, built once: that takes longer than to find a rare word. One without a condition is the same for all
   * queries of the same weights, else for those of one prepared search.
   */
  #remembered(name: string, build: () => SelectBuilder): BuiltSelect {
    const key = `${name} ${this.#input.driver.kind} ${this.weights}`;
    let known = this.#statements.get(key);
    if (!known) {
      const text = build().toSQL();
      known = { toSQL: () => text };
      if (this.#statements.size >= STATEMENTS_MAX) this.#statements.clear();
      this.#statements.set(key, known);
    }
    return known;
  }

  /**
   * For rows by their keys, what each column's words count: BM25 of that column alone with its weight. A word that stands in
   * several columns counts less than twice in the whole score, so that the parts may add up to more than it.
   */
  *columnScores(match: Match, keys: readonly Row[]): Steps<{ key: Row; values: Row }[]> {
    const alone = this.weights.map((_, column) => this.weights.map((weight, i) => (i === column ? weight : 0)));
    return yield* this.auxiliary(
      match.expression,
      keys,
      alone.map((weights) => this.#scoreOf(weights)),
    );
  }

  /**
   * What auxiliary functions of FTS5 say of rows by their keys; rows that do not match are left out.
   *
   * @param expression - the right side of MATCH
   */
  *auxiliary(
    expression: string | undefined,
    keys: readonly Row[],
    expressions: readonly SQL[],
  ): Steps<{ key: Row; values: Row }[]> {
    if (expression === undefined || keys.length === 0 || expressions.length === 0) return [];
    const { key } = this.#input.keyed;
    const names = expressions.map((_, i) => sql.identifier(`v${i}`));
    const values = sql.join(
      expressions.map((value, i) => sql`${value} as ${names[i]!}`),
      sql`, `,
    );
    const hits = sql`(select rowid as "_dv_id", ${values} from ${this.#fts(sql.placeholder(MATCH))} and +rowid in (${this.#idsOf(keys)})) "_dv_hit"`;
    const keyFields = key.map((part, i) => [`key${i}`, this.#plain(this.#idOrKey(sql`"_dv_hit"."_dv_id"`, i), part)]);
    const fields = {
      ...Object.fromEntries(keyFields),
      ...Object.fromEntries(names.map((name, i) => [`v${i}`, sql`"_dv_hit".${name}`])),
    };
    const rows = yield* this.ask({
      type: "query",
      build: (db) => {
        const select = db.select(fields).from(hits);
        if (this.declared.key.isRowid) return select;
        return select.crossJoin(this.#keys).where(sql`"_dv_key".id = "_dv_hit"."_dv_id"`);
      },
      values: { [MATCH]: expression, [OTHERS]: keysToJson(keys) },
    });
    return rows.map((row) => ({ key: this.#key(row), values: row.slice(key.length) }));
  }

  /** Asks FTS5, whose index may be damaged. */
  *ask(step: Step): Steps<Row[]> {
    try {
      return yield step;
    } catch (error) {
      throw this.damageOr(error);
    }
  }

  /** The typed error in the place of SQLite's own, where that is about a damaged index. */
  damageOr(error: unknown): unknown {
    return damaged(error, this.declared.name) ?? error;
  }

  /** FTS5's table by its declared name, for its auxiliary functions. */
  get fts(): SQL {
    return sql`${sql.identifier(namesOf(this.declared.name).tables.fts)}`;
  }

  #fts(match: unknown): SQL {
    return sql`${this.fts} where ${this.fts} match ${match}`;
  }

  /** The table of keys and ids, where the id is not the key. */
  get #keys(): SQL {
    return sql`${sql.identifier(namesOf(this.declared.name).tables.keys)} "_dv_key"`;
  }

  /** The same where a condition of the user's is in sight: its `id`, written without a table, is never the map's. */
  get #keysBeside(): SQL {
    const parts = this.#input.keyed.key.map((_, i) => sql.raw(`k${i} as "_dv_key${i}"`));
    const map = sql.identifier(namesOf(this.declared.name).tables.keys);
    return sql`(select id as "_dv_key_id", ${listOf(parts)} from ${map}) "_dv_key"`;
  }

  #idOrKey(id: SQL, part: number): SQL {
    return this.declared.key.isRowid ? id : sql.raw(`"_dv_key".k${part}`);
  }

  /** The ids of rows whose keys the placeholder holds as JSON. */
  #idsOf(keys: readonly Row[]): SQL {
    const { key } = this.#input.keyed;
    const asked = sql`${sql.raw(JSON_EACH)}(${sql.placeholder(OTHERS)}) "_dv_json"`;
    const parts = key.map((_, i) => keyPart(sql`"_dv_json"."value"`, i, key.length, keys));
    if (this.declared.key.isRowid) return sql`select ${parts[0]} from ${asked}`;
    const isKey = sql.join(
      parts.map((part, i) => sql`${sql.raw(`"_dv_key".k${i}`)} = ${part}`),
      sql` and `,
    );
    return sql`select "_dv_key".id from ${asked} cross join ${this.#keys} where ${isKey}`;
  }

  /** BM25 as FTS5 gives it: smaller is better. */
  #rankOf(weights: readonly number[]): SQL {
    return sql`bm25(${this.fts}${sql.raw(
      written(weights)
        .map((weight) => `, ${weight}`)
        .join(""),
    )})`;
  }

  #scoreOf(weights: readonly number[]): SQL {
    return sql`-${this.#rankOf(weights)}`;
  }

  /** What FTS5 finds with its score: the best rows, or all where the id does not tell the order of the key. */
  get #ranked(): SQL {
    const all = sql`select +rowid as "_dv_id", ${this.#scoreOf(this.weights)} as "_dv_score" from ${this.#fts(sql.placeholder(MATCH))}`;
    if (!this.declared.key.isRowid) return all;
    return sql`${all} order by ${this.#rankOf(this.weights)}, 1 limit ${sql.placeholder(BEST)}`;
  }

  /** A page of the rows that are in the table and match the condition; `hits` are ids with scores, best first if the id is the key. */
  #page(db: DbLike, hits: SQL): SelectBuilder {
    const { key, table } = this.#input.keyed;
    const { where } = this.#input;
    const fields = key.map((part, i) => [`key${i}`, sql`${this.#plain(sql`${part}`, part)}`.as(`key${i}`)]);
    const select = db
      .select({ ...Object.fromEntries(fields), score: sql`"_dv_hit"."_dv_score"`.as("_dv_score") })
      .from(hits);
    const joined = this.declared.key.isRowid
      ? select.crossJoin(table).where(allOf([sql`${key[0]} = "_dv_hit"."_dv_id"`, where]))
      : select
          .crossJoin(this.#keysBeside)
          .crossJoin(table)
          .where(
            allOf([
              sql`"_dv_key"."_dv_key_id" = "_dv_hit"."_dv_id"`,
              ...key.map((part, i) => sql`${part} = "_dv_key".${sql.raw(`"_dv_key${i}"`)}`),
              where,
            ]),
          )
          .orderBy(sql`"_dv_hit"."_dv_score" desc`, ...key);
    return joined.limit(sql.placeholder(LIMIT)).offset(sql.placeholder(OFFSET));
  }

  #plain(value: SQL, part: KeyedTable["key"][number]): SQL {
    return readPart(value, part, this.#input.driver.kind === "async");
  }

  #scored(row: Row): Scored {
    return { key: this.#key(row), score: Number(row.at(-1)) };
  }

  #key(row: Row): Row {
    const { keyed, driver } = this.#input;
    return keyOf(row, keyed, driver.kind === "async");
  }
}

/** Weights as BM25 takes them: it asks for one at every word, and takes 1 where there are no more. */
function written(weights: readonly number[]): string[] {
  const texts = weights.map(String);
  while (texts.at(-1) === "1") texts.pop();
  return texts;
}

function allOf(conditions: readonly (SQL | undefined)[]): SQL {
  return sql.join(
    conditions.flatMap((condition) => (condition ? [sql`(${condition})`] : [])),
    sql` and `,
  );
}

function listOf(parts: readonly unknown[]): SQL {
  return sql.join(
    parts.map((part) => sql`${part}`),
    sql`, `,
  );
}

/** The typed error in the place of SQLite's own about a damaged index. */
function damaged(error: unknown, name: string): IndexDamagedError | undefined {
  const { code, message } = Object(error) as { code?: unknown; message?: string };
  const isDamage =
    /CORRUPT/.test(String(code)) ||
    /vtable constructor failed|malformed|fts5: |invalid fts5 file format/.test(message ?? "");
  if (!isDamage) return undefined;
  return new IndexDamagedError({
    subject: name,
    expected: "a text index that can be read",
    got: message ?? String(code),
    hint: `Run "drizzle-vector rebuild ${name}" or rebuild(db, index): it is filled anew from the table, which is not touched.`,
    cause: error,
  });
}
