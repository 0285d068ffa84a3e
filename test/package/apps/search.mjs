// Declares, inserts and searches on better-sqlite3, as an app in ES modules does.
import Database from "better-sqlite3";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { nearest } from "drizzle-vector";
import { vectorColumn } from "drizzle-vector/schema";

const docs = sqliteTable("docs", {
  id: integer("id").primaryKey(),
  title: text("title").notNull(),
  embedding: vectorColumn("embedding", 3),
});

export async function search() {
  const db = drizzle({ client: new Database(":memory:") });
  db.run(sql`create table docs (id integer primary key, title text not null, embedding blob)`);
  db.insert(docs)
    .values([
      { title: "east", embedding: [1, 0, 0] },
      { title: "north", embedding: [0, 1, 0] },
      { title: "west", embedding: [-1, 0, 0] },
    ])
    .run();

  const hits = await nearest(db, docs.embedding, [2, 0, 0], { select: { title: docs.title } });
  const { kernel } = nearest(db, docs.embedding, [2, 0, 0]).explain();
  return { kernel, hits };
}
