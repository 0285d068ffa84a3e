import { runFresh } from "../lib/child.ts";
import { dataSet, inFolder, openIndexed, vectorsOf } from "../lib/data-set.ts";
import { canPersist, optimize } from "../lib/library.ts";
import { median } from "../lib/measure.ts";
import { type Finding, type Findings, ms, seconds } from "../lib/report.ts";
import { recallOf, truthOf } from "../lib/truth.ts";
import type { Budgeted, BudgetedInput } from "./budgeted.ts";
import { DIMENSIONS, LIMIT, type Options } from "./options.ts";

const MB = 2 ** 20;
const CASES = [
  { memoryBudget: 512 * MB, name: "memoryBudget 512 MB", targetMs: 10 },
  { memoryBudget: undefined, name: "default memoryBudget", targetMs: 300 },
];

/** Ten times the rows of the other measures, within a budget that holds the codes and within one that does not. */
export async function million({ seed, rows }: Options): Promise<Findings> {
  const set = dataSet({ kind: "like-minilm", rows: rows * 10, dimensions: DIMENSIONS, seed })!;
  const { dimensions, metric } = set;
  const queries = set.queries(20);
  const vectors = vectorsOf(set);
  const truths = queries.slice(0, 3).map((query) => truthOf(set, vectors, query, LIMIT));
  return inFolder(async (folder) => {
    const { db, docsSearch, file } = openIndexed(set, folder);
    const start = performance.now();
    await optimize(db, docsSearch);
    const findings: Finding[] = canPersist
      ? [{ what: `${set.name}: optimize`, measured: seconds(performance.now() - start) }]
      : [];
    db.$client.close();
    for (const { memoryBudget, name, targetMs } of CASES) {
      const input: BudgetedInput = {
        file,
        dimensions,
        metric,
        memoryBudget,
        queries: queries.map((query) => Array.from(query)),
      };
      const { isConfigured, plan, firstMs, ids, ms: taken } = runFresh<Budgeted>("exact/budgeted.ts", input);
      if (!isConfigured)
        console.log(`${name}: this version of the library has no such option; its default was measured`);
      if (ids.some((found, q) => recallOf(truths[q]!, found, LIMIT) < 1))
        throw new Error(`${set.name}: a wrong answer`);
      const value = median(taken);
      findings.push({
        what: `${set.name}: ${name} (${plan}${isConfigured ? "" : ", the option is not known"})`,
        measured: `${ms(value)}, first ${ms(firstMs)}`,
        target: `≤ ${targetMs} ms`,
        met: value <= targetMs,
      });
    }
    return { title: "A million rows", rows: findings };
  });
}
