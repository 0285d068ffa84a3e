// An app as the compiler sees it: what the library's types accept, refuse and infer.
import Database from "better-sqlite3";
import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { type DrizzleVectorError, nearest } from "drizzle-vector";
import { type Element, vectorColumn } from "drizzle-vector/schema";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const is = <T extends true>(_?: T): void => {};

const docs = sqliteTable("docs", {
  id: integer("id").primaryKey(),
  title: text("title").notNull(),
  floats: vectorColumn("floats", 3).notNull(),
  bytes: vectorColumn("bytes", { dimensions: 3, element: "int8" }),
  bits: vectorColumn("bits", { dimensions: 16, element: "bit" }),
  plain: vectorColumn("plain", { dimensions: 3, mode: "array" }).notNull(),
});
const db = drizzle({ client: new Database(":memory:") });

type Row = typeof docs.$inferSelect;
is<Equal<Row["floats"], Float32Array>>();
is<Equal<Row["bytes"], Int8Array | null>>();
is<Equal<Row["bits"], Uint8Array | null>>();
is<Equal<Row["plain"], number[]>>();
is<Equal<Element, "float32" | "float16" | "int8" | "bit">>();
is<Equal<DrizzleVectorError["code"], string>>();

const hits = nearest(db, docs.floats, [1, 0, 0], { select: { title: docs.title }, where: eq(docs.id, 1) }).all();
is<Equal<(typeof hits)[number], { title: string; $distance: number }>>();

const found = nearest(db, docs.floats, new Float32Array(3), { select: { id: docs.id } }).as("hits");
const joined = db
  .select({ title: docs.title, distance: found.distance, rank: found.rank })
  .from(found)
  .innerJoin(docs, eq(docs.id, found.id))
  .all();
is<Equal<(typeof joined)[number], { title: string; distance: number; rank: number }>>();

// What most embedders return: a typed array over any buffer.
const embed = (): Float32Array => new Float32Array(3);
db.insert(docs).values({ title: "", floats: embed(), plain: [] });
nearest(db, docs.floats, embed());

nearest(db, docs.bits, new Uint8Array(2), { metric: "hamming" });
// @ts-expect-error bits have the Hamming distance only
nearest(db, docs.bits, new Uint8Array(2), { metric: "cosine" });
// @ts-expect-error not a vector column
nearest(db, docs.title, [1, 0, 0]);
// @ts-expect-error no such option
nearest(db, docs.floats, [1, 0, 0], { top: 5 });
// @ts-expect-error no such element
vectorColumn("wrong", { dimensions: 3, element: "float64" });
// @ts-expect-error text is no vector
db.insert(docs).values({ title: "", floats: "1,0,0", plain: [] });
