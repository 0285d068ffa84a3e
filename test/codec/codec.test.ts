import { describe, expect, test } from "vitest";
import {
  decodeVector,
  ELEMENTS,
  encodeVector,
  isSameBytes,
  toBytes,
  toHex,
  vectorBytes,
} from "../../src/codec/codec.ts";

const shape = { dimensions: 2, element: "float32" as const };
const EAST = [1, -2];
const HEX = "0000803f000000c0";
const decode = (value: unknown) => decodeVector(value, shape, "docs.embedding");

/** The bytes at an odd offset of a larger buffer, as Node's pool hands them out. */
function oddly(): Buffer {
  const pool = Buffer.alloc(32, 0xee);
  pool.set(Buffer.from(HEX, "hex"), 3);
  return pool.subarray(3, 11);
}

test.each([
  ["float32", 32],
  ["float16", 16],
  ["int8", 8],
  ["bit", 1],
] as const)("eight dimensions of %s take %i bytes", (element, bytes) => {
  expect(vectorBytes({ dimensions: 8, element })).toBe(bytes);
});

describe("reads what drivers hand out", () => {
  test.each([
    ["a Buffer", () => Buffer.from(HEX, "hex")],
    ["a Buffer at an odd offset", oddly],
    ["a Uint8Array at an odd offset", () => new Uint8Array(oddly().buffer, oddly().byteOffset, 8)],
    ["an ArrayBuffer", () => new Uint8Array(Buffer.from(HEX, "hex")).buffer],
    ["a DataView", () => new DataView(oddly().buffer, oddly().byteOffset, 8)],
    ["an array of bytes", () => [...oddly()]],
    ["hex in lower case", () => HEX],
    ["hex in upper case", () => HEX.toUpperCase()],
  ])("%s", (_, make) => {
    expect(decode(make())).toEqual(new Float32Array(EAST));
  });

  test.each(ELEMENTS)("%s at every offset, without sharing memory", (element) => {
    const dimensions = 16;
    const bytes = encodeVector(new Array(dimensions).fill(1), { dimensions, element }, "v");
    const expected = decodeVector(bytes, { dimensions, element }, "v");
    for (let offset = 0; offset < 9; offset++) {
      const pool = new Uint8Array(128).fill(0xee);
      pool.set(bytes, offset);
      const decoded = decodeVector(pool.subarray(offset, offset + bytes.length), { dimensions, element }, "v");
      expect(decoded.buffer).not.toBe(pool.buffer);
      pool.fill(0);
      expect(decoded).toEqual(expected);
      expect([decoded.byteOffset, decoded.buffer.byteLength]).toEqual([0, decoded.byteLength]);
    }
  });
});

describe("says what is wrong with a stored value", () => {
  const EXPECTED = "docs.embedding: expected 2 dimensions (8 bytes of float32), got";
  test.each([
    ["too short", Buffer.alloc(4), "4 bytes"],
    ["too long", Buffer.alloc(12), "12 bytes"],
    ["no whole number of elements", Buffer.alloc(7), "7 bytes"],
    ["empty", Buffer.alloc(0), "0 bytes"],
    ["empty text", "", "0 bytes"],
    ["text", "[1,2]", 'text "[1,2]"'],
    ["long text", "x".repeat(50), `text "${"x".repeat(40)}…"`],
    ["hex of odd length", "000", 'text "000"'],
    ["a number", 3.5, "3.5"],
    ["numbers that are no bytes", [256], "Array"],
    ["fractions", [0.5], "Array"],
    ["a boolean", true, "true"],
    ["an object", { data: [] }, "Object"],
    ["an object without a prototype", Object.create(null), "an object"],
    ["an object from JSON with a constructor", JSON.parse('{"constructor":{"name":{"toString":1}}}'), "an object"],
  ])("%s", (_, value, got) => {
    expect(() => decode(value)).toThrow(`${EXPECTED} ${got}`);
    expect(() => decode(value)).toThrow(
      expect.objectContaining({ code: "DIMENSION_MISMATCH", subject: "docs.embedding", got, hint: expect.any(String) }),
    );
  });
});

describe("says what is wrong with a given value", () => {
  test.each([
    [null, "null"],
    [undefined, "undefined"],
    [1, "1"],
    ["[1,2]", 'text "[1,2]"'],
    [{ 0: 1, 1: 2, length: 2 }, "Object"],
    [new ArrayBuffer(8), "ArrayBuffer"],
    [new DataView(new ArrayBuffer(8)), "DataView"],
    [new Set([1, 2]), "Set"],
    [Symbol("v"), "Symbol(v)"],
    [() => [1, 2], "Function"],
  ])("no list: %s", (value, got) => {
    expect(() => encodeVector(value, shape, "docs.embedding")).toThrow(
      `docs.embedding: expected an array or typed array of numbers, got ${got}`,
    );
  });

  test("the wrong length, with a hint", () => {
    expect(() => encodeVector([1, 2, 3], shape, "docs.embedding")).toThrow(
      expect.objectContaining({
        message: "docs.embedding: expected 2 dimensions, got 3",
        name: "DimensionMismatchError",
        code: "DIMENSION_MISMATCH",
        expected: "2 dimensions",
        got: "3",
        hint: "Embed with the model the column was declared for, or declare the column with the model's dimensions.",
      }),
    );
    expect(() => encodeVector([], shape, "docs.embedding")).toThrow("docs.embedding: expected 2 dimensions, got 0");
  });

  test.each([
    [
      "what a model gives for several texts",
      [[1, 2]],
      "It is a list of vectors, as models give one for several texts: take one of them.",
    ],
    [
      "typed arrays in an array",
      [Float32Array.of(1, 2)],
      "It is a list of vectors, as models give one for several texts: take one of them.",
    ],
    [
      "bytes as they are stored",
      oddly(),
      "These are the bytes of a stored vector, not its numbers: read it through the column.",
    ],
    ["a model that was not awaited", Promise.resolve(EAST), "Await it first."],
    ["a text", "cats", "Embed the text first; a vector written as JSON has to be parsed."],
  ])("a usual mistake is named in the hint: %s", (_, value, hint) => {
    expect(() => encodeVector(value, shape, "docs.embedding")).toThrow(expect.objectContaining({ hint }));
  });
});

test("bytes are the same whatever they are views on, and another byte or length is not", () => {
  const bytes = toBytes(HEX)!;
  expect(isSameBytes(bytes, oddly())).toBe(true);
  expect(isSameBytes(new Uint8Array(), Buffer.alloc(0))).toBe(true);
  for (const at of [0, 7]) {
    const other = bytes.slice();
    other[at]! ^= 1;
    expect(isSameBytes(bytes, other)).toBe(false);
  }
  expect(isSameBytes(bytes, bytes.subarray(0, 7))).toBe(false);
  expect(isSameBytes(bytes.subarray(0, 7), bytes)).toBe(false);
});

test("hex is the inverse of reading hex", () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  expect(toBytes(toHex(all))).toEqual(all);
  expect(toHex(new Uint8Array([0, 15, 255]))).toBe("000fff");
});
