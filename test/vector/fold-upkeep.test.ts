import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable } from "drizzle-orm/sqlite-core";
import { expect, onTestFinished, test } from "vitest";
import { configure, nearest, release, searchIndex, vectorColumn } from "../../src/index.ts";
import { temporaryFolder } from "../helpers/databases.ts";
import { App, type Connection, chunks, until } from "../helpers/folding.ts";
import { fold } from "../helpers/slow-fold.ts";
import { ensure } from "../migration/database.ts";
import { bundled } from "../reliability/program.ts";

const program = await bundled(new URL("../helpers/ending-app.ts", import.meta.url));

const auto = { maintenance: "auto" } as const;
const codes = ({ events }: Connection) => events.map(({ code }) => code);
const headOf = ({ client }: Connection) => client.prepare("SELECT generation, seq FROM _dv_ix_head").get();
/** Longer than a fold of these sizes takes to begin. */
const aWhile = () => new Promise((resolve) => setTimeout(resolve, 150));

test("a query over many rows has them written a little later, once, and tells of it", async () => {
  const app = new App({ rows: 3000 });
  const live = app.connect({}, auto);
  app.expectExact(live);
  expect(chunks(live)).toEqual([]);
  await until(() => codes(live).length > 0);
  app.expectExact(live);
  await aWhile();
  expect(live.events).toEqual([
    {
      code: "FOLD",
      index: "ix",
      message: "index ix, column v: 3000 rows were written to the index",
      hint: 'It happens by itself; configure(db, { maintenance: "manual" }) turns it off.',
      ms: expect.any(Number),
    },
  ]);
  expect(app.expectExact(app.connect({ readonly: true }))).toMatchObject({ plan: "certified scan" });
});

test("few rows, and few changes, are left to whoever needs them", async () => {
  const app = new App({ rows: 900 });
  const live = app.connect({}, auto);
  app.expectExact(live);
  app.put(900, 3000);
  fold(app.first);
  app.put(0, 900);
  app.expectExact(live);
  app.expectExact(app.connect({}, auto));
  await aWhile();
  expect(codes(live)).toEqual([]);
  app.put(900, 1100);
  app.expectExact(live);
  await until(() => codes(live).length > 0);
  // Those that have changed, and with them the rest of a segment that has lost more than a quarter.
  expect(live.events[0]!.message).toContain("3000 rows");
});

test("what another process has written meanwhile is not written again", async () => {
  const app = new App({ rows: 3000 });
  const live = app.connect({}, auto);
  app.expectExact(live);
  await until(() => codes(live).length === 1);
  app.put(0, 2000);
  fold(app.first);
  app.put(0, 10);
  const head = headOf(app.first);
  app.expectExact(live);
  await aWhile();
  expect(headOf(app.first)).toEqual(head);
  expect(codes(live)).toEqual(["FOLD"]);
});

test("manual: nothing is written, also where it was set after the query", async () => {
  const app = new App({ rows: 3000 });
  const live = app.connect({}, auto);
  app.expectExact(live);
  configure(live.db, { maintenance: "manual" });
  app.expectExact(live);
  await aWhile();
  expect(chunks(live)).toEqual([]);
  configure(live.db, auto);
  app.expectExact(live);
  await until(() => codes(live).length === 1);
});

test("release ends it where it stands, and the next query begins anew", async () => {
  const app = new App({ rows: 3000 });
  const live = app.connect({}, auto);
  app.expectExact(live);
  release(live.db);
  await aWhile();
  expect(chunks(live)).toEqual([]);
  app.expectExact(live);
  await until(() => codes(live).length === 1);
  app.expectExact(app.connect());
});

test("a database that is closed meanwhile is no error", async () => {
  const app = new App({ rows: 3000 });
  const live = app.connect({}, auto);
  app.expectExact(live);
  live.client.close();
  await aWhile();
  expect(live.events).toEqual([]);
});

test("while the app holds a transaction nothing is written; afterwards it is", async () => {
  const app = new App({ rows: 3000 });
  const live = app.connect({}, auto);
  app.expectExact(live);
  live.client.exec("BEGIN");
  app.put(3000, 3010, live.client);
  app.expectExact(live);
  await aWhile();
  expect(live.client.inTransaction).toBe(true);
  expect(chunks(live)).toEqual([]);
  live.client.exec("ROLLBACK");
  app.expectExact(live);
  await until(() => codes(live).length === 1);
  expect(live.events[0]!.message).toContain("3000 rows");
  app.expectExact(app.connect());
});

