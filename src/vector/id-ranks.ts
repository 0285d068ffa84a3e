import { countBits } from "./count-bits.ts";
import type { RowIds } from "./row-ids.ts";

/** Numbers in the range of ids, for each id, at most: with more the bits take more memory than they are worth. */
const SPREAD_MAX = 8;
const WORD_BITS = 32;

/**
 * Tells the how-manieth of ascending ids one is: a bit for each number between the least and the most, and the count of those set before
 * each word of 32. Looks into two words where a bisection of 100,000 ids looks at 17, each of them likely to wait for memory.
 */
export class IdRanks {
  readonly #least: number;
  readonly #words: Uint32Array;
  /** Ids before each word. */
  readonly #before: Uint32Array;

  private constructor(least: number, words: Uint32Array, before: Uint32Array) {
    this.#least = least;
    this.#words = words;
    this.#before = before;
  }

  /**
   * @param lists - ids that ascend from each list to the next, so many of each, all between `least` and `most`
   * @returns undefined where they are too few for their range, or too large to be numbers
   */
  static of({ least, most, rows }: IdRange, lists: Iterable<readonly [RowIds, number]>): IdRanks | undefined {
    const isSafe = Number.isSafeInteger(least) && Number.isSafeInteger(most);
    if (!isSafe || rows === 0 || most - least >= rows * SPREAD_MAX) return undefined;
    const words = new Uint32Array(Math.floor((most - least) / WORD_BITS) + 1);
    for (const [ids, count] of lists) {
      for (let row = 0; row < count; row++) {
        const at = ids.at(row) - least;
        words[at >>> 5]! |= 1 << (at & 31);
      }
    }
    const before = new Uint32Array(words.length);
    for (let i = 1; i < words.length; i++) before[i] = before[i - 1]! + countBits(words[i - 1]!);
    return new IdRanks(least, words, before);
  }

  get bytes(): number {
    return this.#words.byteLength + this.#before.byteLength;
  }

  /** How many ids come before one; undefined where it is none of them. */
  rankOf(id: number): number | undefined {
    const at = id - this.#least;
    if (!(at >= 0 && at < this.#words.length * WORD_BITS)) return undefined;
    const [word, bit] = [this.#words[at >>> 5]!, 1 << (at & 31)];
    return (word & bit) === 0 ? undefined : this.#before[at >>> 5]! + countBits(word & (bit - 1));
  }
}

export interface IdRange {
  readonly least: number;
  readonly most: number;
  /** How many ids there are. */
  readonly rows: number;
}
