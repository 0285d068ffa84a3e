import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { text } from "drizzle-orm/sqlite-core";
import { describe, expect, onTestFinished, test } from "vitest";
import { configure, ensureSearchIndexes, nearest, rebuild, search, verify } from "../../src/index.ts";
import { type Given, shape } from "../model/shapes.ts";
import { expectAnswers, expectInStep, expectVectors } from "./witness.ts";

interface Case extends Omit<Given, "element" | "metric"> {
  readonly statements: readonly string[];
}

const vector = (...numbers: number[]) => `x'${Buffer.from(new Float32Array(numbers).buffer).toString("hex")}'`;
const [east, north, up] = [vector(1, 0, 0), vector(0, 1, 0), vector(0, 0.5, 1)];
const row = (id: string, u: number, txt: string, v = up) =>
  `INSERT INTO t (id, u, txt, note, v) VALUES (${id}, ${u}, '${txt}', 'note ${txt}', ${v})`;
const two = [row("1", 1, "red", east), row("2", 2, "blue walking", north)];
const plain = "CREATE TABLE t (id INTEGER PRIMARY KEY, u INTEGER UNIQUE, p INTEGER, txt TEXT, note TEXT, v)";

const CASES: Case[] = [
  {
    title: "generated text, virtual and stored",
    create: [
      "CREATE TABLE t (id INTEGER PRIMARY KEY, u INTEGER UNIQUE, raw, txt TEXT AS (lower(raw)) VIRTUAL, note TEXT AS (raw || ' red') STORED, v)",
    ],
    statements: [
      `INSERT INTO t (id, u, raw, v) VALUES (1, 1, 'RED Walking', ${east})`,
      "UPDATE t SET raw = 'Blue GREEN', id = 5",
      `REPLACE INTO t (id, u, raw, v) VALUES (7, 1, 'Walked', ${up})`,
    ],
  },
  {
    title: "a generated vector",
    create: [
      "CREATE TABLE t (id INTEGER PRIMARY KEY, u INTEGER UNIQUE, raw, txt TEXT, note TEXT, v BLOB AS (raw) STORED)",
    ],
    statements: [
      `INSERT INTO t (id, u, txt, raw) VALUES (1, 1, 'red', ${east})`,
      `UPDATE t SET raw = ${up}, id = 9`,
      "UPDATE t SET raw = NULL",
    ],
  },
  {
    title: "triggers of the user that move, remove and replace rows while they are written",
    create: [plain],
    late: [
      "CREATE TRIGGER moves AFTER INSERT ON t WHEN new.u = 1 BEGIN UPDATE t SET id = new.id + 100 WHERE id = new.id; END",
      "CREATE TRIGGER removes AFTER INSERT ON t WHEN new.u = 2 BEGIN DELETE FROM t WHERE id = new.id; END",
      "CREATE TRIGGER replaces BEFORE INSERT ON t WHEN new.u > 2 BEGIN DELETE FROM t WHERE id = new.id - 1; UPDATE OR REPLACE t SET u = new.u + 20 WHERE id = 101; END",
    ],
    statements: [...two, row("3", 3, "green"), row("4", 4, "red green"), "UPDATE t SET u = u + 10", "DELETE FROM t"],
  },
  {
    title: "UNIQUE over several columns, by another collation, over NULL, and a CHECK",
    create: [
      "CREATE TABLE t (id INTEGER PRIMARY KEY, u INTEGER, p INTEGER, txt TEXT, note TEXT, v, UNIQUE (u, p), UNIQUE (txt COLLATE NOCASE), CHECK (length(txt) < 50))",
    ],
    statements: [
      ...two,
      `INSERT OR REPLACE INTO t (id, u, txt, v) VALUES (3, 1, 'RED', ${up})`,
      "UPDATE OR REPLACE t SET txt = 'Blue', p = 3",
      `INSERT OR REPLACE INTO t (id, u, txt, v) SELECT id + 1, u, 'red', v FROM t`,
    ],
  },
  {
    title: "UNIQUE over expressions, and in part",
    create: [
      plain.replace("UNIQUE", ""),
      "CREATE UNIQUE INDEX folded ON t (lower(txt), abs(u) % 3)",
      "CREATE UNIQUE INDEX part ON t (note DESC) WHERE u > 5 AND note LIKE 'note%'",
    ],
    statements: [
      ...two,
      `REPLACE INTO t (id, u, txt, v) VALUES (3, 4, 'RED', ${up})`,
      `REPLACE INTO t (id, u, txt, note, v) VALUES (4, 7, 'x', 'note q', ${east}), (5, 8, 'y', 'note q', ${up})`,
      "UPDATE OR REPLACE t SET u = 10, note = 'note z'",
    ],
  },
  {
    title: "text that is no text: blobs, numbers, NUL, bytes that are no UTF-8",
    create: [plain],
    statements: [
      ...two,
      `INSERT INTO t (id, u, txt, note, v) VALUES (3, 5, x'7265642000626c7565', cast(x'ff7265642ffe' AS TEXT), ${up})`,
      "UPDATE t SET txt = 'a' || char(0) || 'red' || char(55296)",
      "UPDATE t SET txt = 3.5, note = x''",
    ],
  },
  {
    title: "a descending key with spaces that do not count, STRICT, WITHOUT ROWID",
    create: [
      "CREATE TABLE t (id TEXT NOT NULL COLLATE RTRIM, u INTEGER UNIQUE, p INTEGER, txt TEXT, note TEXT, v BLOB, PRIMARY KEY (id DESC)) STRICT, WITHOUT ROWID",
    ],
    columns: { id: text().primaryKey() },
    collations: ["RTRIM"],
    statements: [
      row("'a'", 1, "red"),
      row("'b '", 2, "blue"),
      `REPLACE INTO t (id, u, txt, v) VALUES ('b   ', 1, 'walking', ${up})`,
      "UPDATE t SET id = id || ' '",
      "UPDATE OR REPLACE t SET id = 'a'",
    ],
  },
  {
    title: "rows that refer to each other, checked at COMMIT",
    create: [
      "PRAGMA foreign_keys = ON",
      plain.replace(
        "p INTEGER",
        "p INTEGER REFERENCES t (id) ON UPDATE CASCADE ON DELETE SET DEFAULT DEFERRABLE INITIALLY DEFERRED",
      ),
    ],
    statements: [
      ...two,
      "UPDATE t SET p = 1 WHERE id = 2",
      "UPDATE t SET id = 50 WHERE id = 1",
      "BEGIN",
      "DELETE FROM t WHERE id = 50",
      "ROLLBACK",
    ],
  },
  {
    title: "UNIQUE over generated columns, plain, in an expression and in part",
    create: [
      plain
        .replace("u INTEGER UNIQUE", "u INTEGER")
        .replace("note TEXT", "note TEXT, raw TEXT, g TEXT AS (lower(raw)) VIRTUAL UNIQUE"),
      "CREATE UNIQUE INDEX ending ON t (substr(g, 2), p)",
      "CREATE UNIQUE INDEX part ON t (p) WHERE g = 'on'",
    ],
    statements: [
      `INSERT INTO t (id, p, raw, txt, v) VALUES (1, 1, 'On', 'red', ${east}), (2, 1, 'by', 'blue', ${north}), (3, 2, 'at', 'green', ${up})`,
      `REPLACE INTO t (id, p, raw, txt, v) VALUES (4, 3, 'BY', 'walking', ${up})`,
      "UPDATE OR REPLACE t SET raw = 'ON' WHERE id = 3",
      "UPDATE OR REPLACE t SET raw = 'fy', p = 2 WHERE id = 4",
      `REPLACE INTO t (id, p, raw, txt, v) VALUES (5, 2, 'gy', 'red', ${east})`,
    ],
  },
  {
    title: "conflict clauses of the table's own, with defaults in the place of NULL",
    create: [
      plain
        .replace("PRIMARY KEY", "PRIMARY KEY ON CONFLICT REPLACE")
        .replace(
          "u INTEGER UNIQUE",
          "u INTEGER NOT NULL ON CONFLICT REPLACE DEFAULT (1 + 1) UNIQUE ON CONFLICT REPLACE",
        )
        .replace("txt TEXT", "txt TEXT NOT NULL ON CONFLICT REPLACE DEFAULT 'red default'"),
    ],
    statements: [
      ...two,
      row("1", 3, "walking"),
      `INSERT INTO t (id, u, txt, v) VALUES (8, NULL, NULL, ${up})`,
      "UPDATE t SET txt = NULL, u = NULL WHERE id = 1",
      "INSERT INTO t (id, v) SELECT id, v FROM t",
    ],
  },
  {
    title: "text and vectors that belong to parents, which change, go, and are dropped with their table",
    create: [
      "PRAGMA foreign_keys = ON",
      "CREATE TABLE word (txt TEXT PRIMARY KEY, v BLOB UNIQUE)",
      "CREATE TABLE parent (id INTEGER PRIMARY KEY)",
      plain
        .replace("p INTEGER", "p INTEGER REFERENCES parent (id) ON DELETE CASCADE")
        .replace("txt TEXT", "txt TEXT REFERENCES word (txt) ON UPDATE CASCADE ON DELETE SET NULL")
        .replace(", v)", ", v BLOB REFERENCES word (v) ON UPDATE CASCADE ON DELETE SET NULL)"),
    ],
    statements: [
      `INSERT INTO word VALUES ('red', ${east}), ('blue walking', ${north})`,
      "INSERT INTO parent VALUES (1), (2)",
      ...two,
      `UPDATE word SET txt = 'green ' || txt, v = iif(txt = 'red', ${up}, v)`,
      "DELETE FROM word WHERE txt = 'green red'",
      "UPDATE t SET p = id",
      "DELETE FROM parent WHERE id = 1",
      "DROP TABLE parent",
    ],
  },
];

