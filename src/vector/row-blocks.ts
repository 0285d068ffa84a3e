import { codecOf } from "../codec/codec.ts";
import {
  blockRows,
  CodeBlocks,
  type CodeKernel,
  codesBytes,
  rowBytes,
  type Scan,
  type ScanInput,
} from "../kernel/code-scan.ts";
import type { RowCode } from "../kernel/coder.ts";
import {
  OneBitBlocks,
  type OneBitScan,
  type OneBitScanInput,
  oneBitBytes,
  oneBitKernel,
  oneBitRowBytes,
} from "../kernel/one-bit.ts";
import { scalarOneBitKernel } from "../kernel/scalar-one-bit.ts";
import type { ColumnSpace } from "./column-space.ts";

/** Bytes of a row in memory, without its id. */
export function spaceRowBytes(space: ColumnSpace): number {
  return rowBytes(space) + (space.oneBit ? oneBitRowBytes(space.oneBit.shape.width) : 0);
}

/** Bytes of the codes of `rows` rows as `RowBlocks.save` gives them. */
export function spaceBytes(space: ColumnSpace, rows: number): number {
  return codesBytes(space, rows) + (space.oneBit ? oneBitBytes(space.oneBit.shape.width, rows) : 0);
}

/** Rows a full block has. */
export function spaceBlockRows(space: ColumnSpace): number {
  return blockRows(space, space.oneBit ? oneBitRowBytes(space.oneBit.shape.width) : 0);
}

/** Blocks of rows with all codes a column has: those for exact answers, those of 1 bit, or both, in slots of the same number. */
export class RowBlocks {
  readonly space: ColumnSpace;
  readonly #codes: CodeBlocks;
  readonly #bits: OneBitBlocks | undefined;

  constructor(space: ColumnSpace, kernel: CodeKernel, capacity = spaceBlockRows(space)) {
    this.space = space;
    this.#codes = new CodeBlocks(space, kernel, capacity);
    const bitKernel = kernel.kernel === "scalar" ? scalarOneBitKernel : oneBitKernel;
    this.#bits = space.oneBit && new OneBitBlocks(space.oneBit.shape, capacity, bitKernel());
  }

  get kernel(): CodeKernel["kernel"] {
    return this.#codes.kernel;
  }

  get capacity(): number {
    return this.#codes.capacity;
  }

  /** Bytes of a row in memory. */
  get rowBytes(): number {
    return spaceRowBytes(this.space);
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
  take(): number {
    this.#bits?.take();
    return this.#codes.take();
  }

  free(slot: number): void {
    this.#bits?.free(slot);
    this.#codes.free(slot);
  }

  /**
   * Codes a row.
   *
   * @param code - from the space
   * @param bytes - the stored vector
   * @returns false where it holds NaN or an infinity that only the 1-bit codes have met: it is gone
   */
  write(slot: number, row: number, code: RowCode, bytes: Uint8Array): boolean {
    this.#codes.write(slot, row, code);
    return this.#bits?.write(slot, row, [codecOf(this.space.shape.element).decode(bytes)]).length !== 1;
  }

  erase(slot: number, row: number): void {
    this.#codes.erase(slot, row);
    this.#bits?.erase(slot, row);
  }

  /** Copies a row of a slot of other blocks of the same space. */
  copy(slot: number, row: number, from: RowBlocks, fromSlot: number, fromRow: number): void {
    this.#codes.copy(slot, row, from.#codes, fromSlot, fromRow);
    this.#bits?.copy(slot, row, from.#bits!, fromSlot, fromRow);
  }

  /** Bytes of the first `rows` rows: the codes for exact answers, then those of 1 bit. */
  save(slot: number, rows: number): Uint8Array {
    const codes = this.#codes.save(slot, rows);
    const bits = this.#bits?.save(slot, rows);
    if (!bits) return codes;
    const bytes = new Uint8Array(codes.length + bits.length);
    bytes.set(codes);
    bytes.set(bits, codes.length);
    return bytes;
  }

  /** Fills the first `rows` rows from what `save` gave; the length is the caller's to check. */
  load(slot: number, rows: number, bytes: Uint8Array): void {
    const codes = codesBytes(this.space, rows);
    this.#codes.load(slot, rows, bytes.subarray(0, codes));
    this.#bits?.load(slot, rows, bytes.subarray(codes));
  }

  scan(input: ScanInput): Scan {
    return this.#codes.scan(input);
  }

  scanBits(input: OneBitScanInput): OneBitScan {
    return this.#bits!.scan(input);
  }
}
