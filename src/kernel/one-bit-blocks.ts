import type { Arena } from "./arena.ts";
import { checksumsAt } from "./checksum.ts";
import { roundUp } from "./module.ts";
import { loadRuns, saveRuns } from "./runs.ts";
import { GONE } from "./scalar-one-bit.ts";
import { SlotPool } from "./slot-pool.ts";

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

/** f32 parameters of a row: offset, scale, error. */
const PARAMS = 3;
/** Rows whose bits lie together: what one look-up serves, twice. */
export const GROUP_ROWS = 32;
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

/**
 * Blocks of 1-bit codes in a kernel's memory, in slots numbered from 0, and what codes rows into them. With `width` the dimensions
 * rounded up to a multiple of 32, the memory holds
 *
 * | part | bytes |
 * | --- | --- |
 * | centre | width x f32, padded with 0 |
 * | factors | rounds x width x f32 of the rotation |
 * | each slot | room for `capacity` rows: bits, offsets, scales, errors |
 *
 * and behind all pieces, for a while, rows to be coded: 32 x width x f32.
 *
 * Bits lie in groups of 32 rows, and of 4 dimensions within one: 16 bytes, byte j with the bits of row j below those of row
 * j + 16. So one look-up in a table of 16 sums, made by a swizzle, serves 4 dimensions of 16 rows.
 *
 * @see André, Kermarrec, Le Scouarnec, "Cache locality is not enough: high-performance nearest neighbor search with product
 * quantization fast scan", 2015
 */
export class OneBitBlocks extends SlotPool {
  readonly shape: OneBitShape;
  /** Rows a block has room for, a multiple of 32. */
  readonly capacity: number;
  readonly #centreAt: number;

  constructor(shape: OneBitShape, arena: Arena, capacity: number) {
    const { width, centre, factors } = shape;
    const rows = roundUp(capacity, GROUP_ROWS);
    super(arena, oneBitRowBytes(width) * rows);
    this.shape = shape;
    this.capacity = rows;
    this.#centreAt = arena.take((1 + factors.length) * width * 4);
    [centre, ...factors].forEach((values, i) => {
      new Float32Array(arena.buffer, this.#centreAt + i * width * 4, width).set(values);
    });
  }

  get rowBytes(): number {
    return oneBitRowBytes(this.shape.width);
  }

  /**
   * Codes vectors into a slot, from row `first` on.
   *
   * @param vectors - numbers as they are stored, of any length up to `width`
   * @returns the places of those that hold NaN or an infinity: they are gone
   */
  write(slot: number, first: number, vectors: readonly ArrayLike<number>[]): number[] {
    const { width, window, factors, isUnit, isL2 } = this.shape;
    const rowsAt = this.arena.end;
    this.arena.reserve(rowsAt + GROUP_ROWS * width * 4);
    const centreAt = this.#centreAt;
    const bad: number[] = [];
    for (let from = 0; from < vectors.length; from += GROUP_ROWS) {
      const count = Math.min(GROUP_ROWS, vectors.length - from);
      const rows = new Float32Array(this.arena.buffer, rowsAt, count * width);
      for (let i = 0; i < count; i++) {
        const vector = vectors[from + i]!;
        rows.set(vector, i * width);
        if (vector.length < width) rows.fill(0, i * width + vector.length, (i + 1) * width);
      }
      let bits = this.arena.kernel.codeOneBit(
        rowsAt,
        count,
        width,
        window,
        centreAt,
        centreAt + width * 4,
        factors.length,
        isUnit ? 1 : 0,
        isL2 ? 1 : 0,
        this.at(slot),
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
    const at = this.arena.end;
    this.arena.reserve(at + width * 4);
    new Float32Array(this.arena.buffer, at, width).set(vector);
    this.arena.kernel.rotateOneBit(at, width, window, this.#centreAt + width * 4, factors.length);
    return new Float32Array(this.arena.buffer, at, width).slice();
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

  /** Bytes of the first `rows` rows of a slot, run by run, without gaps: what `load` takes. */
  save(slot: number, rows: number): Uint8Array {
    return saveRuns(this.arena.buffer, this.#runs(slot, rows), oneBitBytes(this.shape.width, rows));
  }

  /** Fills the first `rows` rows of a slot from what `save` gave; the length is the caller's to check. */
  load(slot: number, rows: number, bytes: Uint8Array): void {
    loadRuns(this.arena.buffer, this.#runs(slot, rows), bytes);
  }

  /** Checksums of what full slots hold, as `save` would give it. */
  checksums(slots: readonly number[]): number[] {
    const places = slots.map((slot) => this.at(slot));
    return checksumsAt(this.arena.kernel, this.arena.buffer, places, oneBitBytes(this.shape.width, this.capacity));
  }

  #bits(slot: number): Uint8Array {
    return new Uint8Array(this.arena.buffer, this.at(slot), (this.shape.width * this.capacity) / 8);
  }

  #params(slot: number): Float32Array {
    const at = this.at(slot) + (this.shape.width * this.capacity) / 8;
    return new Float32Array(this.arena.buffer, at, PARAMS * this.capacity);
  }

  /** Where each run of a slot begins and how many bytes of it `rows` rows take. */
  *#runs(slot: number, rows: number): Generator<[from: number, length: number]> {
    const { width } = this.shape;
    let at = this.at(slot);
    yield [at, (roundUp(rows, GROUP_ROWS) * width) / 8];
    at += (width * this.capacity) / 8;
    for (let i = 0; i < PARAMS; i++, at += this.capacity * 4) yield [at, rows * 4];
  }
}
