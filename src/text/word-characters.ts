/** Which characters a tokenizer makes words of. */
export interface WordCharacters {
  /** Whether terms are compared in pieces of three characters, so that shorter ones can match nothing. */
  readonly isTrigram: boolean;
  /** Whether upper and lower case are the same to it. */
  readonly foldsCase: boolean;
  /** Whether it stems English, so that the index says its text is English. */
  readonly isEnglish: boolean;
  /** Matches one character of a word. Marks belong to the letter they stand on, whatever the tokenizer makes of them. */
  readonly isWord: RegExp;
  /** Matches a run of characters between words. */
  readonly between: RegExp;
  /** Matches what stands around the words of a text. */
  readonly around: RegExp;
}

/**
 * Reads a tokenizer's FTS5 text, as `searchIndex` keeps it.
 *
 * @param tokenizer - `porter unicode61 remove_diacritics 2 tokenchars '-_'`
 * @see https://www.sqlite.org/fts5.html, section 4.3.1: letters, numbers and private-use characters make words by default
 */
export function wordCharacters(tokenizer: string): WordCharacters {
  const isTrigram = tokenizer.startsWith("trigram");
  // A trigram may hold anything; what stands between words there is white space and punctuation, so that C++ stays whole.
  const categories = option(tokenizer, "categories") ?? (isTrigram ? "L* N* S* Co" : "L* N* Co");
  const classes = categories.split(" ").filter(Boolean).map(classOf).join("");
  const added = escaped(option(tokenizer, "tokenchars") ?? "");
  const separators = option(tokenizer, "separators") ?? "";
  const no = separators === "" ? "" : `(?![${escaped(separators)}])`;
  const between = `(?:(?!${no}[${classes}\\p{M}${added}])[^])+`;
  return {
    isTrigram,
    foldsCase: !tokenizer.includes("case_sensitive 1"),
    isEnglish: tokenizer.startsWith("porter"),
    // A mark alone is no word.
    isWord: new RegExp(`${no}[${classes}${added}]`, "u"),
    between: new RegExp(between, "u"),
    around: new RegExp(`^${between}|${between}$`, "gu"),
  };
}

/** The value of an option in FTS5's text, where it stands in single quotes. */
function option(tokenizer: string, name: string): string | undefined {
  return new RegExp(` ${name} '((?:[^']|'')*)'`).exec(tokenizer)?.[1]?.replaceAll("''", "'");
}

/** `L*` as `\p{L}`, `Nd` as `\p{Nd}`. */
function classOf(category: string): string {
  return /^[A-Z][a-zC*]$/.test(category) ? `\\p{${category.replace("*", "")}}` : "";
}

function escaped(characters: string): string {
  return [...characters].map((character) => `\\u{${character.codePointAt(0)!.toString(16)}}`).join("");
}
