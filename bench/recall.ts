// Whether the recall asked for is the recall delivered: by distance, on the mean of many queries that are not rows; see README.md.
//
//   npx tsx recall.ts [--data noise,fashion1k] [--cases all,filtered,churned] [--rows 20000] [--queries 1000] [--seed 1]
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import Database from "better-sqlite3";
import { lt } from "drizzle-orm";
import { type BetterSQLite3Database, drizzle } from "drizzle-orm/better-sqlite3";
import { integer, real, sqliteTable } from "drizzle-orm/sqlite-core";
import { gaussian, seeded } from "./lib/data.ts";
import {
  ensureSearchIndexes,
  nearest,
  nearestMany,
  optimize,
  searchIndex,
  tryConfigure,
  vectorColumn,
} from "./lib/library.ts";
import { median } from "./lib/measure.ts";
import { type Finding, report } from "./lib/report.ts";
import { KINDS, type Kind, vectorSource } from "./lib/vectors.ts";

const LIMITS = [1, 10, 100];
const RECALLS = [0.9, 0.95, 0.99];
const SHARES = [0.5, 0.1, 0.01, 0.001];
const CHURN = 0.3;
/** Queries whose plans are looked at, and those asked where the table answers most of them. */
const EXPLAINED = 20;
const SLOW_QUERIES = 100;
const TOGETHER = 100;
/** How much less than asked may be delivered. */
const SHORT = 0.01;
const DATA = process.env.BENCH_DATA ?? fileURLToPath(new URL("../../shared/data", import.meta.url));

type Metric = "cosine" | "l2" | "dot";

/** Rows, and queries of which none is a row. */
interface Source {
  readonly name: string;
  readonly metric: Metric;
  readonly rows: readonly Float32Array[];
  readonly queries: readonly Float32Array[];
  /** Another row of the same kind. */
  another(): Float32Array;
}

/** Real vectors beside the repository; without queries of their own, or with too few, rows are mixed. */
const REAL: Record<string, { base: string; queries?: string; metric: Metric }> = {
  fashion1k: { base: "fashion1k/base.bvecs.gz", queries: "fashion1k/query.bvecs.gz", metric: "l2" },
  random1k: { base: "random1k/base.fvecs", queries: "random1k/query.fvecs", metric: "cosine" },
  "random1k-l2": { base: "random1k/base.fvecs", queries: "random1k/query.fvecs", metric: "l2" },
  emoji2vec: { base: "emoji2vec/base.fvecs", metric: "cosine" },
  products: { base: "products/products.bge384.fvecs", metric: "dot" },
  "cranfield-minilm": {
    base: "cranfield/docs.minilm384.fvecs",
    queries: "cranfield/queries.minilm384-approx.fvecs",
    metric: "cosine",
  },
  "cranfield-lsa": {
    base: "cranfield/docs.lsa256.fvecs",
    queries: "cranfield/queries.lsa256.fvecs",
    metric: "cosine",
  },
  "faq-lsa": { base: "faq/docs.lsa256.fvecs", queries: "faq/queries.lsa256.fvecs", metric: "cosine" },
  "xquad-questions": { base: "xquad-en/queries.lsa128.fvecs", metric: "cosine" },
};

const { values } = parseArgs({
  options: {
    data: { type: "string", default: [...KINDS, "cluster", "far", ...Object.keys(REAL)].join(",") },
    cases: { type: "string", default: "all,filtered,churned" },
    rows: { type: "string", default: "20000" },
    queries: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
  },
});
const [rowCount, queryCount, seed] = [values.rows, values.queries, values.seed].map(Number) as [number, number, number];

const isAsked = (kind: "all" | "filtered" | "churned") => values.cases.split(",").includes(kind);

const findings: Finding[] = [];
for (const name of values.data.split(",")) {
  const source = sourceOf(name);
  if (!source) console.log(`${name}: left out, its data folder is absent`);
  else for (const exact of [false, true]) await measure(source, exact);
}
report("recall", { title: "Recall asked and delivered", rows: findings });

async function measure(source: Source, exact: boolean): Promise<void> {
  const { name, queries } = source;
  const world = await open(source, exact);
  const what = `${name}, ${world.size} rows, ${exact ? "exact and 1-bit codes" : "1-bit codes alone"}`;
  const cases: [string, number | undefined][] = [
    ...(isAsked("all") ? [["all rows", undefined] as [string, undefined]] : []),
    // Codes for exact answers are what a condition is answered by.
    ...(exact || !isAsked("filtered") ? [] : SHARES.map((share): [string, number] => [`${share * 100} %`, share])),
  ];
  for (const [label, share] of cases) judge(`${what}, ${label}`, world, queries, share);
  if (isAsked("churned")) {
    world.churn();
    judge(`${what}, after ${CHURN * 100} % churn`, world, queries, undefined);
    if (!exact) judge(`${what}, after churn, 10 %`, world, queries, 0.1);
  }
  world.close();
}

