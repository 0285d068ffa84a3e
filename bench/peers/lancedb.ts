import { join } from "node:path";
import { type Engine, type Load, loadPeer } from "./peer.ts";

interface Query {
  distanceType(metric: string): Query;
  select(columns: string[]): Query;
  limit(k: number): Query;
  toArray(): Promise<{ id: number }[]>;
}

interface Table {
  add(rows: Row[]): Promise<unknown>;
  query(): { nearestTo(query: Float32Array): Query };
}

interface Row {
  id: number;
  title: string;
  vector: number[];
}

interface LanceDb {
  connect(folder: string): Promise<{ createTable(name: string, rows: Row[]): Promise<Table>; close(): void }>;
}

const BATCH_ROWS = 20_000;

/** A flat scan of a LanceDB table; it takes as many threads as it likes. */
export async function lancedb({ set, vectors, folder, k }: Load): Promise<Engine | undefined> {
  const peer = loadPeer<LanceDb>("@lancedb/lancedb");
  if (!peer) return undefined;
  const connection = await peer.connect(join(folder, "lance"));
  let table: Table | undefined;
  for (let from = 0; from < set.rows; from += BATCH_ROWS) {
    const batch = Array.from({ length: Math.min(BATCH_ROWS, set.rows - from) }, (_, i) => {
      const at = (from + i) * set.dimensions;
      const vector = Array.from(vectors.subarray(at, at + set.dimensions));
      return { id: from + i + 1, title: `Document ${from + i + 1}`, vector };
    });
    if (table) await table.add(batch);
    else table = await connection.createTable("docs", batch);
  }
  const docs = table!;
  return {
    name: "LanceDB, flat (all cores)",
    async search(query) {
      const nearest = docs.query().nearestTo(query).distanceType(set.metric);
      const rows = await nearest.select(["id", "title", "_distance"]).limit(k).toArray();
      return rows.map(({ id }) => Number(id));
    },
    close: () => connection.close(),
  };
}
