import Database from "better-sqlite3";
import { gte, lt } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { seeded } from "./lib/data.ts";
import { copyOf, dataSet, inFolder, vectorsOf } from "./lib/data-set.ts";
import { ensureSearchIndexes, nearest, optimize, searchIndex, vectorColumn } from "./lib/library.ts";
import { truthOf } from "./lib/truth.ts";
const set = dataSet({ kind: "like-minilm", rows: 100000, dimensions: 384, seed: 1 })!;
const ranked = (v: Float64Array) => { const o = Uint32Array.from(v, (_, i) => i).sort((a, b) => v[a]! - v[b]!); const r = new Uint32Array(v.length); for (const [k, row] of o.entries()) r[row] = k; return r; };
await inFolder(async (folder) => {
  const vectors = vectorsOf(set);
  const [anchor, ...others] = set.queries(6) as any;
  const queries = others.map((o: any) => anchor.map((x: number, i: number) => x + 0.2 * (o[i] - x)));
  const { distanceOf } = truthOf(set, vectors, anchor, 1);
  const near = ranked(Float64Array.from({ length: set.rows }, (_, r) => distanceOf(r + 1)));
  const rnd = seeded(8); const chance = ranked(Float64Array.from({ length: set.rows }, () => rnd()));
  const docs = sqliteTable("docs", { id: integer().primaryKey(), title: text(), embedding: vectorColumn(384), chance: integer(), near: integer() });
  const idx = searchIndex("docs_search", docs, { vectors: { embedding: {} } });
  const client = new Database(copyOf(set, folder));
  client.exec("ALTER TABLE docs ADD chance integer; ALTER TABLE docs ADD near integer");
  const u = client.prepare("UPDATE docs SET chance = ?, near = ? WHERE id = ?");
  client.transaction(() => { for (let id = 1; id <= set.rows; id++) u.run(chance[id - 1], near[id - 1], id); client.exec("CREATE INDEX a ON docs (chance); CREATE INDEX b ON docs (near)"); })();
  const db = drizzle({ client, schema: { docs } });
  ensureSearchIndexes(db, [idx]);
  await optimize(db, idx);
  const med = (x: number[]) => x.sort((a, b) => a - b)[x.length >> 1]!.toFixed(2) + "/" + x[0]!.toFixed(2);
  for (const c of [100000, 50000, 10000, 1000, 100, 0]) for (const [n, where] of [["unc", lt(docs.chance, c)], ["cor", lt(docs.near, c)], ["anti", gte(docs.near, 100000 - c)], ["none", undefined]] as any) {
    const ms: any = {}; let e: any; const w: number[] = [];
    for (let i = 0; i < 30; i++) { const s = performance.now(); nearest(db, docs.embedding, queries[i % 5], { where, limit: 10 }).all(); w.push(performance.now() - s); e = nearest(db, docs.embedding, queries[i % 5], { where, limit: 10 }).explain(); for (const k in e.ms) (ms[k] ??= []).push(e.ms[k]); }
    console.log(c, n, "wall", med(w), "scan", med(ms.scan), "score", med(ms.score), "scanned", e.rowsScanned, "doubt", e.rowsInDoubt, "rescored", e.rowsRescored, (e.bytesRead / 1e6).toFixed(2));
  }
  client.close();
});
