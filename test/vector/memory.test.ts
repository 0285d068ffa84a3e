import { and, eq, gt } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { configure, nearest, optimize, release, status } from "../../src/index.ts";
import { type Held, hold, makeRoom, now } from "../../src/vector/memory.ts";
import { heldOf } from "../../src/vector/resident-column.ts";
import { App, type Connection } from "../helpers/folding.ts";
import { columnOf, fold } from "../helpers/slow-fold.ts";

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

describe("1-bit codes beside those for exact answers", () => {
  /** Asks for a recall below 1, and tells how it was answered. */
  const asked = (app: App, { db }: Connection) =>
    nearest(db, app.table.v, [1, 2, 3, 4, 5, 6, 7, 8], { recall: 0.9 } as object).explain();
  const likely = { plan: "1-bit scan", fallback: null };
  /** Bytes of a row in either kind: codes of 16 bytes with 3 numbers, bits padded to 32 dimensions with 3 numbers. */
  const [codeBytes, bitBytes] = [16 + 12, 4 + 12];
  const blocks = Math.ceil(ROWS / 4096) * 4096;

  test("are read when a recall below 1 is first asked for", () => {
    const app = new App({ rows: ROWS });
    fold(app.first);
    const connection = app.connect();
    expect(app.expectExact(connection)).toMatchObject(certified);
    expect(held(connection)).toMatchObject({
      bytes: blocks * codeBytes,
      streamed: 0,
      deferredBytes: blocks * bitBytes,
    });
    expect((status(connection.db, app.index) as any).vectors[0].resident).toMatchObject({ rows: ROWS, streamed: 0 });

    expect(asked(app, connection)).toMatchObject(likely);
    const whole = { bytes: blocks * (codeBytes + bitBytes), streamed: 0, deferredBytes: 0 };
    expect(held(connection)).toMatchObject(whole);
    expect(app.expectExact(connection)).toMatchObject(certified);
    expect(held(connection)).toMatchObject(whole);
  });

  test("get room before the others where there is not enough for both", () => {
    const app = new App({ rows: ROWS });
    fold(app.first);
    const memoryBudget = 4096 * (3 * codeBytes + 2 * bitBytes);
    const connection = app.connect({}, { memoryBudget });
    expect(app.expectExact(connection)).toMatchObject(certified);
    expect(held(connection)).toMatchObject({ bytes: blocks * codeBytes, streamed: 0 });
    expect(asked(app, connection)).toMatchObject(likely);
    // Three blocks of bits leave room for two of the others.
    const bytes = 4096 * (2 * codeBytes + 3 * bitBytes);
    expect(held(connection)).toMatchObject({ bytes, streamed: 1, deferredBytes: 0 });
    expect(app.expectExact(connection)).toMatchObject(certified);
    expect(held(connection)!.bytes).toBe(bytes);
    // Had it been asked first.
    const other = app.connect({}, { memoryBudget });
    expect(asked(app, other)).toMatchObject(likely);
    expect(held(other)).toMatchObject({ bytes, streamed: 1, deferredBytes: 0 });
  });

  test("are not read for a few rows that have changed, which get new places; for many they are", () => {
    const app = new App({ rows: ROWS });
    fold(app.first);
    const connection = app.connect();
    app.expectExact(connection);
    app.put(100, 150);
    expect(app.expectExact(connection)).toMatchObject(certified);
    const moved = blocks * codeBytes + 4096 * (codeBytes + bitBytes);
    expect(held(connection)).toMatchObject({ bytes: moved + 4096 * 8, deferredBytes: blocks * bitBytes, size: ROWS });
    // A new connection finds the changes in the log, and does the same.
    const other = app.connect();
    expect(app.expectExact(other)).toMatchObject(certified);
    expect(held(other)!.bytes).toBe(held(connection)!.bytes);

    app.put(1000, 1200);
    expect(app.expectExact(connection)).toMatchObject(certified);
    expect(held(connection)).toMatchObject({
      bytes: moved + 4096 * 8 + blocks * bitBytes,
      deferredBytes: 0,
      size: ROWS,
    });
    expect(asked(app, connection)).toMatchObject(likely);
  });

  test("of rows read from the table are made at once: there is nothing to read them from", () => {
    const app = new App({ rows: 3000 });
    app.expectExact(app.first);
    expect(held(app.first)!.deferredBytes).toBe(0);
    expect(asked(app, app.first)).toMatchObject(likely);
  });

  const bitsOnDisk = ({ client }: Connection) =>
    client
      .prepare(
        "SELECT substr(bytes, 49) FROM _dv_ix_chunks WHERE substr(bytes, 7, 1) = x'05' ORDER BY generation, part",
      )
      .pluck()
      .all();

  test("are read by a fold of all rows, which copies them", () => {
    const app = new App({ rows: ROWS });
    fold(app.first);
    const connection = app.connect();
    app.expectExact(connection);
    // The first row changes; the blocks behind its own stay as they are.
    app.put(0, 1);
    const before = bitsOnDisk(connection);
    expect(fold(connection, { isWhole: true })).toMatchObject({ outcome: "folded", rows: ROWS });
    expect(bitsOnDisk(connection).slice(1)).toEqual(before.slice(1));
    expect(held(connection)!.deferredBytes).toBe(0);
    for (const each of [connection, app.connect()]) {
      expect(app.expectExact(each)).toMatchObject(certified);
      expect(asked(app, each)).toMatchObject(likely);
    }
  });

  test("are those of the next generation where theirs has been cleared away meanwhile", () => {
    const app = new App({ rows: ROWS });
    fold(app.first);
    const connection = app.connect();
    app.expectExact(connection);
    app.put(0, 1);
    app.expectExact(connection);
    fold(app.first, { isWhole: true });
    expect(asked(app, connection)).toMatchObject(likely);
    expect(app.expectExact(connection)).toMatchObject(certified);
    expect(held(connection)).toMatchObject({ bytes: blocks * (codeBytes + bitBytes), deferredBytes: 0 });
    expect(connection.events).toEqual([]);
  });

  test("that are damaged trouble nobody who does not need them", () => {
    const app = new App({ rows: ROWS });
    fold(app.first);
    app.first.client.exec("UPDATE _dv_ix_chunks SET bytes = zeroblob(60) WHERE substr(bytes, 7, 1) = x'05'");
    const connection = app.connect();
    app.expectExact(connection);
    app.put(1000, 1300);
    expect(app.expectExact(connection)).toMatchObject(certified);
    expect(connection.events).toEqual([]);
    // A fold that does not look at everything makes them anew.
    expect(fold(connection, { isWhole: true })).toMatchObject({ outcome: "folded", rows: ROWS });
    const after = app.connect();
    expect(asked(app, after)).toMatchObject(likely);
    expect([...connection.events, ...after.events]).toEqual([]);
  });
});
