import { codecOf, type VectorShape } from "../codec/codec.ts";
import { roundUp } from "../kernel/module.ts";
import {
  entryMax,
  GROUP_ROWS,
  type OneBitBlocks,
  type OneBitQuery,
  type OneBitShape,
} from "../kernel/one-bit-blocks.ts";
import type { Metric } from "../metric/metric.ts";

/**
 * How vectors become 1-bit codes, and what can be told from them.
 *
 * **Similarity.** As in vector/code-space.ts, and with the query centred too, since the doubt grows with its length: with
 * y = x - c and p = q - c (x/|x| and q/|q| for cosine) rows are ordered by
 *
 *     s = y·p + β    dot, cosine: β = y·c, and x·q = s + c·q    l2: β = -|y|²/2, and |x - q|² = |p|² - 2s
 *
 * **Code** (RaBitQ). With a random rotation P, o = P·y/|y| and D its dimensions, a row keeps the signs of o as the unit vector
 * ō = ±1/√D, and a = ō·o, about 0.8. Then
 *
 *     y·p ≈ |y|·(ō·Pp)/a    with an error of mean 0 and of deviation e·|p⊥|, e = |y|·√(1 - a²)/(a·√(D - 1))
 *
 * where p⊥ is the part of p across y: nothing of the part along it is lost. The deviation holds for any data, over the choice of
 * the rotation. Kept are β, |y|/(a·√D) (the scale of a sum of ±p) and e as float32; |y|² = D·scale² - (D - 1)·e².
 *
 * **Query.** The 16 sums of ±p over each four dimensions are rounded to multiples of one step, few enough for 8 bits: a further
 * deviation of step·√(D/4/12) in the sum.
 *
 * **Upper bound.** estimate + factor · (e·|p⊥| + scale · that deviation): the larger the factor, the fewer true neighbours lie
 * above theirs. It is no proof; vector/calibration.ts finds the factor for a recall. A scan keeps the rows whose upper bound
 * reaches the k-th largest lower bound, estimate - 2.5 deviations or more.
 *
 * @see Gao, Long, "RaBitQ: quantizing high-dimensional vectors with a theoretical error bound for approximate nearest neighbor
 * search", SIGMOD 2024: equations 14 and 20, theorem 3.2
 */
export interface OneBitModel {
  /** As many numbers as dimensions. */
  readonly centre: Float32Array;
  /** Of the rotation. */
  readonly seed: number;
}

export interface OneBitSpaceQuery {
  readonly coded: OneBitQuery;
  /** The similarity that would give this distance. */
  similarityOf(distance: number): number;
}

/** Rounds of signs and Hadamard transforms: the third makes any vector look random, and where windows take turns a fourth. */
const ROUNDS = { whole: 3, windows: 4 };
/**
 * Deviations below its estimate at which a row is trusted to lie: the threshold is the k-th best of many, and the luckiest
 * estimates are far too good.
 */
const CAUTION = 2.5;
/** Covers the rounding of float32 in offsets. */
const OFFSET_SLACK = 2 ** -21;

/** Bits a vector of so many dimensions is kept as. */
function oneBitWidth(dimensions: number): number {
  return roundUp(dimensions, GROUP_ROWS);
}

/** The shape of the blocks of a column's 1-bit codes. */
export function oneBitShape({ dimensions }: VectorShape, metric: Metric, { centre, seed }: OneBitModel): OneBitShape {
  const width = oneBitWidth(dimensions);
  const window = 2 ** Math.floor(Math.log2(width));
  const padded = new Float32Array(width);
  padded.set(centre);
  return {
    width,
    window,
    centre: padded,
    factors: factorsOf(width, window, seed),
    isUnit: metric === "cosine",
    isL2: metric === "l2",
  };
}

/**
 * A query against rows in `blocks`.
 *
 * @param encoded - as the column stores it
 * @param factor - on the deviation of estimates
 */
