import { alias, blob, integer, primaryKey, sqliteTable, sqliteView, text } from "drizzle-orm/sqlite-core";
import { vectorColumn } from "drizzle-vector/schema";

export const docs = sqliteTable("docs", {
  id: integer().primaryKey(),
  course: text().notNull(),
  title: text(),
  kind: text({ enum: ["faq", "lesson"] }).notNull(),
  createdAt: integer("created_at", { mode: "timestamp" }),
  published: integer({ mode: "boolean" }).notNull(),
  tags: text({ mode: "json" }).$type<string[]>(),
  raw: blob({ mode: "buffer" }),
  embedding: vectorColumn(384),
  required: vectorColumn("required_v", 384).notNull(),
  half: vectorColumn({ dimensions: 384, element: "float16" }),
  small: vectorColumn("small", { dimensions: 384, element: "int8", mode: "array" }),
  bits: vectorColumn({ dimensions: 384, element: "bit" }),
});

export const parts = sqliteTable(
  "parts",
  { doc: text().notNull(), part: integer().notNull(), note: text(), v: vectorColumn(2).notNull() },
  (t) => [primaryKey({ columns: [t.doc, t.part] })],
);

export const d = alias(docs, "d");

export const view = sqliteView("docs_view").as((qb) => qb.select().from(docs));

/** A hit of `docs` where nothing is selected, without its distance. */
export interface Doc {
  id: number;
  course: string;
  title: string | null;
  kind: "faq" | "lesson";
  createdAt: Date | null;
  published: boolean;
  tags: string[] | null;
  raw: Buffer | null;
}
