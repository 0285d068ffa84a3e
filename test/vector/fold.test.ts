import { eq, sql } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { driverOf } from "../../src/driver/driver.ts";
import { nearest, optimize } from "../../src/index.ts";
import { codesInMemory } from "../../src/vector/fold-plan.ts";
import { heldOf, type Resident } from "../../src/vector/resident-column.ts";
import { App, type Connection, chunks, KEYS } from "../helpers/folding.ts";
import { columnOf, fold, SlowFold } from "../helpers/slow-fold.ts";

const certified = { plan: "certified scan", fallback: null };

describe("what a fold has written is what a fresh connection answers from", () => {
  test.each([
    ["float32", "cosine", "integer"],
    ["float32", "l2", "text"],
    ["float32", "dot", "composite"],
    ["float16", "cosine", "integer"],
    ["float16", "l2", "composite"],
    ["int8", "dot", "text"],
    ["int8", "l2", "integer"],
    ["bit", "hamming", "integer"],
    ["bit", "hamming", "text"],
  ] as const)("%s by %s, %s key", (element, metric, key) => {
    const app = new App({ element, metric, key, dimensions: 32, rows: 700 });
    expect(fold(app.first)).toMatchObject({ outcome: "folded", rows: 700 });
    const cold = app.connect({ readonly: true });
    // Reading the table would find nothing: the codes come from disk.
    expect(app.expectExact(cold, { limit: 20, offset: 3 })).toMatchObject(certified);
    expect(app.expectExact(cold, { where: { text: "tag = 3", condition: eq(app.table.tag, 3) } })).toMatchObject(
      certified,
    );
    expect(cold.events).toEqual([]);
  });

  test.each(KEYS)("changes since, %s key: new, other, deleted, emptied rows", (key) => {
    const app = new App({ key, rows: 300 });
    fold(app.first);
    app.put(250, 320);
    app.first.client.exec("DELETE FROM t WHERE tag = 4; UPDATE t SET v = NULL WHERE tag = 5");
    expect(app.expectExact(app.connect())).toMatchObject(certified);
    fold(app.first);
    expect(app.expectExact(app.connect())).toMatchObject(certified);
    expect(app.expectExact(app.first)).toMatchObject(certified);
  });

  test("ids at both ends of 64 bits", () => {
    const app = new App({ rows: 40 });
    const { client } = app.first;
    const ids = [-(2n ** 63n), -(2n ** 63n) + 1n, -1n, 2n ** 53n + 1n, 2n ** 63n - 2n, 2n ** 63n - 1n];
    for (const id of ids) client.prepare("INSERT INTO t (id, v) VALUES (?, ?)").run(id, app.vector());
    fold(app.first);
    const truth = () =>
      (
        client.prepare("SELECT CAST(id AS TEXT) FROM t WHERE v IS NOT NULL ORDER BY id").pluck().all() as string[]
      ).sort();
    const found = ({ db }: Connection) => {
      const select = { id: sql<string>`CAST(${app.table.id} AS TEXT)` };
      const hits = nearest(db, app.table.v, Array(8).fill(1), { limit: 100, select } as any).all() as any[];
      return hits.map(({ id }) => id).sort();
    };
    expect(found(app.connect())).toEqual(truth());
    for (const id of ids.slice(0, 3)) client.prepare("DELETE FROM t WHERE id = ?").run(id);
    for (const id of ids.slice(3)) client.prepare("UPDATE t SET v = ? WHERE id = ?").run(app.vector(), id);
    expect(found(app.connect())).toEqual(truth());
    fold(app.first);
    expect(found(app.connect())).toEqual(truth());
  });

  test("rows that hold no vector are counted as before", () => {
    const app = new App({ rows: 50 });
    const { client } = app.first;
    client.exec("UPDATE t SET v = 'text' WHERE id = 3; UPDATE t SET v = x'0011' WHERE id IN (4, 5)");
    client.exec(`UPDATE t SET v = x'${"ff".repeat(32)}' WHERE id = 6`);
    const rowsSkipped = { wrongLength: 2, notFinite: 1, notAVector: 1 };
    fold(app.first);
    expect(app.expectExact(app.connect())).toMatchObject({ ...certified, rowsSkipped });
    client.exec("UPDATE t SET v = NULL WHERE id = 4; UPDATE t SET v = 'other' WHERE id = 5");
    const after = { wrongLength: 0, notFinite: 1, notAVector: 2 };
    expect(app.expectExact(app.connect())).toMatchObject({ ...certified, rowsSkipped: after });
    fold(app.first);
    expect(app.expectExact(app.connect())).toMatchObject({ ...certified, rowsSkipped: after });
    app.put(3, 7);
    fold(app.first, { isWhole: true });
    const none = { wrongLength: 0, notFinite: 0, notAVector: 0 };
    expect(app.expectExact(app.connect())).toMatchObject({ ...certified, rowsSkipped: none });
  });

  test("a table without rows, and one that has lost them all", () => {
    const app = new App();
    expect(fold(app.first)).toMatchObject({ outcome: "folded", rows: 0 });
    app.expectExact(app.connect());
    app.put(0, 30);
    fold(app.first);
    app.first.client.exec("DELETE FROM t");
    app.expectExact(app.connect());
    fold(app.first);
    app.expectExact(app.connect());
    app.put(10, 20);
    expect(app.expectExact(app.connect())).toMatchObject(certified);
  });
});

