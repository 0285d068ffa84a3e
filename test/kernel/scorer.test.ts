import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Element, encodeVector, type VectorShape } from "../../src/codec/codec.ts";
import type { Scorer, ScorerInput } from "../../src/kernel/kernel.ts";
import { scalarScorer } from "../../src/kernel/scalar.ts";
import { wasmScorer } from "../../src/kernel/wasm.ts";
import type { Metric } from "../../src/metric/metric.ts";

const METRICS: Record<Element, Metric[]> = {
  float32: ["cosine", "l2", "dot"],
  float16: ["cosine", "l2", "dot"],
  int8: ["cosine", "l2", "dot"],
  bit: ["hamming"],
};

/** Lengths beside every lane width, one, and the largest. */
const DIMENSIONS = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 384, 1000, 16_384];

const COMBINATIONS = Object.entries(METRICS).flatMap(([element, metrics]) =>
  metrics.map((metric) => ({ element: element as Element, metric })),
);

const numbersOf: Record<Element, fc.Arbitrary<number>> = {
  float32: fc.float({ noNaN: true, noDefaultInfinity: true }),
  float16: fc.oneof(
    fc.float({ min: -1, max: 1, noNaN: true }),
    fc.constantFrom(0, -0, 2 ** -24, -(2 ** -24), 2 ** -15, 65504, -65504),
  ),
  int8: fc.integer({ min: -128, max: 127 }),
  bit: fc.integer({ min: 0, max: 1 }),
};

function scorersOf(input: ScorerInput): { wasm: Scorer; scalar: Scorer } {
  const wasm = wasmScorer(input);
  if (!wasm) throw new Error("this engine has no SIMD: the comparison would prove nothing");
  return { wasm, scalar: scalarScorer(input) };
}

/** A vector at an odd offset of a larger buffer. */
function unaligned(bytes: Uint8Array): Uint8Array {
  const larger = new Uint8Array(bytes.length + 5).fill(0xff);
  larger.set(bytes, 3);
  return larger.subarray(3, 3 + bytes.length);
}

describe.each(COMBINATIONS)("$element, $metric", ({ element, metric }) => {
  const dimensionsOf = (n: number) => (element === "bit" ? Math.min(n * 8, 16_384) : n);

  test.each(DIMENSIONS)("the SIMD kernel equals the scalar reference to the last bit at length %i", (n) => {
    const shape: VectorShape = { element, dimensions: dimensionsOf(n) };
    const list = fc.array(numbersOf[element], {
      minLength: shape.dimensions,
      maxLength: shape.dimensions,
      size: "max",
    });
    fc.assert(
      fc.property(list, fc.array(list, { minLength: 1, maxLength: 4 }), (query, rows) => {
        const encode = (values: number[]) => encodeVector(values, shape, "v");
        const { wasm, scalar } = scorersOf({ shape, metric, query: encode(query) });
        const blobs = rows.map((row) => unaligned(encode(row)));
        for (let i = 0; i < blobs.length; i += wasm.capacity) {
          const batch = blobs.slice(i, i + wasm.capacity);
          expect([...wasm.score(batch)]).toEqual([...scalar.score(batch)]);
        }
      }),
      // Shrinking lists this long takes for ever and shows nothing more.
      { endOnFailure: n > 100, numRuns: n > 1000 ? 3 : n > 100 ? 10 : 60, seed: 7 },
    );
  });

  test("two scorers of different shapes do not disturb each other", () => {
    const one: VectorShape = { element, dimensions: 24 };
    const other: VectorShape = { element, dimensions: 40 };
    const input = (shape: VectorShape) => ({
      shape,
      metric,
      query: encodeVector(Array(shape.dimensions).fill(1), shape, "v"),
    });
    const a = scorersOf(input(one));
    const b = scorersOf(input(other));
    const rowA = encodeVector(
      Array.from({ length: 24 }, (_, i) => i % 2),
      one,
      "v",
    );
    const rowB = encodeVector(
      Array.from({ length: 40 }, (_, i) => (i + 1) % 2),
      other,
      "v",
    );
    for (let i = 0; i < 3; i++) {
      expect([...a.wasm.score([rowA])]).toEqual([...a.scalar.score([rowA])]);
      expect([...b.wasm.score([rowB, rowB])]).toEqual([...b.scalar.score([rowB, rowB])]);
    }
  });

  test("a full batch gives one distance a row", () => {
    const shape: VectorShape = { element, dimensions: 384 };
    const query = encodeVector(Array(384).fill(1), shape, "v");
    const { wasm, scalar } = scorersOf({ shape, metric, query });
    const rows = Array.from({ length: wasm.capacity }, (_, r) =>
      encodeVector(
        Array.from({ length: 384 }, (_, i) => (i * r) % 2),
        shape,
        "v",
      ),
    );
    const distances = [...wasm.score(rows)];
    expect(distances).toHaveLength(wasm.capacity);
    expect(distances.slice(0, 200)).toEqual([...scalar.score(rows.slice(0, 200))]);
  });
});

const float = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
const half = (...bits: number[]) => new Uint8Array(Uint16Array.from(bits).buffer);

describe("values a column refuses, but a foreign writer may store", () => {
  const one = { element: "float32", dimensions: 3 } as const;
  const two = { element: "float16", dimensions: 3 } as const;

  test.each(["cosine", "l2", "dot"] as const)(
    "NaN and infinity give a distance that is not finite, in %s",
    (metric) => {
      const scorers = [
        {
          ...scorersOf({ shape: one, metric, query: float(1, 0, 2) }),
          rows: [
            [NaN, 1, 1],
            [1, Infinity, 1],
            [1, 1, -Infinity],
          ].map((v) => float(...v)),
        },
        {
          ...scorersOf({ shape: two, metric, query: half(0x3c00, 0, 0x4000) }),
          rows: [
            [0x7e00, 0, 0],
            [0, 0x7c00, 0],
            [0, 0, 0xfc00],
          ].map((v) => half(...v)),
        },
      ];
      for (const { wasm, scalar, rows } of scorers) {
        for (const scorer of [wasm, scalar]) {
          expect([...scorer.score(rows)].map(Number.isFinite)).toEqual([false, false, false]);
        }
      }
    },
  );

  test("all 63,488 finite halves are read exactly", () => {
    const shape = { element: "float16", dimensions: 1 } as const;
    const { wasm, scalar } = scorersOf({ shape, metric: "dot", query: half(0x3c00) });
    for (let start = 0; start < 65_536; start += 256) {
      const rows = Array.from({ length: 256 }, (_, i) => half(start + i));
      const finite = (distances: Float64Array) => [...distances].map((d) => (Number.isFinite(d) ? d : "not finite"));
      expect(finite(wasm.score(rows))).toEqual(finite(scalar.score(rows)));
    }
  });
});

test("distances by hand", () => {
  const shape = { element: "float32", dimensions: 2 } as const;
  const score = (metric: Metric, query: Uint8Array, ...rows: Uint8Array[]) => [
    ...scorersOf({ shape, metric, query }).wasm.score(rows),
  ];
  expect(score("l2", float(0, 0), float(3, 4), float(0, 1))).toEqual([5, 1]);
  expect(score("dot", float(1, 2), float(3, 4), float(0, 0))).toEqual([-11, 0]);
  expect(score("cosine", float(1, 1), float(2, 2), float(-1, -1), float(1, -1), float(0, 0))).toEqual([0, 2, 1, 1]);
  expect(score("l2", float(3e38, 0), float(-3e38, 0))).toEqual([Math.fround(3e38) * 2]);
});
