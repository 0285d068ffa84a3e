import { eq } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { describe, expect, test } from "vitest";
import { evaluate } from "../../src/eval.ts";
import { ensureSearchIndexes, hybrid, rrf, search, searchIndex, vectorColumn } from "../../src/index.ts";
import type { Tokenizer } from "../../src/schema/tokenizer.ts";
import { openBetterSqlite3 } from "../helpers/databases.ts";
import { hasSharedData, readJson, readJsonLines, readQrels, readVectors } from "../helpers/shared-data.ts";

if (!hasSharedData)
  console.warn("not tested: search and hybrid on judged sets (the evaluation data is not beside the repository)");

/** Few enough for a test; bench/quality.ts takes more of them. */
const QUERIES = 120;

interface Input {
  set: string;
  fields: readonly string[];
  tokenizer: Tokenizer;
  vectors: string;
}

/** A judged set in a database: its documents with one text column and their vectors. */
function judged({ set, fields, tokenizer, vectors }: Input) {
  const files = readVectors(`${set}/docs.${vectors}.fvecs`) as Float32Array[];
  const docs = sqliteTable("docs", {
    id: integer().primaryKey(),
    external: text().notNull(),
    body: text().notNull(),
    embedding: vectorColumn(files[0]!.length),
  });
  const index = searchIndex("docs_search", docs, { text: { body: 1 }, tokenizer, vectors: { embedding: {} } });
  const { db, client } = openBetterSqlite3();
  client.exec("create table docs (id integer primary key, external text not null, body text not null, embedding blob)");
  ensureSearchIndexes(db, [index]);
  const insert = client.prepare("insert into docs (external, body, embedding) values (?, ?, ?)");
  client.transaction(() => {
    for (const [i, document] of readJsonLines(`${set}/corpus.jsonl.gz`).entries()) {
      const body = fields.map((field) => document[field] ?? "").join(" ");
      insert.run(String(document.id), body, Buffer.from(files[i]!.buffer));
    }
  })();
  const queries = (readJsonLines(`${set}/queries.jsonl.gz`) as { id: string; text: string }[]).map((query, at) => ({
    ...query,
    at,
  }));
  const asked = readVectors(`${set}/queries.${vectors}.fvecs`) as Float32Array[];
  const every = Math.ceil(queries.length / QUERIES);
  return {
    db,
    docs,
    index,
    queries,
    few: queries.filter((_, i) => i % every === 0),
    asked,
    qrels: readQrels(`${set}/qrels.tsv.gz`),
  };
}

