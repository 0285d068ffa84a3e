import { and, eq, gt } from "drizzle-orm";
import { expect, test, vi } from "vitest";
import { configure, optimize, release } from "../../src/index.ts";
import { type Held, hold, makeRoom, now } from "../../src/vector/memory.ts";
import { heldOf } from "../../src/vector/resident-column.ts";
import { App, type Connection } from "../helpers/folding.ts";
import { columnOf, fold } from "../helpers/slow-fold.ts";

vi.setConfig({ testTimeout: 60_000 });

const certified = { plan: "certified scan", fallback: null };
const held = (connection: Connection) => heldOf(connection.client, columnOf(connection));
/** What two blocks of this app take, about. */
const ROWS = 9000;

test("of what is held, that goes first which was of use longest ago", () => {
  const dropped: string[] = [];
  const thing = (name: string, bytes: number) => {
    const made: Held & { bytes: number } = {
      bytes,
      usedAt: now(),
      drop() {
        dropped.push(name);
        made.bytes = 0;
      },
    };
    hold(made);
    return made;
  };
  const [a, b, c, filled] = [thing("a", 10), thing("b", 20), thing("c", 30), thing("filled", 5)];
  a.usedAt = now();
  expect(makeRoom(5, 70, filled)).toBe(true);
  expect(dropped).toEqual([]);
  expect(makeRoom(6, 70, filled)).toBe(true);
  expect(dropped).toEqual(["b"]);
  // What does not fit even alone drives nobody out.
  expect(makeRoom(100, 70, filled)).toBe(false);
  expect(dropped).toEqual(["b"]);
  expect(makeRoom(65, 70, filled)).toBe(true);
  expect(dropped).toEqual(["b", "c", "a"]);
  expect([a.bytes, b.bytes, c.bytes]).toEqual([0, 0, 0]);
});

test("connections share one budget: the least recently asked lets go, and loads again when it is asked", () => {
  const app = new App({ rows: ROWS });
  fold(app.first);
  app.expectExact(app.first);
  const each = held(app.first)!.bytes;
  release(app.first.db);
  const memoryBudget = Math.floor(each * 2.5);
  const [a, b, c] = [1, 2, 3].map(() => app.connect({}, { memoryBudget })) as [Connection, Connection, Connection];
  for (const connection of [a, b, a, c]) expect(app.expectExact(connection, { queries: 1 })).toMatchObject(certified);
  expect([a, b, c].map((connection) => held(connection) !== undefined)).toEqual([true, false, true]);
  expect(app.expectExact(b)).toMatchObject(certified);
  expect([a, b, c].map((connection) => held(connection) !== undefined)).toEqual([false, true, true]);
  for (const connection of [a, b, c]) release(connection.db);
});

test("codes of a closed connection make way as well", () => {
  const app = new App({ rows: ROWS });
  fold(app.first);
  app.expectExact(app.first);
  const memoryBudget = Math.floor(held(app.first)!.bytes * 1.5);
  release(app.first.db);
  for (let n = 0; n < 4; n++) {
    const connection = app.connect({}, { memoryBudget });
    expect(app.expectExact(connection, { queries: 1 })).toMatchObject(certified);
    expect(held(connection)!.streamed).toBe(0);
    connection.client.close();
  }
});

test.each([0, 150_000])("an index larger than a budget of %i is read from disk, exactly", (memoryBudget) => {
  const app = new App({ rows: ROWS });
  fold(app.first);
  const connection = app.connect({}, { memoryBudget });
  const { table } = app;
  expect(app.expectExact(connection)).toMatchObject(certified);
  const { streamed } = held(connection)!;
  expect(streamed).toBeGreaterThan(0);
  const where = { text: "tag = 3 AND id > 4000", condition: and(eq(table.tag, 3), gt(table.id, 4000)) };
  expect(app.expectExact(connection, { where, offset: 5 })).toMatchObject(certified);
  expect(app.expectExact(connection, { limit: 300, offset: 200 })).toMatchObject(certified);
  app.put(4000, 4100);
  app.put(ROWS, ROWS + 50);
  app.first.client.exec("DELETE FROM t WHERE tag = 4 AND id < 2000; UPDATE t SET v = NULL WHERE id = 7");
  expect(app.expectExact(connection)).toMatchObject(certified);
  expect(app.expectExact(connection, { where })).toMatchObject(certified);
  app.put(4050, 4060);
  expect(app.expectExact(connection, { limit: 100 })).toMatchObject(certified);
  // What has come and gone inside a transaction.
  connection.client.exec("BEGIN");
  app.put(0, 100, connection.client);
  expect(app.expectExact(connection)).toMatchObject(certified);
  connection.client.exec("ROLLBACK");
  expect(app.expectExact(connection)).toMatchObject(certified);
  expect(connection.events).toEqual([]);
});

test("without a generation on disk an index larger than the budget is answered by its table, until there is one", async () => {
  const app = new App({ rows: 2000 });
  const connection = app.connect({}, { memoryBudget: 40_000 });
  expect(app.expectExact(connection)).toMatchObject({
    plan: "bare scan",
    fallback: "the codes of t.v do not fit into memory",
  });
  await optimize(connection.db, app.index);
  expect(app.expectExact(connection)).toMatchObject(certified);
});

test("changed rows do not pile up in memory: once they are written they are read like the others", () => {
  const app = new App({ rows: ROWS });
  fold(app.first);
  const connection = app.connect({}, { memoryBudget: 0 });
  app.expectExact(connection);
  const bytes = held(connection)!.bytes;
  let most = 0;
  for (let round = 0; round < 12; round++) {
    app.put(round * 700, round * 700 + 700);
    app.expectExact(connection, { queries: 1 });
    most = Math.max(most, held(connection)!.bytes);
    fold(app.first);
    app.put(round, round + 1);
    app.expectExact(connection, { queries: 1 });
  }
  // A block of changes at most, where there would be several: a block is up to 4,096 rows.
  const perBlock = most - bytes;
  expect(held(connection)!.bytes - bytes).toBeLessThanOrEqual(perBlock);
  expect(held(connection)!.size).toBe(ROWS);
});

test("rows that come drive out what others hold, and another budget counts from the next query on", () => {
  const app = new App({ rows: ROWS });
  fold(app.first);
  app.expectExact(app.first);
  const each = held(app.first)!.bytes;
  const [a, b] = [1, 2].map(() => app.connect({}, { memoryBudget: each * 3 + 40_000 })) as [Connection, Connection];
  for (const connection of [a, b]) app.expectExact(connection, { queries: 1 });
  release(app.first.db);
  expect([held(a)?.streamed, held(b)?.streamed]).toEqual([0, 0]);

  configure(b.db, { memoryBudget: Math.floor(each / 2) });
  expect(app.expectExact(b)).toMatchObject(certified);
  expect(held(b)!.bytes).toBeLessThanOrEqual(each / 2);
  expect(held(b)!.streamed).toBeGreaterThan(0);
  expect(held(a)).toBeUndefined();
  configure(b.db, { memoryBudget: undefined });
  expect(app.expectExact(b)).toMatchObject(certified);
  expect(held(b)!.streamed).toBe(0);

  configure(a.db, { memoryBudget: each * 2 + 40_000 });
  app.expectExact(a, { queries: 1 });
  expect(held(b)).toBeDefined();
  app.put(ROWS, ROWS + 100);
  // Its new block takes the room of the other's.
  app.expectExact(a, { queries: 1 });
  expect([held(a) !== undefined, held(b) !== undefined]).toEqual([true, false]);
});
