import { codecOf } from "../codec/codec.ts";
import { Arena } from "../kernel/arena.ts";
import { checksum } from "../kernel/checksum.ts";
import { blockRows, CodeBlocks, codesBytes, rowBytes } from "../kernel/code-blocks.ts";
import type { CodeKernel } from "../kernel/code-kernel.ts";
import type { RowCode } from "../kernel/coder.ts";
import { OneBitBlocks, type OneBitQuery, oneBitBytes, oneBitRowBytes } from "../kernel/one-bit-blocks.ts";
import type { CodedQuery, ScanInput } from "../kernel/scan.ts";
import type { ColumnSpace } from "./column-space.ts";

/** Codes for exact answers, or of 1 bit. */
export type CodeKind = "codes" | "bits";

/** Where the codes of a block are in memory, by kind; undefined where they are not. */
export type Slots = Record<CodeKind, number | undefined>;

/** The kinds of codes that a column has, in the order in which they lie on disk. */
export function kindsOf({ isExact, oneBit }: ColumnSpace): readonly CodeKind[] {
  return [...(isExact ? (["codes"] as const) : []), ...(oneBit ? (["bits"] as const) : [])];
}

/** Bytes of codes of `rows` rows as `RowBlocks.save` gives them. */
export function savedBytes(space: ColumnSpace, kind: CodeKind, rows: number): number {
  return kind === "codes" ? codesBytes(space, rows) : oneBitBytes(space.oneBit!.shape.width, rows);
}

/** Rows a full block has. */
export function spaceBlockRows(space: ColumnSpace): number {
  const bits = space.oneBit ? oneBitRowBytes(space.oneBit.shape.width) : 0;
  return blockRows(Math.max(rowBytes(space), bits));
}

/** What is to be loaded into a slot. */
export interface SavedRows {
  readonly slot: number;
  readonly rows: number;
  readonly bytes: Uint8Array;
}

/** Blocks of rows with all codes a column has: those for exact answers, those of 1 bit, or both, each in slots of their own. */
export class RowBlocks {
  readonly space: ColumnSpace;
  readonly kinds: readonly CodeKind[];
  readonly #codes: CodeBlocks;
  readonly #bits: OneBitBlocks | undefined;

  constructor(space: ColumnSpace, kernel: CodeKernel, capacity = spaceBlockRows(space)) {
    this.space = space;
    this.kinds = kindsOf(space);
    const arena = new Arena(kernel);
    this.#codes = new CodeBlocks(space, arena, capacity);
    this.#bits = space.oneBit && new OneBitBlocks(space.oneBit.shape, arena, capacity);
  }

  get kernel(): CodeKernel["kernel"] {
    return this.#codes.arena.kernel.kernel;
  }

  /** Whether other threads can scan the codes. */
  get isShared(): boolean {
    return this.#codes.arena.kernel.shared !== undefined;
  }

  get capacity(): number {
    return this.#codes.capacity;
  }

  /** Bytes of a slot. */
  slotBytes(kind: CodeKind): number {
    return this.#of(kind).rowBytes * this.capacity;
  }

  /** Bytes of the slots in use. */
  get bytes(): number {
    return this.#codes.bytes + (this.#bits?.bytes ?? 0);
  }

  /** The 1-bit codes. */
  get bits(): OneBitBlocks | undefined {
    return this.#bits;
  }

  /** @throws {RangeError} when memory ends */
  take(kind: CodeKind): number {
    return this.#of(kind).take();
  }

  /**
   * A slot of each kind.
   *
   * @throws {RangeError} when memory ends
   */
  takeAll(): Slots {
    const slots: Slots = { codes: undefined, bits: undefined };
    for (const kind of this.kinds) slots[kind] = this.take(kind);
    return slots;
  }

  free(kind: CodeKind, slot: number): void {
    this.#of(kind).free(slot);
  }

  /** Whether a block has all its codes in memory. */
  isWhole(slots: Slots): boolean {
    return this.kinds.every((kind) => slots[kind] !== undefined);
  }

  /**
   * Codes a row of a block that is whole.
   *
   * @param code - from the space
   * @param bytes - the stored vector
   * @returns false where it holds NaN or an infinity that only the 1-bit codes have met: it is gone
   */
  write({ codes, bits }: Slots, row: number, code: RowCode, bytes: Uint8Array): boolean {
    if (codes !== undefined) this.#codes.write(codes, row, code);
    if (bits === undefined) return true;
    return this.#bits!.write(bits, row, [codecOf(this.space.shape.element).decode(bytes)]).length !== 1;
  }

  /** Marks a row as gone, in what is in memory of its block. */
  erase({ codes, bits }: Slots, row: number): void {
    if (codes !== undefined) this.#codes.erase(codes, row);
    if (bits !== undefined) this.#bits!.erase(bits, row);
  }

  /** Copies a row of a block of other blocks of the same space; both are whole. */
  copy(slots: Slots, row: number, from: RowBlocks, fromSlots: Slots, fromRow: number): void {
    if (slots.codes !== undefined) this.#codes.copy(slots.codes, row, from.#codes, fromSlots.codes!, fromRow);
    if (slots.bits !== undefined) this.#bits!.copy(slots.bits, row, from.#bits!, fromSlots.bits!, fromRow);
  }

  /** Bytes of the first `rows` rows of a slot. */
  save(kind: CodeKind, slot: number, rows: number): Uint8Array {
    return this.#of(kind).save(slot, rows);
  }

  /**
   * Fills slots from what `save` gave of so many rows; the length is the caller's to check.
   *
   * @returns the checksums of these bytes
   */
  load(kind: CodeKind, saved: readonly SavedRows[]): number[] {
    const blocks = this.#of(kind);
    for (const { slot, rows, bytes } of saved) blocks.load(slot, rows, bytes);
    // A full slot holds the bytes as they were saved. They are in the caches now, and several are hashed in the time of one.
    const full = saved.filter(({ rows }) => rows === this.capacity);
    const sums = blocks.checksums(full.map(({ slot }) => slot)).values();
    return saved.map(({ rows, bytes }) => (rows === this.capacity ? sums.next().value! : checksum(bytes)));
  }

  /** A scan of codes for exact answers, rows less similar than `floor` left out. */
  codesOf(query: CodedQuery, floor: number): Pick<ScanInput, "codes"> {
    return { codes: { blocks: this.#codes, query, floor } };
  }

  /** A scan of 1-bit codes. */
  bitsOf(query: OneBitQuery, floor: number): Pick<ScanInput, "bits"> {
    return { bits: { blocks: this.#bits!, query, floor } };
  }

  #of(kind: CodeKind): CodeBlocks | OneBitBlocks {
    return kind === "codes" ? this.#codes : this.#bits!;
  }
}
