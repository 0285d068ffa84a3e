import { Arena } from "../../src/kernel/arena.ts";
import { type BlockShape, CodeBlocks } from "../../src/kernel/code-blocks.ts";
import type { CodeKernel } from "../../src/kernel/code-kernel.ts";
import type { RowCode } from "../../src/kernel/coder.ts";
import { type CodedQuery, Scan } from "../../src/kernel/scan.ts";

export interface RowsScanInput {
  readonly query: CodedQuery;
  readonly k: number;
  readonly floor: number;
  readonly most: number;
  readonly mask?: Uint8Array | undefined;
}

/** Rows numbered from 0, in blocks of a few rows: what the kernels carry from block to block is tested with few rows. */
export class CodeRows {
  readonly #blocks: CodeBlocks;
  #count = 0;
  #slots = 0;

  constructor(shape: BlockShape, kernel: CodeKernel, capacity = 8) {
    this.#blocks = new CodeBlocks(shape, new Arena(kernel), capacity);
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

  scan({ query, k, floor, most, mask }: RowsScanInput): { rows: Int32Array; uppers: Float64Array } | undefined {
    const { capacity } = this.#blocks;
    const scan = new Scan({ codes: { blocks: this.#blocks, query, floor }, k, most });
    const blocks = Array.from({ length: this.#slots }, (_, slot) => {
      const first = slot * capacity;
      const count = Math.min(capacity, this.#count - first);
      return { codes: slot, count, first, mask: mask?.subarray(first, first + count) };
    });
    do scan.blocks(blocks);
    while (scan.again());
    const found = scan.found();
    if (!found) return undefined;
    // In which order rows are found is the kernel's own affair.
    const order = [...found.rows.keys()].sort((a, b) => found.rows[a]! - found.rows[b]!);
    return {
      rows: Int32Array.from(order, (i) => found.rows[i]!),
      uppers: Float64Array.from(order, (i) => found.uppers[i]!),
    };
  }
}
