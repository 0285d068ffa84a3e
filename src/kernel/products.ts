import { type Breathing, stepRows } from "./breathing.ts";
import { BASE, grow, instantiate, type Memory, roundUp } from "./module.ts";

interface Exports {
  memory: Memory;
  products(a: number, b: number, n: number, m: number, length: number, out: number): void;
}

/** Rows of float32 numbers, one behind the other. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
}

/** A function that multiplies matrices in float32, with a memory that is gone with it; one product at a time. */
export function multiplier(): (a: Matrix, b: Matrix) => Breathing<Matrix> {
  const exports = instantiate<Exports>();
  return exports ? (a, b) => wasmProducts(exports, a, b) : scalarProducts;
}

/** Multiplications of one call of the kernel: about 1 ms. */
const STEP_PRODUCTS = 1 << 22;

/** The products of each row of `a` with each row of `b`: a·bᵀ. Sums of float32 in an order of each kernel's own. */
function* wasmProducts({ memory, products }: Exports, a: Matrix, b: Matrix): Breathing<Matrix> {
  const length = roundUp(a.columns, 4);
  const [n, m] = [roundUp(a.rows, 4), roundUp(b.rows, 2)];
  // The kernel takes four rows of `a` and two of `b` at a time.
  const mStep = Math.min(m, Math.max(2, Math.floor(STEP_PRODUCTS / (4 * length) / 2) * 2));
  const nStep = Math.min(n, Math.max(4, Math.floor(STEP_PRODUCTS / (mStep * length) / 4) * 4));
  const aAt = BASE;
  const bAt = aAt + n * length * 4;
  const outAt = roundUp(bAt + m * length * 4, 16);
  grow(memory, outAt + nStep * mStep * 4);
  const { buffer } = memory;
  yield* place(a, new Float32Array(buffer, aAt, n * length), length);
  yield* place(b, new Float32Array(buffer, bAt, m * length), length);
  const values = new Float32Array(a.rows * b.rows);
  for (let j = 0; j < m; j += mStep) {
    const across = Math.min(mStep, m - j);
    for (let i = 0; i < n; i += nStep) {
      const down = Math.min(nStep, n - i);
      products(aAt + i * length * 4, bAt + j * length * 4, down, across, length, outAt);
      for (let row = i; row < Math.min(i + down, a.rows); row++) {
        const found = new Float32Array(buffer, outAt + (row - i) * across * 4, Math.min(across, b.rows - j));
        values.set(found, row * b.rows + j);
      }
      yield;
    }
  }
  return { rows: a.rows, columns: b.rows, values };
}

function* place({ rows, columns, values }: Matrix, area: Float32Array, length: number): Breathing<void> {
  const step = 8 * stepRows(columns);
  for (let row = 0; row < rows; row++) {
    area.set(values.subarray(row * columns, (row + 1) * columns), row * length);
    area.fill(0, row * length + columns, (row + 1) * length);
    if ((row + 1) % step === 0) yield;
  }
  area.fill(0, rows * length);
}

export function* scalarProducts(a: Matrix, b: Matrix): Breathing<Matrix> {
  const values = new Float32Array(a.rows * b.rows);
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < b.rows; j++) {
      let sum = 0;
      for (let l = 0; l < a.columns; l++) sum += a.values[i * a.columns + l]! * b.values[j * b.columns + l]!;
      values[i * b.rows + j] = sum;
    }
    yield;
  }
  return { rows: a.rows, columns: b.rows, values };
}

export function* transposed({ rows, columns, values }: Matrix): Breathing<Matrix> {
  const turned = new Float32Array(values.length);
  const step = stepRows(columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) turned[j * rows + i] = values[i * columns + j]!;
    if ((i + 1) % step === 0) yield;
  }
  return { rows: columns, columns: rows, values: turned };
}
