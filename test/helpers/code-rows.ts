import {
  type BlockShape,
  CodeBlocks,
  type CodeKernel,
  type ScanInput,
  type Survivors,
} from "../../src/kernel/code-scan.ts";
import type { RowCode } from "../../src/kernel/coder.ts";

/** Rows numbered from 0, in blocks of a few rows: what the kernels carry from block to block is tested with few rows. */
export class CodeRows {
  readonly #blocks: CodeBlocks;
  #count = 0;
  #slots = 0;

  constructor(shape: BlockShape, kernel: CodeKernel, capacity = 8) {
    this.#blocks = new CodeBlocks(shape, kernel, capacity);
  }

  write(row: number, code: RowCode): void {
    const { capacity } = this.#blocks;
    for (; this.#slots * capacity <= row; this.#slots++) this.#blocks.take();
    this.#blocks.write(Math.floor(row / capacity), row % capacity, code);
    this.#count = Math.max(this.#count, row + 1);
  }

  erase(row: number): void {
    this.#blocks.erase(Math.floor(row / this.#blocks.capacity), row % this.#blocks.capacity);
  }

  scan({ mask, ...input }: ScanInput & { mask?: Uint8Array | undefined }): Survivors | undefined {
    const { capacity } = this.#blocks;
    const scan = this.#blocks.scan(input);
    do {
      for (let slot = 0, first = 0; first < this.#count; slot++, first += capacity) {
        const count = Math.min(capacity, this.#count - first);
        scan.block(slot, count, first, mask?.subarray(first, first + count));
      }
    } while (scan.again());
    const found = scan.survivors();
    if (!found) return undefined;
    // In which order rows are found is the kernel's own affair.
    const order = [...found.rows.keys()].sort((a, b) => found.rows[a]! - found.rows[b]!);
    return {
      rows: Int32Array.from(order, (i) => found.rows[i]!),
      uppers: Float64Array.from(order, (i) => found.uppers[i]!),
    };
  }
}
