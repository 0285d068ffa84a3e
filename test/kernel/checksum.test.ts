import { expect, test } from "vitest";
import { checksum, checksumsAt, isAscending } from "../../src/kernel/checksum.ts";
import { wasmCodeKernel } from "../../src/kernel/code-kernel.ts";
import { scalarAscend, scalarChecksum } from "../../src/kernel/scalar-checksum.ts";
import { scalarCodeKernel } from "../../src/kernel/scalar-scan.ts";
import { seeded } from "../helpers/databases.ts";

const random = seeded(3);
const bytesOf = (length: number) => Uint8Array.from({ length }, () => random() * 256);

test("a checksum is that of plain TypeScript, whatever the length, and wherever bytes lie in memory", () => {
  // Beside a step, a call that pays, and a piece.
  for (const length of [0, 1, 3, 4, 15, 16, 17, 255, 256, 257, 1000, 65_535, 65_536, 65_537, 65_552, 200_003]) {
    const bytes = bytesOf(length);
    const expected = scalarChecksum(bytes);
    expect(checksum(bytes)).toBe(expected);
    const shifted = new Uint8Array(length + 5).subarray(3, length + 3);
    shifted.set(bytes);
    expect([checksum(shifted), scalarChecksum(shifted)]).toEqual([expected, expected]);
    expect(checksum(Uint8Array.of(...bytes.subarray(0, 500), 0))).not.toBe(checksum(bytes.subarray(0, 500)));
  }
});

test("a checksum is that of format 1, for ever", () => {
  const text = new TextEncoder().encode("drizzle-vector");
  expect(checksum(text)).toBe(3832075400);
  const long = Uint8Array.from({ length: 1003 }, (_, i) => i);
  expect([checksum(long), scalarChecksum(long)]).toEqual([3653561442, 3653561442]);
});

test("a flip of any bit changes it", () => {
  const bytes = bytesOf(400);
  const before = checksum(bytes);
  for (let at = 0; at < bytes.length * 8; at++) {
    bytes[at >> 3]! ^= 1 << (at & 7);
    expect(checksum(bytes)).not.toBe(before);
    bytes[at >> 3]! ^= 1 << (at & 7);
  }
});

test.each(["wasm", "scalar"] as const)(
  "places in the memory of the %s kernel are hashed together as one by one",
  (name) => {
    const kernel = name === "wasm" ? wasmCodeKernel() : scalarCodeKernel();
    if (!kernel) throw new Error("this engine has no SIMD: the comparison would prove nothing");
    const bytes = bytesOf(9 * 4096);
    const buffer = kernel.reserve(2048 + bytes.length);
    new Uint8Array(buffer, 2048).set(bytes);
    for (const length of [0, 16, 4096]) {
      for (let count = 0; count <= 9; count++) {
        // In no order.
        const numbers = Array.from({ length: count }, (_, i) => (i * 5) % 9);
        const sums = checksumsAt(
          kernel,
          buffer,
          numbers.map((i) => 2048 + i * 4096),
          length,
        );
        expect(sums).toEqual(numbers.map((i) => scalarChecksum(bytes.subarray(i * 4096, i * 4096 + length))));
      }
    }
  },
);

test("ids ascend, or do not, at their ends and in the middle", () => {
  const largest = 2n ** 63n - 1n;
  const cases: [bigint[], boolean][] = [
    [[], true],
    [[5n], true],
    [[-largest - 1n, -1n, 0n, 1n, 2n ** 32n, largest], true],
    [[1n, 1n], false],
    [[2n, 1n, 3n], false],
    [[1n, 2n, 2n], false],
    [[0n, -1n], false],
    [[largest, -largest], false],
    // Their lower halves tell the opposite.
    [[2n ** 32n - 1n, 2n ** 32n], true],
    [[2n ** 32n, 2n ** 32n - 1n], false],
    [Array.from({ length: 4096 }, (_, i) => BigInt(i)), true],
    [Array.from({ length: 9000 }, (_, i) => BigInt(i === 8999 ? 0 : i)), false],
  ];
  for (const [ids, expected] of cases) {
    const list = BigInt64Array.from(ids);
    expect([isAscending(list), scalarAscend(list)]).toEqual([expected, expected]);
  }
});
