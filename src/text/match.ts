/** Most terms of a query that are used: the cost of FTS5 grows with the square of their number. */
export const TERMS_MAX = 64;
/** Most UTF-16 units of a query that are read. */
export const TEXT_MAX = 4096;

export interface MatchOptions {
  /** `any`: a row with one of the terms is found, more terms rank higher. `all`: a row has to have every term. */
  readonly match: "any" | "all";
  /** The columns of the FTS5 table to look in; undefined for all. */
  readonly columns?: readonly string[] | undefined;
  /** Whether terms are compared in pieces of three characters, so that shorter ones can match nothing. */
  readonly isTrigram: boolean;
}

/** A text as an FTS5 query, and what became of its words. */
export interface Match {
  /** The right side of MATCH, or undefined where no term is left: nothing can match. */
  readonly expression: string | undefined;
  /** The terms used, in the order of the text, each once. */
  readonly terms: readonly string[];
  /** The pieces left out, and why. */
  readonly dropped: readonly {
    readonly piece: string;
    readonly reason: "no letter or digit" | "shorter than three characters" | "more than 64 terms";
  }[];
  /** Whether the text was longer than what is read. */
  readonly isCut: boolean;
}

/**
 * Turns any text a person may type into an FTS5 query that cannot fail. The text is split at white space; pieces without a
 * letter or digit are dropped; each piece left is quoted, so that FTS5's operators in it are words, and cut by the index's own
 * tokenizer exactly as the stored text was ("foo-bar" becomes the phrase foo bar).
 *
 * @see https://www.sqlite.org/fts5.html, section 3.1 (strings), 3.7 (column filters)
 */
export function matchOf(text: string, { match, columns, isTrigram }: MatchOptions): Match {
  const isCut = text.length > TEXT_MAX;
  const dropped: { piece: string; reason: Match["dropped"][number]["reason"] }[] = [];
  const terms = new Set<string>();
  for (const piece of readable(text).split(/\s+/u)) {
    if (piece === "" || terms.has(piece)) continue;
    // Co: private-use characters, which FTS5 takes for letters.
    if (!/[\p{L}\p{N}\p{Co}]/u.test(piece)) dropped.push({ piece, reason: "no letter or digit" });
    else if (isTrigram && [...piece].length < 3) dropped.push({ piece, reason: "shorter than three characters" });
    else if (terms.size === TERMS_MAX) dropped.push({ piece, reason: "more than 64 terms" });
    else terms.add(piece);
  }
  // A space is an implicit AND that ignores an empty phrase; the explicit AND would match nothing then.
  const joined = [...terms].map((term) => `"${term.replaceAll('"', '""')}"`).join(match === "any" ? " OR " : " ");
  const filter = columns === undefined ? "" : `{${columns.join(" ")}} : `;
  const expression = terms.size === 0 ? undefined : columns === undefined ? joined : `${filter}(${joined})`;
  return { expression, terms: [...terms], dropped, isCut };
}

/** The part that is read, without what SQLite's text cannot hold: NUL would end it, a lone surrogate is no character. */
function readable(text: string): string {
  return text
    .slice(0, TEXT_MAX)
    .replaceAll("\0", " ")
    .replace(/\p{Cs}/gu, "\uFFFD");
}
