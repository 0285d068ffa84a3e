import type { Arena } from "./arena.ts";
import { type CodeBlocks, headStride, tailStride } from "./code-blocks.ts";
import { roundUp } from "./module.ts";
import type { OneBitBlocks, OneBitQuery } from "./one-bit-blocks.ts";

/** The numbers of a query, in the order in which they lie in memory; see vector/code-space.ts for what they mean. */
const QUERY_NUMBERS = [
  "step",
  "perError",
  "perScale",
  "constant",
  "unit",
  "tailStep",
  "perTailError",
  "perTailScale",
  "perTailNorm",
] as const;

/** A query as the kernel takes it. The sum of the weights' absolute values is below 2^24, of head and tail each. */
export type CodedQuery =
  | {
      readonly type: "codes";
      readonly weights: Int16Array;
      readonly tailWeights: Int16Array;
      readonly numbers: Record<(typeof QUERY_NUMBERS)[number], number>;
    }
  | { readonly type: "bits"; readonly bytes: Uint8Array };

/** Blocks of codes, and a query against them. */
interface PartOf<TBlocks, TQuery> {
  readonly blocks: TBlocks;
  readonly query: TQuery;
  /** Rows that are surely less similar than this are not wanted, of 1-bit codes likely enough; `-Infinity` for no such bound. */
  readonly floor: number;
}

/** Of either kind of codes, or of both: then those for exact answers are looked at of rows alone that 1-bit codes find likely. */
export interface ScanInput {
  /** Codes for exact answers. */
  readonly codes?: PartOf<CodeBlocks, CodedQuery>;
  /** 1-bit codes. */
  readonly bits?: PartOf<OneBitBlocks, OneBitQuery>;
  /** Of both kinds. */
  readonly both?: {
    /** By how much a similarity of 1-bit codes is larger than one of the others. */
    readonly shift: number;
    /** Most rows whose codes for exact answers are looked at: with more the scan gives up, as soon as it comes to that. */
    readonly likely: number;
  };
  /** How many of the most similar rows are wanted, at least 1. */
  readonly k: number;
  /** Most rows that may be left; with more the scan gives up. At least `k`. */
  readonly most: number;
  /** Whether it gives up as soon as more than `most` rows are left, though later ones might rule them out. Of 1-bit codes alone. */
  readonly isHasty?: boolean;
}

/** Rows that are to be scanned: the first `count` of a slot, for each kind of codes; a kind that is not scanned makes no difference. */
export interface ScanBlock {
  readonly codes?: number | undefined;
  readonly bits?: number | undefined;
  readonly count: number;
  /** The number of the first of them. */
  readonly first: number;
  /** One byte a row, 0 to pass it over; undefined for all rows. */
  readonly mask: Uint8Array | undefined;
}

/** Rows that may be among the k most similar, and the upper bound of each: by 1-bit codes alone no proof, a likelihood. */
export interface ScanFound {
  readonly rows: Int32Array;
  readonly uppers: Float64Array | Float32Array;
  /** All other rows are less similar than this. */
  readonly threshold: number;
}

const JOB_BYTES = 128;
const KINDS = { codes: 0, packed: 1, oneBit: 2, both: 3 } as const;
const QUERY_BYTES = 80;
const STATE_BYTES = 160;
const FOUND_BYTES = 16;
/** Rows that are looked at for the sake of the threshold: those with the best estimates so far, at least so many. */
const BESTS_MIN = 32;
const BEST_BYTES = 8;
/**
 * Rows whose heads are scanned before any of their tails: the more, the better the threshold that decides on tails; a few bytes
 * each.
 */
const WINDOW_ROWS = 1 << 16;
/** Bytes of a row in the window, of a block in its list, and behind the rows. */
const SEEN_BYTES = 8;
const WINDOW_BLOCK_BYTES = 16;
const WINDOW_REST_BYTES = 320;
const ONE_BIT_QUERY_BYTES = 48;
const ONE_BIT_STATE_BYTES = 32;
const ONE_BIT_FOUND_BYTES = 8;
const ENTRY_BYTES = 32;
/** Masks are read so many rows at a time. */
const MASK_ROWS = 32;

