// How good search and hybrid are on the judged sets beside the repository: nDCG@10 and recall@100 of each leg alone, of every
// fusion, and of what was tried for the words of a query. Every figure is an answer of the library on a real database.
//   npx tsx quality.ts [queries]  of each set, evenly drawn; default 400, some minutes
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import Database from "better-sqlite3";
import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { evaluate } from "../dist/eval.js";
import {
  ensureSearchIndexes,
  type Fusion,
  hybrid,
  linear,
  rrf,
  search,
  searchIndex,
  shares,
  vectorColumn,
} from "../dist/index.js";

const DATA = new URL("../../shared/data/", import.meta.url);
if (!existsSync(DATA)) throw new Error("the judged sets are not beside the repository");

const QUERIES = Number(process.argv[2] ?? 400);

/** A corpus with its queries, how its text is cut and who made its vectors. */
interface Judged {
  readonly name: string;
  readonly folder: string;
  readonly fields: readonly string[];
  readonly tokenizer: "porter" | "unicode61" | "trigram";
  readonly vectors: string;
  readonly queryVectors?: string;
  readonly ids?: string;
  readonly byCourse?: boolean;
}

const FAQ = { folder: "faq", fields: ["section", "question", "text"], vectors: "lsa256" } as const;
const CRANFIELD = { folder: "cranfield", fields: ["title", "text"] } as const;
const MINILM = { vectors: "minilm384", queryVectors: "minilm384-approx", ids: "docs.minilm384.ids.txt" } as const;
const xquad = (language: string) =>
  ({ folder: `xquad-${language}`, fields: ["title", "text"], vectors: "lsa128" }) as const;
const SETS: readonly Judged[] = [
  { name: "faq", ...FAQ, tokenizer: "porter" },
  { name: "faq, course as filter", ...FAQ, tokenizer: "porter", byCourse: true },
  { name: "faq, unicode61", ...FAQ, tokenizer: "unicode61" },
  { name: "cranfield, lsa", ...CRANFIELD, vectors: "lsa256", tokenizer: "porter" },
  { name: "cranfield, minilm", ...CRANFIELD, ...MINILM, tokenizer: "porter" },
  { name: "cranfield, minilm, unicode61", ...CRANFIELD, ...MINILM, tokenizer: "unicode61" },
  { name: "xquad-en", ...xquad("en"), tokenizer: "porter" },
  { name: "xquad-en, unicode61", ...xquad("en"), tokenizer: "unicode61" },
  { name: "xquad-zh, trigram", ...xquad("zh"), tokenizer: "trigram" },
  { name: "xquad-zh, unicode61", ...xquad("zh"), tokenizer: "unicode61" },
  { name: "xquad-ar, trigram", ...xquad("ar"), tokenizer: "trigram" },
  { name: "xquad-ar, unicode61", ...xquad("ar"), tokenizer: "unicode61" },
];

const FUSIONS: Record<string, Fusion> = {
  rrf: rrf(),
  "linear 0.5": linear({ weights: { text: 0.5, vector: 0.5 } }),
  "linear 0.7": linear(),
  "zscore 0.6": linear({ normalize: "zscore", weights: { text: 0.6, vector: 0.4 } }),
  "dbsf 0.6": linear({ normalize: "dbsf", weights: { text: 0.6, vector: 0.4 } }),
  "shares (default)": shares(),
};

const rows: Record<string, Record<string, string>> = {};
const ndcg: Record<string, Record<string, number>> = {};
for (const set of SETS) {
  const measured = await measure(set);
  rows[set.name] = Object.fromEntries(
    Object.entries(measured).map(([run, { ndcg: n, recall }]) => [run, `${n.toFixed(3)} / ${recall.toFixed(3)}`]),
  );
  ndcg[set.name] = Object.fromEntries(Object.entries(measured).map(([run, { ndcg: n }]) => [run, n]));
  console.log(set.name, rows[set.name]);
}
print(rows);
summary(ndcg);

interface Measured {
  readonly ndcg: number;
  readonly recall: number;
}

