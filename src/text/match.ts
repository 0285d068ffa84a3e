import { partsOfName } from "./name-parts.ts";
import { beginningsOf, isUnspaced, trigramsOf } from "./trigrams.ts";
import { endedAs } from "./unfinished.ts";
import type { WordCharacters } from "./word-characters.ts";

/** Most terms of a query that are used: the cost of FTS5 grows with the square of their number. */
export const TERMS_MAX = 64;
/** Most UTF-16 units of a query that are read. */
export const TEXT_MAX = 4096;
/**
 * Of a text that is cut, the most characters of a word or phrase that a trigram index is asked for: a common word repeated to this length
 * takes 20 ms, and one of 4,096 takes 850.
 */
const CUT_TERM_MAX = 128;

/** Words and phrases that a row is asked not to have in one go. */
const EXCLUDED_AT_ONCE = 4;

export interface MatchOptions {
  /** `any`: a row with one of the terms is found, more terms rank higher. `all`: a row has to have every term. */
  readonly match: "any" | "all";
  /** Whether the last word may be the beginning of one. */
  readonly prefix: boolean;
  /** Words that do not count while others remain, lower case. */
  readonly stopWords: ReadonlySet<string>;
  /** The columns of the FTS5 table to look in; undefined for all. */
  readonly columns?: readonly string[] | undefined;
  /** How the index cuts text. */
  readonly characters: WordCharacters;
  /** Names in code, as they stand in the text, that no row has: their parts are looked for. Of `any` only. */
  readonly unknown?: ReadonlySet<string> | undefined;
  /** Whether the last word, if it may be the beginning of one, is also looked for with the ending it seems to have begun. */
  readonly ends?: boolean | undefined;
  /** Places among the terms of an earlier match of the same text whose terms are in too many rows. */
  readonly tooCommon?: ReadonlySet<number> | undefined;
}

/** A text as an FTS5 query, and what became of its words. */
export interface Match {
  /** The right side of MATCH, or undefined where no term is left: nothing can match. */
  readonly expression: string | undefined;
  /** The same without the choice of columns and what is excluded, to mark the words of rows that were found wherever they stand. */
  readonly anywhere: string | undefined;
  /** The words and phrases used, in the order of the text, each once. */
  readonly terms: readonly string[];
  /** Each of the terms alone as the right side of MATCH. */
  readonly alone: readonly string[];
  /** The last word as the beginning of one and with an ending, as right sides of MATCH, where that may be another stem. */
  readonly unfinished: { readonly typed: string; readonly ended: string } | undefined;
  /** How much of the terms are words or phrases, 0..1; the rest are mere beginnings of runs without spaces. */
  readonly wholeness: number;
  /** Words and phrases that a row must not have. */
  readonly excluded: readonly string[];
  /** The right side of MATCH for the rows that have one of them; undefined where there are none. */
  readonly unwanted: string | undefined;
  /** The pieces left out, and why. */
  readonly dropped: readonly Dropped[];
  /** Whether the text was longer than what is read. */
  readonly isCut: boolean;
}

export interface Dropped {
  readonly piece: string;
  readonly reason:
    | "no letter or digit"
    | "shorter than three characters"
    | "more than 64 terms"
    | "in too many rows"
    | "stop word"
    | "asked for and excluded";
}

/**
 * Turns any text a person may type into an FTS5 query that cannot fail. Words between double quotes are a phrase, and a minus
 * in front of a word or phrase excludes it; nothing else is an operator. What is left is split at white space, and pieces
 * without a letter or digit are dropped.
 *
 * `all` takes each piece as one phrase: FTS5 cuts it as it cut the stored text, "foo-bar" becomes foo followed by bar. `any`
 * takes the words of a piece one by one: measured on the judged sets, nDCG@10 0.522 against 0.516 on cranfield and 0.969
 * against 0.966 on xquad-en, and the phrase beside its words was no gain (bench/quality.ts). Over a trigram index the words of
 * scripts that do not separate words, or build them inwards, become their trigrams; over others the former become beginnings.
 *
 * @see https://www.sqlite.org/fts5.html, section 3.1 (strings), 3.3 (prefixes), 3.7 (column filters)
 */
