import { codecOf, type VectorShape } from "../codec/codec.ts";
import { noAxes } from "../kernel/axes.ts";
import { type Breathing, stepRows } from "../kernel/breathing.ts";
import { type Matrix, multiplier, transposed } from "../kernel/products.ts";
import type { Metric } from "../metric/metric.ts";

/**
 * What float vectors are coded with: a centre, and a rotation after which the first coordinates, the head, hold most of what tells
 * the rows of a sample apart. A model decides nothing but speed: the bounds hold for any centre and any reflectors.
 */
export interface Model {
  /** As many numbers as dimensions. */
  readonly centre: Float32Array;
  /**
   * The rotation is a product of mirrors, the first one applied first: I - 2vvᵀ/|v|² for each reflector v, which is orthogonal
   * whatever v. Each has `dimensions` numbers, is of length about √2, and zero before its own place. The head has a coordinate for
   * each, a multiple of 16; none means that rows stay as they are, and all of a row is head.
   */
  readonly reflectors: readonly Float32Array[];
}

/**
 * Rows of a good sample, or all rows of a smaller table: evenly spread, no row twice. Fewer than half of them and no rotation is
 * fitted: so few rows are scanned before it is made.
 */
export const SAMPLE_ROWS = 2048;

const CENTRE_ROWS = 256;
/** Fewer dimensions, and there is too little to leave out. */
const ROTATED_DIMENSIONS_MIN = 64;
/** Coordinates of the head: a step of the kernel, and what keeps fitting and coding cheap for wide vectors. */
const HEAD_STEP = 16;
const HEAD_MAX = 320;
/** Of a quarter of the coordinates, and so many more, is a head made at most: beyond, whole rows are as good. */
const HEAD_MORE = 64;
const MODEL_BYTES_MAX = 2 ** 21;
/** Rounds of the subspace iteration. The third still takes a tenth off the rows left; a fourth does not. */
const ROUNDS = 3;
/** Rows of the sample that are asked for their neighbours, to see what a head is worth. */
const QUERIES = 48;
/** Bytes that could be scanned in the time of a row which needs its tail: a jump in memory. Measured, see bench/README.md. */
const SECOND_LOOK_BYTES = 1000;
/** A rotation has to save this share of the bytes. */
const GAIN_MIN = 0.25;
/** Share of the queries that may be alone of their kind in the sample, and are not asked whether it does. */
const ALONE = 0.25;
/** Columns of the centre that are sorted in one step. */
const STEP_COLUMNS = 64;

/**
 * Fits a model to a sample, as bytes. int8 vectors and bits are their own codes: their model is empty.
 *
 * @param sample - stored vectors of the right length, up to `SAMPLE_ROWS` of them: more cost time. What holds NaN or an infinity
 * is passed over
 */
export function* fitModel(
  shape: VectorShape,
  metric: Metric,
  sample: readonly Uint8Array[],
): Breathing<Uint8Array<ArrayBuffer>> {
  if (!hasModel(shape)) return new Uint8Array();
  const model = yield* fitted(shape, metric, sample);
  yield;
  return modelBytes(model);
}

function hasModel({ element }: VectorShape): boolean {
  return element === "float32" || element === "float16";
}

