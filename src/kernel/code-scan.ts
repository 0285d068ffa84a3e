import { BASE, grow, instantiate, type Memory, roundUp } from "./module.ts";
import { scalarCodeKernel } from "./scalar-code-scan.ts";

/**
 * The kernels over resident codes, and the memory they work on. One memory holds, from `BASE` on:
 *
 * | part | bytes |
 * | --- | --- |
 * | slots | each one block: the runs of `BlockShape`, with room for `capacity` rows |
 * | query | `codeBytes` x i16, or `codeBytes` bytes for bits; padded with 0 |
 * | state | f64 threshold, i32 k, i32 heap size, i32 found, i32 capacity, u32 heap, u32 list |
 * | heap | k x f64: the k largest lower bounds, the least on top |
 * | list | capacity x (f64 upper bound, i32 row, 4 unused): rows that may be among the k most similar |
 * | mask | `capacity` x u8: 0 where a row of the block in hand is to be passed over |
 *
 * Everything behind the slots is written anew by each scan. A row that is gone has the offset -Infinity.
 */
export interface CodeKernel {
  readonly kernel: "wasm" | "scalar";
  /** The memory, of at least so many bytes and with all its contents; earlier buffers are void. */
  reserve(bytes: number): ArrayBuffer;
  /** False when the list has overflowed; the threshold is that of all rows even so. */
  scanCodes(
    state: number,
    query: number,
    step: number,
    perError: number,
    perScale: number,
    constant: number,
    block: number,
    width: number,
    capacity: number,
    count: number,
    first: number,
    mask: number,
  ): boolean | number;
  scanBits(
    state: number,
    query: number,
    block: number,
    width: number,
    capacity: number,
    count: number,
    first: number,
    mask: number,
  ): boolean | number;
  /** Drops from the list what the final threshold rules out, and returns how many are left. */
  settle(state: number): number;
}

/**
 * The runs of a block, one behind the other: codes of all rows, then each parameter of all rows as f32. So a chunk on disk and
 * a slot in memory differ in nothing but the number of rows they have room for.
 */
export interface BlockShape {
  /** Bytes of a row's codes, padded with 0 to a multiple of 16. */
  readonly codeBytes: number;
}

/** f32 parameters of a row: offset, scale, error. */
export const PARAMS = 3;
const STATE_BYTES = 32;
const FOUND_BYTES = 16;
/** Memory is asked for in steps of at least this: what is not touched takes no room. */
const GROWTH_BYTES = 1 << 20;
/** What a block with its ids fits into, so that a chunk on disk is one. */
const BLOCK_BYTES = 1_000_000;
/** Rows of a block are a multiple of this. */
const ROWS_MULTIPLE = 32;
const ROWS_MAX = 4096;

/** Bytes of a row in a block, without its id. */
export function rowBytes({ codeBytes }: BlockShape): number {
  return codeBytes + PARAMS * 4;
}

/** Rows a full block has. */
export function blockRows(shape: BlockShape): number {
  const rows = Math.floor(BLOCK_BYTES / (rowBytes(shape) + 8));
  return Math.max(ROWS_MULTIPLE, Math.min(ROWS_MAX, rows - (rows % ROWS_MULTIPLE)));
}

/** The fastest kernel this engine runs, with an empty memory of its own. */
export function codeKernel(): CodeKernel {
  return wasmCodeKernel() ?? scalarCodeKernel();
}

export function wasmCodeKernel(): CodeKernel | undefined {
  const exports = instantiate<Omit<CodeKernel, "kernel" | "reserve"> & { memory: Memory }>();
  if (!exports) return undefined;
  const { memory, scanCodes, scanBits, settle } = exports;
  return {
    kernel: "wasm",
    reserve(bytes) {
      grow(memory, bytes);
      return memory.buffer;
    },
    scanCodes,
    scanBits,
    settle,
  };
}

/** One coded row: y ≈ scale · codes, at most `error` away; `offset` is added to the similarity. See vector/code-space.ts. */
export interface RowCode {
  readonly codes: Int8Array | Uint8Array;
  readonly scale: number;
  readonly error: number;
  readonly offset: number;
}

