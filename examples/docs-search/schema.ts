import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { searchIndex, vectorColumn } from "drizzle-vector/schema";

/** Length of every vector of the demo, whoever computes it. */
export const DIMENSIONS = 256;

/** The installed packages whose documentation is in the database. */
export const packages = sqliteTable("packages", {
  name: text().primaryKey(),
  version: text().notNull(),
  /** Tells, without reading a file, whether anything changed on disk since. */
  fingerprint: text().notNull(),
});

/** What is searched: a few paragraphs under one heading. The version is repeated here, so that a hit is one row. */
export const passages = sqliteTable(
  "passages",
  {
    id: integer().primaryKey(),
    package: text()
      .notNull()
      .references(() => packages.name, { onDelete: "cascade" }),
    version: text().notNull(),
    file: text().notNull(),
    /** The headings above the passage, outermost first: `Usage › Options`. */
    heading: text().notNull(),
    text: text().notNull(),
    embedding: vectorColumn(DIMENSIONS).notNull(),
  },
  (table) => [index("passages_package").on(table.package)],
);

/** Finds passages by their words, a heading's counting three times, and follows their vectors. The migrations create it. */
export const passagesSearch = searchIndex("passages_search", passages, {
  text: { heading: 3, text: 1 },
  tokenizer: "porter",
  vectors: { embedding: { metric: "cosine" } },
});

/** The embedding model in use: one row. Vectors of two models cannot be compared, so another model means new vectors. */
export const model = sqliteTable("model", {
  id: integer().primaryKey(),
  name: text().notNull(),
  /** How many passages there were when the model was fitted. */
  fittedPassages: integer("fitted_passages").notNull(),
  /** How many came or went since. */
  changedPassages: integer("changed_passages").notNull(),
});

/** What the demo's own model learned: a vector for each word. A text is embedded by adding up those of its words. */
export const words = sqliteTable("words", {
  word: text().primaryKey(),
  vector: vectorColumn(DIMENSIONS).notNull(),
});

/** What a vector column reads as and takes. */
export type Vector = typeof passages.$inferSelect.embedding;