export function matchOf(text: string, options: MatchOptions): Match {
  const { characters, match, columns } = options;
  const isCut = text.length > TEXT_MAX;
  const dropped: Dropped[] = [];
  const terms = new Terms(characters.foldsCase);
  const parts = new Terms(characters.foldsCase);
  const stopped = new Terms(characters.foldsCase);
  const excluded = new Terms(characters.foldsCase);
  let unfinished: [typed: Term, ended: Term] | undefined;
  const drop = (piece: string, reason: Dropped["reason"]) => void dropped.push({ piece, reason });

  /** Adds a piece without what stands around it, or tells why not. */
  const take = (piece: string, into: Terms, isPrefix = false) => {
    const inner = piece.replace(characters.around, "");
    // What is excluded stays whole: its beginning alone would exclude other rows.
    const isShortened = isCut && characters.isTrigram && into !== excluded;
    const term = isShortened ? [...inner].slice(0, CUT_TERM_MAX).join("") : inner;
    if (!characters.isWord.test(piece)) drop(piece, "no letter or digit");
    else if (characters.isTrigram && [...term].length < 3) drop(piece, "shorter than three characters");
    else {
      const ended = isPrefix && characters.isEnglish ? endedAs(term) : undefined;
      if (ended && !ended.isSure) unfinished = [{ text: term, isPrefix }, ended.term];
      const composed = composedOf(term);
      if (ended && (ended.isSure || options.ends)) into.add(term, isPrefix, ended.term);
      else into.add(term, isPrefix, composed === undefined ? undefined : { text: composed, isPrefix });
    }
  };
  const pieces = piecesOf(readable(text), characters);
  // A word in front of a phrase or an exclusion has been typed to its end.
  const end = options.prefix && !characters.isTrigram ? pieces.at(-1) : undefined;
  const last = end?.kind === "word" ? end : undefined;
  const seen = new Set<string>();
  for (const piece of pieces) {
    if (seen.has(`${piece.kind} ${piece.text}`) && piece !== last) continue;
    seen.add(`${piece.kind} ${piece.text}`);
    if (piece.kind === "excluded") {
      take(piece.text, excluded);
    } else if (piece.kind === "phrase" || match === "all") {
      const isStopped = piece.kind === "word" && piece !== last;
      if (isStopped && isStopWord(piece.text.replace(characters.around, ""), options)) stopped.add(piece.text);
      else take(piece.text, terms, piece === last);
    } else {
      const words = wordsOf(piece.text, characters).flatMap((word) =>
        options.unknown?.has(word) ? partsOfName(word) : [word],
      );
      if (words.length === 0) drop(piece.text, "no letter or digit");
      for (const [i, word] of words.entries()) {
        const isPrefix = piece === last && i === words.length - 1;
        if (!isPrefix && isStopWord(word, options)) stopped.add(word);
        else {
          const isInParts = isUnspaced(word) && (!characters.isTrigram || [...word].length >= 3);
          if (!isInParts) take(word, terms, isPrefix);
          for (const form of [word, composedOf(word) ?? ""]) {
            if (characters.isTrigram) parts.addInTurn(trigramsOf(form));
            else if (isInParts) parts.addInTurn(beginningsOf(form, characters.isWord), true);
          }
        }
      }
    }
  }
  // A query of stop words alone is about them.
  if (terms.size + parts.size === 0) for (const word of stopped) terms.add(word.text);
  else for (const { text: word } of stopped) drop(word, "stop word");
  // Whole words first: they tell more than their pieces do.
  const beginnings = new Set(characters.isTrigram ? [] : parts);
  const all = [...terms, ...parts];
  for (const { text: term } of all.splice(TERMS_MAX)) drop(term, "more than 64 terms");
  const used = all.filter(({ text: term }, at) => {
    const isUsed = !options.tooCommon?.has(at);
    if (!isUsed) drop(term, "in too many rows");
    return isUsed;
  });
  const unwanted = [...excluded].filter(({ text: term }) => {
    if (!used.some(({ text: asked }) => excluded.isSame(asked, term))) return true;
    drop(term, "asked for and excluded");
    return false;
  });
  for (const { text: term } of unwanted.splice(TERMS_MAX)) drop(term, "more than 64 terms");

  const anywhere = used.length === 0 ? undefined : match === "any" ? used.map(quoted).join(" OR ") : allOf(used);
  const not = unwanted.length === 0 ? undefined : unwanted.map(quoted).join(" OR ");
  const whole = anywhere === undefined || not === undefined ? anywhere : `(${anywhere})${withoutAny(unwanted)}`;
  const inColumns = (query: string) => (columns ? `{${columns.join(" ")}} : (${query})` : query);
  const texts = (list: readonly Term[]) => list.map((term) => term.text);
  return {
    expression: whole && inColumns(whole),
    anywhere,
    terms: texts(used),
    unfinished: unfinished && { typed: inColumns(quoted(unfinished[0])), ended: inColumns(quoted(unfinished[1])) },
    wholeness: used.length === 0 ? 1 : used.filter((term) => !beginnings.has(term)).length / used.length,
    alone: used.map((term) => inColumns(quoted(term))),
    excluded: texts(unwanted),
    unwanted: not && inColumns(not),
    dropped,
    isCut,
  };
}

