import { codecOf, type VectorShape, vectorBytes } from "../codec/codec.ts";
import type { BlockShape } from "../kernel/code-blocks.ts";
import { type Coder, coderFor, type RowCode } from "../kernel/coder.ts";
import { roundUp } from "../kernel/module.ts";
import { CHAIN_STEPS } from "../kernel/scalar-coder.ts";
import type { CodedQuery } from "../kernel/scan.ts";
import type { Metric } from "../metric/metric.ts";
import { squaredNorm } from "../metric/reference.ts";
import { readModel } from "./model.ts";

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
 * **Rotation.** R is a product of mirrors I - 2vvᵀ/|v|², one for each stored float32 vector v. Whatever v is, such a mirror is
 * orthogonal, exactly: what is stored is not an approximation of R but defines it. So y·p = z·r with z = Ry and r = Rp. The first
 * coordinates, the head, are kept apart from the others, the tail: z·r = z₁·r₁ + z₂·r₂. The model chooses R such that heads hold
 * most of a vector (vector/model.ts); without a rotation all of a row is head.
 *
 * **Codes.** A head is kept as z₁ ≈ a₁·u₁ with int8 u₁ and float32 a₁, and e₁ ≥ |z₁ - a₁·u₁|; a tail likewise, and n ≥ |z₂|;
 * b ≈ β. The query as r₁ ≈ g₁·w₁ with int16 w₁, and r₂ ≈ g₂·w₂. By the inequality of Cauchy and Schwarz, and with |u_i| ≤ 128,
 *
 *     |z₁·r₁ - a₁·g₁·(u₁·w₁)| ≤ |(z₁ - a₁·u₁)·r₁| + |a₁·u₁·(r₁ - g₁·w₁)| ≤ e₁·|r₁| + a₁·128·Σ|r₁_i - g₁·w₁_i|
 *     |z₂·r₂| ≤ n·|r₂|
 *
 * and for z₂·r₂ as for z₁·r₁. The integers u·w are exact: Σ|w_i| is kept below 2^24, so that no sum of theirs leaves 32 bits. So
 * the estimates from the head, a₁·g₁·(u₁·w₁) + b, and from head and tail, a₁·g₁·(u₁·w₁) + a₂·g₂·(u₂·w₂) + b, are at most
 *
 *     e₁·P₁ + a₁·Q₁ + n·P₂         + (|a₁·g₁·(u₁·w₁)| + |b|)·2^-22 + K
 *     e₁·P₁ + a₁·Q₁ + e₂·P₂ + a₂·Q₂ + (|a₁·g₁·(u₁·w₁)| + |a₂·g₂·(u₂·w₂)| + |b|)·2^-22 + K
 *
 * away from ŝ, with P = |r|, Q = 128·Σ|r_i - g·w_i|, K = 0 and the following additions for rounding. Let ε = 2^-53,
 * γ = (dimensions + 16)·2ε: more than twice the relative error of any sum of that many products; H the number of mirrors; and
 * η = 2^-24, the rounding of float32. No product in float64 under- or overflows, since stored numbers are zero or within
 * 2^±149 and norms within 2^±136.
 *
 * | rounding | size | covered by |
 * | --- | --- | --- |
 * | y_i = fl(x_i - c_i) | ε·\|y_i\| each | e, n |
 * | x_i/\|x\| under cosine | γ·\|x_i\|/\|x\| each, γ in the norm of y | e, n |
 * | y_i, times a power of two that brings the largest to 1, to float32 | η·\|y_i\| or 2^-150 each | e, n: 2^-23·\|y\| |
 * | rotation in float32, below | ρ·\|y\| in the norm of z | e, n |
 * | e, n themselves: a·u_i is exact (24 + 8 bits), a difference, a sum, float32 | ε, γ, 2^-24 relative, 2^-149 | e, n |
 * | b to float32, and its sum | 2^-24 + γ relative, 2^-149 | 2^-22·\|b\|, K (l2) |
 * | p_i = fl(q_i - c_i) or fl(q_i/\|q\|); r = Rp in float64, 2γ·\|p\| a mirror | (1 + 2H)·γ·\|p\| in the norm of r | P, Q |
 * | g·w_i and its difference, P, Q, K and the kernel's own sums and products | 2^-50 relative | 2γ·Σ\|r_i\| in Q; 1 + 2^-30 on P, Q, K; 2^-22 on the rest |
 * | published dot: γ·\|x\|·\|q\|, where \|x\| ≤ \|z₁\| + \|z₂\| + \|c\|, \|z₁\| ≤ a₁·128·√head + e₁, \|z₂\| ≤ n or likewise | | P, Q, K |
 * | published cosine: γ for the product, γ for the norms, 2γ for quotient, clamp and 1 - c | 4γ | K |
 * | published l2: d² = \|x - q\|²·(1 ± γ), and \|x - q\|² ≤ 2\|y\|² + 2\|p\|² | γ·(2\|b\| + \|p\|²) | 2^-22·\|b\|, K |
 *
 * *Rotation in float32.* One mirror takes z to z - τ(v·z)v, τ = 2/|v|². Each product in fl(v·z) takes part in at most
 * m = 1 + 8 + ⌈dimensions/32⌉ + 3 roundings (chains of 8 in four lanes, the chains, the lanes), so fl(v·z) is (m + 1)η·|v|·|z|
 * off at most; τ and its product with that 2η more, the product with v_i η, the difference η of the result. Since τ·|v|² = 2, all
 * that is (2m + 8)η·|z| with some to spare, and ρ = 1.01·H·(2m + 8)η after H mirrors. Coordinates are near 1 and |v| near √2,
 * so what underflows is below 2^-120 and lost in 2^-23·|y|.
 *
 * *Bounds in float32.* The kernel first computes the upper bounds from heads of four rows at once in float32, in units of 2^s ≈ |p|,
 * and those with tails of the rows left in the same way. Every product and sum there rounds by η at most, and no term takes part in
 * more than eight; products are loosened by 2^-20 = 16η of the most they can be, a·g·128·Σ|w_i|; all else is rounded up by 2^-19, and 2^-116 stands for what falls below float32. So they lie above the bounds in float64, by
 * which alone a row is let in. What leaves float32 gives infinity or no number, and is looked at.
 *
 * **Answer.** Let T be the k-th largest lower bound. k rows have ŝ ≥ T; a row one of whose upper bounds is below T has ŝ < T, a
 * strictly larger published distance than those k, and is not among the k nearest, however ties are broken. All others are
 * scored by the reference itself. A row that cannot be bounded has e = n = ∞ and is always scored.
 */
