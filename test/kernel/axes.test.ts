import { describe, expect, test } from "vitest";
import { type Axes, scalarAxes, wasmAxes } from "../../src/kernel/axes.ts";
import { seeded } from "../helpers/databases.ts";

function vectorOf(random: () => number, length: number, norm?: number): Float64Array {
  const vector = Float64Array.from({ length }, () => random() * 2 - 1);
  const scale = norm === undefined ? 1 : norm / Math.hypot(...vector);
  return vector.map((value) => value * scale);
}

const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

function makers(count: number, length: number): Axes[] {
  const wasm = wasmAxes(count, length);
  if (!wasm) throw new Error("this engine has no SIMD: the comparison would prove nothing");
  return [wasm, scalarAxes()];
}

describe.each([1, 3, 4, 66, 384])("axes of %i numbers", (length) => {
  test("of length 1, orthogonal to each other, take off all that lies along them", () => {
    const random = seeded(length);
    const most = Math.min(7, length);
    for (const axes of makers(most, length)) {
      const kept: Float64Array[] = [];
      for (let n = 0; n < most; n++) {
        const vector = vectorOf(random, length);
        axes.apply(vector);
        for (const axis of kept) expect(Math.abs(dot(vector, axis))).toBeLessThan(1e-12);
        const norm = Math.hypot(...vector);
        const axis = vector.map((value) => value / norm);
        kept.push(axis);
        axes.add(axis);
      }
    }
  });

  test("of length √2 are mirrors: lengths and angles stay, and twice is as before", () => {
    const random = seeded(length + 1);
    const mirror = vectorOf(random, length, Math.SQRT2);
    const [a, b] = [vectorOf(random, length), vectorOf(random, length)];
    for (const axes of makers(1, length)) {
      axes.add(mirror);
      const [x, y] = [a.slice(), b.slice()];
      axes.apply(x);
      axes.apply(y);
      expect(dot(x, y)).toBeCloseTo(dot(a, b), 12);
      expect(dot(x, mirror)).toBeCloseTo(-dot(a, mirror), 12);
      axes.apply(x);
      x.forEach((value, i) => {
        expect(value).toBeCloseTo(a[i]!, 12);
      });
    }
  });

  test("do the same in both kernels, and nothing while there are none", () => {
    const random = seeded(length + 2);
    const [wasm, scalar] = makers(5, length) as [Axes, Axes];
    for (let n = 0; n < 5; n++) {
      const vector = vectorOf(random, length);
      const [x, y] = [vector.slice(), vector.slice()];
      wasm.apply(x);
      scalar.apply(y);
      if (n === 0) expect(x).toEqual(vector);
      x.forEach((value, i) => {
        expect(value).toBeCloseTo(y[i]!, 12);
      });
      const axis = Float32Array.from(vectorOf(random, length, 1));
      wasm.add(axis);
      scalar.add(axis);
    }
  });
});