function* fitted(shape: VectorShape, metric: Metric, sample: readonly Uint8Array[]): Breathing<Model> {
  const { dimensions } = shape;
  const step = stepRows(dimensions);
  // Decoded twice rather than kept as float64, which would take 256 MB for the widest vectors.
  const rows: Uint8Array[] = [];
  let largest = 0;
  for (const [at, bytes] of sample.entries()) {
    const row = directionOf(shape, metric, bytes);
    if (row) {
      rows.push(bytes);
      for (const value of row) largest = Math.max(largest, Math.abs(value));
    }
    if ((at + 1) % step === 0) yield;
  }
  // No outlier moves the median far. Of some hundred rows: sorting costs.
  const few: Float64Array[] = [];
  const apart = Math.ceil(rows.length / CENTRE_ROWS);
  for (let at = 0; at < rows.length; at += apart) {
    few.push(directionOf(shape, metric, rows[at]!)!);
    if (few.length % step === 0) yield;
  }
  const centre = yield* medianOf(few, dimensions);
  if (dimensions < ROTATED_DIMENSIONS_MIN || rows.length * 2 < SAMPLE_ROWS) return { centre, reflectors: [] };
  const values = new Float32Array(rows.length * dimensions);
  // Brings rows of any size to where float32 products neither vanish nor overflow.
  const scale = largest === 0 ? 1 : 1 / largest;
  for (const [at, bytes] of rows.entries()) {
    const row = directionOf(shape, metric, bytes)!;
    for (let i = 0; i < dimensions; i++) values[at * dimensions + i] = (row[i]! - centre[i]!) * scale;
    if ((at + 1) % step === 0) yield;
  }
  const centred = { rows: rows.length, columns: dimensions, values };
  const axes = yield* principalAxes(centred);
  const scaled = centre.map((value) => value * scale);
  const head = yield* headSize(centred, axes, metric, scaled);
  return { centre, reflectors: yield* reflectorsOf(axes.slice(0, head)) };
}

/** The vector that is coded, before it is centred. */
function directionOf(shape: VectorShape, metric: Metric, bytes: Uint8Array): Float64Array | undefined {
  const x = Float64Array.from(codecOf(shape.element).decode(bytes));
  const norm = Math.sqrt(dot(x, x));
  if (!Number.isFinite(norm)) return undefined;
  return metric === "cosine" && norm > 0 ? x.map((value) => value / norm) : x;
}

function* medianOf(rows: readonly Float64Array[], dimensions: number): Breathing<Float32Array> {
  const centre = new Float32Array(dimensions);
  if (rows.length === 0) return centre;
  const column = new Float64Array(rows.length);
  for (let i = 0; i < dimensions; i++) {
    for (let at = 0; at < rows.length; at++) column[at] = rows[at]![i]!;
    centre[i] = column.sort()[column.length >> 1]!;
    if ((i + 1) % STEP_COLUMNS === 0) yield;
  }
  return centre;
}

/**
 * The axes along which the rows differ most, most first: orthonormal, fewer where the rows span fewer.
 *
 * @see Halko, Martinsson, Tropp, "Finding structure with randomness", 2011, algorithm 4.4, started from rows of the data
 */
function* principalAxes(centred: Matrix): Breathing<Float64Array[]> {
  const { rows, columns } = centred;
  const most = Math.min(HEAD_MAX, columns / 2, columns / 4 + HEAD_MORE, MODEL_BYTES_MAX / 4 / columns, rows / 4);
  const count = Math.floor(most / HEAD_STEP) * HEAD_STEP;
  const multiply = multiplier();
  const turned = yield* transposed(centred);
  let axes = yield* orthonormalised(
    Array.from({ length: count }, (_, j) => rowOf(centred, Math.floor(((j + 0.5) * rows) / count))),
  );
  for (let round = 0; round < ROUNDS && axes.length > 0; round++) {
    const along = yield* multiply(matrixOf(axes), centred);
    const pulled = yield* multiply(along, turned);
    axes = yield* orthonormalised(axes.map((_, j) => rowOf(pulled, j)));
  }
  return axes;
}

/** Gram and Schmidt, each vector freed from those before it; what is left of nothing but rounding is dropped. */
function* orthonormalised(vectors: Float64Array[]): Breathing<Float64Array[]> {
  const axes: Float64Array[] = [];
  const before = noAxes(vectors.length, vectors[0]?.length ?? 0);
  for (const vector of vectors) {
    const length = Math.sqrt(dot(vector, vector));
    before.apply(vector);
    const left = Math.sqrt(dot(vector, vector));
    if (left > length * 1e-5) {
      const axis = vector.map((value) => value / left);
      axes.push(axis);
      before.add(axis);
    }
    yield;
  }
  return axes;
}

