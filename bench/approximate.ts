// Approximate search beside hnswlib-node, at equal measured recall; see README.md.
//
//   npx tsx approximate.ts [--data hard,like-minilm,easy] [--rows 100000] [--queries 1000] [--rounds 3] [--seed 1]
//
// With --prepare the data, the peer's graphs and the truths are made, and nothing is measured: a later run begins at once.
import { parseArgs } from "node:util";
import { type DataSet, dataSet, inFolder, openIndexed, vectorsOf } from "./lib/data-set.ts";
import { canPersist, nearest, optimize } from "./lib/library.ts";
import { type Contender, median, searchTimes } from "./lib/measure.ts";
import { type Finding, ms, report, seconds, times } from "./lib/report.ts";
import { recallOf, type Truth, truthsOf } from "./lib/truth.ts";
import { KINDS, type Kind } from "./lib/vectors.ts";
import { hnswlib } from "./peers/hnswlib.ts";

const LIMIT = 10;
const EFS = [10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 400, 600, 800, 1200, 1600];
const RECALLS = [0.9, 0.95, 0.99, 1];
/** The recall of the target, and how many times the peer's time is allowed, by kind of data. */
const JUDGED = 0.99;
const MOST: Record<string, number> = { hard: 1, "like-minilm": 1, easy: 2 };
const FETCH_MS = 0.3;
/** How much less than asked may be delivered. */
const SHORT = 0.01;
const BUILD_RATIO = 30;

const { values } = parseArgs({
  options: {
    data: { type: "string", default: "hard,like-minilm,easy" },
    rows: { type: "string", default: "100000" },
    queries: { type: "string", default: "1000" },
    rounds: { type: "string", default: "3" },
    seed: { type: "string", default: "1" },
    prepare: { type: "boolean", default: false },
  },
});
const [rows, queryCount, rounds, seed] = [values.rows, values.queries, values.rounds, values.seed].map(Number) as [
  number,
  number,
  number,
  number,
];

interface Point {
  readonly asked: number;
  readonly recall: number;
  /** Through `nearest`; within the library alone; and the peer's at the same recall. */
  readonly ms: number;
  readonly bareMs: number;
  readonly graphMs: number | undefined;
}

const findings: Finding[] = [];
const curves: Record<string, unknown> = {};
for (const kind of values.data.split(",")) {
  if (!KINDS.includes(kind as Kind)) throw new Error(`${kind}: expected one of ${KINDS.join(", ")}`);
  const set = dataSet({ kind: kind as Kind, rows, dimensions: 384, seed });
  if (set) await compare(set);
}
if (!values.prepare)
  report("approximate", { title: "Approximate top 10 at equal recall", rows: findings, values: curves });

async function compare(set: DataSet): Promise<void> {
  const vectors = vectorsOf(set);
  const queries = set.queries(queryCount);
  const truths = truthsOf(set, vectors, queryCount, LIMIT);
  const peer = hnswlib({ set, vectors, k: LIMIT });
  if (values.prepare) return;
  const plain = new Map(queries.map((query) => [query, Array.from(query)]));
  const theirs =
    peer &&
    EFS.map((ef) => {
      peer.setEf(ef);
      return { ef, recall: recallOver(queries, truths, (query) => peer.search(plain.get(query)!)) };
    });

  await inFolder(async (folder) => {
    const { db, docs, docsSearch } = openIndexed(set, folder);
    const start = performance.now();
    if (canPersist) await optimize(db, docsSearch);
    else nearest(db, docs.embedding, queries[0]!, { limit: LIMIT }).all();
    const buildMs = performance.now() - start;
    const built = `${seconds(buildMs)}${peer ? `; hnswlib-node ${seconds(peer.buildMs)}, ${times(peer.buildMs / buildMs)}` : ""}`;
    const isFast = peer ? { target: `≥ ${BUILD_RATIO}x`, met: peer.buildMs >= BUILD_RATIO * buildMs } : {};
    findings.push({ what: `${set.name}: build`, measured: built, ...isFast });

    const ours: Point[] = [];
    for (const asked of RECALLS) {
      const search = (query: Float32Array) => nearest(db, docs.embedding, query, { limit: LIMIT, recall: asked });
      const through = {
        name: "nearest",
        search(query: Float32Array) {
          const hits = search(query).all();
          return hits.map(({ id }) => id);
        },
      };
      const recall = recallOver(queries, truths, through.search);
      // The largest ef there is, where none reaches it.
      const equal = theirs?.find((other) => other.recall >= recall) ?? theirs?.at(-1);
      if (equal) peer!.setEf(equal.ef);
      const graph: Contender = { name: "hnswlib-node", search: (query) => peer!.search(plain.get(query)!) };
      const taken = await searchTimes(equal ? [through, graph] : [through], queries, rounds);
      const bare = queries.map((query) => {
        const { catchUp, scan, score } = search(query).explain().ms;
        return catchUp + scan + score;
      });
      const point = { asked, recall, ms: median(taken.get(through)!), bareMs: median(bare) };
      const graphMs = equal && median(taken.get(graph)!);
      ours.push({ ...point, graphMs });
      const most = asked === JUDGED ? MOST[set.kind] : undefined;
      const beside = graphMs
        ? `; hnswlib-node (ef ${equal.ef}, recall ${equal.recall.toFixed(4)}) ${ms(graphMs)}: ${times(point.bareMs / graphMs)}`
        : "";
      findings.push(
        {
          what: `${set.name}: recall ${asked} asked, delivered`,
          measured: recall.toFixed(4),
          target: `≥ ${(asked - SHORT).toFixed(2)}`,
          met: recall >= asked - SHORT,
        },
        {
          what: "… bare, beside hnswlib-node at that recall",
          measured: `${ms(point.bareMs)}${beside}`,
          ...(most && graphMs ? { target: `≤ ${most}x`, met: point.bareMs <= most * graphMs } : {}),
        },
        {
          what: "… through `nearest`, rows included",
          measured: ms(point.ms),
          ...(most ? { target: `≤ bare + ${FETCH_MS} ms`, met: point.ms <= point.bareMs + FETCH_MS } : {}),
        },
      );
    }
    curves[set.name] = { ours, hnswlib: theirs, buildMs, hnswlibBuildMs: peer?.buildMs };
    db.$client.close();
  });
}

/** Mean recall by distance. */
function recallOver(
  queries: readonly Float32Array[],
  truths: readonly Truth[],
  search: (query: Float32Array) => number[],
): number {
  const found = queries.map((query, q) => recallOf(truths[q]!, search(query), LIMIT));
  return found.reduce((sum, recall) => sum + recall, 0) / queries.length;
}
