import { codecOf, type VectorShape, vectorBytes } from "../codec/codec.ts";
import type { CodedQuery, RowCode } from "../kernel/code-scan.ts";
import { roundUp } from "../kernel/module.ts";
import type { Metric } from "../metric/metric.ts";

/**
 * How vectors become int8 codes, and why the bounds the kernel makes of them hold.
 *
 * **Similarity.** Let x be a stored vector and q the query, for cosine x/|x| and q/|q| in their place (0 for a zero vector),
 * and c a fixed centre. With y = x - c each metric orders rows by one similarity
 *
 *     s = y·p + β    dot, cosine: p = q, β = 0, and x·q = s + c·q    l2: p = q - c, β = -|y|²/2, and |x - q|² = |p|² - 2s
 *
 * so that centring costs nothing, and larger s means a smaller distance. The *published* distance is the float64 one of
 * metric/reference.ts; let ŝ be the similarity that would give it exactly: ŝ = -d - c·q, 1 - d - c·q or (|p|² - d²)/2. ŝ falls
 * strictly as d grows, and equal ŝ are equal distances.
 *
 * **Codes.** A row is kept as y ≈ a·u with int8 u and float32 a, e ≥ |y - a·u| and b ≈ β; the query as p ≈ g·w with int16 w.
 * By the inequality of Cauchy and Schwarz, and with |u_i| ≤ 128,
 *
 *     |y·p - a·g·(u·w)| ≤ |(y - a·u)·p| + |a·u·(p - g·w)| ≤ e·|p| + a·128·Σ|p_i - g·w_i|
 *
 * The integers u·w are exact. So the kernel's estimate a·g·(u·w) + b is at most
 *
 *     e·P + a·Q + (|a·g·(u·w)| + |b|)·2^-22 + K
 *
 * away from ŝ, with P = |p|, Q = 128·Σ|p_i - g·w_i|, K = 0 and the following additions for rounding. Let ε = 2^-53 and
 * γ = (dimensions + 16)·2ε: more than twice the relative error of any sum of that many products in eight lanes. No product
 * of ours under- or overflows float64, since stored numbers are zero or within 2^±149 and norms within 2^±136.
 *
 * | rounding | size | covered by |
 * | --- | --- | --- |
 * | y_i = fl(x_i - c_i) | ε·\|y_i\| each | e |
 * | x_i/\|x\| under cosine | γ·\|x_i\|/\|x\| each, γ in the norm of y | e |
 * | e itself: a·u_i is exact (24 + 8 bits), a difference, a sum, float32 | ε, γ, 2^-24 relative, 2^-149 | e |
 * | b to float32, and its sum | 2^-24 + γ relative, 2^-149 | 2^-22·\|b\|, K (l2) |
 * | p_i = fl(q_i - c_i) or fl(q_i/\|q\|), g·w_i | γ·\|p_i\| each | Q |
 * | P, Q, K and the kernel's own sums and products | 2^-50 relative | 1 + 2^-30 on P, Q, K; 2^-22 on the rest |
 * | published dot: γ·\|x\|·\|q\|, where \|x\| ≤ a·128·√dimensions + e + \|c\| | | P, Q, K |
 * | published cosine: γ for the product, γ for the norms, 2γ for quotient, clamp and 1 - c | 4γ | K |
 * | published l2: d² = \|x - q\|²·(1 ± γ), and \|x - q\|² ≤ 2\|y\|² + 2\|p\|² | γ·(2\|b\| + \|p\|²) | 2^-22·\|b\|, K |
 *
 * **Answer.** Let T be the k-th largest lower bound. k rows have ŝ ≥ T; a row whose upper bound is below T has ŝ < T, a
 * strictly larger published distance than those k, and is not among the k nearest, however ties are broken. All others are
 * scored by the reference itself. A row that cannot be bounded has e = ∞ and is always scored.
 */