/**
 * How many axes make the cheapest head, or 0 where reading whole rows is as cheap. Rows of the sample are queries; the nearest
 * other row stands for the k-th nearest of all: as it is with one row in `SAMPLE_ROWS` wanted. A row of a small cluster may have none
 * of its kind in the sample, and leaves almost all rows in doubt there as it never does in the table: by how many there are, such
 * data would have a head, or have none, by chance.
 */
function* headSize(
  centred: Matrix,
  axes: readonly Float64Array[],
  metric: Metric,
  centre: Float32Array,
): Breathing<number> {
  const { rows, columns } = centred;
  if (axes.length < HEAD_STEP) return 0;
  const multiply = multiplier();
  const queries = Array.from({ length: QUERIES }, (_, n) => Math.floor(((n + 0.5) * rows) / QUERIES));
  const asked = queries.map((row) => {
    const y = rowOf(centred, row);
    return metric === "l2" ? y : y.map((value, i) => value + centre[i]!);
  });
  const axisMatrix = matrixOf(axes);
  const heads = (yield* multiply(centred, axisMatrix)).values;
  const queryHeads = (yield* multiply(matrixOf(asked), axisMatrix)).values;
  const similarities = (yield* multiply(matrixOf(asked), centred)).values;
  const count = axes.length;
  const squares = new Float64Array(rows);
  const step = stepRows(columns);
  for (let i = 0; i < rows; i++) {
    const row = rowOf(centred, i);
    squares[i] = dot(row, row);
    if ((i + 1) % step === 0) yield;
  }
  const offsets = squares.map((square) => (metric === "l2" ? -square / 2 : 0));
  const sizes = count / HEAD_STEP;
  const left = queries.map(() => new Int32Array(sizes));
  for (const [n, row] of queries.entries()) {
    const query = asked[n]!;
    countLeft(left[n]!, {
      row,
      queryHead: queryHeads.subarray(n * count, (n + 1) * count),
      squareOfQuery: dot(query, query),
      similarities: similarities.subarray(n * rows, (n + 1) * rows),
      heads,
      squares,
      offsets,
    });
    yield;
  }
  /** Bytes to be read a row, for the queries that leave the fewest rows in doubt. */
  const bytesOf = (size: number, most: number) => {
    const counts = left.map((of) => of[size]!).sort((a, b) => a - b);
    const share = counts.slice(0, most).reduce((sum, rowsLeft) => sum + rowsLeft, 0) / (rows * most);
    const head = (size + 1) * HEAD_STEP;
    return head + share * (columns - head + SECOND_LOOK_BYTES);
  };
  const bytes = Array.from({ length: sizes }, (_, size) => bytesOf(size, QUERIES));
  const best = bytes.indexOf(Math.min(...bytes));
  const isWorthIt = bytesOf(best, QUERIES * (1 - ALONE)) < columns * (1 - GAIN_MIN);
  return isWorthIt ? (best + 1) * HEAD_STEP : 0;
}

interface Asked {
  /** The row of the sample that is asked for. */
  readonly row: number;
  readonly queryHead: Float32Array;
  readonly squareOfQuery: number;
  /** With each row. */
  readonly similarities: Float32Array;
  readonly heads: Float32Array;
  readonly squares: Float64Array;
  readonly offsets: Float64Array;
}

