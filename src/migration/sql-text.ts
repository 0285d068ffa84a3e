import { foldName } from "../schema/names.ts";

/** A name as SQL: `"docs"`. SQLite writes names so itself when it rewrites a trigger after a rename. */
export function identifier(name: string): string {
  return name.includes('"') ? `"${name.replaceAll('"', '""')}"` : `"${name}"`;
}

/** A text as SQL: `'it''s'`. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/**
 * A table-valued function of SQLite's own as SQL: `"_dv".pragma_table_xinfo`. By its bare name a table or a view of the user's that
 * is called so would be found first, in any schema, and so would a CTE around a query of ours. With a schema in front SQLite
 * looks for a table in that one alone and then for the function, whichever schema it is; in this one there are no tables, because
 * nobody attaches a database by that name. (Found so with SQLite 3.36 to 3.54, although its documentation knows such functions
 * in `main` only.) Triggers may not name a schema.
 */
export function eponymous(name: string): string {
  return `"_dv".${name}`;
}

export const JSON_EACH = eponymous("json_each");

/** A statement cut at white space and comments. `word` holds keywords, numbers and bare names alike. */
export interface Token {
  readonly kind: "word" | "quoted" | "string" | "sign";
  /** As written. */
  readonly text: string;
  /** Whether white space or a comment stands in front. */
  readonly spaced: boolean;
}

const TOKEN =
  /(\s+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|('(?:[^']|'')*')|("(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])|([\p{L}\p{N}_$\u0080-\u{10ffff}]+)|([\s\S])/gu;

/** @param most - of so many tokens the statement is cut no further */
export function tokensOf(sql: string, most = Number.POSITIVE_INFINITY): Token[] {
  const tokens: Token[] = [];
  let spaced = false;
  for (const [text, gap, string, quoted, word] of sql.matchAll(TOKEN)) {
    if (gap !== undefined) {
      spaced = true;
      continue;
    }
    tokens.push({ kind: string ? "string" : quoted ? "quoted" : word ? "word" : "sign", text, spaced });
    if (tokens.length >= most) break;
    spaced = false;
  }
  return tokens;
}

/** The name a token stands for, or undefined where it is no name. */
export function nameIn({ kind, text }: Token): string | undefined {
  if (kind === "word") return text;
  if (kind !== "quoted") return undefined;
  const quote = text[0]!;
  const inner = text.slice(1, -1);
  return quote === "[" ? inner : inner.replaceAll(quote + quote, quote);
}

/** Tokens as text on one line, without comments. */
export function textOf(tokens: readonly Token[]): string {
  return tokens.map(({ text, spaced }, i) => (spaced && i > 0 ? ` ${text}` : text)).join("");
}

/**
 * Whether two statements say the same: white space, comments, the way names are quoted and the case of names and keywords do
 * not count. So a trigger that SQLite rewrote after a rename equals the one we would write now.
 */
export function isSameSql(a: string, b: string): boolean {
  // Most often SQLite has kept the text as it was given, and cutting both into tokens takes a hundred times as long.
  return a === b || canonical(a) === canonical(b);
}

function canonical(sql: string): string {
  const tokens = tokensOf(sql).map((token) => {
    const name = nameIn(token);
    return name === undefined ? token.text : foldName(name);
  });
  return JSON.stringify(tokens);
}

/** The index just behind the bracket that closes the one at `open`. */
export function closing(tokens: readonly Token[], open: number): number {
  let depth = 0;
  for (let i = open; i < tokens.length; i++) {
    if (isSign(tokens[i], "(")) depth++;
    if (isSign(tokens[i], ")") && --depth === 0) return i + 1;
  }
  return tokens.length;
}

export function isSign(token: Token | undefined, sign: string): boolean {
  return token?.kind === "sign" && token.text === sign;
}

export function isWord(token: Token | undefined, word: string): boolean {
  return token?.kind === "word" && foldName(token.text) === word;
}
