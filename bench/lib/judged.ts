// The judged sets beside the repository, each as a database that the library has indexed.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import Database from "better-sqlite3";
import { eq, type SQL } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { ensureSearchIndexes, searchIndex, vectorColumn } from "../../dist/index.js";

const DATA = new URL("../../../shared/data/", import.meta.url);
if (!existsSync(DATA)) throw new Error("the judged sets are not beside the repository");

/** A corpus with its queries, how its text is cut and who made its vectors. */
export interface Judged {
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
export const SETS: readonly Judged[] = [
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

/** A question of a set. */
export interface Question {
  readonly id: string;
  readonly text: string;
  readonly vector: Float32Array;
  /** What the set says it has to be asked with. */
  readonly where: SQL | undefined;
  readonly course: string | undefined;
}

/** Opens a set; `queries` of its questions, evenly drawn. Close `client` when done. */
export function openJudged(set: Judged, queries: number) {
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
  const step = Math.max(1, questions.length / queries);
  const asked = questions.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step));
  const queryVectors = floats(`${set.folder}/queries.${set.queryVectors ?? set.vectors}.fvecs`);
  return {
    client,
    db,
    docs,
    index,
    questions: asked.map(
      ({ id, text: words, course, at }): Question => ({
        id: String(id),
        text: words,
        vector: queryVectors[at]!,
        where: set.byCourse ? eq(docs.course, course) : undefined,
        course: set.byCourse ? course : undefined,
      }),
    ),
    qrels: judgements(`${set.folder}/qrels.tsv.gz`),
  };
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
