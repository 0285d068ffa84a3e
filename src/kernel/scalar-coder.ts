import { codecOf } from "../codec/codec.ts";
import type { Coder, CoderInput, RowCode } from "./coder.ts";

/** Vectors coded by one call: enough to make it cheap. */
export const CODER_CAPACITY = 32;
/** Float32 additions of one chain of a rotation; the chains of a row are added one by one. */
export const CHAIN_STEPS = 8;

const CODE_MAX = 127;
/** As in assembly/coding.ts. */
const SCALE_MIN = 2 ** -100;
const UPWARDS = 1 + 2 ** -22;
const LEAST = 2 ** -148;
const SQUARES_AWAY_MAX = 0.01;

const { fround } = Math;

/** The coder in plain TypeScript, equal to the last bit: the oracle of the tests, and the fallback without SIMD. */
export function scalarCoder(input: CoderInput): Coder | undefined {
  const { dimensions, element, metric, head, relative, absolute, sums } = input;
  const width = Math.ceil(dimensions / 16) * 16;
  const padded = (values: ArrayLike<number>) => {
    const wider = new Float32Array(width);
    wider.set(values);
    return wider;
  };
  const centre = padded(input.centre);
  const reflectors = input.reflectors.map(padded);
  if (!reflectors.every(isReflector)) return undefined;
  const factors = reflectors.map((v) => 2 / squaresOf(v));

  function codeOf(blob: Uint8Array): RowCode | undefined {
    const x = padded(codecOf(element).decode(blob));
    let unit = 1;
    if (metric === "cosine") {
      const norm = laneSum(width, (i) => x[i]! * x[i]!);
      unit = norm === 0 ? 0 : 1 / Math.sqrt(norm);
    }
    const y = Float64Array.from(x, (value, i) => value * unit - centre[i]!);
    const squares = laneSum(width, (i) => y[i]! * y[i]!);
    if (!Number.isFinite(squares)) return undefined;
    const largest = y.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const factor = towardsOne(largest);
    const z = Float32Array.from(y, (value) => value * factor);
    reflect(z);

    const rounding = relative * Math.sqrt(squares) + absolute;
    const codes = new Int8Array(width);
    const upwards = (norm: number) => fround(((norm * sums) / factor + rounding) * UPWARDS + LEAST);
    const [scale, wrong] = quantise(z.subarray(0, head), factor, codes.subarray(0, head));
    const params = [metric === "l2" ? fround(squares / -2) : 0, scale, upwards(Math.sqrt(wrong))];
    if (head < width) {
      const tail = z.subarray(head);
      const [tailScale, tailWrong] = quantise(tail, factor, codes.subarray(head));
      const norm = Math.sqrt(laneSum(tail.length, (i) => tail[i]! * tail[i]!));
      params.push(upwards(norm), tailScale, upwards(Math.sqrt(tailWrong)));
    }
    if (!params.every(Number.isFinite)) {
      codes.fill(0);
      params.fill(0);
      params[2] = Number.POSITIVE_INFINITY;
      if (head < width) params[3] = params[5] = Number.POSITIVE_INFINITY;
    }
    const bytes = new Uint8Array(codes.buffer);
    return { head: bytes.subarray(0, head), tail: bytes.subarray(head), params: Float32Array.from(params) };
  }

  /** In float32, with the sums in the order of the SIMD kernel: four lanes, chains of `CHAIN_STEPS` steps of four. */
  function reflect(z: Float32Array): void {
    const lanes = new Float32Array(4);
    const chain = new Float32Array(4);
    for (const [j, v] of reflectors.entries()) {
      lanes.fill(0);
      // The kernel sums from where the reflector before this one begins.
      const start = Math.max(0, j - 1) & ~3;
      for (let from = start; from < width; from += CHAIN_STEPS * 4) {
        chain.fill(0);
        const to = Math.min(from + CHAIN_STEPS * 4, width);
        for (let i = from; i < to; i++) chain[i & 3] = chain[i & 3]! + fround(z[i]! * v[i]!);
        for (let lane = 0; lane < 4; lane++) lanes[lane] = lanes[lane]! + chain[lane]!;
      }
      const product = fround(fround(lanes[0]! + lanes[1]!) + fround(lanes[2]! + lanes[3]!));
      const t = fround(fround(factors[j]!) * product);
      for (let i = j & ~3; i < width; i++) z[i] = z[i]! - fround(t * v[i]!);
    }
  }

  return {
    kernel: "scalar",
    capacity: CODER_CAPACITY,
    code: (blobs) => blobs.map(codeOf),
    rotate(vector) {
      const z = new Float64Array(width);
      z.set(vector);
      for (const [j, v] of reflectors.entries()) {
        const t = factors[j]! * laneSum(width, (i) => z[i]! * v[i]!);
        for (let i = j & ~3; i < width; i++) z[i] = z[i]! - t * v[i]!;
      }
      vector.set(z.subarray(0, vector.length));
    },
  };
}

/** Whether a row is what the kernels take for the reflector of place `j`. */
function isReflector(row: Float32Array, j: number): boolean {
  return row.subarray(0, j).every((value) => value === 0) && Math.abs(squaresOf(row) - 2) < SQUARES_AWAY_MAX;
}

function squaresOf(row: Float32Array): number {
  return laneSum(row.length, (i) => row[i]! * row[i]!);
}

function quantise(z: Float32Array, factor: number, codes: Int8Array): [scale: number, wrong: number] {
  const largest = z.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  let scale = fround(largest / CODE_MAX / factor);
  // The scale as it is stored, in the unit of the coordinates: exact.
  let step = scale * factor;
  if (!(step >= SCALE_MIN)) scale = step = 0;
  const inverse = step === 0 ? 0 : fround(1 / step);
  for (let i = 0; i < z.length; i++) {
    codes[i] = Math.max(-CODE_MAX, Math.min(CODE_MAX, nearest(fround(z[i]! * inverse))));
  }
  return [scale, laneSum(z.length, (i) => (z[i]! - step * codes[i]!) ** 2)];
}

/** Ties to even, as the hardware rounds; |value| is below 2^22. */
function nearest(value: number): number {
  const shift = 1.5 * 2 ** 23;
  return fround(fround(value + shift) - shift);
}

/** The power of two that brings a number, zero aside, to 1 or a little more. */
function towardsOne(value: number): number {
  const [, high] = new Uint32Array(Float64Array.of(value).buffer);
  return value === 0 ? 1 : 2 ** (1023 - ((high! >>> 20) & 0x7ff));
}

/** Four lanes, element i in lane i mod 4. */
function laneSum(length: number, term: (i: number) => number): number {
  const lanes = new Float64Array(4);
  for (let i = 0; i < length; i++) lanes[i & 3]! += term(i);
  return lanes[0]! + lanes[1]! + (lanes[2]! + lanes[3]!);
}
