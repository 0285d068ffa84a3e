import type { Codec, ElementArray } from "./codec.ts";

/** Numbers from here on round to infinity: half way between the largest half, 65504, and the next one, 65536. */
const OVERFLOW = 65520;

/**
 * IEEE 754 half precision, little endian: sign, 5 bits of exponent, 10 of fraction. Rounds to nearest, ties to even,
 * straight from the double, so that no value is rounded twice.
 */
export const float16: Codec<ElementArray["float16"]> = {
  bytes: (dimensions) => dimensions * 2,
  encode(values, fail) {
    const bytes = new Uint8Array(values.length * 2);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number;
      if (typeof value !== "number" || !(Math.abs(value) < OVERFLOW)) {
        fail(i, value, "a finite number within ±65504 (float16)");
      }
      view.setUint16(i * 2, toHalf(value), true);
    }
    return bytes;
  },
  decode(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const decoded = new Float32Array(bytes.byteLength / 2);
    for (let i = 0; i < decoded.length; i++) decoded[i] = fromHalf(view.getUint16(i * 2, true));
    return decoded;
  },
  view: (bytes) => float16.decode(bytes),
  toNumbers: (decoded) => Array.from(decoded),
};

const scratch = new DataView(new ArrayBuffer(8));

/** The 16 bits of the half nearest to `value`, which is finite and below the overflow bound. */
export function toHalf(value: number): number {
  const magnitude = Math.abs(value);
  scratch.setFloat64(0, magnitude);
  // Halves below 2^-14 share one exponent (subnormal), so all of them are multiples of 2^-24.
  const exponent = Math.max((scratch.getUint16(0) >> 4) - 1023, -14);
  const units = roundHalfToEven(magnitude * 2 ** (10 - exponent));
  // A carry out of the fraction runs over into the exponent, which gives the right half.
  const bits = ((exponent + 14) << 10) + units;
  return value < 0 || Object.is(value, -0) ? bits | 0x8000 : bits;
}

/** The number a half stands for; exact in float32. */
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** Exact: the value is a double times a power of two, which changes the exponent only. */
function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest > 0.5 || (rest === 0.5 && floor % 2 === 1)) return floor + 1;
  return floor;
}
