import { index, integer, real, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { vectorColumn } from "drizzle-vector/schema";

/** Length of every vector of the demo, whoever computes it. */
export const DIMENSIONS = 256;

/** The Markdown files in the database, with what tells cheaply whether one changed on disk. */
export const files = sqliteTable("files", {
  path: text().primaryKey(),
  package: text().notNull(),
  version: text().notNull(),
  sizeBytes: integer("size_bytes").notNull(),
  modifiedMs: real("modified_ms").notNull(),
  /** SHA-256 of the content: decides, once the cheap signs differ, whether there is anything to do. */
  hash: text().notNull(),
});

/** What is searched: a few paragraphs under one heading. Package and version are repeated here, so a hit is one row. */
export const passages = sqliteTable(
  "passages",
  {
    id: integer().primaryKey(),
    file: text()
      .notNull()
      .references(() => files.path, { onDelete: "cascade" }),
    package: text().notNull(),
    version: text().notNull(),
    /** The headings above the passage, outermost first: `Usage › Options`. */
    heading: text().notNull(),
    text: text().notNull(),
    embedding: vectorColumn(DIMENSIONS).notNull(),
  },
  (table) => [index("passages_file").on(table.file), index("passages_package").on(table.package)],
);

/** The embedding model in use: one row. Vectors of two models cannot be compared, so a new model means new vectors. */
export const model = sqliteTable("model", {
  id: integer().primaryKey(),
  name: text().notNull(),
  /** How many passages the model was fitted on, and how many came or went since; 0 for a model that is not fitted here. */
  fittedPassages: integer("fitted_passages").notNull(),
  changedPassages: integer("changed_passages").notNull(),
});

/** The fitted model itself: the vector of each word, its rarity included. A text is embedded by adding these up. */
export const words = sqliteTable("words", {
  word: text().primaryKey(),
  vector: vectorColumn(DIMENSIONS).notNull(),
});
