import { type SQL, sql } from "drizzle-orm";
import type { BuiltSelect, Row, RowsStep, SelectBuilder, Selecting } from "../driver/driver.ts";
import { getOrMake } from "../driver/get-or-make.ts";
import type { IndexDefinition } from "../migration/definition.ts";
import { identifier, JSON_EACH } from "../migration/sql-text.ts";
import { namesOf } from "../schema/names.ts";
import type { Match } from "../text/match.ts";
import { keyPart, keysForm, keysToJson } from "./key.ts";
import { type KeyedTable, readPart } from "./keyed-table.ts";
import type { Values } from "./search-query.ts";

/** Which of the rows found are wanted. */
export interface Page {
  readonly limit: number;
  readonly offset: number;
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

/** The parts of a select that tells further rows from the best. */
interface Apart {
  /** Fills `"_dv_all"`. */
  readonly all: SQL;
  readonly best: SQL;
  readonly others: SQL;
}

interface TextSelectsInput {
  readonly declared: IndexDefinition;
  readonly keyed: KeyedTable;
  readonly where: SQL | undefined;
  /** One a text column, in the index's order. */
  readonly weights: readonly number[];
  readonly isAsync: boolean;
}

/** The statements of a text search: what FTS5 finds and scores, joined to the table. */
export class TextSelects {
  readonly #name: string;
  /** Whether the ids of the text index are the keys of the table. */
  readonly #isRowid: boolean;
  readonly #keyed: KeyedTable;
  readonly #where: SQL | undefined;
  readonly #weights: readonly number[];
  readonly #isAsync: boolean;
  readonly #statements: Map<string, BuiltSelect>;

  constructor({ declared, keyed, where, weights, isAsync }: TextSelectsInput) {
    this.#name = declared.name;
    this.#isRowid = declared.key.isRowid;
    this.#keyed = keyed;
    this.#where = where;
    this.#weights = weights;
    this.#isAsync = isAsync;
    this.#statements = where ? new Map() : getOrMake(statements, declared, () => new Map());
  }

  /**
   * What a page's statements ask for.
   *
   * @param expression - the right side of MATCH
   * @param among - further rows to score
   */
  values(expression: string, page: Page, among: readonly Row[] = []): Values {
    return {
      ...this.auxiliaryValues(expression, among),
      [BEST]: this.#bestOf(page) + among.length,
      [LIMIT]: page.limit,
      [OFFSET]: page.offset,
    };
  }

  /**
   * The select that finds keys and scores.
   *
   * FTS5 stands first, whatever the planner thinks: looked up by rowid, it would run the whole query again for each row. Its
   * best rows, many more than the page, are joined to the table one after the other until enough have passed, so that neither
   * a row the condition refuses nor one the table has no more takes a place. Where that does not fill the page, `pageOfAll`
   * does. FTS5's own ORDER BY rank would sort all that match, with the positions of their words. Sorted by BM25 as FTS5 gives
   * it, smaller being better, so that a row too far down is passed over before its score is turned round.
   */
  page(db: Selecting): BuiltSelect {
    return this.#remembered("page", () => this.#pageOf(db, sql`(${this.#ranked}) "_dv_hit"`));
  }

