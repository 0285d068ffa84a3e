import { type Placeholder, type SQL, sql } from "drizzle-orm";
import type { SQLiteTable, SubqueryWithSelection } from "drizzle-orm/sqlite-core";
import { type Attachment, attachmentNamed, attachmentsOf } from "../change/attachment.ts";
import { describe } from "../codec/codec.ts";
import { casingOf } from "../driver/casing.ts";
import {
  type DbLike,
  type Driver,
  driverOf,
  type KindOf,
  type Row,
  type SelectBuilder,
  type Snapshot,
  type Steps,
} from "../driver/driver.ts";
import {
  DeclarationDriftError,
  IndexDetachedError,
  IndexFormatError,
  IndexMissingError,
  IndexPendingError,
  InvalidOptionError,
} from "../errors.ts";
import { definitionOf, FORMAT_VERSION, type IndexDefinition } from "../migration/definition.ts";
import { namesOf, REGISTRY } from "../schema/names.ts";
import { isSearchIndex, type SearchIndex } from "../schema/search-index.ts";
import { type Match, matchOf } from "../text/match.ts";
import { readingText, recordedDefinition } from "./damage.ts";
import { attach, type Fields, fetchStep, fieldsOf, hitsSelect } from "./fetch.ts";
import type { FieldOf, Flat, KeyOf, RowOf, Selected } from "./hit.ts";
import { hitsSubquery, type RankedColumn } from "./hits-subquery.ts";
import { type KeyedTable, keyedTable } from "./keyed-table.ts";
import { condition, isPlaceholder, knownOptions, LIMIT_DEFAULT, wholeNumber } from "./options.ts";
import { SearchQuery, type SubqueryOf, type Values } from "./search-query.ts";

export interface SearchOptions<TSelect> {
  /** Which fields a hit has, as in `db.select({...})`; default all columns but vectors. */
  select?: TSelect;
  /** Any Drizzle condition on the table, subqueries on others included. `limit` rows come back whenever that many match. */
  where?: SQL | undefined;
  /** Most hits, a whole number from 0 up; default 10. */
  limit?: number;
  /** Hits to leave out at the start, a whole number from 0 up; default 0. */
  offset?: number;
  /** `any` (default): one of the words is enough, rows with more of them rank higher. `all`: every word has to be there. */
  match?: "any" | "all";
}

const OPTIONS = ["select", "where", "limit", "offset", "match"] as const;

/** One row found: the selected fields and its BM25 score, larger is better. */
export type SearchHit<TTable extends SQLiteTable, TSelect> = Flat<
  (TSelect extends undefined ? RowOf<TTable["_"]["columns"]> : Selected<TSelect>) & { $score: number }
>;

/** How a search went. Times are milliseconds. */
export interface SearchExplain {
  plan: "full text";
  index: string;
  /** The right side of MATCH, or null where no word was left: nothing is asked of the database then. */
  match: string | null;
  /** The words used. */
  terms: readonly string[];
  /** The pieces of the text left out, and why. */
  dropped: Match["dropped"];
  /** Whether the text was longer than the 4,096 characters that are read. */
  isCut: boolean;
  /** The statement that finds the hits. */
  sql: string;
  /** The statement that reads their rows. */
  fetchSql: string;
  hits: number;
  ms: { find: number; fetch: number; total: number };
}

interface SearchSubquery<TTable extends SQLiteTable> extends SubqueryOf {
  readonly type: SubqueryWithSelection<
    KeyOf<TTable["_"]["columns"]> & { rank: RankedColumn<"rank">; score: RankedColumn<"score"> },
    this["alias"]
  >;
}

type TextIndex<TTable extends SQLiteTable> = SearchIndex<TTable, string, any>;

/**
 * Finds the rows whose text matches `text` best, best first; ties in the order of the primary key. BM25 with the weights of
 * the declaration. Any text is safe: it is cut into words, nothing in it is an operator; at most 64 words of 4,096 characters
 * count, and `explain` tells what was left out. A text without a word finds nothing.
 *
 * Reads one snapshot, inside a transaction with its own writes.
 *
 * SQL: `select …, -bm25("_dv_docs_search_fts", 3, 1) … where "_dv_docs_search_fts" match '"can" OR "join"'`, joined to the
 * table, so that rows are counted after `where`.
 *
 * @param db - a Drizzle database or transaction on better-sqlite3 (answers at once) or libSQL (promises)
 * @param index - a `searchIndex` with text columns
 * @param text - what a person typed, or `sql.placeholder("name")`
 * @returns a query to await, or to call `.all()`, `.get()`, `.explain()`, `.prepare()`, `.as("hits")` on
 * @throws {IndexMissingError} when the index is not in the database
 * @throws {IndexDetachedError} when writes may have gone by it: nothing is answered from stale data
 * @throws {IndexPendingError} while it is not filled
 * @throws {DeclarationDriftError} when the database was made by another declaration of its text
 * @throws {IndexFormatError | InvalidOptionError | UnsupportedKeyError | UnsupportedDriverError}
 * @example await search(db, docsSearch, "can I still join?", { where: eq(docs.course, "ml"), limit: 5 });
 */
