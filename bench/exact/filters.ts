import Database from "better-sqlite3";
import { gte, lt, type SQL } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { seeded } from "../lib/data.ts";
import { copyOf, type DataSet, dataSet, inFolder, vectorsOf } from "../lib/data-set.ts";
import { ensureSearchIndexes, nearest, optimize, searchIndex, vectorColumn } from "../lib/library.ts";
import { median } from "../lib/measure.ts";
import { type Finding, type Findings, ms } from "../lib/report.ts";
import { recallOf, truthOf } from "../lib/truth.ts";
import { DIMENSIONS, LIMIT, type Options } from "./options.ts";

const TARGET = 3;
const QUERIES = 5;
/** How far the queries stray from the row whose surroundings the filters are correlated with. */
const STRAY = 0.2;

/**
 * Filtered queries beside the unfiltered one and the condition alone. Each row has two ranks, 0 to rows - 1: one at random, and
 * one by distance from an anchor near which the queries lie. So `near < n` are the nearest rows, and `near >= rows - n` the
 * farthest. Both columns have an SQL index, which makes the condition alone, and with it the bound, as cheap as can be.
 */
export async function filters({ seed, rounds, rows, kinds }: Options): Promise<Findings> {
  const findings: Finding[] = [];
  for (const kind of kinds) {
    const set = dataSet({ kind, rows, dimensions: DIMENSIONS, seed });
    if (set) await inFolder(async (folder) => void findings.push(...(await filtersOf(set, folder, rounds))));
  }
  return { title: "Filters", rows: findings };
}

async function filtersOf(set: DataSet, folder: string, rounds: number): Promise<Finding[]> {
  const vectors = vectorsOf(set);
  const [anchor, ...others] = set.queries(QUERIES + 1) as [Float32Array, ...Float32Array[]];
  const queries = others.map((other) => anchor.map((x, i) => x + STRAY * (other[i]! - x)));
  const ranks = ranksOf(set, vectors, anchor);

  const docs = sqliteTable("docs", {
    id: integer().primaryKey(),
    title: text(),
    embedding: vectorColumn(set.dimensions),
    chance: integer(),
    near: integer(),
  });
  const docsSearch = searchIndex("docs_search", docs, { vectors: { embedding: { metric: set.metric } } });
  const client = new Database(copyOf(set, folder));
  client.exec("ALTER TABLE docs ADD chance integer; ALTER TABLE docs ADD near integer");
  const update = client.prepare("UPDATE docs SET chance = ?, near = ? WHERE id = ?");
  client.transaction(() => {
    for (let id = 1; id <= set.rows; id++) update.run(ranks.chance[id - 1], ranks.near[id - 1], id);
    client.exec("CREATE INDEX docs_chance ON docs (chance); CREATE INDEX docs_near ON docs (near)");
  })();
  const db = drizzle({ client, schema: { docs } });
  ensureSearchIndexes(db, [docsSearch]);
  await optimize(db, docsSearch);

  const search = (query: Float32Array, where: SQL | undefined) => {
    const hits = nearest(db, docs.embedding, query, { limit: LIMIT, where }).all();
    return hits.map(({ id }) => id);
  };
  const isExact = (ids: readonly number[], query: Float32Array, isAsked: (id: number) => boolean, count: number) => {
    const due = Math.min(LIMIT, count);
    if (ids.length !== due || ids.some((id) => !isAsked(id))) return false;
    return due === 0 || recallOf(truthOf(set, vectors, query, due, isAsked), ids, due) === 1;
  };
  const timed = (run: (query: Float32Array) => unknown) => {
    const taken: number[] = [];
    for (let round = -1; round < rounds; round++) {
      for (const query of queries) {
        const start = performance.now();
        run(query);
        if (round >= 0) taken.push(performance.now() - start);
      }
    }
    return median(taken);
  };

  const findings: Finding[] = [];
  const counts = [1, 0.5, 0.1, 0.01, 0.001].map((share) => Math.round(share * set.rows)).concat(10, 0);
  for (const count of counts) {
    const low = set.rows - count;
    const conditions = [
      { name: "uncorrelated", sql: `chance < ${count}`, where: lt(docs.chance, count), rank: ranks.chance, from: 0 },
      { name: "correlated", sql: `near < ${count}`, where: lt(docs.near, count), rank: ranks.near, from: 0 },
      { name: "anti-correlated", sql: `near >= ${low}`, where: gte(docs.near, low), rank: ranks.near, from: low },
    ];
    for (const { name, sql, where, rank, from } of conditions) {
      const isAsked = (id: number) => rank[id - 1]! >= from && rank[id - 1]! < from + count;
      for (const query of queries.slice(0, 2)) {
        if (!isExact(search(query, where), query, isAsked, count))
          throw new Error(`${set.name}, ${sql}: a wrong answer`);
      }
      const alone = client.prepare(`SELECT id FROM docs WHERE ${sql}`).pluck();
      const unfiltered = timed((query) => search(query, undefined));
      const filtered = timed((query) => search(query, where));
      const condition = timed(() => alone.all());
      const bound = TARGET * unfiltered + condition;
      findings.push({
        what: `${set.name}: ${count} rows, ${name}`,
        measured: `${ms(filtered)} (unfiltered ${ms(unfiltered)}, condition ${ms(condition)})`,
        target: `≤ ${ms(bound)}`,
        met: filtered <= bound,
      });
    }
  }
  client.close();
  return findings;
}

function ranksOf(set: DataSet, vectors: Float32Array, anchor: Float32Array) {
  const { distanceOf } = truthOf(set, vectors, anchor, 1);
  const random = seeded(set.seed + 7);
  const draws = Float64Array.from({ length: set.rows }, random);
  const distances = Float64Array.from({ length: set.rows }, (_, row) => distanceOf(row + 1));
  return { chance: ranked(draws), near: ranked(distances) };
}

/** The rank of each value, the least being 0. */
function ranked(values: Float64Array): Uint32Array {
  const order = Uint32Array.from(values, (_, i) => i).sort((a, b) => values[a]! - values[b]!);
  const ranks = new Uint32Array(values.length);
  for (const [rank, row] of order.entries()) ranks[row] = rank;
  return ranks;
}
