import { eq, lt, sql } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { describe, expect, test } from "vitest";
import {
  ConnectionBusyError,
  ensureSearchIndexes,
  hybrid,
  nearest,
  nearestMany,
  search,
  searchIndex,
  vectorColumn,
} from "../../src/index.ts";
import { openLibsql } from "../helpers/databases.ts";

const DIMENSIONS = 512;
const docs = sqliteTable("docs", {
  id: integer().primaryKey(),
  word: text().notNull(),
  embedding: vectorColumn(DIMENSIONS),
});
const docsSearch = searchIndex("docs_search", docs, { text: { word: 1 }, vectors: { embedding: { metric: "l2" } } });

/** The row of id n lies n away from zero. */
const at = (distance: number) => new Float32Array(DIMENSIONS).fill(distance / Math.sqrt(DIMENSIONS));

/** 200 rows: several pages of a scan. */
async function filled(url?: string) {
  const { client, db } = openLibsql({}, url);
  await client.execute("PRAGMA journal_mode = wal");
  await client.execute("CREATE TABLE docs (id INTEGER PRIMARY KEY, word TEXT NOT NULL, embedding BLOB)");
  const rows = Array.from({ length: 200 }, (_, i) => ({ id: i + 1, word: "red", embedding: at(i + 1) }));
  await db.insert(docs).values(rows);
  await ensureSearchIndexes(db, [docsSearch]);
  return { client, db };
}

/** The two nearest rows are deleted earlier and later in the course of a search, and put back. */
async function expectOneState(db: any) {
  const seen = new Set<string>();
  for (let ticks = 0; ticks <= 120; ticks += 4) {
    const [hits] = await Promise.all([
      nearest(db, docs.embedding, at(0), { limit: 3, metric: "l2" }).all() as Promise<Record<string, unknown>[]>,
      after(ticks).then(() => db.delete(docs).where(lt(docs.id, 3))),
    ]);
    seen.add(idsOf(hits).join(" "));
    await db.insert(docs).values([1, 2].map((id) => ({ id, word: "red", embedding: at(id) })));
  }
  expect([...seen].sort()).toEqual(["1 2 3", "3 4 5"]);
}

async function after(ticks: number): Promise<void> {
  for (let i = 0; i < ticks; i++) await null;
}

const idsOf = (hits: readonly Record<string, unknown>[]) => hits.map(({ id }) => id);