export interface CodeSpace extends BlockShape {
  readonly shape: VectorShape;
  readonly metric: Metric;
  /** What the space was made from; the same bytes make the same space. */
  readonly model: Uint8Array;
  /**
   * The codes of stored vectors of the right length, in order; undefined for one that holds NaN or an infinity. Each is
   * overwritten soon after the next is asked for.
   */
  codesOf(blobs: readonly Uint8Array[]): Iterable<RowCode | undefined>;
  /** The query as the kernel takes it; `encoded` as the column stores it. */
  query(encoded: Uint8Array): SpaceQuery;
}

export interface SpaceQuery {
  readonly coded: CodedQuery;
  /** The similarity that would give this distance, but for rounding. */
  similarityOf(distance: number): number;
  /** A lower bound of the similarity of any row whose published distance is at most this. */
  floorOf(distance: number): number;
}

const EPSILON = 2 ** -53;
const EPSILON_32 = 2 ** -24;
const WEIGHT_MAX = 32_767;
/** What the absolute values of all weights of a query add up to at most: times 128 it is below 2^31. */
const WEIGHTS_SUM_MAX = 2 ** 24;
const NO_BYTES = new Uint8Array();

/**
 * The space of a column's vectors; undefined where these bytes are no model for vectors of this shape.
 *
 * @param model - from `fitModel`
 */
