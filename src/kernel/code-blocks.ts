import type { Arena } from "./arena.ts";
import { checksumsAt } from "./checksum.ts";
import type { RowCode } from "./coder.ts";
import { roundUp } from "./module.ts";
import { loadRuns, saveRuns } from "./runs.ts";
import { SlotPool } from "./slot-pool.ts";

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
export function headStride(shape: BlockShape): number {
  return shape.headBytes + headParams(shape) * FLOAT_BYTES;
}

/** Bytes of a tail with its parameters. */
export function tailStride({ tailBytes }: BlockShape): number {
  return tailBytes === 0 ? 0 : tailBytes + TAIL_PARAMS * FLOAT_BYTES;
}

/** Rows whose heads lie together, and how much of each in turn. */
const GROUP_ROWS = 4;
const PIECE_BYTES = 16;
const NO_BYTES = new Uint8Array();
const NO_PARAMS = new Float32Array(4);
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

/** Blocks of coded rows in a kernel's memory, in slots numbered from 0. */
export class CodeBlocks extends SlotPool {
  readonly shape: BlockShape;
  /** Rows a block has room for. */
  readonly capacity: number;

  /** @param capacity - fewer rows a block than are usual, a multiple of 4, for tests */
  constructor(shape: BlockShape, arena: Arena, capacity = blockRows(rowBytes(shape))) {
    super(arena, roundUp(rowBytes(shape) * capacity, GROUP_ROWS * PIECE_BYTES));
    this.shape = shape;
    this.capacity = capacity;
  }

  /** Bytes a row takes in a scan. */
  get rowBytes(): number {
    return rowBytes(this.shape);
  }

  write(slot: number, row: number, { head, tail, params }: RowCode): void {
    this.#setHead(slot, row, head);
    this.#setParams(slot, row, params);
    if (this.shape.tailBytes === 0) return;
    const bytes = this.#tail(slot, row);
    new Float32Array(this.arena.buffer, bytes.byteOffset, TAIL_PARAMS).set(params.subarray(headParams(this.shape)));
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
    return saveRuns(this.arena.buffer, this.#runs(slot, rows), codesBytes(this.shape, rows));
  }

  /** Fills the first `rows` rows of a slot from what `save` gave; the length is the caller's to check. */
  load(slot: number, rows: number, bytes: Uint8Array): void {
    loadRuns(this.arena.buffer, this.#runs(slot, rows), bytes);
  }

  /** Checksums of what full slots hold, as `save` would give it. */
  checksums(slots: readonly number[]): number[] {
    const places = slots.map((slot) => this.at(slot));
    return checksumsAt(this.arena.kernel, this.arena.buffer, places, codesBytes(this.shape, this.capacity));
  }

  /** Where the group of a row begins. */
  #groupAt(slot: number, row: number): number {
    return this.at(slot) + (row - (row % GROUP_ROWS)) * headStride(this.shape);
  }

  /** Where the first piece of a row's head lies; each other follows `GROUP_ROWS` pieces later. */
  #headAt(slot: number, row: number): number {
    return this.#groupAt(slot, row) + (row % GROUP_ROWS) * PIECE_BYTES;
  }

  #head(slot: number, row: number): Uint8Array {
    const head = new Uint8Array(this.shape.headBytes);
    let from = this.#headAt(slot, row);
    for (let at = 0; at < head.length; at += PIECE_BYTES, from += GROUP_ROWS * PIECE_BYTES) {
      head.set(new Uint8Array(this.arena.buffer, from, PIECE_BYTES), at);
    }
    return head;
  }

  /** Sets a row's head, filled up with 0. */
  #setHead(slot: number, row: number, head: Uint8Array): void {
    const { headBytes } = this.shape;
    const bytes = new Uint8Array(this.arena.buffer);
    let to = this.#headAt(slot, row);
    for (let at = 0; at < headBytes; at += PIECE_BYTES, to += GROUP_ROWS * PIECE_BYTES) {
      for (let i = 0; i < PIECE_BYTES; i++) bytes[to + i] = head[at + i] ?? 0;
    }
  }

  /** The parameters of a row's group, of which the row has every fourth from `row % 4` on. */
  #groupParams(slot: number, row: number): Float32Array {
    const at = this.#groupAt(slot, row) + this.shape.headBytes * GROUP_ROWS;
    return new Float32Array(this.arena.buffer, at, headParams(this.shape) * GROUP_ROWS);
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
    const tails = this.at(slot) + headStride(this.shape) * this.capacity;
    return new Uint8Array(this.arena.buffer, tails + row * stride, stride);
  }

  /** Where each run of a slot begins and how many bytes of it `rows` rows take. */
  *#runs(slot: number, rows: number): Generator<[from: number, length: number]> {
    const at = this.at(slot);
    yield [at, headStride(this.shape) * roundUp(rows, GROUP_ROWS)];
    yield [at + headStride(this.shape) * this.capacity, tailStride(this.shape) * rows];
  }
}