  /** The same over everything that matches: which rows pass the condition is found first, and FTS5 scores only those. */
  pageOfAll(db: Selecting): BuiltSelect {
    const { key, table } = this.#keyed;
    const passing = db
      .select({ id: sql`${key[0]}` })
      .from(table)
      .where(this.#where);
    const hits = sql`(select rowid as "_dv_id", ${this.scoreOf(this.#weights)} as "_dv_score" from ${this.#fts(sql.placeholder(MATCH))} and +rowid in ${passing}) "_dv_hit"`;
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
   * As `page`, with further rows of the same run of FTS5, told apart by the last field. Where the id is the key they stand in
   * front of its best rows, having NULL to be sorted by. Else a temporary table holds all that match. A run of its own for them
   * would count every word's rows again, which BM25 needs; an IN that is the condition of a CASE, not its value, is asked of a
   * Bloom filter first. BM25 as FTS5's hidden column is cheaper for each row than the function, which pays for that question; to say
   * its weights takes 10 µs, which `page` saves for the sake of rare words.
   */
  pageWith(db: Selecting, among: readonly Row[]): BuiltSelect {
    // Of the keys only their shape stands in the text.
    return this.#remembered(`with ${keysForm(among)}`, () => {
      const { key } = this.#keyed;
      const names = key.map((_, i) => sql.identifier(`key${i}`));
      const keyParts = key.map((part, i) => this.#plain(this.#idOrKey(sql`"_dv_id"`, i), part));
      const { all, best, others } = this.#isRowid ? this.#inFront(among) : this.#beside(among);
      const found = this.#pageOf(db, sql`(select "_dv_id", "_dv_score" from ${best}) "_dv_hit"`);
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
    const weights = written(this.#weights).map((weight) => (weight.includes("e") ? `''${weight}''` : weight));
    const bm25 = sql.raw(`'bm25(${weights.join(", ")})'`);
    const sorted = sql`select +rowid as "_dv_id", case when ${isAsked} then null else rank end as "_dv_rank", case when ${isAsked} then rank end as "_dv_other" from ${this.#fts(sql.placeholder(MATCH))} and rank match ${bm25} order by 2 limit ${sql.placeholder(BEST)}`;
    return {
      // The condition keeps the subquery one: a temporary table sorted by itself has all columns of every row computed, kept or not.
      all: sql`select "_dv_id", -case when "_dv_rank" is null then "_dv_other" else "_dv_rank" end as "_dv_score", "_dv_rank" from (${sorted}) where +"_dv_id" is not null`,
      // In a join SQLite leaves out the ORDER BY of a subquery without a LIMIT, and PRAGMA reverse_unordered_selects turns round what has none.
      best: sql`"_dv_all" where "_dv_rank" is not null order by "_dv_rank", "_dv_id" limit -1`,
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

  /**
   * What auxiliary functions of FTS5 say of rows by their keys; rows that do not match are left out. Keys first, then the values.
   *
   * @param expressions - the functions' calls
   */
  auxiliary(db: Selecting, keys: readonly Row[], expressions: readonly SQL[]): SelectBuilder {
    const { key } = this.#keyed;
    const names = expressions.map((_, i) => sql.identifier(`v${i}`));
    const values = expressions.map((value, i) => sql`${value} as ${names[i]!}`);
    const hits = sql`(select rowid as "_dv_id", ${listOf(values)} from ${this.#fts(sql.placeholder(MATCH))} and +rowid in (${this.#idsOf(keys)})) "_dv_hit"`;
    const keyFields = key.map((part, i) => [`key${i}`, this.#plain(this.#idOrKey(sql`"_dv_hit"."_dv_id"`, i), part)]);
    const select = db
      .select({
        ...Object.fromEntries(keyFields),
        ...Object.fromEntries(names.map((name, i) => [`v${i}`, sql`"_dv_hit".${name}`])),
      })
      .from(hits);
    if (this.#isRowid) return select;
    return select.crossJoin(this.#keys).where(sql`"_dv_key".id = "_dv_hit"."_dv_id"`);
  }

  /** What `auxiliary` asks for. */
  auxiliaryValues(expression: string, keys: readonly Row[]): Values {
    return { [MATCH]: expression, [OTHERS]: keysToJson(keys) };
  }

  /**
   * Counts the rows that match, up to one more than `page` has looked at: with so many a page that is not full may yet be filled.
   * Undefined where it has looked at all.
   */
  countStep(expression: string, page: Page): { readonly step: RowsStep; readonly lookedAt: number } | undefined {
    if (!this.#isRowid) return undefined;
    const lookedAt = this.#bestOf(page);
    const fts = identifier(namesOf(this.#name).tables.fts);
    const counted = `select 1 from ${fts} where ${fts} match ? limit ${lookedAt + 1}`;
    return { step: { type: "rows", sql: `select count(*) from (${counted})`, params: [expression] }, lookedAt };
  }

  /** The condition that a row has no word or phrase that a match excludes; undefined where there are none. */
  without({ unwanted }: Match): SQL | undefined {
    if (unwanted === undefined) return undefined;
    const { key } = this.#keyed;
    const ids = sql`select rowid from ${this.#fts(unwanted)}`;
    if (this.#isRowid) return sql`${key[0]} not in (${ids})`;
    const isKey = key.map((part, i) => sql`${sql.raw(`"_dv_key".k${i}`)} = ${part}`);
    return sql`not exists (select 1 from ${this.#keys} where ${allOf([...isKey, sql`"_dv_key".id in (${ids})`])})`;
  }

  /** FTS5's table by its declared name, for its auxiliary functions. */
  get fts(): SQL {
    return sql`${sql.identifier(namesOf(this.#name).tables.fts)}`;
  }

  #fts(match: unknown): SQL {
    return sql`${this.fts} where ${this.fts} match ${match}`;
  }

  /** The table of keys and ids, where the id is not the key. */
  get #keys(): SQL {
    return sql`${sql.identifier(namesOf(this.#name).tables.keys)} "_dv_key"`;
  }

  /** The same where a condition of the user's is in sight: its `id`, written without a table, is never the map's. */
  get #keysBeside(): SQL {
    const parts = this.#keyed.key.map((_, i) => sql.raw(`k${i} as "_dv_key${i}"`));
    const map = sql.identifier(namesOf(this.#name).tables.keys);
    return sql`(select id as "_dv_key_id", ${listOf(parts)} from ${map}) "_dv_key"`;
  }

  #idOrKey(id: SQL, part: number): SQL {
    return this.#isRowid ? id : sql.raw(`"_dv_key".k${part}`);
  }

  /** The ids of rows whose keys the placeholder holds as JSON. */
  #idsOf(keys: readonly Row[]): SQL {
    const { key } = this.#keyed;
    const asked = sql`${sql.raw(JSON_EACH)}(${sql.placeholder(OTHERS)}) "_dv_json"`;
    const parts = key.map((_, i) => keyPart(sql`"_dv_json"."value"`, i, key.length, keys));
    if (this.#isRowid) return sql`select ${parts[0]} from ${asked}`;
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

  /** BM25: larger is better. */
  scoreOf(weights: readonly number[]): SQL {
    return sql`-${this.#rankOf(weights)}`;
  }

  /** What FTS5 finds with its score: the best rows, or all where the id does not tell the order of the key. */
  get #ranked(): SQL {
    const all = sql`select +rowid as "_dv_id", ${this.scoreOf(this.#weights)} as "_dv_score" from ${this.#fts(sql.placeholder(MATCH))}`;
    if (!this.#isRowid) return all;
    return sql`${all} order by ${this.#rankOf(this.#weights)}, 1 limit ${sql.placeholder(BEST)}`;
  }

  /** A page of the rows that are in the table and match the condition; `hits` are ids with scores, best first if the id is the key. */
  #pageOf(db: Selecting, hits: SQL): SelectBuilder {
    const { key, table } = this.#keyed;
    const where = this.#where;
    const fields = key.map((part, i) => [`key${i}`, sql`${this.#plain(sql`${part}`, part)}`.as(`key${i}`)]);
    const select = db
      .select({ ...Object.fromEntries(fields), score: sql`"_dv_hit"."_dv_score"`.as("_dv_score") })
      .from(hits);
    const joined = this.#isRowid
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
    return readPart(value, part, this.#isAsync);
  }

  /**
   * How many of FTS5's best rows are joined to the table where the id is the key: more than the page by far, since a condition
   * may refuse some and the table may have others no more. Where the id does not tell the order of the key all are: of equal
   * scores the wrong ones could be left.
   */
  #bestOf({ limit, offset }: Page): number {
    return this.#where ? Math.max(BEST_MIN, BEST_SHARE * (limit + offset)) : limit + offset + SPARE;
  }

  /**
   * The text of a statement, built once: that takes longer than to find a rare word. One without a condition is the same for all
   * queries of the same weights, else for those of one prepared search.
   */
  #remembered(name: string, build: () => SelectBuilder): BuiltSelect {
    const key = `${name} ${this.#isAsync} ${this.#weights}`;
    let known = this.#statements.get(key);
    if (!known) {
      const text = build().toSQL();
      known = { toSQL: () => text };
      if (this.#statements.size >= STATEMENTS_MAX) this.#statements.clear();
      this.#statements.set(key, known);
    }
    return known;
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
