import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Arena } from "../../src/kernel/arena.ts";
import { type BlockShape, CodeBlocks } from "../../src/kernel/code-blocks.ts";
import { wasmCodeKernel } from "../../src/kernel/code-kernel.ts";
import type { RowCode } from "../../src/kernel/coder.ts";
import { roundUp } from "../../src/kernel/module.ts";
import { scalarChecksum } from "../../src/kernel/scalar-checksum.ts";
import { scalarCodeKernel } from "../../src/kernel/scalar-scan.ts";
import type { CodedQuery } from "../../src/kernel/scan.ts";
import { CodeRows, type RowsScanInput } from "../helpers/code-rows.ts";
import { seeded } from "../helpers/databases.ts";

function both(shape: BlockShape, capacity?: number): { wasm: CodeRows; scalar: CodeRows } {
  const kernel = wasmCodeKernel();
  if (!kernel) throw new Error("this engine has no SIMD: the comparison would prove nothing");
  return { wasm: new CodeRows(shape, kernel, capacity), scalar: new CodeRows(shape, scalarCodeKernel(), capacity) };
}

const number = fc.constantFrom(0, 1, 0.5, 3.25, 1e-30, 1e30, 2 ** -149);
const norm = fc.oneof(number, fc.constant(Number.POSITIVE_INFINITY));
const NUMBERS = { step: 1, perError: 0, perScale: 0, constant: 0, unit: 1 };
const NO_TAIL = { tailStep: 0, perTailError: 0, perTailScale: 0, perTailNorm: 0 };

/** Weights as large as may be: the sum of their absolute values stays below 2^24. */
function weightsOf(length: number, random: () => number): Int16Array {
  const most = Math.min(32_767, Math.floor((2 ** 24 - 1) / Math.max(1, length)));
  return Int16Array.from({ length }, (_, i) => (i % 3 ? Math.round((random() * 2 - 1) * most) : -most));
}

describe.each([
  [1, 0],
  [7, 0],
  [16, 0],
  [17, 0],
  [384, 0],
  [2049, 0],
  [16_384, 0],
  [16, 16],
  [32, 112],
  [96, 288],
  [160, 16_224],
])("int8 codes of %i and %i dimensions", (head, tail) => {
  test("the SIMD kernel finds the rows of the scalar one, with the same bounds", () => {
    const random = seeded(head + tail);
    const code = () => Math.round((random() * 2 - 1) * 127);
    const shape = { headBytes: roundUp(head, 16), tailBytes: tail };
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            params: fc.tuple(fc.oneof(number.map((value) => -value)), number, norm, norm, number, norm),
            extreme: fc.boolean(),
          }),
          { minLength: 1, maxLength: 40 },
        ),
        fc.record({
          step: number,
          perError: number,
          perScale: number,
          constant: number,
          unit: fc.constantFrom(1, 2 ** -100, 2 ** 100, 2 ** -3),
          tailStep: number,
          perTailError: number,
          perTailScale: number,
          perTailNorm: number,
        }),
        fc.record({
          k: fc.integer({ min: 1, max: 12 }),
          most: fc.integer({ min: 12, max: 30 }),
          // One row in so many is asked for: where few are, the kernel passes over many at once.
          oneIn: fc.constantFrom(1, 2, 19),
          floor: fc.constantFrom(Number.NEGATIVE_INFINITY, 0, 1),
          capacity: fc.constantFrom(4, 8, 32),
        }),
        (rows, numbers, { k, most, oneIn, floor, capacity }) => {
          const { wasm, scalar } = both(shape, capacity);
          rows.forEach(({ extreme, params }, i) => {
            const codes = (length: number) =>
              new Uint8Array(Int8Array.from({ length }, () => (extreme ? -128 : code())).buffer);
            const row = { head: codes(head), tail: codes(tail), params: Float32Array.from(params) };
            for (const side of [wasm, scalar]) side.write(i, row);
          });
          for (const side of [wasm, scalar]) side.erase(0);
          // As a space gives them: never 0.
          for (const name of ["perError", "perTailError", "perTailNorm"] as const) numbers[name] += 1e-300;
          const query: CodedQuery = {
            type: "codes",
            weights: weightsOf(head, random),
            tailWeights: weightsOf(tail, random),
            numbers,
          };
          const mask = oneIn === 1 ? undefined : Uint8Array.from(rows, (_, i) => +(i % oneIn === 1));
          const input: RowsScanInput = { query, k, floor, most, mask };
          const found = wasm.scan(input);
          expect(found).toEqual(scalar.scan(input));
          expect(found?.rows.includes(0) ?? false).toBe(false);
        },
      ),
      { numRuns: head + tail > 2000 ? 20 : 150, seed: 3, endOnFailure: true },
    );
  });
});