export interface CodeSpace {
  readonly shape: VectorShape;
  readonly metric: Metric;
  /** Bytes of a row's codes in a block, padded to a multiple of 16. */
  readonly codeBytes: number;
  /** What the space is made from: `codeSpace` makes the same space of it again. */
  readonly model: Uint8Array;
  /**
   * The code of a stored vector of the right length, or undefined where it holds NaN or an infinity. `codes` is overwritten by
   * the next call.
   */
  codeOf(bytes: Uint8Array): RowCode | undefined;
  /** The query as the kernel takes it; `encoded` as the column stores it. */
  query(encoded: Uint8Array): SpaceQuery;
}

export interface SpaceQuery {
  readonly coded: CodedQuery;
  /** A lower bound of the similarity of any row whose published distance is at most this. */
  floorOf(distance: number): number;
}

/** The sample decides nothing but speed; a few hundred rows place the centre well. */
export const SAMPLE_ROWS = 256;

const EPSILON = 2 ** -53;
const WEIGHT_MAX = 32_767;
const CODE_MAX = 127;

/**
 * The model of a space: its centre, as float32.
 *
 * @param sample - stored vectors of the right length, from all over the table; the centre is their median, which no outlier
 * moves far. int8 vectors are their own codes, and bits have no centre: their model is empty.
 */
export function fitModel(shape: VectorShape, metric: Metric, sample: readonly Uint8Array[]): Uint8Array {
  if (shape.element === "bit" || shape.element === "int8") return new Uint8Array();
  return new Uint8Array(Float32Array.from(centreOf(shape, metric, sample)).buffer);
}

/** Whether bytes are a model of such vectors. */
export function isModel(shape: VectorShape, model: Uint8Array): boolean {
  if (shape.element === "bit" || shape.element === "int8") return model.length === 0;
  return model.length === shape.dimensions * 4 && new Float32Array(model.slice().buffer).every(Number.isFinite);
}

/**
 * The space of a column's vectors.
 *
 * @param model - from `fitModel`
 */
export function codeSpace(shape: VectorShape, metric: Metric, model: Uint8Array): CodeSpace {
  if (shape.element === "bit") return bitSpace(shape, metric);
  return numberSpace(shape, metric, model);
}

function bitSpace(shape: VectorShape, metric: Metric): CodeSpace {
  return {
    shape,
    metric,
    codeBytes: roundUp(vectorBytes(shape), 16),
    model: new Uint8Array(),
    codeOf: (bytes) => ({ codes: bytes, scale: 0, error: 0, offset: 0 }),
    query: (encoded) => ({ coded: { type: "bits", bytes: encoded }, floorOf: (distance) => -distance }),
  };
}