export function codeSpace(shape: VectorShape, metric: Metric, model: Uint8Array): CodeSpace | undefined {
  const { dimensions, element } = shape;
  if ((element === "bit" || element === "int8") && model.length > 0) return undefined;
  if (element === "bit") return bitSpace(shape, metric);
  if (element === "int8") {
    const query = queriesOf({
      shape,
      metric,
      centre: new Float32Array(dimensions),
      head: dimensions,
      coder: undefined,
    });
    const headBytes = roundUp(dimensions, 16);
    const codesOf = (blobs: readonly Uint8Array[]) => blobs.map((bytes) => int8Code(bytes, metric));
    return { shape, metric, model: NO_BYTES, headBytes, tailBytes: 0, codesOf, query };
  }
  const parts = readModel(model, dimensions);
  if (!parts) return undefined;
  const { centre, reflectors } = parts;
  const width = roundUp(dimensions, 16);
  const head = reflectors.length > 0 ? reflectors.length : width;
  const steps = 1 + CHAIN_STEPS + Math.ceil(width / (4 * CHAIN_STEPS)) + 3;
  const rotating = 1.01 * reflectors.length * (2 * steps + 8) * EPSILON_32;
  const gamma = gammaOf(dimensions);
  const coder = coderFor({
    dimensions,
    element,
    metric,
    centre,
    head,
    reflectors,
    relative: rotating + 2 ** -23,
    absolute: metric === "cosine" ? 2 * gamma : 0,
    sums: 1 + 2 * gamma,
  });
  if (!coder) return undefined;
  return {
    shape,
    metric,
    model,
    headBytes: head,
    tailBytes: width - head,
    *codesOf(blobs) {
      for (let i = 0; i < blobs.length; i += coder.capacity) yield* coder.code(blobs.slice(i, i + coder.capacity));
    },
    query: queriesOf({
      shape,
      metric,
      centre,
      head: Math.min(head, dimensions),
      coder: reflectors.length > 0 ? coder : undefined,
      mirrors: reflectors.length,
    }),
  };
}

function bitSpace(shape: VectorShape, metric: Metric): CodeSpace {
  const params = Float32Array.of(0, 0, 0);
  return {
    shape,
    metric,
    model: NO_BYTES,
    headBytes: roundUp(vectorBytes(shape), 16),
    tailBytes: 0,
    codesOf: (blobs) => blobs.map((head) => ({ head, tail: NO_BYTES, params })),
    query: (encoded) => ({
      coded: { type: "bits", bytes: encoded },
      similarityOf: (distance) => -distance,
      floorOf: (distance) => -distance,
    }),
  };
}

/** The stored bytes of int8 are the codes, with the centre at 0. */
function int8Code(head: Uint8Array, metric: Metric): RowCode {
  const x = codecOf("int8").decode(head);
  const squares = squaredNorm(x);
  const norm = Math.sqrt(squares);
  const unit = metric === "cosine" ? inverse(norm) : 1;
  const scale = Math.fround(unit);
  const gamma = gammaOf(x.length);
  const error = Math.abs(unit - scale) * norm * (1 + 2 * gamma) + (metric === "cosine" ? 2 * gamma : 0);
  const offset = metric === "l2" ? Math.fround(-squares / 2) : 0;
  return { head, tail: NO_BYTES, params: Float32Array.of(offset, scale, upwards(error)) };
}

interface QueryInput {
  readonly shape: VectorShape;
  readonly metric: Metric;
  readonly centre: Float32Array;
  /** Coordinates of the head. */
  readonly head: number;
  /** What rotates the query. */
  readonly coder: Coder | undefined;
  readonly mirrors?: number;
}