describe.runIf(hasSharedData)("search on judged sets", () => {
  test.each([
    ["cranfield", "porter", ["title", "text"], "lsa256", "fts5 porter"],
    ["xquad-en", "porter", ["title", "text"], "lsa128", "fts5 porter"],
    ["xquad-zh", "trigram", ["title", "text"], "lsa128", "fts5 trigram, 3-grams"],
    ["xquad-ar", "trigram", ["title", "text"], "lsa128", "fts5 trigram, 3-grams"],
  ] as const)(
    "%s: no worse than plain FTS5 with %s",
    async (set, tokenizer, fields, vectors, published) => {
      const { db, docs, index, queries, qrels } = judged({ set, tokenizer, fields, vectors });
      const select = { external: docs.external };
      const { mean } = await evaluate(
        queries,
        ({ text: words }) =>
          search(db, index, words, { limit: 100, select })
            .all()
            .map(({ external }) => external),
        qrels,
        { k: [10, 100] },
      );
      const plain = readJson("baselines.json")[set][published];
      expect(mean["ndcg@10"]).toBeGreaterThan(plain.ndcg10 - 0.001);
      expect(mean["recall@100"]).toBeGreaterThan(plain.recall100 - 0.002);
    },
    60_000,
  );

  test("faq with the course as filter: hit rate in 5 and MRR@5 of search, and of hybrid", async () => {
    const files = readVectors("faq/docs.lsa256.fvecs") as Float32Array[];
    const asked = readVectors("faq/queries.lsa256.fvecs") as Float32Array[];
    const docs = sqliteTable("docs", {
      id: integer().primaryKey(),
      external: text().notNull(),
      course: text().notNull(),
      section: text(),
      question: text(),
      text: text(),
      embedding: vectorColumn(256),
    });
    const index = searchIndex("docs_search", docs, {
      text: { section: 0.5, question: 3, text: 1 },
      tokenizer: "porter",
      vectors: { embedding: {} },
    });
    const { db, client } = openBetterSqlite3();
    client.exec(
      "create table docs (id integer primary key, external text not null, course text not null, section text, question text, text text, embedding blob)",
    );
    ensureSearchIndexes(db, [index]);
    const insert = client.prepare(
      "insert into docs (external, course, section, question, text, embedding) values (?, ?, ?, ?, ?, ?)",
    );
    for (const [i, { id, course, section, question, text: body }] of readJsonLines("faq/corpus.jsonl.gz").entries()) {
      insert.run(id, course, section, question, body, Buffer.from(files[i]!.buffer));
    }
    const queries = readJsonLines("faq/queries.jsonl.gz").map((query, at) => ({ ...query, at })) as any[];
    const qrels = readQrels("faq/qrels.tsv.gz");
    const select = { external: docs.external };
    const bySearch = (query: any) =>
      search(db, index, query.text, { where: eq(docs.course, query.course), limit: 5, select }).all();
    const byBoth = (query: any) =>
      hybrid(
        db,
        index,
        { text: query.text as string, vector: asked[query.at]! },
        { where: eq(docs.course, query.course), limit: 5, select },
      ).all();
    const measure = (run: typeof bySearch, some: any[]) =>
      evaluate(some, (query) => run(query).map(({ external }) => external), qrels, { k: 5 });

    const all = await measure(bySearch, queries);
    expect(all.mean["hitRate@5"]).toBeGreaterThan(0.956);
    expect(all.mean["mrr@5"]).toBeGreaterThan(0.898);
    const some = new Map(queries.filter((_, i) => i % 3 === 0).map((query) => [query.id, query]));
    const both = await measure(byBoth, [...some.values()]);
    const words = all.rows.filter(({ query }) => some.has(query));
    expect(both.rows).toHaveLength(words.length);
    for (const name of ["hitRate@5", "mrr@5"]) {
      const mean = words.reduce((sum, row) => sum + (row[name] as number), 0) / words.length;
      expect(both.mean[name]).toBeGreaterThanOrEqual(mean);
    }
  }, 120_000);
});

describe.runIf(hasSharedData)("hybrid on judged sets", () => {
  test("the default is beside or above the better leg everywhere, and above rank fusion in the mean", async () => {
    const sets = [
      { set: "faq", fields: ["section", "question", "text"], tokenizer: "porter", vectors: "lsa256" },
      { set: "cranfield", fields: ["title", "text"], tokenizer: "porter", vectors: "lsa256" },
      { set: "xquad-en", fields: ["title", "text"], tokenizer: "porter", vectors: "lsa128" },
      { set: "xquad-zh", fields: ["title", "text"], tokenizer: "trigram", vectors: "lsa128" },
      { set: "xquad-ar", fields: ["title", "text"], tokenizer: "trigram", vectors: "lsa128" },
    ] as const;
    const gains: number[] = [];
    for (const input of sets) {
      const { db, docs, index, few, asked, qrels } = judged(input);
      const select = { external: docs.external };
      const measure = async (run: (query: (typeof few)[number]) => { external: string }[]) =>
        (await evaluate(few, (query) => run(query).map(({ external }) => external), qrels)).mean["ndcg@10"]!;
      const query = ({ text: words, at }: (typeof few)[number]) => ({ text: words, vector: asked[at]! });
      const words = await measure((q) => search(db, index, q.text, { select }).all());
      const meaning = await measure((q) => hybrid(db, index, { vector: asked[q.at]! }, { select }).all());
      const both = await measure((q) => hybrid(db, index, query(q), { select }).all());
      const ranks = await measure((q) => hybrid(db, index, query(q), { select, fusion: rrf() }).all());
      // So few queries scatter: a hundredth here, five thousandths in bench/quality.ts.
      expect(both).toBeGreaterThan(Math.max(words, meaning) - 0.012);
      gains.push(both - ranks);
    }
    expect(gains.reduce((a, b) => a + b) / gains.length).toBeGreaterThan(0.02);
  }, 120_000);
});
