// nearest() on a bare column against reading the same blobs row by row: time, and growth of the process's peak memory.
// The memory of each is measured in a process of its own, which starts on the finished database file.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { nearest, vectorColumn } from "../dist/index.js";
import { noise, seeded } from "./lib/data.ts";
import { printTimes, sideBySide } from "./lib/measure.ts";

const ROWS = 100_000;
const DIMENSIONS = 384;
const SEED = 1;

const docs = sqliteTable("docs", { id: integer().primaryKey(), title: text(), embedding: vectorColumn(DIMENSIONS) });
const query = noise(seeded(2), DIMENSIONS);

if (process.argv[2] === "memory") measureMemory(process.argv[3]!, process.argv[4]!);
else compare();

function compare(): void {
  const folder = mkdtempSync(join(tmpdir(), "bare-scan-"));
  try {
    const file = join(folder, "bench.db");
    fill(file);
    const client = new Database(file);
    const db = drizzle(client);
    const blobs = client.prepare("select embedding from docs").pluck();
    const pairs = client.prepare("select id, embedding from docs").raw();
    printTimes(
      `${ROWS} x ${DIMENSIONS} float32, top 10 by cosine, median of 7`,
      sideBySide(7, {
        "read the blobs row by row": () => drain(blobs.iterate()),
        "read key and blob row by row": () => drain(pairs.iterate()),
        nearest: () => void nearest(db, docs.embedding, query, { limit: 10 }).all(),
      }),
    );
    client.close();
    const script = fileURLToPath(import.meta.url);
    for (const what of ["read", "nearest"]) {
      process.stdout.write(execFileSync("npx", ["tsx", script, "memory", what, file]));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function fill(file: string): void {
  const client = new Database(file);
  client.exec("create table docs (id integer primary key, title text, embedding blob)");
  const insert = client.prepare("insert into docs values (?, ?, ?)");
  const random = seeded(SEED);
  client.transaction(() => {
    for (let id = 1; id <= ROWS; id++) insert.run(id, `title ${id}`, Buffer.from(noise(random, DIMENSIONS).buffer));
  })();
  client.close();
}

function drain(rows: Iterable<unknown>): void {
  for (const row of rows) if (row === null) throw new Error("a row without a vector");
}

function measureMemory(what: string, file: string): void {
  const client = new Database(file, { readonly: true });
  const db = drizzle(client);
  const run =
    what === "nearest"
      ? () => void nearest(db, docs.embedding, query, { limit: 10 }).all()
      : () => drain(client.prepare("select embedding from docs").pluck().iterate());
  const before = process.memoryUsage().rss;
  // The peak so far includes the loading of modules: Linux lets a process reset it.
  writeFileSync("/proc/self/clear_refs", "5");
  for (let i = 0; i < 5; i++) run();
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))![1]) * 1024;
  console.log(`${what}: peak RSS grew by ${((peak - before) / 2 ** 20).toFixed(1)} MB over 5 runs`);
}
