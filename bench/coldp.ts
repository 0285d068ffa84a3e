import { dataSet, openIndexed, openDb, schemaOf } from "./lib/data-set.ts";
import { nearest, optimize } from "./lib/library.ts";
import { existsSync, mkdirSync } from "node:fs";
const set = dataSet({ kind: "like-minilm", rows: 100000, dimensions: 384, seed: 1 })!;
const folder = "/tmp/coldp"; const file = folder + "/bench.db";
if (!existsSync(file)) { mkdirSync(folder, { recursive: true }); const { db, docsSearch } = openIndexed(set, folder); await optimize(db, docsSearch); db.$client.close(); }
const schema = schemaOf(384, "cosine");
const q = set.queries(1)[0]!;
const t0 = performance.now(); const c0 = process.cpuUsage();
const db = openDb(file, schema);
const t1 = performance.now();
const e = nearest(db, schema.docs.embedding, q, { limit: 10 }).explain();
const t2 = performance.now(); const c = process.cpuUsage(c0);
console.log("open", (t1 - t0).toFixed(1), "first", (t2 - t1).toFixed(1), "cpu", c.user / 1000, c.system / 1000, e.plan, JSON.stringify(e.ms));
db.$client.close();
