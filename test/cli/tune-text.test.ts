import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { tuneText } from "../../src/cli/tune-text.ts";
import type { TuneReport, TuneSetting } from "../../src/index.ts";

const setting = (recall: number, mean: number, median: number, plan: TuneSetting["plan"]): TuneSetting => ({
  recall,
  plan,
  fallback: null,
  measured: { mean, standardError: 0.001, p5: 0.9 },
  ms: { median, p95: 2 * median },
  rowsRescored: 1234,
  bytesRead: 5_600_000,
});

const report: TuneReport = {
  index: "docs_search",
  column: "embedding",
  rows: 100_000,
  limit: 10,
  recall: 0.95,
  queries: { count: 200, from: "rows", seed: 1 },
  settings: [
    setting(1, 1, 6, "certified scan"),
    setting(0.99, 0.996, 2.5, "1-bit scan"),
    setting(0.95, 0.968, 1.5, "1-bit scan"),
    setting(0.8, 0.88, 1, "1-bit scan"),
  ],
  recommendation: { recall: 0.95, reason: "it found 0.968 of them" },
  stored: null,
  ms: 1,
};

const textOf = (given: TuneReport, isStored = false) =>
  stripVTControlCharacters(tuneText(given, { isStored })).replace(/ +$/gm, "");

test("a report of tune is a table, a plot of time over recall, and a recommendation", () => {
  expect(textOf(report)).toMatchInlineSnapshot(`
    "docs_search.embedding: 100,000 vectors, limit 10, 200 rows as queries, seed 1, recall 0.95 wanted

    recall  found   worst 5 %  median ms  p95 ms  re-scored  read    plan
    exact   1.0000  0.90       6.00       12.00       1,234  5.6 MB  certified scan
    0.99    0.9960  0.90       2.50       5.00        1,234  5.6 MB  1-bit scan
    0.95    0.9680  0.90       1.50       3.00        1,234  5.6 MB  1-bit scan
    0.8     0.8800  0.90       1.00       2.00        1,234  5.6 MB  1-bit scan

           ▲
    6.00 ms┤                                                           ●
           │
           │
           │
    3.00 ms┤
           │                                                         ●
           │
           │●                                          ●
           │
    0.00 ms┤
           └┬────────────────────────────┬─────────────────────────────┬▶
       0.8800                       0.9400                        1.0000
                     share of the true nearest rows found

    recommended recall: 0.95: it found 0.968 of them
    hint        nearest is exact where a query names no recall; \`drizzle-vector tune docs_search --column embedding --store\` stores what is recommended"
  `);
});

test("where all settings found everything there is nothing to plot", () => {
  const settings = report.settings.map((one) => ({ ...one, measured: { mean: 1, standardError: 0, p5: 1 } }));
  const text = textOf({ ...report, settings, queries: { count: 1, from: "given", seed: null }, stored: 0.9 });
  expect(text).not.toContain("●");
  expect(text).toContain("1 query of yours");
  expect(text).toContain(
    "nearest goes by recall 0.9 where a query names none; `drizzle-vector tune docs_search --column",
  );
});

test("times that are far apart are plotted by their powers of ten", () => {
  const [exact, ...others] = report.settings as [TuneSetting, ...TuneSetting[]];
  const settings = [{ ...exact, ms: { median: 900, p95: 1000 } }, ...others];
  expect(
    textOf({ ...report, settings })
      .split("\n")
      .slice(8, 22)
      .join("\n"),
  ).toMatchInlineSnapshot(`
    "       ▲
    1000 ms┤                                                           ●
           │
           │
     100 ms┤
           │
           │
      10 ms┤
           │
           │                                           ●             ●
    1.00 ms┤●
           └┬────────────────────────────┬─────────────────────────────┬▶
       0.8800                       0.9400                        1.0000
                     share of the true nearest rows found"
  `);
});

test("says why the table was read in place of the index", () => {
  const [exact, one, ...others] = report.settings as [TuneSetting, TuneSetting, ...TuneSetting[]];
  const settings = [{ ...exact, fallback: "of course" }, { ...one, fallback: "for a reason" }, ...others];
  const text = textOf({ ...report, settings });
  expect(text).toContain("\n- answered from the table: for a reason\n");
  expect(text).not.toContain("of course");
});

test("says what was stored, and how to take it away", () => {
  const text = textOf({ ...report, stored: 0.95 }, true);
  expect(text).toContain(
    "stored      nearest goes by recall 0.95 where a query names none; `drizzle-vector tune docs_search --column embedding --forget` takes it away",
  );
  expect(textOf(report, true)).toMatch(/^stored {6}nearest is exact where a query names no recall$/m);
});