/** Delivered recall for each limit, the worst of which is judged. */
function judge(what: string, world: World, queries: readonly Float32Array[], share: number | undefined): void {
  const truths = new Map(LIMITS.map((limit) => [limit, world.truths(queries, limit, share)]));
  for (const recall of RECALLS) {
    const plans = new Map<string, number>();
    const rescored: number[] = [];
    const delivered = LIMITS.map((limit) => {
      const plansHere = queries.slice(0, EXPLAINED).map((query) => world.explain(query, limit, share, recall));
      for (const { plan, rows } of plansHere) {
        plans.set(plan, (plans.get(plan) ?? 0) + 1);
        rescored.push(rows);
      }
      // Mostly answered by the table: exact, and slow.
      const bare = plansHere.filter(({ plan }) => plan === "bare scan").length;
      if (bare === plansHere.length) return 1;
      const asked = queries.slice(0, bare * 2 > plansHere.length ? SLOW_QUERIES : queries.length);
      const sum = world.search(asked, limit, share, recall).reduce((found, hits, q) => {
        const truth = truths.get(limit)![q]!;
        if (hits.length !== truth.count) throw new Error(`${what}: ${hits.length} hits instead of ${truth.count}`);
        if (truth.count === 0) return found + 1;
        return found + hits.filter((distance) => distance <= truth.radius).length / truth.count;
      }, 0);
      return sum / asked.length;
    });
    const mostly = [...plans].sort((a, b) => b[1] - a[1])[0]!;
    const worst = Math.min(...delivered);
    const finding = {
      what: `${what}: asked ${recall}`,
      measured: `${delivered.map((value) => value.toFixed(4)).join(" / ")}; ${mostly[0]} ${Math.round((100 * mostly[1]) / rescored.length)} %, ${median(rescored)} rows scored`,
      target: `≥ ${(recall - SHORT).toFixed(2)}`,
      met: worst >= recall - SHORT,
    };
    if (!finding.met) console.log(`missed: ${finding.what}: ${finding.measured}`);
    findings.push(finding);
  }
  console.log(`${what}: ${findings.at(-1)!.measured}`);
}

interface Truth {
  readonly count: number;
  readonly radius: number;
}

interface World {
  readonly size: number;
  truths(queries: readonly Float32Array[], limit: number, share: number | undefined): Truth[];
  /** Distances of the hits of each query. */
  search(queries: readonly Float32Array[], limit: number, share: number | undefined, recall: number): number[][];
  explain(
    query: Float32Array,
    limit: number,
    share: number | undefined,
    recall: number,
  ): { plan: string; rows: number };
  /** A tenth of the rows goes, a tenth comes, and a tenth gets other vectors; nothing is written to the index. */
  churn(): void;
  close(): void;
}

/** A database of its own, its rows ranked by chance; beside it one with codes for exact answers, which tell the truth. */
async function open({ rows, metric, another }: Source, exact: boolean): Promise<World> {
  const dimensions = rows[0]!.length;
  const docs = sqliteTable("docs", { id: integer().primaryKey(), rank: real(), embedding: vectorColumn(dimensions) });
  const make = async (isExact: boolean) => {
    const index = searchIndex("docs_search", docs, { vectors: { embedding: { metric, exact: isExact } } });
    const client = new Database(":memory:");
    const db: BetterSQLite3Database = drizzle({ client });
    client.exec("CREATE TABLE docs (id integer PRIMARY KEY, rank real, embedding blob); CREATE INDEX r ON docs (rank)");
    const random = seeded(seed + 7);
    const insert = client.prepare("INSERT INTO docs VALUES (?, ?, ?)");
    client.transaction(() => {
      for (const [i, row] of rows.entries()) insert.run(i + 1, random(), docs.embedding.mapToDriverValue(row));
    })();
    ensureSearchIndexes(db, [index]);
    tryConfigure(db, { maintenance: "manual" });
    await optimize(db, index);
    return { client, db };
  };
  const asked = await make(exact);
  const exactly = exact ? asked : await make(true);
  /** Many at once, so that those that the table answers share a reading of it. */
  const distancesOf = (db: BetterSQLite3Database, queries: readonly Float32Array[], options: object): number[][] =>
    Array.from({ length: Math.ceil(queries.length / TOGETHER) }, (_, n) =>
      nearestMany(db, docs.embedding, queries.slice(n * TOGETHER, (n + 1) * TOGETHER), options)
        .all()
        .map((hits) => hits.map(({ $distance }) => $distance)),
    ).flat();
  const whereOf = (share: number | undefined) => (share === undefined ? {} : { where: lt(docs.rank, share) });
  return {
    size: rows.length,
    truths(queries, limit, share) {
      return distancesOf(exactly.db, queries, { metric, limit, ...whereOf(share) }).map((distances) => ({
        count: distances.length,
        radius: distances.at(-1) ?? 0,
      }));
    },
    search(queries, limit, share, recall) {
      return distancesOf(asked.db, queries, { metric, limit, recall, ...whereOf(share) });
    },
    explain(query, limit, share, recall) {
      const options = { metric, limit, recall, ...whereOf(share) };
      const { plan, rowsRescored: rows } = nearest(asked.db, docs.embedding, query, options).explain();
      return { plan, rows };
    },
    churn() {
      const tenth = Math.floor((rows.length * CHURN) / 3);
      const fresh = Array.from({ length: 2 * tenth }, another);
      for (const { client } of new Set([asked, exactly])) {
        const random = seeded(seed + 8);
        const update = client.prepare("UPDATE docs SET embedding = ? WHERE id = ?");
        const insert = client.prepare("INSERT INTO docs VALUES (?, ?, ?)");
        client.transaction(() => {
          client.prepare("DELETE FROM docs WHERE id % 10 = 0").run();
          for (let i = 0; i < tenth; i++) {
            update.run(docs.embedding.mapToDriverValue(fresh[i]!), i * 10 + 1);
            insert.run(rows.length + i + 1, random(), docs.embedding.mapToDriverValue(fresh[tenth + i]!));
          }
        })();
      }
    },
    close() {
      for (const { client } of new Set([asked, exactly])) client.close();
    },
  };
}

