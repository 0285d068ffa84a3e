import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import * as library from "../../src/index.ts";
import { APPS, type AppName, randomStatement } from "../reliability/app.ts";
import { randomVector, seeded } from "../reliability/random.ts";

/** A program that works on a database until it is killed or told to stop, and tells of every transaction it has committed. */
export interface Task {
  readonly file: string;
  readonly app: AppName;
  readonly seed: number;
  readonly writer: number;
  /** What it does between its writes. */
  readonly work: "write" | "rebuild" | "migrate" | "fold";
  /** Pages kept in memory; few of them make SQLite write to the file in the middle of a transaction. */
  readonly cachePages?: number;
  readonly statements?: number;
}

const { file, app: name, seed, writer, work, cachePages, statements = 12 } = JSON.parse(process.argv[2]!) as Task;
const app = APPS[name];
const random = seeded(seed);
const below = (n: number) => Math.floor(random() * n);
const client = new Database(file, { timeout: 10_000 });
// What a killed process has written is the system's already; only a power cut would need the wait.
client.pragma("synchronous = OFF");
if (cachePages !== undefined) client.pragma(`cache_size = ${cachePages}`);
const db = drizzle({ client }) as any;
let isStopped = false;
process.on("message", () => {
  isStopped = true;
});

/** One transaction of a few statements; some are rolled back, in part or as a whole. Tells when it is committed. */
function transact(body: () => void): void {
  client.exec("BEGIN IMMEDIATE");
  try {
    body();
    if (below(5) === 0) {
      client.exec("SAVEPOINT inner");
      attempt();
      client.exec("ROLLBACK TO inner; RELEASE inner");
    }
    client.prepare("INSERT INTO acknowledged VALUES (?, 1) ON CONFLICT (writer) DO UPDATE SET n = n + 1").run(writer);
    const n = client.prepare("SELECT n FROM acknowledged WHERE writer = ?").pluck().get(writer);
    if (below(8) === 0) {
      client.exec("ROLLBACK");
      return;
    }
    client.exec("COMMIT");
    process.send!({ writer, n });
  } catch (error) {
    if (client.inTransaction) client.exec("ROLLBACK");
    throw error;
  }
}

function attempt(): void {
  try {
    client.exec(randomStatement(random, app));
  } catch (error) {
    if (!/^SQLITE_CONSTRAINT/.test(String((error as { code?: unknown }).code))) throw error;
  }
}

function write(): void {
  transact(() => {
    for (let i = 1 + below(statements); i > 0; i--) attempt();
  });
}

/** What drizzle-kit and `drizzle-vector generate` put into one migration: a table made anew, its index with it. */
function migrate(): void {
  transact(() => {
    const create = client.prepare("SELECT sql FROM sqlite_master WHERE name = 't'").pluck().get() as string;
    client.exec(create.replace(/^CREATE TABLE ("?)t\1/, "CREATE TABLE __new_t"));
    client.exec("INSERT INTO __new_t SELECT * FROM t; DROP TABLE t; ALTER TABLE __new_t RENAME TO t");
    library.ensureSearchIndexes(db, [app.index]);
  });
}

type LongWork = (db: any, index: any) => Promise<unknown>;
const { optimize } = library as { optimize?: LongWork };

/** Reading keeps a cache that has to follow what comes. */
function read(): void {
  library.nearest(db, app.table.v, randomVector(random, app.dimensions) as any, { metric: app.metric as any }).all();
}

async function act(): Promise<void> {
  const choice = below(6);
  if (choice > 2 || work === "write") write();
  else if (choice === 2) read();
  else if (work === "rebuild") await library.rebuild(db, app.index);
  else if (work === "migrate") migrate();
  else await optimize?.(db, app.index);
}

let isFirst = true;
while (!isStopped) {
  try {
    if (isFirst) write();
    else await act();
    isFirst = false;
  } catch (error) {
    // Others may hold the lock for longer than anybody waits; then it is tried again.
    const isBusy = /^SQLITE_BUSY/.test(String((error as { code?: unknown }).code));
    if (!isBusy) process.send!({ failure: (error as Error).stack ?? String(error) });
    if (!isBusy) break;
  }
  await new Promise(setImmediate);
}
client.close();
process.disconnect();
