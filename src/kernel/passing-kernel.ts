import type { HashKernel } from "./checksum.ts";
import { BASE, grow, instantiate, type Memory } from "./module.ts";

/** Room behind `BASE`. */
const PASSING_BYTES = 1 << 17;

interface Exports extends HashKernel {
  readonly memory: Memory;
  ascend(at: number, count: number): number;
  integers(text: number, end: number, least: bigint, range: bigint, near: number, far: number): number;
}

let loaded: Exports | null | undefined;

/** One for what is over when the call is, with memory of its own; null where the engine cannot run it. */
export function passingKernel(): Exports | null {
  if (loaded === undefined) {
    loaded = instantiate<Exports>() ?? null;
    if (loaded) grow(loaded.memory, BASE + PASSING_BYTES);
  }
  return loaded;
}
