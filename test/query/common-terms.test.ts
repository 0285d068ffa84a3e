import { expect, test } from "vitest";
import {
  COST_MAX,
  COST_MAX_CUT,
  rowsOfTerms,
  tooCommon,
  trigramSample,
  trigramsCost,
} from "../../src/query/common-terms.ts";

test("rows are counted up to 1,024; beyond, the reach of the first 1,024 among all ids tells", () => {
  const counted = (count: number, reach: number | null) => [JSON.stringify([count, reach]), 1n, 100_000n];
  expect(rowsOfTerms([counted(0, null), counted(7, 99_000), counted(1024, 1024), counted(1024, 50_000)])).toEqual([
    0, 7, 100_000, 2048,
  ]);
});

test("the rarest terms are kept, until they cost as much as they may, of a text that is cut a quarter of that", () => {
  const mixed = [40_000, 10, 40_000, 3000, 2000, 120_000, 30_000];
  expect(tooCommon(mixed, COST_MAX)).toEqual(new Set([5]));
  expect(tooCommon(mixed, COST_MAX_CUT)).toEqual(new Set([0, 2, 5]));
  const alike = Array.from({ length: 64 }, () => 300);
  expect(tooCommon(alike, COST_MAX)).toEqual(new Set());
  expect(tooCommon(alike, COST_MAX_CUT)).toEqual(new Set(range(59, 64)));
});

test("nothing is left out of what a small table holds", () => {
  expect(
    tooCommon(
      Array.from({ length: 64 }, () => 250),
      COST_MAX_CUT,
    ),
  ).toEqual(new Set());
});

test("terms are kept, however common, until 4,096 rows are there to fill a page", () => {
  expect(tooCommon([900_000], COST_MAX)).toEqual(new Set());
  expect(tooCommon([5, 900_000, 4000], COST_MAX)).toEqual(new Set());
  expect(tooCommon([5, 900_000, 4100], COST_MAX)).toEqual(new Set([1]));
});

test("what it takes to find the rows of a term counts, too", () => {
  const rows = [5000, 300, 400, 500];
  expect(tooCommon(rows, COST_MAX)).toEqual(new Set());
  expect(tooCommon(rows, COST_MAX, [5_600_000, 0, 0, 0])).toEqual(new Set());
  expect(tooCommon([...rows, 6000], COST_MAX, [5_400_000, 0, 0, 0, 0])).toEqual(new Set([4]));
});

test("a term of a trigram index is as rare as the rarest of its first, middle and last trigram, and costs by all of them", () => {
  expect(trigramSample("boundary")).toEqual(["bou", "und", "ary"]);
  expect(trigramSample("flow")).toEqual(["flo", "low"]);
  expect(trigramSample("c++")).toEqual(["c++"]);
  expect(trigramSample("𝒜𝒷𝒸𝒹")).toEqual(["𝒜𝒷𝒸", "𝒷𝒸𝒹"]);
  expect(trigramsCost("boundary", 1000)).toBe(30_000);
  expect(trigramsCost("c++", 1000)).toBe(5000);
});

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}
