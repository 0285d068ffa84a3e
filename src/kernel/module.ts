import { WASM_BASE64 } from "./wasm-bytes.ts";

export interface Memory {
  readonly buffer: ArrayBufferLike;
  grow(pages: number): number;
}

/** Kernels on a memory that other threads can get at, and what they need for it; of the engine's own, and nothing else to us. */
export interface SharedKernels<TExports> {
  readonly exports: TExports & { readonly memory: Memory };
  readonly module: object;
}

/** The part of the global that is used here: it is declared by the DOM library, which the project does without. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Memory: new (limits: { initial: number; maximum: number; shared: boolean }) => Memory;
  Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

const PAGE_BYTES = 65_536;
/** As in the module's import. */
const PAGES_MAX = 65_536;

/**
 * Asked for beside what is needed, or half as much again: the engine counts all of a memory anew each time it grows, and collects
 * garbage for it. What is not touched takes no room.
 */
const SPARE_BYTES = 1 << 20;

/** Memory before this offset belongs to the compiler; the module has no data of its own. */
export const BASE = 1024;

/** The import of a memory that has a maximum, in the binary, and of one that is shared as well. */
const OWN = "\x03env\x06memory\x02\x01";
const SHARED = "\x03env\x06memory\x02\x03";

const compiled: { own?: object | null; shared?: object | null } = {};

/** Whether the engine can run the kernels, if it has room for a memory. */
export function isSupported(): boolean {
  if (compiled.own === undefined) compiled.own = compile(OWN);
  return compiled.own !== null;
}

/**
 * A new instance of the kernels with a memory of its own, or undefined where the engine cannot run them, or has no room: it takes
 * 10 GB of addresses for each memory, which a process under `ulimit -v` has not.
 */
export function instantiate<TExports>(): (TExports & { readonly memory: Memory }) | undefined {
  if (!isSupported()) return undefined;
  try {
    return linked<TExports>(compiled.own!, false);
  } catch {
    return undefined;
  }
}

/** The same with a memory that other threads can get at, or undefined where there is no such thing. */
export function instantiateShared<TExports>(): SharedKernels<TExports> | undefined {
  if (typeof SharedArrayBuffer === "undefined") return undefined;
  if (compiled.shared === undefined) compiled.shared = compile(SHARED);
  if (!compiled.shared) return undefined;
  try {
    return { exports: linked<TExports>(compiled.shared, true), module: compiled.shared };
  } catch {
    // The engine has no room for one of the largest size, which it lays out at once.
    return undefined;
  }
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
  standIn(memory);
}

/** See `standIn`. */
const standIns = new WeakMap<Memory, Memory>();

/**
 * The engine does not count shared memories: those that nobody uses any more would pile up without it looking for garbage. So a
 * memory of the same size that is not shared, and counted, hangs on each. Nobody touches it, and it takes no room; a buffer of that
 * size would, where the allocator takes it from what others have given back, and fills it with 0.
 */
function standIn(memory: Memory): void {
  if (memory.buffer[Symbol.toStringTag] === "ArrayBuffer") return;
  try {
    const beside = standIns.get(memory) ?? new WebAssembly.Memory({ initial: 1, maximum: PAGES_MAX, shared: false });
    beside.grow((memory.buffer.byteLength - beside.buffer.byteLength) / PAGE_BYTES);
    standIns.set(memory, beside);
  } catch {
    // Then garbage is looked for when there is no room at all.
  }
}

export function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}

function linked<TExports>(module: object, shared: boolean): TExports & { readonly memory: Memory } {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: PAGES_MAX, shared });
  return new WebAssembly.Instance(module, { env: { memory, abort() {} } }).exports as TExports & { memory: Memory };
}

function compile(memory: string): object | null {
  try {
    const binary = atob(WASM_BASE64).replace(OWN, memory);
    return new WebAssembly.Module(Uint8Array.from({ length: binary.length }, (_, i) => binary.charCodeAt(i)));
  } catch {
    // No WebAssembly, or none with SIMD.
    return null;
  }
}