export function oneBitQuery(
  blocks: OneBitBlocks,
  { shape, metric }: { shape: VectorShape; metric: Metric },
  encoded: Uint8Array,
  factor: number,
): OneBitSpaceQuery {
  const { centre, width } = blocks.shape;
  const q = codecOf(shape.element).decode(encoded);
  const unit = metric === "cosine" ? inverseNorm(q) : 1;
  const p = new Float32Array(width);
  let towardsCentre = 0;
  let squares = 0;
  for (let i = 0; i < q.length; i++) {
    const value = q[i]! * unit;
    const centred = value - centre[i]!;
    p[i] = centred;
    towardsCentre += value * centre[i]!;
    squares += centred * centred;
  }
  const norm = Math.sqrt(squares);
  const { table, step, base } = tableOf(blocks.rotate(p));
  const deviation = step * Math.sqrt(width / 4 / 12);
  return {
    coded: {
      table,
      numbers: Float32Array.of(
        step,
        base,
        factor * norm,
        factor * deviation,
        OFFSET_SLACK,
        Math.max(norm, 2 ** -126),
        width,
        width - 1,
        Math.max(1, CAUTION / factor),
      ),
    },
    similarityOf(distance) {
      if (metric === "l2") return (squares - Math.max(distance, 0) ** 2) / 2;
      return (metric === "cosine" ? 1 : 0) - distance - towardsCentre;
    },
  };
}

/** For each four dimensions the sums of ±p, the sign of dimension i that of bit i, as multiples of a step above the least. */
function tableOf(p: Float32Array): { table: Uint8Array; step: number; base: number } {
  let widest = 0;
  let base = 0;
  for (let at = 0; at < p.length; at += 4) {
    const reach = Math.abs(p[at]!) + Math.abs(p[at + 1]!) + Math.abs(p[at + 2]!) + Math.abs(p[at + 3]!);
    widest = Math.max(widest, reach);
    base -= reach;
  }
  const most = entryMax(p.length);
  const step = (2 * widest) / most;
  const table = new Uint8Array(p.length * 4);
  if (step === 0) return { table, step, base };
  // Of every query more than a thousand entries: in steps from the beginning, so that each takes a few additions.
  for (let at = 0, to = 0; at < p.length; at += 4) {
    const a = p[at]! / step;
    const b = p[at + 1]! / step;
    const c = p[at + 2]! / step;
    const d = p[at + 3]! / step;
    // What is stored is the whole part: half a step more rounds it.
    const middle = Math.abs(a) + Math.abs(b) + Math.abs(c) + Math.abs(d) + 0.5;
    for (let half = 0; half < 4; half++) {
      const high = middle + (half & 1 ? c : -c) + (half & 2 ? d : -d);
      table[to++] = Math.min(most, high - a - b);
      table[to++] = Math.min(most, high + a - b);
      table[to++] = Math.min(most, high - a + b);
      table[to++] = Math.min(most, high + a + b);
    }
  }
  return { table, step, base };
}

/**
 * The factors of the rotation: random signs, with what makes each round keep lengths. A window of n numbers grows by √n in its
 * transform, and two halves that are added and subtracted by √2.
 */
function factorsOf(width: number, window: number, seed: number): Float32Array[] {
  const random = bitsFrom(seed);
  const isWhole = window === width;
  const inside = 1 / Math.sqrt(window);
  const mixed = isWhole ? 1 : Math.SQRT1_2;
  return Array.from({ length: isWhole ? ROUNDS.whole : ROUNDS.windows }, (_, round) => {
    const from = round % 2 === 0 ? 0 : width - window;
    const factors = new Float32Array(width);
    for (let i = 0; i < width; i++) {
      const size = (i >= from && i < from + window ? inside : 1) * mixed;
      factors[i] = random() ? size : -size;
    }
    return factors;
  });
}

/** Random bits, the same for the same seed (splitmix32). */
function bitsFrom(seed: number): () => boolean {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let t = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    t = Math.imul(t ^ (t >>> 15), 0x735a2d97);
    return ((t ^ (t >>> 15)) & 1) === 1;
  };
}

function inverseNorm(values: ArrayLike<number>): number {
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += values[i]! * values[i]!;
  return squares === 0 ? 0 : 1 / Math.sqrt(squares);
}
