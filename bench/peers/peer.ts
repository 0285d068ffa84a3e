import { createRequire } from "node:module";
import type { DataSet } from "../lib/data-set.ts";
import type { Contender } from "../lib/measure.ts";

/** An engine that holds all rows of a data set, to be closed after use. */
export interface Engine extends Contender {
  close(): void | Promise<void>;
}

/** What an engine is loaded from. */
export interface Load {
  readonly set: DataSet;
  /** As `vectorsOf` gives them. */
  readonly vectors: Float32Array<ArrayBuffer>;
  /** For files of the engine; gone after the run. */
  readonly folder: string;
  readonly k: number;
}

const require = createRequire(import.meta.url);

/** A peer's module, or undefined, after one line that says so, where it cannot be loaded. */
export function loadPeer<T>(name: string): T | undefined {
  try {
    return require(name) as T;
  } catch (error) {
    console.log(`${name}: left out, it is not installed or does not load (${(error as Error).message.split("\n")[0]})`);
    return undefined;
  }
}
