// A CommonJS app on better-sqlite3: declares, inserts, searches, prints.
const Database = require("better-sqlite3");
const { sql } = require("drizzle-orm");
const { drizzle } = require("drizzle-orm/better-sqlite3");
const { integer, sqliteTable, text } = require("drizzle-orm/sqlite-core");
const { nearest } = require("drizzle-vector");
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

async function main() {
  const hits = await nearest(db, docs.embedding, [2, 0, 0], { select: { title: docs.title } });
  const { kernel } = nearest(db, docs.embedding, [2, 0, 0]).explain();
  console.log(JSON.stringify({ kernel, hits }));
}

main();
