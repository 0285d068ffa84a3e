import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { configure, ensureSearchIndexes, optimize, rebuild, searchIndex } from "../../src/index.ts";
import { App, type Connection, chunks, until } from "../helpers/folding.ts";
import { fold, SlowFold } from "../helpers/slow-fold.ts";

const certified = { plan: "certified scan", fallback: null };

/** A head names a generation that can be read whole: a fresh connection finds no fault, and answers as the table. */
function expectSound(app: App): void {
  const cold = app.connect({ readonly: true });
  expect(app.expectExact(cold, { queries: 1 })).toMatchObject(certified);
  expect(cold.events).toEqual([]);
}

describe("two connections that fold in turn", () => {
  // How many slices the first runs before the second begins, and the second before the first goes on.
  const orders = [0, 1, 3, 5].flatMap((a) => [1, 3, 100].map((b) => [a, b] as const));

  test.each(orders)(
    "%i slices, then %i of the other, then each in turn: one flips, readers see whole states",
    (a, b) => {
      const app = new App({ rows: 200 });
      fold(app.first);
      app.put(0, 150);
      const base = headOf(app.first);
      const [one, two] = [app.connect(), app.connect()];
      const folds = [new SlowFold(one), new SlowFold(two)] as const;
      const isOn = [true, true];
      const step = (n: 0 | 1) => {
        if (!isOn[n]) return;
        isOn[n] = folds[n].step();
        expectSound(app);
      };
      for (let i = 0; i < a; i++) step(0);
      for (let i = 0; i < b; i++) step(1);
      while (isOn[0] || isOn[1]) {
        step(0);
        step(1);
      }
      const outcomes = folds.map(({ result }) => result!.outcome).sort();
      // The second to begin may find everything done.
      expect([
        ["folded", "lost"],
        ["current", "folded"],
      ]).toContainEqual(outcomes);
      expect(headOf(app.first).generation).toBeGreaterThan(base.generation);
      for (const connection of [one, two]) expect(app.expectExact(connection)).toMatchObject(certified);
      // What the loser wrote is gone with the next.
      app.put(0, 1);
      fold(app.first, { isWhole: true });
      expect(chunks(app.first)).toHaveLength(3);
    },
  );

  test("one that cleans up between the other's last chunk and its flip: the other gives up", () => {
    const app = new App({ rows: 200 });
    const slow = new SlowFold(app.connect());
    // The model, and the rows.
    while (chunks(app.first).length < 2) expect(slow.step()).toBe(true);
    app.first.client.exec("DELETE FROM _dv_ix_chunks");
    expect(slow.finish().outcome).toBe("lost");
    expectSound(app);
    expect(fold(app.first)).toMatchObject({ outcome: "folded", rows: 200 });
    expectSound(app);
  });

  test.each([
    ["all its rows", { rows: 200 }],
    ["the first block of its rows", { rows: 1500, dimensions: 1024 }],
  ])("one whose number the other takes, after a third has cleaned up behind %s: it gives up", (_, shape) => {
    const app = new App(shape);
    const [one, two] = [new SlowFold(app.connect()), new SlowFold(app.connect())];
    // Behind the model.
    const hasRows = () => chunks(app.first).length === 2;
    while (!hasRows()) expect(one.step()).toBe(true);
    const written = chunks(app.first);
    app.first.client.exec("DELETE FROM _dv_ix_chunks");
    while (!hasRows()) expect(two.step()).toBe(true);
    // The same numbers and parts, with other stamps.
    expect(chunks(app.first)).toEqual(written);
    expect(one.finish().outcome).toBe("lost");
    expectSound(app);
    expect(two.finish()).toMatchObject({ outcome: "folded", rows: shape.rows });
    expectSound(app);
  });
});

function headOf({ client }: Connection): { generation: number } {
  return client.prepare("SELECT generation FROM _dv_ix_head").get() as { generation: number };
}

