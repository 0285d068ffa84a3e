// What an app may export, with types that its compiler has to write down by name in declarations of its own.
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import {
  distance,
  ensureSearchIndexes,
  hybrid,
  nearest,
  nearestMany,
  search,
  status,
  tune,
  verify,
} from "drizzle-vector";
import { searchIndex, vectorColumn } from "drizzle-vector/schema";

export const embedding = () => vectorColumn(3);
export const docs = sqliteTable("docs", {
  id: integer().primaryKey(),
  title: text().notNull(),
  floats: embedding().notNull(),
  halves: vectorColumn({ dimensions: 3, element: "float16" }),
  bytes: vectorColumn("bytes", { dimensions: 3, element: "int8" }),
  bits: vectorColumn({ dimensions: 16, element: "bit" }),
  plain: vectorColumn({ dimensions: 3, mode: "array" }).$defaultFn(() => [1, 0, 0]),
});
export const docsSearch = searchIndex("docs_search", docs, { text: { title: 1 }, vectors: { floats: {} } });
export const { text: texts, vectors } = docsSearch;

export const db = drizzle({ client: new Database(":memory:") });
const query = [1, 0, 0];
const select = { title: docs.title };
export const vectorSearch = nearest(db, docs.floats, query, { select });
export const prepared = vectorSearch.prepare();
export const explained = vectorSearch.explain();
export const nearby = vectorSearch.as("nearby");
export const joined = db.select({ distance: nearby.distance }).from(nearby);
export const searches = nearestMany(db, docs.floats, [query]);
export const textSearch = search(db, docsSearch, "east", { select, highlight: { columns: ["title"] } });
export const found = textSearch.as("found");
export const hybridSearch = hybrid(db, docsSearch, { text: "east", vector: query });
export const both = hybridSearch.as("both");
export const d = distance(docs.floats, query);
export const upkeep = () => [
  ensureSearchIndexes(db, [docsSearch]),
  status(db),
  verify(db, docsSearch),
  tune(db, docsSearch),
];
