import { checksumsAt, type HashKernel } from "./checksum.ts";
import { BASE, grow, instantiate, type Memory, roundUp } from "./module.ts";
import { loadRuns, saveRuns } from "./runs.ts";
import { GONE, scalarOneBitKernel } from "./scalar-one-bit.ts";

/**
 * The kernels of 1-bit codes, and the memory they work on. One memory holds, from `BASE` on, with `width` the dimensions rounded
 * up to a multiple of 32:
 *
 * | part | bytes |
 * | --- | --- |
 * | centre | width x f32, padded with 0 |
 * | factors | rounds x width x f32 of the rotation |
 * | slots | each one block with room for `capacity` rows: bits, offsets, scales, errors |
 * | rows | 32 x width x f32: rows to be coded |
 * | or query | 9 x f32 as in `OneBitQuery`, padded, and the table: width / 4 x 16 bytes |
 * | state | f32 threshold, i32 k, i32 heap size, i32 found, i32 capacity, u32 heap, u32 list, i32 whether the list ran over |
 * | heap | k x f32: the k largest lower bounds, the least on top |
 * | list | capacity x (f32 upper bound, i32 row) |
 * | mask | `capacity` x u8: 0 where a row of the block in hand is to be passed over |
 *
 * Bits lie in groups of 32 rows, and of 4 dimensions within one: 16 bytes, byte j with the bits of row j below those of row
 * j + 16. So one look-up in a table of 16 sums, made by a swizzle, serves 4 dimensions of 16 rows.
 *
 * @see André, Kermarrec, Le Scouarnec, "Cache locality is not enough: high-performance nearest neighbor search with product
 * quantization fast scan", 2015
 */
export interface OneBitKernel extends HashKernel {
  readonly kernel: "wasm" | "scalar";
  reserve(bytes: number): ArrayBuffer;
  codeOneBit(
    rows: number,
    count: number,
    width: number,
    window: number,
    centre: number,
    factors: number,
    rounds: number,
    isUnit: number,
    isL2: number,
    block: number,
    capacity: number,
    first: number,
  ): number;
  rotateOneBit(at: number, width: number, window: number, factors: number, rounds: number): void;
  scanOneBit(
    state: number,
    query: number,
    table: number,
    block: number,
    width: number,
    capacity: number,
    count: number,
    first: number,
    mask: number,
  ): void;
  settleOneBit(state: number): number;
}

export function oneBitKernel(): OneBitKernel {
  return wasmOneBitKernel() ?? scalarOneBitKernel();
}

export function wasmOneBitKernel(): OneBitKernel | undefined {
  const exports = instantiate<Omit<OneBitKernel, "kernel" | "reserve"> & { memory: Memory }>();
  if (!exports) return undefined;
  const { memory, hash, codeOneBit, rotateOneBit, scanOneBit, settleOneBit } = exports;
  return {
    kernel: "wasm",
    reserve(bytes) {
      grow(memory, bytes);
      return memory.buffer;
    },
    hash,
    codeOneBit,
    rotateOneBit,
    scanOneBit,
    settleOneBit,
  };
}

/** How rows are turned into bits: the same numbers give the same bits. */
export interface OneBitShape {
  /** Bits of a row, a multiple of 32. */
  readonly width: number;
  /** Numbers that one Hadamard transform takes: the largest power of two that is not above `width`. */
  readonly window: number;
  /** For each round of the rotation `width` factors. */
  readonly factors: readonly Float32Array[];
  /** `width` numbers, 0 beyond the dimensions. */
  readonly centre: Float32Array;
  /** Whether a vector is divided by its norm first. */
  readonly isUnit: boolean;
  readonly isL2: boolean;
}

/** A query as the scan takes it; vector/one-bit-space.ts tells what it means. */
export interface OneBitQuery {
  /** step, base, perError, perScale, perOffset, norm, width, width - 1, caution. */
  readonly numbers: Float32Array;
  /** For each four dimensions the 16 sums that their bits may have, 0..31. */
  readonly table: Uint8Array;
}

/** Rows that may be among the k most similar, and the upper bound of each: no proof, a likelihood. */
export interface OneBitFound {
  readonly rows: Int32Array;
  readonly uppers: Float32Array;
  /** All other rows lie below. */
  readonly threshold: number;
}

/** f32 parameters of a row: offset, scale, error. */
const PARAMS = 3;
/** Rows whose bits lie together: what one look-up serves, twice. */
export const GROUP_ROWS = 32;
const QUERY_BYTES = 48;
const STATE_BYTES = 32;
const FOUND_BYTES = 8;
/** More would leave 16 bits in sums over the widest vectors. */
const ENTRY_MAX = 31;

/** The largest entry of a table. */
export function entryMax(width: number): number {
  return Math.min(ENTRY_MAX, Math.floor(65_535 / (width / 4)));
}

/** Bytes of a row in memory, without its id. */
export function oneBitRowBytes(width: number): number {
  return width / 8 + PARAMS * 4;
}