function numberSpace(shape: VectorShape, metric: Metric, model: Uint8Array): CodeSpace {
  const { dimensions, element } = shape;
  // The stored bytes of int8 are the codes, with the centre at 0.
  const isCoded = element === "int8";
  const centre = isCoded ? new Float64Array(dimensions) : Float64Array.from(new Float32Array(model.slice().buffer));
  const gamma = (dimensions + 16) * 2 * EPSILON;
  const isCosine = metric === "cosine";
  const centred = new Float64Array(dimensions);
  const codes = new Int8Array(dimensions);
  const centreNorm = normOf(centre);

  function codeOf(bytes: Uint8Array): RowCode | undefined {
    const x = codecOf(element).decode(bytes);
    const unit = isCosine ? inverse(normOf(x)) : 1;
    let largest = 0;
    let squares = 0;
    for (let i = 0; i < dimensions; i++) {
      const y = x[i]! * unit - centre[i]!;
      centred[i] = y;
      squares += y * y;
      largest = Math.max(largest, Math.abs(y));
    }
    // Squares of finite numbers do not overflow: the sum is finite exactly when the vector is.
    if (!Number.isFinite(squares)) return undefined;
    const scale = Math.fround(isCoded ? unit : largest / CODE_MAX);
    let wrong = 0;
    for (let i = 0; i < dimensions; i++) {
      const y = centred[i]!;
      const u = isCoded ? x[i]! : scale === 0 ? 0 : clamp(Math.round(y / scale), CODE_MAX);
      codes[i] = u;
      const rest = y - scale * u;
      wrong += rest * rest;
    }
    const rounding = 2 * EPSILON * Math.sqrt(squares) + (isCosine ? 2 * gamma : 0);
    const error = upwards(Math.sqrt(wrong) * (1 + 2 * gamma) + rounding);
    const offset = metric === "l2" ? Math.fround(-squares / 2) : 0;
    // What float32 cannot hold is not bounded.
    if (!Number.isFinite(error) || !Number.isFinite(offset)) {
      codes.fill(0);
      return { codes, scale: 0, error: Number.POSITIVE_INFINITY, offset: 0 };
    }
    return { codes, scale, error, offset };
  }

  function query(encoded: Uint8Array): SpaceQuery {
    const q = codecOf(element).decode(encoded);
    const unit = isCosine ? inverse(normOf(q)) : 1;
    const p = Float64Array.from(q, (value, i) => value * unit - (metric === "l2" ? centre[i]! : 0));
    const largest = p.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const step = isCoded ? unit : largest / WEIGHT_MAX;
    const weights = new Int16Array(dimensions);
    let wrong = 0;
    let sum = 0;
    let towardsCentre = 0;
    for (let i = 0; i < dimensions; i++) {
      const weight = isCoded ? q[i]! : step === 0 ? 0 : clamp(Math.round(p[i]! / step), WEIGHT_MAX);
      weights[i] = weight;
      wrong += Math.abs(p[i]! - step * weight);
      sum += Math.abs(p[i]!);
      towardsCentre += p[i]! * centre[i]!;
    }
    const norm = normOf(p) * (1 + 2 * gamma);
    const published = metric === "dot" ? gamma * norm : 0;
    const constants = {
      cosine: 4 * gamma,
      dot: published * centreNorm,
      l2: gamma * norm * norm + 2 ** -147,
    };
    const constant = constants[metric as keyof typeof constants];
    return {
      coded: {
        type: "codes",
        weights,
        step,
        // Never 0: a row that is not bounded has an infinite error, and ∞ · 0 is no number.
        perError: (norm + published) * (1 + 2 ** -30) + Number.MIN_VALUE,
        perScale: (128 * (wrong + 2 * gamma * sum) + published * 128 * Math.sqrt(dimensions)) * (1 + 2 ** -30),
        constant: constant * (1 + 2 ** -30),
      },
      floorOf(distance) {
        if (!Number.isFinite(distance)) return Number.NEGATIVE_INFINITY;
        const slack = 2 ** -36;
        if (metric === "l2") {
          const square = Math.max(distance, 0) ** 2;
          return (norm * norm - square) / 2 - (norm * norm + square) * slack;
        }
        const similarity = (isCosine ? 1 : 0) - distance;
        return similarity - towardsCentre - ((isCosine ? 1 : 0) + Math.abs(distance) + norm * centreNorm) * slack;
      },
    };
  }

  return { shape, metric, codeBytes: roundUp(dimensions, 16), model, codeOf, query };
}

function centreOf(shape: VectorShape, metric: Metric, sample: readonly Uint8Array[]): Float64Array {
  const rows = sample.map((bytes) => {
    const x = Float64Array.from(codecOf(shape.element).decode(bytes));
    const unit = metric === "cosine" ? inverse(normOf(x)) : 1;
    return x.map((value) => value * unit);
  });
  const centre = new Float64Array(shape.dimensions);
  if (rows.length === 0) return centre;
  const column = new Float64Array(rows.length);
  for (let i = 0; i < centre.length; i++) {
    rows.forEach((row, at) => {
      column[at] = row[i]!;
    });
    column.sort();
    const median = Math.fround(column[column.length >> 1]!);
    centre[i] = Number.isFinite(median) ? median : 0;
  }
  return centre;
}

function normOf(values: ArrayLike<number>): number {
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += values[i]! * values[i]!;
  return Math.sqrt(squares);
}

function inverse(norm: number): number {
  return norm === 0 ? 0 : 1 / norm;
}

function clamp(value: number, most: number): number {
  return Math.max(-most, Math.min(most, value));
}

/** A float32 that is not smaller. */
function upwards(value: number): number {
  return Math.fround(value * (1 + 2 ** -22) + 2 ** -148);
}