interface Piece {
  readonly kind: "word" | "phrase" | "excluded";
  readonly text: string;
}

/** A phrase, with or without a minus, or a run of anything but white space. A quote behind a letter or digit is inches. */
const PIECE = /(?:(?<!\S)(-))?(?<![\p{L}\p{N}])(?:"([^"]*)"|“([^“”]*)”)|([^\s"“”]+)/gu;

/** Phrases, exclusions, and all else split at white space. A quote without its partner is a separator. */
function piecesOf(text: string, characters: WordCharacters): Piece[] {
  const pieces: Piece[] = [];
  for (const [, minus, straight, curly, word] of text.matchAll(PIECE)) {
    const phrase = straight ?? curly;
    if (phrase !== undefined) {
      if (phrase.trim() !== "") pieces.push({ kind: minus === "-" ? "excluded" : "phrase", text: phrase.trim() });
    } else if (word !== undefined) {
      const without = /^-(?!-)(.*)$/u.exec(word)?.[1];
      if (without !== undefined && isExcludable(without, characters)) pieces.push({ kind: "excluded", text: without });
      else pieces.push({ kind: "word", text: word });
    }
  }
  return pieces;
}

/**
 * People also type the flags of commands and negative numbers: `docker run -it -p 80`, `ls -lh`. Those exclude nothing; what
 * is that short can be excluded as a phrase.
 */
function isExcludable(piece: string, { around, isWord }: WordCharacters): boolean {
  const [first] = piece;
  if (first === undefined || !isWord.test(first) || /\p{N}/u.test(first)) return false;
  return !/^[a-z]{1,2}$/i.test(piece.replace(around, ""));
}

/**
 * The words of a piece; over trigrams the whole piece where a word alone would be too short to find, and where nothing
 * separates words.
 */
function wordsOf(piece: string, { between, around, isTrigram, isWord }: WordCharacters): string[] {
  const words = piece.split(between).filter((word) => isWord.test(word));
  if (isTrigram && isUnspaced(piece)) return words.length === 0 ? [] : [piece];
  if (!isTrigram || words.length < 2 || words.every((word) => [...word].length >= 3)) return words;
  return [piece.replace(around, "")];
}

