import { describe, expect, test } from "vitest";
import { encodeVector } from "../../src/codec/codec.ts";
import { atOnce } from "../../src/kernel/breathing.ts";
import { type CoderInput, wasmCoder } from "../../src/kernel/coder.ts";
import { multiplier, scalarProducts } from "../../src/kernel/products.ts";
import { scalarCoder } from "../../src/kernel/scalar-coder.ts";
import { seeded } from "../helpers/databases.ts";

const SIZES = [1, 1, 1e-3, 1e30, 1e-30, 1e-44, 0];

function inputOf(dimensions: number, mirrors: number, seed: number, element: "float32" | "float16"): CoderInput {
  const random = seeded(seed);
  const reflectors = Array.from({ length: mirrors }, (_, j) => {
    const values = Float64Array.from({ length: dimensions }, (_, i) => (i < j ? 0 : random() - 0.5));
    const norm = Math.hypot(...values);
    return Float32Array.from(values, (value) => (value / norm) * Math.SQRT2);
  });
  return {
    dimensions,
    element,
    metric: (["cosine", "l2", "dot"] as const)[seed % 3]!,
    centre: Float32Array.from({ length: dimensions }, () => random() * 0.1),
    head: mirrors || Math.ceil(dimensions / 16) * 16,
    reflectors,
    relative: 1e-6,
    absolute: 1e-12,
    sums: 1 + 1e-12,
  };
}

describe.each([
  [1, 0],
  [15, 0],
  [16, 0],
  [17, 16],
  [33, 32],
  [100, 48],
  [384, 96],
  [1537, 16],
])("%i dimensions, %i mirrors", (dimensions, mirrors) => {
  test("the SIMD kernel codes as the scalar one, to the last bit", () => {
    for (const element of ["float32", "float16"] as const) {
      for (let seed = 0; seed < 6; seed++) {
        const input = inputOf(dimensions, mirrors, seed, element);
        const random = seeded(seed);
        const wasm = wasmCoder(input);
        if (!wasm) throw new Error("this engine has no SIMD: the comparison would prove nothing");
        const scalar = scalarCoder(input)!;
        const blobs = Array.from({ length: 11 }, (_, row) => {
          const size = element === "float16" ? 1 : SIZES[row % SIZES.length]!;
          const values = Array.from({ length: dimensions }, () => (random() - 0.5) * size);
          const bytes = encodeVector(values, { element, dimensions }, "v");
          // NaN and infinities of both elements: all bits of the exponent set.
          if (row % 5 === 4) bytes[bytes.length - 1] = 0x7f;
          if (row % 5 === 4) bytes[bytes.length - 2] = row % 2 ? 0x80 : 0xc0;
          if (row % 5 === 4 && element === "float16") bytes[bytes.length - 1] = 0x7c;
          return bytes;
        });
        const expected = scalar.code(blobs).map((code) => code && { ...code });
        expect(expected.filter((code) => code === undefined)).toHaveLength(2);
        // Twice: nothing of one batch is left in the next, whose groups are filled otherwise.
        wasm.code(blobs);
        const codes = wasm.code(blobs);
        expect(codes.map((code) => code && { ...code })).toEqual(expected);
        expect(wasm.code(blobs.slice(0, 2)).map((code) => code && { ...code })).toEqual(expected.slice(0, 2));

        const vector = Float64Array.from({ length: dimensions }, () => random() - 0.5);
        const rotated = [vector.slice(), vector.slice()] as const;
        wasm.rotate(rotated[0]);
        scalar.rotate(rotated[1]);
        expect(rotated[0]).toEqual(rotated[1]);
        expect(Math.abs(Math.hypot(...rotated[0]) - Math.hypot(...vector))).toBeLessThan(1e-12);
      }
    }
  });
});

test("reflectors that are none are refused by both kernels", () => {
  const altered = (j: number, i: number, value: number) => {
    const input = inputOf(40, 16, 1, "float32");
    input.reflectors[j]![i] = value;
    return input;
  };
  for (const [input, isSound] of [
    [altered(6, 5, 0), true],
    // A zero of either sign, in front of the place: among the four of the place's own turn, and of an earlier one.
    [altered(6, 5, -0), true],
    [altered(6, 1, -0), true],
    [altered(6, 5, 1e-45), false],
    [altered(6, 1, 1e-45), false],
    [altered(15, 0, Number.NaN), false],
    [altered(15, 39, Number.NaN), false],
    [altered(0, 39, Number.POSITIVE_INFINITY), false],
    [altered(3, 39, 0.9), false],
  ] as const) {
    expect([wasmCoder(input), scalarCoder(input)].map((coder) => coder !== undefined)).toEqual([isSound, isSound]);
  }
});

test.each([
  [1, 1, 1],
  [4, 2, 8],
  [7, 5, 33],
])("%i x %i products of length %i are those of the scalar kernel, but for rounding", (n, m, length) => {
  const random = seeded(n);
  const matrix = (rows: number) => ({
    rows,
    columns: length,
    values: Float32Array.from({ length: rows * length }, () => random() - 0.5),
  });
  const multiply = multiplier();
  for (const [a, b] of [[matrix(n), matrix(m)] as const, [matrix(n), matrix(n)] as const]) {
    const product = atOnce(multiply(a, b));
    const expected = atOnce(scalarProducts(a, b));
    expect([product.rows, product.columns]).toEqual([a.rows, b.rows]);
    for (const [i, value] of expected.values.entries()) expect(product.values[i]).toBeCloseTo(value, 5);
  }
});
