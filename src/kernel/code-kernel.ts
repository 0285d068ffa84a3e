import type { HashKernel } from "./checksum.ts";
import { grow, instantiate, instantiateShared, isSupported, type Memory } from "./module.ts";
import { scalarCodeKernel } from "./scalar-scan.ts";

/** The kernels over codes, and the memory they work on, of which `Arena` hands out pieces. */
export interface CodeKernel extends HashKernel {
  readonly kernel: "wasm" | "scalar";
  /** What other threads need to scan with it; undefined where its memory is its own. */
  readonly shared?: { readonly module: object; readonly memory: object } | undefined;
  /** The memory, of at least so many bytes and with all its contents; earlier buffers may be void. */
  reserve(bytes: number): ArrayBufferLike;
  /** Scans the blocks in the table of a job; kernel/scan.ts draws both. */
  scan(job: number): void;
  /** Not 0 where the blocks have to be scanned once more: see `Scan.again`. */
  again(job: number): number;
  /** Drops from a job's list what the final threshold rules out, and returns how many rows are left; -1 where they are too many. */
  leave(job: number): number;
  /** Makes 1-bit codes; kernel/one-bit-blocks.ts draws them. */
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
}

/**
 * The fastest kernel this engine runs, with an empty memory of its own.
 *
 * @param isShared - whether other threads are to get at it, where that is possible
 */
export function codeKernel(isShared = false): CodeKernel {
  return wasmCodeKernel(isShared) ?? scalarCodeKernel();
}

/**
 * One to scan the codes of a column with.
 *
 * @throws {RangeError} where there is no room for its memory: plain TypeScript reads the table sooner than it scans codes
 */
export function scanKernel(): CodeKernel {
  const kernel = codeKernel(true);
  if (kernel.kernel === "scalar" && isSupported()) throw new RangeError("no room for the memory of a kernel");
  return kernel;
}

export function wasmCodeKernel(isShared = false): CodeKernel | undefined {
  const shared = isShared ? instantiateShared<Exports>() : undefined;
  const exports = shared?.exports ?? instantiate<Exports>();
  if (!exports) return undefined;
  const { memory, hash, scan, again, leave, codeOneBit, rotateOneBit } = exports;
  return {
    kernel: "wasm",
    shared: shared && { module: shared.module, memory },
    reserve(bytes) {
      grow(memory, bytes);
      return memory.buffer;
    },
    hash,
    scan,
    again,
    leave,
    codeOneBit,
    rotateOneBit,
  };
}

type Exports = Omit<CodeKernel, "kernel" | "reserve" | "shared"> & { readonly memory: Memory };
