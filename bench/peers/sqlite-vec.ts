import Database from "better-sqlite3";
import { copyOf } from "../lib/data-set.ts";
import { type Engine, type Load, loadPeer } from "./peer.ts";

interface SqliteVec {
  load(client: Database.Database): void;
}

/** A `vec0` table of float32, its answer joined to the rows as the project's documentation shows. */
export function sqliteVec({ set, folder, k }: Load): Engine | undefined {
  const peer = loadPeer<SqliteVec>("sqlite-vec");
  if (!peer) return undefined;
  const client = new Database(copyOf(set, folder, "sqlite-vec.db"));
  peer.load(client);
  const metric = set.metric === "cosine" ? "cosine" : "l2";
  client.exec(
    `CREATE VIRTUAL TABLE vec_docs USING vec0(embedding float[${set.dimensions}] distance_metric=${metric});
     INSERT INTO vec_docs (rowid, embedding) SELECT id, embedding FROM docs`,
  );
  const search = client.prepare(
    `WITH matches AS (SELECT rowid, distance FROM vec_docs WHERE embedding MATCH ? AND k = ?)
     SELECT docs.id, docs.title, matches.distance FROM matches LEFT JOIN docs ON docs.id = matches.rowid
     ORDER BY matches.distance`,
  );
  return {
    name: "sqlite-vec, vec0 float32",
    search: (query) => search.all(query, k).map((row) => (row as { id: number }).id),
    close: () => void client.close(),
  };
}