export function search<
  TDb extends DbLike,
  TTable extends SQLiteTable,
  TSelect extends Record<string, FieldOf<TTable["_"]["name"]>> | undefined = undefined,
>(
  db: TDb,
  index: TextIndex<TTable>,
  text: string | Placeholder,
  options?: SearchOptions<TSelect>,
): SearchQuery<SearchHit<TTable, TSelect>, SearchExplain, SearchSubquery<TTable>, KindOf<TDb>> {
  const driver = driverOf(db);
  const query = new TextSearch(db, driver, index, text, options);
  return new SearchQuery({
    driver,
    *answer(values, snapshot) {
      const start = performance.now();
      const { match, candidates } = yield* query.find(values, snapshot);
      const found = performance.now();
      const rows = candidates.length === 0 ? [] : yield fetchStep(query.keyed, query.fields, candidates);
      const hits = attach(rows, candidates, ({ score }) => ({ $score: score }));
      const end = performance.now();
      return {
        hits: hits as SearchHit<TTable, TSelect>[],
        explain: {
          plan: "full text",
          index: query.index.name,
          match: match.expression ?? null,
          terms: match.terms,
          dropped: match.dropped,
          isCut: match.isCut,
          sql: query.select(db).toSQL().sql,
          fetchSql: hitsSelect(db, query.keyed, query.fields, candidates).toSQL().sql,
          hits: hits.length,
          ms: { find: found - start, fetch: end - found, total: end - start },
        },
      };
    },
    *freeze(alias, snapshot) {
      const { candidates } = yield* query.find({}, snapshot);
      const hits = candidates.map(({ key, score }) => ({ key, measure: score }));
      return hitsSubquery(db, query.keyed, alias, "score", query.fields, hits);
    },
  });
}

interface Scored {
  readonly key: Row;
  readonly score: number;
}

const MATCH = "_dv_match";

/** A search over a text index, its arguments checked. */
class TextSearch {
  readonly keyed: KeyedTable;
  readonly fields: Fields;
  readonly index: SearchIndex;
  readonly #driver: Driver;
  readonly #declared: IndexDefinition & { text: object };
  readonly #text: (values: Values) => string;
  readonly #where: SQL | undefined;
  readonly #limit: number;
  readonly #offset: number;
  readonly #match: "any" | "all";

  constructor(db: DbLike, driver: Driver, index: unknown, text: unknown, given: unknown) {
    if (!isSearchIndex(index) || index.text.length === 0) {
      throw new InvalidOptionError({
        subject: isSearchIndex(index) ? index.name : "index",
        expected: "a searchIndex with text columns",
        got: isSearchIndex(index) ? "one with vectors only" : describe(index),
      });
    }
    this.#driver = driver;
    this.index = index;
    this.keyed = keyedTable(index.table);
    const casing = casingOf(db);
    this.#declared = definitionOf(index, casing === undefined ? {} : { casing }) as IndexDefinition & { text: object };
    const options = knownOptions<SearchOptions<unknown>>(given, "search", OPTIONS);
    this.#where = condition(options.where);
    this.#limit = wholeNumber(options.limit, "limit", LIMIT_DEFAULT);
    this.#offset = wholeNumber(options.offset, "offset", 0);
    this.#match = matchOption(options.match);
    this.fields = fieldsOf(this.keyed, options.select, ["$score"]);
    const checked = isPlaceholder(text) ? undefined : checkText(text);
    this.#text = (values) => checked ?? checkText(values[(text as Placeholder).name]);
  }

