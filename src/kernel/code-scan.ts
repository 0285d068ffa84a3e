import { BASE, grow, instantiate, type Memory, roundUp } from "./module.ts";
import { scalarCodeKernel } from "./scalar-code-scan.ts";

/**
 * The kernels over resident codes, and the memory they work on. One memory holds, from `BASE` on:
 *
 * | part | bytes |
 * | --- | --- |
 * | rows | count x (`width` codes, then f32 scale, f32 error, f32 offset, 4 unused); `width` is a multiple of 16, padded with 0 |
 * | query | `width` x i16, or `width` bytes for bits; padded with 0 |
 * | state | f64 threshold, i32 k, i32 heap size, i32 found, i32 capacity, u32 heap, u32 list |
 * | heap | k x f64: the k largest lower bounds, the least on top |
 * | list | capacity x (f64 upper bound, i32 row, 4 unused): rows that may be among the k most similar |
 * | mask | count x u8: 0 where a row is to be passed over; none where all are asked |
 *
 * Everything behind the rows is written anew by each scan. A row that is gone has the offset -Infinity.
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
    rows: number,
    width: number,
    count: number,
    mask: number,
  ): boolean | number;
  scanBits(state: number, query: number, rows: number, width: number, count: number, mask: number): boolean | number;
  /** Drops from the list what the final threshold rules out, and returns how many are left. */
  settle(state: number): number;
}

/** Bytes of a row behind its codes. */
const ROW_TAIL_BYTES = 16;
const STATE_BYTES = 32;
const FOUND_BYTES = 16;
/** Memory is asked for in steps of at least this: what is not touched takes no room. */
const GROWTH_BYTES = 1 << 20;

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
  /** One byte a row, 0 to pass it over; undefined for all rows. */
  readonly mask: Uint8Array | undefined;
}

/** Rows that may be among the k most similar, and the upper bound of each. */
export interface Survivors {
  readonly rows: Int32Array;
  readonly uppers: Float64Array;
}

/** Coded rows in a kernel's memory, numbered from 0. */
export class CodeRows {
  readonly #kernel: CodeKernel;
  readonly #width: number;
  readonly #stride: number;
  #buffer: ArrayBuffer;
  #count = 0;

  /** @param codeBytes - bytes of a row's codes: one a dimension, or one for eight bits */
  constructor(codeBytes: number, kernel: CodeKernel) {
    this.#kernel = kernel;
    this.#width = roundUp(codeBytes, 16);
    this.#stride = this.#width + ROW_TAIL_BYTES;
    this.#buffer = kernel.reserve(BASE);
  }

  get kernel(): CodeKernel["kernel"] {
    return this.#kernel.kernel;
  }

  get count(): number {
    return this.#count;
  }

  get rowBytes(): number {
    return this.#stride;
  }

  /**
   * Writes a row; `row` is at most `count`, which appends it.
   *
   * @throws {RangeError} when memory ends
   */
  write(row: number, { codes, scale, error, offset }: RowCode): void {
    const at = BASE + row * this.#stride;
    this.#reserve(at + this.#stride);
    const bytes = new Uint8Array(this.#buffer, at, this.#width);
    bytes.set(new Uint8Array(codes.buffer, codes.byteOffset, codes.length));
    bytes.fill(0, codes.length);
    new Float32Array(this.#buffer, at + this.#width, 4).set([scale, error, offset, 0]);
    if (row === this.#count) this.#count++;
  }

  /** Marks a row as gone: no scan finds it until it is written again. */
  erase(row: number): void {
    const at = BASE + row * this.#stride + this.#width;
    new Float32Array(this.#buffer, at, 4).set([0, 0, Number.NEGATIVE_INFINITY, 0]);
  }

  /** The rows that may be among the `k` most similar, or undefined where they are more than `most`. */
  scan({ query, k, floor, most, mask }: ScanInput): Survivors | undefined {
    const queryAt = BASE + this.#count * this.#stride;
    const stateAt = queryAt + this.#width * 2;
    const heapAt = stateAt + STATE_BYTES;
    const listAt = roundUp(heapAt + k * 8, 16);
    // Room for twice as many: a full list is cleared of what the threshold has overtaken, at most once every `most` rows.
    const capacity = most * 2;
    const maskAt = listAt + capacity * FOUND_BYTES;
    this.#reserve(maskAt + (mask ? this.#count : 0));
    const buffer = this.#buffer;
    if (mask) new Uint8Array(buffer, maskAt, this.#count).set(mask);
    const threshold = new Float64Array(buffer, stateAt, 1);
    threshold[0] = floor;
    const run = () => {
      new Int32Array(buffer, stateAt + 8, 6).set([k, 0, 0, capacity, heapAt, listAt]);
      return this.#run(query, stateAt, queryAt, mask ? maskAt : 0);
    };
    // Where the nearest rows come last, the list may have run over by rows they rule out: the first run has found the threshold.
    const isWhole = run() || run();
    const left = isWhole ? this.#kernel.settle(stateAt) : most + 1;
    if (left > most) return undefined;
    const doubles = new Float64Array(buffer, listAt, left * 2);
    const integers = new Int32Array(buffer, listAt, left * 4);
    return {
      rows: Int32Array.from({ length: left }, (_, i) => integers[i * 4 + 2]!),
      uppers: Float64Array.from({ length: left }, (_, i) => doubles[i * 2]!),
    };
  }

  #run(query: CodedQuery, state: number, queryAt: number, mask: number): boolean {
    const width = this.#width;
    if (query.type === "bits") {
      const bytes = new Uint8Array(this.#buffer, queryAt, width);
      bytes.fill(0).set(query.bytes);
      return Boolean(this.#kernel.scanBits(state, queryAt, BASE, width, this.#count, mask));
    }
    const { weights, step, perError, perScale, constant } = query;
    new Int16Array(this.#buffer, queryAt, width).fill(0).set(weights);
    return Boolean(
      this.#kernel.scanCodes(state, queryAt, step, perError, perScale, constant, BASE, width, this.#count, mask),
    );
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#buffer.byteLength) return;
    this.#buffer = this.#kernel.reserve(bytes + GROWTH_BYTES);
  }
}
