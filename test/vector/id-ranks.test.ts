import fc from "fast-check";
import { expect, test } from "vitest";
import { IdRanks } from "../../src/vector/id-ranks.ts";
import { RowIds } from "../../src/vector/row-ids.ts";

/** Ranks of ascending ids, in lists of three. */
function ranksOf(ids: readonly number[]): IdRanks | undefined {
  const lists = Array.from({ length: Math.ceil(ids.length / 3) }, (_, i) => {
    const some = BigInt64Array.from(ids.slice(i * 3, i * 3 + 3), BigInt);
    return [RowIds.fixed(some), some.length] as const;
  });
  return IdRanks.of({ least: ids[0] ?? 0, most: ids.at(-1) ?? 0, rows: ids.length }, lists);
}

test("the rank of an id is how many come before it; other numbers have none", () => {
  const start = fc.constantFrom(-70, 0, 1, 2 ** 40, 2000 - 2 ** 53, 2 ** 53 - 2000);
  const gaps = fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 100 });
  fc.assert(
    fc.property(start, gaps, (least, steps) => {
      let next = least;
      const ids = [least, ...steps.map((step) => (next += step))].slice(0, -1);
      const ranks = ranksOf(ids)!;
      for (let id = least - 40; id <= ids.at(-1)! + 40; id++) {
        const at = ids.indexOf(id);
        expect(ranks.rankOf(id)).toBe(at === -1 ? undefined : at);
      }
    }),
  );
});

test("ids too far apart, or too large to be numbers, have no ranks", () => {
  expect(ranksOf([1, 16])?.rankOf(16)).toBe(1);
  expect(ranksOf([1, 17])).toBeUndefined();
  expect(ranksOf([2 ** 53 - 1, 2 ** 53])).toBeUndefined();
  expect(ranksOf([])).toBeUndefined();
});

test("ranks take two bits for each number in their range", () => {
  expect(ranksOf([0, 255, ...Array.from({ length: 40 }, (_, i) => 256 + i)])?.bytes).toBe(2 * 4 * 10);
});
