import { integer, sqliteTable } from "drizzle-orm/sqlite-core";
import { describe, expect, test } from "vitest";
import { type Element, type Metric, nearest, vectorColumn } from "../../src/index.ts";
import { openBetterSqlite3 } from "../helpers/databases.ts";
import { hasSharedData, readVectors } from "../helpers/shared-data.ts";

type Vector = ArrayLike<number>;

interface DataSet {
  base: Vector[];
  queries: Vector[];
  /** For each metric the rows nearest to each query, nearest first, ties by row. */
  truth: Partial<Record<Metric, Int32Array[]>>;
  element?: Element;
  /** Some of the queries, where all of them would take long. */
  sample?: number;
}

const ivecs = (path: string) => readVectors(path) as Int32Array[];

const SETS: Record<string, () => DataSet> = {
  sift10k: () => ({
    base: readVectors("sift10k/base.bvecs").map((row) => Float32Array.from(row)),
    queries: readVectors("sift10k/query.bvecs").map((row) => Float32Array.from(row)),
    truth: {
      l2: ivecs("sift10k/gt.l2.ivecs"),
      cosine: ivecs("sift10k/gt.cosine.ivecs"),
      dot: ivecs("sift10k/gt.ip.ivecs"),
    },
    sample: 10,
  }),
  fashion1k: () => ({
    base: readVectors("fashion1k/base.bvecs.gz").map((row) => Float32Array.from(row)),
    queries: readVectors("fashion1k/query.bvecs.gz").map((row) => Float32Array.from(row)),
    truth: { l2: ivecs("fashion1k/gt.l2.ivecs") },
    sample: 50,
  }),
  random1k: () => ({
    base: readVectors("random1k/base.fvecs"),
    queries: readVectors("random1k/query.fvecs"),
    truth: {
      l2: ivecs("random1k/gt.l2.ivecs"),
      cosine: ivecs("random1k/gt.cosine.ivecs"),
      dot: ivecs("random1k/gt.ip.ivecs"),
    },
  }),
  emoji2vec: () => {
    const base = readVectors("emoji2vec/base.fvecs");
    const rows = ivecs("emoji2vec/query.rows.ivecs").flatMap((row) => Array.from(row));
    const queries = rows.map((row) => base[row]!);
    return { base, queries, truth: { cosine: ivecs("emoji2vec/gt.cosine.ivecs") }, sample: 50 };
  },
  "cranfield, minilm384": () => ({
    base: readVectors("cranfield/docs.minilm384.fvecs"),
    queries: readVectors("cranfield/queries.minilm384-approx.fvecs"),
    truth: { cosine: ivecs("cranfield/gt.minilm384.cosine.ivecs") },
    sample: 50,
  }),
};

/** A table with row i of the base under key i. */
function filled(base: readonly Vector[], element: Element, dimensions: number) {
  const { db, client } = openBetterSqlite3();
  client.exec("create table rows (id integer primary key, v blob)");
  const rows = sqliteTable("rows", { id: integer().primaryKey(), v: vectorColumn({ dimensions, element }) });
  for (let i = 0; i < base.length; i += 1000) {
    db.insert(rows)
      .values(base.slice(i, i + 1000).map((v, at) => ({ id: i + at, v: v as any })))
      .run();
  }
  return { db, rows };
}

if (!hasSharedData) {
  test.skip("neighbours are not compared: the evaluation data is not beside this clone", () => {});
} else {
  describe.each(Object.keys(SETS))("%s", (name) => {
    const { base, queries, truth, sample = queries.length } = SETS[name]!();

    test.each(Object.keys(truth) as Metric[])("by %s the nearest rows are the true ones, in their order", (metric) => {
      const { db, rows } = filled(base, "float32", base[0]!.length);
      const expected = truth[metric]!;
      const limit = expected[0]!.length;
      const search = nearest(db, rows.v, queries[0] as Float32Array, {
        metric: metric as "l2",
        limit,
        select: { id: rows.id },
      });
      expect(search.explain().plan).toBe("bare scan");
      for (let q = 0; q < sample; q++) {
        const hits = nearest(db, rows.v, queries[q] as Float32Array, {
          metric: metric as "l2",
          limit,
          select: { id: rows.id },
        }).all();
        expect(
          hits.map(({ id }) => id),
          `query ${q}`,
        ).toEqual(Array.from(expected[q]!));
      }
    });
  });

  test("random1k, hamming: the distances are those of the published neighbours", () => {
    const base = readVectors("random1k/binary.base.bvecs") as Uint8Array[];
    const queries = readVectors("random1k/binary.query.bvecs") as Uint8Array[];
    const published = ivecs("random1k/gt.hamming.published.ivecs");
    const { db, rows } = filled(base, "bit", base[0]!.length * 8);
    const bits = (a: Uint8Array, b: Uint8Array) =>
      a.reduce((sum, byte, i) => sum + (byte ^ b[i]!).toString(2).replaceAll("0", "").length, 0);
    queries.forEach((query, q) => {
      const limit = published[q]!.length;
      const hits = nearest(db, rows.v as any, query as any, { limit, select: { id: rows.id } as any }).all() as {
        id: number;
        $distance: number;
      }[];
      // The published lists break ties in another order.
      const expected = Array.from(published[q]!, (row) => bits(query, base[row]!)).sort((a, b) => a - b);
      expect(hits.map(({ $distance }) => $distance)).toEqual(expected);
      expect(hits.map(({ id }) => bits(query, base[id]!))).toEqual(expected);
    });
  });

  test.each(["sift10k", "random1k"])("%s, l2: the published neighbours lie at the same distances", (name) => {
    const { base, queries } = SETS[name]!();
    const published = ivecs(`${name}/gt.l2.published.ivecs`);
    const { db, rows } = filled(base, "float32", base[0]!.length);
    for (let q = 0; q < 10; q++) {
      const hits = nearest(db, rows.v, queries[q] as Float32Array, { metric: "l2", limit: published[q]!.length }).all();
      const expected = Array.from(published[q]!, (row) =>
        Math.sqrt(Array.from(base[row]!, (x, i) => (x - queries[q]![i]!) ** 2).reduce((sum, x) => sum + x, 0)),
      );
      hits.forEach(({ $distance }, i) => {
        expect($distance / (expected[i]! || 1)).toBeCloseTo(expected[i] === 0 ? 0 : 1, 6);
      });
    }
  });
}
