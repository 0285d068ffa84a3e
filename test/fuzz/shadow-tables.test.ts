import { readFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { describe, expect, test } from "vitest";
import * as library from "../../src/index.ts";
import { temporaryFolder } from "../helpers/databases.ts";
import { bruteForce } from "../model/brute-force.ts";
import { queryVector } from "../model/shapes.ts";
import { APPS, type AppName, createApp, randomStatement } from "../reliability/app.ts";
import { open } from "../reliability/opened.ts";
import { seeded } from "../reliability/random.ts";
import { figures, LONG_MS, ROUNDS, rounds, SECONDS, SEED } from "../reliability/rounds.ts";
import { expectAnswers, expectInStep } from "../reliability/witness.ts";

/**
 * Whatever is written over a table of ours: `nearest` answers as the table would, or says in a typed error why not; `search`
 * gives nothing but rows of the table, and where it is not exact, `verify` tells; a rebuild heals. The user's rows stay as they
 * were. Where the map from keys to ids is damaged, `nearest` may lack rows too, and `verify` tells. Invariants 37, 64, 65, 67.
 */
const { optimize } = library as { optimize?: (db: any, index: any) => Promise<unknown> };

/** Of so many states one is written to, healed and looked at again. */
const AFTERWARDS = SECONDS + ROUNDS > 0 ? 4 : 1;

type Random = () => number;
const below = (random: Random, n: number) => Math.floor(random() * n);
const pick = <T>(random: Random, all: readonly T[]): T => all[below(random, all.length)]!;

const TABLES = ["_dv_indexes", ...["log", "head", "chunks", "keys", "evicted"].map((kind) => `_dv_ix_${kind}`)];
const FTS_TABLES = ["data", "idx", "content", "docsize", "config"].map((part) => `_dv_ix_fts_${part}`);

/** A value that does not belong where it is put. */
function strangeValue(random: Random): unknown {
  const bytes = () => Buffer.from(Array.from({ length: below(random, 64) }, () => below(random, 256)));
  return pick<() => unknown>(random, [
    () => null,
    () => "",
    () => "no number",
    () => '{"__proto__":{"polluted":1}}',
    () => 0n,
    () => -1n,
    () => 1n << 40n,
    () => 9223372036854775807n,
    () => -9223372036854775808n,
    () => 1.5,
    () => Number.POSITIVE_INFINITY,
    bytes,
    () => Buffer.alloc(0),
    () => Buffer.alloc(5000, 0xff),
  ])();
}

/** The value with a bit flipped, its end cut off, or its bytes doubled. */
function bent(value: unknown, random: Random): unknown {
  if (value instanceof Uint8Array && value.length > 0) {
    const bytes = Buffer.from(value);
    if (random() < 0.6) bytes[below(random, bytes.length)]! ^= 1 << below(random, 8);
    else return random() < 0.5 ? bytes.subarray(0, below(random, bytes.length)) : Buffer.concat([bytes, bytes]);
    return bytes;
  }
  if (typeof value === "string" && value.length > 0) {
    const at = below(random, value.length);
    return value.slice(0, at) + pick(random, ["", "x", '"', "9"]) + value.slice(at + 1);
  }
  return typeof value === "bigint" ? BigInt.asIntN(64, value + BigInt(below(random, 3) - 1)) : strangeValue(random);
}

/** Does one kind of damage to one table of ours. Tells what, for the message of a failure. */
function damage(client: Database.Database, random: Random): string {
  const exists = client.prepare("SELECT 1 FROM sqlite_master WHERE name = ?");
  const table = pick(
    random,
    [...TABLES, ...FTS_TABLES].filter((name) => exists.get(name)),
  );
  const done = (what: string) => `${table}: ${what}`;
  const columns = client.prepare("SELECT name FROM pragma_table_info(?)").pluck().all(table) as string[];
  const column = pick(random, columns);
  const rows = client.prepare(`SELECT * FROM "${table}"`).safeIntegers(true).raw(true).all() as unknown[][];
  const at = columns.indexOf(column);
  const row = rows[below(random, rows.length)];
  const other = rows[below(random, rows.length)];
  // Every row of ours is reached by its whole content: a WITHOUT ROWID table of FTS5 has no rowid.
  const where = columns.map((name) => `"${name}" IS ?`).join(" AND ");
  const set = (value: unknown, target = row) => {
    if (target) client.prepare(`UPDATE OR REPLACE "${table}" SET "${column}" = ? WHERE ${where}`).run(value, ...target);
  };
  const kind = below(random, 12);
  try {
    if (kind < 4) {
      const value = strangeValue(random);
      set(value);
      return done(`${column} = ${typeof value === "bigint" ? value : JSON.stringify(value)?.slice(0, 60)}`);
    }
    if (kind < 7) {
      set(bent(row?.[at], random));
      return done(`${column} bent`);
    }
    if (kind === 7 && row && other) {
      set(other[at]);
      set(row[at], other);
      return done(`${column} of two rows swapped`);
    }
    if (kind === 8) {
      client.prepare(`DELETE FROM "${table}" WHERE ${where}`).run(...(row ?? columns.map(() => null)));
      return done("a row deleted");
    }
    if (kind === 9) {
      client.exec(`DELETE FROM "${table}"`);
      return done("emptied");
    }
    if (kind === 10) {
      const values = columns.map((_, i) => (random() < 0.5 ? strangeValue(random) : row?.[i]));
      client.prepare(`INSERT OR REPLACE INTO "${table}" VALUES (${columns.map(() => "?")})`).run(...values);
      return done("a strange row added");
    }
    client.exec(`DROP TABLE "${table.startsWith("_dv_ix_fts") ? "_dv_ix_fts" : table}"`);
    return done("dropped");
  } catch (error) {
    // The table's own constraints keep some damage out.
    if (!/^SQLITE_(CONSTRAINT|MISMATCH|ERROR|CORRUPT)/.test((error as { code: string }).code)) throw error;
    return done("kept");
  }
}

const isOurs = (error: unknown) => error instanceof library.DrizzleVectorError;

/** The answer of a read path, or "refused" for a typed error of ours; anything else is a failure. */
async function answerOf<T>(work: () => T | Promise<T>): Promise<T | "refused"> {
  try {
    return await work();
  } catch (error) {
    if (isOurs(error)) return "refused";
    throw error;
  }
}

const rowsOf = (client: Database.Database) =>
  client.prepare("SELECT * FROM t ORDER BY 1").safeIntegers(true).raw(true).all();

/** As the errors advise: rebuild; ensure where the record is damaged; FTS5's version where it cannot be opened at all. */
async function heal(client: Database.Database, name: AppName): Promise<void> {
  const { index } = APPS[name];
  const db = drizzle({ client }) as any;
  for (let attempt = 0; ; attempt++) {
    try {
      library.ensureSearchIndexes(db, [index]);
      await library.rebuild(db, index);
      return;
    } catch (error) {
      if (!isOurs(error) || attempt > 3) throw error;
      const { code } = error as library.DrizzleVectorError;
      if (code === "INDEX_DAMAGED") client.exec("INSERT OR REPLACE INTO _dv_ix_fts_config VALUES ('version', 4)");
      // Of a record that says it is of a newer format, or that migrations made it another way, only the user can know better.
      else client.exec("DELETE FROM _dv_indexes");
    }
  }
}

/** Whether every row has an id, or there is no map to look it up in. */
function isMapWhole(client: Database.Database): boolean {
  if (!client.prepare("SELECT 1 FROM sqlite_master WHERE name = '_dv_ix_keys'").get()) return true;
  return !client.prepare("SELECT 1 FROM t WHERE id NOT IN (SELECT k0 FROM _dv_ix_keys)").get();
}

interface Counts {
  states: number;
  healed: number;
  nearest: number;
  exact: number;
  refused: number;
  told: number;
}

async function expectSound(client: Database.Database, name: AppName, random: Random, counts: Counts): Promise<void> {
  const app = APPS[name];
  const db = drizzle({ client }) as any;
  const limit = 1 + below(random, 8);
  const query = queryVector(app, below(random, 40));
  const recall = app.isApproximate ? 0.9 : 1;
  const found = await answerOf(() =>
    library
      .nearest(db, app.table.v, query as any, { limit, recall, metric: app.metric as any, select: { k: app.table.id } })
      .all(),
  );
  const truth = bruteForce(client, app, { query, condition: "true" }) as any[];
  const isWhole = isMapWhole(client);
  if (found !== "refused" && isWhole) {
    const keys = new Set((found as any[]).map(({ k }) => String(k)));
    const expected = (app.isApproximate ? truth.filter(([[key]]) => keys.has(key)) : truth).slice(0, limit);
    expect((found as any[]).map(({ k, $distance }) => [[String(k)], $distance])).toEqual(expected);
    expect(expected.length).toBe(Math.min(limit, truth.length));
    counts.nearest++;
  }
  const text = pick(random, ["red", "walking blue", "beret"]);
  const hits = await answerOf(() =>
    library.search(db, app.index, text, { limit: 1000, select: { k: app.table.id } } as any).all(),
  );
  const verified = await answerOf(() => library.verify(db, app.index, { recallQueries: 5 }));
  await answerOf(() => library.status(db));
  await answerOf(() => library.status(db, app.index));
  if (!isWhole) expect(verified === "refused" || !verified.ok).toBe(true);
  if (hits === "refused") {
    counts.refused++;
    return;
  }
  const keys = (hits as any[]).map(({ k }) => k);
  expect(new Set(keys).size).toBe(keys.length);
  const present = new Set(client.prepare("SELECT id FROM t").pluck().all());
  expect(keys.filter((key) => !present.has(key))).toEqual([]);
  if (verified !== "refused" && verified.ok) {
    expectAnswers({ client, db }, app, 1);
    counts.exact++;
  } else counts.told++;
}

describe.each(Object.keys(APPS) as AppName[])("tables of ours are damaged, %s keys", (name) => {
  test("answers are exact or refused, and a rebuild heals", { timeout: LONG_MS }, async () => {
    const app = APPS[name];
    const random = seeded(SEED * 7 + name.length);
    const file = join(temporaryFolder(), "template.db");
    createApp(file, name, "delete", 40);
    const first = new Database(file);
    await optimize?.(drizzle({ client: first }), app.index);
    first.close();
    const template = readFileSync(file);
    const counts: Counts = { states: 0, healed: 0, nearest: 0, exact: 0, refused: 0, told: 0 };
    for (const round of rounds(60, 0.5 / 3)) {
      const client = new Database(template);
      const steps: string[] = [];
      try {
        client.unsafeMode(true);
        // A cache that was made before, in half of the states.
        if (random() < 0.5) library.nearest(drizzle({ client }) as any, app.table.v, queryVector(app, 1) as any).all();
        for (let i = below(random, 3); i >= 0; i--) steps.push(damage(client, random));
        const rows = rowsOf(client);
        await expectSound(client, name, random, counts);
        expect(rowsOf(client)).toEqual(rows);
        counts.states++;
        // Every state is asked; what comes afterwards takes most of the time, and is looked at in some of them.
        if (round % AFTERWARDS !== 0) continue;
        // The user goes on: a write either works or fails, and the table alone decides what is answered.
        try {
          client.exec(randomStatement(random, app));
        } catch (error) {
          steps.push(`a write failed: ${(error as Error).message}`);
        }
        await expectSound(client, name, random, { ...counts });
        await heal(client, name);
        await expectInStep(client, app, 2);
        counts.healed++;
      } catch (error) {
        throw new Error(`after ${steps.join("; ")}: ${(error as Error).message}`, { cause: error });
      } finally {
        client.close();
      }
    }
    figures(`damaged tables, ${name}`, counts as unknown as Record<string, number>);
    expect(counts.exact + counts.told).toBeGreaterThan(0);
    expect(counts.refused).toBeGreaterThan(0);
  });
});

test.each([
  ["an entry of the log whose id is infinite", "INSERT INTO _dv_ix_log (id) VALUES (9e999)"],
  ["a record that names another table, and no log", "UPDATE _dv_indexes SET tbl = 1.5; DROP TABLE _dv_ix_log"],
  ["a record whose name is a blob with a NUL", "UPDATE _dv_indexes SET name = x'ee0027'"],
])("what once ended in an error of SQLite: %s", async (_, sql) => {
  const random = seeded(1);
  const file = join(temporaryFolder(), "damaged.db");
  createApp(file, "text", "delete", 40);
  const { client } = open(file);
  const counts: Counts = { states: 0, healed: 0, nearest: 0, exact: 0, refused: 0, told: 0 };
  await expectSound(client, "text", random, counts);
  client.exec(sql);
  await expectSound(client, "text", random, counts);
  expect(counts.nearest).toBe(2);
  await heal(client, "text");
  await expectInStep(client, APPS.text, 2);
});
