import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeVector, encodeVector, toHex } from "../../src/codec/codec.ts";

const shapeOf = (dimensions: number) => ({ dimensions, element: "int8" as const });
const encode = (values: unknown, dimensions = 1) => encodeVector(values, shapeOf(dimensions), "docs.embedding");
const decode = (value: unknown, dimensions = 1) => decodeVector(value, shapeOf(dimensions), "docs.embedding");

test("a number takes one byte, negative ones in two's complement", () => {
  expect(toHex(encode([0, 1, 127, -1, -128, -0], 6))).toBe("00017fff8000");
});

test.each([
  [128, "128"],
  [-129, "-129"],
  [0.5, "0.5"],
  [1e-9, "1e-9"],
  [Number.NaN, "NaN"],
  [Number.POSITIVE_INFINITY, "Infinity"],
  ["1", 'text "1"'],
  [undefined, "undefined"],
  [true, "true"],
])("%s is refused, not rounded or cut", (value, got) => {
  expect(() => encode([0, value], 2)).toThrow(
    `docs.embedding[1]: expected a whole number -128..127 (int8), got ${got}`,
  );
});

test("it reads as Int8Array, and every vector comes back", () => {
  expect(decode(encode([1, -1], 2), 2)).toEqual(new Int8Array([1, -1]));
  fc.assert(
    fc.property(fc.int8Array({ minLength: 1 }), (values) => {
      expect(decode(encode(values, values.length), values.length)).toEqual(values);
      expect(decode(encode(Array.from(values), values.length), values.length)).toEqual(values);
    }),
  );
});
