import { copyOf, openDb, openIndexed, schemaOf } from "../lib/data-set.ts";
import { nearest, optimize } from "../lib/library.ts";
import type { Engine, Load } from "./peer.ts";

/** `nearest` on a column of a search index: typed rows with their titles, through Drizzle. */
export async function drizzleVector({ set, folder, k }: Load) {
  const { db, docs, docsSearch } = openIndexed(set, folder, "drizzle-vector.db");
  await optimize(db, docsSearch);
  const hits = (query: Float32Array) => nearest(db, docs.embedding, query, { limit: k }).all();
  return {
    name: "drizzle-vector, nearest",
    hits,
    search: (query: Float32Array) => hits(query).map(({ id }) => id),
    close: () => void db.$client.close(),
  };
}

/** The same on a column without an index. */
export function drizzleVectorBare({ set, folder, k }: Load): Engine {
  const schema = schemaOf(set.dimensions, set.metric);
  const db = openDb(copyOf(set, folder, "bare.db"), schema);
  const metric = set.metric;
  return {
    name: "drizzle-vector, nearest without an index",
    search: (query) => {
      const hits = nearest(db, schema.docs.embedding, query, { limit: k, metric }).all();
      return hits.map(({ id }) => id);
    },
    close: () => void db.$client.close(),
  };
}
