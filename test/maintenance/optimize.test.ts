import { expect, test } from "vitest";
import {
  dropSearchIndex,
  ensureSearchIndexes,
  IndexMissingError,
  optimize,
  type Progress,
  TransactionOpenError,
} from "../../src/index.ts";
import { openBetterSqlite3, openLibsql } from "../helpers/databases.ts";
import { App, chunks } from "../helpers/folding.ts";
import { DDL, docsSearch, ROWS } from "./app.ts";

const certified = { plan: "certified scan", fallback: null };

test("writes the codes of all vectors; a new process reads no table", async () => {
  const app = new App({ rows: 500 });
  const result = await optimize(app.first.db, app.index);
  expect(result).toEqual({ index: "ix", rows: 500, ms: expect.any(Number) });
  expect(await optimize(app.first.db, "ix")).toMatchObject({ rows: 0 });
  expect(app.expectExact(app.connect({ readonly: true }))).toMatchObject(certified);
});

test("tells how far it is, outside of its transactions, and ends with all of it", async () => {
  const app = new App({ rows: 20_000, dimensions: 16 });
  const { client, db } = app.first;
  const told: (Progress & { isInside: boolean })[] = [];
  await optimize(db, app.index, {
    onProgress: (progress) => void told.push({ ...progress, isInside: client.inTransaction }),
  });
  expect(told.at(-1)).toEqual({ done: 20_000, total: 20_000, isInside: false });
  expect(told.every(({ isInside }) => !isInside)).toBe(true);
  expect(told.map(({ done }) => done)).toEqual(told.map(({ done }) => done).sort((a, b) => a - b));
});

test("ended by a signal, or by an error of onProgress, it leaves nothing behind and can be called again", async () => {
  const app = new App({ rows: 6000, dimensions: 64 });
  const { db } = app.first;
  const controller = new AbortController();
  const reason = new Error("enough");
  await expect(
    optimize(db, app.index, { signal: controller.signal, onProgress: () => controller.abort(reason) }),
  ).rejects.toBe(reason);
  expect(chunks(app.first)).toEqual([]);
  const onProgress = () => {
    throw reason;
  };
  await expect(optimize(db, app.index, { onProgress })).rejects.toBe(reason);
  await expect(optimize(db, app.index, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  app.expectExact(app.first);
  expect(await optimize(db, app.index)).toMatchObject({ index: "ix" });
  expect(app.expectExact(app.connect({ readonly: true }))).toMatchObject(certified);
});

test("writes that come meanwhile are part of the next answer", async () => {
  const app = new App({ rows: 6000 });
  let rounds = 0;
  await optimize(app.first.db, app.index, {
    onProgress: () => app.put(rounds * 10, ++rounds * 10),
  });
  expect(rounds).toBeGreaterThan(0);
  expect(app.expectExact(app.connect({ readonly: true }))).toMatchObject(certified);
  expect(app.expectExact(app.first)).toMatchObject(certified);
});

test("refuses what it cannot do", async () => {
  const app = new App({ rows: 10 });
  const { client, db } = app.first;
  await expect(optimize(db, "nothing")).rejects.toThrow(IndexMissingError);
  client.exec("BEGIN");
  await expect(optimize(db, app.index)).rejects.toThrow(TransactionOpenError);
  client.exec("COMMIT; DROP TRIGGER _dv_ix_insert");
  await expect(optimize(db, app.index)).rejects.toMatchObject({ code: "INDEX_DETACHED" });
  const { db: libsql } = openLibsql();
  await expect(optimize(libsql as any, docsSearch)).rejects.toThrow(IndexMissingError);
});

test("two at once, on two connections: both end, and one generation is left", async () => {
  const app = new App({ rows: 4000 });
  const results = await Promise.all([app.connect(), app.connect()].map(({ db }) => optimize(db, app.index)));
  expect(Math.max(...results.map(({ rows }) => rows))).toBe(4000);
  expect(chunks(app.first)).toHaveLength(3);
  expect(app.expectExact(app.connect({ readonly: true }))).toMatchObject(certified);
});

test("of an index that is dropped meanwhile it says so", async () => {
  const { client, db } = openBetterSqlite3();
  for (const statement of [...DDL, ...ROWS]) client.exec(statement);
  ensureSearchIndexes(db, [docsSearch]);
  const work = optimize(db, docsSearch);
  dropSearchIndex(db, docsSearch);
  await expect(work).rejects.toThrow(IndexMissingError);
});
