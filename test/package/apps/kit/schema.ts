import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { searchIndex, vectorColumn } from "drizzle-vector/schema";

export const docs = sqliteTable("docs", {
  id: integer("id").primaryKey(),
  title: text("title").notNull(),
  embedding: vectorColumn("embedding", 3),
  code: vectorColumn("code", { dimensions: 16, element: "bit" }).notNull(),
});

export const docsSearch = searchIndex("docs_search", docs, { text: { title: 1 }, vectors: { embedding: {} } });
