// An ES module app on libSQL: declares, inserts, searches inside and outside a transaction, prints.
import { createClient } from "@libsql/client";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { nearest } from "drizzle-vector";
import { vectorColumn } from "drizzle-vector/schema";

const docs = sqliteTable("docs", {
  id: integer("id").primaryKey(),
  title: text("title").notNull(),
  embedding: vectorColumn("embedding", 3),
});
const db = drizzle({ client: createClient({ url: "file:libsql.db" }) });
await db.run(sql`drop table if exists docs`);
await db.run(sql`create table docs (id integer primary key, title text not null, embedding blob)`);
const hits = await db.transaction(async (tx) => {
  await tx.insert(docs).values([
    { title: "east", embedding: [1, 0, 0] },
    { title: "north", embedding: [0, 1, 0] },
    { title: "west", embedding: [-1, 0, 0] },
  ]);
  return nearest(tx, docs.embedding, [2, 0, 0], { select: { title: docs.title } });
});
const { kernel } = await nearest(db, docs.embedding, [2, 0, 0]).explain();
console.log(JSON.stringify({ kernel, hits }));