/** Bytes of `rows` rows as `save` gives them: whole groups of bits. */
export function oneBitBytes(width: number, rows: number): number {
  return (roundUp(rows, GROUP_ROWS) * width) / 8 + rows * PARAMS * 4;
}

/** Blocks of 1-bit codes in a kernel's memory, in slots numbered from 0, and what codes rows into them. */
export class OneBitBlocks {
  readonly shape: OneBitShape;
  /** Rows a block has room for, a multiple of 32. */
  readonly capacity: number;
  readonly #kernel: OneBitKernel;
  readonly #slotBytes: number;
  readonly #slotsAt: number;
  readonly #free: number[] = [];
  #buffer: ArrayBuffer;
  #slots = 0;

  constructor(shape: OneBitShape, capacity: number, kernel: OneBitKernel = oneBitKernel()) {
    const { width, centre, factors } = shape;
    this.shape = shape;
    this.capacity = roundUp(capacity, GROUP_ROWS);
    this.#kernel = kernel;
    this.#slotBytes = oneBitRowBytes(width) * this.capacity;
    this.#slotsAt = BASE + (1 + factors.length) * width * 4;
    this.#buffer = kernel.reserve(this.#slotsAt);
    [centre, ...factors].forEach((values, i) => {
      new Float32Array(this.#buffer, BASE + i * width * 4, width).set(values);
    });
  }

  get kernel(): OneBitKernel["kernel"] {
    return this.#kernel.kernel;
  }

  get rowBytes(): number {
    return oneBitRowBytes(this.shape.width);
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

  /**
   * Codes vectors into a slot, from row `first` on.
   *
   * @param vectors - numbers as they are stored, of any length up to `width`
   * @returns the places of those that hold NaN or an infinity: they are gone
   */
  write(slot: number, first: number, vectors: readonly ArrayLike<number>[]): number[] {
    const { width, window, factors, isUnit, isL2 } = this.shape;
    const rowsAt = this.#at(this.#slots);
    this.#reserve(rowsAt + GROUP_ROWS * width * 4);
    const centreAt = BASE;
    const bad: number[] = [];
    for (let from = 0; from < vectors.length; from += GROUP_ROWS) {
      const count = Math.min(GROUP_ROWS, vectors.length - from);
      const rows = new Float32Array(this.#buffer, rowsAt, count * width);
      for (let i = 0; i < count; i++) {
        const vector = vectors[from + i]!;
        rows.set(vector, i * width);
        if (vector.length < width) rows.fill(0, i * width + vector.length, (i + 1) * width);
      }
      let bits = this.#kernel.codeOneBit(
        rowsAt,
        count,
        width,
        window,
        centreAt,
        centreAt + width * 4,
        factors.length,
        isUnit ? 1 : 0,
        isL2 ? 1 : 0,
        this.#at(slot),
        this.capacity,
        first + from,
      );
      for (let i = 0; bits !== 0; i++, bits >>>= 1) if (bits & 1) bad.push(from + i);
    }
    return bad;
  }

  /** The rotation of `width` numbers. */
  rotate(vector: Float32Array): Float32Array {
    const { width, window, factors } = this.shape;
    const at = this.#at(this.#slots);
    this.#reserve(at + width * 4);
    new Float32Array(this.#buffer, at, width).set(vector);
    this.#kernel.rotateOneBit(at, width, window, BASE + width * 4, factors.length);
    return new Float32Array(this.#buffer, at, width).slice();
  }

  /** Marks a row as gone: no scan finds it until it is written again. */
  erase(slot: number, row: number): void {
    const params = this.#params(slot);
    params[row] = GONE;
    params[this.capacity + row] = 0;
    params[2 * this.capacity + row] = 0;
  }

  /** Copies a row of another slot, which may be of other blocks of the same shape. */
  copy(slot: number, row: number, from: OneBitBlocks, fromSlot: number, fromRow: number): void {
    const [source, target] = [from.#bits(fromSlot), this.#bits(slot)];
    const { width } = this.shape;
    const read = (fromRow >> 5) * width * 4 + (fromRow & 15);
    const write = (row >> 5) * width * 4 + (row & 15);
    const shift = (fromRow & 16) >> 2;
    for (let at = 0; at < width * 4; at += 16) {
      const nibble = (source[read + at]! >> shift) & 15;
      const other = target[write + at]!;
      target[write + at] = (row & 16) === 0 ? (other & 0xf0) | nibble : (other & 0x0f) | (nibble << 4);
    }
    const [to, params] = [this.#params(slot), from.#params(fromSlot)];
    for (let i = 0; i < PARAMS; i++) to[i * this.capacity + row] = params[i * from.capacity + fromRow]!;
  }

  /** Offset, scale and error of a row. */
  paramsOf(slot: number, row: number): readonly [offset: number, scale: number, error: number] {
    const params = this.#params(slot);
    return [params[row]!, params[this.capacity + row]!, params[2 * this.capacity + row]!];
  }

  /** Bytes of the first `rows` rows of a slot, run by run, without gaps: what `load` takes. */
  save(slot: number, rows: number): Uint8Array {
    return saveRuns(this.#buffer, this.#runs(slot, rows), oneBitBytes(this.shape.width, rows));
  }

  /** Fills the first `rows` rows of a slot from what `save` gave; the length is the caller's to check. */
  load(slot: number, rows: number, bytes: Uint8Array): void {
    loadRuns(this.#buffer, this.#runs(slot, rows), bytes);
  }

  /** Checksums of what full slots hold, as `save` would give it. */
  checksums(slots: readonly number[]): number[] {
    const places = slots.map((slot) => this.#at(slot));
    return checksumsAt(this.#kernel, this.#buffer, places, oneBitBytes(this.shape.width, this.capacity));
  }

  /**
   * Begins a scan; the blocks are handed to it one by one. Until it is over nothing else may be done here.
   *
   * @param input.k - how many of the most similar rows are wanted, at least 1
   * @param input.floor - rows that are likely less similar than this are not wanted; `-Infinity` for no such bound
   * @param input.most - most rows that may be left, at least `k`
   */
  scan({ query, k, floor, most }: OneBitScanInput): OneBitScan {
    const { width } = this.shape;
    const queryAt = this.#at(this.#slots);
    const tableAt = queryAt + QUERY_BYTES;
    const stateAt = tableAt + width * 4;
    const heapAt = stateAt + STATE_BYTES;
    const listAt = roundUp(heapAt + k * 4, 16);
    // Room for twice as many: a full list is cleared of what the threshold has overtaken, at most once every `most` rows.
    const listCapacity = most * 2;
    const maskAt = roundUp(listAt + listCapacity * FOUND_BYTES, 16);
    this.#reserve(maskAt + this.capacity);
    const buffer = this.#buffer;
    new Float32Array(buffer, queryAt, 9).set(query.numbers);
    new Uint8Array(buffer, tableAt, width * 4).set(query.table);
    new Float32Array(buffer, stateAt, 1)[0] = floor;
    const state = new Int32Array(buffer, stateAt, STATE_BYTES / 4);
    const begin = () => state.set([k, 0, 0, listCapacity, heapAt, listAt, 0], 1);
    begin();
    let isSecond = false;
    return {
      block: (slot, count, first, mask) => {
        if (mask) {
          const area = new Uint8Array(buffer, maskAt, roundUp(count, GROUP_ROWS));
          area.fill(0, count);
          area.set(mask.subarray(0, count));
        }
        const at = this.#at(slot);
        this.#kernel.scanOneBit(stateAt, queryAt, tableAt, at, width, this.capacity, count, first, mask ? maskAt : 0);
      },
      get isFlooded() {
        return state[7] !== 0;
      },
      again: () => {
        if (state[7] === 0 || isSecond) return false;
        isSecond = true;
        begin();
        return true;
      },
      found: () => {
        const left = state[7] === 0 ? this.#kernel.settleOneBit(stateAt) : most + 1;
        if (left > most) return undefined;
        const floats = new Float32Array(buffer, listAt, left * 2);
        const integers = new Int32Array(buffer, listAt, left * 2);
        return {
          threshold: new Float32Array(buffer, stateAt, 1)[0]!,
          rows: Int32Array.from({ length: left }, (_, i) => integers[i * 2 + 1]!),
          uppers: Float32Array.from({ length: left }, (_, i) => floats[i * 2]!),
        };
      },
    };
  }

  #at(slot: number): number {
    return this.#slotsAt + slot * this.#slotBytes;
  }

  #bits(slot: number): Uint8Array {
    return new Uint8Array(this.#buffer, this.#at(slot), (this.shape.width * this.capacity) / 8);
  }

  #params(slot: number): Float32Array {
    const at = this.#at(slot) + (this.shape.width * this.capacity) / 8;
    return new Float32Array(this.#buffer, at, PARAMS * this.capacity);
  }

  /** Where each run of a slot begins and how many bytes of it `rows` rows take. */
  *#runs(slot: number, rows: number): Generator<[from: number, length: number]> {
    const { width } = this.shape;
    let at = this.#at(slot);
    yield [at, (roundUp(rows, GROUP_ROWS) * width) / 8];
    at += (width * this.capacity) / 8;
    for (let i = 0; i < PARAMS; i++, at += this.capacity * 4) yield [at, rows * 4];
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#buffer.byteLength) return;
    this.#buffer = this.#kernel.reserve(bytes);
  }
}

export interface OneBitScanInput {
  readonly query: OneBitQuery;
  readonly k: number;
  readonly floor: number;
  readonly most: number;
}

/** A scan under way. */
export interface OneBitScan {
  /** Scans the first `count` rows of a slot, which count on from `first`; `mask` holds one byte a row, 0 to pass it over. */
  block(slot: number, count: number, first: number, mask: Uint8Array | undefined): void;
  /** Whether more rows than `most` were left at some time: without a second scan none are found. */
  readonly isFlooded: boolean;
  /** Whether the blocks have to be handed over once more, as in `Scan`. */
  again(): boolean;
  /** The rows that are likely enough among the `k` most similar, or undefined where they are more than `most`. */
  found(): OneBitFound | undefined;
}
