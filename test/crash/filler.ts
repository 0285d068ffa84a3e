import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import * as library from "../../src/index.ts";
import { APPS, randomStatement } from "../reliability/app.ts";
import { seeded } from "../reliability/random.ts";

/** What a program that writes until there is no room tells at its end. */
export interface Filled {
  committed: number;
  refused: number;
  /** Errors that are not about room. */
  failures: string[];
}

const app = APPS.integer;
const random = seeded(5);
const client = new Database(process.argv[2]!);
const db = drizzle({ client }) as any;
const filled: Filled = { committed: 0, refused: 0, failures: [] };
const NO_ROOM = /^SQLITE_(FULL|IOERR)/;

/** A table made anew by drizzle-kit, its index with it: one migration, in one transaction. */
function migrate(): void {
  client.exec("BEGIN");
  const create = client.prepare("SELECT sql FROM sqlite_master WHERE name = 't'").pluck().get() as string;
  client.exec(create.replace(/^CREATE TABLE ("?)t\1/, "CREATE TABLE __new_t"));
  client.exec("INSERT INTO __new_t SELECT * FROM t; DROP TABLE t; ALTER TABLE __new_t RENAME TO t");
  library.ensureSearchIndexes(db, [app.index]);
  client.exec("COMMIT");
}

for (let i = 0; i < 3000 && filled.refused < 40; i++) {
  try {
    client.exec("BEGIN");
    for (let j = 0; j < 5; j++)
      client.exec(randomStatement(random, app, 50_000).replace("UPDATE OR REPLACE", "UPDATE OR IGNORE"));
    client.exec(`INSERT INTO t (txt) VALUES ('${"room ".repeat(200)}')`);
    client.exec("INSERT INTO acknowledged VALUES (1, 1) ON CONFLICT (writer) DO UPDATE SET n = n + 1");
    client.exec("COMMIT");
    filled.committed++;
    if (i % 20 === 0) await library.optimize(db, app.index);
    if (i % 20 === 7) await library.rebuild(db, app.index);
    if (i % 20 === 13) migrate();
  } catch (error) {
    const { code = "", message } = error as { code?: string; message: string };
    if (NO_ROOM.test(code)) filled.refused++;
    else if (!code.startsWith("SQLITE_CONSTRAINT")) filled.failures.push(`${code} ${message}`);
    // The user's own COMMIT or ROLLBACK must not meet an error of ours.
    if (client.inTransaction) client.exec("ROLLBACK");
  }
}
console.log(JSON.stringify(filled));
