import Database from "better-sqlite3";
import { and, eq, lte, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable } from "drizzle-orm/sqlite-core";
import { describe, expect, test } from "vitest";
import { configure, ensureSearchIndexes, nearest, optimize, searchIndex, vectorColumn } from "../../src/index.ts";
import { seeded } from "../helpers/databases.ts";

const DIMENSIONS = 64;
const ROWS = 3000;
const QUERIES = 60;

const docs = sqliteTable("docs", {
  id: integer().primaryKey(),
  even: integer().notNull(),
  embedding: vectorColumn(DIMENSIONS),
});
const indexOf = (exact: boolean, metric: "cosine" | "l2" | "dot") =>
  searchIndex("docs_search", docs, { vectors: { embedding: { metric, exact } } });

function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

type Make = (random: () => number) => Float32Array;
const noise: Make = (random) => Float32Array.from({ length: DIMENSIONS }, () => gaussian(random));
const steep: Make = (random) => Float32Array.from({ length: DIMENSIONS }, (_, i) => gaussian(random) / (1 + i / 4));
const shared = seeded(77);
const distinct = Array.from({ length: 300 }, () => noise(shared));
const duplicates: Make = (random) => distinct[Math.floor(random() * distinct.length)]!;
const cluster: Make = (random) => Float32Array.from(distinct[0]!, (value) => 5 * value + 0.01 * gaussian(random));

async function filled(make: Make, exact: boolean, metric: "cosine" | "l2" | "dot" = "l2") {
  const client = new Database(":memory:");
  const db = drizzle({ client, schema: { docs } });
  configure(db, { maintenance: "manual" });
  client.exec("CREATE TABLE docs (id INTEGER PRIMARY KEY, even INTEGER NOT NULL, embedding BLOB)");
  const random = seeded(5);
  const insert = client.prepare("INSERT INTO docs VALUES (?, ?, ?)");
  client.transaction(() => {
    for (let id = 1; id <= ROWS; id++) insert.run(id, id % 2, Buffer.from(make(random).buffer.slice(0)));
  })();
  const index = indexOf(exact, metric);
  await ensureSearchIndexes(db, [index]);
  await optimize(db, index);
  const queries = Array.from({ length: QUERIES }, () => make(random));
  return { client, db, index, queries, random };
}

type Filled = Awaited<ReturnType<typeof filled>>;

interface Limits {
  limit: number;
  where?: ReturnType<typeof lte>;
}

/** Distances of the exact answers to each query, nearest first. Those of fewer rows are their beginnings. */
function truthOf({ db, queries }: Filled, limits: Limits): number[][] {
  return queries.map((query) =>
    nearest(db, docs.embedding, query, { ...limits, recall: 1 })
      .all()
      .map(({ $distance }) => $distance),
  );
}

/** Mean recall by distance, against exact answers. */
function recallOf(
  world: Filled,
  { recall, ...limits }: Limits & { recall: number },
  truth = truthOf(world, limits),
): number {
  const { db, queries } = world;
  let found = 0;
  for (const [i, query] of queries.entries()) {
    const distances = truth[i]!.slice(0, limits.limit);
    const hits = nearest(db, docs.embedding, query, { ...limits, recall }).all();
    expect(hits.length).toBe(distances.length);
    const last = distances.at(-1)!;
    found += hits.filter(({ $distance }) => $distance <= last).length / distances.length;
  }
  return found / queries.length;
}

