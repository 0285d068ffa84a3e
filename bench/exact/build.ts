import { type DataSet, dataSet, inFolder, openIndexed, vectorsOf } from "../lib/data-set.ts";
import { canPersist, nearest, optimize } from "../lib/library.ts";
import { median } from "../lib/measure.ts";
import { type Finding, type Findings, ms, seconds } from "../lib/report.ts";
import { recallOf, truthOf } from "../lib/truth.ts";
import { DIMENSIONS, LIMIT, type Options } from "./options.ts";

const BUILDS = 3;
const QUERIES = 20;
const WIDE_DIMENSIONS = 1536;

/** Time to build the index of a table that has all its rows: `optimize` where the library has it, else its first query. */
export async function build({ seed, rows, kinds }: Options): Promise<Findings> {
  const findings: Finding[] = [];
  for (const kind of kinds) {
    const set = dataSet({ kind, rows, dimensions: DIMENSIONS, seed });
    if (set) findings.push(await buildOf(set, BUILDS, 3000));
  }
  return { title: "Full build", rows: findings };
}

/** Wide vectors: build and answer. */
export async function wide({ seed, rounds, rows }: Options): Promise<Findings> {
  const set = dataSet({ kind: "like-minilm", rows, dimensions: WIDE_DIMENSIONS, seed })!;
  const built = await buildOf(set, 1, 20_000);
  return inFolder(async (folder) => {
    const { db, docs, docsSearch } = openIndexed(set, folder);
    await optimize(db, docsSearch);
    const queries = set.queries(QUERIES);
    const vectors = vectorsOf(set);
    for (const query of queries.slice(0, 5)) {
      const hits = nearest(db, docs.embedding, query, { limit: LIMIT }).all();
      const found = hits.map(({ id }) => id);
      if (recallOf(truthOf(set, vectors, query, LIMIT), found, LIMIT) < 1)
        throw new Error(`${set.name}: a wrong answer`);
    }
    const taken = Array.from({ length: rounds * QUERIES }, (_, i) => {
      const start = performance.now();
      nearest(db, docs.embedding, queries[i % QUERIES]!, { limit: LIMIT }).all();
      return performance.now() - start;
    });
    db.$client.close();
    const value = median(taken);
    const answer = { what: `${set.name}: exact top 10`, measured: ms(value), target: "≤ 4 ms", met: value <= 4 };
    return { title: "Wide vectors", rows: [built, answer] };
  });
}

async function buildOf(set: DataSet, builds: number, targetMs: number): Promise<Finding> {
  const taken: number[] = [];
  for (let i = 0; i < builds; i++) {
    await inFolder(async (folder) => {
      const { db, docs, docsSearch } = openIndexed(set, folder);
      const start = performance.now();
      if (canPersist) await optimize(db, docsSearch);
      else nearest(db, docs.embedding, set.queries(1)[0]!, { limit: LIMIT }).all();
      taken.push(performance.now() - start);
      db.$client.close();
    });
  }
  const value = median(taken);
  return {
    what: `${set.name}: ${canPersist ? "optimize" : "first query"}`,
    measured: seconds(value),
    target: `≤ ${targetMs / 1000} s`,
    met: value <= targetMs,
  };
}