  /**
   * The select that finds keys and scores. The matching rows are joined to the table before they are counted, so that a row
   * the condition refuses takes no place. FTS5 stands first and its rowid behind a plus: looked up by rowid, it would run the
   * whole query again for each row.
   */
  select(db: DbLike): SelectBuilder {
    const { tables } = namesOf(this.#declared.name);
    const fts = sql.identifier(tables.fts);
    const weights = this.index.text.map(({ weight }) => weight);
    const score = sql`-bm25(${fts}, ${sql.raw(weights.join(", "))})`;
    const { key, table } = this.keyed;
    const hits = sql`(select +rowid as "_dv_id", ${score} as "_dv_score" from ${fts} where ${fts} match ${sql.placeholder(MATCH)}) "_dv_hit"`;
    // A client that reads integers as numbers would round large keys.
    const isExact = this.#driver.kind === "sync";
    const fields = key.map((part, i) => [`key${i}`, isExact ? sql`${part}` : sql`cast(${part} as text)`]);
    const select = db.select({ ...Object.fromEntries(fields), score: sql`"_dv_hit"."_dv_score"` }).from(hits);
    const joined = this.#declared.key.isRowid
      ? select.innerJoin(table, sql`${key[0]} = "_dv_hit"."_dv_id"`)
      : select
          .innerJoin(sql`${sql.identifier(tables.keys)} "_dv_key"`, sql`"_dv_key".id = "_dv_hit"."_dv_id"`)
          .innerJoin(
            table,
            sql.join(
              key.map((part, i) => sql`${part} = "_dv_key".${sql.raw(`k${i}`)}`),
              sql` and `,
            ),
          );
    return joined
      .where(this.#where)
      .orderBy(sql`"_dv_hit"."_dv_score" desc`, ...key)
      .limit(this.#limit)
      .offset(this.#offset);
  }

  *find(values: Values, snapshot: Snapshot): Steps<{ match: Match; candidates: Scored[] }> {
    const match = matchOf(this.#text(values), {
      match: this.#match,
      columns: this.#columns(),
      isTrigram: this.index.tokenizer.startsWith("trigram"),
    });
    yield* this.#check(snapshot);
    if (match.expression === undefined || this.#limit === 0) return { match, candidates: [] };
    const rows = yield* readingText(this.#declared.name, {
      type: "query",
      build: (db) => this.select(db),
      values: { ...values, [MATCH]: match.expression },
    });
    return { match, candidates: rows.map((row) => ({ key: row.slice(0, -1), score: Number(row.at(-1)) })) };
  }

  /** A column of weight 0 is there for highlights only: its words neither find a row nor count. */
  #columns(): string[] | undefined {
    const columns = this.index.text.flatMap(({ weight }, i) => (weight > 0 ? [`c${i}`] : []));
    return columns.length === this.index.text.length ? undefined : columns;
  }

  /** Throws unless the index is there, follows every write, is filled, and was made by this declaration. */
  *#check(snapshot: Snapshot): Steps<void> {
    const { name } = this.#declared;
    const attachment = attachmentNamed(yield* attachmentsOf(this.#driver, snapshot), name);
    if (!attachment) {
      throw new IndexMissingError({
        subject: name,
        expected: "a search index in the database",
        got: "none of that name",
        hint: `Run "drizzle-vector generate" and your migrations, or ensureSearchIndexes(db, [index]) where you have none.`,
      });
    }
    checkAttached(attachment);
    // These may change without the schema: read anew each time.
    const [row]: Row[] = yield {
      type: "rows",
      sql: `select definition, pending, hash from "${REGISTRY}" where name = ?`,
      params: [name],
    };
    this.#checkDeclared(recordedDefinition(name, row));
    if (row![1] === null) return;
    throw new IndexPendingError({
      subject: name,
      expected: "a text index that is filled",
      got: "one that is still empty or being filled",
      hint: `Run "drizzle-vector rebuild ${name}", or wait until it is done.`,
    });
  }

  #checkDeclared(recorded: IndexDefinition): void {
    const textOf = ({ table, key, text }: IndexDefinition) =>
      JSON.stringify([table, key, text?.tokenizer, text?.columns.map(({ column }) => column)]);
    if (textOf(recorded) === textOf(this.#declared)) return;
    throw new DeclarationDriftError({
      subject: this.#declared.name,
      expected: `the text declared in the schema: ${sentence(this.#declared)}`,
      got: `in the database: ${sentence(recorded)}`,
      hint: `Run "drizzle-vector generate" and your migrations.`,
    });
  }
}

function checkAttached({ name, record, problems }: Attachment): void {
  if (record.format > FORMAT_VERSION) {
    throw new IndexFormatError({
      subject: name,
      expected: `a search index of format ${FORMAT_VERSION}`,
      got: `format ${record.format}`,
      hint: "Update drizzle-vector: the database was written by a newer version.",
    });
  }
  if (problems.length === 0) return;
  throw new IndexDetachedError({
    subject: name,
    expected: "a search index that follows every write",
    got: problems.map(({ message }) => message).join("; "),
    hint:
      record.managed === "migrations"
        ? `Run "drizzle-vector rebuild ${name}" to repair this database, and "drizzle-vector generate" to repair the migrations.`
        : "Run ensureSearchIndexes(db, [index]), which repairs it.",
  });
}

function sentence({ text }: IndexDefinition): string {
  return text === null ? "no text" : `${text.columns.map(({ column }) => column).join(", ")} with ${text.tokenizer}`;
}

function matchOption(match: unknown): "any" | "all" {
  if (match === undefined) return "any";
  if (match === "any" || match === "all") return match;
  throw new InvalidOptionError({ subject: "match", expected: "any or all", got: describe(match) });
}

function checkText(text: unknown): string {
  if (typeof text === "string") return text;
  throw new InvalidOptionError({ subject: "text", expected: "a string to search for", got: describe(text) });
}
