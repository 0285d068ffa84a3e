import { describe, expect, test } from "vitest";
import { driverOf } from "../../src/driver/driver.ts";
import { atOnce } from "../../src/kernel/breathing.ts";
import { ColumnReader } from "../../src/vector/column-reader.ts";
import { withoutPause } from "../../src/vector/indexed-column.ts";
import { mergeIds } from "../../src/vector/sorted-ids.ts";
import { App, KEYS } from "../helpers/folding.ts";
import { columnOf } from "../helpers/slow-fold.ts";

const WANTED = 64;

function sampleOf(app: App): string[] {
  const { db } = app.first;
  const reader = new ColumnReader(columnOf(app.first));
  const vectors = driverOf(db).run(() => withoutPause(reader.sample(WANTED))) as unknown as Uint8Array[];
  return vectors.map((bytes) => Buffer.from(bytes).toString("hex"));
}

describe("a sample of a column", () => {
  const moves: [string, string][] = [
    ["ids without gaps", ""],
    ["one row far away", "UPDATE t SET id = 1 << 40 WHERE id = 999"],
    [
      "rows at both ends of 64 bits",
      "UPDATE t SET id = -9223372036854775807 - 1 WHERE id = 0; UPDATE t SET id = 9223372036854775807 WHERE id = 999",
    ],
    ["two heaps far from each other", "UPDATE t SET id = id + (1 << 50) WHERE id > 300"],
    [
      "heaps within heaps",
      "UPDATE t SET id = id + (1 << 20) WHERE id > 300; UPDATE t SET id = id + (1 << 55) WHERE id % 1000 > 900",
    ],
    ["ids at random over 64 bits", "UPDATE t SET id = (id * 7919) % 1009 * 9000000000000000 + id"],
    ["every second row without a value", "UPDATE t SET v = NULL WHERE id % 2"],
    ["most rows without a value", "UPDATE t SET v = NULL WHERE id > 150"],
  ];

  test.each(moves)("%s: rows from all over, none twice", (_, sql) => {
    const app = new App({ rows: 1000 });
    app.first.client.exec(sql);
    const sample = sampleOf(app);
    expect(sample.length).toBeGreaterThanOrEqual(WANTED * 0.75);
    expect(new Set(sample).size).toBe(sample.length);
    expect(sampleOf(app)).toEqual(sample);
  });

  test.each(KEYS)("with a %s key it has the first rows, the last ones and those between", (key) => {
    const app = new App({ rows: 600, key });
    const sample = new Set(sampleOf(app));
    const vectors = app.first.client.prepare("SELECT hex(v) FROM t ORDER BY tag, v").pluck().all() as string[];
    expect(vectors.filter((hex) => sample.has(hex.toLowerCase())).length).toBe(sample.size);
    // Only of this one is the order of the ids that of the table.
    if (key !== "integer") return;
    const ordered = app.first.client.prepare("SELECT lower(hex(v)) FROM t ORDER BY id").pluck();
    const places = (ordered.all() as string[]).flatMap((hex, at) => (sample.has(hex) ? [at] : []));
    for (let i = 1; i < places.length; i++) expect(places[i]! - places[i - 1]!).toBeLessThan(40);
  });

  test.each([128, 1000])("of %i rows that alternate, as two languages do, it has both kinds", (rows) => {
    const app = new App({ rows });
    const odd = app.first.client.prepare("SELECT lower(hex(v)) FROM t WHERE id % 2").pluck().all() as string[];
    const sample = sampleOf(app);
    const share = sample.filter((hex) => odd.includes(hex)).length / sample.length;
    expect(share).toBeGreaterThan(0.35);
    expect(share).toBeLessThan(0.65);
  });

  test("of few rows has all of them, of none none", () => {
    expect(sampleOf(new App({ rows: 50 }))).toHaveLength(50);
    const app = new App({ rows: 10 });
    app.first.client.exec(
      "UPDATE t SET v = NULL WHERE id > 3; UPDATE t SET v = 'text' WHERE id = 0; UPDATE t SET v = x'00' WHERE id = 1",
    );
    expect(sampleOf(app)).toHaveLength(2);
    app.first.client.exec("DELETE FROM t");
    expect(sampleOf(app)).toEqual([]);
  });
});

test("lists of ids are merged into one, each id once", () => {
  const merged = (...lists: bigint[][]) => [...atOnce(mergeIds(lists.map((ids) => BigInt64Array.from(ids))))];
  expect(merged()).toEqual([]);
  expect(merged([1n, 5n])).toEqual([1n, 5n]);
  expect(merged([1n, 5n], [], [-(2n ** 63n), 5n, 7n], [2n ** 63n - 1n])).toEqual([
    -(2n ** 63n),
    1n,
    5n,
    7n,
    2n ** 63n - 1n,
  ]);
  const many = Array.from({ length: 40_000 }, (_, i) => BigInt(i * 2));
  const odd = many.map((id) => id + 1n);
  expect(merged(many, odd, many)).toEqual(Array.from({ length: 80_000 }, (_, i) => BigInt(i)));
});
