import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeVector, encodeVector, toHex } from "../../src/codec/codec.ts";
import { fromHalf, toHalf } from "../../src/codec/float16.ts";

const shapeOf = (dimensions: number) => ({ dimensions, element: "float16" as const });
const encode = (values: unknown, dimensions = 1) => encodeVector(values, shapeOf(dimensions), "docs.embedding");
const decode = (value: unknown, dimensions = 1) => decodeVector(value, shapeOf(dimensions), "docs.embedding");

test("a number takes two little-endian bytes", () => {
  expect(toHex(encode([1, -2, 0.5, 65504, 0, -0, 2 ** -24], 7))).toBe("003c00c00038ff7b000000800100");
});

test.each([
  [0x0000, 0],
  [0x8000, -0],
  [0x0001, 2 ** -24],
  [0x03ff, 1023 * 2 ** -24],
  [0x0400, 2 ** -14],
  [0x3555, 0.333251953125],
  [0x3c00, 1],
  [0x3c01, 1.0009765625],
  [0x7bff, 65504],
  [0xfbff, -65504],
  [0x7c00, Number.POSITIVE_INFINITY],
  [0xfc00, Number.NEGATIVE_INFINITY],
  [0x7e00, Number.NaN],
])("the half with the bits %i reads as %d", (bits, value) => {
  expect(fromHalf(bits)).toBe(value);
});

test("each of the 63,488 finite halves is written as itself, the 2048 others read as NaN or infinity", () => {
  let finite = 0;
  for (let bits = 0; bits < 65_536; bits++) {
    const value = fromHalf(bits);
    if (Number.isFinite(value)) {
      finite++;
      if (toHalf(value) !== bits) expect.fail(`0x${bits.toString(16)} came back as 0x${toHalf(value).toString(16)}`);
    }
  }
  expect(finite).toBe(63_488);
});

test("between two neighbours the nearer wins, half way the even one", () => {
  for (let bits = 0; bits < 0x7bff; bits++) {
    const [low, high] = [fromHalf(bits), fromHalf(bits + 1)];
    const middle = (low + high) / 2;
    const even = bits % 2 === 0 ? bits : bits + 1;
    const below = middle - middle * 2 ** -52;
    const above = middle + middle * 2 ** -52;
    const found = [toHalf(below), toHalf(middle), toHalf(above), toHalf(-middle)];
    const expected = [bits, even, bits + 1, even | 0x8000];
    if (found.join() !== expected.join()) expect.fail(`beside 0x${bits.toString(16)}: ${found} instead of ${expected}`);
  }
});

test("a number is rounded straight from the double, not by way of float32", () => {
  // Rounded to float32 first it would be 1 + 2^-11, half way, and then go to the even 1.
  expect(decode(encode([1 + 2 ** -11 + 2 ** -40]))[0]).toBe(1 + 2 ** -10);
});

test.each([
  [65519, 65504],
  [65519.99, 65504],
  [-65519.99, -65504],
  [2 ** -25, 0],
  [2 ** -25 + 2 ** -60, 2 ** -24],
  [1e-300, 0],
  [Number.MIN_VALUE, 0],
  [-Number.MIN_VALUE, -0],
])("%d becomes %d", (value, expected) => {
  expect(decode(encode([value]))[0]).toBe(expected);
});

test.each([
  [65520, "65520"],
  [-65520, "-65520"],
  [1e300, "1e+300"],
  [Number.POSITIVE_INFINITY, "Infinity"],
  [Number.NaN, "NaN"],
  [undefined, "undefined"],
  ["1", 'text "1"'],
])("%s is refused, by position", (value, got) => {
  expect(() => encode([value])).toThrow(
    `docs.embedding[0]: expected a finite number within ±65504 (float16), got ${got}`,
  );
});

test("a round trip is off by at most half a step", () => {
  fc.assert(
    fc.property(fc.double({ min: -65504, max: 65504, noNaN: true }), (value) => {
      const back = decode(encode([value]))[0]!;
      const step = Math.max(2 ** -24, 2 ** (Math.floor(Math.log2(Math.max(Math.abs(value), 2 ** -14))) - 10));
      expect(Math.abs(back - value)).toBeLessThanOrEqual(step / 2);
      expect(decode(encode([back]))[0]).toBe(back);
    }),
  );
});

test("it reads as Float32Array, which holds every half exactly", () => {
  expect(decode(encode([1, 2 ** -24], 2), 2)).toEqual(new Float32Array([1, 2 ** -24]));
});
