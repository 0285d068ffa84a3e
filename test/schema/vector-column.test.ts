import * as orm from "drizzle-orm";
import { eq, getTableColumns, isNull, sql } from "drizzle-orm";
import { alias, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { getLoadablePath } from "sqlite-vec";
import { describe, expect, test } from "vitest";
import { decodeHexVector, hexVector, vectorColumn } from "../../src/schema.ts";
import { DRIVERS, isDrizzleV1, openBetterSqlite3, openLibsql } from "../helpers/databases.ts";

const docs = sqliteTable("docs", {
  id: integer().primaryKey(),
  embedding: vectorColumn(2),
});
const DDL = "create table docs (id integer primary key, embedding blob)";

const hexOf = (column: any) => sql<string>`hex(${column})`;

describe("declaration", () => {
  test("the name, the dimensions and the element may be given in every form", () => {
    const table = sqliteTable("t", {
      a: vectorColumn(2),
      b: vectorColumn("b_column", 3),
      c: vectorColumn("c_column", { dimensions: 8, element: "bit" }),
      d: vectorColumn({ dimensions: 4, element: "int8", mode: "array" }),
    });
    expect(Object.values(getTableColumns(table)).map(({ name }) => name)).toEqual(["a", "b_column", "c_column", "d"]);
    expect(Object.values(getTableColumns(table)).map((column) => column.getSQLType())).toEqual([
      "blob",
      "blob",
      "blob",
      "blob",
    ]);
  });

  test.each([
    [[0], "vectorColumn(): expected dimensions 1..16384, got 0"],
    [[16_385], "vectorColumn(): expected dimensions 1..16384, got 16385"],
    [[2.5], "vectorColumn(): expected dimensions 1..16384, got 2.5"],
    [[Number.NaN], "vectorColumn(): expected dimensions 1..16384, got NaN"],
    [["v", "2"], 'vectorColumn("v"): expected dimensions 1..16384, got text "2"'],
    [["v"], 'vectorColumn("v"): expected dimensions 1..16384, got undefined'],
    [[], "vectorColumn(): expected dimensions 1..16384, got undefined"],
    [[null], "vectorColumn(): expected dimensions 1..16384, got null"],
    [["v", {}], 'vectorColumn("v"): expected dimensions 1..16384, got undefined'],
    [
      ["v", { dimensions: 2, element: "float64" }],
      'vectorColumn("v"): expected an element of float32, float16, int8, bit, got text "float64"',
    ],
    [
      ["v", { dimensions: 2, element: "toString" }],
      'vectorColumn("v"): expected an element of float32, float16, int8, bit, got text "toString"',
    ],
    [["v", { dimensions: 2, mode: "json" }], 'vectorColumn("v"): expected mode typed or array, got text "json"'],
    [
      ["v", { dimensions: 12, element: "bit" }],
      'vectorColumn("v"): expected dimensions a multiple of 8 for bit, got 12',
    ],
    [
      ["v", { dimensions: 8, elements: "bit" }],
      'vectorColumn("v"): expected an option of vectorColumn: dimensions, element, mode, got elements',
    ],
  ] as [unknown[], string][])("%j is refused at once", (args, message) => {
    const declare = () => (vectorColumn as (...given: unknown[]) => unknown)(...args);
    expect(declare).toThrow(message);
    expect(declare).toThrow(expect.objectContaining({ code: "INVALID_DECLARATION", name: "DeclarationError" }));
  });

  test("1 and 16384 dimensions are the bounds, and undefined options are the defaults", () => {
    expect(() => vectorColumn(1)).not.toThrow();
    expect(() => vectorColumn({ dimensions: 16_384, element: "bit" })).not.toThrow();
    expect(() => vectorColumn({ dimensions: 1, element: undefined, mode: undefined } as any)).not.toThrow();
  });
});

describe.each(DRIVERS)("a vector column on $name", ({ open }) => {
  async function filled(table: any = docs, ddl = DDL) {
    const { db, exec } = open();
    await exec(ddl);
    await db.insert(table).values([
      { id: 1, embedding: [1, 0] },
      { id: 2, embedding: null },
    ]);
    return { db, exec };
  }

  test.each([
    ["float32", "typed", [1, 0, -2.5, 0.1, 0, 0, 0, 0], new Float32Array([1, 0, -2.5, 0.1, 0, 0, 0, 0])],
    ["float32", "array", [1, 0, -2.5, 0.5, 0, 0, 0, 0], [1, 0, -2.5, 0.5, 0, 0, 0, 0]],
    ["float16", "typed", [1, 0, -2.5, 0.5, 0, 0, 0, 0], new Float32Array([1, 0, -2.5, 0.5, 0, 0, 0, 0])],
    ["float16", "array", [1, 0, -2.5, 0.5, 0, 0, 0, 0], [1, 0, -2.5, 0.5, 0, 0, 0, 0]],
    ["int8", "typed", [1, 0, -128, 127, 0, 0, 0, 0], new Int8Array([1, 0, -128, 127, 0, 0, 0, 0])],
    ["int8", "array", [1, 0, -128, 127, 0, 0, 0, 0], [1, 0, -128, 127, 0, 0, 0, 0]],
    ["bit", "typed", [1, 0, 0, 0, 0, 0, 0, 1], new Uint8Array([0x81])],
    ["bit", "array", [1, 0, 0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0, 0, 1]],
  ] as const)("%s in mode %s: arrays and typed arrays go in, one form comes out", async (element, mode, list, read) => {
    const { db, exec } = open();
    await exec("create table v (id integer primary key, embedding blob)");
    const v = sqliteTable("v", {
      id: integer().primaryKey(),
      embedding: vectorColumn({ dimensions: 8, element, mode }),
    });
    const typed: any =
      element === "bit"
        ? new Uint8Array([0x81])
        : element === "int8"
          ? new Int8Array(list)
          : Float64Array.from(list as readonly number[]);
    await db.insert(v).values([{ embedding: list }, { embedding: typed }, { embedding: null }]);
    const rows = await db.select().from(v);
    expect(rows.map((row: any) => row.embedding)).toEqual([read, read, null]);
    expect(rows[0].embedding.constructor).toBe(read.constructor);
    expect(await db.select({ id: v.id }).from(v).where(eq(v.embedding, typed))).toEqual([{ id: 1 }, { id: 2 }]);
    const types = await db.select({ type: sql`typeof(${v.embedding})` }).from(v);
    expect(types.map(({ type }: any) => type)).toEqual(["blob", "blob", "null"]);
  });

  test("bytes are stored whole and little endian, whatever lies around the typed array given", async () => {
    const { db } = await filled();
    const pool = new Float32Array([9, 1, -2, 9]);
    await db.insert(docs).values({ id: 3, embedding: pool.subarray(1, 3) });
    expect(
      await db
        .select({ hex: hexOf(docs.embedding) })
        .from(docs)
        .where(eq(docs.id, 3)),
    ).toEqual([{ hex: "0000803F000000C0" }]);
  });

  test("what is read shares no memory with the driver, and two reads share none", async () => {
    const { db } = await filled();
    const [first] = await db.select().from(docs).where(eq(docs.id, 1));
    first.embedding.fill(7);
    expect(first.embedding.buffer.byteLength).toBe(8);
    expect((await db.select().from(docs).where(eq(docs.id, 1)))[0].embedding).toEqual(new Float32Array([1, 0]));
  });

  test("insert, update and delete return it, mapped", async () => {
    const { db } = await filled();
    const read = { id: 3, embedding: new Float32Array([3, 4]) };
    expect(
      await db
        .insert(docs)
        .values({ id: 3, embedding: [3, 4] })
        .returning(),
    ).toEqual([read]);
    expect(
      await db
        .update(docs)
        .set({ embedding: [5, 6] })
        .where(eq(docs.id, 3))
        .returning({ v: docs.embedding }),
    ).toEqual([{ v: new Float32Array([5, 6]) }]);
    expect(await db.update(docs).set({ embedding: null }).where(eq(docs.id, 3)).returning()).toEqual([
      { id: 3, embedding: null },
    ]);
    expect(await db.delete(docs).where(eq(docs.id, 1)).returning()).toEqual([
      { id: 1, embedding: new Float32Array([1, 0]) },
    ]);
    expect(await db.select({ id: docs.id }).from(docs).where(isNull(docs.embedding)).orderBy(docs.id)).toEqual([
      { id: 2 },
      { id: 3 },
    ]);
  });

  test("a placeholder is encoded when it is filled: in values, in set, in where", async () => {
    const { db } = await filled();
    const insert = db
      .insert(docs)
      .values({ id: sql.placeholder("id"), embedding: sql.placeholder("v") })
      .prepare();
    await insert.execute({ id: 3, v: [3, 4] });
    await insert.execute({ id: 4, v: new Float32Array([5, 6]) });
    const find = db
      .select({ id: docs.id })
      .from(docs)
      .where(eq(docs.embedding, sql.param(sql.placeholder("v"), docs.embedding)))
      .prepare();
    expect([await find.execute({ v: [3, 4] }), await find.execute({ v: [5, 6] })]).toEqual([[{ id: 3 }], [{ id: 4 }]]);
    const update = db
      .update(docs)
      .set({ embedding: sql.placeholder("v") as any })
      .where(eq(docs.id, sql.placeholder("id")))
      .prepare();
    await update.execute({ id: 3, v: [7, 8] });
    expect(await find.execute({ v: [7, 8] })).toEqual([{ id: 3 }]);
    await expect(async () => await insert.execute({ id: 5, v: [1] })).rejects.toThrow(
      "docs.embedding: expected 2 dimensions, got 1",
    );
  });

  test("an upsert writes it, from a value and from excluded", async () => {
    const { db } = await filled();
    const upsert = (set: any) =>
      db
        .insert(docs)
        .values({ id: 1, embedding: [3, 4] })
        .onConflictDoUpdate({ target: docs.id, set });
    await upsert({ embedding: [5, 6] });
    expect((await db.select().from(docs))[0].embedding).toEqual(new Float32Array([5, 6]));
    await upsert({ embedding: sql`excluded.embedding` });
    expect((await db.select().from(docs))[0].embedding).toEqual(new Float32Array([3, 4]));
    await db
      .insert(docs)
      .values({ id: 1, embedding: [9, 9] })
      .onConflictDoNothing();
    expect((await db.select().from(docs))[0].embedding).toEqual(new Float32Array([3, 4]));
  });

  test("notNull, $defaultFn, $onUpdateFn, $type and an SQL default work as on a built-in column", async () => {
    const { db, exec } = open();
    await exec(`create table d (id integer primary key, required blob not null, made blob not null,
      touched blob, written blob default (x'0000803f00000040'))`);
    const d = sqliteTable("d", {
      id: integer().primaryKey(),
      required: vectorColumn(2).notNull(),
      made: vectorColumn(2)
        .notNull()
        .$defaultFn(() => new Float32Array([1, 1])),
      touched: vectorColumn({ dimensions: 2, mode: "array" })
        .$type<[number, number]>()
        .$onUpdateFn(() => [9, 9]),
      written: vectorColumn(2).default(sql`(x'0000803f00000040')`),
    });
    await db.insert(d).values({ required: [1, 2] });
    expect(await db.select().from(d)).toEqual([
      {
        id: 1,
        required: new Float32Array([1, 2]),
        made: new Float32Array([1, 1]),
        touched: [9, 9],
        written: new Float32Array([1, 2]),
      },
    ]);
    await db.update(d).set({ touched: [1, 1] });
    await db.update(d).set({ required: [3, 4] });
    expect((await db.select().from(d))[0].touched).toEqual([9, 9]);
    await expect(async () => await db.insert(d).values({})).rejects.toThrow();
    expect(await db.select({ n: sql<number>`count(*)` }).from(d)).toEqual([{ n: 1 }]);
  });

  test("a value that does not fit is refused before anything is written, naming table and column", async () => {
    const { db } = await filled();
    await expect(async () => await db.insert(docs).values([{ embedding: [1, 2] }, { embedding: [1] }])).rejects.toThrow(
      "docs.embedding: expected 2 dimensions, got 1",
    );
    await expect(async () => await db.update(docs).set({ embedding: [1, Number.NaN] })).rejects.toThrow(
      "docs.embedding[1]: expected a finite number within ±3.4028234663852886e38 (float32), got NaN",
    );
    await expect(
      async () =>
        await db
          .select()
          .from(docs)
          .where(eq(docs.embedding, "[1,2]" as any)),
    ).rejects.toThrow('docs.embedding: expected an array or typed array of numbers, got text "[1,2]"');
    expect(await db.select().from(docs)).toEqual([
      { id: 1, embedding: new Float32Array([1, 0]) },
      { id: 2, embedding: null },
    ]);
  });

  test("stored bytes that are no vector of the column are an error, naming table and column", async () => {
    const { db, exec } = await filled();
    await exec("insert into docs (id, embedding) values (3, x'000000')");
    await expect(async () => await db.select().from(docs)).rejects.toThrow(
      expect.objectContaining({
        message: expect.stringContaining("docs.embedding: expected 2 dimensions (8 bytes of float32), got 3 bytes"),
      }),
    );
  });

  test("a column with a name of its own is named by it; joined through an alias it reads the same", async () => {
    const { db, exec } = open();
    await exec('create table notes (id integer primary key, "emb_v2" blob)');
    const notes = sqliteTable("notes", { id: integer().primaryKey(), embedding: vectorColumn("emb_v2", 2) });
    await expect(async () => await db.insert(notes).values({ embedding: [1] })).rejects.toThrow(
      "notes.emb_v2: expected 2 dimensions, got 1",
    );
    await db.insert(notes).values({ id: 1, embedding: [1, 2] });
    const n = alias(notes, "n");
    expect(await db.select({ a: notes.embedding, b: n.embedding }).from(notes).leftJoin(n, eq(n.id, notes.id))).toEqual(
      [{ a: new Float32Array([1, 2]), b: new Float32Array([1, 2]) }],
    );
    const sub = db.select().from(notes).as("sub");
    expect(await db.select({ v: sub.embedding }).from(sub)).toEqual([{ v: new Float32Array([1, 2]) }]);
  });

  test("an expression is mapped by mapWith, and sql.param encodes through the column", async () => {
    const { db } = await filled();
    expect(await db.select({ v: sql`${docs.embedding}`.mapWith(docs.embedding) }).from(docs)).toEqual([
      { v: new Float32Array([1, 0]) },
      { v: null },
    ]);
    expect(
      await db
        .select({ id: docs.id })
        .from(docs)
        .where(sql`${docs.embedding} = ${sql.param([1, 0], docs.embedding)}`),
    ).toEqual([{ id: 1 }]);
  });
});

describe.each(DRIVERS)("relational queries on $name", ({ open }) => {
  const courses = sqliteTable("courses", { id: integer().primaryKey(), name: text().notNull() });
  const lessons = sqliteTable("lessons", {
    id: integer().primaryKey(),
    courseId: integer("course_id").notNull(),
    embedding: vectorColumn(2),
    bits: vectorColumn({ dimensions: 16, element: "bit" }),
    numbers: vectorColumn({ dimensions: 2, element: "int8", mode: "array" }),
  });

  /** The same relations declared as each line of Drizzle wants them. */
  function config(): Record<string, unknown> {
    const lines = orm as any;
    if (isDrizzleV1) {
      return {
        relations: lines.defineRelations({ courses, lessons }, (r: any) => ({
          courses: { lessons: r.many.lessons({ from: r.courses.id, to: r.lessons.courseId }) },
          lessons: { course: r.one.courses({ from: r.lessons.courseId, to: r.courses.id }) },
        })),
      };
    }
    const coursesRelations = lines.relations(courses, ({ many }: any) => ({ lessons: many(lessons) }));
    const lessonsRelations = lines.relations(lessons, ({ one }: any) => ({
      course: one(courses, { fields: [lessons.courseId], references: [courses.id] }),
    }));
    return { schema: { courses, lessons, coursesRelations, lessonsRelations } };
  }

  async function filled() {
    const { db, exec } = open(config());
    await exec("create table courses (id integer primary key, name text not null)");
    await exec(
      "create table lessons (id integer primary key, course_id integer not null, embedding blob, bits blob, numbers blob)",
    );
    await db.insert(courses).values([
      { id: 1, name: "ml" },
      { id: 2, name: "empty" },
    ]);
    await db.insert(lessons).values([
      { id: 1, courseId: 1, embedding: [1, -2], bits: new Uint8Array([1, 128]), numbers: [-1, 7] },
      { id: 2, courseId: 1 },
    ]);
    // Eight bytes that happen to be valid JSONB: an array of seven nulls.
    await exec("insert into lessons (id, course_id, embedding) values (3, 1, x'7b00000000000000')");
    return { db };
  }

  const LESSONS = [
    { id: 1, embedding: new Float32Array([1, -2]), bits: new Uint8Array([1, 128]), numbers: [-1, 7] },
    { id: 2, embedding: null, bits: null, numbers: null },
    { id: 3, embedding: new Float32Array([1.7235973e-43, 0]), bits: null, numbers: null },
  ];

  test("at the top level vectors are mapped, with the related rows beside them", async () => {
    const { db } = await filled();
    const found = await db.query.lessons.findMany({ with: { course: true }, columns: { courseId: false } });
    expect(found).toEqual(LESSONS.map((lesson) => ({ ...lesson, course: { id: 1, name: "ml" } })));
  });

  if (isDrizzleV1) {
    test("nested vectors are right by themselves", async () => {
      const { db } = await filled();
      const found = await db.query.courses.findMany({ with: { lessons: { columns: { courseId: false } } } });
      expect(found).toEqual([
        { id: 1, name: "ml", lessons: LESSONS },
        { id: 2, name: "empty", lessons: [] },
      ]);
      const first = await db.query.lessons.findFirst({ with: { course: { with: { lessons: true } } } });
      expect(first.course.lessons[0].embedding).toEqual(new Float32Array([1, -2]));
    });
  } else {
    test("nested vectors travel as hex, through hexVector and decodeHexVector", async () => {
      const { db } = await filled();
      const found = await db.query.courses.findMany({
        with: {
          lessons: {
            columns: { id: true },
            extras: (lesson: any) => ({
              embedding: hexVector(lesson.embedding).as("embedding_hex"),
              bits: hexVector(lesson.bits).as("bits_hex"),
              numbers: hexVector(lesson.numbers).as("numbers_hex"),
            }),
          },
        },
      });
      const decoded = found.map(({ lessons: list, ...course }: any) => ({
        ...course,
        lessons: list.map((lesson: any) => ({
          id: lesson.id,
          embedding: decodeHexVector(lessons.embedding, lesson.embedding),
          bits: decodeHexVector(lessons.bits, lesson.bits),
          numbers: decodeHexVector(lessons.numbers, lesson.numbers),
        })),
      }));
      expect(found[0].lessons[0].embedding).toBe("0000803F000000C0");
      expect(decoded).toEqual([
        { id: 1, name: "ml", lessons: LESSONS },
        { id: 2, name: "empty", lessons: [] },
      ]);
    });
  }

  test("hexVector works in any select, on both lines", async () => {
    const { db } = await filled();
    const rows = await db.select({ hex: hexVector(lessons.embedding) }).from(lessons);
    expect(rows.map(({ hex }: any) => decodeHexVector(lessons.embedding, hex))).toEqual(
      LESSONS.map(({ embedding }) => embedding),
    );
  });
});

test("hexVector and decodeHexVector refuse what is no vector column or no hex of it", () => {
  expect(() => hexVector(docs.id as any)).toThrow(
    "docs.id: expected a vectorColumn, got a column of type SQLiteInteger",
  );
  expect(() => decodeHexVector(docs.id as any, "00")).toThrow(expect.objectContaining({ code: "UNSUPPORTED_COLUMN" }));
  expect(() => hexVector(undefined as any)).toThrow("column: expected a vectorColumn, got undefined");
  expect(() => decodeHexVector(docs.embedding, "0000803F")).toThrow(
    "docs.embedding: expected 2 dimensions (8 bytes of float32), got 4 bytes",
  );
  expect(() => decodeHexVector(docs.embedding, "hello")).toThrow(
    'docs.embedding: expected 2 dimensions (8 bytes of float32), got text "hello"',
  );
  // A left join that found no row gives null.
  expect(decodeHexVector(docs.embedding, null)).toBeNull();
});

describe("the bytes are what others read", () => {
  const list = [0.1, -2.5, 3e38, 1e-40];
  const other = [1, 2, 3, 4];

  test("sqlite-vec reads float32, int8 and bit", () => {
    const { db, client } = openBetterSqlite3();
    client.loadExtension(getLoadablePath());
    client.exec("create table v (id integer primary key, f blob, i blob, b blob)");
    const v = sqliteTable("v", {
      id: integer().primaryKey(),
      f: vectorColumn({ dimensions: 4, mode: "array" }),
      i: vectorColumn({ dimensions: 4, element: "int8", mode: "array" }),
      b: vectorColumn({ dimensions: 16, element: "bit" }),
    });
    const bits = [1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    db.insert(v)
      .values([
        { f: [0.5, -2.5, 3, 4], i: [-128, 127, 0, 5], b: bits as any },
        { f: other, i: [1, 2, 3, 4], b: new Uint8Array([0, 0xff]) },
      ])
      .run();
    expect(
      db
        .select({
          f: sql`vec_to_json(${v.f})`,
          length: sql`vec_length(${v.f})`,
          i: sql`vec_to_json(vec_int8(${v.i}))`,
          b: sql`vec_to_json(vec_bit(${v.b}))`,
          l2: sql`vec_distance_l2(${v.f}, ${sql.param(other, v.f)})`,
          l2OfInt8: sql`vec_distance_l2(vec_int8(${v.i}), vec_int8(${sql.param([-128, 127, 3, 1], v.i)}))`,
          hamming: sql`vec_distance_hamming(vec_bit(${v.b}), vec_bit(${sql.param(new Uint8Array([0, 0xff]), v.b)}))`,
        })
        .from(v)
        .all(),
    ).toEqual([
      {
        f: "[0.500000,-2.500000,3.000000,4.000000]",
        length: 4,
        i: "[-128,127,0,5]",
        b: `[${bits}]`,
        l2: Math.fround(Math.sqrt(0.25 + 20.25)),
        l2OfInt8: 5,
        hamming: 7,
      },
      {
        f: "[1.000000,2.000000,3.000000,4.000000]",
        length: 4,
        i: "[1,2,3,4]",
        b: `[${[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]}]`,
        l2: 0,
        l2OfInt8: expect.closeTo(Math.hypot(129, 125, 0, 3), 3),
        hamming: 0,
      },
    ]);
  });

  test("what sqlite-vec writes is read", () => {
    const { db, client } = openBetterSqlite3();
    client.loadExtension(getLoadablePath());
    client.exec(`${DDL}; insert into docs (embedding) values (vec_f32('[1.5, -2]'))`);
    expect(db.select({ v: docs.embedding }).from(docs).all()).toEqual([{ v: new Float32Array([1.5, -2]) }]);
  });

  test("libSQL reads float32 and what it writes is read", async () => {
    const { db } = openLibsql();
    await db.run(sql.raw("create table v (id integer primary key, f blob)"));
    const v = sqliteTable("v", { id: integer().primaryKey(), f: vectorColumn(4) });
    await db.insert(v).values([{ f: Float32Array.from(list) }, { f: Float32Array.from([0, 0, 0, 2]) }]);
    await db.run(sql.raw("insert into v (f) values (vector32('[1, 2, 3, 4]'))"));
    const rows = await db
      .select({
        text: sql<string>`vector_extract(${v.f})`,
        cosine: sql<number>`vector_distance_cos(${v.f}, ${sql.param([0, 0, 0, 1], v.f)})`,
      })
      .from(v);
    expect(JSON.parse(rows[0]!.text).map(Math.fround)).toEqual([...Float32Array.from(list)]);
    expect(rows.map(({ text }) => text)[2]).toBe("[1,2,3,4]");
    expect(rows[1]!.cosine).toBe(0);
    expect(rows[2]!.cosine).toBeCloseTo(1 - 4 / Math.sqrt(30), 6);
    expect((await db.select({ f: v.f }).from(v))[2]!.f).toEqual(new Float32Array([1, 2, 3, 4]));
  });
});
