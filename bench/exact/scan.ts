import { type DataSet, dataSet, inFolder, vectorsOf } from "../lib/data-set.ts";
import { median, searchTimes } from "../lib/measure.ts";
import { type Finding, type Findings, ms, times } from "../lib/report.ts";
import { isExact, recallOf, truthOf } from "../lib/truth.ts";
import { remarkOn } from "../lib/vectors.ts";
import { drizzleVector, drizzleVectorBare } from "../peers/drizzle-vector.ts";
import { lancedb } from "../peers/lancedb.ts";
import { libsql } from "../peers/libsql.ts";
import type { Engine } from "../peers/peer.ts";
import { sqliteVec } from "../peers/sqlite-vec.ts";
import { usearch } from "../peers/usearch.ts";
import { DIMENSIONS, LIMIT, type Options } from "./options.ts";

const QUERIES = 40;
/** Least ratio to sqlite-vec and to usearch, by kind of data; the others are measured only. */
const TARGETS: Partial<Record<string, readonly [number, number]>> = { "like-minilm": [50, 6], noise: [20, 2] };

export interface ScanValues {
  [dataSet: string]: { [engine: string]: { ms: number; wrong: number } };
}

/** Exact top 10 through `nearest`, typed rows included, beside every peer that answers exactly; each answer is checked. */
export async function scan({ seed, rounds, rows, kinds }: Options): Promise<Findings> {
  const findings: Finding[] = [];
  const values: ScanValues = {};
  for (const kind of kinds) {
    const set = dataSet({ kind, rows, dimensions: DIMENSIONS, seed });
    if (!set) continue;
    const { rows: found, engines } = await scanOf(set, rounds);
    findings.push(...found);
    values[set.name] = engines;
  }
  return { title: "Exact top 10, side by side", rows: findings, values };
}

async function scanOf(set: DataSet, rounds: number) {
  const vectors = vectorsOf(set);
  const queries = set.queries(QUERIES);
  const truths = queries.map((query) => truthOf(set, vectors, query, LIMIT));
  return inFolder(async (folder) => {
    const load = { set, vectors, folder, k: LIMIT };
    const ours = await drizzleVector(load);
    const peers = [sqliteVec(load), usearch(load), libsql(load), await lancedb(load), drizzleVectorBare(load)];
    const engines: Engine[] = [ours, ...peers.filter((peer): peer is Engine => peer !== undefined)];

    const wrong = new Map<Engine, number>();
    for (const engine of engines) {
      let count = 0;
      for (const [q, query] of queries.entries()) {
        // Of ours the order, the ties and the distances have to be right too; peers compute in float32.
        const isRight =
          engine === ours
            ? isExact(truths[q]!, ours.hits(query))
            : recallOf(truths[q]!, await engine.search(query), LIMIT) === 1;
        if (!isRight) count++;
      }
      wrong.set(engine, count);
    }
    const taken = await searchTimes(engines, queries, rounds);
    const medians = new Map(engines.map((engine) => [engine, median(taken.get(engine)!)]));
    const fastest = medians.get(ours)!;
    const title = `${set.rows} x ${set.dimensions} ${set.kind}${remarkOn(set.kind, set.dimensions)}`;
    const answers = (engine: Engine) => `${queries.length - wrong.get(engine)!} of ${queries.length} answers exact`;
    const rows: Finding[] = engines.map((engine) => {
      const time = medians.get(engine)!;
      if (engine === ours) {
        const isRight = wrong.get(ours) === 0;
        return {
          what: `${title}: ${engine.name}`,
          measured: `${ms(time)}, ${answers(ours)}`,
          target: "all",
          met: isRight,
        };
      }
      const least = TARGETS[set.kind]?.[["sqlite-vec", "usearch"].findIndex((name) => engine.name.startsWith(name))];
      const ratio = time / fastest;
      const what = `… ${engine.name}`;
      const measured = `${ms(time)}, ${times(ratio)} of ours; ${answers(engine)}`;
      return least === undefined ? { what, measured } : { what, measured, target: `≥ ${least}x`, met: ratio >= least };
    });
    for (const engine of engines) await engine.close();
    return {
      rows,
      engines: Object.fromEntries(engines.map((e) => [e.name, { ms: medians.get(e)!, wrong: wrong.get(e)! }])),
    };
  });
}
