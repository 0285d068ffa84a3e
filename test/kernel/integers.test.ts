import Database from "better-sqlite3";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type IntegerRange, readIntegers, scalarIntegers } from "../../src/kernel/integers.ts";

const MIN = -(2n ** 63n);
const MAX = 2n ** 63n - 1n;
const EDGES = [0n, 1n, 9_999_999n, 10_000_000n, 99_999_999n, 100_000_000n, 2n ** 31n, 2n ** 53n, 10n ** 15n, MIN, MAX];
const anyInteger = fc.oneof(
  fc.bigInt({ min: -20n, max: 20n }),
  fc.bigInt({ min: MIN, max: MAX }),
  fc.constantFrom(...EDGES, ...EDGES.map((value) => -value).filter((value) => value <= MAX)),
);
const anyRange = fc.record({
  least: fc.oneof(fc.constantFrom(-5, 0, 1, 9_999_990, 2 ** 53 - 9), fc.maxSafeInteger()),
  count: fc.constantFrom(0, 1, 10, 100_000, 2 ** 31),
});

/** What is near and what is not, each in its order. */
function read(how: typeof scalarIntegers, text: Uint8Array, range: IntegerRange) {
  const near: number[] = [];
  const far: bigint[] = [];
  how(text, range, { near: (offsets) => near.push(...offsets), far: (integer) => far.push(integer) });
  return { near, far };
}

test.each([
  ["the kernel", readIntegers],
  ["plain TypeScript", scalarIntegers],
])("%s reads integers of 64 bits as they were written: offsets within the range, else the integers", (_, how) => {
  fc.assert(
    fc.property(fc.array(anyInteger), anyRange, (integers, range) => {
      const isNear = (value: bigint) => value >= range.least && value < BigInt(range.least) + BigInt(range.count);
      expect(read(how, new TextEncoder().encode(integers.join(",")), range)).toEqual({
        near: integers.filter(isNear).map((value) => Number(value - BigInt(range.least))),
        far: integers.filter((value) => !isNear(value)),
      });
    }),
  );
});

test("a text of many pieces is read to its end, wherever an integer lies across two", () => {
  for (let shift = 0; shift < 8; shift++) {
    const integers = Array.from({ length: 20_000 }, (_, i) => (i % 3 === 0 ? -i : i * 7));
    const text = new TextEncoder().encode([10 ** shift, ...integers].join(","));
    const range = { least: 0, count: 50_000 };
    expect(read(readIntegers, text, range)).toEqual(read(scalarIntegers, text, range));
  }
  // No integer is shorter: as many as a piece can hold.
  const ones = new TextEncoder().encode(Array(40_000).fill(1).join(","));
  expect(read(readIntegers, ones, { least: 1, count: 1 }).near).toEqual(Array(40_000).fill(0));
  expect(read(readIntegers, ones, { least: 2, count: 1 }).far).toEqual(Array(40_000).fill(1n));
});

test.each(["UTF-8", "UTF-16le", "UTF-16be"])("integers that a database of %s lists are read", (encoding) => {
  const client = new Database(":memory:");
  client.pragma(`encoding = '${encoding}'`);
  client.exec("create table t (id integer primary key); insert into t values (-7), (3), (12345678901), (40)");
  const list = client.prepare("select cast(group_concat(id) as blob) from t where id >= ?").pluck();
  expect(read(readIntegers, list.get(-100) as Uint8Array, { least: 3, count: 100 })).toEqual({
    near: [0, 37],
    far: [-7n, 12345678901n],
  });
  expect(read(readIntegers, list.get(12345678901) as Uint8Array, { least: 3, count: 1 }).far).toEqual([12345678901n]);
  client.exec("delete from t where id > 3");
  expect(read(readIntegers, list.get(0) as Uint8Array, { least: 3, count: 1 })).toEqual({ near: [0], far: [] });
  client.close();
});
