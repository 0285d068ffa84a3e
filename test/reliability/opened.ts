import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { expect, onTestFinished } from "vitest";
import { rebuild } from "../../src/index.ts";
import type { Shape } from "../model/shapes.ts";
import { APPS, randomStatement } from "./app.ts";
import { seeded } from "./random.ts";

/** A connection of a test's own, closed when the test is over. */
export function open(file: string, options?: Database.Options) {
  const client = new Database(file, options);
  onTestFinished(() => void client.close());
  return { client, db: drizzle({ client }) as any };
}

/** Writes random statements; what a constraint refuses is refused. */
export function write(client: Database.Database, name: keyof typeof APPS, seed: number, statements: number): void {
  const random = seeded(seed);
  for (let i = 0; i < statements; i++) {
    try {
      client.exec(randomStatement(random, APPS[name]));
    } catch (error) {
      expect((error as { code: string }).code).toMatch(/^SQLITE_CONSTRAINT/);
    }
  }
}

/** A rebuild that ended half-way leaves its text pending, and says so; the next one goes on. Gives 1 where there was one. */
export async function finishRebuild(file: string, { index }: Shape): Promise<number> {
  const client = new Database(file);
  try {
    const isPending = client.prepare("SELECT pending IS NOT NULL FROM _dv_indexes").pluck().get() === 1;
    if (isPending) await rebuild(drizzle({ client }) as any, index);
    return Number(isPending);
  } finally {
    client.close();
  }
}
