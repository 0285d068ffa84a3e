import fc from "fast-check";
import { expect, test } from "vitest";
import { codecOf, decodeVector, encodeVector, toHex } from "../../src/codec/codec.ts";

const shapeOf = (dimensions: number) => ({ dimensions, element: "bit" as const });
const encode = (values: unknown, dimensions = 8) => encodeVector(values, shapeOf(dimensions), "docs.embedding");
const decode = (value: unknown, dimensions = 8) => decodeVector(value, shapeOf(dimensions), "docs.embedding");
const toNumbers = codecOf("bit").toNumbers;

test("eight dimensions share a byte, the first in its lowest bit", () => {
  expect(toHex(encode([1, 0, 0, 0, 0, 0, 0, 0]))).toBe("01");
  expect(toHex(encode([0, 0, 0, 0, 0, 0, 0, 1]))).toBe("80");
  expect(toHex(encode([1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0], 16))).toBe("0340");
});

test("a Uint8Array or Buffer is taken as packed, any other list as one number a dimension", () => {
  expect(toHex(encode(new Uint8Array([3, 64]), 16))).toBe("0340");
  expect(toHex(encode(Buffer.from("0340", "hex"), 16))).toBe("0340");
  expect(toHex(encode(new Int8Array([1, 1, 0, 0, 0, 0, 0, 1])))).toBe("83");
  expect(toHex(encode(new Float32Array([1, 1, 0, 0, 0, 0, 0, 1])))).toBe("83");
});

test.each([2, -1, 0.5, Number.NaN, true, "1", undefined])("%s is refused in a list", (value) => {
  expect(() => encode([0, 0, value, 0, 0, 0, 0, 0])).toThrow(/^docs\.embedding\[2\]: expected 0 or 1 \(bit\), got /);
});

test("the wrong length is refused, and the error counts in what was given", () => {
  expect(() => encode([1, 0, 1])).toThrow("docs.embedding: expected 8 dimensions, got 3");
  expect(() => encode(new Uint8Array(3), 16)).toThrow("docs.embedding: expected 2 bytes (16 dimensions), got 3");
  // Sixteen numbers in a Uint8Array are sixteen bytes, not sixteen dimensions.
  expect(() => encode(new Uint8Array(16), 16)).toThrow("docs.embedding: expected 2 bytes (16 dimensions), got 16");
});

test("it reads as packed bytes or, in mode array, as 0 and 1", () => {
  expect(decode(new Uint8Array([0x83]))).toEqual(new Uint8Array([0x83]));
  expect(toNumbers(new Uint8Array([0x83]))).toEqual([1, 1, 0, 0, 0, 0, 0, 1]);
});

test("packed and listed bits come back from any vector", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1 }), (packed) => {
      const dimensions = packed.length * 8;
      expect(decode(encode(packed, dimensions), dimensions)).toEqual(packed);
      expect(encode(toNumbers(packed), dimensions)).toEqual(packed);
    }),
  );
});

test("packed bytes are copied in both directions", () => {
  const packed = new Uint8Array([1]);
  const encoded = encode(packed);
  const decoded = decode(packed);
  packed[0] = 255;
  expect([encoded[0], decoded[0]]).toEqual([1, 1]);
});
