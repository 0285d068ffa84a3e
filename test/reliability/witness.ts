import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { expect } from "vitest";
import { verify } from "../../src/index.ts";
import { TextOracle } from "../model/oracle.ts";
import { ask, comparisonsOfAll, type Handle } from "../model/questions.ts";
import type { Shape } from "../model/shapes.ts";

const oracles = new Map<string, TextOracle>();

function oracleOf({ tokenizer }: Shape): TextOracle {
  const oracle = oracles.get(tokenizer) ?? new TextOracle(tokenizer);
  oracles.set(tokenizer, oracle);
  return oracle;
}

/** Every helper answers as the table would, with limits, conditions, and words of every kind. */
export function expectAnswers(handle: Handle, app: Shape, questions = 4): void {
  const world = { shape: app, text: oracleOf(app), count: () => {}, isHealthy: () => true };
  for (let i = 0; i < questions; i++) ask(world, handle, { a: i, b: i * 5 + 2, v: i * 7 + 1 }, comparisonsOfAll(i));
}

/** Vectors are answered as the table would; what needs text may be refused. */
export function expectVectors(handle: Handle, app: Shape): void {
  const world = { shape: app, text: oracleOf(app), count: () => {}, isHealthy: () => false };
  for (let i = 0; i < 2; i++) ask(world, handle, { a: i, b: i * 5 + 2, v: i * 7 + 1 }, comparisonsOfAll(i));
}

/**
 * What SQLite says of the whole file. Asked on a connection of its own: one that has read an FTS5 table before another
 * connection wrote to it is told of damage there that does not exist.
 */
function integrityOf(client: Database.Database): unknown {
  const isFile = client.name !== "" && client.name !== ":memory:" && !client.memory;
  const fresh = isFile ? new Database(client.name) : client;
  try {
    return fresh.pragma("integrity_check", { simple: true });
  } finally {
    if (fresh !== client) fresh.close();
  }
}

/** The file is whole, the index equals its table, and every helper answers as the table would. */
export async function expectInStep(client: Database.Database, app: Shape, questions?: number): Promise<void> {
  const db = drizzle({ client }) as any;
  expect(integrityOf(client)).toBe("ok");
  // What approximate search finds is part of the answers; measured once more, it takes longer than all the rest.
  const options = { recallQueries: app.isApproximate ? 10 : 0 };
  expect((await verify(db, app.index, options)).problems).toEqual([]);
  expectAnswers({ client, db }, app, questions);
}

/** The same, on a connection of its own; `also` looks at more before it is closed. */
export async function expectFileInStep(
  file: string,
  app: Shape,
  also: (client: Database.Database) => unknown = () => {},
): Promise<void> {
  const client = new Database(file);
  try {
    await expectInStep(client, app);
    await also(client);
  } finally {
    client.close();
  }
}