function sourceOf(name: string): Source | undefined {
  if (name in REAL) return realVectors(name, REAL[name]!);
  if (name === "cluster") return cluster();
  // Queries of another kind than the rows: in directions in which no row lies.
  if (name === "far") {
    const like = sourceOf("like-minilm")!;
    return { ...like, name, queries: sourceOf("noise")!.queries };
  }
  const source = vectorSource(name as Kind, 384, seed);
  if (!source) return undefined;
  const dimensions = name === "sift10k" ? 128 : 384;
  const draw = (next: (into: Float32Array) => void) => () => {
    const vector = new Float32Array(dimensions);
    next(vector);
    return vector;
  };
  // The last tenth of a set that has an end comes with the churn.
  const count = Math.min(rowCount, Math.floor(source.rowsMax * 0.8));
  const rows = Array.from({ length: count }, draw(source.nextRow));
  const queries = Number.isFinite(source.rowsMax)
    ? [...Array.from({ length: 100 }, draw(source.nextQuery)), ...mixtures(rows, queryCount - 100)]
    : Array.from({ length: queryCount }, draw(source.nextQuery));
  return { name, metric: source.metric, rows, queries, another: draw(source.nextRow) };
}

function realVectors(name: string, { base, queries, metric }: (typeof REAL)[string]): Source | undefined {
  if (!existsSync(`${DATA}/${base}`)) return undefined;
  const all = readVectors(base);
  const kept = Math.floor(all.length * 0.8);
  const rows = all.slice(0, kept);
  const own = (queries ? readVectors(queries) : all.slice(kept)).filter(isDirected);
  const some = own.slice(0, queryCount);
  let next = kept;
  return {
    name,
    metric,
    rows,
    queries: [...some, ...mixtures(rows, queryCount - some.length)],
    another: () => all[next++ % all.length]!,
  };
}

/** A vector of zeros, as of a text without known words, is no query. */
function isDirected(vector: Float32Array): boolean {
  return vector.some((value) => value !== 0);
}

/** Rows moved towards others, by a little or by much. */
function mixtures(rows: readonly Float32Array[], count: number): Float32Array[] {
  const random = seeded(seed + 9);
  const directed = rows.filter(isDirected);
  const pick = () => directed[Math.floor(random() * directed.length)]!;
  return Array.from({ length: Math.max(0, count) }, () => {
    const [a, b, c, share] = [pick(), pick(), pick(), random()];
    return a.map((value, i) => value + share * (b[i]! - c[i]!));
  });
}

/** One dense cluster far from the origin: as far apart as noise, and hardly to be told apart. */
function cluster(): Source {
  const random = seeded(seed + 10);
  const centre = Float32Array.from({ length: 384 }, () => gaussian(random));
  const another = () => centre.map((value) => value + 0.01 * gaussian(random));
  const rows = Array.from({ length: rowCount }, another);
  return { name: "cluster", metric: "cosine", rows, queries: Array.from({ length: queryCount }, another), another };
}

/** The vectors of an fvecs or bvecs file: for each an int32 with its dimensions, then so many float32 or uint8. */
function readVectors(path: string): Float32Array[] {
  const file = readFileSync(`${DATA}/${path}`);
  const bytes = path.endsWith(".gz") ? gunzipSync(file) : file;
  const dimensions = bytes.readInt32LE(0);
  const size = path.includes(".bvecs") ? 1 : 4;
  const stride = 4 + dimensions * size;
  return Array.from({ length: bytes.length / stride }, (_, row) =>
    Float32Array.from({ length: dimensions }, (_, i) => {
      const at = row * stride + 4 + i * size;
      return size === 1 ? bytes[at]! : bytes.readFloatLE(at);
    }),
  );
}
