import { checksumsAt, type HashKernel } from "./checksum.ts";
import type { RowCode } from "./coder.ts";
import { BASE, grow, instantiate, type Memory, roundUp } from "./module.ts";
import { loadRuns, saveRuns } from "./runs.ts";
import { scalarCodeKernel } from "./scalar-code-scan.ts";

/**
 * The kernels over resident codes, and the memory they work on. One memory holds, from `BASE` on:
 *
 * | part | bytes |
 * | --- | --- |
 * | slots | each one block: the runs of `BlockShape`, with room for `capacity` rows |
 * | query | 10 x f64: those of `QUERY_NUMBERS`; `headBytes` and `tailBytes` x i16, padded with 0. For bits `headBytes` bytes |
 * | state | f64 threshold, i32 k, i32 heap size, i32 found, i32 list capacity, u32 heap, u32 list, i32 whether the list has overflowed, i32 tails read, i32 size the bests may have, i32 size they have, u32 bests, f32 the least of them once they are full, in units of the query, 20 bytes for the kernel's use |
 * | heap | k x f64: the k largest lower bounds, the least on top |
 * | bests | (f32 estimate, u32 place in the window) each: the best estimates made from heads, the least on top |
 * | list | capacity x (f64 upper bound, i32 row, 4 unused): rows that may be among the k most similar |
 * | mask | `capacity` x u8: 0 where a row of the block in hand is to be passed over |
 * | window | where there are tails, of the rows of some blocks: two upper bounds as f32, one run each, and 320 bytes |
 * | blocks | for each block of the window u32 where it lies, i32 number of its first row, i32 its rows, 4 unused |
 *
 * Everything behind the slots is written anew by each scan. A row that is gone has the offset -Infinity.
 */
export interface CodeKernel extends HashKernel {
  readonly kernel: "wasm" | "scalar";
  /** The memory, of at least so many bytes and with all its contents; earlier buffers are void. */
  reserve(bytes: number): ArrayBuffer;
  /** Scans a block without tails. When the list has overflowed the threshold is that of all rows even so. */
  scanCodes(
    state: number,
    query: number,
    block: number,
    headBytes: number,
    count: number,
    first: number,
    mask: number,
  ): void;
  /** Scans the heads of a block into the window of so many rows, from a place on. */
  scanHeads(
    state: number,
    query: number,
    block: number,
    headBytes: number,
    tailBytes: number,
    capacity: number,
    count: number,
    first: number,
    mask: number,
    window: number,
    rows: number,
    at: number,
  ): void;
  /** Looks at the rows of the window's blocks, so many, that their heads leave in doubt. */
  scanTails(
    state: number,
    query: number,
    headBytes: number,
    tailBytes: number,
    capacity: number,
    window: number,
    rows: number,
    blocks: number,
    count: number,
  ): void;
  scanBits(
    state: number,
    query: number,
    block: number,
    width: number,
    count: number,
    first: number,
    mask: number,
  ): void;
  /** Drops from the list what the final threshold rules out, and returns how many are left. */
  settle(state: number): number;
}

/**
 * The runs of a block, one behind the other: groups of heads, and tails of all rows. So a chunk on disk and a slot in memory differ
 * in nothing but the number of rows they have room for.
 *
 * | of a group of four rows | bytes |
 * | --- | --- |
 * | heads | 16 bytes of each row in turn: the kernel reads them as one stream. Four streams, a row each, took up to three times as long (bench/README.md) |
 * | parameters | f32 of each row in turn: offset, scale and error, with tails also the norm of the tail (`CODE_PARAMS`) |
 *
 * The last group is filled up with 0. A tail is f32 scale and error, and its codes: all that a row in doubt needs lies in one page.
 */
export interface BlockShape {
  /** Bytes of the codes that every scan reads, padded with 0 to a multiple of 16. */
  readonly headBytes: number;
  /** Bytes of the codes that only close rows need, a multiple of 16; 0 where the head is all there is. */
  readonly tailBytes: number;
}

/** Parameters that lie in front of a tail's codes: the last of `CODE_PARAMS`. */
const TAIL_PARAMS = 2;
const FLOAT_BYTES = 4;

