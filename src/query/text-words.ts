import type { Placeholder } from "drizzle-orm";
import type { Steps } from "../driver/driver.ts";
import type { SearchIndex } from "../schema/search-index.ts";
import { type Match, type MatchOptions, matchOf, phraseOf } from "../text/match.ts";
import { partsOfName } from "../text/name-parts.ts";
import { type WordCharacters, wordCharacters } from "../text/word-characters.ts";
import {
  COST_MAX,
  COST_MAX_CUT,
  countStep,
  FREE_TERMS,
  rowsOfTerms,
  TRIGRAMS_COUNTED,
  tooCommon,
  trigramSample,
  trigramsCost,
} from "./common-terms.ts";
import { flag, isPlaceholder, placeholderValue } from "./options.ts";
import { checkText, matchOption, stopWordsOption, type TextOptions } from "./search-options.ts";
import type { Values } from "./search-query.ts";
import { askText } from "./text-damage.ts";

interface TextWordsInput {
  readonly index: SearchIndex;
  readonly text: string | Placeholder;
  readonly options: TextOptions;
  /** One a text column, in the index's order. */
  readonly weights: readonly number[];
}

/** A person's text, and what becomes of its words. */
export class TextWords {
  readonly #name: string;
  readonly #weights: readonly number[];
  readonly #characters: WordCharacters;
  readonly #match: "any" | "all";
  readonly #prefix: boolean;
  readonly #stopWords: ReadonlySet<string>;
  readonly #text: (values: Values) => string;

  constructor({ index, text, options, weights }: TextWordsInput) {
    this.#name = index.name;
    this.#weights = weights;
    this.#characters = wordCharacters(index.tokenizer);
    this.#match = matchOption(options.match);
    this.#prefix = flag(options.prefix, "prefix");
    this.#stopWords = stopWordsOption(options.stopWords, this.#characters.isEnglish && this.#match === "any");
    const checked = isPlaceholder(text) ? undefined : checkText(text);
    this.#text = (values) => checked ?? checkText(placeholderValue(text as Placeholder, values));
  }

  /**
   * What becomes of the words, whatever the index has. A column of weight 0 is there for highlights only: its words neither find a row
   * nor count.
   */
  asWritten(values: Values, known: Pick<MatchOptions, "unknown" | "ends" | "tooCommon"> = {}): Match {
    const columns = this.#weights.flatMap((weight, i) => (weight > 0 ? [`c${i}`] : []));
    return matchOf(this.#text(values), {
      match: this.#match,
      prefix: this.#prefix,
      stopWords: this.#stopWords,
      columns: columns.length === this.#weights.length ? undefined : columns,
      characters: this.#characters,
      ...known,
    });
  }

  /**
   * What becomes of the words by what the index knows: of names in code that no row has, their parts; a last word in the midst of an
   * ending with all of it, where more rows have that; of a long text, not the words that most rows have, which would cost the most
   * and tell the least.
   */
  *match(values: Values): Steps<Match> {
    const written = this.asWritten(values);
    const unknown = yield* this.#unknownNames(written);
    const inParts = unknown.size === 0 ? written : this.asWritten(values, { unknown });
    const ends = yield* this.#hasEnding(inParts);
    const match = ends ? this.asWritten(values, { unknown, ends }) : inParts;
    if (this.#match === "all" || match.terms.length <= FREE_TERMS) return match;
    const common = match.isCut
      ? yield* this.#tooCommonOf(match)
      : tooCommon(yield* this.#rowsOf(match.alone), COST_MAX);
    return common.size === 0 ? match : this.asWritten(values, { unknown, ends, tooCommon: common });
  }

  /** Names in code that no row has; of `any` only. */
  *#unknownNames({ terms, alone }: Match): Steps<Set<string>> {
    if (this.#match === "all") return new Set();
    const names = terms.flatMap((term, at) => (partsOfName(term).length > 1 ? [{ term, at }] : []));
    const rows = yield* this.#rowsOf(names.map(({ at }) => alone[at]!));
    return new Set(names.flatMap(({ term }, i) => (rows[i] === 0 ? [term] : [])));
  }

  /** Whether the last word is rather what it would be with the ending it seems to have begun. */
  *#hasEnding({ unfinished }: Match): Steps<boolean> {
    if (!unfinished) return false;
    const [ended] = yield* this.#rowsOf([unfinished.ended]);
    if (ended === 0) return false;
    const [typed] = yield* this.#rowsOf([unfinished.typed]);
    return ended! >= typed!;
  }

  /** The terms that are left out of a text that is too long to be read whole. */
  *#tooCommonOf({ terms, alone }: Match): Steps<Set<number>> {
    if (!this.#characters.isTrigram) return tooCommon(yield* this.#rowsOf(alone), COST_MAX_CUT);
    const samples = terms.map(trigramSample);
    const counted = yield* this.#rowsOf(samples.flat().map(phraseOf), TRIGRAMS_COUNTED);
    const rows = samples.map(({ length }) => Math.min(...counted.splice(0, length)));
    return tooCommon(
      rows,
      COST_MAX_CUT,
      terms.map((term, i) => trigramsCost(term, rows[i]!)),
    );
  }

  /** About how many rows each of the terms has. */
  *#rowsOf(alone: readonly string[], most?: number): Steps<number[]> {
    return alone.length === 0 ? [] : rowsOfTerms(yield* askText(this.#name, countStep(this.#name, alone, most)), most);
  }
}