/**
 * A scan of blocks by one query. All that it needs is laid out in memory by the one that begins it; then whoever has the memory can
 * do it, whatever thread it is.
 *
 * | part | bytes |
 * | --- | --- |
 * | job | `JOB_BYTES`: what is scanned, and where all else lies, as written by `#begin` |
 * | query | 10 x f64: those of `QUERY_NUMBERS`; `headBytes` and `tailBytes` x i16, padded with 0. For packed bits `headBytes` bytes |
 * | state | f64 threshold, i32 k, i32 heap size, i32 found, i32 list capacity, u32 heap, u32 list, i32 whether the list has overflowed, i32 tails read, i32 size the bests may have, i32 size they have, u32 bests, f32 the least of them once they are full, in units of the query, 104 bytes for the kernel's use |
 * | heap | k x f64: the k largest lower bounds, the least on top |
 * | bests | (f32 estimate, u32 place in the window) each: the best estimates made from heads, the least on top |
 * | list | capacity x (f64 upper bound, i32 row, 4 unused): rows that may be among the k most similar |
 * | 1-bit query | 9 x f32 as in `OneBitQuery`, padded, and the look-up table: width / 4 x 16 bytes |
 * | 1-bit state | f32 threshold, i32 k, i32 heap size, i32 found, i32 list capacity, u32 heap, u32 list, i32 whether the list ran over |
 * | 1-bit heap | k x f32: the k largest lower bounds, the least on top |
 * | 1-bit list | capacity x (f32 upper bound, i32 row) |
 *
 * Those of one kind of codes are there where such are scanned; with both kinds the 1-bit list is emptied from time to time, by a look at
 * its rows in the other codes. Of no use once the kernel has returned are
 *
 * | scratch | bytes |
 * | --- | --- |
 * | window | where there are tails, of the rows of some blocks: two upper bounds as f32, one run each; and 320 bytes |
 * | blocks | for each block of the window u32 where it lies, i32 number of its first row, i32 its rows, 4 unused |
 *
 * and the blocks to be scanned stand in
 *
 * | table | bytes |
 * | --- | --- |
 * | entries | for each block u32 its codes, u32 its 1-bit codes, i32 number of its first row, i32 its rows, u32 its mask or 0, 12 unused |
 * | masks | for each block that has one a byte a row, 0 where the row is to be passed over; padded with 0 |
 *
 * A row that is gone has the offset -Infinity, among 1-bit codes `GONE`.
 */
export class Scan {
  readonly #arena: Arena;
  readonly #input: ScanInput;
  readonly #places: Places;
  #rows = 0;

  /**
   * Begins a scan. Until it is over no other may begin and no piece of the arena be taken, but for scans that have their own areas.
   *
   * @param area - pieces of the arena of the sizes that `scanBytes` tells; by default what lies behind all pieces
   */
  constructor(input: ScanInput, area?: ScanArea) {
    this.#arena = arenaOf(input);
    this.#input = input;
    this.#places = area ? placesOf(input, area) : placesBehind(this.#arena.end, input);
    if (!area) this.#arena.reserve(this.#places.end);
    this.#begin();
  }

  /** Where the job lies. */
  get job(): number {
    return this.#places.job;
  }