function queriesOf({ shape, metric, centre, head, coder, mirrors = 0 }: QueryInput): CodeSpace["query"] {
  const { dimensions, element } = shape;
  const isCosine = metric === "cosine";
  const gamma = gammaOf(dimensions);
  const centreNorm = normOf(centre);
  /** Of one query after the other: p, and then r. */
  const p = new Float64Array(dimensions);

  return (encoded) => {
    const q = codecOf(element).view(encoded);
    const unit = isCosine ? inverse(normOf(q)) : 1;
    let towardsCentre = 0;
    for (let i = 0; i < dimensions; i++) {
      const value = q[i]! * unit - (metric === "l2" ? centre[i]! : 0);
      p[i] = value;
      towardsCentre += value * centre[i]!;
    }
    const norm = normOf(p) * (1 + 2 * gamma);
    // Rotated where it stands.
    coder?.rotate(p);
    const r = p;
    const rounding = (1 + 2 * mirrors) * gamma * norm;
    // int8 queries are their own weights.
    const step = element === "int8" ? unit : undefined;
    const first = weigh(r.subarray(0, head), { gamma, rounding, step });
    const second = weigh(r.subarray(head), { gamma, rounding, step });
    const published = metric === "dot" ? gamma * norm : 0;
    const constants = {
      cosine: 4 * gamma,
      dot: published * centreNorm,
      l2: gamma * norm * norm + 2 ** -147,
    };
    // Never 0: a row that is not bounded has infinite errors, and ∞ · 0 is no number.
    const perNorm = (value: number) => (value + published) * (1 + 2 ** -30) + Number.MIN_VALUE;
    const perScale = ({ wrong, weights }: Weighed) =>
      (wrong + published * 128 * Math.sqrt(weights.length)) * (1 + 2 ** -30);
    const similarityOf = (distance: number) =>
      metric === "l2" ? (norm * norm - Math.max(distance, 0) ** 2) / 2 : (isCosine ? 1 : 0) - distance - towardsCentre;
    return {
      coded: {
        type: "codes",
        weights: first.weights,
        tailWeights: second.weights,
        numbers: {
          step: first.step,
          perError: perNorm(first.norm),
          perScale: perScale(first),
          constant: constants[metric as keyof typeof constants] * (1 + 2 ** -30),
          unit: norm === 0 ? 1 : 2 ** -Math.max(-100, Math.min(100, Math.floor(Math.log2(norm)))),
          tailStep: second.step,
          perTailError: perNorm(second.norm),
          perTailScale: perScale(second),
          perTailNorm: perNorm(second.norm),
        },
      },
      similarityOf,
      floorOf(distance) {
        if (!Number.isFinite(distance)) return Number.NEGATIVE_INFINITY;
        const size =
          metric === "l2"
            ? norm * norm + Math.max(distance, 0) ** 2
            : (isCosine ? 1 : 0) + Math.abs(distance) + norm * centreNorm;
        return similarityOf(distance) - size * 2 ** -36;
      },
    };
  };
}

/** A part of a query: r ≈ step·weights. */
interface Weighed {
  readonly weights: Int16Array;
  readonly step: number;
  /** At least |r|. */
  readonly norm: number;
  /** At least 128·Σ|r_i - step·w_i|. */
  readonly wrong: number;
}

/** @param rounding - how far r may be off, in its norm */
function weigh(
  r: Float64Array,
  { gamma, rounding, step: given }: { gamma: number; rounding: number; step: number | undefined },
): Weighed {
  let largest = 0;
  let sum = 0;
  for (let i = 0; i < r.length; i++) {
    const size = Math.abs(r[i]!);
    if (size > largest) largest = size;
    sum += size;
  }
  // A weight is half off at most, so that all of them stay below the sum, too.
  const step = given ?? Math.max(largest / WEIGHT_MAX, sum / (WEIGHTS_SUM_MAX - 2 * r.length));
  const inverted = inverse(step);
  const weights = new Int16Array(r.length);
  let wrong = 0;
  for (let i = 0; i < r.length; i++) {
    const weight = Math.max(-WEIGHT_MAX, Math.min(WEIGHT_MAX, Math.round(r[i]! * inverted)));
    weights[i] = weight;
    wrong += Math.abs(r[i]! - step * weight);
  }
  return {
    weights,
    step,
    norm: normOf(r) * (1 + 2 * gamma) + rounding,
    wrong: 128 * (wrong + 2 * gamma * sum + Math.sqrt(r.length) * rounding),
  };
}

function gammaOf(dimensions: number): number {
  return (dimensions + 16) * 2 * EPSILON;
}

function normOf(values: ArrayLike<number>): number {
  return Math.sqrt(squaredNorm(values));
}

function inverse(norm: number): number {
  return norm === 0 ? 0 : 1 / norm;
}

/** A float32 that is not smaller. */
function upwards(value: number): number {
  return Math.fround(value * (1 + 2 ** -22) + 2 ** -148);
}
