import { expect, test } from "vitest";
import { IdRanks } from "../../src/vector/id-ranks.ts";
import { type RowId, RowIds } from "../../src/vector/row-ids.ts";
import { type Run, Selection } from "../../src/vector/selection.ts";

/** Rows 10 to 21, or with gaps 10, 12 … 32, in two blocks of twelve from the second of them on; row 7 in the first; row 8 was left out. */
function selectionOf(run: Partial<Run> & Pick<Run, "most">): Selection {
  const find = (id: RowId) => (id === 7 ? 4 : id === 8 ? ("wrongLength" as const) : undefined);
  return new Selection({
    capacity: 12,
    blocks: 3,
    find,
    run: { least: 10, at: 12, ranks: undefined, isGone: undefined, ...run },
  });
}

const selected = (selection: Selection) =>
  [0, 1, 2].map((block) => {
    const mask = selection.maskOf(block);
    return mask && [...mask.keys()].filter((row) => mask[row] === 1);
  });
const listOf = (...ids: (number | bigint)[]) => new TextEncoder().encode(ids.join(","));

test("rows are selected by a list of ids; those left out are counted, and those unknown are told", () => {
  const selection = selectionOf({ most: 25 });
  expect(selection.addList(listOf(10, 7, 21, 9, 8, 26, -3, 2n ** 60n))).toEqual([9, 26, -3, 2n ** 60n]);
  expect(selected(selection)).toEqual([[4], [0, 11], undefined]);
  expect([selection.size, selection.skipped]).toEqual([3, ["wrongLength"]]);

  expect(selection.addList(listOf(22))).toEqual([]);
  selection.addPlace(35);
  expect(selected(selection)).toEqual([[4], [0, 11], [0, 11]]);
  expect(selection.size).toBe(5);
});

test("no ids select no rows", () => {
  const selection = selectionOf({ most: 25 });
  expect(selection.addList(new Uint8Array())).toEqual([]);
  expect([selected(selection), selection.size]).toEqual([[undefined, undefined, undefined], 0]);
});

test("among ids with gaps, and where rows are gone, the same ones are found", () => {
  const ids = BigInt64Array.from({ length: 12 }, (_, i) => BigInt(10 + 2 * i));
  const ranks = IdRanks.of({ least: 10, most: 32, rows: 12 }, [[RowIds.fixed(ids), 12]])!;
  const isGone = (at: number) => at === 13;
  const gaps = selectionOf({ most: 32, ranks });
  expect(gaps.addList(listOf(10, 12, 13, 32, 34))).toEqual([13, 34]);
  expect(selected(gaps)).toEqual([undefined, [0, 1, 11], undefined]);

  const gone = selectionOf({ most: 25, isGone });
  expect(gone.addList(listOf(10, 11, 12))).toEqual([11]);
  expect(selected(gone)).toEqual([undefined, [0, 2], undefined]);

  const both = selectionOf({ most: 32, ranks, isGone });
  expect(both.addList(listOf(10, 12, 14))).toEqual([12]);
  expect(selected(both)).toEqual([undefined, [0, 2], undefined]);
});

test("without a run each row is looked for", () => {
  const find = (id: RowId) => (typeof id === "number" && id < 3 ? id : undefined);
  const selection = new Selection({ capacity: 4, blocks: 1, find, run: undefined });
  expect(selection.addList(listOf(0, 2, 3))).toEqual([3]);
  expect(selection.maskOf(0)).toEqual(Uint8Array.of(1, 0, 1, 0));
});
