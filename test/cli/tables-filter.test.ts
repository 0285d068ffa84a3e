import { expect, test } from "vitest";
import { isShutOut } from "../../src/cli/tables-filter.ts";

const table = "_dv_docs_search_fts";

test.each([
  [["!_dv_*"], true],
  [["*", "!_dv_*"], true],
  [["!tmp_*", "!_dv_*"], true],
  [["!_*"], true],
  [["docs"], true],
  [["docs", "users_{a,b}"], true],
  [["!_dv_docs_search_???"], true],
  [["![_-]dv_*"], true],
  [[], false],
  [["*"], false],
  [["!tmp_*"], false],
  [["docs", "!tmp_*"], false],
  [["_dv_*"], false],
])("the filter %j shuts our tables out: %s", (filter, expected) => {
  expect(isShutOut(table, filter)).toBe(expected);
});