/** A word in capitals means something else: IT, WHO, NOT NULL. */
function isStopWord(word: string, { stopWords }: MatchOptions): boolean {
  const folded = word.toLowerCase();
  return stopWords.has(folded) && (word.length === 1 || word === folded || word !== word.toUpperCase());
}

/**
 * The word with its letters and marks composed (NFC), if it is not so: names of files on macOS are not, and keyboards type composed ones.
 * FTS5 takes the two for different words, but for Latin letters where it removes their marks.
 */
function composedOf(word: string): string | undefined {
  const composed = word.normalize("NFC");
  return composed === word ? undefined : composed;
}

/** The part that is read, without what SQLite's text cannot hold: NUL would end it, a lone surrogate is no character. */
function readable(text: string): string {
  return text
    .slice(0, TEXT_MAX)
    .replaceAll("\0", " ")
    .replace(/\p{Cs}/gu, "\uFFFD");
}

export interface Term {
  readonly text: string;
  readonly isPrefix: boolean;
  /** What does as well. */
  readonly or?: Term | undefined;
}

function quoted({ text, isPrefix, or }: Term): string {
  const term = `${phraseOf(text)}${isPrefix ? "*" : ""}`;
  return or ? `(${term} OR ${quoted(or)})` : term;
}

/** A space is an implicit AND that ignores an empty phrase; the explicit AND, which parentheses need, would match nothing then. */
function allOf(terms: readonly Term[]): string {
  const plain = terms.filter((term) => !term.or).map(quoted);
  const groups = terms.filter((term) => term.or).map(quoted);
  return [...(plain.length === 0 ? [] : [plain.join(" ")]), ...groups].join(" AND ");
}

/**
 * What is excluded, a few at a time: of a row that the first few refuse FTS5 asks no others, and those skip to the rows that are left.
 * All at once it reads every row of each: 64 of the most frequent words took two to five times as long. One by one, 64 rare words take
 * twice as long, as each is asked of every row.
 */
function withoutAny(unwanted: readonly Term[]): string {
  const few = Array.from({ length: Math.ceil(unwanted.length / EXCLUDED_AT_ONCE) }, (_, i) =>
    unwanted.slice(i * EXCLUDED_AT_ONCE, (i + 1) * EXCLUDED_AT_ONCE),
  );
  return few.map((terms) => ` NOT (${terms.map(quoted).join(" OR ")})`).join("");
}

/** A text as a phrase of FTS5, in which nothing means more than itself. */
export function phraseOf(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

/** Terms in order, each once, upper and lower case being the same where the tokenizer folds them. */
class Terms implements Iterable<Term> {
  readonly #terms = new Map<string, Term>();
  readonly #lists: (readonly Term[])[] = [];
  readonly #foldsCase: boolean;

  constructor(foldsCase: boolean) {
    this.#foldsCase = foldsCase;
  }

  get size(): number {
    return [...this].length;
  }

  add(text: string, isPrefix = false, or?: Term): void {
    const key = this.#key(text);
    if (isPrefix || !this.#terms.has(key)) this.#terms.set(key, { text, isPrefix, or });
  }

  /** Adds the first of each list, then the second of each, …: where there are too many, every word keeps some. */
  addInTurn(list: readonly string[], isPrefix = false): void {
    if (list.length > 0) this.#lists.push(list.map((text) => ({ text, isPrefix })));
  }

  isSame(a: string, b: string): boolean {
    return this.#key(a) === this.#key(b);
  }

  *[Symbol.iterator](): Iterator<Term> {
    yield* this.#terms.values();
    const seen = new Set(this.#terms.keys());
    const longest = Math.max(0, ...this.#lists.map(({ length }) => length));
    for (let i = 0; i < longest; i++) {
      for (const list of this.#lists) {
        const term = list[i];
        if (term === undefined || seen.has(this.#key(term.text))) continue;
        seen.add(this.#key(term.text));
        yield term;
      }
    }
  }

  #key(text: string): string {
    return this.#foldsCase ? text.toLowerCase() : text;
  }
}
