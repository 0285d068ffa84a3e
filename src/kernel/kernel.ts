import type { VectorShape } from "../codec/codec.ts";
import type { Metric } from "../metric/metric.ts";
import { scalarScorer } from "./scalar.ts";
import { wasmScorer } from "./wasm.ts";

/** What a scorer needs to know. `query` is encoded as the column stores it and is not kept beyond the scorer. */
export interface ScorerInput {
  readonly shape: VectorShape;
  readonly metric: Metric;
  readonly query: Uint8Array;
}

/**
 * Scores stored vectors against one query. Every implementation gives the reference's distances to the last bit.
 * Holds no state between calls that another scorer could disturb.
 */
export interface Scorer {
  readonly kernel: "wasm" | "scalar";
  /** Most rows one call takes. */
  readonly capacity: number;
  /**
   * @param rows - at most `capacity` stored vectors of the right length, at any offset in their buffers
   * @returns one distance a row, not finite where the stored vector is not; a view that the next call of any scorer overwrites
   */
  score(rows: readonly Uint8Array[]): Float64Array;
}

/** The fastest scorer this engine runs: WASM with SIMD, or plain TypeScript where SIMD is missing. */
export function scorerFor(input: ScorerInput): Scorer {
  return wasmScorer(input) ?? scalarScorer(input);
}
