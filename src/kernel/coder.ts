import type { Metric } from "../metric/metric.ts";
import { BASE, grow, instantiate, type Memory, roundUp } from "./module.ts";
import { CODER_CAPACITY, scalarCoder } from "./scalar-coder.ts";

/**
 * Codes stored vectors, many at a time. Its memory holds, from `BASE` on, with `width` the dimensions rounded up to 16:
 *
 * | part | bytes |
 * | --- | --- |
 * | job | `JOB_BYTES`: addresses and constants, as written by `wasmCoder` |
 * | centre | width x f32 |
 * | reflectors | (count + 1) x width x f32; the last is zero |
 * | factors | count x f32; the same as f64 |
 * | wide | width x f64: one row before it is rounded to float32; the query |
 * | rows | 4 x width x f32: rows that are rotated together |
 * | tiles | 4 x width x f32: the same while they are, four numbers of each row in turn |
 * | blobs | `capacity` x width stored elements, padded with 0 |
 * | codes | `capacity` x width int8 |
 * | params | `capacity` x 8 x f32: those of `CODE_PARAMS` |
 */
export interface Coder {
  readonly kernel: "wasm" | "scalar";
  /** Most vectors of one call. */
  readonly capacity: number;
  /**
   * @param blobs - at most `capacity` stored vectors of the right length
   * @returns their codes, or undefined for one that holds NaN or an infinity; overwritten by the next call
   */
  code(blobs: readonly Uint8Array[]): (RowCode | undefined)[];
  /** Rotates a vector of `dimensions` numbers in place, in float64. */
  rotate(vector: Float64Array): void;
}

/** What a row is kept as. See vector/code-space.ts for what its numbers mean. */
export interface RowCode {
  readonly head: Uint8Array;
  readonly tail: Uint8Array;
  /** In the order of `CODE_PARAMS`; the last three only where there is a tail. */
  readonly params: Float32Array;
}

export const CODE_PARAMS = ["offset", "scale", "error", "tailNorm", "tailScale", "tailError"] as const;

export interface CoderInput {
  readonly dimensions: number;
  readonly element: "float32" | "float16";
  readonly metric: Metric;
  readonly centre: Float32Array;
  /** Coordinates of the head, all of them where there is no tail; a multiple of 16. */
  readonly head: number;
  /** Rows of `dimensions` numbers, each of length about √2 and zero before its own place. */
  readonly reflectors: readonly Float32Array[];
  /** Added to each error norm: this share of |y|, and this. */
  readonly relative: number;
  readonly absolute: number;
  /** Factor on each computed norm that covers its own rounding. */
  readonly sums: number;
}

const JOB_BYTES = 80;
const SCRATCH_BYTES = 80;
const PARAM_BYTES = 32;

interface Exports {
  memory: Memory;
  codeRows(job: number, count: number): void;
  mirrors(reflectors: number, width: number, count: number, factors: number, wideFactors: number): number;
  rotate(row: number, width: number, count: number, reflectors: number, factors: number): void;
}

/** The fastest coder this engine runs; undefined where a reflector is none, since its bytes are damaged. */
export function coderFor(input: CoderInput): Coder | undefined {
  return wasmCoder(input) ?? scalarCoder(input);
}

export function wasmCoder(input: CoderInput): Coder | undefined {
  const exports = instantiate<Exports>();
  if (!exports) return undefined;
  const { dimensions, element, metric, centre, head, reflectors, relative, absolute, sums } = input;
  const count = reflectors.length;
  const width = roundUp(dimensions, 16);
  const elementBytes = element === "float16" ? 2 : 4;
  const stride = width * elementBytes;
  let end = BASE;
  const take = (bytes: number) => {
    const at = end;
    end = roundUp(at + bytes, 16);
    return at;
  };
  const jobAt = take(JOB_BYTES);
  const centreAt = take(width * 4);
  const reflectorsAt = take((count + 1) * width * 4);
  const factorsAt = take(count * 4);
  const wideFactorsAt = take(count * 8);
  const wideAt = take(width * 8);
  const rowsAt = take(4 * width * 4);
  const tilesAt = take(4 * width * 4);
  const blobsAt = take(CODER_CAPACITY * stride);
  const codesAt = take(CODER_CAPACITY * width);
  const paramsAt = take(CODER_CAPACITY * PARAM_BYTES);
  const scratchAt = take(SCRATCH_BYTES);
  grow(exports.memory, end);
  // The memory is this coder's own and does not grow again, so views on it stay.
  const { buffer } = exports.memory;
  new Float32Array(buffer, centreAt, width).set(centre);
  for (const [j, reflector] of reflectors.entries()) {
    new Float32Array(buffer, reflectorsAt + j * width * 4, width).set(reflector);
  }
  // Looked at here, where it takes 0.2 ms for 2 MB: loops outside take 2 ms, and ten times that until they are compiled.
  if (exports.mirrors(reflectorsAt, width, count, factorsAt, wideFactorsAt) === 0) return undefined;
  const flags = (element === "float16" ? 1 : 0) | (metric === "cosine" ? 2 : 0) | (metric === "l2" ? 4 : 0);
  new Uint32Array(buffer, jobAt, 12).set([
    width,
    head,
    flags,
    centreAt,
    reflectorsAt,
    factorsAt,
    wideAt,
    rowsAt,
    blobsAt,
    codesAt,
    paramsAt,
    scratchAt,
  ]);
  new Float64Array(buffer, jobAt + 48, 3).set([relative, absolute, sums]);
  new Int32Array(buffer, jobAt + 72, 2).set([count, tilesAt]);

  const blobArea = new Uint8Array(buffer, blobsAt, CODER_CAPACITY * stride);
  const rows: RowCode[] = Array.from({ length: CODER_CAPACITY }, (_, i) => ({
    head: new Uint8Array(buffer, codesAt + i * width, head),
    tail: new Uint8Array(buffer, codesAt + i * width + head, width - head),
    params: new Float32Array(buffer, paramsAt + i * PARAM_BYTES, head < width ? 6 : 3),
  }));
  const wide = new Float64Array(buffer, wideAt, width);

  return {
    kernel: "wasm",
    capacity: CODER_CAPACITY,
    code(blobs) {
      // What lies behind a vector in its stride is 0 from the beginning and is never written.
      for (let i = 0; i < blobs.length; i++) blobArea.set(blobs[i]!, i * stride);
      exports.codeRows(jobAt, blobs.length);
      return rows.slice(0, blobs.length).map((row) => (Number.isNaN(row.params[0]) ? undefined : row));
    },
    rotate(vector) {
      wide.fill(0).set(vector);
      exports.rotate(wideAt, width, count, reflectorsAt, wideFactorsAt);
      vector.set(wide.subarray(0, vector.length));
    },
  };
}
