import * as drizzleOrm from "drizzle-orm";
import { and, asc, eq, gt, isNull, lt, sql } from "drizzle-orm";
import * as sqliteCore from "drizzle-orm/sqlite-core";
import {
  alias,
  blob,
  customType,
  integer,
  primaryKey,
  real,
  sqliteTable,
  sqliteTableCreator,
  sqliteView,
  text,
} from "drizzle-orm/sqlite-core";
import { describe, expect, test } from "vitest";
import { distance, nearest, registerFunctions, searchIndex, vectorColumn } from "../../src/index.ts";
import { DRIVERS, isDrizzleV1, openBetterSqlite3 } from "../helpers/databases.ts";

/** Adds the same rows' distances by SQL, which only better-sqlite3 can do; `null` elsewhere. */
async function distancesBySql(db: any, name: string, column: any, query: any, metric?: any) {
  if (name !== "better-sqlite3") return null;
  registerFunctions(db);
  const d = distance(column, query, metric);
  return (await db.select({ d }).from(column.table).where(sql`${column} is not null`).orderBy(d)).map(
    (row: any) => row.d,
  );
}

describe.each(DRIVERS)("shapes of Drizzle schemas on $name", ({ name, open }) => {
  test("columns named by casing: on drizzle() in 0.x, on the table in 1.0", async () => {
    const table = isDrizzleV1 ? (sqliteCore as any).snakeCase.table : sqliteTable;
    const notes = table(
      "my_notes",
      {
        noteDoc: text().notNull(),
        notePart: integer().notNull(),
        createdAt: integer({ mode: "timestamp" }),
        bodyVector: vectorColumn(2),
      },
      (t: any) => [primaryKey({ columns: [t.noteDoc, t.notePart] })],
    );
    const { db, exec } = open(isDrizzleV1 ? {} : { casing: "snake_case" });
    await exec(`create table my_notes (note_doc text not null, note_part integer not null, created_at integer,
      body_vector blob, primary key (note_doc, note_part))`);
    const createdAt = new Date("2026-01-02T03:04:05Z");
    await db.insert(notes).values([
      { noteDoc: "a", notePart: 1, createdAt, bodyVector: [1, 0] },
      { noteDoc: "a", notePart: 2, bodyVector: [0, 1] },
      { noteDoc: "b", notePart: 1, bodyVector: [5, 5] },
    ]);
    expect(
      await nearest(db, notes.bodyVector, [1, 0], { where: eq(notes.noteDoc, "a"), metric: "l2", limit: 1 }),
    ).toEqual([{ noteDoc: "a", notePart: 1, createdAt, $distance: 0 }]);
    const frozen: any = await nearest(db, notes.bodyVector, [0, 1], { metric: "l2", limit: 2 }).as("hits");
    expect(
      await db
        .select({ at: notes.createdAt, rank: frozen.rank, part: frozen.notePart })
        .from(notes)
        .innerJoin(frozen, and(eq(notes.noteDoc, frozen.noteDoc), eq(notes.notePart, frozen.notePart)))
        .orderBy(frozen.rank),
    ).toEqual([
      { at: null, rank: 1, part: 2 },
      { at: createdAt, rank: 2, part: 1 },
    ]);
    const bySql = await distancesBySql(db, name, notes.bodyVector, [1, 0], "l2");
    if (bySql) expect(bySql).toEqual([0, Math.sqrt(2), Math.sqrt(41)]);
    await expect(
      async () => await db.insert(notes).values({ noteDoc: "c", notePart: 1, bodyVector: [1] }),
    ).rejects.toThrow(/^my_notes\.(body_vector|bodyVector): expected 2 dimensions, got 1$/);
  });

  test("tables made by a sqliteTableCreator", async () => {
    const prefixed = sqliteTableCreator((table) => `app_${table}`);
    const docs = prefixed("docs", { id: text().primaryKey(), v: vectorColumn(1) });
    const { db, exec } = open();
    await exec("create table app_docs (id text primary key, v blob)");
    await db.insert(docs).values([
      { id: "x", v: [1] },
      { id: "y", v: [2] },
    ]);
    expect(await nearest(db, docs.v, [2], { metric: "l2" })).toEqual([
      { id: "y", $distance: 0 },
      { id: "x", $distance: 1 },
    ]);
    const bySql = await distancesBySql(db, name, docs.v, [2], "l2");
    if (bySql) expect(bySql).toEqual([0, 1]);
  });

  const rows = sqliteTable("rows", {
    id: integer().primaryKey(),
    tenant: text().notNull(),
    deletedAt: integer("deleted_at", { mode: "timestamp_ms" }),
    active: integer({ mode: "boolean" }).notNull().default(true),
    meta: text({ mode: "json" }).$type<{ tags: string[] }>(),
    kind: text({ enum: ["a", "b"] }),
    size: integer("size", { mode: "number" }),
    v: vectorColumn(2),
  });
  const ROWS_DDL = `create table rows (id integer primary key, tenant text not null, deleted_at integer,
    active integer not null default 1, meta text, kind text, size integer, v blob)`;

  async function tenants() {
    const { db, exec } = open();
    await exec(ROWS_DDL);
    const deletedAt = new Date(1_700_000_000_123);
    await db.insert(rows).values([
      { id: 1, tenant: "one", v: [1, 0], meta: { tags: ["x"] }, kind: "a" },
      { id: 2, tenant: "one", v: [1, 0.1], deletedAt },
      { id: 3, tenant: "two", v: [1, 0.01], active: false },
      { id: 4, tenant: "two", v: [0, 1] },
    ]);
    return { db, deletedAt };
  }

  test("timestamp, boolean, json and enum columns are mapped in hits", async () => {
    const { db, deletedAt } = await tenants();
    const hits = await nearest(db, rows.v, [1, 0], { metric: "l2", limit: 3 });
    expect(hits.map(({ $distance, ...hit }: any) => hit)).toEqual([
      { id: 1, tenant: "one", deletedAt: null, active: true, meta: { tags: ["x"] }, kind: "a", size: null },
      { id: 3, tenant: "two", deletedAt: null, active: false, meta: null, kind: null, size: null },
      { id: 2, tenant: "one", deletedAt, active: true, meta: null, kind: null, size: null },
    ]);
  });

  test("soft delete and tenant are ordinary conditions, with dates and booleans", async () => {
    const { db, deletedAt } = await tenants();
    const find = async (where: any) => (await nearest(db, rows.v, [1, 0], { where })).map(({ id }: any) => id);
    expect(await find(and(isNull(rows.deletedAt), eq(rows.tenant, "one")))).toEqual([1]);
    expect(await find(and(isNull(rows.deletedAt), eq(rows.active, true)))).toEqual([1, 4]);
    expect(await find(eq(rows.deletedAt, deletedAt))).toEqual([2]);
    expect(await find(lt(rows.deletedAt, deletedAt))).toEqual([]);
  });

  test("an alias searches the table beneath, also where the condition compares alias and table", async () => {
    const { db } = await tenants();
    const r = alias(rows, "r");
    const other = db
      .select({ one: sql`1` })
      .from(rows)
      .where(and(eq(rows.tenant, r.tenant), gt(rows.id, r.id)));
    expect(
      (await nearest(db, r.v, [1, 0], { select: { id: r.id }, where: sql`exists ${other}` })).map(({ id }: any) => id),
    ).toEqual([1, 3]);
    const frozen: any = await nearest(db, r.v, [1, 0], { metric: "l2", limit: 1 }).as("f");
    expect(await db.select().from(frozen)).toEqual([{ id: 1, rank: 1, distance: 0 }]);
  });

  const uuid = customType<{ data: string; driverData: Buffer }>({
    dataType: () => "BINARY(16)",
    toDriver: (value) => Buffer.from(value, "hex"),
    fromDriver: (value) => Buffer.from(value as any).toString("hex"),
  });

  test.each([
    ["text", text().primaryKey(), "text", ["b", "a", "ä"]],
    ["blob", blob({ mode: "buffer" }).primaryKey(), "blob", [Buffer.from([2]), Buffer.from([1, 0]), Buffer.from([3])]],
    ["a custom blob", uuid().primaryKey(), "BINARY(16)", ["0b".repeat(16), "0a".repeat(16), "ff".repeat(16)]],
    ["timestamp", integer({ mode: "timestamp" }).primaryKey(), "integer", [2, 1, 3].map((s) => new Date(s * 1000))],
  ])("a primary key of type %s names rows and orders ties", async (_, key, type, [second, first, third]) => {
    for (const suffix of ["", " without rowid"]) {
      const { db, exec } = open();
      await exec(`create table t (id ${type} primary key not null, v blob)${suffix}`);
      const t = sqliteTable("t", { id: key as any, v: vectorColumn(1) });
      await db.insert(t).values([second, first, third].map((id) => ({ id, v: [1] })));
      const hits = await nearest(db, t.v, [1], { metric: "l2" });
      expect(hits).toEqual([first, second, third].map((id) => ({ id, $distance: 0 })));
      const frozen: any = await nearest(db, t.v, [1], { metric: "l2", limit: 2 }).as("f");
      expect(
        await db
          .select({ id: t.id, rank: frozen.rank })
          .from(t)
          .innerJoin(frozen, eq(t.id, frozen.id))
          .orderBy(frozen.rank),
      ).toEqual([
        { id: first, rank: 1 },
        { id: second, rank: 2 },
      ]);
    }
  });

  test("a composite key of text, blob and integer, in a table without rowid", async () => {
    const { db, exec } = open();
    await exec(
      "create table t (a text not null, b blob not null, c integer not null, v blob, primary key (c, a, b)) without rowid",
    );
    const t = sqliteTable(
      "t",
      { a: text().notNull(), b: blob({ mode: "buffer" }).notNull(), c: integer().notNull(), v: vectorColumn(1) },
      (columns) => [primaryKey({ columns: [columns.c, columns.a, columns.b] })],
    );
    const keys = [
      { a: "x", b: Buffer.from([0]), c: 2 },
      { a: 'y"', b: Buffer.from([1]), c: 1 },
      { a: 'y"', b: Buffer.from([0, 255]), c: 1 },
      { a: "X", b: Buffer.from([9]), c: 1 },
    ];
    await db.insert(t).values(keys.map((key) => ({ ...key, v: [1] })));
    const ordered = [keys[3], keys[2], keys[1], keys[0]];
    expect(await db.select({ a: t.a, b: t.b, c: t.c }).from(t).orderBy(asc(t.c), asc(t.a), asc(t.b))).toEqual(ordered);
    const hits = await nearest(db, t.v, [1], { metric: "l2" });
    expect(hits).toEqual(ordered.map((key) => ({ ...key, $distance: 0 })));
    const frozen: any = await nearest(db, t.v, [1], { metric: "l2", limit: 1 }).as("f");
    expect(await db.select().from(frozen)).toEqual([{ ...keys[3], rank: 1, distance: 0 }]);
  });

  test("a blob key that holds text and numbers too, as foreign writers may leave it", async () => {
    const { db, exec } = open();
    await exec("create table t (id blob primary key, v blob)");
    await exec(
      "insert into t values (x'6162', x'0000803f'), ('ab', x'0000803f'), (7, x'0000803f'), ('zz', x'0000803f')",
    );
    const t = sqliteTable("t", { id: blob({ mode: "buffer" }).primaryKey(), v: vectorColumn(1) });
    const kind = sql<string>`typeof(${t.id})`;
    const hits = await nearest(db, t.v, [1], { metric: "l2", select: { kind, hex: sql<string>`hex(${t.id})` } });
    expect(hits).toEqual([
      { kind: "integer", hex: "37", $distance: 0 },
      { kind: "text", hex: "6162", $distance: 0 },
      { kind: "text", hex: "7A7A", $distance: 0 },
      { kind: "blob", hex: "6162", $distance: 0 },
    ]);
  });

  test("a key of real numbers, the largest among them", async () => {
    const { db, exec } = open();
    await exec("create table t (id real primary key not null, v blob)");
    const t = sqliteTable("t", { id: real().primaryKey(), v: vectorColumn(1) });
    // 2 ** 60 + 256 has more digits than it takes to tell it from others.
    const keys = [-1e300, -0.1, 2 ** 53, 2 ** 60 + 256, 1e20, Number.MAX_VALUE];
    await db.insert(t).values(keys.map((id) => ({ id, v: [1] })));
    await exec("insert into t values (9e999, x'0000803f'), (-9e999, x'0000803f')");
    const hits = await nearest(db, t.v, [1], { metric: "l2" });
    const ordered = [-Infinity, ...keys, Infinity];
    expect(hits).toEqual(ordered.map((id) => ({ id, $distance: 0 })));
    const frozen: any = await nearest(db, t.v, [2e20], { metric: "l2" }).as("f");
    expect(await db.select().from(frozen)).toEqual(
      ordered.map((id, i) => ({ id, rank: i + 1, distance: Math.fround(2e20) })),
    );
  });

  test("a key that is NULL names no row: it is not found, and takes no place", async () => {
    const { db, exec } = open();
    await exec("create table t (id text primary key, v blob)");
    await exec("insert into t values (NULL, x'0000803f'), ('a', x'00000040'), (NULL, x'0000803f')");
    const t = sqliteTable("t", { id: text().primaryKey(), v: vectorColumn(1) });
    expect(await nearest(db, t.v, [1], { metric: "l2", limit: 1 })).toEqual([{ id: "a", $distance: 1 }]);
  });

  test.each([
    ["float16", "typed", "l2", [0.5, -2, 0, 0, 0, 0, 0, 1], [0.5, -2, 0, 0, 0, 0, 0, 4], 3],
    ["float16", "array", "dot", [0.5, -2, 0, 0, 0, 0, 0, 1], [0.5, -2, 0, 0, 0, 0, 0, 4], -8.25],
    ["int8", "typed", "l2", [1, -128, 0, 0, 0, 0, 0, 1], [1, -128, 0, 3, 0, 0, 0, 5], 5],
    ["int8", "array", "dot", [1, -128, 0, 0, 0, 0, 0, 1], [1, -128, 0, 3, 0, 0, 0, 5], -16390],
    ["bit", "typed", "hamming", [1, 0, 0, 0, 0, 0, 0, 1], [1, 1, 0, 0, 1, 0, 0, 0], 3],
    ["bit", "array", "hamming", [1, 0, 0, 0, 0, 0, 0, 1], [1, 1, 0, 0, 1, 0, 0, 0], 3],
  ] as const)("%s in mode %s by %s", async (element, mode, metric, stored, query, expected) => {
    const { db, exec } = open();
    await exec("create table t (id integer primary key, v blob)");
    const t = sqliteTable("t", { id: integer().primaryKey(), v: vectorColumn({ dimensions: 8, element, mode }) });
    await db.insert(t).values([{ v: stored }, { v: null }]);
    const hits: any[] = await nearest(db, t.v as any, query as any, {
      metric: metric as any,
      select: { id: t.id, v: t.v } as any,
    });
    expect(hits).toEqual([{ id: 1, v: expect.anything(), $distance: expected }]);
    expect(hits[0].v).toEqual((await db.select({ v: t.v }).from(t))[0].v);
    const bySql = await distancesBySql(db, name, t.v, query, metric);
    if (bySql) expect(bySql).toEqual([expected]);
    if (element === "bit") {
      const packed = new Uint8Array([0b00010011]);
      expect(await nearest(db, t.v as any, packed as any, { select: { id: t.id } as any })).toEqual([
        { id: 1, $distance: 3 },
      ]);
    }
  });
});