/** Parameters that lie in the group of a row: the first of `CODE_PARAMS`, and none without a head. */
function headParams({ headBytes, tailBytes }: BlockShape): number {
  if (headBytes === 0) return 0;
  return tailBytes > 0 ? 4 : 3;
}

/** Bytes of a row in its group. */
function headStride(shape: BlockShape): number {
  return shape.headBytes + headParams(shape) * FLOAT_BYTES;
}

function tailStride({ tailBytes }: BlockShape): number {
  return tailBytes === 0 ? 0 : tailBytes + TAIL_PARAMS * FLOAT_BYTES;
}

/** Rows whose heads lie together, and how much of each in turn. */
const GROUP_ROWS = 4;
const PIECE_BYTES = 16;
const NO_BYTES = new Uint8Array();
const NO_PARAMS = new Float32Array(4);
const STATE_BYTES = 160;
const FOUND_BYTES = 16;
/** Rows that are looked at for the sake of the threshold: those with the best estimates so far, at least so many. */
const BESTS_MIN = 32;
/**
 * Rows whose heads are scanned before any of their tails: the more, the better the threshold that decides on tails; a few bytes
 * each.
 */
const WINDOW_ROWS = 1 << 15;
/** Bytes of a row in the window, of a block in its list, and behind the rows. */
const SEEN_BYTES = 8;
const WINDOW_BLOCK_BYTES = 16;
const WINDOW_REST_BYTES = 320;
/** What a block fits into, so that a chunk on disk is one. */
const BLOCK_BYTES = 1_000_000;
/** Rows of a block are a multiple of this; the kernels need a multiple of 4. */
const ROWS_MULTIPLE = 32;
const ROWS_MAX = 4096;

/** Bytes of a row in a block, without its id. */
export function rowBytes(shape: BlockShape): number {
  return headStride(shape) + tailStride(shape);
}

/** Bytes of `rows` rows as `save` gives them. */
export function codesBytes(shape: BlockShape, rows: number): number {
  return headStride(shape) * roundUp(rows, GROUP_ROWS) + tailStride(shape) * rows;
}

/** Rows a full block has, whose rows take so many bytes. */
export function blockRows(bytes: number): number {
  const rows = Math.floor(BLOCK_BYTES / bytes);
  return Math.max(ROWS_MULTIPLE, Math.min(ROWS_MAX, rows - (rows % ROWS_MULTIPLE)));
}

/** The fastest kernel this engine runs, with an empty memory of its own. */
export function codeKernel(): CodeKernel {
  return wasmCodeKernel() ?? scalarCodeKernel();
}

export function wasmCodeKernel(): CodeKernel | undefined {
  const exports = instantiate<Omit<CodeKernel, "kernel" | "reserve"> & { memory: Memory }>();
  if (!exports) return undefined;
  const { memory, hash, scanCodes, scanHeads, scanTails, scanBits, settle } = exports;
  return {
    kernel: "wasm",
    reserve(bytes) {
      grow(memory, bytes);
      return memory.buffer;
    },
    hash,
    scanCodes,
    scanHeads,
    scanTails,
    scanBits,
    settle,
  };
}

