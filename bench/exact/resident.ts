// In a fresh process: what answering from an index leaves in memory.
import { freshInput } from "../lib/child.ts";
import { openDb, schemaOf } from "../lib/data-set.ts";
import { nearest } from "../lib/library.ts";

export interface ResidentInput {
  readonly file: string;
  readonly dimensions: number;
  readonly metric: "cosine" | "l2";
  readonly queries: readonly (readonly number[])[];
  /** Whether the process has scanned the table without the index before its memory is first read. */
  readonly isWarm: boolean;
}

const { file, dimensions, metric, queries, isWarm } = freshInput<ResidentInput>();
const schema = schemaOf(dimensions, metric);
const db = openDb(file, schema);
db.select({ id: schema.docs.id }).from(schema.docs).limit(10).all();
// Another metric than the index's is answered by the bare scan: SQLite's page cache is full then, and V8's heap has grown.
const other = metric === "cosine" ? "l2" : "cosine";
for (let i = 0; isWarm && i < 3; i++)
  nearest(db, schema.docs.embedding, queries[0]!, { limit: 10, metric: other }).all();
const before = await settled();
for (const query of queries) nearest(db, schema.docs.embedding, query, { limit: 10 }).all();
console.log(JSON.stringify((await settled()) - before));

/** Bytes of the process after garbage collection, which frees buffers in a later turn of the loop. */
async function settled(): Promise<number> {
  for (let i = 0; i < 4; i++) {
    global.gc!();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return process.memoryUsage().rss;
}