function open({ title, statements: _, ...given }: Case) {
  const app = shape({ ...given, title, element: "float32", metric: "cosine" });
  const client = new Database(":memory:");
  onTestFinished(() => void client.close());
  const db = drizzle({ client }) as any;
  for (const sql of app.create) client.exec(sql);
  ensureSearchIndexes(db, [app.index]);
  for (const sql of app.late ?? []) client.exec(sql);
  return { app, client, db };
}

test.each(CASES)("$title: every statement is followed", async (given) => {
  const { app, client, db } = open(given);
  expectAnswers({ client, db }, app, 1);
  for (const sql of given.statements) {
    client.exec(sql);
    expectAnswers({ client, db }, app, 1);
  }
  await expectInStep(client, app, 2);
});

/** Statements of which rows stay although a trigger of the user ends them, and what the triggers are. */
const ENDED = [
  "CREATE TRIGGER ends_a AFTER INSERT ON t WHEN new.u % 3 = 2 BEGIN SELECT RAISE(FAIL, 'no'); END",
  "CREATE TRIGGER ends_b AFTER INSERT ON t WHEN new.u % 3 = 0 BEGIN SELECT RAISE(IGNORE); END",
  "CREATE TRIGGER ends_c AFTER UPDATE ON t WHEN new.txt = 'green' BEGIN SELECT RAISE(FAIL, 'no'); END",
  "CREATE TRIGGER ends_d AFTER UPDATE ON t WHEN new.txt = 'blue' BEGIN SELECT RAISE(IGNORE); END",
  "CREATE TRIGGER ends_e AFTER DELETE ON t WHEN old.u = 3 BEGIN SELECT RAISE(FAIL, 'no'); END",
  "CREATE TRIGGER ends_f AFTER DELETE ON t BEGIN SELECT RAISE(IGNORE); END",
];

