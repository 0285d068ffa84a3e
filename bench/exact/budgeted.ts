// In a fresh process: queries within a memory budget.
import { freshInput } from "../lib/child.ts";
import { openDb, schemaOf } from "../lib/data-set.ts";
import { nearest, tryConfigure } from "../lib/library.ts";

export interface BudgetedInput {
  readonly file: string;
  readonly dimensions: number;
  readonly metric: "cosine" | "l2";
  readonly queries: readonly (readonly number[])[];
  /** Bytes; undefined for the library's default. */
  readonly memoryBudget: number | undefined;
}

export interface Budgeted {
  /** False: this version of the library has no such option. */
  readonly isConfigured: boolean;
  readonly plan: string;
  readonly firstMs: number;
  readonly ms: number[];
  readonly ids: number[][];
}

/** Enough for a median, however slow. */
const LEAST_MS = 2000;

const { file, dimensions, metric, queries, memoryBudget } = freshInput<BudgetedInput>();
const schema = schemaOf(dimensions, metric);
const db = openDb(file, schema);
const isConfigured = memoryBudget === undefined || tryConfigure(db, { memoryBudget });
const search = (query: readonly number[]) => nearest(db, schema.docs.embedding, query, { limit: 10 });
const start = performance.now();
const { plan } = search(queries[0]!).explain();
const firstMs = performance.now() - start;
const ids = queries.slice(0, 3).map((query) => {
  const hits = search(query).all();
  return hits.map(({ id }) => id);
});
const ms: number[] = [];
for (let i = 0, total = 0; i < 5 || (total < LEAST_MS && i < 200); i++) {
  const from = performance.now();
  search(queries[i % queries.length]!).all();
  ms.push(performance.now() - from);
  total += ms.at(-1)!;
}
console.log(JSON.stringify({ isConfigured, plan, firstMs, ms, ids } satisfies Budgeted));