test("a key that the schema takes for an integer and the database for text leads back to its rows", async () => {
  const { db, client } = openBetterSqlite3();
  client.exec(`create table t (id text primary key not null, v blob);
    insert into t values (5, x'0000803f'), ('05', x'0000803f'), ('five', x'0000803f')`);
  const t = sqliteTable("t", { id: integer().primaryKey(), v: vectorColumn(1) });
  expect((await nearest(db, t.v, [1], { metric: "l2" })).map(({ id }) => id)).toEqual(["05", "5", "five"]);
});

test("a text key that cannot be read as it is stored is a typed error, not a row fewer", async () => {
  // libSQL itself ends the process over such a text.
  const { db, client } = openBetterSqlite3();
  client.exec(`create table t (id text primary key not null, v blob);
    insert into t values ('a', x'0000803f'), (char(65533), x'00000040'), (cast(x'ff62' as text), x'00008040')`);
  const t = sqliteTable("t", { id: text().primaryKey(), v: vectorColumn(1) });
  const find = async (limit: number) => (await nearest(db, t.v, [1], { metric: "l2", limit })).map(({ id }) => id);
  expect(await find(2)).toEqual(["a", "\uFFFD"]);
  await expect(find(3)).rejects.toThrow(
    expect.objectContaining({
      code: "UNSUPPORTED_KEY",
      message: "primary key: expected text in valid UTF-8, got \uFFFDb",
    }),
  );
});

