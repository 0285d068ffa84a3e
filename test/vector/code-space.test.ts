import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codecOf, type Element, encodeVector, type VectorShape } from "../../src/codec/codec.ts";
import { atOnce } from "../../src/kernel/breathing.ts";
import { scalarCodeKernel } from "../../src/kernel/scalar-scan.ts";
import type { Metric } from "../../src/metric/metric.ts";
import { referenceDistance } from "../../src/metric/reference.ts";
import { type CodeSpace, codeSpace as spaceOfModel } from "../../src/vector/code-space.ts";
import { fitModel, modelBytes, readModel } from "../../src/vector/model.ts";
import { CodeRows } from "../helpers/code-rows.ts";
import { seeded } from "../helpers/databases.ts";

/** @param mirrors - any vectors: what they are mirrored by decides how tight the bounds are, and never whether they hold */
function codeSpace(shape: VectorShape, metric: Metric, sample: Uint8Array[], mirrors: ArrayLike<number>[] = []) {
  const model = atOnce(fitModel(shape, metric, sample));
  if (mirrors.length === 0) return spaceOfModel(shape, metric, model)!;
  const { centre } = readModel(model, shape.dimensions)!;
  const reflectors = mirrors.map((mirror, j) => {
    const shortened = Float64Array.from(mirror, (value, i) => (i < j ? 0 : value));
    const largest = shortened.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    if (largest === 0) shortened[j] = 1;
    const scaled = shortened.map((value) => value / (largest || 1));
    const norm = Math.sqrt(scaled.reduce((sum, value) => sum + value * value, 0));
    return Float32Array.from(scaled, (value) => (value / norm) * Math.SQRT2);
  });
  return spaceOfModel(shape, metric, modelBytes({ centre, reflectors }))!;
}

function rowsOf(space: CodeSpace, blobs: Uint8Array[]): CodeRows {
  const rows = new CodeRows(space, scalarCodeKernel());
  let i = 0;
  for (const code of space.codesOf(blobs)) rows.write(i++, code!);
  return rows;
}

/** Data that has broken bounds before: each gives a vector's numbers from a random source. */
const KINDS: Record<string, (random: () => number, dimensions: number) => number[]> = {
  noise: (random, n) => Array.from({ length: n }, () => random() * 2 - 1),
  "whole numbers": (random, n) => Array.from({ length: n }, () => Math.floor(random() * 5) - 2),
  huge: (random, n) => Array.from({ length: n }, () => (random() * 2 - 1) * 3.4e38),
  "huge, of one sign": (random, n) => Array.from({ length: n }, () => 3.4e38 - random() * 1e32),
  denormal: (random, n) => Array.from({ length: n }, () => (random() * 2 - 1) * 1e-43),
  "of all sizes": (random, n) => Array.from({ length: n }, () => (random() * 2 - 1) * 10 ** (random() * 76 - 38)),
  zero: (_, n) => Array(n).fill(0),
  "one outlier dimension": (random, n) => Array.from({ length: n }, (_, i) => (random() - 0.5) * (i === 0 ? 1e6 : 1)),
  "far from the origin": (random, n) => Array.from({ length: n }, () => 1000 + random()),
  "a cone": (random, n) => Array.from({ length: n }, (_, i) => (i === n - 1 ? 5 : random() - 0.5)),
  "tiny gaps": (random, n) => Array.from({ length: n }, (_, i) => (i % 2 ? 1 : -1) + random() * 1e-6),
  "one axis": (random, n) => Array.from({ length: n }, (_, i) => (i === 0 ? random() : 0)),
};

const FITS: Record<Element, (value: number) => number> = {
  float32: (value) => Math.max(-3.4e38, Math.min(3.4e38, value)),
  float16: (value) => Math.max(-65504, Math.min(65504, value)),
  int8: (value) => Math.max(-128, Math.min(127, Math.round(value * 60))),
  bit: (value) => (value > 0 ? 1 : 0),
};

const COMBINATIONS = (["float32", "float16", "int8"] as const).flatMap((element) =>
  (["cosine", "l2", "dot"] as const).map((metric) => ({ element: element as Element, metric: metric as Metric })),
);

