import { describe, expect, test } from "vitest";
import { encodeVector } from "../../src/codec/codec.ts";
import { Arena } from "../../src/kernel/arena.ts";
import { atOnce } from "../../src/kernel/breathing.ts";
import { wasmCodeKernel } from "../../src/kernel/code-kernel.ts";
import { GROUP_ROWS, OneBitBlocks, oneBitBytes } from "../../src/kernel/one-bit-blocks.ts";
import { scalarChecksum } from "../../src/kernel/scalar-checksum.ts";
import { scalarCodeKernel } from "../../src/kernel/scalar-scan.ts";
import { Scan } from "../../src/kernel/scan.ts";
import type { Metric } from "../../src/metric/metric.ts";
import { calibrate, deviations, factorFor } from "../../src/vector/calibration.ts";
import { oneBitQuery, oneBitShape } from "../../src/vector/one-bit-space.ts";
import { seeded } from "../helpers/databases.ts";

const SEED = 20;

function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

function vectors(count: number, dimensions: number, seed: number, spread = (_: number) => 1): Float32Array[] {
  const random = seeded(seed);
  return Array.from({ length: count }, () =>
    Float32Array.from({ length: dimensions }, (_, i) => gaussian(random) * spread(i)),
  );
}

function meanOf(rows: readonly Float32Array[]): Float32Array {
  return Float32Array.from(rows[0]!, (_, i) => rows.reduce((sum, row) => sum + row[i]!, 0) / rows.length);
}

interface World {
  readonly metric: Metric;
  readonly dimensions: number;
  readonly rows: readonly Float32Array[];
}

/** Rows in blocks of a few rows, by the kernel asked. */
function blocksOf({ metric, dimensions, rows }: World, kernel: "wasm" | "scalar", capacity = 64) {
  const made = kernel === "wasm" ? wasmCodeKernel() : scalarCodeKernel();
  if (!made) throw new Error("this engine has no SIMD: the comparison would prove nothing");
  const shape = oneBitShape({ dimensions, element: "float32" }, metric, { centre: meanOf(rows), seed: SEED });
  const blocks = new OneBitBlocks(shape, new Arena(made), capacity);
  for (let from = 0; from < rows.length; from += capacity) {
    blocks.write(blocks.take(), 0, rows.slice(from, from + capacity));
  }
  return blocks;
}

interface Search {
  readonly factor: number;
  readonly k: number;
  readonly most?: number;
  readonly mask?: Uint8Array;
}

function search(blocks: OneBitBlocks, { metric, dimensions, rows }: World, query: Float32Array, options: Search) {
  const { factor, k, most = rows.length, mask } = options;
  const shape = { dimensions, element: "float32" } as const;
  const asked = oneBitQuery(blocks, { shape, metric }, encodeVector(query, shape, "query"), factor);
  const bits = { blocks, query: asked.coded, floor: Number.NEGATIVE_INFINITY };
  const scan = new Scan({ bits, k, most });
  const slots = Array.from({ length: Math.ceil(rows.length / blocks.capacity) }, (_, slot) => {
    const first = slot * blocks.capacity;
    const count = Math.min(blocks.capacity, rows.length - first);
    return { bits: slot, count, first, mask: mask?.subarray(first, first + count) };
  });
  do scan.blocks(slots);
  while (scan.again());
  return { found: scan.found(), asked };
}

