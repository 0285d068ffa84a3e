// A schema loaded as CommonJS, searched by the ES modules: what a tool that hooks `require` makes of an app.
import { createRequire } from "node:module";
import Database from "better-sqlite3";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { nearest } from "drizzle-vector";

const require = createRequire(import.meta.url);
const { integer, sqliteTable, text } = require("drizzle-orm/sqlite-core");
const { vectorColumn } = require("drizzle-vector/schema");

const docs = sqliteTable("docs", {
  id: integer("id").primaryKey(),
  title: text("title").notNull(),
  embedding: vectorColumn("embedding", 3),
});
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
console.log(JSON.stringify({ kernel, hits }));
