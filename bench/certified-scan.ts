// nearest() over an indexed column against the bare scan of the same rows: time, rows read, the check that nothing has changed,
// the first answer, and the memory of the codes. Real-like vectors are made from those of the shared data where it is there.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable } from "drizzle-orm/sqlite-core";
import { nearest, searchIndex, vectorColumn } from "../dist/index.js";
import { definitionOf } from "../src/migration/definition.ts";
import { readInstalledSync, type SqlRow } from "../src/migration/installed.ts";
import { planEnsure } from "../src/migration/plan.ts";
import { likeMiniLm, noise, seeded } from "./lib/data.ts";
import { median, printTimes, sideBySide } from "./lib/measure.ts";

const ROWS = 100_000;
const DIMENSIONS = 384;
const QUERIES = 15;
const CRANFIELD = fileURLToPath(new URL("../../shared/data/cranfield/docs.minilm384.fvecs", import.meta.url));

const indexed = sqliteTable("indexed", { id: integer().primaryKey(), v: vectorColumn(DIMENSIONS) });
const bare = sqliteTable("bare", { id: integer().primaryKey(), v: vectorColumn(DIMENSIONS) });
const index = searchIndex("vectors", indexed, { vectors: { v: { metric: "cosine" } } });

const random = seeded(2);
if (process.argv[2] === "memory") {
  measureMemory(process.argv[3]!);
} else {
  if (existsSync(CRANFIELD)) measure("like MiniLM", likeMiniLm(seeded(1), readFileSync(CRANFIELD)));
  measure("isotropic noise", () => noise(random, DIMENSIONS));
}

/** In a process of its own, on the finished file: what an answer from the codes leaves behind that a bare scan does not. */
function measureMemory(file: string): void {
  const client = new Database(file, { readonly: true });
  const db = drizzle(client);
  const query = noise(random, DIMENSIONS);
  const settled = () => {
    global.gc!();
    global.gc!();
    return process.memoryUsage().rss;
  };
  for (let i = 0; i < 3; i++) nearest(db, bare.v, query, { limit: 10 }).all();
  const before = settled();
  const { rowsScanned, plan } = nearest(db, indexed.v, query, { limit: 10 }).explain();
  const grown = settled() - before;
  console.log(
    `${plan}: RSS grew by ${(grown / 2 ** 20).toFixed(1)} MB, ${(grown / (rowsScanned * DIMENSIONS * 4)).toFixed(3)} of the float32 bytes`,
  );
}

function measure(name: string, next: () => Float32Array<ArrayBuffer>): void {
  const folder = mkdtempSync(join(tmpdir(), "certified-scan-"));
  const file = join(folder, "bench.db");
  const client = new Database(file);
  try {
    client.pragma("journal_mode = WAL");
    client.exec(
      "create table indexed (id integer primary key, v blob); create table bare (id integer primary key, v blob)",
    );
    const insert = client.prepare("insert into bare values (?, ?)");
    client.transaction(() => {
      for (let id = 1; id <= ROWS; id++) insert.run(id, Buffer.from(next().buffer));
      client.exec("insert into indexed select * from bare");
    })();
    const definition = definitionOf(index);
    const installed = readInstalledSync((sql) => client.prepare(sql).raw().all() as SqlRow[], ["indexed"]);
    const { before, after } = planEnsure(definition, installed);
    for (const sql of [...before, ...after]) client.exec(sql);
    const db = drizzle(client);
    const queries = Array.from({ length: QUERIES }, next);
    const search = (q: number) => nearest(db, indexed.v, queries[q % QUERIES]!, { limit: 10 });

    const { ms, plan } = search(0).explain();
    const rescored = queries.map((_, q) => search(q).explain().rowsRescored);
    for (let q = 0; q < 3; q++) {
      const [ours, truth] = [search(q).all(), nearest(db, bare.v, queries[q]!, { limit: 10 }).all()];
      if (JSON.stringify(ours) !== JSON.stringify(truth)) throw new Error("the answers differ");
    }
    let turn = 0;
    printTimes(
      `${name}: ${ROWS} x ${DIMENSIONS}, top 10 by cosine, median of 9`,
      sideBySide(9, {
        "bare scan": () => void nearest(db, bare.v, queries[turn % QUERIES]!, { limit: 10 }).all(),
        [plan]: () => void search(turn++).all(),
      }),
    );
    const checks = queries.flatMap(() => Array.from({ length: 20 }, (_, q) => search(q).explain().ms));
    console.log(
      `unchanged check ${(median(checks.map(({ catchUp }) => catchUp)) * 1000).toFixed(1)} µs, scan ${median(checks.map(({ scan }) => scan)).toFixed(2)} ms, re-reading ${median(checks.map(({ score }) => score)).toFixed(2)} ms, rows re-read ${median(rescored)}`,
    );
    console.log(`first answer ${ms.total.toFixed(0)} ms`);
    const script = fileURLToPath(import.meta.url);
    console.log(String(execFileSync(process.execPath, ["--expose-gc", "--import", "tsx", script, "memory", file])));
  } finally {
    client.close();
    rmSync(folder, { recursive: true });
  }
}