describe.each([...COMBINATIONS, { element: "bit" as Element, metric: "hamming" as Metric }])(
  "$element by $metric",
  ({ element, metric }) => {
    test.each([1, 2, 3, 8, 33, 384, 3000])("the true similarity lies within the bounds, in %i dimensions", (n) => {
      const dimensions = element === "bit" ? n * 8 : n;
      if (dimensions > 16_384) return;
      const shape = { element, dimensions };
      const kind = fc.constantFrom(...Object.keys(KINDS));
      fc.assert(
        fc.property(fc.nat(), kind, kind, kind, kind, (seed, centreKind, mirrorKind, rowKind, queryKind) => {
          const random = seeded(seed);
          const isRotated = element.startsWith("float") && dimensions > 16 && seed % 3 > 0;
          const make = (name: string) => encodeVector(KINDS[name]!(random, dimensions).map(FITS[element]), shape, "v");
          const space = codeSpace(
            shape,
            metric,
            Array.from({ length: 9 }, () => make(centreKind)),
            // Rotated by all kinds, the rows' own among them.
            Array.from({ length: isRotated ? 16 : 0 }, (_, j) =>
              KINDS[j % 3 ? mirrorKind : rowKind]!(random, dimensions),
            ),
          );
          const query = make(queryKind);
          if (
            metric === "cosine" &&
            codecOf(element)
              .decode(query)
              .every((value) => value === 0)
          )
            return;
          const coded = space.query(query);
          // The query itself and two of its neighbours are rows, too.
          const rows = [...Array.from({ length: 6 }, () => make(rowKind)), query, make(queryKind)];
          const kernelRows = rowsOf(space, rows);
          const truth = rows.map((row) =>
            referenceDistance(metric, codecOf(element).decode(row), codecOf(element).decode(query)),
          );
          const scan = (k: number, floor: number) =>
            kernelRows.scan({ query: coded.coded, k, floor, most: rows.length, mask: undefined })!;

          // Faults are gathered, since an expect() of its own for each bound takes longer than all the rest.
          const faults: string[] = [];
          // Every row has an upper bound that its distance keeps.
          const all = scan(rows.length, Number.NEGATIVE_INFINITY);
          expect([...all.rows]).toEqual(rows.map((_, i) => i));
          for (const [i, row] of all.rows.entries()) {
            const floor = coded.floorOf(truth[row]!);
            if (!(all.uppers[i]! >= floor)) faults.push(`row ${row}: ${all.uppers[i]} is below ${floor}`);
          }
          // The k nearest and all that tie with the last of them survive.
          for (const k of [1, 3]) {
            const last = [...truth].sort((a, b) => a - b)[k - 1]!;
            const survivors = new Set(scan(k, Number.NEGATIVE_INFINITY).rows);
            // So do all within a distance.
            const within = new Set(scan(rows.length, coded.floorOf(last)).rows);
            for (const [i, distance] of truth.entries()) {
              if (!(distance <= last)) continue;
              if (!survivors.has(i)) faults.push(`row ${i} is not among the nearest ${k}`);
              if (!within.has(i)) faults.push(`row ${i} is not within ${last}`);
            }
          }
          expect(faults).toEqual([]);
        }),
        { numRuns: n > 1000 ? 25 : n > 300 ? 80 : 250, seed: 5, endOnFailure: n > 30 },
      );
    });
  },
);

test("16,384 dimensions are bounded, too", () => {
  const shape = { element: "float32", dimensions: 16_384 } as const;
  const random = seeded(8);
  const make = (kind: string) => encodeVector(KINDS[kind]!(random, 16_384), shape, "v");
  for (const metric of ["cosine", "l2", "dot"] as const) {
    const mirrors = Array.from({ length: metric === "dot" ? 0 : 32 }, () => KINDS.noise!(random, 16_384));
    const space = codeSpace(shape, metric, [make("noise"), make("a cone")], mirrors);
    const rows = ["noise", "huge", "a cone", "one axis", "denormal", "tiny gaps"].map(make);
    const query = make("noise");
    const { coded, floorOf } = space.query(query);
    const all = rowsOf(space, rows).scan({
      query: coded,
      k: 6,
      floor: Number.NEGATIVE_INFINITY,
      most: 6,
      mask: undefined,
    })!;
    const decode = codecOf("float32").decode;
    for (const [i, row] of all.rows.entries()) {
      const distance = referenceDistance(metric, decode(rows[row]!), decode(query));
      expect(all.uppers[i]).toBeGreaterThanOrEqual(floorOf(distance));
    }
  }
});

test.each([0, 96])("noise of 384 dimensions is bounded to a hundredth of its length, with %i mirrors", (mirrors) => {
  const shape = { element: "float32", dimensions: 384 } as const;
  const random = seeded(2);
  const make = () => encodeVector(KINDS.noise!(random, 384), shape, "v");
  const space = codeSpace(
    shape,
    "cosine",
    Array.from({ length: 50 }, make),
    Array.from({ length: mirrors }, () => KINDS.noise!(random, 384)),
  );
  const [code] = space.codesOf([make()]);
  const [, , error, , , tailError = 0] = code!.params;
  expect(Math.hypot(error!, tailError)).toBeLessThan(0.01);
});

test("NaN and infinities have no code, and disturb no other row", () => {
  const space = codeSpace({ element: "float32", dimensions: 2 }, "l2", []);
  const bytes = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    const codes = [...space.codesOf([bytes(1, bad), bytes(3, 4), bytes(bad, 1)])];
    expect(codes.map((code) => code?.params[0])).toEqual([undefined, -12.5, undefined]);
  }
});

test("bytes that are no model of this shape are refused", () => {
  const shape = { element: "float32", dimensions: 64 } as const;
  const sound = modelBytes({ centre: new Float32Array(64), reflectors: [] });
  const damaged = sound.slice();
  new DataView(damaged.buffer).setFloat32(20, Number.NaN, true);
  expect(spaceOfModel(shape, "l2", sound)?.headBytes).toBe(64);
  for (const model of [
    new Uint8Array(),
    sound.slice(1),
    damaged,
    modelBytes({ centre: new Float32Array(65), reflectors: [] }),
    // Sixteen reflectors of no length.
    modelBytes({ centre: new Float32Array(64), reflectors: Array(16).fill(new Float32Array(64)) }),
  ]) {
    expect(spaceOfModel(shape, "l2", model)).toBeUndefined();
  }
});
