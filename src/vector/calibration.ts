import { codecOf, encodeVector, type VectorShape } from "../codec/codec.ts";
import { Arena } from "../kernel/arena.ts";
import { type Breathing, stepRows } from "../kernel/breathing.ts";
import { GROUP_ROWS, OneBitBlocks } from "../kernel/one-bit-blocks.ts";
import { type Matrix, multiplier } from "../kernel/products.ts";
import { Scan } from "../kernel/scan.ts";
import type { Metric } from "../metric/metric.ts";
import { type OneBitModel, oneBitQuery, oneBitShape } from "./one-bit-space.ts";

/**
 * How many deviations of a 1-bit estimate find the share of true neighbours that is asked for.
 *
 * A neighbour is missed when its estimate is so much too low that even the upper bound lies below the k-th best similarity. By
 * theory estimates of any data are spread like a normal distribution of the deviation that comes with them; so at most the share
 * above `factor` of that is missed, were all neighbours no nearer than the k-th. Most are nearer: where one in twenty would be
 * missed, isotropic noise, the worst of all, misses half as many, clustered, real and duplicate vectors a quarter. Less than that
 * is counted on, and nothing where much may be missed: there the k-th place is taken by a row that is hardly farther. For the single
 * nearest there are no nearer ones; where little may be missed, those of ten neighbours and more are counted on twice.
 *
 * What theory cannot promise is that one rotation does for all data. So the spread is measured on a sample: with rows that
 * are asked for, rows that are moved a little or much, mixtures of rows, and mirrored ones, always for the rows nearest to each,
 * and the worst of them counts.
 */
export function factorFor(recall: number, spread: number, k: number): number {
  const missed = 1 - recall;
  const nearer = 1 + Math.max(0, 1.5 - 20 * missed) * Math.min(1, Math.log10(Math.max(1, k)));
  return spread * Math.max(FACTOR_MIN, deviations(missed * Math.max(1, 1.6 - 2.5 * missed) * nearer));
}

const FACTOR_MIN = 0.5;

/** The normal distribution's: a share of `tail` lies above. */
const LEVELS = [0.1, 0.05] as const;
const POOLED = [0.1, 0.05, 0.02] as const;
const SPREAD_MAX = 4;
/** With a sample too small to tell. */
const SPREAD_UNKNOWN = 1.25;
const SAMPLE_MIN = 256;
const SAMPLE_MAX = 1024;
/** Queries of each kind, and for each of them the nearest rows. */
const QUERIES = 12;
const NEAREST = 24;

/**
 * The spread of a column's estimates, in deviations: 1 by theory, never less.
 *
 * @param sample - stored vectors of the right length; what holds NaN or an infinity is passed over
 */
export function* calibrate(
  { shape, metric }: { shape: VectorShape; metric: Metric },
  model: OneBitModel,
  sample: readonly Uint8Array[],
): Breathing<number> {
  const step = Math.max(1, sample.length / SAMPLE_MAX);
  const rows: ReturnType<ReturnType<typeof codecOf>["decode"]>[] = [];
  const norms: number[] = [];
  for (let i = 0; i < Math.min(sample.length, SAMPLE_MAX); i++) {
    const row = codecOf(shape.element).decode(sample[Math.floor(i * step)]!);
    if (row.every(Number.isFinite)) {
      rows.push(row);
      norms.push(norm(row));
    }
    if ((i + 1) % stepRows(shape.dimensions) === 0) yield;
  }
  if (rows.length < SAMPLE_MIN) return SPREAD_UNKNOWN;
  const blocks = new OneBitBlocks(oneBitShape(shape, metric, model), new Arena(), rows.length);
  const slot = blocks.take();
  for (let i = 0; i < rows.length; i += GROUP_ROWS) {
    blocks.write(slot, i, rows.slice(i, i + GROUP_ROWS));
    yield;
  }
  const world: World = { shape, metric, blocks, slot, rows, norms };
  const random = numbersFrom(model.seed);
  const asked: Asked[] = [];
  for (const [kind, make] of KINDS.entries()) {
    for (let n = 0; n < QUERIES; n++) {
      const query = make(rows, random);
      try {
        const encoded = encodeVector(Array.from(query), shape, "a query");
        asked.push({ kind, encoded, decoded: codecOf(shape.element).decode(encoded) });
      } catch {
        // Beyond what the column can store.
      }
      yield;
    }
  }
  const productsWith = yield* productsOf(asked, world);
  let spread = 1;
  const errors: number[][] = KINDS.map(() => []);
  for (const [n, query] of asked.entries()) {
    errors[query.kind]!.push(...errorsOf(world, query, productsWith(n)));
    yield;
  }
  for (const some of errors) spread = Math.max(spread, ...LEVELS.map((level) => atLevel(some, level)));
  spread = Math.max(spread, ...POOLED.map((level) => atLevel(errors.flat(), level)));
  return Math.min(SPREAD_MAX, spread);
}

type Rows = readonly ArrayLike<number>[];
type Kind = (rows: Rows, random: () => number) => Float64Array;

/** Queries of the kinds that an app may ask. Whole numbers stay whole where all rows have them. */
const KINDS: readonly Kind[] = [
  (rows, random) => Float64Array.from(pick(rows, random)),
  ...[0.1, 0.5, 1].map(
    (share): Kind =>
      (rows, random) => {
        const [row, a, b] = [pick(rows, random), pick(rows, random), pick(rows, random)];
        return mix(row, (i) => row[i]! + share * (a[i]! - b[i]!));
      },
  ),
  (rows, random) => {
    const [a, b, share] = [pick(rows, random), pick(rows, random), random()];
    return mix(a, (i) => share * a[i]! + (1 - share) * b[i]!);
  },
  (rows, random) => {
    const [row, size] = [pick(rows, random), pick(rows, random)];
    // Each coordinate of another row: the same sizes, none of the directions.
    return mix(row, (i) => (random() < 0.5 ? -1 : 1) * size[i]!);
  },
];

