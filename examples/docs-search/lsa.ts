import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import type { Vector } from "./schema.ts";
import { tokenize } from "./tokenizer.ts";

/**
 * Latent semantic analysis: embeddings from nothing but the texts themselves.
 *
 * Passages × words is a sparse matrix of how much each word says about each passage (TF-IDF). Its strongest directions
 * are topics: words that occur in the same passages point the same way, so "removing" finds "delete" without sharing a word.
 *
 * @see Deerwester et al., "Indexing by Latent Semantic Analysis", 1990
 */
export interface LsaOptions {
  dimensions: number;
  /** A word of fewer passages teaches nothing about other words; default 2. */
  passagesMin?: number;
  /** At most this many words, the most frequent first; default 20,000. */
  wordsMax?: number;
  /** Called with the share done, 0..1. */
  onProgress?: (share: number) => void;
}

/** Vector of each word, already scaled by the word's rarity. */
export type WordVectors = Map<string, Vector>;

/** Extra random directions, and rounds of sharpening them: the two knobs of the randomized decomposition. */
const OVERSAMPLING = 16;
const POWER_ROUNDS = 2;

/** Learns the vectors of the words of these texts. The same texts give the same vectors, on every machine. */
export function fitLsa(texts: string[], options: LsaOptions): WordVectors {
  const { dimensions, passagesMin = 2, wordsMax = 20_000, onProgress } = options;
  const counts = texts.map(countWords);
  const rarity = inverseFrequency(counts, passagesMin, wordsMax);
  const words = [...rarity.keys()];
  if (words.length === 0) return new Map();
  const matrix = toSparse(counts, rarity);
  const directions = rightSingularVectors(matrix, Math.min(dimensions, words.length, texts.length), onProgress);

  return new Map(
    words.map((word, row) => {
      // Each word counts by its rarity alone. Left at the length the decomposition gives it, a rare word hardly moves a short
      // question: asked for a passage by its last heading, 80 % came among the first ten, against 67 %.
      const place = directions.data.subarray(row * directions.columns, (row + 1) * directions.columns);
      const vector = new Float32Array(dimensions);
      vector.set(scaledTo(rarity.get(word)!, place));
      return [word, vector];
    }),
  );
}

/**
 * The vector of a text, of unit length: the sum of its words' vectors, which is its place among the topics. A text
 * that was fitted needs nothing else to be embedded than one that is new. All zero when no word is known.
 */
export function embedText(text: string, vectors: WordVectors, dimensions: number): Vector {
  const sum = new Float64Array(dimensions);
  for (const [word, count] of countWords(text)) {
    const vector = vectors.get(word);
    if (vector === undefined) continue;
    const weight = 1 + Math.log(count);
    for (let d = 0; d < dimensions; d++) sum[d]! += weight * vector[d]!;
  }
  return Float32Array.from(scaledTo(1, sum));
}

function scaledTo(length: number, vector: Float64Array): Float64Array {
  const now = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return now === 0 ? vector : vector.map((value) => (value * length) / now);
}