describe("a fold writes what has changed", () => {
  test("few changes become a small segment beside the large one, and nothing else is touched", () => {
    const app = new App({ rows: 9000 });
    fold(app.first);
    const [large] = chunks(app.first).filter(({ parts }) => parts > 1);
    app.put(100, 140);
    expect(fold(app.first)).toMatchObject({ outcome: "folded", rows: 40 });
    const after = chunks(app.first);
    expect(after).toContainEqual(large);
    // A segment of 40 rows, with a chunk each of ids, codes and bits, and the manifest of both.
    const added = after.filter(({ generation }) => generation > large!.generation);
    expect(added.map(({ parts }) => parts)).toEqual([3, 1]);
    expect(added.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(large!.bytes / 50);
    expect(app.expectExact(app.connect())).toMatchObject(certified);
  });

  test("nothing changed, nothing written", () => {
    const app = new App({ rows: 100 });
    fold(app.first);
    const before = [chunks(app.first), app.first.client.pragma("data_version")];
    expect(fold(app.connect())).toMatchObject({ outcome: "current", rows: 0 });
    expect([chunks(app.first), app.first.client.pragma("data_version")]).toEqual(before);
  });

  test("segments stay few, however often a little changes", () => {
    const app = new App({ rows: 2000 });
    fold(app.first);
    for (let round = 0; round < 40; round++) {
      app.put((round * 37) % 2000, ((round * 37) % 2000) + 25);
      fold(app.first);
      // Model, manifest, and segments each more than twice as large as the next.
      expect(chunks(app.first).length).toBeLessThan(2 + 8);
    }
    expect(app.expectExact(app.connect())).toMatchObject(certified);
    expect(app.expectExact(app.first)).toMatchObject(certified);
  });

  test("a segment of which a quarter is gone is written anew, and the space of deleted rows comes back", () => {
    const app = new App({ rows: 6000, dimensions: 64 });
    fold(app.first);
    const { client } = app.first;
    const bytes = () => chunks(app.first).reduce((sum, unit) => sum + unit.bytes, 0);
    const full = bytes();
    client.exec("DELETE FROM t WHERE id % 10 = 0");
    fold(app.first);
    // A tenth is marked only.
    expect(bytes()).toBeGreaterThan(full * 0.99);
    client.exec("DELETE FROM t WHERE id % 2 = 0");
    fold(app.first);
    expect(bytes()).toBeLessThan(full * 0.52);
    expect(client.pragma("freelist_count", { simple: true })).toBeGreaterThan(0);
    expect(app.expectExact(app.connect())).toMatchObject(certified);
    client.exec("DELETE FROM t");
    fold(app.first);
    expect(bytes()).toBeLessThan(full * 0.02);
    const pages = client.pragma("page_count", { simple: true }) as number;
    client.exec("VACUUM");
    expect(client.pragma("page_count", { simple: true })).toBeLessThan(pages / 5);
  });

  test("optimize leaves one segment without gaps, and is done at once where there is one", async () => {
    const app = new App({ rows: 500 });
    await optimize(app.first.db, app.index);
    app.put(0, 60);
    app.first.client.exec("DELETE FROM t WHERE id BETWEEN 100 AND 120");
    fold(app.first);
    expect(chunks(app.first)).toHaveLength(4);
    expect(await optimize(app.first.db, app.index)).toMatchObject({ index: "ix", rows: 479 });
    expect(chunks(app.first)).toHaveLength(3);
    expect(await optimize(app.first.db, app.index)).toMatchObject({ rows: 0 });
    expect(app.expectExact(app.connect())).toMatchObject(certified);
  });

  test("a column that has grown to more than twice its size gets a new model without being asked to", () => {
    const app = new App({ rows: 200 });
    fold(app.first);
    const model = chunks(app.first)[0]!.generation;
    app.put(200, 1500);
    fold(app.first);
    app.put(1500, 1510);
    expect(fold(app.first)).toMatchObject({ rows: 1510 });
    expect(chunks(app.first).map(({ generation }) => generation)).not.toContain(model);
    expect(app.expectExact(app.connect())).toMatchObject(certified);
  });

  test("and the one that a query has fitted since, where there is one", () => {
    const app = new App({ rows: 200 });
    fold(app.first);
    const before = modelOf(app.first);
    app.put(200, 1700);
    app.expectExact(app.first);
    const { model } = heldOf(app.first.client, columnOf(app.first))!.space;
    expect(model).not.toEqual(before);
    expect(fold(app.first)).toMatchObject({ outcome: "folded", rows: 1700 });
    expect(modelOf(app.first)).toEqual(model);
    expect(app.expectExact(app.connect())).toMatchObject(certified);
  });

  test("the log is cut behind the generation, but for a tail that spares other processes a reload", () => {
    const app = new App({ rows: 3000 });
    const length = () => app.first.client.prepare("SELECT count(*) FROM _dv_ix_log").pluck().get();
    app.put(0, 3000);
    app.put(0, 3000);
    const other = app.connect();
    app.expectExact(other);
    fold(app.first);
    // The tail, and the row the generation stands on.
    expect(length()).toBe(4097);
    app.put(10, 20);
    expect(app.expectExact(other)).toMatchObject(certified);
    expect(app.expectExact(app.connect())).toMatchObject(certified);
  });
});

describe("slices that only read need no lock", () => {
  test.each([
    ["where nothing is on disk", {}],
    ["after changes", { changes: 400 }],
    ["for one segment, all looked at", { changes: 400, isWhole: true, isChecked: true }],
    ["for a new model", { changes: 3500, isWhole: true }],
    ["where all is written", { isWhole: true, isChecked: true, changes: 0 }],
  ])("%s", (_, { changes, ...options }: { changes?: number; isWhole?: boolean; isChecked?: boolean }) => {
    const app = new App({ rows: 1200 });
    if (changes !== undefined) fold(app.first);
    app.put(1000, 1000 + (changes ?? 0));
    const slow = new SlowFold(app.first, { isLocked: false, ...options });
    while (slow.step()) if (slow.slices % 8 === 0 && changes !== 0) app.put(slow.slices, slow.slices + 1);
    expect(slow.result!.outcome).toBe(changes === 0 ? "current" : "folded");
    expect(slow.writing).toBeLessThanOrEqual(changes === 0 ? 3 : slow.slices / 2);
    expect(app.expectExact(app.connect())).toMatchObject(certified);
  });
});

describe("slices are short", () => {
  test("by rows, by chunks to be cleaned, and by rows of the log", () => {
    const app = new App({ rows: 3000 });
    const whole = new SlowFold(app.first);
    whole.finish();
    // 64 rows a slice.
    expect(whole.slices).toBeGreaterThan(3000 / 64);
    for (let round = 0; round < 4; round++) app.put(0, 2900);
    app.first.client.exec("DELETE FROM t WHERE id < 2800");
    const changed = new SlowFold(app.connect());
    changed.finish();
    expect(changed.result).toMatchObject({ outcome: "folded" });
    app.expectExact(app.connect());
  });

  test("rows of large vectors are taken fewer at a time", () => {
    const app = new App({ rows: 40, dimensions: 16_384, metric: "l2" });
    const whole = new SlowFold(app.first);
    whole.finish();
    expect(whole.slices).toBeGreaterThanOrEqual(10);
    app.expectExact(app.connect(), { queries: 1 });
  });

  test("a model is fitted in many, while rows change; undisturbed it is the one that a query fits at once", () => {
    const app = new App({ rows: 2100, dimensions: 64 });
    const other = app.connect();
    app.expectExact(other, { queries: 1 });
    const slow = new SlowFold(app.connect());
    for (let n = 0; n < 100; n++) expect(slow.step()).toBe(true);
    // Nothing is written yet.
    expect(chunks(app.first)).toEqual([]);
    expect(slow.finish()).toMatchObject({ outcome: "folded", rows: 2100 });
    expect(modelOf(app.first)).toEqual(heldOf(other.client, columnOf(other))!.space.model);

    const disturbed = new SlowFold(app.first, { isWhole: true });
    app.put(2100, 5300);
    for (let n = 0; disturbed.step(); n++) {
      if (n < 300) app.put((n * 37) % 5300, ((n * 37) % 5300) + 2);
      if (n % 50 === 0) app.first.client.exec(`DELETE FROM t WHERE id = ${n}`);
    }
    expect(disturbed.result).toMatchObject({ outcome: "folded" });
    expect(app.expectExact(app.connect())).toMatchObject(certified);
  });

  test("rows may come, change and go between any two of them", () => {
    const app = new App({ rows: 600 });
    for (const isWhole of [false, true]) {
      const slow = new SlowFold(app.first, { isWhole });
      for (let n = 0; slow.step(); n++) {
        if (n < 12) {
          app.put((n * 61) % 600, ((n * 61) % 600) + 5);
          app.first.client.exec(
            `DELETE FROM t WHERE id = ${n * 31}; UPDATE OR REPLACE t SET id = -id WHERE id = ${n * 29 + 400}`,
          );
        }
        if (n % 3 === 0) app.expectExact(app.connect(), { queries: 1 });
      }
      expect(slow.result).toMatchObject({ outcome: "folded" });
      expect(app.expectExact(app.connect(), { limit: 1000, queries: 1 })).toMatchObject(certified);
      expect(app.expectExact(app.first)).toMatchObject(certified);
    }
  });
});

test.each([
  [8, 128],
  [384, 128],
  [1536, 32],
  [16_384, 3],
])("a slice codes changed rows of %i dimensions for the codes in memory if they are at most %i", (dimensions, most) => {
  const app = new App({ rows: most + 1, dimensions, element: "int8" });
  const { client, db } = app.first;
  app.expectExact(app.first, { queries: 1 });
  const inMemory = () => driverOf(db).run(() => codesInMemory(client, columnOf(app.first))) as Resident | undefined;
  const change = (rows: number) => {
    for (let id = 0; id < rows; id++) client.prepare("UPDATE t SET v = ? WHERE id = ?").run(app.vector(), id);
  };
  change(most);
  expect(inMemory()?.codes?.size).toBe(most + 1);
  change(most + 1);
  expect(inMemory()).toBeUndefined();
  // They are kept for the next query.
  expect(heldOf(client, columnOf(app.first))).toBeDefined();
  app.expectExact(app.first, { queries: 1 });
  expect(inMemory()?.codes?.size).toBe(most + 1);
});

/** The model of the current generation. */
function modelOf({ client }: Connection): Uint8Array {
  const kind = "substr(bytes, 7, 1) = x'02'";
  const bytes = client
    .prepare(`SELECT bytes FROM _dv_ix_chunks WHERE ${kind} ORDER BY generation DESC LIMIT 1`)
    .pluck();
  return new Uint8Array((bytes.get() as Buffer).subarray(48));
}
