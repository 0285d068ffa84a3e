import { describe, expect, test } from "vitest";
import { atOnce } from "../../src/kernel/breathing.ts";
import { codeSpace } from "../../src/vector/code-space.ts";
import { fitModel as fitting, readModel, SAMPLE_ROWS } from "../../src/vector/model.ts";
import { seeded } from "../helpers/databases.ts";

const fitModel = (...args: Parameters<typeof fitting>) => atOnce(fitting(...args));

const DIMENSIONS = 128;
const SHAPE = { element: "float32", dimensions: DIMENSIONS } as const;

function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Vectors that differ along a few hidden directions much more than along the others. */
function compact(random: () => number): () => Float32Array {
  const hidden = Array.from({ length: 12 }, () => Float32Array.from({ length: DIMENSIONS }, () => gaussian(random)));
  return () => {
    const vector = Float32Array.from({ length: DIMENSIONS }, () => gaussian(random) * 0.5);
    for (const direction of hidden) {
      const share = gaussian(random);
      for (let i = 0; i < DIMENSIONS; i++) vector[i]! += share * direction[i]!;
    }
    return vector;
  };
}

const sampleOf = (make: () => Float32Array, rows = SAMPLE_ROWS) =>
  Array.from({ length: rows }, () => new Uint8Array(make().slice().buffer));

describe.each(["cosine", "l2", "dot"] as const)("a model by %s", (metric) => {
  test("of vectors with hidden directions gathers them in a head of 16", () => {
    const make = compact(seeded(1));
    const model = fitModel(SHAPE, metric, sampleOf(make));
    expect(readModel(model, DIMENSIONS)!.reflectors).toHaveLength(16);
    const space = codeSpace(SHAPE, metric, model)!;
    expect([space.headBytes, space.tailBytes]).toEqual([16, 112]);
    // The tail of a row of another sample is short: what is left is the noise, a fifth of the length.
    for (const code of space.codesOf(sampleOf(make, 20))) {
      const [offset, scale, , tailNorm] = code!.params as unknown as [number, number, number, number];
      const head = Math.hypot(...new Int8Array(code!.head.buffer, code!.head.byteOffset, 16)) * scale;
      expect(tailNorm / Math.hypot(head, tailNorm)).toBeLessThan(0.35);
      if (metric === "l2") expect(Math.sqrt(-2 * offset)).toBeCloseTo(Math.hypot(head, tailNorm), 0);
    }
  });

  test("of noise leaves rows as they are", () => {
    const random = seeded(2);
    const model = fitModel(
      SHAPE,
      metric,
      sampleOf(() => Float32Array.from({ length: DIMENSIONS }, () => gaussian(random))),
    );
    expect(readModel(model, DIMENSIONS)!.reflectors).toHaveLength(0);
  });

  test("of small clusters has a head, though a fifth of the rows are alone of their kind in the sample", () => {
    const random = seeded(6);
    const centres = Array.from({ length: 800 }, () => Float32Array.from({ length: 384 }, () => gaussian(random)));
    let row = 0;
    // Every fifth row has a cluster of its own, the others share 390.
    const clusterOf = (n: number) => (n % 5 === 0 ? 390 + n / 5 : n % 390);
    const make = () => centres[clusterOf(row++)]!.map((value) => value + 0.5 * gaussian(random));
    const model = fitModel({ element: "float32", dimensions: 384 }, metric, sampleOf(make));
    expect(readModel(model, 384)!.reflectors.length).toBeGreaterThan(0);
  });

  test("of equal rows, of zeros, of few rows and of none is a centre", () => {
    const make = compact(seeded(3));
    const same = make();
    for (const sample of [
      sampleOf(() => same),
      sampleOf(() => new Float32Array(DIMENSIONS)),
      sampleOf(make, 100),
      [],
    ]) {
      const model = fitModel(SHAPE, metric, sample);
      expect(readModel(model, DIMENSIONS)!.reflectors).toHaveLength(0);
    }
  });

  test("passes over rows that are not finite, and takes numbers of any size", () => {
    const make = compact(seeded(4));
    const sample = sampleOf(() => make().map((value) => value * 1e37)).map((row, i) => {
      if (i % 10 === 0) new Float32Array(row.buffer)[3] = Number.NaN;
      return row;
    });
    const { centre, reflectors } = readModel(fitModel(SHAPE, metric, sample), DIMENSIONS)!;
    expect(reflectors).toHaveLength(16);
    expect(centre.every(Number.isFinite)).toBe(true);
  });
});

test("the same sample gives the same model, byte for byte", () => {
  const sample = sampleOf(compact(seeded(5)));
  expect(fitModel(SHAPE, "cosine", sample)).toEqual(fitModel(SHAPE, "cosine", sample));
});

test("int8 vectors and bits have an empty model", () => {
  for (const element of ["int8", "bit"] as const) {
    const shape = { element, dimensions: 64 };
    const metric = element === "bit" ? "hamming" : "l2";
    expect(fitModel(shape, metric, [])).toEqual(new Uint8Array());
    expect(codeSpace(shape, metric, new Uint8Array())).toBeDefined();
    expect(codeSpace(shape, metric, Uint8Array.of(1))).toBeUndefined();
  }
});
