import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type DataSet, FOLDER } from "./data-set.ts";

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

/** The truths of the first `count` queries of a set, kept from run to run: a thousand of them take minutes. */
export function truthsOf(set: DataSet, vectors: Float32Array, count: number, k: number): Truth[] {
  const file = join(FOLDER, `${set.name}-truth-${count}-${k}.json`);
  const queries = set.queries(count);
  if (!existsSync(file)) {
    const truths = queries.map((query) => {
      const { ids, radius } = truthOf(set, vectors, query, k);
      return { ids, radius };
    });
    writeFileSync(file, JSON.stringify(truths));
  }
  const kept = JSON.parse(readFileSync(file, "utf8")) as Pick<Truth, "ids" | "radius">[];
  return kept.map((truth, q) => ({
    ...truth,
    distanceOf: (id) => distanceBetween(set, vectors, id - 1, queries[q]!, squaresOf(queries[q]!)),
  }));
}

/** @param isAsked - whether the row of an id takes part; default all */
export function truthOf(
  set: DataSet,
  vectors: Float32Array,
  query: Float32Array,
  k: number,
  isAsked: (id: number) => boolean = () => true,
): Truth {
  const squares = squaresOf(query);
  const distances = Float64Array.from({ length: set.rows }, (_, row) =>
    distanceBetween(set, vectors, row, query, squares),
  );
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

function distanceBetween(
  { dimensions, metric }: DataSet,
  vectors: Float32Array,
  row: number,
  query: Float32Array,
  querySquares: number,
): number {
  let [dot, norm, square] = [0, 0, 0];
  for (let i = 0, at = row * dimensions; i < dimensions; i++, at++) {
    const x = vectors[at]!;
    dot += x * query[i]!;
    norm += x * x;
    square += (x - query[i]!) ** 2;
  }
  return metric === "l2" ? Math.sqrt(square) : 1 - dot / Math.sqrt(norm * querySquares);
}

function squaresOf(vector: Float32Array): number {
  let squares = 0;
  for (const x of vector) squares += x ** 2;
  return squares;
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
