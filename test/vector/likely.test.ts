import { describe, expect, test } from "vitest";
import { encodeVector } from "../../src/codec/codec.ts";
import type { Steps } from "../../src/driver/driver.ts";
import { atOnce } from "../../src/kernel/breathing.ts";
import { type CodeKernel, wasmCodeKernel } from "../../src/kernel/code-kernel.ts";
import { scalarCodeKernel } from "../../src/kernel/scalar-scan.ts";
import type { Metric } from "../../src/metric/metric.ts";
import type { CodeSearch, CodesFound } from "../../src/vector/code-scans.ts";
import { columnSpace, fitColumn } from "../../src/vector/column-space.ts";
import { ResidentCodes } from "../../src/vector/resident-codes.ts";
import { seeded } from "../helpers/databases.ts";

const [ROWS, CAPACITY, SAMPLE] = [600, 64, 200];

interface World {
  readonly metric: Metric;
  readonly dimensions: number;
  /** How wide each dimension is spread: what falls off fast is kept as heads and tails. */
  readonly spread: (i: number) => number;
}

interface Options extends Partial<Pick<CodeSearch, "k" | "most" | "maxDistance">> {
  readonly factor?: number;
  /** Every third row alone is asked. */
  readonly isFiltered?: boolean;
}

/** Rows that lie in groups, numbered from 0, and queries that lie near groups. */
function vectorsOf({ dimensions, spread }: World, count: number, seed: number): Float32Array[] {
  const random = seeded(seed);
  const middles = Array.from({ length: 40 }, (_, group) => {
    const middle = seeded(group);
    return Float32Array.from({ length: dimensions }, (_, i) => (middle() - 0.5) * spread(i));
  });
  return Array.from({ length: count }, (_, n) =>
    middles[n % middles.length]!.map((value, i) => value + (random() - 0.5) * 0.6 * spread(i)),
  );
}

function codesOf(world: World, kernel: CodeKernel | undefined): ResidentCodes {
  if (!kernel) throw new Error("this engine has no SIMD: the comparison would prove nothing");
  const shape = { dimensions: world.dimensions, element: "float32" } as const;
  const input = { shape, metric: world.metric, isExact: true };
  const rows = vectorsOf(world, ROWS, 1).map((vector) => encodeVector(vector, shape, "vector"));
  const codes = new ResidentCodes(
    columnSpace(input, atOnce(fitColumn(input, rows.slice(0, SAMPLE))))!,
    kernel,
    CAPACITY,
  );
  codes.setAll(rows.map((bytes, id) => [BigInt(id), bytes]));
  codes.finishLoad();
  for (const id of [3n, 77n, 599n]) codes.delete(id);
  return codes;
}

/** The answer of steps that have nothing to ask. */
function answerOf<T>(steps: Steps<T>): T {
  const { value, done } = steps.next();
  if (!done) throw new Error("all codes are in memory");
  return value;
}

function search(codes: ResidentCodes, query: Float32Array, options: Options): CodesFound | undefined {
  const { k = 10, most = ROWS, maxDistance = Number.POSITIVE_INFINITY, factor, isFiltered } = options;
  const encoded = encodeVector(query, codes.space.shape, "query");
  const among = isFiltered ? codes.selection() : undefined;
  among?.addList(new TextEncoder().encode(Array.from({ length: ROWS / 3 }, (_, i) => i * 3).join(",")));
  const likely = factor === undefined ? undefined : { query: codes.scans.likelyQuery(encoded, factor), most };
  const read = () => {
    throw new Error("all codes are in memory");
  };
  const of: CodeSearch = { query: codes.space.query(encoded), k, most, maxDistance, among, likely };
  return answerOf(codes.scans.search(of, read));
}

describe.each([
  ["cosine, heads and tails", { metric: "cosine", dimensions: 128, spread: (i: number) => 1 / (1 + i / 4) }],
  ["l2, heads and tails", { metric: "l2", dimensions: 200, spread: (i: number) => 3 / (1 + i / 8) }],
  ["dot, heads alone", { metric: "dot", dimensions: 64, spread: () => 1 }],
  ["l2, heads alone", { metric: "l2", dimensions: 33, spread: () => 0.1 }],
  ["cosine, few dimensions", { metric: "cosine", dimensions: 3, spread: () => 1 }],
] as [string, World][])("rows that 1-bit codes find likely, %s", (_, world) => {
  const [wasm, scalar] = [codesOf(world, wasmCodeKernel()), codesOf(world, scalarCodeKernel())];
  const queries = vectorsOf(world, 12, 2);
  const settings: Options[] = [
    { factor: 2 },
    { factor: 0.5, k: 1 },
    { factor: 1, k: 40 },
    { factor: 2, isFiltered: true },
    { factor: 2, maxDistance: 0.3 },
    { factor: 2, k: 10, most: 15 },
    { factor: 50 },
  ];

  test.each(settings)("the SIMD kernels look at them as the scalar ones do, to the last bit: %o", (options) => {
    for (const query of queries) {
      const found = search(wasm, query, options);
      expect(found).toEqual(search(scalar, query, options));
      expect(found?.survivors.some(({ id }) => [3n, 77n, 599n].includes(id)) ?? false).toBe(false);
      if (options.isFiltered) expect(found!.survivors.every(({ id }) => id % 3n === 0n)).toBe(true);
    }
  });

  test("with many deviations the rows left are those of the codes for exact answers, with few some of them", () => {
    for (const query of queries) {
      for (const isFiltered of [false, true]) {
        const [all, some] = [50, 0.3].map((factor) => search(wasm, query, { factor, isFiltered })!);
        const exact = search(wasm, query, { isFiltered })!;
        expect(all!.survivors).toEqual(exact.survivors);
        expect(all!.threshold).toBe(exact.threshold);
        const uppers = new Map(exact.survivors.map(({ id, upper }) => [id, upper]));
        const known = some!.survivors.filter(({ id }) => uppers.has(id));
        expect(known.every(({ id, upper }) => uppers.get(id) === upper)).toBe(true);
        expect(known.length).toBeGreaterThan(0);
      }
    }
  });

  test("gives up where more rows are likely than it may look at", () => {
    for (const kernel of [wasm, scalar]) {
      expect(search(kernel, queries[0]!, { factor: 50, k: 2, most: 40 })).toBeUndefined();
      expect(search(kernel, queries[0]!, { factor: 0.5, k: 2, most: 300 })?.survivors.length).toBeGreaterThanOrEqual(2);
    }
  });
});
