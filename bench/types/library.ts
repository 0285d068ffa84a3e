// A vector column, a search index and one call of each helper with and without a selection.
import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { distance, hybrid, nearest, search, searchIndex, vectorColumn } from "../../dist/index.js";

export const docs = sqliteTable("docs", {
  id: integer().primaryKey(),
  course: text().notNull(),
  question: text().notNull(),
  answer: text().notNull(),
  embedding: vectorColumn(384),
});
export const docsSearch = searchIndex("docs_search", docs, {
  text: { question: 3, answer: 1 },
  vectors: { embedding: { metric: "cosine" } },
});

export const db = drizzle(":memory:", { schema: { docs } });
export const rows = db
  .select({ id: docs.id, d: distance(docs.embedding, [1]) })
  .from(docs)
  .all();
export const all: string = nearest(db, docs.embedding, [1], { where: eq(docs.course, "ml") }).all()[0]!.question;
export const some: number = nearest(db, docs.embedding, [1], { select: { key: docs.id } }).all()[0]!.key;
export const found: string = search(db, docsSearch, "words").all()[0]!.answer;
export const both: string = hybrid(db, docsSearch, { text: "words", vector: [1] }).all()[0]!.answer;
const hits = nearest(db, docs.embedding, [1], { limit: 5 }).as("hits");
export const joined = db
  .select({ q: docs.question, d: hits.distance })
  .from(docs)
  .leftJoin(hits, eq(hits.id, docs.id))
  .all();