describe.each([
  ["in a file", undefined],
  ["in memory", ":memory:"],
])("libSQL, a database %s", (_, url) => {
  test("more searches at once than a client has connections are all answered, and what else the app asks meanwhile", async () => {
    const { db } = await filled(url);
    const [one, many, found, both, rows] = await Promise.all([
      Promise.all(Array.from({ length: 30 }, (_, i) => nearest(db, docs.embedding, at(i + 1), { limit: 1 }))),
      Promise.all(Array.from({ length: 10 }, () => nearestMany(db, docs.embedding, [at(3), at(200)], { limit: 1 }))),
      Promise.all(Array.from({ length: 10 }, () => search(db, docsSearch, "red", { limit: 2 }))),
      Promise.all(Array.from({ length: 10 }, () => hybrid(db, docsSearch, { vector: at(7) }, { limit: 1 }))),
      db.select({ id: docs.id }).from(docs).limit(1),
    ]);
    expect(one.flatMap(idsOf)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
    expect(many.map((lists) => lists.flatMap(idsOf))).toEqual(Array(10).fill([3, 200]));
    expect(found.map(idsOf)).toEqual(Array(10).fill([1, 2]));
    expect(both.map(idsOf)).toEqual(Array(10).fill([7]));
    expect(rows).toEqual([{ id: 1 }]);
  });

  test("a search that fails is no harm to those behind it", async () => {
    const { db } = await filled(url);
    const fails = nearest(db, docs.embedding, at(1), { where: sql`no_such_column = 1` }).all();
    const answers = nearest(db, docs.embedding, at(5), { limit: 1 }).all();
    await expect(fails).rejects.toThrow();
    expect(idsOf(await answers)).toEqual([5]);
  });

  test("a prepared search is asked for the values it was called with, whatever becomes of them", async () => {
    const { db } = await filled(url);
    const where = eq(docs.word, sql.placeholder("word"));
    const vector = at(9);
    const queries = nearestMany(db, docs.embedding, [sql.placeholder("vector")], { where, limit: 1 }).prepare();
    const query = nearest(db, docs.embedding, sql.placeholder("vector"), { where, limit: 1 }).prepare();
    const values = { vector, word: "red" };
    const asked = [query.all(values), queries.all(values).then((lists) => lists.flat())];
    const explained = query.explain(values);
    vector.fill(4);
    values.word = "green";
    expect((await Promise.all(asked)).map(idsOf)).toEqual([[9], [9]]);
    expect(await explained).toMatchObject({ hits: 1 });
  });

  test("searches that a loop begins are each asked for what it had then", async () => {
    const { db } = await filled(url);
    const vector = at(0);
    const asked: Promise<Record<string, unknown>[]>[] = [];
    for (const id of [5, 50, 150]) {
      vector.set(at(id));
      const where = eq(docs.embedding, vector);
      asked.push(nearest(db, docs.embedding, vector, { where, limit: 1 }).all());
    }
    expect((await Promise.all(asked)).map(idsOf)).toEqual([[5], [50], [150]]);
  });

  test("in a transaction rows that are deleted while a search is under way are all there, or none of them", async () => {
    const { db } = await filled(url);
    await db.transaction(expectOneState);
  });

  test("whoever writes in a transaction for as long as a search lasts is told so", async () => {
    const { db } = await filled(url);
    await db.transaction(async (tx) => {
      let isOver = false;
      const hits = nearest(tx, docs.embedding, at(1), { limit: 3 })
        .all()
        .finally(() => {
          isOver = true;
        });
      const writing = (async () => {
        while (!isOver) await tx.run(sql`UPDATE docs SET word = word WHERE id = 200`);
      })();
      await expect(hits).rejects.toThrow(
        expect.objectContaining({
          code: "CONNECTION_BUSY",
          message:
            "db: expected a connection that nobody writes on while it is searched, got writes between the steps of a search, 20 times in turn",
        }),
      );
      await writing;
    });
  });

  test("a client that is closed and a transaction that is over are typed errors", async () => {
    const { client, db } = await filled(url);
    let late!: Promise<unknown>;
    await db
      .transaction(async (tx) => {
        late = nearest(tx, docs.embedding, at(1)).all();
        tx.rollback();
      })
      .catch(() => {});
    await expect(late).rejects.toThrow(
      "expected a connection that can run a statement, got a transaction that is over",
    );
    const running = nearest(db, docs.embedding, at(1)).all();
    client.close();
    await expect(running).rejects.toThrow(ConnectionBusyError);
    await expect(nearest(db, docs.embedding, at(1)).all()).rejects.toThrow(
      "db: expected a connection that can run a statement, got a closed client",
    );
  });
});

test("libSQL, in memory: rows that are deleted while a search is under way are all there, or none of them", async () => {
  const { db } = await filled(":memory:");
  await expectOneState(db);
});

test("libSQL, in memory: a search beside an open transaction is a typed error that says what to do", async () => {
  const { db } = await filled(":memory:");
  await db.transaction(async (tx) => {
    await expect(nearest(db, docs.embedding, at(1)).all()).rejects.toMatchObject({
      code: "CONNECTION_BUSY",
      message:
        "db: expected a connection that can run a statement, got a client whose connections are all held by open transactions",
      hint: expect.stringContaining("Search with such a transaction"),
    });
    expect(idsOf(await nearest(tx, docs.embedding, at(1), { limit: 1 }))).toEqual([1]);
  });
});