function distance(metric: Metric, a: Float32Array, b: Float32Array): number {
  let [product, squares, aa, bb] = [0, 0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    product += a[i]! * b[i]!;
    squares += (a[i]! - b[i]!) ** 2;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  if (metric === "l2") return Math.sqrt(squares);
  return metric === "dot" ? -product : 1 - product / Math.sqrt(aa * bb);
}

/** The k nearest of the rows found, re-scored best first until no bound reaches the k-th. */
function rescored(world: World, { found, asked }: ReturnType<typeof search>, query: Float32Array, k: number) {
  const order = Array.from(found!.rows, (row, i) => ({ row, upper: found!.uppers[i]! }));
  order.sort((a, b) => b.upper - a.upper);
  const kept: number[] = [];
  let read = 0;
  for (const { row, upper } of order) {
    if (kept.length === k && upper < asked.similarityOf(kept[k - 1]!)) break;
    read++;
    kept.push(distance(world.metric, world.rows[row]!, query));
    kept.sort((a, b) => a - b);
    kept.length = Math.min(kept.length, k);
  }
  return { kept, read };
}

describe.each([
  ["cosine", 384],
  ["l2", 384],
  ["dot", 256],
  ["l2", 1],
  ["cosine", 3],
  ["l2", 33],
  ["dot", 100],
  ["cosine", 1000],
] as const)("1-bit codes under %s in %i dimensions", (metric, dimensions) => {
  const world: World = { metric, dimensions, rows: vectors(200, dimensions, 1, (i) => 1 + (i % 7)) };
  const [query] = vectors(1, dimensions, 2) as [Float32Array];

  test("the SIMD kernels code and scan as the scalar ones do, to the last bit", () => {
    const [wasm, scalar] = [blocksOf(world, "wasm"), blocksOf(world, "scalar")];
    for (let slot = 0; slot < 4; slot++) {
      const rows = Math.min(64, 200 - slot * 64);
      expect(wasm.save(slot, rows)).toEqual(scalar.save(slot, rows));
    }
    const mask = Uint8Array.from({ length: 200 }, (_, i) => (i < 70 || i % 3 === 0 ? 0 : 1));
    for (const options of [
      { factor: 2, k: 5 },
      { factor: 0.5, k: 1 },
      { factor: 2, k: 10, mask },
      { factor: 3, k: 3, most: 4 },
    ]) {
      const [a, b] = [search(wasm, world, query, options).found, search(scalar, world, query, options).found];
      expect(a).toEqual(b);
      if (options.mask) expect(a!.rows.every((row) => mask[row] === 1)).toBe(true);
    }
  });

  test("rows written again, erased and copied are what they are", () => {
    for (const kernel of ["wasm", "scalar"] as const) {
      const blocks = blocksOf(world, kernel);
      const all = { factor: 100, k: 200 };
      const before = search(blocks, world, query, all).found!;
      expect(before.rows.length).toBe(200);
      const saved = blocks.save(1, 64);
      blocks.erase(1, 5);
      blocks.erase(1, 40);
      const rows = search(blocks, world, query, all).found!.rows;
      expect(rows.length).toBe(198);
      expect(rows.includes(69) || rows.includes(104)).toBe(false);
      blocks.write(1, 5, [world.rows[69]!]);
      blocks.write(1, 40, [world.rows[104]!]);
      expect(blocks.save(1, 64)).toEqual(saved);
      const other = new OneBitBlocks(blocks.shape, new Arena(scalarCodeKernel()), 96);
      const slot = other.take();
      for (let row = 0; row < 64; row++) other.copy(slot, row, blocks, 1, row);
      expect(other.save(slot, 64)).toEqual(saved);
      expect(saved.length).toBe(oneBitBytes(blocks.shape.width, 64));
      expect(blocks.checksums([1, 0])).toEqual([saved, blocks.save(0, 64)].map(scalarChecksum));
      // Thirty rows take a whole group of bits.
      other.load(slot, 30, blocks.save(0, 30));
      expect(other.save(slot, 30)).toEqual(blocks.save(0, 30));
      expect(blocks.save(0, 30).length).toBe((blocks.shape.width * GROUP_ROWS) / 8 + 30 * 12);
    }
  });

  test("a rotation keeps lengths and angles", () => {
    const blocks = blocksOf(world, "wasm");
    const [a, b] = world.rows.slice(0, 2).map((row) => {
      const padded = new Float32Array(blocks.shape.width);
      padded.set(row);
      return padded;
    }) as [Float32Array, Float32Array];
    const dot = (x: Float32Array, y: Float32Array) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
    const [ra, rb] = [blocks.rotate(a), blocks.rotate(b)];
    const size = Math.sqrt(dot(a, a) * dot(b, b));
    expect(dot(ra, ra) / dot(a, a)).toBeCloseTo(1, 5);
    expect((dot(ra, rb) - dot(a, b)) / size).toBeCloseTo(0, 5);
  });
});

test.each(["wasm", "scalar"] as const)(
  "%s: what cannot be coded is gone, what cannot be bounded is always found",
  (kernel) => {
    const rows = [
      [1, 2],
      [Number.NaN, 1],
      [Number.POSITIVE_INFINITY, 1],
      [0, 0],
      [3e38, -3e38],
    ].map((row) => Float32Array.from(row));
    const world: World = { metric: "l2", dimensions: 2, rows };
    const shape = oneBitShape({ dimensions: 2, element: "float32" }, "l2", { centre: new Float32Array(2), seed: SEED });
    const made = kernel === "wasm" ? wasmCodeKernel()! : scalarCodeKernel();
    const blocks = new OneBitBlocks(shape, new Arena(made), 32);
    expect(blocks.write(blocks.take(), 0, rows)).toEqual([1, 2]);
    const { found } = search(blocks, world, Float32Array.of(1, 2), { factor: 2, k: 1 });
    expect([...found!.rows]).toEqual(expect.arrayContaining([0, 4]));
    expect(found!.uppers[[...found!.rows].indexOf(4)]).toBe(Number.POSITIVE_INFINITY);
    expect(found!.rows.includes(1) || found!.rows.includes(2)).toBe(false);
  },
);

test("more rows than are wanted are told apart from few", () => {
  const rows = Array.from({ length: 300 }, () => Float32Array.of(1, 0, 0, 0));
  const world: World = { metric: "cosine", dimensions: 4, rows };
  for (const kernel of ["wasm", "scalar"] as const) {
    const blocks = blocksOf(world, kernel);
    expect(search(blocks, world, Float32Array.of(1, 1, 0, 0), { factor: 2, k: 3, most: 100 }).found).toBe(undefined);
    expect(search(blocks, world, Float32Array.of(1, 1, 0, 0), { factor: 2, k: 3 }).found!.rows.length).toBe(300);
  }
});

describe("recall", () => {
  test.each([
    ["isotropic noise", "cosine", 96, () => 1],
    ["a steep spectrum", "l2", 96, (i: number) => 1 / (1 + i)],
    ["sparse vectors", "dot", 128, (i: number) => (i % 16 === 3 ? 1 : 0)],
  ] as const)(
    "%s under %s: what is asked is found",
    (_, metric, dimensions, spread) => {
      const all = vectors(2300, dimensions, 5, spread);
      const world: World = { metric, dimensions, rows: all.slice(0, 2000) };
      const queries = all.slice(2000);
      const truths = queries.map((query) =>
        world.rows.map((row) => distance(metric, row, query)).sort((a, b) => a - b),
      );
      const shape = { dimensions, element: "float32" } as const;
      const sample = world.rows.slice(0, 1000).map((row) => encodeVector(row, shape, "row"));
      const factor = atOnce(calibrate({ shape, metric }, { centre: meanOf(world.rows), seed: SEED }, sample));
      expect(factor).toBeGreaterThanOrEqual(1);
      expect(factor).toBeLessThan(1.5);
      const blocks = blocksOf(world, "wasm", 1024);
      for (const recall of [0.8, 0.9, 0.95, 0.99]) {
        for (const k of [1, 10]) {
          let [found, read] = [0, 0];
          for (const [q, query] of queries.entries()) {
            const truth = truths[q]![k - 1]!;
            const options = { factor: factorFor(recall, factor, k), k };
            const { kept, read: rows } = rescored(world, search(blocks, world, query, options), query, k);
            found += kept.filter((value) => value <= truth).length / k;
            read += rows;
          }
          expect(found / queries.length).toBeGreaterThanOrEqual(recall - 0.01);
          // Or nothing would be learned from the codes.
          expect(read / queries.length).toBeLessThan(world.rows.length / 2);
        }
      }
    },
    60_000,
  );

  test("a spread is found where estimates are worse than theory has it", () => {
    expect(deviations(0.02275)).toBeCloseTo(2, 3);
    expect(deviations(0.5)).toBe(0);
    expect(factorFor(0.99, 1, 1)).toBeCloseTo(2.151, 2);
    expect(factorFor(0.95, 2, 1)).toBeCloseTo(2 * 1.448, 2);
    expect(factorFor(0.5, 1, 1)).toBe(0.5);
    // Of ten neighbours most are nearer than the last, and need less.
    expect(factorFor(0.99, 1, 10)).toBeCloseTo(1.797, 2);
    expect(factorFor(0.99, 1, 100)).toBe(factorFor(0.99, 1, 10));
    expect(factorFor(0.9, 1, 10)).toBe(factorFor(0.9, 1, 1));
    const shape = { dimensions: 8, element: "float32" } as const;
    const few = vectors(10, 8, 1).map((row) => encodeVector(row, shape, "row"));
    expect(atOnce(calibrate({ shape, metric: "l2" }, { centre: new Float32Array(8), seed: 1 }, few))).toBe(1.25);
  });
});