test.each([
  [16_384, 0],
  [16, 16_368],
])("the largest products of %i and %i dimensions do not overflow", (headBytes, tailBytes) => {
  const { wasm } = both({ headBytes, tailBytes });
  const least = (length: number) => new Uint8Array(length).fill(-128);
  wasm.write(0, { head: least(headBytes), tail: least(tailBytes), params: Float32Array.of(0, 1, 0, 2 ** 40, 1, 0) });
  const most = Math.floor((2 ** 24 - 1) / Math.max(headBytes, tailBytes));
  const weights = (length: number) => new Int16Array(length).fill(-most);
  const query: CodedQuery = {
    type: "codes",
    weights: weights(headBytes),
    tailWeights: weights(tailBytes),
    numbers: { ...NUMBERS, ...NO_TAIL, tailStep: 1, perTailNorm: 1 },
  };
  const found = wasm.scan({ query, k: 1, floor: Number.NEGATIVE_INFINITY, most: 1 })!;
  const exact = 16_384 * 128 * most;
  expect(found.uppers[0]).toBe(exact + exact * 2 ** -22);
});

test("what is found does not depend on how rows lie in blocks", () => {
  const random = seeded(9);
  const shape = { headBytes: 16, tailBytes: 48 };
  const codes = (length: number) => Uint8Array.from({ length }, () => Math.floor(random() * 256));
  const rows = Array.from({ length: 5000 }, () => ({
    head: codes(16),
    tail: codes(48),
    params: Float32Array.of(0, 0.01, 0.02, 2.5, 0.004, 0.03),
  }));
  const query: CodedQuery = {
    type: "codes",
    weights: weightsOf(16, random),
    tailWeights: weightsOf(48, random),
    numbers: {
      step: 1e-5,
      perError: 1,
      perScale: 1e-4,
      constant: 1e-9,
      unit: 1,
      tailStep: 1e-5,
      perTailError: 0.5,
      perTailScale: 1e-4,
      perTailNorm: 0.5,
    },
  };
  const scan = (capacity: number) => {
    const { wasm } = both(shape, capacity);
    for (const [i, row] of rows.entries()) wasm.write(i, row);
    return wasm.scan({ query, k: 10, floor: Number.NEGATIVE_INFINITY, most: 2000 });
  };
  const found = scan(32);
  expect(found!.rows.length).toBeGreaterThanOrEqual(10);
  expect(found!.rows.length).toBeLessThan(2000);
  expect(scan(2048)).toEqual(found);
  expect(scan(8192)).toEqual(found);
});

