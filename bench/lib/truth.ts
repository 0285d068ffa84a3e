import type { DataSet } from "./data-set.ts";

/** The exact nearest rows of a set, in float64, by the plainest of loops: what every engine's answer is held against. */
export interface Truth {
  /** The distance of the k-th nearest. */
  readonly radius: number;
  distanceOf(id: number): number;
}

/** Sums in another order differ by this much at most. */
const TOLERANCE = 1e-9;

/** @param isAsked - whether the row of an id takes part; default all */
export function truthOf(
  { rows, dimensions, metric }: DataSet,
  vectors: Float32Array,
  query: Float32Array,
  k: number,
  isAsked: (id: number) => boolean = () => true,
): Truth {
  const distances = new Float64Array(rows);
  let queryNorm = 0;
  for (let i = 0; i < dimensions; i++) queryNorm += query[i]! ** 2;
  for (let row = 0, at = 0; row < rows; row++, at += dimensions) {
    let [dot, norm, square] = [0, 0, 0];
    for (let i = 0; i < dimensions; i++) {
      const x = vectors[at + i]!;
      dot += x * query[i]!;
      norm += x * x;
      square += (x - query[i]!) ** 2;
    }
    distances[row] = metric === "l2" ? Math.sqrt(square) : 1 - dot / Math.sqrt(norm * queryNorm);
  }
  const asked = distances.filter((_, row) => isAsked(row + 1)).sort();
  return {
    radius: asked.length === 0 ? Number.NEGATIVE_INFINITY : asked[Math.min(k, asked.length) - 1]!,
    distanceOf: (id) => distances[id - 1]!,
  };
}

/** Share of the k nearest that were found, by distance: a row as near as the k-th counts, whatever its id. */
export function recallOf({ radius, distanceOf }: Truth, found: readonly number[], k: number): number {
  return new Set(found.filter((id) => distanceOf(id) <= radius + TOLERANCE)).size / k;
}
