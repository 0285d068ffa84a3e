// An app with a TypeScript schema: migrates with Drizzle's own migrator, inserts, searches, prints.
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { migrate } from "drizzle-orm/better-sqlite3/migrator";
import { nearest } from "drizzle-vector";
import { docs } from "./schema.ts";

const db = drizzle({ client: new Database("app.db") });
migrate(db, { migrationsFolder: "migrations" });
const code = new Uint8Array(2);
db.insert(docs)
  .values([
    { title: "east", embedding: [1, 0, 0], code },
    { title: "north", embedding: [0, 1, 0], code },
    { title: "west", embedding: [-1, 0, 0], code },
  ])
  .run();

const query = nearest(db, docs.embedding, [2, 0, 0], { select: { title: docs.title } });
console.log(JSON.stringify({ kernel: query.explain().kernel, hits: query.all() }));
