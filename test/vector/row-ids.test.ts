import fc from "fast-check";
import { expect, test } from "vitest";
import { RowIds, rowId } from "../../src/vector/row-ids.ts";

const MIN = -(2n ** 63n);
const MAX = 2n ** 63n - 1n;
const EDGES = [0n, 1n, -1n, 999_999_999_999_999n, 10n ** 15n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, MIN, MAX];
const anyId = fc.oneof(
  fc.bigInt({ min: -20n, max: 20n }),
  fc.bigInt({ min: MIN, max: MAX }),
  fc.constantFrom(...EDGES, ...EDGES.map((id) => -id).filter((id) => id <= MAX)),
);

test("bisection finds the first id that is not smaller, whatever the size of ids", () => {
  fc.assert(
    fc.property(fc.uniqueArray(anyId), fc.nat(), anyId, (ids, skipped, other) => {
      const all = BigInt64Array.from(ids).sort();
      // As a view into a larger buffer, like the ids of a stored block.
      const rows = all.subarray(skipped % (all.length + 1));
      const view = RowIds.fixed(rows);
      for (const id of [...rows, other]) {
        const at = view.bisect(rows.length, rowId(id));
        expect(at).toBe(rows.filter((each) => each < id).length);
        if (at < rows.length) expect(view.is(at, rowId(id))).toBe(rows[at] === id);
      }
    }),
  );
});

test("ids that follow each other take no memory, and are found like others", () => {
  for (const first of [1n, -3n, 2n ** 53n - 5n, -(2n ** 63n)]) {
    const rows = BigInt64Array.from({ length: 4 }, (_, i) => first + BigInt(i));
    const ids = RowIds.fixed(rows);
    expect(ids.bytes).toBe(Number.isSafeInteger(Number(first)) ? 0 : 32);
    for (const id of [first - 1n, ...rows, first + 4n, first + 100n]) {
      const at = ids.bisect(4, rowId(BigInt.asIntN(64, id)));
      expect(at).toBe(rows.filter((each) => each < BigInt.asIntN(64, id)).length);
      if (at < 4) expect([ids.exactly(at), ids.is(at, rowId(id))]).toEqual([rows[at], rows[at] === id]);
    }
  }
});