describe.each([
  ["1-bit codes alone", false],
  ["1-bit codes beside those for exact answers", true],
])("%s", (_, exact) => {
  test.each([
    ["noise", noise, "cosine"],
    ["a steep spectrum", steep, "l2"],
    ["duplicates", duplicates, "l2"],
    ["one dense cluster", cluster, "cosine"],
    ["vectors of any length", steep, "dot"],
  ] as const)(
    "%s: the recall asked for is delivered",
    async (_, make, metric) => {
      const world = await filled(make, exact, metric);
      const { db, queries } = world;
      const { plan, fallback } = nearest(db, docs.embedding, queries[0]!, { recall: 0.9 }).explain();
      // Where equal rows or noise leave too many, a better plan takes over.
      if (make === steep) expect({ plan, fallback }).toEqual({ plan: "1-bit scan", fallback: null });
      const truth = truthOf(world, { limit: 10 });
      for (const recall of [0.9, 0.99]) {
        for (const limit of [1, 10]) {
          expect(recallOf(world, { limit, recall }, truth)).toBeGreaterThanOrEqual(recall - 0.01);
        }
      }
    },
    60_000,
  );

  test("conditions fill the limit at the recall asked for, whatever share of the rows they leave", async () => {
    const world = await filled(steep, exact);
    for (const where of [eq(docs.even, 1), lte(docs.id, ROWS / 10), lte(docs.id, 20)]) {
      expect(recallOf(world, { limit: 10, recall: 0.95, where })).toBeGreaterThanOrEqual(0.94);
    }
    const none = nearest(world.db, docs.embedding, world.queries[0]!, { recall: 0.9, where: sql`0` });
    expect(none.all()).toEqual([]);
  }, 60_000);

  test("own writes are seen, deleted rows never come back, and a third of the rows may change", async () => {
    const world = await filled(steep, exact);
    const { db, client, queries, random } = world;
    const query = queries[0]!;
    db.transaction((tx) => {
      tx.insert(docs).values({ id: 9001, even: 0, embedding: query }).run();
      const [first] = nearest(tx, docs.embedding, query, { recall: 0.9, limit: 1 }).all();
      expect(first).toMatchObject({ id: 9001, $distance: 0 });
      tx.delete(docs).where(eq(docs.id, 9001)).run();
    });
    const before = nearest(db, docs.embedding, query, { recall: 0.9 }).all();
    expect(before.some(({ id }) => id === 9001)).toBe(false);
    const update = client.prepare("UPDATE docs SET embedding = ? WHERE id = ?");
    client.transaction(() => {
      client.exec("DELETE FROM docs WHERE id % 10 = 0");
      for (let id = 1; id <= ROWS / 5; id++) update.run(Buffer.from(steep(random).buffer), id);
    })();
    expect(recallOf(world, { limit: 10, recall: 0.95 })).toBeGreaterThanOrEqual(0.94);
    const where = and(lte(docs.id, 100), eq(sql`${docs.id} % 10`, 0));
    expect(nearest(db, docs.embedding, query, { recall: 0.9, where: where! }).all()).toEqual([]);
  }, 60_000);
});

