import type { IdRanks } from "./id-ranks.ts";
import { eachId, type RowId } from "./row-ids.ts";
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

/** Some of the coded rows, and a count of those left out of the codes. */
export class Selection {
  readonly skipped: Skip[] = [];
  size = 0;
  readonly #capacity: number;
  readonly #find: SelectionInput["find"];
  readonly #run: Run | undefined;
  /** One byte a row of all blocks, and one a block. */
  readonly #rows: Uint8Array;
  readonly #blocks: Uint8Array;

  constructor({ capacity, blocks, find, run }: SelectionInput) {
    this.#capacity = capacity;
    this.#find = find;
    this.#run = run;
    this.#rows = new Uint8Array(capacity * blocks);
    this.#blocks = new Uint8Array(blocks);
  }

  /**
   * Adds rows.
   *
   * @param list - their ids as `eachId` takes them
   * @returns the ids that the codes know nothing of
   */
  addList(list: string): RowId[] {
    const unknown: RowId[] = [];
    const { least, most, at, ranks, isGone } = this.#run ?? NO_RUN;
    const [rows, blocks, capacity] = [this.#rows, this.#blocks, this.#capacity];
    let size = 0;
    eachId(list, (id) => {
      // Ids come by the ten thousand.
      if (typeof id === "number" && id >= least && id <= most) {
        const nth = ranks ? ranks.rankOf(id) : id - least;
        if (nth !== undefined && !isGone?.(at + nth)) {
          rows[at + nth] = 1;
          blocks[((at + nth) / capacity) | 0] = 1;
          size++;
          return;
        }
      }
      const found = this.#find(id);
      if (found === undefined) unknown.push(id);
      else if (typeof found === "string") this.skipped.push(found);
      else this.addPlace(found);
    });
    this.size += size;
    return unknown;
  }

  /** Adds the row at a place: that of its block, times the rows of a block, and its own in there. */
  addPlace(at: number): void {
    this.#rows[at] = 1;
    this.#blocks[(at / this.#capacity) | 0] = 1;
    this.size++;
  }

  /** One byte a row of a block, 0 where it is not selected; undefined where none is. */
  maskOf(block: number): Uint8Array | undefined {
    const from = block * this.#capacity;
    return this.#blocks[block] === 0 ? undefined : this.#rows.subarray(from, from + this.#capacity);
  }
}
