import { runFresh } from "../lib/child.ts";
import { dataSet, inFolder, openIndexed, vectorsOf, warm } from "../lib/data-set.ts";
import { optimize } from "../lib/library.ts";
import { median } from "../lib/measure.ts";
import { type Finding, type Findings, ms } from "../lib/report.ts";
import { recallOf, truthOf } from "../lib/truth.ts";
import type { FirstHits, FirstHitsInput } from "./first-hits.ts";
import { DIMENSIONS, LIMIT, type Options } from "./options.ts";

const TARGET_MS = 150;
const PROCESSES = 5;

/** `new Database(file)` to the first typed hits in fresh processes, modules loaded, the file in the system's page cache. */
export async function coldStart({ seed, rows, kinds }: Options): Promise<Findings> {
  const findings: Finding[] = [];
  for (const kind of kinds) {
    const set = dataSet({ kind, rows, dimensions: DIMENSIONS, seed });
    if (!set) continue;
    await inFolder(async (folder) => {
      const { db, docsSearch, file } = openIndexed(set, folder);
      await optimize(db, docsSearch);
      db.$client.close();
      const query = set.queries(1)[0]!;
      warm(file);
      const { dimensions, metric } = set;
      const input: FirstHitsInput = { file, dimensions, metric, query: Array.from(query) };
      const runs = Array.from({ length: PROCESSES }, () => runFresh<FirstHits>("exact/first-hits.ts", input));
      const truth = truthOf(set, vectorsOf(set), query, LIMIT);
      if (runs.some(({ ids }) => recallOf(truth, ids, LIMIT) < 1)) throw new Error(`${set.name}: a wrong answer`);
      const value = median(runs.map((run) => run.ms));
      const target = `≤ ${TARGET_MS} ms`;
      findings.push({ what: `${set.name}: open to first hits`, measured: ms(value), target, met: value <= TARGET_MS });
    });
  }
  return { title: "Cold start", rows: findings };
}