/** Counts for each size of a head the rows that it leaves in doubt. Not a generator: such loops are compiled better. */
function countLeft(
  left: Int32Array,
  { row, queryHead, squareOfQuery, similarities, heads, squares, offsets }: Asked,
): void {
  const rows = squares.length;
  const count = queryHead.length;
  let threshold = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < rows; i++) {
    if (i !== row) threshold = Math.max(threshold, similarities[i]! + offsets[i]!);
  }
  for (let i = 0; i < rows; i++) {
    let estimate = offsets[i]!;
    let tail = squares[i]!;
    let queryTail = squareOfQuery;
    for (let j = 0; j < count; j++) {
      const z = heads[i * count + j]!;
      const r = queryHead[j]!;
      estimate += z * r;
      tail -= z * z;
      queryTail -= r * r;
      if ((j + 1) % HEAD_STEP > 0) continue;
      if (estimate + Math.sqrt(Math.max(tail, 0) * Math.max(queryTail, 0)) >= threshold)
        left[(j + 1) / HEAD_STEP - 1]!++;
    }
  }
}

/**
 * Mirrors that turn the axes, which are orthonormal, into the first coordinates, up to their signs. The axes are of no use afterwards.
 *
 * @see Householder, "Unitary triangularization of a nonsymmetric matrix", 1958
 */
function* reflectorsOf(axes: readonly Float64Array[]): Breathing<Float32Array[]> {
  const reflectors: Float32Array[] = [];
  const before = noAxes(axes.length, axes[0]?.length ?? 0);
  for (const [j, axis] of axes.entries()) {
    before.apply(axis);
    // What the mirrors before have left in front of place j is nothing but rounding.
    axis.fill(0, 0, j);
    const length = Math.sqrt(dot(axis, axis));
    // Away from the axis: nothing is cancelled.
    axis[j]! += axis[j]! < 0 ? -length : length;
    const scale = Math.sqrt(2 / dot(axis, axis));
    const reflector = Float32Array.from(axis, (value) => value * scale);
    reflectors.push(reflector);
    before.add(reflector);
    yield;
  }
  return reflectors;
}

function matrixOf(rows: readonly Float64Array[]): Matrix {
  const columns = rows[0]!.length;
  const values = new Float32Array(rows.length * columns);
  rows.forEach((row, i) => {
    values.set(row, i * columns);
  });
  return { rows: rows.length, columns, values };
}

function rowOf({ columns, values }: Matrix, row: number): Float64Array {
  return Float64Array.from(values.subarray(row * columns, (row + 1) * columns));
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

const VERSION = 1;
const HEADER_BYTES = 16;

/** A model as bytes, little endian: u32 version, dimensions, reflectors, 0; the centre and the reflectors as f32. */
export function modelBytes({ centre, reflectors }: Model): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER_BYTES + 4 * centre.length * (1 + reflectors.length));
  const view = new DataView(bytes.buffer);
  [VERSION, centre.length, reflectors.length].forEach((value, i) => {
    view.setUint32(i * 4, value, true);
  });
  const values = new Float32Array(bytes.buffer, HEADER_BYTES);
  [centre, ...reflectors].forEach((row, at) => {
    values.set(row, at * centre.length);
  });
  return bytes;
}

/**
 * The model in these bytes, or undefined where they hold none for vectors of so many dimensions. Views on them, where they begin at
 * a multiple of four. Whether the reflectors are such is for those to see who use them.
 */
export function readModel(bytes: Uint8Array, dimensions: number): Model | undefined {
  if (bytes.byteLength < HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [version, stored, count] = [0, 4, 8].map((at) => view.getUint32(at, true));
  const isWhole =
    version === VERSION && stored === dimensions && bytes.byteLength === HEADER_BYTES + 4 * dimensions * (1 + count!);
  if (!isWhole) return undefined;
  const { buffer, byteOffset } = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const values = new Float32Array(buffer, byteOffset + HEADER_BYTES, dimensions * (1 + count!));
  const rows = Array.from({ length: 1 + count! }, (_, row) =>
    values.subarray(row * dimensions, (row + 1) * dimensions),
  );
  const [centre, ...reflectors] = rows as [Float32Array, ...Float32Array[]];
  return centre.every(Number.isFinite) && count! % HEAD_STEP === 0 ? { centre, reflectors } : undefined;
}
