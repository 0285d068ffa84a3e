import type { DataSet } from "./data-set.ts";

/** The exact nearest rows of a set, in float64, by the plainest of loops: what every engine's answer is held against. */
export interface Truth {
  /** The k nearest, ties by id. */
  readonly ids: readonly number[];
  /** The distance of the last of them. */
  readonly radius: number;
  distanceOf(id: number): number;
}

/** Sums in another order differ by less. */
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
  const radius = asked.length === 0 ? Number.NEGATIVE_INFINITY : asked[Math.min(k, asked.length) - 1]!;
  const within = Array.from(distances.keys(), (row) => row + 1).filter(
    (id) => distances[id - 1]! <= radius && isAsked(id),
  );
  within.sort((a, b) => distances[a - 1]! - distances[b - 1]! || a - b);
  return {
    ids: within.slice(0, k),
    radius,
    distanceOf: (id) => distances[id - 1]!,
  };
}

/** Share of the k nearest that were found, by distance: a row as near as the k-th counts, whatever its id. */
export function recallOf({ radius, distanceOf }: Truth, found: readonly number[], k: number): number {
  return new Set(found.filter((id) => distanceOf(id) <= radius + TOLERANCE)).size / k;
}

/**
 * Whether hits are the k nearest in their order, ties by id, with their distances. Two rows may change places only where float64
 * sums in another order could, not where they are equally far.
 */
export function isExact(
  { ids, distanceOf }: Truth,
  hits: readonly { readonly id: number; readonly $distance: number }[],
): boolean {
  return (
    hits.length === ids.length &&
    hits.every(({ id, $distance }, i) => {
      const [found, due] = [distanceOf(id), distanceOf(ids[i]!)];
      const isInPlace = id === ids[i] || (found !== due && Math.abs(found - due) <= TOLERANCE);
      return isInPlace && Math.abs($distance - found) <= TOLERANCE * Math.max(1, found);
    })
  );
}