test.each([
  ["all of them", undefined],
  ["some of them", 3],
  ["few of them", 17],
])("tails of more rows than are put off at once: %s", (_, every) => {
  const random = seeded(21);
  const count = 70_000;
  const { wasm, scalar } = both({ headBytes: 16, tailBytes: 16 }, 4096);
  const codes = () => Uint8Array.from({ length: 16 }, () => Math.floor(random() * 256));
  for (let i = 0; i < count; i++) {
    const row = {
      head: codes(),
      tail: codes(),
      params: Float32Array.of(0, i < 69_000 ? 0.01 : 0.02, 0.02, 1.5, 0.004, 0.03),
    };
    for (const side of [wasm, scalar]) side.write(i, row);
  }
  const mask = every && Uint8Array.from({ length: count }, (_, i) => (i % every === 0 ? 1 : 0));
  for (const k of [1, 40]) {
    const numbers = {
      ...NUMBERS,
      ...NO_TAIL,
      step: 1e-5,
      perError: 1,
      tailStep: 1e-5,
      perTailError: 0.5,
      perTailNorm: 0.5,
    };
    const [weights, tailWeights] = [weightsOf(16, random), weightsOf(16, random)];
    const query: CodedQuery = { type: "codes", weights, tailWeights, numbers };
    const input = { query, k, floor: Number.NEGATIVE_INFINITY, most: 2000, mask: mask || undefined };
    const found = wasm.scan(input)!;
    expect(found).toEqual(scalar.scan(input));
    expect(found.rows.length).toBeGreaterThanOrEqual(k);
    expect(found.rows.some((row) => row >= 65_536)).toBe(true);
  }
});

test.each([1, 2, 16, 17, 2048])("bits of %i bytes: the SIMD kernel equals the scalar one", (width) => {
  const random = seeded(width);
  const { wasm, scalar } = both({ headBytes: roundUp(width, 16), tailBytes: 0 });
  const bytes = () => Uint8Array.from({ length: width }, () => Math.floor(random() * 256));
  for (let i = 0; i < 200; i++) {
    const row: RowCode = { head: bytes(), tail: new Uint8Array(), params: new Float32Array(3) };
    for (const side of [wasm, scalar]) side.write(i, row);
  }
  for (const side of [wasm, scalar]) side.erase(7);
  for (const k of [1, 10, 300]) {
    const input = {
      query: { type: "bits" as const, bytes: bytes() },
      k,
      floor: Number.NEGATIVE_INFINITY,
      most: 300,
      mask: undefined,
    };
    const found = wasm.scan(input)!;
    expect(found).toEqual(scalar.scan(input));
    expect(found.rows.length).toBeGreaterThanOrEqual(Math.min(k, 199));
  }
});

test.each([0, 16])("a scan gives up when more rows survive than were asked for; %i bytes of tail", (tailBytes) => {
  const { wasm } = both({ headBytes: 16, tailBytes });
  const row = {
    head: Uint8Array.of(1, 2, 3, 4),
    tail: new Uint8Array(tailBytes),
    params: Float32Array.of(0, 1, 0, 0, 0, 0),
  };
  for (let i = 0; i < 50; i++) wasm.write(i, row);
  const query: CodedQuery = {
    type: "codes",
    weights: Int16Array.of(1, 1, 1, 1),
    tailWeights: new Int16Array(tailBytes),
    numbers: { ...NUMBERS, ...NO_TAIL },
  };
  const scan = (most: number) => wasm.scan({ query, k: 1, floor: Number.NEGATIVE_INFINITY, most });
  expect(scan(49)).toBeUndefined();
  expect(scan(50)!.rows).toHaveLength(50);
});

test.each([
  [16, 0],
  [96, 288],
  [0, 0],
])("checksums of full slots of %i and %i bytes a row are those of what they save", (headBytes, tailBytes) => {
  const random = seeded(headBytes);
  for (const kernel of [wasmCodeKernel()!, scalarCodeKernel()]) {
    const blocks = new CodeBlocks({ headBytes, tailBytes }, new Arena(kernel), 4);
    const bytes = (length: number) => Uint8Array.from({ length }, () => random() * 256);
    const slots = [0, 1, 2].map(() => blocks.take());
    for (const slot of slots) {
      for (let row = 0; row < 4; row++) {
        const params = Float32Array.from({ length: 6 }, random);
        blocks.write(slot, row, { head: bytes(headBytes), tail: bytes(tailBytes), params });
      }
    }
    expect(blocks.checksums([2, 0, 1])).toEqual([2, 0, 1].map((slot) => scalarChecksum(blocks.save(slot, 4))));
  }
});
