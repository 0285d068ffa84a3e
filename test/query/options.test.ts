import { and, eq, gt, inArray, or, sql } from "drizzle-orm";
import { blob, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { drizzle as drizzleProxy } from "drizzle-orm/sqlite-proxy";
import { describe, expect, test } from "vitest";
import {
  configure,
  DrizzleVectorError,
  distance,
  ensureSearchIndexes,
  nearest,
  rebuild,
  registerFunctions,
  searchIndex,
  vectorColumn,
} from "../../src/index.ts";
import { openBetterSqlite3 } from "../helpers/databases.ts";

const docs = sqliteTable("docs", {
  id: integer().primaryKey(),
  title: text(),
  raw: blob(),
  v: vectorColumn(2),
  bits: vectorColumn({ dimensions: 8, element: "bit" }),
});

const docsSearch = searchIndex("docs_search", docs, { vectors: { v: {} } });

function opened() {
  const { db, client } = openBetterSqlite3();
  client.exec(`create table docs (id integer primary key, title text, raw blob, v blob, bits blob);
    insert into docs (id, title, v) values (1, 'a', x'0000803f00000000'), (2, 'b', x'0000000000000040')`);
  return { db, client };
}

/** Everything of an error that users may rely on, shown whole. */
function errorOf(work: () => unknown) {
  try {
    work();
  } catch (error) {
    if (!(error instanceof DrizzleVectorError)) throw error;
    return { name: error.name, code: error.code, message: error.message };
  }
  return undefined;
}

const searchIn = (column: unknown, query: unknown, options?: unknown) =>
  nearest(opened().db, column as any, query as any, options as any);
const search = (options: unknown) => searchIn(docs.v, [1, 0], options);

describe("options of nearest out of range throw at once, before any SQL", () => {
  test.each(
    [
      [{ limit: -1 }, "limit: expected a whole number, 0 or larger, got -1"],
      [{ limit: 1.5 }, "limit: expected a whole number, 0 or larger, got 1.5"],
      [{ limit: Number.NaN }, "limit: expected a whole number, 0 or larger, got NaN"],
      [{ limit: Number.POSITIVE_INFINITY }, "limit: expected a whole number, 0 or larger, got Infinity"],
      [{ limit: "5" }, 'limit: expected a whole number, 0 or larger, got text "5"'],
      [{ limit: null }, "limit: expected a whole number, 0 or larger, got null"],
      [{ limit: 5n }, "limit: expected a whole number, 0 or larger, got 5n"],
      [{ offset: -1 }, "offset: expected a whole number, 0 or larger, got -1"],
      [{ offset: 0.5 }, "offset: expected a whole number, 0 or larger, got 0.5"],
      [{ offset: Number.NaN }, "offset: expected a whole number, 0 or larger, got NaN"],
      [{ offset: "1" }, 'offset: expected a whole number, 0 or larger, got text "1"'],
      [{ maxDistance: Number.NaN }, "maxDistance: expected a number, got NaN"],
      [{ maxDistance: "1" }, 'maxDistance: expected a number, got text "1"'],
      [{ recall: 0.4 }, "recall: expected a number 0.5..1, got 0.4"],
      [{ recall: 1.01 }, "recall: expected a number 0.5..1, got 1.01"],
      [{ recall: Number.NaN }, "recall: expected a number 0.5..1, got NaN"],
      [{ strict: "yes" }, 'strict: expected true or false, got text "yes"'],
      [{ where: "id = 1" }, `where: expected a Drizzle condition, such as eq(docs.course, 'ml'), got text "id = 1"`],
      [{ where: { id: 1 } }, "where: expected a Drizzle condition, such as eq(docs.course, 'ml'), got Object"],
      [{ where: null }, "where: expected a Drizzle condition, such as eq(docs.course, 'ml'), got null"],
      [
        { top: 5 },
        "top: expected an option of nearest: select, where, limit, offset, maxDistance, metric, recall, strict, got top",
      ],
      [{ select: {} }, "select: expected an object of fields, such as { id: docs.id }, got an empty object"],
      [{ select: [docs.id] }, "select: expected an object of fields, such as { id: docs.id }, got Array"],
      [{ select: "id" }, 'select: expected an object of fields, such as { id: docs.id }, got text "id"'],
      [{ select: null }, "select: expected an object of fields, such as { id: docs.id }, got null"],
      [
        { select: { id: "id" } },
        'select.id: expected a column, an SQL expression, or an object of both, got text "id"',
      ],
      [
        { select: { of: { id: undefined } } },
        "select.of.id: expected a column, an SQL expression, or an object of both, got undefined",
      ],
      [
        { select: { $distance: docs.id } },
        "select.$distance: expected a name without a meaning of its own, got $distance",
      ],
      [{ select: { $rank: docs.id } }, "select.$rank: expected a name without a meaning of its own, got $rank"],
      ["limit", 'options: expected an object of options of nearest, got text "limit"'],
      [null, "options: expected an object of options of nearest, got null"],
    ].map(([options, message]) => [message as string, options] as const),
  )("%s", (message, options) => {
    expect(errorOf(() => search(options))).toEqual({ name: "InvalidOptionError", code: "INVALID_OPTION", message });
  });

  test.each(
    [
      [docs.v, [1, 0], "hamming", 'docs.v: expected a metric of float32: cosine, l2, dot, got text "hamming"'],
      [docs.v, [1, 0], "toString", 'docs.v: expected a metric of float32: cosine, l2, dot, got text "toString"'],
      [docs.v, [1, 0], null, "docs.v: expected a metric of float32: cosine, l2, dot, got null"],
      [docs.bits, new Uint8Array(1), "cosine", 'docs.bits: expected a metric of bit: hamming, got text "cosine"'],
    ].map(([column, query, metric, message]) => [message as string, column, query, metric] as const),
  )("a metric the element does not have: %s", (message, column, query, metric) => {
    const expected = { name: "MetricError", code: "INVALID_METRIC", message };
    expect(errorOf(() => searchIn(column, query, { metric }))).toEqual(expected);
    expect(errorOf(() => distance(column as any, query as any, metric as any))).toEqual(expected);
  });

  test.each(
    [
      [[1], "DIMENSION_MISMATCH", "docs.v: expected 2 dimensions, got 1"],
      [new Float32Array(3), "DIMENSION_MISMATCH", "docs.v: expected 2 dimensions, got 3"],
      [
        [1, Number.NaN],
        "INVALID_VECTOR",
        "docs.v[1]: expected a finite number within ±3.4028234663852886e38 (float32), got NaN",
      ],
      [
        [1, 4e38],
        "INVALID_VECTOR",
        "docs.v[1]: expected a finite number within ±3.4028234663852886e38 (float32), got 4e+38",
      ],
      ["[1,0]", "INVALID_VECTOR", 'docs.v: expected an array or typed array of numbers, got text "[1,0]"'],
      [undefined, "INVALID_VECTOR", "docs.v: expected an array or typed array of numbers, got undefined"],
      [[0, 0], "ZERO_QUERY", "docs.v: expected a query with a direction under cosine, got a vector of zeros"],
      // Below half of the least float32: stored it would be zero, so as a query it is zero.
      [[1e-50, -0], "ZERO_QUERY", "docs.v: expected a query with a direction under cosine, got a vector of zeros"],
    ].map(([query, code, message]) => [message, code, query] as const),
  )("a query that does not fit: %s", (message, code, query) => {
    expect(errorOf(() => searchIn(docs.v, query))).toMatchObject({ code, message });
    if (query !== undefined)
      expect(errorOf(() => searchIn(docs.v, sql.placeholder("q")).prepare().all({ q: query }))).toMatchObject({
        code,
        message,
      });
  });

  test("a placeholder that is not filled is named, one that is filled with nothing is no vector", () => {
    const query = searchIn(docs.v, sql.placeholder("q"));
    expect(errorOf(() => query.all())).toMatchObject({ message: 'sql.placeholder("q"): expected a value, got none' });
    expect(errorOf(() => query.prepare().all(null as any))?.code).toBe("INVALID_OPTION");
    expect(errorOf(() => query.prepare().all({ q: undefined }))).toMatchObject({
      message: "docs.v: expected an array or typed array of numbers, got undefined",
    });
  });

  test("a zero query is fine under l2 and dot", () => {
    expect(searchIn(docs.v, [0, 0], { metric: "l2" }).all()).toHaveLength(2);
    expect(searchIn(docs.v, [0, 0], { metric: "dot" }).all()).toHaveLength(2);
  });

  test("a subquery without a name, or over a key called rank or distance", () => {
    for (const alias of ["", undefined, 5]) {
      expect(errorOf(() => search({}).as(alias as any))?.message).toMatch(
        /^as: expected a name for the subquery, got /,
      );
    }
    const ranks = sqliteTable("docs", { rank: integer("id").primaryKey(), v: vectorColumn(2) });
    expect(errorOf(() => searchIn(ranks.v, [1, 0]).as("hits"))).toMatchObject({
      code: "INVALID_OPTION",
      message: "docs.rank: expected a key column that is not called rank or distance, got rank",
    });
  });
});

test("undefined options are left out, and large ones are no trouble", () => {
  const nothing = { limit: undefined, offset: undefined, where: undefined, select: undefined, metric: undefined };
  expect(search({ ...nothing, maxDistance: undefined, recall: undefined }).all()).toHaveLength(2);
  expect(search(undefined).all()).toHaveLength(2);
  expect(
    search({ limit: Number.MAX_SAFE_INTEGER, offset: 1 })
      .all()
      .map(({ id }: any) => id),
  ).toEqual([2]);
  expect(search({ limit: Number.MAX_VALUE, offset: Number.MAX_VALUE }).all()).toEqual([]);
  expect(search({ limit: 1, offset: 1e15 }).all()).toEqual([]);
  expect(search({ maxDistance: Number.NEGATIVE_INFINITY }).all()).toEqual([]);
  expect(search({ maxDistance: Number.POSITIVE_INFINITY }).all()).toHaveLength(2);
});

test("a search goes by its options as they were given, also those within others", () => {
  const options: any = { limit: 1, select: { title: docs.title, of: { id: docs.id } } };
  const query = search(options);
  options.limit = 2;
  options.select.of.id = docs.title;
  options.select.of.self = options;
  expect(query.all()).toEqual([{ title: "a", of: { id: 1 }, $distance: 0 }]);
  expect(query.all()).toEqual([{ title: "a", of: { id: 1 }, $distance: 0 }]);
});

interface Given {
  vector: Float32Array;
  bytes: Buffer;
  date: Date;
  ids: number[];
}

test.each([
  ["a column's value", ({ vector }: Given) => eq(docs.v, vector)],
  ["one of several", ({ vector }: Given) => and(gt(docs.id, 0), or(inArray(docs.v, [vector]), eq(docs.title, "none")))],
  ["SQL as somebody wrote it", ({ bytes }: Given) => sql`${docs.raw} = ${bytes} and ${docs.id} in ${[1, 2]}`],
  ["a list in it", ({ ids }: Given) => sql`${docs.id} in ${ids}`],
  ["a date", ({ date }: Given) => sql`${docs.id} < ${sql.param(date, { mapToDriverValue: Number })}`],
])("a condition holds for what it was given, whatever becomes of it: %s", (_, where) => {
  const { db, client } = opened();
  client.exec("update docs set raw = x'0102' where id = 1");
  const given: Given = { vector: Float32Array.of(1, 0), bytes: Buffer.from([1, 2]), date: new Date(2), ids: [1] };
  const query = nearest(db, docs.v, [1, 0], { where: where(given), select: { title: docs.title } });
  given.vector.fill(9);
  given.bytes.fill(9);
  given.date.setTime(9);
  given.ids.push(2);
  expect(query.all()).toEqual([{ title: "a", $distance: 0 }]);
});

test("distance measures what it was given, whatever becomes of it", () => {
  const { db } = opened();
  registerFunctions(db);
  const vector = Float32Array.of(1, 0);
  const select = db.select({ d: distance(docs.v, vector, "l2") }).from(docs);
  vector.fill(7);
  expect(select.all()).toEqual([{ d: 0 }, { d: Math.sqrt(5) }]);
});

test("options from JSON cannot reach a prototype", () => {
  const options = JSON.parse(`{"limit": 1, "__proto__": {"limit": 2, "polluted": true},
    "constructor": {"prototype": {"polluted": true}}, "prototype": {"polluted": true}}`);
  const before = Object.getOwnPropertyNames(Object.prototype).sort();
  expect(search(options).all()).toEqual([{ id: 1, title: "a", raw: null, $distance: 0 }]);
  expect(Object.getOwnPropertyNames(Object.prototype).sort()).toEqual(before);
  expect(({} as any).polluted).toBeUndefined();
  // What stands on a prototype is no option either.
  expect(search(Object.create({ limit: 0 })).all()).toHaveLength(2);
});

describe("columns and keys that cannot be searched", () => {
  test.each(
    [
      [docs.title, "docs.title: expected a vectorColumn of a table, got a column of type SQLiteText"],
      [docs.raw, "docs.raw: expected a vectorColumn of a table, got a column of type SQLiteBlob"],
      [docs, "column: expected a vectorColumn of a table, got SQLiteTable"],
      ["v", 'column: expected a vectorColumn of a table, got text "v"'],
      [undefined, "column: expected a vectorColumn of a table, got undefined"],
      [null, "column: expected a vectorColumn of a table, got null"],
      [sql`v`, "column: expected a vectorColumn of a table, got SQL"],
      [vectorColumn(2), "column: expected a vectorColumn of a table, got SQLiteCustomColumnBuilder"],
    ].map(([column, message]) => [message as string, column] as const),
  )("%s", (message, column) => {
    const expected = {
      name: "UnsupportedColumnError",
      code: "UNSUPPORTED_COLUMN",
      message: expect.stringMatching(message.replace(/SQLiteBlob$/, "SQLiteBlob(Buffer|JSON)?")),
    };
    expect(errorOf(() => searchIn(column, [1, 0]))).toEqual(expected);
    expect(errorOf(() => distance(column as any, [1, 0]))).toEqual(expected);
  });

  test("a table without a primary key, or with a part of it that may be NULL", () => {
    const keyless = sqliteTable("docs", { id: integer(), v: vectorColumn(2) });
    expect(errorOf(() => searchIn(keyless.v, [1, 0]))).toEqual({
      name: "UnsupportedKeyError",
      code: "UNSUPPORTED_KEY",
      message: "docs: expected a primary key, got none",
    });
    const nullable = sqliteTable("docs", { a: integer().notNull(), b: text("part_b"), v: vectorColumn(2) }, (t) => [
      primaryKey({ columns: [t.a, t.b] }),
    ]);
    expect(errorOf(() => searchIn(nullable.v, [1, 0]))).toMatchObject({
      code: "UNSUPPORTED_KEY",
      message: "docs.part_b: expected a part of the primary key that is notNull(), got one that may be NULL",
    });
  });

  test("default fields that have the name of a hit's own", () => {
    const named = sqliteTable("docs", { id: integer().primaryKey(), $distance: text("title"), v: vectorColumn(2) });
    expect(errorOf(() => searchIn(named.v, [1, 0]))?.message).toBe(
      "select.$distance: expected a name without a meaning of its own, got $distance",
    );
    expect(searchIn(named.v, [1, 0], { select: { d: named.$distance }, limit: 1 }).all()).toEqual([
      { d: "a", $distance: 0 },
    ]);
  });
});

describe("handles that are no database on better-sqlite3 or libSQL", () => {
  const proxy = drizzleProxy(async () => ({ rows: [] }));
  test.each(
    [
      [proxy, /^SQLiteRemoteSession$/],
      [{}, /^Object$/],
      [{ session: {} }, /^Object$/],
      [undefined, /^undefined$/],
      [null, /^null$/],
      ["docs.db", /^text "docs\.db"$/],
      ["client", /^Database$/],
    ].map(([handle, got]) => [got as RegExp, handle] as const),
  )("a handle of the kind %s", (got, handle) => {
    const db = handle === "client" ? opened().client : handle;
    for (const call of [
      () => nearest(db as any, docs.v, [1, 0]),
      () => registerFunctions(db as any),
      () => configure(db as any, {}),
    ]) {
      expect(call).toThrow(
        expect.objectContaining({
          name: "UnsupportedDriverError",
          code: "UNSUPPORTED_DRIVER",
          subject: "db",
          expected: "a Drizzle database or transaction on better-sqlite3 or libSQL",
          got: expect.stringMatching(got),
          hint: 'Use drizzle() of "drizzle-orm/better-sqlite3" or "drizzle-orm/libsql".',
        }),
      );
    }
  });
});

test("configure refuses what is no option of it", () => {
  const { db } = opened();
  const of = (configuration: unknown) => errorOf(() => configure(db, configuration as any))?.message;
  expect(of({ onEvents: () => {} })).toBe(
    "onEvents: expected an option of configure: onEvent, memoryBudget, maintenance or threads, got onEvents",
  );
  expect(of({ memoryBudget: -1 })).toBe("memoryBudget: expected bytes, a whole number from 0 up, got -1");
  expect(of({ memoryBudget: "1 GB" })).toBe('memoryBudget: expected bytes, a whole number from 0 up, got text "1 GB"');
  expect(of({ maintenance: true })).toBe('maintenance: expected "auto" or "manual", got true');
  for (const [threads, told] of [
    [0, "0"],
    [1.5, "1.5"],
    ["2", 'text "2"'],
  ]) {
    expect(of({ threads })).toBe(`threads: expected a whole number from 1 up, got ${told}`);
  }
  expect(of({ memoryBudget: 1e9, maintenance: "manual", threads: 1 })).toBeUndefined();
  expect(of({ onEvent: "log" })).toBe('onEvent: expected a function, got text "log"');
  expect(of(undefined)).toBe("configuration: expected an object of options of configure, got undefined");
  expect(of({})).toBeUndefined();
});

test.each([
  ["x'0000803f'", "1 dimensions in 1 of 2 rows, the first with key 9"],
  ["x'0000803f00'", "5 bytes in 1 of 2 rows, the first with key 9"],
])("when %s is the only vector met, the error says what it is", (blobLiteral, got) => {
  const { db, client } = opened();
  client.exec(`delete from docs; insert into docs (id, v) values (9, ${blobLiteral}), (10, 'text'), (11, null)`);
  expect(() => nearest(db, docs.v, [1, 0]).all()).toThrow(
    expect.objectContaining({ code: "STORED_DIMENSIONS", expected: "2 dimensions", got, count: 1, key: 9 }),
  );
});

test("what onEvent does to the database comes after the search, outside of its snapshot", async () => {
  const { db, client } = opened();
  ensureSearchIndexes(db, [docsSearch]);
  client.exec("insert into docs (id, title, v) values (3, 'c', x'00')");
  const done: unknown[] = [];
  configure(db, {
    onEvent: ({ code }) => {
      done.push(code, client.inTransaction, rebuild(db, docsSearch));
      client.exec("delete from docs where id in (1, 3)");
    },
  });
  const titles = () =>
    nearest(db, docs.v, [1, 0])
      .all()
      .map(({ title }) => title);
  expect(titles()).toEqual(["a", "b"]);
  expect(titles()).toEqual(["b"]);
  expect(done.slice(0, 2)).toEqual(["ROWS_SKIPPED", false]);
  await expect(done[2]).resolves.toMatchObject({ index: "docs_search" });
  expect(done).toHaveLength(3);
});

test("an error that onEvent throws is that of the search, unless the search has one of its own", () => {
  const { db, client } = opened();
  const onEvent = () => {
    throw new Error("of onEvent");
  };
  configure(db, { onEvent });
  client.exec("insert into docs (id, title, v) values (3, 'c', x'00')");
  const find = () => nearest(db, docs.v, [1, 0]).all();
  expect(find).toThrow("of onEvent");
  expect(client.inTransaction).toBe(false);
  const mapped = sql<number>`json('{')`;
  expect(() => nearest(db, docs.v, [1, 0], { select: { mapped } }).all()).toThrow(/malformed JSON|Failed query/);
  client.exec("delete from docs where id = 3");
  expect(find()).toHaveLength(2);
});
