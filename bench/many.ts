// Many queries in one call beside as many calls of `nearest`; see README.md.
//
//   npx tsx many.ts [--data like-minilm,easy] [--rows 100000] [--queries 128] [--threads 1,2] [--recalls 1,0.95] [--rounds 9] [--seed 1]
import { parseArgs } from "node:util";
import { type DataSet, dataSet, inFolder, openIndexed } from "./lib/data-set.ts";
import { nearest, nearestMany, optimize, tryConfigure } from "./lib/library.ts";
import { median, sideBySide } from "./lib/measure.ts";
import { type Finding, ms, report, times } from "./lib/report.ts";
import { KINDS, type Kind } from "./lib/vectors.ts";

const LIMIT = 10;
const TARGET = 2;

const { values } = parseArgs({
  options: {
    data: { type: "string", default: "like-minilm,easy" },
    rows: { type: "string", default: "100000" },
    queries: { type: "string", default: "128" },
    threads: { type: "string", default: "1,2" },
    recalls: { type: "string", default: "1,0.95" },
    rounds: { type: "string", default: "9" },
    seed: { type: "string", default: "1" },
  },
});
const numbers = (list: string) => list.split(",").map(Number);

const findings: Finding[] = [];
for (const kind of values.data.split(",")) {
  if (!KINDS.includes(kind as Kind)) throw new Error(`${kind}: expected one of ${KINDS.join(", ")}`);
  const set = dataSet({ kind: kind as Kind, rows: Number(values.rows), dimensions: 384, seed: Number(values.seed) });
  if (set) await compare(set);
}
report("many", { title: `${values.queries} queries in one call, a query`, rows: findings });

async function compare(set: DataSet): Promise<void> {
  const queries = set.queries(Number(values.queries));
  await inFolder(async (folder) => {
    const { db, docs, docsSearch } = openIndexed(set, folder);
    await optimize(db, docsSearch);
    for (const recall of numbers(values.recalls)) {
      const options = { limit: LIMIT, recall };
      const single = () => queries.map((query) => nearest(db, docs.embedding, query, options).all());
      const many = () => nearestMany(db, docs.embedding, queries, options).all();
      const expected = JSON.stringify(single());
      const contenders: Record<string, () => void> = { single };
      for (const threads of numbers(values.threads)) {
        contenders[`threads: ${threads}`] = () => {
          tryConfigure(db, { threads });
          many();
        };
      }
      // Threads that the first calls start find their work from the next on.
      for (const run of Object.values(contenders)) run();
      await new Promise((resolve) => setTimeout(resolve, 300));
      if (JSON.stringify(many()) !== expected) throw new Error("answers differ");
      const [alone, ...others] = Object.entries(sideBySide(Number(values.rounds), contenders));
      const aloneMs = median(alone![1]) / queries.length;
      findings.push({ what: `${set.name}, recall ${recall}: calls of \`nearest\``, measured: ms(aloneMs) });
      for (const [name, taken] of others) {
        const manyMs = median(taken) / queries.length;
        const ratio = aloneMs / manyMs;
        findings.push({
          what: `… one call of \`nearestMany\`, ${name}`,
          measured: `${ms(manyMs)}, ${times(ratio)}`,
          target: `≥ ${TARGET}x`,
          met: ratio >= TARGET,
        });
      }
    }
    db.$client.close();
  });
}