function mix(like: ArrayLike<number>, value: (i: number) => number): Float64Array {
  const isWhole = like instanceof Int8Array;
  return Float64Array.from({ length: like.length }, (_, i) => {
    const mixed = value(i);
    return isWhole ? Math.max(-128, Math.min(127, Math.round(mixed))) : mixed;
  });
}

interface World {
  readonly shape: VectorShape;
  readonly metric: Metric;
  readonly blocks: OneBitBlocks;
  readonly slot: number;
  readonly rows: Rows;
  readonly norms: readonly number[];
}

/** A query: of which kind, as a column stores it, and as it then is. */
interface Asked {
  readonly kind: number;
  readonly encoded: Uint8Array;
  readonly decoded: ArrayLike<number>;
}

/** The products of each query with each row, of the n-th at a time, near enough to tell which rows are nearest. */
function* productsOf(asked: readonly Asked[], { shape, rows, norms }: World): Breathing<(n: number) => Float64Array> {
  // Of any size, they are brought to where float32 products neither vanish nor overflow.
  const scaleOf = (lengths: readonly number[]) => 1 / (lengths.reduce((a, b) => Math.max(a, b), 0) || 1);
  const [perQuery, perRow] = [scaleOf(asked.map(({ decoded }) => norm(decoded))), scaleOf(norms)];
  const queries = asked.map(({ decoded }) => decoded);
  const a = yield* matrixOf(queries, shape.dimensions, perQuery);
  const { values } = yield* multiplier()(a, yield* matrixOf(rows, shape.dimensions, perRow));
  return (n) =>
    Float64Array.from(
      values.subarray(n * rows.length, (n + 1) * rows.length),
      (product) => product / perQuery / perRow,
    );
}

function* matrixOf(vectors: Rows, columns: number, scale: number): Breathing<Matrix> {
  const values = new Float32Array(vectors.length * columns);
  for (const [at, vector] of vectors.entries()) {
    for (let i = 0; i < columns; i++) values[at * columns + i] = vector[i]! * scale;
    if ((at + 1) % stepRows(columns) === 0) yield;
  }
  return { rows: vectors.length, columns, values };
}

/** By how many deviations each of the nearest rows is estimated too low. */
function errorsOf(
  { shape, metric, blocks, slot, rows, norms }: World,
  { encoded, decoded: q }: Asked,
  products: Float64Array,
): number[] {
  const uppers = [1, 2].map((factor) => {
    const query = oneBitQuery(blocks, { shape, metric }, encoded, factor);
    const bits = { blocks, query: query.coded, floor: Number.NEGATIVE_INFINITY };
    const scan = new Scan({ bits, k: rows.length, most: rows.length });
    scan.blocks([{ bits: slot, count: rows.length, first: 0, mask: undefined }]);
    const byRow = new Float64Array(rows.length).fill(Number.NaN);
    const { rows: found, uppers: bounds } = scan.found()!;
    found.forEach((row, i) => {
      byRow[row] = bounds[i]!;
    });
    return { query, byRow };
  });
  const [one, two] = uppers as [(typeof uppers)[0], (typeof uppers)[0]];
  const qNorm = norm(q);
  if (metric === "cosine" && qNorm === 0) return [];
  const near = Array.from(products, (product, at) => ({
    at,
    distance: distanceOf(metric, product, norms[at]!, qNorm),
  }));
  return near
    .sort((a, b) => a.distance - b.distance)
    .slice(0, NEAREST)
    .flatMap(({ at }) => {
      const distance = distanceOf(metric, dot(rows[at]!, q), norms[at]!, qNorm);
      const deviation = two.byRow[at]! - one.byRow[at]!;
      const error = (one.query.similarityOf(distance) - (one.byRow[at]! - deviation)) / deviation;
      return Number.isFinite(error) ? [error] : [];
    });
}

function distanceOf(metric: Metric, product: number, rowNorm: number, queryNorm: number): number {
  if (metric === "l2") return Math.sqrt(Math.max(0, rowNorm ** 2 + queryNorm ** 2 - 2 * product));
  if (metric === "dot") return -product;
  return rowNorm === 0 ? 1 : 1 - product / (rowNorm * queryNorm);
}

/** The errors' own deviations at a level, as a multiple of the normal distribution's; 0 where too few tell. */
function atLevel(errors: readonly number[], level: number): number {
  const above = Math.floor(errors.length * level);
  if (above < 8) return 0;
  return [...errors].sort((a, b) => b - a)[above]! / deviations(level);
}

/**
 * How many deviations the upper `tail` of a normal distribution lies above the mean; 0 from a half on.
 *
 * @see Abramowitz, Stegun, "Handbook of mathematical functions", 26.2.23; the error is below 0.00045
 */
export function deviations(tail: number): number {
  if (tail >= 0.5) return 0;
  const t = Math.sqrt(-2 * Math.log(tail));
  const above = 2.515517 + t * (0.802853 + t * 0.010328);
  return t - above / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < b.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function norm(values: ArrayLike<number>): number {
  return Math.sqrt(dot(values, values));
}

function pick<T>(from: readonly T[], random: () => number): T {
  return from[Math.floor(random() * from.length)]!;
}

/** Numbers in 0..1, the same for the same seed (mulberry32). */
export function numbersFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
