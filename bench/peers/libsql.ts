import type Database from "better-sqlite3";
import { copyOf } from "../lib/data-set.ts";
import { type Engine, type Load, loadPeer } from "./peer.ts";

/** `vector_distance_cos` (or `_l2`) over the plain table. */
export function libsql({ set, folder, k }: Load): Engine | undefined {
  // The package speaks better-sqlite3's language.
  const Peer = loadPeer<typeof Database>("libsql");
  if (!Peer) return undefined;
  const client = new Peer(copyOf(set, folder, "libsql.db"));
  const distance = set.metric === "cosine" ? "vector_distance_cos" : "vector_distance_l2";
  const search = client.prepare(
    `SELECT id, title, ${distance}(embedding, ?) AS distance FROM docs ORDER BY distance LIMIT ?`,
  );
  return {
    name: `libSQL, ${distance}`,
    search: (query) => search.all(Buffer.from(query.buffer), k).map((row) => (row as { id: number }).id),
    close: () => void client.close(),
  };
}