const KEYS = [
  { keys: "integer", create: [plain], key: (n: number) => String(n) },
  {
    keys: "text",
    create: [plain.replace("id INTEGER PRIMARY KEY", "id TEXT PRIMARY KEY NOT NULL")],
    columns: { id: text().primaryKey() },
    collations: ["BINARY"],
    key: (n: number) => `'key ${n}'`,
  },
];

function endedStatements(key: (n: number) => string): string[] {
  const rows = (...ns: number[]) => ns.map((n) => `(${key(n)}, ${n}, 'red', ${n % 2 ? east : up})`).join(", ");
  return [
    `INSERT INTO t (id, u, txt, v) VALUES ${rows(1, 2, 4)}`,
    `INSERT INTO t (id, u, txt, v) VALUES ${rows(3, 4, 6, 7)}`,
    `INSERT INTO t (id, u, txt, v) VALUES (${key(9)}, 1, 'blue', ${up}) ON CONFLICT (u) DO UPDATE SET txt = 'green', v = ${north}`,
    `REPLACE INTO t (id, u, txt, v) VALUES (${key(8)}, 3, 'walking', ${north})`,
    `UPDATE t SET txt = 'blue', v = ${north} WHERE u > 1`,
    `UPDATE t SET txt = 'green', v = ${up} WHERE u > 1`,
    `UPDATE OR REPLACE t SET id = ${key(20)}, u = 7, txt = 'green' WHERE u = 6`,
    "DELETE FROM t WHERE u < 5",
    "DELETE FROM t",
  ];
}

