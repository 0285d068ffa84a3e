import type { Metric } from "./metric.ts";

/**
 * The float64 distance every published number equals to the last bit. Sums run in eight lanes, element i in lane i mod 8,
 * and the lanes are added as ((0+1)+(2+3))+((4+5)+(6+7)); the SIMD kernels add in the same order. Products of float32
 * numbers are exact in float64 and cannot overflow it, so the result is finite exactly when both vectors are.
 *
 * @param row - decoded numbers of a stored vector, of `query`'s length; for `hamming` packed bytes
 */
export function referenceDistance(metric: Metric, row: ArrayLike<number>, query: ArrayLike<number>): number {
  switch (metric) {
    case "cosine":
      return cosineDistance(laneSum(row, query, product), laneSum(row, row, product), laneSum(query, query, product));
    case "l2":
      return Math.sqrt(laneSum(row, query, squaredDifference));
    case "dot":
      return 0 - laneSum(row, query, product);
    case "hamming":
      return hammingDistance(row, query);
  }
}

/** x·x in the reference's order. Every query takes a few, each four times as fast as `laneSum` and, before it is compiled, five times. */
export function squaredNorm(values: ArrayLike<number>): number {
  let [s0, s1, s2, s3, s4, s5, s6, s7] = [0, 0, 0, 0, 0, 0, 0, 0];
  let i = 0;
  for (; i + 8 <= values.length; i += 8) {
    s0 += values[i]! * values[i]!;
    s1 += values[i + 1]! * values[i + 1]!;
    s2 += values[i + 2]! * values[i + 2]!;
    s3 += values[i + 3]! * values[i + 3]!;
    s4 += values[i + 4]! * values[i + 4]!;
    s5 += values[i + 5]! * values[i + 5]!;
    s6 += values[i + 6]! * values[i + 6]!;
    s7 += values[i + 7]! * values[i + 7]!;
  }
  const lanes = [s0, s1, s2, s3, s4, s5, s6, s7];
  for (; i < values.length; i++) lanes[i & 7]! += values[i]! * values[i]!;
  return totalOf(lanes);
}

/**
 * Rounding can carry the cosine of parallel vectors past 1: clamped, so that the range is 0..2. NaN (a stored NaN or infinity)
 * stays NaN. The root is taken of the product because √(n·n) is exactly n: a vector's distance to itself is exactly 0.
 */
function cosineDistance(dot: number, rowNorm: number, queryNorm: number): number {
  if (rowNorm === 0) return 1;
  const cosine = dot / Math.sqrt(rowNorm * queryNorm);
  return cosine > 1 ? 0 : cosine < -1 ? 2 : 1 - cosine;
}

const product = (a: number, b: number) => a * b;
const squaredDifference = (a: number, b: number) => (a - b) * (a - b);

function laneSum(a: ArrayLike<number>, b: ArrayLike<number>, term: (a: number, b: number) => number): number {
  const lanes = new Float64Array(8);
  for (let i = 0; i < a.length; i++) lanes[i & 7]! += term(a[i]!, b[i]!);
  return totalOf(lanes);
}

function totalOf(lanes: ArrayLike<number>): number {
  return lanes[0]! + lanes[1]! + (lanes[2]! + lanes[3]!) + (lanes[4]! + lanes[5]! + (lanes[6]! + lanes[7]!));
}

function hammingDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let distance = 0;
  for (let i = 0; i < a.length; i++) {
    for (let bits = a[i]! ^ b[i]!; bits !== 0; bits &= bits - 1) distance++;
  }
  return distance;
}
