// The same schema without the library: what Drizzle alone costs the compiler.
import { drizzle } from "drizzle-orm/better-sqlite3";
import { blob, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

export const docs = sqliteTable("docs", {
  id: integer().primaryKey(),
  course: text().notNull(),
  question: text().notNull(),
  answer: text().notNull(),
  embedding: blob(),
});

export const db = drizzle(":memory:", { schema: { docs } });
export const rows = db.select({ id: docs.id, question: docs.question }).from(docs).all();