function attempt(client: Database.Database, sql: string): void {
  try {
    client.exec(sql);
  } catch (error) {
    expect((error as { code?: string }).code).toMatch(/^SQLITE_CONSTRAINT/);
  }
}

describe.each(KEYS)(
  "rows that stay although a trigger of the user ends the statement, $keys keys",
  ({ keys, key, ...given }) => {
    const at = (n: number) => [key(n)];

    test.each([0, 1])("are followed where the trigger is older, with recursive_triggers = %i", async (recursive) => {
      const { app, client, db } = open({
        ...given,
        key: at,
        title: keys,
        create: [...given.create, ...ENDED],
        statements: [],
      });
      client.pragma(`recursive_triggers = ${recursive}`);
      expectAnswers({ client, db }, app, 1);
      for (const sql of endedStatements(key)) {
        attempt(client, sql);
        expectAnswers({ client, db }, app, 1);
      }
      await expectInStep(client, app, 2);
    });

    test.each(ENDED)("are found where it is newer, or refused, until ours are made anew: %s", async (late) => {
      const { app, client, db } = open({ ...given, key: at, title: keys, statements: [] });
      const events: string[] = [];
      configure(db, { onEvent: ({ message }) => events.push(message) });
      client.exec(late);
      const stop = late.includes("FAIL") ? "RAISE(FAIL)" : "RAISE(IGNORE)";
      const name = late.split(" ")[2]!;
      const reason = `trigger ${name}, which is newer than those of the index and so runs before them, may stop a write by ${stop} and keep its row`;
      const statements = endedStatements(key);
      for (const sql of statements.slice(0, 7)) {
        attempt(client, sql);
        // Answered as the table would, and refused where the table cannot answer.
        expectVectors({ client, db }, app);
        expect(nearest(db, app.table.v, [1, 0, 0] as any).explain()).toMatchObject({
          plan: "bare scan",
          fallback: reason,
        });
        expect(() => search(db, app.index, "red").all()).toThrow(
          expect.objectContaining({ code: "INDEX_DETACHED", message: expect.stringContaining(reason) }),
        );
      }
      expect(events).toEqual([expect.stringContaining(reason)]);
      expect(ensureSearchIndexes(db, [app.index])).toEqual([
        { index: "ix", action: "repaired", changes: [`recreate index ix: ${reason}`] },
      ]);
      await expectInStep(client, app, 2);
      for (const sql of statements) attempt(client, sql);
      await expectInStep(client, app, 2);
      expect(ensureSearchIndexes(db, [app.index])).toMatchObject([{ action: "unchanged" }]);
    });
  },
);