test("an error that onEvent throws harms nothing", async () => {
  const app = new App({ rows: 3000 });
  let calls = 0;
  const live = app.connect(
    {},
    {
      ...auto,
      onEvent() {
        calls++;
        throw new Error("of the app");
      },
    },
  );
  app.expectExact(live);
  await until(() => calls === 1);
  app.expectExact(live);
});

test("after DDL the generation on disk is of no use until the next fold, which comes by itself", async () => {
  const app = new App({ rows: 3000 });
  fold(app.first);
  const live = app.connect({}, auto);
  app.expectExact(live);
  app.first.client.exec("CREATE TABLE other (x)");
  expect(app.expectExact(live)).toMatchObject({ plan: "certified scan" });
  await until(() => codes(live).length === 1);
  app.expectExact(live);
  expect(live.events[0]!.message).toContain("3000 rows");
  const cold = app.connect({ readonly: true });
  app.expectExact(cold);
});

test("a small index is written where its log has grown long, so that the log can be cut", async () => {
  const app = new App({ rows: 50 });
  const live = app.connect({}, auto);
  app.expectExact(live);
  for (let round = 0; round < 6; round++) {
    live.client.exec(
      "WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000) INSERT INTO _dv_ix_log (id) SELECT i % 50 FROM n",
    );
  }
  app.expectExact(live);
  await until(() => codes(live).length === 1);
  expect(live.client.prepare("SELECT count(*) FROM _dv_ix_log").pluck().get()).toBe(4097);
  app.expectExact(live);
});

test("a column that nobody asks does not keep the log of its index from being cut", async () => {
  const client = new Database(`${temporaryFolder()}/two.db`);
  onTestFinished(() => void client.close());
  const db = drizzle({ client }) as any;
  client.exec("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, a BLOB, b BLOB)");
  const table = sqliteTable("t", { id: integer().primaryKey(), a: vectorColumn(2), b: vectorColumn(2) });
  ensure(client, searchIndex("two", table, { vectors: { a: {}, b: {} } }));
  const insert =
    "WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT OR REPLACE INTO t SELECT i, x'0000803f0000803f', NULL FROM n";
  for (let round = 0; round < 30; round++) client.exec(insert);
  const events: string[] = [];
  configure(db, { onEvent: ({ message }) => void events.push(message) });
  nearest(db, table.a, [1, 2]).all();
  await until(() => events.length === 2);
  expect(events.map((message) => message.slice(0, 19))).toEqual(["index two, column a", "index two, column b"]);
  expect(client.prepare("SELECT count(*) FROM _dv_two_log").pluck().get()).toBe(4097);
  await aWhile();
  expect(events).toHaveLength(2);
});

test.each([1000, 0])(
  "with wal_autocheckpoint = %s its write-ahead log is moved into the file as the app wants it",
  async (pages) => {
    const app = new App({ rows: 4500, dimensions: 1024 });
    const live = app.connect({}, auto);
    const { client } = live;
    client.pragma("wal_checkpoint(TRUNCATE)");
    client.pragma(`wal_autocheckpoint = ${pages}`);
    app.expectExact(live, { queries: 1 });
    await until(() => codes(live).length === 1);
    const written = chunks(live).reduce((sum, { bytes }) => sum + bytes, 0);
    expect(written).toBeGreaterThan(4_500_000);
    const log = statSync(`${app.file}-wal`).size;
    // SQLite by itself would leave more than 1,000 pages there.
    if (pages === 0) expect(log).toBeGreaterThan(written);
    else expect(log).toBeLessThan(3_000_000);
    expect(client.pragma("wal_autocheckpoint", { simple: true })).toBe(pages);
  },
);

test("a process that has nothing else to do may end, before, while and after it folds", () => {
  const ended = (app: App, ms: number) =>
    spawnSync(process.execPath, [program, app.file, String(ms)], { encoding: "utf8" });
  for (const ms of [0, 40, 2000]) {
    const app = new App({ rows: 3000 });
    const { status, stdout, stderr } = ended(app, ms);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(ms === 2000 ? /^10 hits\nFOLD\n$/ : /^10 hits\n/);
    app.expectExact(app.connect());
  }
});