describe("what happens between two slices", () => {
  /** Only what was flipped before, and looked at since, may pass for folded. */
  function expectEnd(slow: SlowFold, isFlipped: boolean): void {
    expect(isFlipped ? ["lost", "folded"] : ["lost"]).toContain(slow.finish().outcome);
  }

  const slicesOf = (app: App) => {
    const probe = new SlowFold(app.connect());
    probe.finish();
    return probe.slices;
  };

  test.each([
    ["DDL", "CREATE TABLE other (x)"],
    ["VACUUM", "VACUUM"],
    ["a trigger that is dropped", "DROP TRIGGER _dv_ix_insert"],
    ["a log that is cleared", "DELETE FROM _dv_ix_log"],
  ])("%s ends the fold, after every slice", (_, sql) => {
    const shape = { rows: 200 };
    const slices = slicesOf(new App(shape));
    for (let n = 1; n < slices; n++) {
      const app = new App(shape);
      const slow = new SlowFold(app.connect());
      for (let i = 0; i < n; i++) slow.step();
      const isFlipped = headOf(app.first).generation > 0;
      app.first.client.exec(sql);
      expectEnd(slow, isFlipped);
      app.expectExact(app.connect(), { queries: 1 });
      app.expectExact(app.first, { queries: 1 });
    }
  });

  test("a temporary table in the place of the table ends the fold, after every slice", () => {
    const shape = { rows: 200 };
    const slices = slicesOf(new App(shape));
    for (let n = 1; n < slices; n++) {
      const app = new App(shape);
      const own = app.connect();
      const slow = new SlowFold(own);
      for (let i = 0; i < n; i++) slow.step();
      const isFlipped = headOf(app.first).generation > 0;
      own.client.exec("CREATE TEMP TABLE t AS SELECT * FROM main.t LIMIT 50");
      expectEnd(slow, isFlipped);
      own.client.exec("DROP TABLE temp.t");
      app.expectExact(own, { queries: 1 });
      app.expectExact(app.connect(), { queries: 1 });
    }
  });

  test("45: commits and rollbacks of another connection, after every slice: it flips, and nothing of them is missed", () => {
    const shape = { rows: 200 };
    const slices = slicesOf(new App(shape));
    for (let n = 1; n < slices; n++) {
      const app = new App(shape);
      const other = app.connect();
      const slow = new SlowFold(app.connect());
      for (let i = 0; i < n; i++) slow.step();
      other.client.exec("BEGIN; DELETE FROM t WHERE tag < 5; UPDATE t SET v = NULL");
      other.client.exec("ROLLBACK");
      app.put(n, n + 20, other.client);
      other.client.exec(`DELETE FROM t WHERE id = ${100 + n}`);
      expect(slow.finish().outcome).toBe("folded");
      for (const connection of [app.first, other, app.connect()]) {
        expect(app.expectExact(connection, { queries: 1, limit: 300 })).toMatchObject(certified);
      }
    }
  });

  test.each(["wal", "delete"] as const)("a restore in place, journal mode %s, after every slice", (journal) => {
    const shape = { rows: 200, journal };
    const slices = slicesOf(new App(shape));
    for (let n = 1; n < slices; n++) {
      const app = new App(shape);
      const { client } = app.first;
      client.pragma("wal_checkpoint(TRUNCATE)");
      const saved = `${app.file}.saved`;
      copyFileSync(app.file, saved);
      app.put(0, 50);
      const folding = app.connect();
      const slow = new SlowFold(folding);
      for (let i = 0; i < n; i++) slow.step();
      const isFlipped = headOf(app.first).generation > 0;
      restore(app, saved);
      // What another process writes takes the numbers of the future that is lost.
      const other = new Database(app.file);
      other.exec("UPDATE t SET tag = tag + 1");
      app.put(100, 150, other);
      other.close();
      expectEnd(slow, isFlipped);
      app.expectExact(folding);
      app.expectExact(app.first);
      expectSound(app);
      expect(fold(folding)).toMatchObject({ outcome: "folded" });
      expectSound(app);
    }
  });

  /** Writes an older state over the file that connections have open. */
  function restore(app: App, saved: string): void {
    app.first.client.pragma("wal_checkpoint(TRUNCATE)");
    const bytes = readFileSync(saved);
    // So that other connections notice: the change counter of the header, as a write would leave it.
    const header = Buffer.from(bytes.subarray(0, 100));
    header.writeUInt32BE(header.readUInt32BE(24) + 1000, 24);
    header.writeUInt32BE(header.readUInt32BE(24), 92);
    writeFileSync(app.file, Buffer.concat([header, bytes.subarray(100)]), { flag: "r+" });
  }

  test("a restore between a query and the next: nothing of the lost future is left", () => {
    const app = new App({ rows: 300, journal: "delete" });
    fold(app.first);
    const saved = `${app.file}.saved`;
    copyFileSync(app.file, saved);
    const streaming = app.connect({}, { memoryBudget: 0 });
    app.put(0, 200);
    fold(app.first);
    for (const connection of [app.first, streaming]) app.expectExact(connection);
    restore(app, saved);
    for (const connection of [app.first, streaming]) expect(app.expectExact(connection)).toMatchObject(certified);
    // The same generation number again, with other chunks.
    app.put(0, 200);
    fold(app.connect());
    for (const connection of [app.first, streaming]) expect(app.expectExact(connection)).toMatchObject(certified);
    expectSound(app);
  });

  test("a database that is closed, after every slice", () => {
    const shape = { rows: 200 };
    const slices = slicesOf(new App(shape));
    for (let n = 1; n < slices; n++) {
      const app = new App(shape);
      const folding = app.connect();
      const slow = new SlowFold(folding);
      for (let i = 0; i < n; i++) slow.step();
      folding.client.close();
      expect(() => slow.step()).toThrow("closed");
      app.expectExact(app.connect(), { queries: 1 });
      const isFlipped = headOf(app.first).generation > 0;
      expect(fold(app.first).outcome).toBe(isFlipped ? "current" : "folded");
      expectSound(app);
    }
  });
});

