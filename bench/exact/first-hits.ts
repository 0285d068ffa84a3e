// In a fresh process: how long from opening a file to typed hits, the modules being loaded.

import { freshInput } from "../lib/child.ts";
import { openDb, schemaOf } from "../lib/data-set.ts";
import { nearest } from "../lib/library.ts";

export interface FirstHitsInput {
  readonly file: string;
  readonly dimensions: number;
  readonly metric: "cosine" | "l2";
  readonly query: readonly number[];
}

export interface FirstHits {
  readonly ms: number;
  readonly ids: number[];
}

const { file, dimensions, metric, query } = freshInput<FirstHitsInput>();
const schema = schemaOf(dimensions, metric);
const start = performance.now();
const db = openDb(file, schema);
const hits = nearest(db, schema.docs.embedding, query, { limit: 10 }).all();
const ms = performance.now() - start;
console.log(JSON.stringify({ ms, ids: hits.map(({ id }) => id) } satisfies FirstHits));
