import fc from "fast-check";
import { expect, test } from "vitest";
import { eachId, type RowId, RowIds, rowId } from "../../src/vector/row-ids.ts";

const MIN = -(2n ** 63n);
const MAX = 2n ** 63n - 1n;
const EDGES = [0n, 1n, -1n, 999_999_999_999_999n, 10n ** 15n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, MIN, MAX];
const anyId = fc.oneof(
  fc.bigInt({ min: -20n, max: 20n }),
  fc.bigInt({ min: MIN, max: MAX }),
  fc.constantFrom(...EDGES, ...EDGES.map((id) => -id).filter((id) => id <= MAX)),
);

test("ids come out of a list as they went in: numbers where that is safe, else bigints", () => {
  fc.assert(
    fc.property(fc.array(anyId), (ids) => {
      const found: RowId[] = [];
      eachId(ids.join(","), (id) => found.push(id));
      expect(found.map(BigInt)).toEqual(ids);
      expect(found.every((id) => typeof id === "bigint" || Number.isSafeInteger(id))).toBe(true);
    }),
  );
});

test("bisection finds the first id that is not smaller, whatever the size of ids", () => {
  fc.assert(
    fc.property(fc.uniqueArray(anyId), fc.nat(), anyId, (ids, skipped, other) => {
      const all = BigInt64Array.from(ids).sort();
      // As a view into a larger buffer, like the ids of a stored block.
      const rows = all.subarray(skipped % (all.length + 1));
      const view = new RowIds(rows);
      for (const id of [...rows, other]) {
        const at = view.bisect(rows.length, rowId(id));
        expect(at).toBe(rows.filter((each) => each < id).length);
        if (at < rows.length) expect(view.is(at, rowId(id))).toBe(rows[at] === id);
      }
    }),
  );
});