test("a trigger of the user that only writes elsewhere costs nothing, and comes behind ours with the next repair", async () => {
  const late = [
    "CREATE TABLE audit (txt TEXT UNIQUE)",
    "CREATE TRIGGER audits AFTER INSERT ON t BEGIN INSERT INTO audit VALUES (new.txt); END",
    "CREATE TRIGGER touches AFTER UPDATE OF txt ON t BEGIN UPDATE t SET p = 5 WHERE id = new.id; END",
  ];
  const { app, client, db } = open({ title: "audited", create: [plain], late, statements: [] });
  for (const sql of two) client.exec(sql);
  expect(nearest(db, app.table.v, [1, 0, 0] as any).explain()).toMatchObject({
    plan: "certified scan",
    fallback: null,
  });
  await expectInStep(client, app, 2);
  expect(ensureSearchIndexes(db, [app.index])).toEqual([
    { index: "ix", action: "repaired", changes: ["run the triggers of index ix before audits, touches"] },
  ]);
  expect(() => client.exec(row("3", 3, "red").replace("INSERT", "INSERT OR FAIL"))).toThrow("audit.txt");
  expect(client.prepare("SELECT count(*) FROM t").pluck().get()).toBe(3);
  await expectInStep(client, app, 2);
});

test.each(KEYS)(
  "the action of a foreign key that may keep a write from being followed is answered around, $keys keys",
  async ({ keys: title, key, ...given }) => {
    const { app, client, db } = open({ ...given, title, statements: [] });
    const row = (n: number) => `(${key(n)}, ${n}, 'red ${n}', ${n % 2 ? east : up})`;
    client.exec(`INSERT INTO t (id, u, txt, v) VALUES ${[1, 2, 3, 4, 5].map(row).join(", ")}`);
    await expectInStep(client, app, 1);
    client.exec(`CREATE TABLE child (t REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE);
      INSERT INTO child VALUES (${key(1)}), (${key(2)}), (${key(3)});
      CREATE TRIGGER ends_a AFTER DELETE ON child BEGIN SELECT RAISE(FAIL, 'no'); END;
      CREATE TRIGGER ends_b AFTER UPDATE ON child BEGIN SELECT RAISE(FAIL, 'no'); END`);
    const reason =
      "the action of a foreign key of child, which runs before all triggers, may stop a write to t by RAISE(FAIL) in trigger ends_a and keep it";
    for (const sql of [
      `DELETE FROM t WHERE id = ${key(1)}`,
      `UPDATE t SET id = ${key(8)}, v = ${north} WHERE id = ${key(2)}`,
      `REPLACE INTO t (id, u, txt, v) VALUES (${key(3)}, 3, 'blue', ${north})`,
    ]) {
      expect(() => client.exec(sql)).toThrow("no");
      expectVectors({ client, db }, app);
      expect(nearest(db, app.table.v, [1, 0, 0] as any).explain()).toMatchObject({
        fallback: expect.stringContaining(reason),
      });
      expect(() => search(db, app.index, "red").all()).toThrow(
        expect.objectContaining({
          code: "INDEX_DETACHED",
          message: expect.stringContaining(reason),
          hint: expect.stringMatching(/^Write ABORT in the place of that FAIL, .* then "drizzle-vector rebuild ix"/),
        }),
      );
    }
    expect(client.prepare("SELECT count(*) FROM t").pluck().get()).toBe(3);
    // Nothing of ours is wrong, so there is nothing to make anew; what was missed, a rebuild finds.
    expect(ensureSearchIndexes(db, [app.index])).toMatchObject([{ action: "unchanged" }]);
    await rebuild(db, app.index);
    expect(await verify(db, app.index)).toMatchObject({
      problems: [{ code: "CASCADE_FAILS" }, { code: "CASCADE_FAILS" }],
    });
    client.exec("DROP TRIGGER ends_a; DROP TRIGGER ends_b");
    await expectInStep(client, app, 2);
  },
);
