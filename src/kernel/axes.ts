import { BASE, grow, instantiate, type Memory, roundUp } from "./module.ts";

interface Exports {
  memory: Memory;
  apply(vector: number, axes: number, count: number, length: number): void;
}

/**
 * Axes v by which other vectors are changed, in float64: z becomes z - (v·z)v for one after the other. One of length 1 takes off what lies
 * along it, as Gram and Schmidt do; one of length √2 is a mirror.
 */
export interface Axes {
  apply(vector: Float64Array): void;
  add(axis: ArrayLike<number>): void;
}

/** @param most - axes, of `length` numbers each */
export function noAxes(most: number, length: number): Axes {
  return wasmAxes(most, length) ?? scalarAxes();
}

export function wasmAxes(most: number, length: number): Axes | undefined {
  const exports = instantiate<Exports>();
  if (!exports) return undefined;
  const width = roundUp(length, 4);
  const axesAt = BASE + width * 8;
  grow(exports.memory, axesAt + most * width * 8);
  const { buffer } = exports.memory;
  const area = new Float64Array(buffer, BASE, length);
  let count = 0;
  return {
    apply(vector) {
      if (count === 0) return;
      area.set(vector);
      exports.apply(BASE, axesAt, count, width);
      vector.set(area);
    },
    add(axis) {
      new Float64Array(buffer, axesAt + count++ * width * 8, length).set(axis);
    },
  };
}

export function scalarAxes(): Axes {
  const axes: ArrayLike<number>[] = [];
  return {
    apply(vector) {
      for (const axis of axes) {
        let along = 0;
        for (let i = 0; i < vector.length; i++) along += vector[i]! * axis[i]!;
        for (let i = 0; i < vector.length; i++) vector[i]! -= along * axis[i]!;
      }
    },
    add: (axis) => void axes.push(axis),
  };
}