describe("1-bit codes alone", () => {
  test("all nearest rows are read from the table, which explain tells", async () => {
    const { db, queries } = await filled(steep, false);
    const explain = nearest(db, docs.embedding, queries[0]!).explain();
    expect(explain).toMatchObject({
      plan: "bare scan",
      fallback: "the index keeps 1-bit codes alone: ask for a recall below 1 to have them used",
    });
    const approximate = nearest(db, docs.embedding, queries[0]!, { recall: 0.95 }).explain();
    expect(approximate).toMatchObject({ plan: "1-bit scan", fallback: null, rowsScanned: ROWS });
    expect(approximate.rowsRescored).toBeLessThan(approximate.rowsInDoubt + 1);
    expect(approximate.rowsRescored).toBeLessThan(ROWS / 10);
  });

  test("they take a twentieth of the vectors' bytes in the database, and are read back by another connection", async () => {
    const { client, db, index, queries } = await filled(steep, false);
    const bytes = client.prepare("SELECT sum(length(bytes)) FROM _dv_docs_search_chunks").pluck().get() as number;
    expect(bytes / (ROWS * DIMENSIONS * 4)).toBeLessThan(0.13);
    const other = new Database(client.serialize());
    const copy = drizzle({ client: other, schema: { docs } });
    for (const query of queries.slice(0, 20)) {
      const asked = { recall: 0.9, limit: 5 };
      expect(nearest(copy, docs.embedding, query, asked).all()).toEqual(
        nearest(db, docs.embedding, query, asked).all(),
      );
    }
    expect(await optimize(copy, index)).toBeDefined();
  });

  test("beyond the memory budget they are read from disk by each query, with the same answers", async () => {
    const { client, db, queries } = await filled(steep, false);
    const copy = drizzle({ client: new Database(client.serialize()), schema: { docs } });
    configure(copy, { memoryBudget: 0, maintenance: "manual" });
    for (const query of queries.slice(0, 10)) {
      for (const where of [undefined, lte(docs.id, 500)]) {
        const asked = { recall: 0.95, limit: 5, where };
        expect(nearest(copy, docs.embedding, query, asked).explain().plan).toBe("1-bit scan");
        expect(nearest(copy, docs.embedding, query, asked).all()).toEqual(
          nearest(db, docs.embedding, query, asked).all(),
        );
      }
    }
  });

  test("rows that are no vector are counted, and come back when they are mended", async () => {
    const { client, db, queries } = await filled(steep, false);
    const broken = Buffer.from(Float32Array.from({ length: DIMENSIONS }, (_, i) => (i === 3 ? Number.NaN : 1)).buffer);
    client.prepare("UPDATE docs SET embedding = ? WHERE id = 7").run(broken);
    client.exec("UPDATE docs SET embedding = x'00' WHERE id = 8");
    const { rowsSkipped, plan } = nearest(db, docs.embedding, queries[0]!, { recall: 0.9 }).explain();
    expect(plan).toBe("1-bit scan");
    expect(rowsSkipped).toEqual({ wrongLength: 1, notFinite: 1, notAVector: 0 });
    client.prepare("UPDATE docs SET embedding = ? WHERE id = 7").run(Buffer.from(queries[0]!.buffer));
    expect(nearest(db, docs.embedding, queries[0]!, { recall: 0.9, limit: 1 }).get()).toMatchObject({ id: 7 });
  });
});

test.each([0, 40_000])(
  "within a budget of %i bytes 1-bit codes are read, and none for exact answers",
  async (memoryBudget) => {
    const world = await filled(steep, true);
    const { client, db, queries } = world;
    configure(db, { memoryBudget, maintenance: "manual" });
    // Chunks of the other kind would be noticed.
    const damage = client.prepare(
      "UPDATE _dv_docs_search_chunks SET bytes = x'00' WHERE part % 3 = 1 AND generation = ?",
    );
    const segment = client.prepare("SELECT generation FROM _dv_docs_search_chunks WHERE part = 2").pluck().get();
    for (const where of [undefined, lte(docs.id, 500)]) {
      const asked = { recall: 0.95, limit: 5, ...(where && { where }) };
      expect(recallOf(world, asked)).toBeGreaterThanOrEqual(0.94);
    }
    damage.run(segment);
    // Where few rows are likely: many would take longer to read than the other codes.
    const { embedding } = db.select().from(docs).where(eq(docs.id, 7)).get()!;
    const { plan, fallback } = nearest(db, docs.embedding, embedding!, { recall: 0.7, limit: 1 }).explain();
    expect({ plan, fallback }).toEqual({ plan: "1-bit scan", fallback: null });
    expect(nearest(db, docs.embedding, queries[0]!).explain().plan).toBe("bare scan");
  },
);

test("a bare column takes a recall and is answered exactly", () => {
  const client = new Database(":memory:");
  const db = drizzle({ client, schema: { docs } });
  client.exec("CREATE TABLE docs (id INTEGER PRIMARY KEY, even INTEGER NOT NULL, embedding BLOB)");
  const random = seeded(9);
  for (let id = 1; id <= 50; id++)
    db.insert(docs)
      .values({ id, even: 0, embedding: noise(random) })
      .run();
  const query = noise(random);
  expect(nearest(db, docs.embedding, query, { recall: 0.5 }).explain().plan).toBe("bare scan");
  expect(nearest(db, docs.embedding, query, { recall: 0.5 }).all()).toEqual(nearest(db, docs.embedding, query).all());
});
