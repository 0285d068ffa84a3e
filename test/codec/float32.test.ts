import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeVector, encodeVector, toHex } from "../../src/codec/codec.ts";

const shapeOf = (dimensions: number) => ({ dimensions, element: "float32" as const });
const encode = (values: unknown, dimensions = 1) => encodeVector(values, shapeOf(dimensions), "docs.embedding");
const decode = (value: unknown, dimensions = 1) => decodeVector(value, shapeOf(dimensions), "docs.embedding");

test("a number takes four little-endian bytes", () => {
  expect(toHex(encode([1, -2, 0.5, 0, -0], 5))).toBe("0000803f000000c00000003f0000000000000080");
});

test.each([
  // 1 + 2^-24 lies half way between 1 and 1 + 2^-23: ties go to the even fraction.
  [1 + 2 ** -24, 1],
  [1 + 3 * 2 ** -24, 1 + 2 ** -22],
  [1 + 2 ** -24 + 2 ** -52, 1 + 2 ** -23],
  [0.1, 0.10000000149011612],
  [2 ** -149, 2 ** -149],
  [2 ** -150, 0],
  [2 ** -150 + 2 ** -200, 2 ** -149],
  [1e-46, 0],
  [-1e-46, -0],
  [3.4028234663852886e38, 3.4028234663852886e38],
  // The last double below the bound, which is half way to 2^128.
  [3.4028235677973362e38, 3.4028234663852886e38],
])("%d is rounded once, to %d", (value, expected) => {
  expect(decode(encode([value]))[0]).toBe(expected);
});

test.each([
  [3.4028235677973366e38, "3.4028235677973366e+38"],
  [-3.4028235677973366e38, "-3.4028235677973366e+38"],
  [3.5e38, "3.5e+38"],
  [Number.MAX_VALUE, "1.7976931348623157e+308"],
  [Number.POSITIVE_INFINITY, "Infinity"],
  [Number.NEGATIVE_INFINITY, "-Infinity"],
  [Number.NaN, "NaN"],
  [undefined, "undefined"],
  [null, "null"],
  ["1", 'text "1"'],
  [10n, "10"],
  [[1], "Array"],
])("%s is refused, by position", (value, got) => {
  expect(() => encode([0, value], 2)).toThrow(
    `docs.embedding[1]: expected a finite number within ±3.4028234663852886e38 (float32), got ${got}`,
  );
});

test("a hole in an array is refused", () => {
  // biome-ignore lint/suspicious/noSparseArray: a hole is what is tested.
  expect(() => encode([1, , 2], 3)).toThrow(/^docs\.embedding\[1\]: expected a finite number .*, got undefined$/);
});

test("every kind of numeric array is taken", () => {
  const expected = "0000803f00000040";
  for (const values of [
    [1, 2],
    new Float32Array([1, 2]),
    new Float64Array([1, 2]),
    new Int8Array([1, 2]),
    new Int32Array([1, 2]),
    Object.freeze([1, 2]),
  ]) {
    expect(toHex(encode(values, 2))).toBe(expected);
  }
});

test("encoding keeps no view and changes nothing", () => {
  const values = new Float32Array([1, 2]);
  const bytes = encode(values, 2);
  bytes.fill(0xff);
  expect(values).toEqual(new Float32Array([1, 2]));
  expect(bytes.byteOffset).toBe(0);
  expect(bytes.buffer.byteLength).toBe(8);
});

test("whatever is finite comes back as its nearest float32", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ noNaN: true, min: -3.4e38, max: 3.4e38 }), { minLength: 1 }), (values) => {
      expect(decode(encode(values, values.length), values.length)).toEqual(Float32Array.from(values));
    }),
  );
});

test("any bytes come back as the same bytes, NaN and infinities too", () => {
  fc.assert(
    fc.property(fc.float(), (value) => {
      const bytes = new Uint8Array(new Float32Array([value]).buffer);
      expect(decode(bytes)[0]).toBe(value);
    }),
  );
});