/** How often each word occurs in a text. */
export function countWords(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const word of tokenize(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

/** The vocabulary with the inverse document frequency of each word, ln(passages / passages with the word). */
function inverseFrequency(counts: Map<string, number>[], passagesMin: number, wordsMax: number): Map<string, number> {
  const passagesWith = new Map<string, number>();
  for (const words of counts)
    for (const word of words.keys()) passagesWith.set(word, (passagesWith.get(word) ?? 0) + 1);
  return new Map(
    [...passagesWith]
      .filter(([, passages]) => passages >= passagesMin)
      .sort(([a, inA], [b, inB]) => inB - inA || (a < b ? -1 : 1))
      .slice(0, wordsMax)
      .map(([word, passages]) => [word, Math.log(1 + counts.length / passages)]),
  );
}

/** Rows of passages, compressed: the words of row r are `columns[start[r]..start[r + 1])`, with `values` beside them. */
interface SparseMatrix {
  rows: number;
  columnCount: number;
  start: Uint32Array;
  columns: Uint32Array;
  values: Float64Array;
}

/** Row-major. */
interface DenseMatrix {
  rows: number;
  columns: number;
  data: Float64Array;
}

/** TF-IDF with dampened counts, (1 + ln count) · rarity, each passage scaled to length 1 so that long ones weigh no more. */
function toSparse(counts: Map<string, number>[], rarity: Map<string, number>): SparseMatrix {
  const columnOf = new Map([...rarity.keys()].map((word, column) => [word, column]));
  const start = [0];
  const columns: number[] = [];
  const values: number[] = [];
  for (const words of counts) {
    const from = values.length;
    let squares = 0;
    for (const [word, count] of words) {
      const column = columnOf.get(word);
      if (column === undefined) continue;
      const value = (1 + Math.log(count)) * rarity.get(word)!;
      columns.push(column);
      values.push(value);
      squares += value * value;
    }
    for (let i = from; i < values.length; i++) values[i]! /= Math.sqrt(squares);
    start.push(values.length);
  }
  return {
    rows: counts.length,
    columnCount: rarity.size,
    start: Uint32Array.from(start),
    columns: Uint32Array.from(columns),
    values: Float64Array.from(values),
  };
}

/**
 * The `k` strongest right singular vectors of A as the columns of a matrix (words × k).
 *
 * Random directions, sent through A and back a few times, turn towards the strong ones; within the small space they span
 * the decomposition is exact.
 *
 * @see Halko, Martinsson, Tropp, "Finding Structure with Randomness", 2011, algorithms 4.4 and 5.1
 */
function rightSingularVectors(a: SparseMatrix, k: number, onProgress?: (share: number) => void): DenseMatrix {
  const width = Math.min(k + OVERSAMPLING, a.rows, a.columnCount);
  let basis = randomMatrix(a.columnCount, width);
  for (let round = 0; round < POWER_ROUNDS; round++) {
    const range = orthonormal(multiply(a, basis));
    basis = multiplyTransposed(a, range);
    onProgress?.((round + 1) / (POWER_ROUNDS + 1));
  }
  // basis = AᵀQ with orthonormal Q; its left singular vectors are the right singular vectors of QQᵀA ≈ A.
  const found = orthonormal(basis, k);
  onProgress?.(1);
  return found;
}

/**
 * An orthonormal basis of the columns of `m`: its left singular vectors, strongest first, at most `limit` of them.
 * They come from the eigenvectors W of the small MᵀM as M W Λ^-½; directions without weight are left out.
 */
function orthonormal(m: DenseMatrix, limit = m.columns): DenseMatrix {
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(gram(m), { assumeSymmetric: true });
  const largest = Math.max(...realEigenvalues);
  const kept = realEigenvalues
    .map((value, column) => ({ value, column }))
    .filter(({ value }) => value > largest * 1e-12)
    .sort((x, y) => y.value - x.value)
    .slice(0, limit);
  const weights = new Float64Array(m.columns * kept.length);
  for (let row = 0; row < m.columns; row++) {
    kept.forEach(({ value, column }, to) => {
      weights[row * kept.length + to] = eigenvectorMatrix.get(row, column) / Math.sqrt(value);
    });
  }
  return multiplyDense(m, { rows: m.columns, columns: kept.length, data: weights });
}

/** A · B */
function multiply(a: SparseMatrix, b: DenseMatrix): DenseMatrix {
  const { columns } = b;
  const data = new Float64Array(a.rows * columns);
  for (let row = 0; row < a.rows; row++) {
    for (let i = a.start[row]!; i < a.start[row + 1]!; i++) {
      addScaled(data, row * columns, b.data, a.columns[i]! * columns, columns, a.values[i]!);
    }
  }
  return { rows: a.rows, columns, data };
}

/** Aᵀ · B */
function multiplyTransposed(a: SparseMatrix, b: DenseMatrix): DenseMatrix {
  const { columns } = b;
  const data = new Float64Array(a.columnCount * columns);
  for (let row = 0; row < a.rows; row++) {
    for (let i = a.start[row]!; i < a.start[row + 1]!; i++) {
      addScaled(data, a.columns[i]! * columns, b.data, row * columns, columns, a.values[i]!);
    }
  }
  return { rows: a.columnCount, columns, data };
}

function addScaled(to: Float64Array, toAt: number, from: Float64Array, fromAt: number, length: number, factor: number) {
  for (let i = 0; i < length; i++) to[toAt + i]! += factor * from[fromAt + i]!;
}

/** Aᵀ · A. This and `multiplyDense` are where the time of a fit goes, so both take four rows at a time. */
function gram(a: DenseMatrix): Matrix {
  const { columns, data } = padRows(a);
  const sums = new Float64Array(columns * columns);
  for (let row0 = 0; row0 < data.length; row0 += 4 * columns) {
    const row1 = row0 + columns;
    const row2 = row1 + columns;
    const row3 = row2 + columns;
    for (let i = 0; i < columns; i++) {
      const x0 = data[row0 + i]!;
      const x1 = data[row1 + i]!;
      const x2 = data[row2 + i]!;
      const x3 = data[row3 + i]!;
      const to = i * columns;
      for (let j = i; j < columns; j++) {
        sums[to + j]! += x0 * data[row0 + j]! + x1 * data[row1 + j]! + x2 * data[row2 + j]! + x3 * data[row3 + j]!;
      }
    }
  }
  const matrix = new Matrix(columns, columns);
  for (let i = 0; i < columns; i++) {
    for (let j = i; j < columns; j++) {
      matrix.set(i, j, sums[i * columns + j]!);
      matrix.set(j, i, sums[i * columns + j]!);
    }
  }
  return matrix;
}

/** A · B */
function multiplyDense(a: DenseMatrix, b: DenseMatrix): DenseMatrix {
  const { columns, data: right } = padRows(b);
  const data = new Float64Array(a.rows * columns);
  for (let row = 0; row < a.rows; row++) {
    const to = row * columns;
    for (let i = 0; i < a.columns; i += 4) {
      // Past the last column of A stand the rows of zeros in B, and `?? 0` where A itself ends.
      const x0 = a.data[row * a.columns + i]!;
      const x1 = a.data[row * a.columns + i + 1] ?? 0;
      const x2 = a.data[row * a.columns + i + 2] ?? 0;
      const x3 = a.data[row * a.columns + i + 3] ?? 0;
      const row0 = i * columns;
      const row1 = row0 + columns;
      const row2 = row1 + columns;
      const row3 = row2 + columns;
      for (let j = 0; j < columns; j++) {
        data[to + j]! += x0 * right[row0 + j]! + x1 * right[row1 + j]! + x2 * right[row2 + j]! + x3 * right[row3 + j]!;
      }
    }
  }
  return { rows: a.rows, columns, data };
}

/** The same matrix with rows of zeros below, up to a multiple of four. */
function padRows({ rows, columns, data }: DenseMatrix): DenseMatrix {
  if (rows % 4 === 0) return { rows, columns, data };
  const padded = new Float64Array(Math.ceil(rows / 4) * 4 * columns);
  padded.set(data);
  return { rows: padded.length / columns, columns, data: padded };
}

/** Independent normal numbers from a fixed seed (mulberry32, then Box and Muller). */
function randomMatrix(rows: number, columns: number): DenseMatrix {
  let state = 20_110_217;
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
  const data = Float64Array.from({ length: rows * columns }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    return radius * Math.cos(2 * Math.PI * uniform());
  });
  return { rows, columns, data };
}
