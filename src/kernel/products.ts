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

/** A function that multiplies matrices in float32, with a memory that is gone with it. */
export function multiplier(): (a: Matrix, b: Matrix) => Matrix {
  const exports = instantiate<Exports>();
  return exports ? (a, b) => wasmProducts(exports, a, b) : scalarProducts;
}

/** The products of each row of `a` with each row of `b`: a·bᵀ. Sums of float32 in an order of each kernel's own. */
function wasmProducts({ memory, products }: Exports, a: Matrix, b: Matrix): Matrix {
  const length = roundUp(a.columns, 4);
  const n = roundUp(a.rows, 4);
  const m = roundUp(b.rows, 2);
  const aAt = BASE;
  const bAt = aAt + n * length * 4;
  const outAt = roundUp(bAt + m * length * 4, 16);
  grow(memory, outAt + n * m * 4);
  const { buffer } = memory;
  place(a, new Float32Array(buffer, aAt, n * length), length);
  place(b, new Float32Array(buffer, bAt, m * length), length);
  products(aAt, bAt, n, m, length, outAt);
  const values = new Float32Array(a.rows * b.rows);
  for (let i = 0; i < a.rows; i++) {
    values.set(new Float32Array(buffer, outAt + i * m * 4, b.rows), i * b.rows);
  }
  return { rows: a.rows, columns: b.rows, values };
}

function place({ rows, columns, values }: Matrix, area: Float32Array, length: number): void {
  if (columns === length) {
    area.set(values);
    area.fill(0, values.length);
    return;
  }
  area.fill(0);
  for (let i = 0; i < rows; i++) area.set(values.subarray(i * columns, (i + 1) * columns), i * length);
}

export function scalarProducts(a: Matrix, b: Matrix): Matrix {
  const values = new Float32Array(a.rows * b.rows);
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < b.rows; j++) {
      let sum = 0;
      for (let l = 0; l < a.columns; l++) sum += a.values[i * a.columns + l]! * b.values[j * b.columns + l]!;
      values[i * b.rows + j] = sum;
    }
  }
  return { rows: a.rows, columns: b.rows, values };
}

export function transposed({ rows, columns, values }: Matrix): Matrix {
  const turned = new Float32Array(values.length);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) turned[j * rows + i] = values[i * columns + j]!;
  }
  return { rows: columns, columns: rows, values: turned };
}
