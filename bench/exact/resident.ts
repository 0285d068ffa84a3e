// In a fresh process: what answering from an index leaves in memory.
import { freshInput } from "../lib/child.ts";
import { openDb, schemaOf } from "../lib/data-set.ts";
import { nearest } from "../lib/library.ts";

export interface ResidentInput {
  readonly file: string;
  readonly dimensions: number;
  readonly metric: "cosine" | "l2";
  readonly queries: readonly (readonly number[])[];
  /** Whether the table is read once before the first reading of the memory, so that SQLite's own page cache is in it. */
  readonly isCacheFull: boolean;
}

const { file, dimensions, metric, queries, isCacheFull } = freshInput<ResidentInput>();
const schema = schemaOf(dimensions, metric);
const db = openDb(file, schema);
db.select({ id: schema.docs.id }).from(schema.docs).limit(10).all();
if (isCacheFull) db.$client.prepare("SELECT sum(length(embedding)) + max(hex(embedding)) FROM docs").get();
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
