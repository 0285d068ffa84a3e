import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CodedQuery, type RowCode, wasmCodeKernel } from "../../src/kernel/code-scan.ts";
import { scalarCodeKernel } from "../../src/kernel/scalar-code-scan.ts";
import { CodeRows } from "../helpers/code-rows.ts";
import { seeded } from "../helpers/databases.ts";

function both(codeBytes: number): { wasm: CodeRows; scalar: CodeRows } {
  const kernel = wasmCodeKernel();
  if (!kernel) throw new Error("this engine has no SIMD: the comparison would prove nothing");
  return { wasm: new CodeRows(codeBytes, kernel), scalar: new CodeRows(codeBytes, scalarCodeKernel()) };
}

const number = fc.constantFrom(0, 1, 0.5, 3.25, 1e-30, 1e30, 2 ** -149);

describe.each([1, 7, 8, 15, 16, 17, 384, 2047, 2048, 2049, 16_384])("int8 codes of %i dimensions", (width) => {
  test("the SIMD kernel finds the rows of the scalar one, with the same bounds", () => {
    const random = seeded(width);
    const code = (most: number) => Math.round((random() * 2 - 1) * most);
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            scale: number,
            error: fc.oneof(number, fc.constant(Number.POSITIVE_INFINITY)),
            offset: number,
            extreme: fc.boolean(),
          }),
          { minLength: 1, maxLength: 40 },
        ),
        fc.record({ step: number, perError: number, perScale: number, constant: number }),
        fc.record({
          k: fc.integer({ min: 1, max: 12 }),
          most: fc.integer({ min: 12, max: 30 }),
          isMasked: fc.boolean(),
          floor: fc.constantFrom(Number.NEGATIVE_INFINITY, 0, 1),
        }),
        (rows, numbers, { k, most, isMasked, floor }) => {
          const { wasm, scalar } = both(width);
          rows.forEach(({ extreme, ...row }, i) => {
            const codes = Int8Array.from({ length: width }, () => (extreme ? -128 : code(127)));
            for (const side of [wasm, scalar]) side.write(i, { codes, ...row });
          });
          for (const side of [wasm, scalar]) side.erase(0);
          const weights = Int16Array.from({ length: width }, (_, i) => (i % 3 ? code(32_767) : -32_767));
          const query: CodedQuery = { type: "codes", weights, ...numbers, perError: numbers.perError + 1e-300 };
          const input = {
            query,
            k,
            floor,
            most,
            mask: isMasked ? Uint8Array.from(rows, (_, i) => i % 2) : undefined,
          };
          const found = wasm.scan(input);
          expect(found).toEqual(scalar.scan(input));
          expect(found?.rows.includes(0) ?? false).toBe(false);
        },
      ),
      { numRuns: width > 2000 ? 15 : 60, seed: 3, endOnFailure: true },
    );
  });
});

test("the largest products of 16,384 dimensions do not overflow", () => {
  const { wasm } = both(16_384);
  wasm.write(0, { codes: new Int8Array(16_384).fill(-128), scale: 1, error: 0, offset: 0 });
  const weights = new Int16Array(16_384).fill(-32_767);
  const query: CodedQuery = { type: "codes", weights, step: 1, perError: 0, perScale: 0, constant: 0 };
  const found = wasm.scan({ query, k: 1, floor: Number.NEGATIVE_INFINITY, most: 1, mask: undefined })!;
  const exact = 16_384 * 128 * 32_767;
  expect(found.uppers[0]).toBe(exact + exact * 2 ** -22);
});

test.each([1, 2, 16, 17, 2048])("bits of %i bytes: the SIMD kernel equals the scalar one", (width) => {
  const random = seeded(width);
  const { wasm, scalar } = both(width);
  const bytes = () => Uint8Array.from({ length: width }, () => Math.floor(random() * 256));
  for (let i = 0; i < 200; i++) {
    const row: RowCode = { codes: bytes(), scale: 0, error: 0, offset: 0 };
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

test("a scan gives up when more rows survive than were asked for", () => {
  const { wasm } = both(4);
  for (let i = 0; i < 50; i++) wasm.write(i, { codes: Int8Array.of(1, 2, 3, 4), scale: 1, error: 0, offset: 0 });
  const query: CodedQuery = {
    type: "codes",
    weights: Int16Array.of(1, 1, 1, 1),
    step: 1,
    perError: 0,
    perScale: 0,
    constant: 0,
  };
  const scan = (most: number) => wasm.scan({ query, k: 1, floor: Number.NEGATIVE_INFINITY, most, mask: undefined });
  expect(scan(49)).toBeUndefined();
  expect(scan(50)!.rows).toHaveLength(50);
});
