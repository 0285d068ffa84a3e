import Database from "better-sqlite3";
import { ResidentCodes } from "../src/vector/resident-codes.ts";
import { columnSpace } from "../src/vector/column-space.ts";
import { eachId } from "../src/vector/row-ids.ts";
import { codeSpace } from "../src/vector/code-space.ts";
import { fitModel } from "../src/vector/model.ts";
import { dataSet } from "./lib/data-set.ts";
const set = dataSet({ kind: "like-minilm", rows: 100000, dimensions: 384, seed: 1 })!;
const c = new Database(set.file, { readonly: true });
const blobs = c.prepare("select embedding from docs order by id").pluck().all() as Uint8Array[];
const shape = { dimensions: 384, element: "float32" } as const;
const model = fitModel(shape, set.metric, blobs.filter((_, i) => i % 48 === 0).slice(0, 2048));
const space = { ...codeSpace(shape, set.metric, model), isExact: true, oneBit: undefined } as any;
const codes = new ResidentCodes(space);
for (let i = 0; i < blobs.length; i += 256) codes.setAll(blobs.slice(i, i + 256).map((b, j) => [BigInt(i + j + 1), b] as const));
codes.finishLoad();
const q0 = set.queries(1)[0]!;
const dist = blobs.map((b) => { const v = new Float32Array(b.buffer, b.byteOffset, 384); let s = 0; for (let i = 0; i < 384; i++) s += v[i]! * q0[i]!; return s; });
const order = [...dist.keys()].sort((a, b) => dist[a]! - dist[b]!);
const perm = [...dist.keys()]; let s = 7; for (let i = perm.length - 1; i > 0; i--) { s = (s * 1103515245 + 12345) & 0x7fffffff; const j = s % (i + 1); [perm[i], perm[j]] = [perm[j]!, perm[i]!]; }
const q = space.query(new Uint8Array(q0.buffer, q0.byteOffset, q0.byteLength));
let last: any;
const med = (f: () => any) => { const t: number[] = []; for (let i = 0; i < 21; i++) { const a = performance.now(); f(); t.push(performance.now() - a); } t.sort((a, b) => a - b); return t[10]!.toFixed(2) + "/" + t[0]!.toFixed(2); };
for (const [name, rows] of [["far", order], ["random", perm]] as const) for (const n of [50000, 10000, 1000]) {
  const list = rows.slice(0, n).map((r) => r + 1).join(",");
  let sel: any, sum = 0;
  console.log(name, n, "parse", med(() => eachId(list, (id) => { sum += id as number; })), "select", med(() => { sel = codes.selection(); sel.addList(list); }),
    "scan", med(() => { last = codes.search({ query: q, k: 10, maxDistance: Infinity, most: 5000, among: sel } as any, undefined as any).next().value; }), last && last.bytesRead / 1e6, last?.survivors.length);
}
for (const k of [10, 32, 100, 257]) { let f: any; console.log("k", k, "scan", med(() => { f = codes.search({ query: q, k, maxDistance: Infinity, most: 5000, among: undefined } as any, undefined as any).next().value; }), f.bytesRead / 1e6, f.survivors.length); }