  /** Scans some blocks. What their slots hold may change afterwards. */
  blocks(blocks: readonly ScanBlock[]): void {
    const bytes = tableBytes(blocks);
    this.#arena.reserve(this.#places.end + bytes);
    this.aim(writeTable(this.#input, this.#places.end, blocks));
    this.#arena.kernel.scan(this.job);
  }

  /** Names the blocks, for whoever does the scan: `scan`, and while `again` tells so, `scan` once more. */
  aim({ at, count, rows }: ScanTable): void {
    this.#rows += rows;
    new Int32Array(this.#arena.buffer, this.job + 60, 2).set([at, count]);
  }

  /** Whether more rows than `most` were left at some time: without a second scan none are found. */
  get isFlooded(): boolean {
    const { state, oneBitState } = this.#places;
    const at = this.#input.codes ? state + 32 : oneBitState + 28;
    return new Int32Array(this.#arena.buffer, at, 1)[0] !== 0;
  }

  /**
   * Whether the blocks have to be handed over once more: where the nearest rows come last, the list may have run over by rows
   * they rule out. The threshold, that of all rows, is kept, so a second time is enough.
   */
  again(): boolean {
    return this.#arena.kernel.again(this.job) !== 0;
  }

  /** Bytes of codes read so far, about: of rows that are passed over, too. */
  get bytesRead(): number {
    const { codes, bits } = this.#input;
    if (!codes) return this.#rows * bits!.blocks.rowBytes;
    const { shape, rowBytes } = codes.blocks;
    const [looked] = new Int32Array(this.#arena.buffer, this.#places.state + 36, 1);
    if (bits) return this.#rows * bits.blocks.rowBytes + looked! * rowBytes;
    return this.#rows * headStride(shape) + looked! * tailStride(shape);
  }

  /** The rows that may be among the `k` most similar, or undefined where they are more than `most`. */
  found(): ScanFound | undefined {
    const { kernel, buffer } = this.#arena;
    const left = kernel.leave(this.job);
    if (left < 0 || left > this.#input.most) return undefined;
    const { state, list, oneBitState, oneBitList } = this.#places;
    const rows = new Int32Array(left);
    // `from` with a function takes ten times as long.
    if (!this.#input.codes) {
      const floats = new Float32Array(buffer, oneBitList, left * 2);
      const integers = new Int32Array(buffer, oneBitList, left * 2);
      const uppers = new Float32Array(left);
      for (let i = 0; i < left; i++) {
        rows[i] = integers[i * 2 + 1]!;
        uppers[i] = floats[i * 2]!;
      }
      return { rows, uppers, threshold: new Float32Array(buffer, oneBitState, 1)[0]! };
    }
    const doubles = new Float64Array(buffer, list, left * 2);
    const integers = new Int32Array(buffer, list, left * 4);
    const uppers = new Float64Array(left);
    for (let i = 0; i < left; i++) {
      rows[i] = integers[i * 4 + 2]!;
      uppers[i] = doubles[i * 2]!;
    }
    return { rows, uppers, threshold: new Float64Array(buffer, state, 1)[0]! };
  }

  #begin(): void {
    const { buffer } = this.#arena;
    const { job, window, blocks } = this.#places;
    const { codes, bits, both, isHasty } = this.#input;
    const words = new Int32Array(buffer, job, JOB_BYTES / 4).fill(0);
    words[0] = kindOf(this.#input);
    words[17] = isHasty ? 1 : 0;
    if (both) {
      words[19] = both.likely;
      new Float64Array(buffer, job + 80, 1)[0] = both.shift;
    }
    if (codes) {
      const { query, state } = this.#places;
      const { shape, capacity } = codes.blocks;
      const windowBlocks = windowBlocksOf(codes.blocks);
      const windowRows = windowBlocks * capacity;
      words.set(
        [query, state, shape.headBytes, shape.tailBytes, capacity, window, windowRows, blocks, windowBlocks],
        1,
      );
      this.#beginCodes(codes);
    }
    if (bits) {
      const { oneBitQuery: query, oneBitState: state } = this.#places;
      words.set([query, query + ONE_BIT_QUERY_BYTES, state, bits.blocks.shape.width, bits.blocks.capacity], 10);
      this.#beginBits(bits);
    }
  }

  #beginCodes({ blocks: { shape }, query: coded, floor }: NonNullable<ScanInput["codes"]>): void {
    const { buffer } = this.#arena;
    const { query, state, heap, bests, list } = this.#places;
    if (coded.type === "bits") new Uint8Array(buffer, query, shape.headBytes).fill(0).set(coded.bytes);
    else {
      new Float64Array(buffer, query, QUERY_NUMBERS.length).set(QUERY_NUMBERS.map((name) => coded.numbers[name]));
      const weights = new Int16Array(buffer, query + QUERY_BYTES, shape.headBytes + shape.tailBytes).fill(0);
      weights.set(coded.weights);
      weights.set(coded.tailWeights, shape.headBytes);
    }
    const { k } = this.#input;
    const counts = [k, 0, 0, listCapacityOf(this.#input), heap, list, 0, 0, Math.max(k, BESTS_MIN), 0, bests];
    new Float64Array(buffer, state, 1)[0] = floor;
    new Int32Array(buffer, state + 8, counts.length).set(counts);
    new Float32Array(buffer, state + 52, 1)[0] = Number.NEGATIVE_INFINITY;
  }

  #beginBits({ query: { numbers, table }, floor }: NonNullable<ScanInput["bits"]>): void {
    const { buffer } = this.#arena;
    const { oneBitQuery: query, oneBitState: state, oneBitHeap: heap, oneBitList: list } = this.#places;
    new Float32Array(buffer, query, numbers.length).set(numbers);
    new Uint8Array(buffer, query + ONE_BIT_QUERY_BYTES, table.length).set(table);
    const counts = [this.#input.k, 0, 0, likelyCapacityOf(this.#input), heap, list, 0];
    new Float32Array(buffer, state, 1)[0] = floor;
    new Int32Array(buffer, state + 4, counts.length).set(counts);
  }
}

/** Where the parts of a scan lie; those that it has not, nowhere. */
interface Places {
  readonly job: number;
  readonly query: number;
  readonly state: number;
  readonly heap: number;
  readonly bests: number;
  readonly list: number;
  readonly oneBitQuery: number;
  readonly oneBitState: number;
  readonly oneBitHeap: number;
  readonly oneBitList: number;
  readonly ownEnd: number;
  readonly window: number;
  readonly blocks: number;
  readonly end: number;
}

/** Room for a scan. */
export interface ScanArea {
  /** For all but its scratch. */
  readonly own: number;
  readonly scratch: number;
}

/** How much room a scan takes. */
export function scanBytes(input: ScanInput): { readonly own: number; readonly scratch: number } {
  const { ownEnd, end } = placesBehind(0, input);
  return { own: ownEnd, scratch: end - ownEnd };
}

/** Which words of a job name its scratch, and what they are for another scratch than its own. */
export function scratchWords(input: ScanInput, scratch: number): [word: number, at: number][] {
  const { window, blocks } = placesOf(input, { own: 0, scratch });
  return [
    [6, window],
    [8, blocks],
  ];
}

function placesBehind(own: number, input: ScanInput): Places {
  return placesOf(input, { own });
}

/** @param area - its scratch lies behind all else, unless it says where */
function placesOf(input: ScanInput, area: Pick<ScanArea, "own"> & Partial<ScanArea>): Places {
  const { codes, bits, k } = input;
  let end = area.own;
  const place = (part: object | undefined, bytes: number) => {
    const at = end;
    if (part) end = roundUp(at + bytes, 16);
    return at;
  };
  const { headBytes, tailBytes } = codes?.blocks.shape ?? { headBytes: 0, tailBytes: 0 };
  const own = {
    job: place(input, JOB_BYTES),
    query: place(codes, QUERY_BYTES + (headBytes + tailBytes) * 2),
    state: place(codes, STATE_BYTES),
    heap: place(codes, k * 8),
    bests: place(codes, Math.max(k, BESTS_MIN) * BEST_BYTES),
    list: place(codes, listCapacityOf(input) * FOUND_BYTES),
    oneBitQuery: place(bits, ONE_BIT_QUERY_BYTES + (bits?.blocks.shape.width ?? 0) * 4),
    oneBitState: place(bits, ONE_BIT_STATE_BYTES),
    oneBitHeap: place(bits, k * 4),
    oneBitList: place(bits, likelyCapacityOf(input) * ONE_BIT_FOUND_BYTES),
    ownEnd: end,
  };
  own.ownEnd = end;
  end = area.scratch ?? end;
  const windowBlocks = codes ? windowBlocksOf(codes.blocks) : 0;
  return {
    ...own,
    window: place(codes, windowBlocks * (codes?.blocks.capacity ?? 0) * SEEN_BYTES + WINDOW_REST_BYTES),
    blocks: place(codes, windowBlocks * WINDOW_BLOCK_BYTES),
    end,
  };
}

export function arenaOf({ codes, bits }: ScanInput): Arena {
  return (codes ?? bits)!.blocks.arena;
}

/** Blocks whose rows are scanned before any of their tails. */
function windowBlocksOf({ shape, capacity, slots }: CodeBlocks): number {
  return shape.tailBytes === 0 ? 0 : Math.max(1, Math.min(slots, Math.floor(WINDOW_ROWS / capacity)));
}

/** Room for twice as many: a full list is cleared of what the threshold has overtaken, at most once every `most` rows. */
function listCapacityOf({ most }: ScanInput): number {
  return most * 2;
}

/** Where there are other codes, twice as many as a block has: no more than half of it is left when the next is scanned. */
function likelyCapacityOf(input: ScanInput): number {
  return input.codes && input.bits ? input.bits.blocks.capacity * 2 : listCapacityOf(input);
}

function kindOf({ codes, bits }: ScanInput): number {
  if (!codes) return KINDS.oneBit;
  if (bits) return KINDS.both;
  return codes.query.type === "bits" ? KINDS.packed : KINDS.codes;
}

/** Blocks to be scanned, as they stand in memory. */
export interface ScanTable {
  readonly at: number;
  readonly count: number;
  readonly rows: number;
}

/** How much room a table takes. */
export function tableBytes(blocks: readonly ScanBlock[]): number {
  const masks = blocks.reduce((sum, { count, mask }) => sum + (mask ? roundUp(count, MASK_ROWS) : 0), 0);
  return blocks.length * ENTRY_BYTES + masks;
}

/** Writes a table of blocks. */
export function writeTable(input: ScanInput, at: number, blocks: readonly ScanBlock[]): ScanTable {
  const { buffer } = arenaOf(input);
  const table = new Int32Array(buffer, at, (blocks.length * ENTRY_BYTES) / 4);
  let maskAt = at + blocks.length * ENTRY_BYTES;
  let rows = 0;
  for (const [i, { codes, bits, count, first, mask }] of blocks.entries()) {
    const codesAt = codes === undefined ? 0 : (input.codes?.blocks.at(codes) ?? 0);
    const bitsAt = bits === undefined ? 0 : (input.bits?.blocks.at(bits) ?? 0);
    table.set([codesAt, bitsAt, first, count, mask ? maskAt : 0], (i * ENTRY_BYTES) / 4);
    rows += count;
    if (!mask) continue;
    const padded = roundUp(count, MASK_ROWS);
    const area = new Uint8Array(buffer, maskAt, padded);
    area.fill(0, count);
    area.set(mask.subarray(0, count));
    maskAt += padded;
  }
  return { at, count: blocks.length, rows };
}
