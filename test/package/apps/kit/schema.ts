import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { vectorColumn } from "drizzle-vector/schema";

export const docs = sqliteTable("docs", {
  id: integer("id").primaryKey(),
  title: text("title").notNull(),
  embedding: vectorColumn("embedding", 3),
  code: vectorColumn("code", { dimensions: 16, element: "bit" }).notNull(),
});
