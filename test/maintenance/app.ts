import { integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { searchIndex, vectorColumn } from "../../src/index.ts";

/** The app of these tests: a table whose INTEGER PRIMARY KEY is the id, and one with a composite key, which needs a key map. */
export const docs = sqliteTable("docs", {
  id: integer().primaryKey(),
  title: text(),
  body: text(),
  views: integer(),
  embedding: vectorColumn(2),
});

export const docsSearch = searchIndex("docs_search", docs, {
  text: { title: 3, body: 1 },
  vectors: { embedding: { metric: "cosine" } },
});

export const pages = sqliteTable("pages", { site: text().notNull(), path: text().notNull(), body: text() }, (table) => [
  primaryKey({ columns: [table.site, table.path] }),
]);

export const pagesSearch = searchIndex("pages_search", pages, { text: { body: 1 }, tokenizer: "porter" });

export const DDL = [
  "CREATE TABLE docs (id INTEGER PRIMARY KEY NOT NULL, title TEXT, body TEXT, views INTEGER, embedding BLOB)",
  "CREATE TABLE pages (site TEXT NOT NULL, path TEXT NOT NULL, body TEXT, PRIMARY KEY (site, path))",
];

export const ROWS = [
  "INSERT INTO docs (id, title, body) VALUES (1, 'apples', 'red and green'), (2, 'pears', 'green'), (3, NULL, 'blue')",
  "INSERT INTO pages VALUES ('a', '/', 'home of apples'), ('a', '/pears', 'pears'), ('b', '/', 'another home')",
];
