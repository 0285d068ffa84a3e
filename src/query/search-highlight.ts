import { type SQL, sql } from "drizzle-orm";
import { describe } from "../codec/codec.ts";
import type { Row, Steps } from "../driver/driver.ts";
import { InvalidOptionError } from "../errors.ts";
import type { SearchIndex } from "../schema/search-index.ts";
import type { Match } from "../text/match.ts";
import { keysToJson } from "./key.ts";
import { knownOptions } from "./options.ts";
import type { TextLeg } from "./search-leg.ts";

/** What `$highlights` of a hit shows: the words that were found, marked in their text. */
export interface HighlightOptions<TText extends string = string> {
  /** The text columns to show; default all of the index. */
  columns?: readonly TText[];
  /** What stands before and behind what was found; default `<mark>` and `</mark>`. */
  tags?: readonly [open: string, close: string];
  /**
   * Only the best part of the text, of at most so many words, 1..64; default the whole text. Over a trigram index it is characters
   * that count, and two come on top.
   */
  snippet?: number;
  /** What stands where a snippet leaves text out; default `…`. */
  ellipsis?: string;
  /** Whether the text is escaped for HTML, the tags not; default `false`. */
  html?: boolean;
}

/** The columns of `highlight`, as they are in `$highlights`: null where a row's column is NULL or the row has none of the words. */
export type Highlights<TText extends string, THighlight> = THighlight extends HighlightOptions
  ? { $highlights: { [K in HighlightedColumns<TText, THighlight>]: string | null } }
  : unknown;

type HighlightedColumns<TText extends string, THighlight> = THighlight extends {
  readonly columns: readonly (infer K extends string)[];
}
  ? K
  : TText;

const OPTIONS = ["columns", "tags", "snippet", "ellipsis", "html"] as const;
const SNIPPET_MAX = 64;

/** The option `highlight`, checked. */
export class Highlighter {
  readonly #columns: readonly { key: string; index: number }[];
  readonly #open: string;
  readonly #close: string;
  readonly #ellipsis: string;
  readonly #snippet: number | undefined;
  readonly #isHtml: boolean;

  constructor(given: unknown, index: SearchIndex) {
    const naming = {
      subject: "highlight",
      expected: "an object such as { html: true }",
      member: "an option of highlight",
    };
    const options = knownOptions<HighlightOptions>(given, naming, OPTIONS);
    const known = index.text.map(({ key }) => key);
    const { columns = known, tags = ["<mark>", "</mark>"], ellipsis = "…", snippet, html = false } = options;
    if (!Array.isArray(columns)) throw wrong("highlight.columns", "an array of text columns", columns);
    this.#columns = columns.map((key: unknown) => {
      const at = known.indexOf(key as string);
      if (at < 0) throw wrong("highlight.columns", `text columns of ${index.name}: ${known.join(", ")}`, key);
      return { key: key as string, index: at };
    });
    if (!Array.isArray(tags) || tags.length !== 2 || !tags.every(isText)) {
      throw wrong("highlight.tags", "two texts without NUL, such as ['<b>', '</b>']", tags);
    }
    if (!isText(ellipsis)) throw wrong("highlight.ellipsis", "a text without NUL", ellipsis);
    if (snippet !== undefined && !(Number.isInteger(snippet) && snippet >= 1 && snippet <= SNIPPET_MAX)) {
      throw wrong("highlight.snippet", `a whole number of words, 1..${SNIPPET_MAX}`, snippet);
    }
    if (typeof html !== "boolean") throw wrong("highlight.html", "true or false", html);
    [this.#open, this.#close] = tags as [string, string];
    this.#ellipsis = ellipsis;
    this.#snippet = snippet;
    this.#isHtml = html;
  }

  /**
   * Marks the words in rows.
   *
   * SQL: `select …, highlight("_dv_docs_search_fts", 0, '<mark>', '</mark>') … where "_dv_docs_search_fts" match … and +rowid in (…)`
   *
   * @returns for each row its `$highlights`
   */
  *mark(leg: TextLeg, match: Match, keys: readonly Row[]): Steps<Record<string, string | null>[]> {
    const marks = this.#isHtml ? privateMarks() : { open: this.#open, close: this.#close };
    const rows = yield* leg.auxiliary(
      match.anywhere,
      keys,
      this.#columns.map(({ index }) => this.#expression(leg.selects.fts, index, marks)),
    );
    const found = new Map(rows.map(({ key, values }) => [keysToJson([key]), values]));
    return keys.map((key) => {
      const values = found.get(keysToJson([key]));
      return Object.fromEntries(
        this.#columns.map(({ key: column }, i) => [column, this.#shown(values?.[i], marks)]),
      ) as Record<string, string | null>;
    });
  }

  /** For a row that no text was looked for in. */
  none(): Record<string, string | null> {
    return Object.fromEntries(this.#columns.map(({ key }) => [key, null]));
  }

  #expression(fts: SQL, column: number, { open, close }: Marks): SQL {
    const at = sql.raw(String(column));
    return this.#snippet === undefined
      ? sql`highlight(${fts}, ${at}, ${open}, ${close})`
      : sql`snippet(${fts}, ${at}, ${open}, ${close}, ${this.#ellipsis}, ${sql.raw(String(this.#snippet))})`;
  }

  #shown(value: unknown, { open, close }: Marks): string | null {
    if (typeof value !== "string") return null;
    if (!this.#isHtml) return value;
    // As functions: in a text in their place `$` would have a meaning.
    return escapeHtml(value)
      .replaceAll(open, () => this.#open)
      .replaceAll(close, () => this.#close);
  }
}

interface Marks {
  readonly open: string;
  readonly close: string;
}

/** Marks that no text holds, so that tags can be put in their place once the text is escaped. */
function privateMarks(): Marks {
  const secret = Math.random().toString(36).slice(2);
  return { open: `\uE000${secret}\uE001`, close: `\uE001${secret}\uE000` };
}

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

function isText(value: unknown): value is string {
  return typeof value === "string" && !value.includes("\0");
}

function wrong(subject: string, expected: string, got: unknown): InvalidOptionError {
  return new InvalidOptionError({ subject, expected, got: describe(got) });
}
