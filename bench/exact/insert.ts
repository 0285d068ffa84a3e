import { dataSet, inFolder, openIndexed } from "../lib/data-set.ts";
import { nearest, optimize } from "../lib/library.ts";
import { median } from "../lib/measure.ts";
import { type Finding, type Findings, ms, times } from "../lib/report.ts";
import { DIMENSIONS, LIMIT, type Options } from "./options.ts";

const TARGET = 1.2;
const PAIRS_A_ROUND = 30;

/** A query after a single insert beside one after nothing, in turn. The row inserted is the query itself, and has to come first. */
export async function insertThenQuery({ seed, rounds, rows, kinds }: Options): Promise<Findings> {
  const findings: Finding[] = [];
  for (const kind of kinds) {
    const set = dataSet({ kind, rows, dimensions: DIMENSIONS, seed });
    if (!set) continue;
    await inFolder(async (folder) => {
      const { db, docs, docsSearch } = openIndexed(set, folder);
      await optimize(db, docsSearch);
      const queries = set.queries(rounds * PAIRS_A_ROUND);
      const [unchanged, changed, inserts]: [number[], number[], number[]] = [[], [], []];
      const timed = (into: number[], run: () => void) => {
        const start = performance.now();
        run();
        into.push(performance.now() - start);
      };
      const search = (query: Float32Array) => nearest(db, docs.embedding, query, { limit: LIMIT }).all();
      for (const query of queries.slice(0, 10)) search(query);
      for (const [i, query] of queries.entries()) {
        const id = set.rows + 1 + i;
        const embedding = Float32Array.from(query);
        timed(unchanged, () => search(query));
        timed(inserts, () => db.insert(docs).values({ id, title: "A new document", embedding }).run());
        timed(changed, () => {
          const first = search(query)[0];
          if (first?.$distance !== 0) throw new Error(`${set.name}: the inserted row was not found`);
        });
        // A turn of the loop, in which the library may do its upkeep.
        if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      }
      db.$client.close();
      const [before, after, insert] = [median(unchanged), median(changed), median(inserts)];
      findings.push({
        what: `${set.name}: query; after an insert (the insert itself)`,
        measured: `${ms(before)}; ${ms(after)} (${ms(insert)}): ${times(after / before)}`,
        target: `≤ ${TARGET}x`,
        met: after / before <= TARGET,
      });
    });
  }
  return { title: "Single insert, then query", rows: findings };
}
