import { WASM_BASE64 } from "./wasm-bytes.ts";

export interface Memory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/** The part of the global that is used here: it is declared by the DOM library, which the project does without. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

const PAGE_BYTES = 65_536;

/**
 * Asked for beside what is needed, or half as much again: the engine counts all of a memory anew each time it grows, and collects
 * garbage for it. What is not touched takes no room.
 */
const SPARE_BYTES = 1 << 20;

/** Memory before this offset belongs to the compiler; the module has no data of its own. */
export const BASE = 1024;

let compiled: object | null | undefined;

/** A new instance of the kernels with a memory of its own, or undefined where the engine cannot run them. */
export function instantiate<TExports>(): TExports | undefined {
  if (compiled === undefined) compiled = compile();
  if (compiled === null) return undefined;
  return new WebAssembly.Instance(compiled, { env: { abort() {} } }).exports as TExports;
}

/**
 * Makes a memory at least this large. Its buffer, and all views on it, are void afterwards.
 *
 * @throws {RangeError} when there is no more
 */
export function grow(memory: Memory, bytes: number): void {
  const missing = bytes - memory.buffer.byteLength;
  if (missing <= 0) return;
  const spare = Math.max(SPARE_BYTES, bytes / 2);
  try {
    memory.grow(Math.ceil((missing + spare) / PAGE_BYTES));
  } catch {
    memory.grow(Math.ceil(missing / PAGE_BYTES));
  }
}

export function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}

function compile(): object | null {
  try {
    const binary = atob(WASM_BASE64);
    return new WebAssembly.Module(Uint8Array.from({ length: binary.length }, (_, i) => binary.charCodeAt(i)));
  } catch {
    // No WebAssembly, or none with SIMD.
    return null;
  }
}
