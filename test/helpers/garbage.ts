import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable } from "drizzle-orm/sqlite-core";
import { nearest, vectorColumn } from "../../src/index.ts";

/** Opens, asks and closes again and again, without `release`; prints how many connections are still there. Needs --expose-gc. */
const [file, maintenance] = process.argv.slice(2) as [string, string];
const table = sqliteTable("t", { id: integer().primaryKey(), v: vectorColumn(8) });
const references: WeakRef<object>[] = [];

function visit(): void {
  const client = new Database(file);
  references.push(new WeakRef(client));
  nearest(drizzle({ client }) as any, table.v, Array(8).fill(1)).all();
  if (maintenance === "close") client.close();
}

for (let n = 0; n < 20; n++) visit();
// Folds have time to begin and end; then what is weak is let go of.
await new Promise((resolve) => setTimeout(resolve, 1500));
for (let n = 0; n < 5; n++) {
  (globalThis as any).gc();
  await new Promise((resolve) => setTimeout(resolve, 10));
}
// The last may still be on the stack or in a register.
process.stdout.write(String(references.filter((reference) => reference.deref() !== undefined).length <= 1));
