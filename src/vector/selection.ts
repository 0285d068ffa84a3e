import { readIntegers } from "../kernel/integers.ts";
import type { IdRanks } from "./id-ranks.ts";
import { type RowId, rowId } from "./row-ids.ts";
import type { Skip } from "./skip.ts";

/** Rows of ascending ids in places that follow each other, from `at` on. */
export interface Run {
  readonly least: number;
  readonly most: number;
  readonly at: number;
  /** Undefined where ids follow each other without a gap. */
  readonly ranks: IdRanks | undefined;
  /** Whether the row at a place is gone; undefined where none is. */
  readonly isGone: ((at: number) => boolean) | undefined;
}

interface SelectionInput {
  /** Rows a block has room for. */
  readonly capacity: number;
  readonly blocks: number;
  /** The place of a row, or why it is not among the codes; undefined where they know nothing of it. */
  readonly find: (id: RowId) => number | Skip | undefined;
  /** Rows that are found without `find`, in a tenth of its time. */
  readonly run: Run | undefined;
}

const NO_RUN: Run = { least: 0, most: -1, at: 0, ranks: undefined, isGone: undefined };

/** Ids of a run that are found fast, from the least on. */
const RANGE_MAX = 2 ** 31;

/** Some of the coded rows, and a count of those left out of the codes. */
export class Selection {
  readonly skipped: Skip[] = [];
  size = 0;
  readonly #capacity: number;
  readonly #find: SelectionInput["find"];
  readonly #run: Run | undefined;
  /** One byte a row of all blocks; and one a page of rows, of which a block has a whole number. */
  readonly #rows: Uint8Array;
  readonly #pages: Uint8Array;
  /** Rows of a page, as a power of two: a block of a row is found by a division, which takes as long as all else. */
  readonly #pageBits: number;

  constructor({ capacity, blocks, find, run }: SelectionInput) {
    this.#capacity = capacity;
    this.#find = find;
    this.#run = run;
    this.#pageBits = 31 - Math.clz32(capacity & -capacity);
    this.#rows = new Uint8Array(capacity * blocks);
    this.#pages = new Uint8Array((capacity * blocks) >> this.#pageBits);
  }

  /**
   * Adds rows.
   *
   * @param list - their ids as `readIntegers` takes them
   * @returns the ids that the codes know nothing of
   */
  addList(list: Uint8Array): RowId[] {
    const unknown: RowId[] = [];
    const other = (id: RowId) => {
      if (this.add(id) === undefined) unknown.push(id);
    };
    const { least, most, at, ranks, isGone } = this.#run ?? NO_RUN;
    const isPlain = ranks === undefined && isGone === undefined;
    readIntegers(
      list,
      { least, count: Math.max(0, Math.min(most - least + 1, RANGE_MAX)) },
      {
        near: (offsets) => {
          // They come by the ten thousand.
          if (isPlain) this.#addPlaces(at, offsets);
          else {
            for (const offset of offsets) {
              const nth = ranks ? ranks.rankOf(least + offset) : offset;
              if (nth === undefined || isGone?.(at + nth)) other(least + offset);
              else this.addPlace(at + nth);
            }
          }
        },
        far: (id) => other(rowId(id)),
      },
    );
    return unknown;
  }

  #addPlaces(first: number, offsets: Int32Array): void {
    const [rows, pages, pageBits] = [this.#rows, this.#pages, this.#pageBits];
    for (let i = 0; i < offsets.length; i++) {
      const at = first + offsets[i]!;
      rows[at] = 1;
      pages[at >> pageBits] = 1;
    }
    this.size += offsets.length;
  }

  /** Adds a row. Returns its place, or why it is not among the codes; undefined where they know nothing of it. */
  add(id: RowId): number | Skip | undefined {
    const found = this.#find(id);
    if (typeof found === "string") this.skipped.push(found);
    else if (found !== undefined) this.addPlace(found);
    return found;
  }

  /** Adds the row at a place: that of its block, times the rows of a block, and its own in there. */
  addPlace(at: number): void {
    this.#rows[at] = 1;
    this.#pages[at >> this.#pageBits] = 1;
    this.size++;
  }

  /** One byte a row of a block, 0 where it is not selected; undefined where none is. */
  maskOf(block: number): Uint8Array | undefined {
    const [from, to] = [block * this.#capacity, (block + 1) * this.#capacity];
    const isAny = this.#pages.subarray(from >> this.#pageBits, to >> this.#pageBits).includes(1);
    return isAny ? this.#rows.subarray(from, to) : undefined;
  }
}