test("a fold that has ended is not taken up again", () => {
  const app = new App({ rows: 10 });
  const slow = new SlowFold(app.first);
  slow.finish();
  expect(() => slow.step()).toThrow("a fold that is over");
});

describe("a fold never waits", () => {
  test.each(["wal", "delete"] as const)(
    "for another writer, journal mode %s; the timeout of the app is as before",
    (journal) => {
      const app = new App({ rows: 200, journal });
      const { client } = app.first;
      client.pragma("busy_timeout = 4321");
      const slow = new SlowFold(app.first);
      slow.step();
      const other = app.connect();
      other.client.exec("BEGIN IMMEDIATE; UPDATE t SET tag = 1 WHERE id = 1");
      expect(() => slow.step()).toThrow("busy");
      expect(client.pragma("busy_timeout", { simple: true })).toBe(4321);
      expect(client.inTransaction).toBe(false);
      other.client.exec("COMMIT");
      // It goes on where it stood.
      expect(slow.finish()).toMatchObject({ outcome: "folded", rows: 200 });
      expect(client.pragma("busy_timeout", { simple: true })).toBe(4321);
      expectSound(app);
    },
  );

  test("for a reader, where no WAL keeps the two apart", () => {
    const app = new App({ rows: 200, journal: "delete" });
    const slow = new SlowFold(app.first);
    slow.step();
    const reader = app.connect();
    reader.client.exec("BEGIN");
    reader.client.prepare("SELECT count(*) FROM t").get();
    expect(() => slow.step()).toThrow("busy");
    reader.client.exec("COMMIT");
    expect(slow.finish()).toMatchObject({ outcome: "folded", rows: 200 });
    expectSound(app);
  });

  test("for an open transaction or iterator of the app on the same connection", () => {
    const app = new App({ rows: 200 });
    const { client } = app.first;
    const slow = new SlowFold(app.first);
    slow.step();
    client.exec("BEGIN");
    expect(() => slow.step()).toThrow("busy");
    client.exec("COMMIT");
    const iterator = client.prepare("SELECT id FROM t").iterate();
    iterator.next();
    expect(() => slow.step()).toThrow("busy");
    expect(app.expectExact(app.first, { queries: 1 })).toBeDefined();
    iterator.return!();
    client.pragma("busy_timeout = 77");
    expect(slow.finish()).toMatchObject({ outcome: "folded" });
    expect(client.pragma("busy_timeout", { simple: true })).toBe(77);
    expectSound(app);
  });

  test("and an older snapshot goes on seeing its own generation", () => {
    const app = new App({ rows: 300 });
    fold(app.first);
    const old = app.connect({}, { memoryBudget: 0 });
    app.expectExact(old);
    old.client.exec("BEGIN");
    expect(app.expectExact(old)).toMatchObject(certified);
    app.put(0, 250);
    fold(app.first, { isWhole: true });
    expect(app.expectExact(old)).toMatchObject(certified);
    old.client.exec("COMMIT");
    expect(app.expectExact(old)).toMatchObject(certified);
    expect(old.events).toEqual([]);
  });
});