/** A query as the kernel takes it; see vector/code-space.ts for what the numbers mean and why they bound. */
export type CodedQuery =
  | {
      readonly type: "codes";
      readonly weights: Int16Array;
      readonly step: number;
      readonly perError: number;
      readonly perScale: number;
      readonly constant: number;
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

  /** @param capacity - fewer rows a block than are usual, for tests */
  constructor(shape: BlockShape, kernel: CodeKernel, capacity = blockRows(shape)) {
    this.shape = shape;
    this.capacity = capacity;
    this.#kernel = kernel;
    this.#slotBytes = roundUp(rowBytes(shape) * capacity, 16);
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

  write(slot: number, row: number, { codes, scale, error, offset }: RowCode): void {
    const { codeBytes } = this.shape;
    const bytes = new Uint8Array(this.#buffer, this.#at(slot) + row * codeBytes, codeBytes);
    bytes.set(new Uint8Array(codes.buffer, codes.byteOffset, codes.length));
    bytes.fill(0, codes.length);
    const params = this.#params(slot);
    params[row] = offset;
    params[this.capacity + row] = scale;
    params[2 * this.capacity + row] = error;
  }

  /** Marks a row as gone: no scan finds it until it is written again. */
  erase(slot: number, row: number): void {
    const params = this.#params(slot);
    params[row] = Number.NEGATIVE_INFINITY;
    params[this.capacity + row] = 0;
    params[2 * this.capacity + row] = 0;
  }

  /** Copies a row of another slot, which may be of other blocks of the same shape. */
  copy(slot: number, row: number, from: CodeBlocks, fromSlot: number, fromRow: number): void {
    const { codeBytes } = this.shape;
    const source = new Uint8Array(from.#buffer, from.#at(fromSlot) + fromRow * codeBytes, codeBytes);
    new Uint8Array(this.#buffer, this.#at(slot) + row * codeBytes, codeBytes).set(source);
    const [to, params] = [this.#params(slot), from.#params(fromSlot)];
    for (let i = 0; i < PARAMS; i++) to[i * this.capacity + row] = params[i * from.capacity + fromRow]!;
  }

  /** Bytes of the first `rows` rows of a slot, run by run, without gaps: what `load` takes. */
  save(slot: number, rows: number): Uint8Array {
    const bytes = new Uint8Array(rowBytes(this.shape) * rows);
    let at = 0;
    for (const [from, length] of this.#runs(slot, rows)) {
      bytes.set(new Uint8Array(this.#buffer, from, length), at);
      at += length;
    }
    return bytes;
  }

  /** Fills the first `rows` rows of a slot from what `save` gave; the length is the caller's to check. */
  load(slot: number, rows: number, bytes: Uint8Array): void {
    let at = 0;
    for (const [to, length] of this.#runs(slot, rows)) {
      new Uint8Array(this.#buffer, to, length).set(bytes.subarray(at, at + length));
      at += length;
    }
  }

  /** Begins a scan. The blocks are handed to it one by one; until it is over no other may begin, and no slot be taken. */
  scan({ query, k, floor, most }: ScanInput): Scan {
    const { codeBytes } = this.shape;
    const queryAt = this.#at(this.#slots);
    const stateAt = queryAt + codeBytes * 2;
    const heapAt = stateAt + STATE_BYTES;
    const listAt = roundUp(heapAt + k * 8, 16);
    // Room for twice as many: a full list is cleared of what the threshold has overtaken, at most once every `most` rows.
    const listCapacity = most * 2;
    const maskAt = listAt + listCapacity * FOUND_BYTES;
    this.#reserve(maskAt + this.capacity);
    const buffer = this.#buffer;
    const begin = () => new Int32Array(buffer, stateAt + 8, 6).set([k, 0, 0, listCapacity, heapAt, listAt]);
    new Float64Array(buffer, stateAt, 1)[0] = floor;
    begin();
    if (query.type === "bits") new Uint8Array(buffer, queryAt, codeBytes).fill(0).set(query.bytes);
    else new Int16Array(buffer, queryAt, codeBytes).fill(0).set(query.weights);
    let isWhole = true;
    return {
      block: (slot, count, first, mask) => {
        if (mask) new Uint8Array(buffer, maskAt, count).set(mask.subarray(0, count));
        const at = [this.#at(slot), codeBytes, this.capacity, count, first, mask ? maskAt : 0] as const;
        const isRoomy =
          query.type === "bits"
            ? this.#kernel.scanBits(stateAt, queryAt, ...at)
            : this.#kernel.scanCodes(
                stateAt,
                queryAt,
                query.step,
                query.perError,
                query.perScale,
                query.constant,
                ...at,
              );
        isWhole = Boolean(isRoomy) && isWhole;
      },
      again: () => {
        const wasWhole = isWhole;
        isWhole = true;
        if (!wasWhole) begin();
        return !wasWhole;
      },
      survivors: () => {
        const left = isWhole ? this.#kernel.settle(stateAt) : most + 1;
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

  #params(slot: number): Float32Array {
    return new Float32Array(
      this.#buffer,
      this.#at(slot) + this.shape.codeBytes * this.capacity,
      PARAMS * this.capacity,
    );
  }

  /** Where each run of a slot begins and how many bytes of it `rows` rows take. */
  *#runs(slot: number, rows: number): Generator<[from: number, length: number]> {
    let at = this.#at(slot);
    for (const bytes of [this.shape.codeBytes, ...Array<number>(PARAMS).fill(4)]) {
      yield [at, bytes * rows];
      at += bytes * this.capacity;
    }
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#buffer.byteLength) return;
    this.#buffer = this.#kernel.reserve(bytes + GROWTH_BYTES);
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
  /**
   * Whether the blocks have to be handed over once more: where the nearest rows come last, the list may have run over by rows
   * they rule out. The threshold, that of all rows, is kept, so a second time is enough.
   */
  again(): boolean;
  /** The rows that may be among the `k` most similar, or undefined where they are more than `most`. */
  survivors(): Survivors | undefined;
}
