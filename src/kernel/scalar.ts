import { codecOf } from "../codec/codec.ts";
import { referenceDistance } from "../metric/reference.ts";
import type { Scorer, ScorerInput } from "./kernel.ts";

const CAPACITY = 256;

/** The reference as a scorer: the oracle of the kernels' tests, and the fallback where WASM or SIMD is missing. */
export function scalarScorer({ shape, metric, query }: ScorerInput): Scorer {
  const codec = codecOf(shape.element);
  const decodedQuery = codec.decode(query);
  const distances = new Float64Array(CAPACITY);
  return {
    kernel: "scalar",
    capacity: CAPACITY,
    score(rows) {
      rows.forEach((row, i) => {
        distances[i] = referenceDistance(metric, codec.decode(row), decodedQuery);
      });
      return distances.subarray(0, rows.length);
    },
  };
}
