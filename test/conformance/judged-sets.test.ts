import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { describe, expect, test } from "vitest";
import { evaluate } from "../../src/eval.ts";
import { ensureSearchIndexes, search, searchIndex } from "../../src/index.ts";
import { openBetterSqlite3 } from "../helpers/databases.ts";
import { hasSharedData, readJson, readJsonLines, readQrels } from "../helpers/shared-data.ts";

const docs = sqliteTable("docs", { id: integer().primaryKey(), external: text().notNull(), body: text().notNull() });
const docsSearch = searchIndex("docs_search", docs, { text: { body: 1 }, tokenizer: "porter" });

if (!hasSharedData)
  console.warn("not tested: search on judged sets (the evaluation data is not beside the repository)");

/** The published figures are of FTS5 itself: porter, every word quoted and joined with OR, the first 100 by BM25. */
describe.runIf(hasSharedData)("search is as good as plain FTS5 on judged sets", () => {
  test.each([
    ["cranfield", ["title", "text"]],
    ["xquad-en", ["title", "text"]],
  ])(
    "%s",
    async (set, fields) => {
      const { db, client } = openBetterSqlite3();
      client.exec("create table docs (id integer primary key, external text not null, body text not null)");
      ensureSearchIndexes(db, [docsSearch]);
      const insert = client.prepare("insert into docs (external, body) values (?, ?)");
      client.transaction(() => {
        for (const document of readJsonLines(`${set}/corpus.jsonl.gz`)) {
          insert.run(String(document.id), fields.map((field) => document[field] ?? "").join(" "));
        }
      })();
      const queries = readJsonLines(`${set}/queries.jsonl.gz`) as {
        id: string | number;
        [field: string]: any;
      }[];
      const prepared = (words: string) =>
        search(db, docsSearch, words, { limit: 100, select: { external: docs.external } }).all();
      const { mean } = await evaluate(
        queries,
        (query) => prepared(query.text ?? query.question ?? query.query).map(({ external }) => external as string),
        readQrels(`${set}/qrels.tsv.gz`),
        { k: [5, 10, 100] },
      );
      const published = readJson("baselines.json")[set]["fts5 porter"];
      // Words with a hyphen are one phrase here and were two words there: hence the hundredth.
      expect(mean["ndcg@10"]).toBeGreaterThan(published.ndcg10 - 0.01);
      expect(mean["recall@100"]).toBeGreaterThan(published.recall100 - 0.01);
      expect(mean["mrr@10"]).toBeGreaterThan(published.mrr10 - 0.01);
    },
    20_000,
  );
});
