import { parentPort, workerData } from "node:worker_threads";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { nearest } from "../../src/index.ts";
import { bruteForce } from "../model/brute-force.ts";
import { APPS, randomStatement } from "../reliability/app.ts";
import { randomVector, seeded } from "../reliability/random.ts";

/** Writes and asks in a thread, and tells in how many answers it differed from a plain SELECT. */
const { file, seed } = workerData as { file: string; seed: number };
const app = APPS.integer;
const random = seeded(seed);
const client = new Database(file, { timeout: 10_000 });
const db = drizzle({ client }) as any;
const differences: string[] = [];
let answers = 0;
while (answers < 60) {
  try {
    client.exec(randomStatement(random, app));
  } catch (error) {
    if (!/^SQLITE_CONSTRAINT/.test(String((error as { code?: unknown }).code))) throw error;
  }
  const query = randomVector(random, 3);
  client.exec("BEGIN");
  const hits = nearest(db, app.table.v, query as any, { limit: 1000, select: { id: app.table.id } }).all() as any[];
  const actual = hits.map(({ id, $distance }) => [[String(id)], $distance]);
  const expected = bruteForce(client, app, { query, condition: "true" });
  client.exec("COMMIT");
  if (JSON.stringify(actual) !== JSON.stringify(expected)) differences.push(JSON.stringify({ actual, expected }));
  answers++;
}
client.close();
parentPort!.postMessage({ differences, answers });
