import type { Placeholder, SQL } from "drizzle-orm";
import type { Driver, Row, Step, Steps } from "../driver/driver.ts";
import type { IndexDefinition } from "../migration/definition.ts";
import type { SearchIndex } from "../schema/search-index.ts";
import type { Match } from "../text/match.ts";
import { compareKeys } from "./key.ts";
import { type KeyedTable, keyOf } from "./keyed-table.ts";
import { declarationOf } from "./search-attachment.ts";
import { type TextOptions, weightsOption } from "./search-options.ts";
import type { Values } from "./search-query.ts";
import { askText } from "./text-damage.ts";
import { type Page, TextSelects } from "./text-selects.ts";
import { TextWords } from "./text-words.ts";

/** A row that FTS5 found, and its BM25 score: larger is better. */
export interface Scored {
  readonly key: Row;
  readonly score: number;
}

/** Rows found, best first, and the scores of further rows that match. */
export interface FoundText {
  readonly match: Match;
  readonly candidates: readonly Scored[];
  /** Of the rows asked for beside them, those that match the text. */
  readonly others: readonly Scored[];
}

interface LegInput {
  readonly driver: Driver;
  readonly index: SearchIndex;
  readonly keyed: KeyedTable;
  readonly text: string | Placeholder;
  readonly where: SQL | undefined;
  readonly options: TextOptions;
}

/** A person's text over a text index, its options checked: what `search` is, and one leg of `hybrid`. */
export class TextLeg {
  readonly declared: IndexDefinition;
  /** One a text column, in the index's order. */
  readonly weights: readonly number[];
  readonly words: TextWords;
  readonly selects: TextSelects;
  readonly #keyed: KeyedTable;
  readonly #isAsync: boolean;

  constructor({ driver, index, keyed, text, where, options }: LegInput) {
    this.declared = declarationOf(index, driver);
    this.weights = weightsOption(options.weights, index);
    this.#keyed = keyed;
    this.#isAsync = driver.kind === "async";
    const { declared, weights } = this;
    this.words = new TextWords({ index, text, options, weights });
    this.selects = new TextSelects({ declared, keyed, where, weights, isAsync: this.#isAsync });
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
    if (page.limit === 0) return { match: known ?? this.words.asWritten(values), candidates: [], others: [] };
    const match = known ?? (yield* this.words.match(values));
    const { expression } = match;
    if (expression === undefined) return { match, candidates: [], others: [] };
    const { selects } = this;
    const filled = { ...values, ...selects.values(expression, page, among) };
    let candidates: readonly Scored[];
    let others: readonly Scored[] = [];
    if (among === undefined) {
      const rows = yield* this.#ask({ type: "query", build: (db) => selects.page(db), values: filled });
      candidates = rows.map((row) => this.#scored(row));
    } else {
      const rows = yield* this.#ask({ type: "query", build: (db) => selects.pageWith(db, among), values: filled });
      ({ candidates, others } = this.#apart(rows, page));
    }
    if (candidates.length < page.limit && (yield* this.#hasMore(expression, page))) {
      const rows = yield* this.#ask({ type: "query", build: (db) => selects.pageOfAll(db), values: filled });
      candidates = rows.map((row) => this.#scored(row));
    }
    return { match, candidates, others };
  }

  /** Whether more rows match the text than were looked at, so that a page that is not full may yet be filled. */
  *#hasMore(expression: string, page: Page): Steps<boolean> {
    const counting = this.selects.countStep(expression, page);
    if (!counting) return false;
    const [row] = yield* this.#ask(counting.step);
    return Number(row?.[0]) > counting.lookedAt;
  }

  /** The page and the further rows, of what `pageWith` gave. */
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
   * For rows by their keys, what each column's words count: BM25 of that column alone with its weight. A word that stands in
   * several columns counts less than twice in the whole score, so that the parts may add up to more than it.
   */
  *columnScores(match: Match, keys: readonly Row[]): Steps<{ key: Row; values: Row }[]> {
    const alone = this.weights.map((_, column) => this.weights.map((weight, i) => (i === column ? weight : 0)));
    return yield* this.auxiliary(
      match.expression,
      keys,
      alone.map((weights) => this.selects.scoreOf(weights)),
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
    const rows = yield* this.#ask({
      type: "query",
      build: (db) => this.selects.auxiliary(db, keys, expressions),
      values: this.selects.auxiliaryValues(expression, keys),
    });
    return rows.map((row) => ({ key: this.#key(row), values: row.slice(this.#keyed.key.length) }));
  }

  #scored(row: Row): Scored {
    return { key: this.#key(row), score: Number(row.at(-1)) };
  }

  #key(row: Row): Row {
    return keyOf(row, this.#keyed, this.#isAsync);
  }

  #ask(step: Step): Steps<Row[]> {
    return askText(this.declared.name, step);
  }
}