describe("where nothing can be written", () => {
  test("a read-only connection: served from the chunks, and no write is tried", async () => {
    const app = new App({ rows: 2000 });
    fold(app.first);
    app.put(0, 1900);
    const readonly = app.connect({ readonly: true }, { maintenance: "auto" });
    expect(app.expectExact(readonly)).toMatchObject(certified);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(app.expectExact(readonly)).toMatchObject(certified);
    expect(readonly.events).toEqual([]);
    await expect(optimize(readonly.db, app.index)).rejects.toMatchObject({ code: "READ_ONLY" });
  });

  test("query_only: the same; once it is off, folds go on", async () => {
    const app = new App({ rows: 2000 });
    const connection = app.connect({}, { maintenance: "auto" });
    connection.client.pragma("query_only = ON");
    const before = headOf(app.first);
    expect(app.expectExact(connection)).toMatchObject(certified);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(headOf(app.first)).toEqual(before);
    expect(connection.events).toEqual([]);
    connection.client.pragma("query_only = OFF");
    expect(await optimize(connection.db, app.index)).toMatchObject({ rows: 2000 });
  });

  test("no room left: told once, cleared up, tried again", async () => {
    const app = new App({ rows: 6000, dimensions: 64, journal: "delete" });
    const connection = app.connect({}, { maintenance: "auto" });
    const { client } = connection;
    const pages = client.pragma("page_count", { simple: true }) as number;
    client.pragma(`max_page_count = ${pages + 40}`);
    app.expectExact(connection);
    await until(() => connection.events.length > 0);
    expect(connection.events).toEqual([expect.objectContaining({ code: "FOLD_FAILED", index: "ix" })]);
    expect(app.expectExact(connection)).toMatchObject(certified);
    // What it had written does not stand in the way of the app.
    await until(() => chunks(connection).length === 0);
    app.put(0, 20, client);
    await expect(optimize(connection.db, app.index)).rejects.toMatchObject({ code: "SQLITE_FULL" });
    expect(chunks(connection)).toEqual([]);
    client.pragma("max_page_count = 1000000");
    expect(await optimize(connection.db, app.index)).toMatchObject({ rows: 6000 });
    expectSound(app);
  });
});

test("a new version of the app declares another metric while the old one runs: neither takes the other's codes for its own", async () => {
  const app = new App({ rows: 2000, metric: "cosine" });
  fold(app.first);
  const [old, oldStreaming] = [app.connect(), app.connect({}, { memoryBudget: 0 })];
  for (const connection of [old, oldStreaming]) expect(app.expectExact(connection)).toMatchObject(certified);
  const other = searchIndex("ix", app.table, { vectors: { v: { metric: "l2" } } } as any);
  ensureSearchIndexes(app.first.db, [other]);
  const read = { plan: "bare scan", fallback: "the index measures by l2" };
  const asMetric = (metric: "cosine" | "l2", connections: Connection[], plan: object) => {
    Object.assign(app, { metric });
    for (const connection of connections) {
      expect(app.expectExact(connection, { queries: 5 })).toMatchObject(plan);
      expect(connection.events.filter(({ code }) => code !== "FOLD")).toEqual([]);
    }
  };
  // The next one to write codes is the new version, then the old one.
  for (const writer of [app.first, old]) {
    app.put(0, 1500);
    await optimize(writer.db, "ix");
    asMetric("cosine", [old, oldStreaming], read);
    asMetric("l2", [app.first, app.connect(), app.connect({}, { memoryBudget: 0 })], certified);
  }
});

test("VACUUM and VACUUM INTO: equal answers, before and after the next fold", async () => {
  for (const key of ["integer", "text", "composite"] as const) {
    const app = new App({ rows: 300, key });
    app.first.client.exec("DELETE FROM t WHERE tag = 2");
    fold(app.first);
    app.put(0, 9);
    const copy = `${app.file}.copy`;
    app.first.client.prepare("VACUUM INTO ?").run(copy);
    const copied = app.connect({}, {}, copy);
    expect(app.expectExact(copied)).toMatchObject(certified);
    app.first.client.exec("VACUUM");
    expect(app.expectExact(app.first)).toMatchObject(certified);
    for (const connection of [app.first, copied]) {
      await optimize(connection.db, app.index);
      expect(app.expectExact(connection)).toMatchObject(certified);
    }
    expectSound(app);
  }
});

test("after rebuild, and after a reset, generations go on under numbers of their own", async () => {
  const app = new App({ rows: 300 });
  fold(app.first);
  const live = app.connect({}, { memoryBudget: 0 });
  app.expectExact(live);
  await rebuild(app.first.db, app.index);
  expect(app.expectExact(live)).toMatchObject(certified);
  expectSound(app);
  configure(live.db, { memoryBudget: undefined });
  expect(app.expectExact(live)).toMatchObject(certified);
});