/** The numbers of a query, in the order in which they lie in memory; see vector/code-space.ts for what they mean. */
export const QUERY_NUMBERS = [
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
const QUERY_BYTES = 80;

/** A query as the kernel takes it. The sum of the weights' absolute values is below 2^24, of head and tail each. */
export type CodedQuery =
  | {
      readonly type: "codes";
      readonly weights: Int16Array;
      readonly tailWeights: Int16Array;
      readonly numbers: Record<(typeof QUERY_NUMBERS)[number], number>;
    }
  | { readonly type: "bits"; readonly bytes: Uint8Array };

export interface ScanInput {
  readonly query: CodedQuery;
  /** How many of the most similar rows are wanted, at least 1. */
  readonly k: number;
  /** Rows that are surely less similar than this are not wanted; `-Infinity` for no such bound. */
  readonly floor: number;
  /** Most rows that may be left; with more the scan gives up. At least `k`. */
  readonly most: number;
}

/** Rows that may be among the k most similar, and the upper bound of each. */
export interface Survivors {
  readonly rows: Int32Array;
  readonly uppers: Float64Array;
}

/** Blocks of coded rows in a kernel's memory, in slots numbered from 0. */
export class CodeBlocks {
  readonly shape: BlockShape;
  /** Rows a block has room for. */
  readonly capacity: number;
  readonly #kernel: CodeKernel;
  readonly #slotBytes: number;
  #buffer: ArrayBuffer;
  #slots = 0;
  readonly #free: number[] = [];

  /** @param capacity - fewer rows a block than are usual, a multiple of 4, for tests */
  constructor(shape: BlockShape, kernel: CodeKernel, capacity = blockRows(rowBytes(shape))) {
    this.shape = shape;
    this.capacity = capacity;
    this.#kernel = kernel;
    this.#slotBytes = roundUp(rowBytes(shape) * capacity, GROUP_ROWS * PIECE_BYTES);
    this.#buffer = kernel.reserve(BASE);
  }

  get kernel(): CodeKernel["kernel"] {
    return this.#kernel.kernel;
  }

  /** Bytes a row takes in a scan. */
  get rowBytes(): number {
    return rowBytes(this.shape);
  }

  /** Bytes of the slots in use. */
  get bytes(): number {
    return (this.#slots - this.#free.length) * this.#slotBytes;
  }

  /** @throws {RangeError} when memory ends */
  take(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    this.#reserve(this.#at(this.#slots + 1));
    return this.#slots++;
  }

  /** Gives a slot back. */
  free(slot: number): void {
    this.#free.push(slot);
  }

  write(slot: number, row: number, { head, tail, params }: RowCode): void {
    this.#setHead(slot, row, head);
    this.#setParams(slot, row, params);
    if (this.shape.tailBytes === 0) return;
    const bytes = this.#tail(slot, row);
    new Float32Array(this.#buffer, bytes.byteOffset, TAIL_PARAMS).set(params.subarray(headParams(this.shape)));
    bytes.set(tail, TAIL_PARAMS * FLOAT_BYTES);
  }

  /** Marks a row as gone: no scan finds it until it is written again. */
  erase(slot: number, row: number): void {
    this.#setParams(slot, row, [Number.NEGATIVE_INFINITY, 0, 0, 0]);
  }

  /** Copies a row of another slot, which may be of other blocks of the same shape. */
  copy(slot: number, row: number, from: CodeBlocks, fromSlot: number, fromRow: number): void {
    this.#setHead(slot, row, from.#head(fromSlot, fromRow));
    this.#setParams(slot, row, from.#params(fromSlot, fromRow));
    this.#tail(slot, row).set(from.#tail(fromSlot, fromRow));
  }

  /** Bytes of the first `rows` rows of a slot, run by run, without gaps: what `load` takes. */
  save(slot: number, rows: number): Uint8Array {
    for (let row = rows; row % GROUP_ROWS !== 0; row++) {
      this.#setHead(slot, row, NO_BYTES);
      this.#setParams(slot, row, NO_PARAMS);
    }
    return saveRuns(this.#buffer, this.#runs(slot, rows), codesBytes(this.shape, rows));
  }

  /** Fills the first `rows` rows of a slot from what `save` gave; the length is the caller's to check. */
  load(slot: number, rows: number, bytes: Uint8Array): void {
    loadRuns(this.#buffer, this.#runs(slot, rows), bytes);
  }

  /** Checksums of what full slots hold, as `save` would give it. */
  checksums(slots: readonly number[]): number[] {
    const places = slots.map((slot) => this.#at(slot));
    return checksumsAt(this.#kernel, this.#buffer, places, codesBytes(this.shape, this.capacity));
  }

  /** Begins a scan. The blocks are handed to it one by one; until it is over no other may begin, and no slot be taken. */
  scan({ query, k, floor, most }: ScanInput): Scan {
    const { headBytes, tailBytes } = this.shape;
    const [headStep, tailStep] = [headStride(this.shape), tailStride(this.shape)];
    const queryAt = this.#at(this.#slots);
    const stateAt = queryAt + QUERY_BYTES + (headBytes + tailBytes) * 2;
    const heapAt = stateAt + STATE_BYTES;
    const bests = Math.max(k, BESTS_MIN);
    const bestsAt = heapAt + k * 8;
    const listAt = roundUp(bestsAt + bests * 8, 16);
    // Room for twice as many: a full list is cleared of what the threshold has overtaken, at most once every `most` rows.
    const listCapacity = most * 2;
    const maskAt = listAt + listCapacity * FOUND_BYTES;
    const windowAt = roundUp(maskAt + this.capacity, 16);
    const windowBlocks =
      tailBytes === 0 ? 0 : Math.max(1, Math.min(this.#slots, Math.floor(WINDOW_ROWS / this.capacity)));
    const windowRows = windowBlocks * this.capacity;
    const blocksAt = windowAt + windowRows * SEEN_BYTES + WINDOW_REST_BYTES;
    this.#reserve(blocksAt + windowBlocks * WINDOW_BLOCK_BYTES);
    const buffer = this.#buffer;
    const state = new Int32Array(buffer, stateAt, STATE_BYTES / 4);
    const begin = () => {
      state.set([k, 0, 0, listCapacity, heapAt, listAt, 0, state[9]!, bests, 0, bestsAt], 2);
      new Float32Array(buffer, stateAt + 52, 1)[0] = Number.NEGATIVE_INFINITY;
    };
    new Float64Array(buffer, stateAt, 1)[0] = floor;
    state[9] = 0;
    begin();
    if (query.type === "bits") new Uint8Array(buffer, queryAt, headBytes).fill(0).set(query.bytes);
    else this.#writeQuery(queryAt, query);
    const blocks = new Int32Array(buffer, blocksAt, (windowBlocks * WINDOW_BLOCK_BYTES) / 4);
    let waiting = 0;
    const settle = () => {
      if (waiting === 0) return;
      const { capacity } = this;
      this.#kernel.scanTails(stateAt, queryAt, headBytes, tailBytes, capacity, windowAt, windowRows, blocksAt, waiting);
      waiting = 0;
    };
    let rows = 0;
    let isRepeated = false;
    return {
      block: (slot, count, first, mask) => {
        if (mask) new Uint8Array(buffer, maskAt, count).set(mask.subarray(0, count));
        const block = this.#at(slot);
        const rest = [count, first, mask ? maskAt : 0] as const;
        rows += count;
        if (query.type === "bits") this.#kernel.scanBits(stateAt, queryAt, block, headBytes, ...rest);
        else if (tailBytes === 0) this.#kernel.scanCodes(stateAt, queryAt, block, headBytes, ...rest);
        else {
          const { capacity } = this;
          const place = waiting * capacity;
          const more = [capacity, ...rest, windowAt, windowRows, place] as const;
          this.#kernel.scanHeads(stateAt, queryAt, block, headBytes, tailBytes, ...more);
          blocks.set([block, first, count], waiting * 4);
          if (++waiting === windowBlocks) settle();
        }
      },
      settle,
      again: () => {
        settle();
        const isDone = state[8] === 0 || isRepeated;
        isRepeated = true;
        if (!isDone) begin();
        return !isDone;
      },
      get threshold() {
        settle();
        return new Float64Array(buffer, stateAt, 1)[0]!;
      },
      get bytesRead() {
        settle();
        return rows * headStep + state[9]! * tailStep;
      },
      survivors: () => {
        settle();
        const left = state[8] === 0 ? this.#kernel.settle(stateAt) : most + 1;
        if (left > most) return undefined;
        const doubles = new Float64Array(buffer, listAt, left * 2);
        const integers = new Int32Array(buffer, listAt, left * 4);
        return {
          rows: Int32Array.from({ length: left }, (_, i) => integers[i * 4 + 2]!),
          uppers: Float64Array.from({ length: left }, (_, i) => doubles[i * 2]!),
        };
      },
    };
  }

  #at(slot: number): number {
    return BASE + slot * this.#slotBytes;
  }

  /** Where the group of a row begins. */
  #groupAt(slot: number, row: number): number {
    return this.#at(slot) + (row - (row % GROUP_ROWS)) * headStride(this.shape);
  }

  /** Where the first piece of a row's head lies; each other follows `GROUP_ROWS` pieces later. */
  #headAt(slot: number, row: number): number {
    return this.#groupAt(slot, row) + (row % GROUP_ROWS) * PIECE_BYTES;
  }

  #head(slot: number, row: number): Uint8Array {
    const head = new Uint8Array(this.shape.headBytes);
    let from = this.#headAt(slot, row);
    for (let at = 0; at < head.length; at += PIECE_BYTES, from += GROUP_ROWS * PIECE_BYTES) {
      head.set(new Uint8Array(this.#buffer, from, PIECE_BYTES), at);
    }
    return head;
  }

  /** Sets a row's head, filled up with 0. */
  #setHead(slot: number, row: number, head: Uint8Array): void {
    const { headBytes } = this.shape;
    const bytes = new Uint8Array(this.#buffer);
    let to = this.#headAt(slot, row);
    for (let at = 0; at < headBytes; at += PIECE_BYTES, to += GROUP_ROWS * PIECE_BYTES) {
      for (let i = 0; i < PIECE_BYTES; i++) bytes[to + i] = head[at + i] ?? 0;
    }
  }

  /** The parameters of a row's group, of which the row has every fourth from `row % 4` on. */
  #groupParams(slot: number, row: number): Float32Array {
    const at = this.#groupAt(slot, row) + this.shape.headBytes * GROUP_ROWS;
    return new Float32Array(this.#buffer, at, headParams(this.shape) * GROUP_ROWS);
  }

  #params(slot: number, row: number): Float32Array {
    return this.#groupParams(slot, row).filter((_, i) => i % GROUP_ROWS === row % GROUP_ROWS);
  }

  #setParams(slot: number, row: number, values: ArrayLike<number>): void {
    const params = this.#groupParams(slot, row);
    for (let i = row % GROUP_ROWS, n = 0; i < params.length; i += GROUP_ROWS, n++) params[i] = values[n]!;
  }

  /** A row's tail, its parameters first. */
  #tail(slot: number, row: number): Uint8Array {
    const stride = tailStride(this.shape);
    const tails = this.#at(slot) + headStride(this.shape) * this.capacity;
    return new Uint8Array(this.#buffer, tails + row * stride, stride);
  }

  #writeQuery(at: number, { weights, tailWeights, numbers }: CodedQuery & { type: "codes" }): void {
    const { headBytes, tailBytes } = this.shape;
    new Float64Array(this.#buffer, at, QUERY_NUMBERS.length).set(QUERY_NUMBERS.map((name) => numbers[name]));
    const all = new Int16Array(this.#buffer, at + QUERY_BYTES, headBytes + tailBytes).fill(0);
    all.set(weights);
    all.set(tailWeights, headBytes);
  }

  /** Where each run of a slot begins and how many bytes of it `rows` rows take. */
  *#runs(slot: number, rows: number): Generator<[from: number, length: number]> {
    const at = this.#at(slot);
    yield [at, headStride(this.shape) * roundUp(rows, GROUP_ROWS)];
    yield [at + headStride(this.shape) * this.capacity, tailStride(this.shape) * rows];
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#buffer.byteLength) return;
    this.#buffer = this.#kernel.reserve(bytes);
  }
}

/** A scan under way. */
export interface Scan {
  /**
   * Scans the first `count` rows of a slot, which count on from `first`.
   *
   * @param mask - one byte a row, 0 to pass it over; undefined for all rows
   */
  block(slot: number, count: number, first: number, mask: Uint8Array | undefined): void;
  /** Has the blocks so far looked at for good: to be called before what a slot holds changes. */
  settle(): void;
  /**
   * Whether the blocks have to be handed over once more: where the nearest rows come last, the list may have run over by rows
   * they rule out. The threshold, that of all rows, is kept, so a second time is enough.
   */
  again(): boolean;
  /** Bytes of codes read so far, about: of rows that are passed over, too. */
  readonly bytesRead: number;
  /** The rows that may be among the `k` most similar, or undefined where they are more than `most`. */
  survivors(): Survivors | undefined;
  /** Rows that do not survive are less similar than this. */
  readonly threshold: number;
}