describe("columns that are not a table's own", () => {
  const docs = sqliteTable("docs", { id: integer().primaryKey(), kind: text(), v: vectorColumn(1) });
  const fromQuery = sqliteView("from_query").as((qb) => qb.select().from(docs).where(eq(docs.kind, "a")));
  const existing = sqliteView("existing_view", { id: integer(), v: vectorColumn(1) }).existing();
  const fromSql = sqliteView("from_sql", { id: integer(), v: vectorColumn(1) }).as(sql`select id, v from docs`);

  function opened(config?: Record<string, unknown>) {
    const { db, client } = openBetterSqlite3(config);
    client.exec(`create table docs (id integer primary key, kind text, v blob);
      insert into docs values (1, 'a', x'0000803f'), (2, 'b', x'00000040')`);
    registerFunctions(db);
    return db;
  }

  test.each([
    ["from_query", fromQuery.v],
    ["existing_view", existing.v],
    ["from_sql", fromSql.v],
    ["aliased", alias(fromQuery, "aliased").v],
  ] as [string, any][])("a column of the view %s is a typed error of nearest", (view, column) => {
    expect(() => nearest(opened(), column, [1])).toThrow(
      expect.objectContaining({
        code: "UNSUPPORTED_COLUMN",
        message: `${view}.v: expected a column of a table, got a column of a view`,
        hint: "Search the table beneath the view, with the view's condition as `where`.",
      }),
    );
  });

  test("distance measures columns of views", () => {
    const db = opened();
    db.run(sql`create view existing_view as select id, v from docs`);
    db.run(sql`create view from_query as select id, kind, v from docs where kind = 'a'`);
    const d = distance(existing.v, [3], "l2");
    expect(db.select({ id: existing.id, d }).from(existing).orderBy(d).all()).toEqual([
      { id: 2, d: 1 },
      { id: 1, d: 2 },
    ]);
    const ofQuery = distance(fromQuery.v, [3], "l2");
    expect(db.select({ d: ofQuery }).from(fromQuery).all()).toEqual([{ d: 2 }]);
  });

  test("distance orders a relational query, whose table goes by its own name on 0.x", async () => {
    const db: any = opened(
      isDrizzleV1 ? { relations: (drizzleOrm as any).defineRelations({ docs }) } : { schema: { docs } },
    );
    const rows = await db.query.docs.findMany({
      columns: { id: true },
      orderBy: (row: typeof docs) => distance(row.v, [3], "l2"),
    });
    expect(rows).toEqual([{ id: 2 }, { id: 1 }]);
  });

  // On 0.x a column of a subquery cannot be told from one of an alias.
  if (isDrizzleV1) {
    test("a column of a subquery or of a common table expression is a typed error of nearest", () => {
      const db = opened();
      const sub = db.select().from(docs).where(eq(docs.kind, "a")).as("sq");
      const cte = db.$with("sq").as(db.select().from(docs));
      for (const column of [sub.v, cte.v]) {
        expect(() => nearest(db, column as any, [1])).toThrow(
          expect.objectContaining({
            code: "UNSUPPORTED_COLUMN",
            message: "sq.v: expected a column of a table, got a column of a subquery",
          }),
        );
      }
    });
  }

  test("distance measures a subquery's column", () => {
    const db = opened();
    const sub = db.select().from(docs).where(eq(docs.kind, "b")).as("sq");
    expect(
      db
        .select({ d: distance(sub.v, [5], "l2") })
        .from(sub)
        .all(),
    ).toEqual([{ d: 3 }]);
  });

  test("distance needs no primary key", () => {
    const db = opened();
    const keyless = sqliteTable("docs", { v: vectorColumn(1) });
    expect(
      db
        .select({ d: distance(keyless.v, [1], "l2") })
        .from(keyless)
        .all(),
    ).toEqual([{ d: 0 }, { d: 1 }]);
  });

  test("distance orders and filters beside joins, aliases and aggregates", () => {
    const db = opened();
    const d = alias(docs, "d");
    const l2 = distance(d.v, [0], "l2");
    expect(
      db.select({ id: docs.id, l2 }).from(docs).innerJoin(d, eq(d.id, docs.id)).where(gt(l2, 1)).orderBy(l2).all(),
    ).toEqual([{ id: 2, l2: 2 }]);
    expect(
      db
        .select({ least: sql<number>`min(${l2})` })
        .from(d)
        .all(),
    ).toEqual([{ least: 1 }]);
  });
});

describe("the metric a search index declares", () => {
  test("is what nearest and distance measure by, unless they are told another", () => {
    const table = sqliteTable("measured", { id: integer().primaryKey(), v: vectorColumn(2) });
    searchIndex("measured_search", table, { vectors: { v: { metric: "l2" } } });
    const { db, client } = openBetterSqlite3();
    client.exec("create table measured (id integer primary key, v blob)");
    registerFunctions(db);
    db.insert(table)
      .values({ v: new Float32Array([3, 0]) })
      .run();
    expect(nearest(db, table.v, [1, 0]).get()?.$distance).toBe(2);
    expect(nearest(db, alias(table, "m").v, [0, 0]).get()?.$distance).toBe(3);
    expect(nearest(db, table.v, [1, 0], { metric: "cosine" }).get()?.$distance).toBe(0);
    expect(
      db
        .select({ d: distance(table.v, [1, 0]) })
        .from(table)
        .get()?.d,
    ).toBe(2);
  });
});