async function measure(set: Judged): Promise<Record<string, Measured>> {
  const corpus = lines(`${set.folder}/corpus.jsonl.gz`);
  const vectors = floats(`${set.folder}/docs.${set.vectors}.fvecs`);
  const dimensions = vectors[0]!.length;
  const docs = sqliteTable("docs", {
    id: integer().primaryKey(),
    name: text().notNull(),
    course: text(),
    body: text().notNull(),
    embedding: vectorColumn(dimensions),
  });
  const index = searchIndex("docs_search", docs, {
    text: { body: 1 },
    tokenizer: set.tokenizer,
    vectors: { embedding: {} },
  });
  const client = new Database(":memory:");
  const db = drizzle({ client });
  client.exec(
    "create table docs (id integer primary key, name text not null, course text, body text not null, embedding blob)",
  );
  ensureSearchIndexes(db, [index]);
  const named = set.ids
    ? bytes(`${set.folder}/${set.ids}`).toString("utf8").trim().split("\n")
    : corpus.map(({ id }) => String(id));
  const vectorOf = new Map(named.map((id, i) => [id.trim(), vectors[i]!]));
  for (let i = 0; i < corpus.length; i += 500) {
    const slice = corpus.slice(i, i + 500).map((document) => ({
      name: String(document.id),
      course: document.course ?? null,
      body: set.fields.map((field) => document[field] ?? "").join(" "),
      embedding: vectorOf.get(String(document.id)) ?? null,
    }));
    db.insert(docs).values(slice).run();
  }

  const questions = lines(`${set.folder}/queries.jsonl.gz`).map((query, i) => ({ ...query, at: i }) as any);
  const step = Math.max(1, questions.length / QUERIES);
  const asked = questions.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step));
  const queryVectors = floats(`${set.folder}/queries.${set.queryVectors ?? set.vectors}.fvecs`);
  const qrels = judgements(`${set.folder}/qrels.tsv.gz`);
  const select = { name: docs.name };
  const whereOf = (question: any) => (set.byCourse ? eq(docs.course, question.course) : undefined);
  const run = async (answer: (question: any) => { name: string }[]): Promise<Measured> => {
    const { mean } = await evaluate(asked, (question) => answer(question).map(({ name }) => name), qrels, {
      k: [10, 100],
    });
    return { ndcg: mean["ndcg@10"]!, recall: mean["recall@100"]! };
  };
  const plain = client.prepare(
    `select d.name, d.course from _dv_docs_search_fts f join docs d on d.id = f.rowid where f._dv_docs_search_fts match ? order by rank limit ${set.byCourse ? 2000 : 100}`,
  );
  const fused = (fusion: Fusion) =>
    run((question) => {
      const query = { text: question.text as string, vector: queryVectors[question.at]! };
      return hybrid(db, index, query, { where: whereOf(question), fusion, select, limit: 100 }).all();
    });
  const results: Record<string, Measured> = {
    "plain FTS5": await run((question) => {
      const found = plain.all(plainMatch(question.text)) as { name: string; course: string }[];
      return found.filter(({ course }) => !set.byCourse || course === question.course).slice(0, 100);
    }),
    search: await run((question) =>
      search(db, index, question.text, { where: whereOf(question), select, limit: 100 }).all(),
    ),
    vector: await run((question) =>
      hybrid(db, index, { vector: queryVectors[question.at]! }, { where: whereOf(question), select, limit: 100 }).all(),
    ),
  };
  for (const [name, fusion] of Object.entries(FUSIONS)) results[name] = await fused(fusion);
  client.close();
  return results;
}

/** Every word quoted and joined with OR: the published baseline. */
function plainMatch(question: string): string {
  const words = question.match(/[\p{L}\p{N}\p{M}\p{Co}]+/gu) ?? [];
  return words.map((word) => `"${word}"`).join(" OR ") || '""';
}

function print(table: Record<string, Record<string, string>>): void {
  const columns = Object.keys(Object.values(table)[0]!);
  console.log(`\n| nDCG@10 / recall@100 | ${columns.join(" | ")} |\n|${" --- |".repeat(columns.length + 1)}`);
  for (const [set, cells] of Object.entries(table)) {
    console.log(`| ${set} | ${columns.map((column) => cells[column]).join(" | ")} |`);
  }
}

/** The mean of each way, and how far it falls behind the better leg where it falls behind most. */
function summary(table: Record<string, Record<string, number>>): void {
  const sets = Object.values(table);
  const names = Object.keys(sets[0]!);
  const better = sets.map((set) => Math.max(set.search!, set.vector!));
  console.log("\n| | mean nDCG@10 | least, against the better leg |\n| --- | --- | --- |");
  for (const name of names) {
    const mean = sets.reduce((sum, set) => sum + set[name]!, 0) / sets.length;
    const least = Math.min(...sets.map((set, i) => set[name]! - better[i]!));
    console.log(`| ${name} | ${mean.toFixed(4)} | ${least.toFixed(4)} |`);
  }
}

function bytes(file: string): Buffer {
  const content = readFileSync(fileURLToPath(new URL(file, DATA)));
  return file.endsWith(".gz") ? gunzipSync(content) : content;
}

function lines(file: string): Record<string, any>[] {
  return bytes(file)
    .toString("utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

function floats(file: string): Float32Array[] {
  const content = bytes(file);
  const dimensions = content.readInt32LE(0);
  const stride = 4 + 4 * dimensions;
  return Array.from({ length: content.length / stride }, (_, row) =>
    Float32Array.from({ length: dimensions }, (_, i) => content.readFloatLE(row * stride + 4 + 4 * i)),
  );
}

function judgements(file: string): Map<string, Map<string, number>> {
  const qrels = new Map<string, Map<string, number>>();
  for (const line of bytes(file).toString("utf8").trimEnd().split("\n")) {
    const [query, document, grade] = line.split("\t") as [string, string, string];
    qrels.set(query, (qrels.get(query) ?? new Map()).set(document, Number(grade)));
  }
  return qrels;
}
