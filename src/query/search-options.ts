import { describe } from "../codec/codec.ts";
import { InvalidOptionError } from "../errors.ts";
import { isWeight, type SearchIndex, WEIGHT_MAX } from "../schema/search-index.ts";
import { ENGLISH_STOP_WORDS } from "../text/stop-words.ts";
import { isSmuggled } from "./options.ts";

/** How a person's text is looked for; what `search` and `hybrid` have in common. */
export interface TextOptions<TText extends string = string> {
  /** `any` (default): one of the words is enough, rows with more of them rank higher. `all`: every word has to be there. */
  match?: "any" | "all";
  /** Whether the last word may be the beginning of one, for search as you type; default `false`. */
  prefix?: boolean;
  /** What a word in each column counts, over the declared weights; 0 leaves a column out. */
  weights?: { readonly [K in TText]?: number };
  /**
   * Words that do not count as long as others remain: `true` for English ones, or your own. Default `true` over a `porter`
   * index with `match: "any"`, else `false`.
   */
  stopWords?: boolean | readonly string[];
}

export const TEXT_OPTIONS = ["match", "prefix", "weights", "stopWords"] as const;

/** @throws {InvalidOptionError} when an index has vectors only */
export function checkHasText({ name, text, vectors }: SearchIndex): void {
  if (text.length > 0) return;
  throw new InvalidOptionError({
    subject: name,
    expected: "a searchIndex with text columns",
    got: "one with vectors only",
    hint: `Use nearest(db, table.${vectors[0]!.key}, vector), or declare text columns under "text" in the index.`,
  });
}

/** The weight of each text column of the index, in its order. */
export function weightsOption(weights: unknown, { name, text }: SearchIndex): number[] {
  const own = weights === undefined ? {} : checkObject(weights);
  const known = text.map(({ key }) => key);
  const unknown = Object.keys(own).find((key) => !isSmuggled(key) && !known.includes(key));
  if (unknown !== undefined) {
    throw new InvalidOptionError({
      subject: `weights.${unknown}`,
      expected: `a text column of ${name}: ${known.join(", ")}`,
      got: unknown,
    });
  }
  const all = text.map(({ key, weight }) => {
    const asked = Object.hasOwn(own, key) && own[key] !== undefined ? own[key] : weight;
    if (isWeight(asked)) return asked;
    throw new InvalidOptionError({
      subject: `weights.${key}`,
      expected: `a number from 0 to ${WEIGHT_MAX}`,
      got: describe(asked),
    });
  });
  if (all.length === 0 || all.some((weight) => weight > 0)) return all;
  throw new InvalidOptionError({ subject: "weights", expected: "a column with a weight above 0", got: "only zeros" });
}

export function matchOption(match: unknown): "any" | "all" {
  if (match === undefined) return "any";
  if (match === "any" || match === "all") return match;
  throw new InvalidOptionError({ subject: "match", expected: "any or all", got: describe(match) });
}

const NONE: ReadonlySet<string> = new Set();

/** @param isDefault - whether English stop words are left out unless told otherwise */
export function stopWordsOption(stopWords: unknown, isDefault: boolean): ReadonlySet<string> {
  if (stopWords === undefined) return isDefault ? ENGLISH_STOP_WORDS : NONE;
  if (typeof stopWords === "boolean") return stopWords ? ENGLISH_STOP_WORDS : NONE;
  if (Array.isArray(stopWords) && stopWords.every((word) => typeof word === "string")) {
    return new Set(stopWords.map((word: string) => word.toLowerCase()));
  }
  throw new InvalidOptionError({
    subject: "stopWords",
    expected: "true, false or an array of words",
    got: describe(stopWords),
  });
}

export function checkText(text: unknown): string {
  if (typeof text === "string") return text;
  throw new InvalidOptionError({ subject: "text", expected: "a string to search for", got: describe(text) });
}

function checkObject(weights: unknown): Record<string, unknown> {
  if (typeof weights === "object" && weights !== null && !Array.isArray(weights)) return weights as any;
  throw new InvalidOptionError({
    subject: "weights",
    expected: "an object of weights by column",
    got: describe(weights),
  });
}
