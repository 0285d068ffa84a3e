import { describe } from "../codec/codec.ts";
import { DeclarationError } from "../errors.ts";

/** How FTS5's `unicode61` cuts text into words. */
export interface Unicode61Options {
  /** `true` (default): `é` finds `e` and the other way round. */
  removeDiacritics?: boolean;
  /** Further characters that belong to a word: `"-_"`. */
  tokenchars?: string;
  /** Letters and digits that end a word. */
  separators?: string;
  /** The Unicode categories a word is made of, two letters or a letter and `*` each; FTS5's default is `L* N* Co`. */
  categories?: string;
}

/** How FTS5's `trigram` cuts text into pieces of three characters: any substring of three or more is found. */
export interface TrigramOptions {
  /** `false` by default. */
  caseSensitive?: boolean;
  /** `false` by default; `true` needs SQLite 3.45 in every program that writes, and excludes `caseSensitive`. */
  removeDiacritics?: boolean;
}

/** A tokenizer by name, or with its options. `porter` stems English words that `unicode61` has cut. */
export type Tokenizer =
  | "unicode61"
  | "porter"
  | "trigram"
  | ({ name: "unicode61" } & Unicode61Options)
  | ({ name: "porter" } & Unicode61Options)
  | ({ name: "trigram" } & TrigramOptions);

interface Check {
  readonly expected: string;
  readonly passes: (value: unknown) => boolean;
}

const isFlag: Check = { expected: "true or false", passes: (value) => typeof value === "boolean" };
/** SQLite keeps neither: NUL would end the text, half a surrogate pair would come back as another character. */
const isText: Check = {
  expected: "a text without NUL and lone surrogates",
  passes: (value) => typeof value === "string" && !/\0|\p{Cs}/u.test(value),
};
/** @see https://www.sqlite.org/src/file/ext/fts5/fts5_unicode2.c, sqlite3Fts5UnicodeCatParse */
const CATEGORY = /^(C[cfnso*]|L[lmotuC*]|M[cen*]|N[dlo*]|P[cdefios*]|S[ckmo*]|Z[lps*])$/;
/** Of none of them no text would have a word. */
const isCategories: Check = {
  expected: "Unicode categories such as L* M* N* Co",
  passes: (value) => typeof value === "string" && value.split(" ").every((category) => CATEGORY.test(category)),
};

const UNICODE61 = { removeDiacritics: isFlag, tokenchars: isText, separators: isText, categories: isCategories };
const OPTIONS: ReadonlyMap<unknown, Record<string, Check>> = new Map<unknown, Record<string, Check>>([
  ["unicode61", UNICODE61],
  ["porter", UNICODE61],
  ["trigram", { caseSensitive: isFlag, removeDiacritics: isFlag }],
]);

/**
 * The value of FTS5's option `tokenize`, always in the same words for the same tokenizer.
 *
 * @example tokenizerText("porter") // porter unicode61 remove_diacritics 2
 * @example tokenizerText({ name: "unicode61", tokenchars: "-" }) // unicode61 remove_diacritics 2 tokenchars '-'
 * @throws {DeclarationError} for an unknown tokenizer or option
 */
export function tokenizerText(tokenizer: Tokenizer, subject: string): string {
  const given = Object.entries(typeof tokenizer === "object" && tokenizer !== null ? tokenizer : { name: tokenizer });
  const name = given.find(([key]) => key === "name")?.[1];
  const known = OPTIONS.get(name);
  if (!known) {
    const got = describe(name);
    throw new DeclarationError({ subject, expected: "a tokenizer of unicode61, porter, trigram", got });
  }
  const options = new Map<string, unknown>();
  for (const [option, value] of given) {
    if (option === "name" || value === undefined) continue;
    const check = Object.hasOwn(known, option) ? known[option] : undefined;
    if (!check?.passes(value)) {
      throw new DeclarationError({
        subject,
        expected: check ? `${option} to be ${check.expected}` : `options of ${name}: ${Object.keys(known).join(", ")}`,
        got: check ? describe(value) : option,
      });
    }
    options.set(option, value);
  }
  return name === "trigram" ? trigramText(options, subject) : unicode61Text(name as string, options);
}

function unicode61Text(name: string, options: ReadonlyMap<string, unknown>): string {
  // FTS5's own default, 1, leaves letters with two marks as they are; 2 is what its documentation recommends.
  const words = ["unicode61", "remove_diacritics", options.get("removeDiacritics") === false ? "0" : "2"];
  for (const option of ["categories", "tokenchars", "separators"]) {
    const value = options.get(option);
    // FTS5 takes single quotes here and no others.
    if (value !== undefined) words.push(option, `'${String(value).replaceAll("'", "''")}'`);
  }
  return (name === "porter" ? ["porter", ...words] : words).join(" ");
}

function trigramText(options: ReadonlyMap<string, unknown>, subject: string): string {
  const isCaseSensitive = options.get("caseSensitive") === true;
  const removesDiacritics = options.get("removeDiacritics") === true;
  if (isCaseSensitive && removesDiacritics) {
    const expected = "caseSensitive or removeDiacritics";
    throw new DeclarationError({ subject, expected, got: "both, which FTS5 refuses" });
  }
  return `trigram${isCaseSensitive ? " case_sensitive 1" : ""}${removesDiacritics ? " remove_diacritics 1" : ""}`;
}
