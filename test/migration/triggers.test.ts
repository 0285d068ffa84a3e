import Database from "better-sqlite3";
import { sqliteTable, text } from "drizzle-orm/sqlite-core";
import { describe, expect, test } from "vitest";
import type { IndexDefinition } from "../../src/migration/definition.ts";
import { planRemoval } from "../../src/migration/plan.ts";
import { searchIndex, vectorColumn } from "../../src/schema.ts";
import { type Db, ensure, installedIn, open, ours, problemsIn, rows, run } from "./database.ts";

const DEFINITION: IndexDefinition = {
  name: "s",
  table: "docs",
  key: { columns: ["id"], isRowid: true },
  text: { columns: [{ column: "body", weight: 1 }], tokenizer: "unicode61" },
  vectors: [{ column: "v", dimensions: 8, element: "bit", metric: "hamming", exact: true }],
};
const DOCS = "CREATE TABLE docs (id INTEGER PRIMARY KEY, slug TEXT UNIQUE, body TEXT, other TEXT, v BLOB)";

/** A table with an index over three rows; the log is empty but for its first row. */
function filled(...create: string[]): Db {
  const db = open(...(create.length > 0 ? create : [DOCS]));
  db.exec(
    "INSERT INTO docs (id, slug, body, v) VALUES (1, 'a', 'one', x'01'), (2, 'b', 'two', x'02'), (3, 'c', 'three', x'03')",
  );
  ensure(db, DEFINITION);
  return db;
}

const fts = (db: Db) => rows(db, "SELECT rowid, c0 FROM _dv_s_fts ORDER BY 1");
const noted = (db: Db) => db.prepare("SELECT id FROM _dv_s_log WHERE seq > 1 ORDER BY seq").pluck().all();

test("12: REPLACE on the same key leaves the new text only, with recursive_triggers off and on", () => {
  for (const recursive of [0, 1]) {
    const db = filled();
    db.pragma(`recursive_triggers = ${recursive}`);
    db.exec("REPLACE INTO docs (id, slug, body, v) VALUES (2, 'z', 'new', x'09')");
    expect(fts(db)).toEqual([
      [1, "one"],
      [2, "new"],
      [3, "three"],
    ]);
    expect(new Set(noted(db))).toEqual(new Set([2]));
  }
});

test("13: a REPLACE that evicts two other rows takes their text along and notes them", () => {
  const db = filled("CREATE TABLE docs (id INTEGER PRIMARY KEY, slug TEXT UNIQUE, body TEXT UNIQUE, v BLOB)");
  db.exec("REPLACE INTO docs (id, slug, body, v) VALUES (7, 'a', 'two', x'07')");
  expect(fts(db)).toEqual([
    [3, "three"],
    [7, "two"],
  ]);
  expect(new Set(noted(db))).toEqual(new Set([1, 2, 7]));
});

test("14: UPDATE OR REPLACE on a UNIQUE column and on the key", () => {
  const db = filled();
  db.exec("UPDATE OR REPLACE docs SET slug = 'b' WHERE id = 1");
  expect(fts(db)).toEqual([
    [1, "one"],
    [3, "three"],
  ]);
  expect(noted(db)).toEqual([2]);
  db.exec("UPDATE OR REPLACE docs SET id = 3 WHERE id = 1");
  expect(fts(db)).toEqual([[3, "one"]]);
  expect(noted(db)).toEqual([2, 1, 3]);
});

test("15: UNIQUE ON CONFLICT REPLACE evicts on a plain INSERT", () => {
  const db = filled(
    "CREATE TABLE docs (id INTEGER PRIMARY KEY, slug TEXT UNIQUE ON CONFLICT REPLACE, body TEXT, v BLOB)",
  );
  db.exec("INSERT INTO docs VALUES (9, 'a', 'nine', x'09')");
  expect(fts(db)).toEqual([
    [2, "two"],
    [3, "three"],
    [9, "nine"],
  ]);
  expect(noted(db)).toEqual([1, 9]);
});

test("16: an UPSERT notes a row only for its vector, and DO NOTHING notes none", () => {
  const db = filled();
  const upsert = (id: number, set: string) =>
    db.exec(`INSERT INTO docs (id, body) VALUES (${id}, 'proposed') ON CONFLICT (id) DO ${set}`);
  upsert(1, "UPDATE SET other = 'x'");
  upsert(1, "NOTHING");
  upsert(1, "UPDATE SET body = excluded.body, v = v");
  expect(noted(db)).toEqual([]);
  expect(fts(db)[0]).toEqual([1, "proposed"]);
  upsert(1, "UPDATE SET v = x'ff'");
  expect(noted(db)).toEqual([1]);
});

test("17: INSERT OR IGNORE of a row that is there changes nothing in the index", () => {
  const db = filled();
  db.exec("INSERT OR IGNORE INTO docs (id, slug, body) VALUES (1, 'a', 'ignored')");
  db.exec("INSERT OR IGNORE INTO docs (slug, body) VALUES ('b', 'ignored')");
  expect(fts(db)).toEqual([
    [1, "one"],
    [2, "two"],
    [3, "three"],
  ]);
  db.exec("DELETE FROM docs WHERE slug = 'c'");
  db.exec("INSERT INTO docs (id, body) VALUES (4, 'four')");
  expect(fts(db)).toEqual([
    [1, "one"],
    [2, "two"],
    [4, "four"],
  ]);
});

test("what a guard notes in vain does not pile up", () => {
  const db = filled();
  const ignored = db.prepare("INSERT OR IGNORE INTO docs (slug, body) VALUES ('b', 'ignored')");
  for (let i = 0; i < 100; i++) ignored.run();
  expect(db.prepare("SELECT count(*) FROM _dv_s_evicted").pluck().get()).toBe(2);
});

test.each(["IGNORE", "ABORT", "FAIL", "ROLLBACK", "REPLACE"])("18: OR %s never fails on a table of ours", (or) => {
  const db = filled();
  try {
    db.exec(
      `INSERT OR ${or} INTO docs (id, slug, body, v) VALUES (4, 'd', 'four', x'04'), (5, 'a', 'five', x'05'), (6, 'e', 'six', x'06')`,
    );
  } catch (error) {
    expect((error as Error).message).toBe("UNIQUE constraint failed: docs.slug");
  }
  expect(fts(db)).toEqual(rows(db, "SELECT id, body FROM docs ORDER BY id"));
});

test("19: SET rowid, and two rows that swap their keys", () => {
  const db = filled();
  db.exec("UPDATE docs SET rowid = 30 WHERE id = 3");
  db.exec(
    "BEGIN; UPDATE docs SET id = -1 WHERE id = 1; UPDATE docs SET id = 1 WHERE id = 2; UPDATE docs SET id = 2 WHERE id = -1; COMMIT",
  );
  expect(fts(db)).toEqual([
    [1, "two"],
    [2, "one"],
    [30, "three"],
  ]);
  expect(noted(db)).toEqual([3, 30, 1, -1, 2, 1, -1, 2]);
});

test("19: a rowid that is not the key can be set too, and REPLACE evicts by it", () => {
  const db = open("CREATE TABLE docs (id TEXT PRIMARY KEY, body TEXT, v BLOB)");
  const table = sqliteTable("docs", { id: text().primaryKey(), body: text(), v: vectorColumn(1) });
  ensure(db, searchIndex("ix", table, { text: { body: 1 }, vectors: { v: {} } }));
  db.exec("INSERT INTO docs VALUES ('a', 'one', NULL), ('b', 'two', NULL), ('c', 'three', NULL)");
  db.exec("UPDATE OR REPLACE docs SET rowid = 3 WHERE id = 'a'");
  db.exec("REPLACE INTO docs (oid, id, body) VALUES (2, 'd', 'four')");
  expect(
    rows(db, "SELECT k.k0, f.c0 FROM _dv_ix_fts AS f LEFT JOIN _dv_ix_keys AS k ON k.id = f.rowid ORDER BY 1"),
  ).toEqual([
    ["a", "one"],
    ["d", "four"],
  ]);
  expect(db.prepare("SELECT count(*) FROM _dv_ix_keys").pluck().get()).toBe(2);
});

test("20: the highest key is used again, with the new content only", () => {
  const db = filled();
  db.exec("DELETE FROM docs WHERE id = 3; INSERT INTO docs (body) VALUES ('again')");
  expect(fts(db)).toEqual([
    [1, "one"],
    [2, "two"],
    [3, "again"],
  ]);
});

test("21: the largest and smallest keys", () => {
  const db = open(DOCS);
  ensure(db, DEFINITION);
  const ids = [-(2n ** 63n), -1n, 0n, 2n ** 53n + 1n, 2n ** 63n - 1n];
  for (const id of ids) db.prepare("INSERT INTO docs (id, body, v) VALUES (?, 'x', x'01')").run(id);
  const exact = (sql: string) => db.prepare(sql).safeIntegers().pluck().all();
  expect(exact("SELECT rowid FROM _dv_s_fts ORDER BY 1")).toEqual(ids);
  expect(exact("SELECT id FROM _dv_s_log WHERE seq > 1")).toEqual(ids);
});

test("22: DELETE without WHERE empties text and notes every row", () => {
  const db = filled();
  db.exec("DELETE FROM docs");
  expect(fts(db)).toEqual([]);
  expect(noted(db)).toEqual([1, 2, 3]);
});

test("23: cascades from another table and from its own, and SET NULL", () => {
  const db = filled(
    "CREATE TABLE parent (id INTEGER PRIMARY KEY)",
    "INSERT INTO parent VALUES (1)",
    "CREATE TABLE docs (id INTEGER PRIMARY KEY, slug TEXT, p INTEGER REFERENCES parent ON DELETE CASCADE, up INTEGER REFERENCES docs ON DELETE CASCADE, body TEXT REFERENCES tag (name) ON DELETE SET NULL, v BLOB)",
    "CREATE TABLE tag (name TEXT PRIMARY KEY)",
    "INSERT INTO tag VALUES ('one'), ('two'), ('three')",
  );
  db.exec("UPDATE docs SET p = 1 WHERE id = 1; UPDATE docs SET up = 1 WHERE id = 2");
  db.exec("DELETE FROM tag WHERE name = 'three'");
  expect(fts(db)).toEqual([
    [1, "one"],
    [2, "two"],
    [3, null],
  ]);
  db.exec("REPLACE INTO parent VALUES (1)");
  expect(fts(db)).toEqual([[3, null]]);
  expect(new Set(noted(db))).toEqual(new Set([1, 2]));
});

describe.each(["before", "after"])("24: a trigger of the user that rewrites, created %s ours", (order) => {
  test("text and vector are those of the row in the end", () => {
    const own =
      "CREATE TRIGGER own AFTER INSERT ON docs BEGIN UPDATE docs SET body = lower(body), v = x'0f' WHERE id = new.id; END";
    const db = open(DOCS, ...(order === "before" ? [own] : []));
    ensure(db, DEFINITION);
    if (order === "after") db.exec(own);
    db.exec("INSERT INTO docs (id, body, v) VALUES (1, 'LOUD', x'01')");
    expect(fts(db)).toEqual([[1, "loud"]]);
    expect(noted(db)).toEqual([1, 1]);
  });

  test("a row that is brought back on delete stays in the index", () => {
    const own =
      "CREATE TRIGGER own AFTER DELETE ON docs BEGIN INSERT INTO docs (id, body) VALUES (old.id, 'kept'); END";
    const db = open(DOCS, "INSERT INTO docs (id, body) VALUES (1, 'one')", ...(order === "before" ? [own] : []));
    ensure(db, DEFINITION);
    if (order === "after") db.exec(own);
    db.exec("DELETE FROM docs");
    expect(fts(db)).toEqual([[1, "kept"]]);
  });
});

test("25: a change of case alone in a NOCASE column, and of trailing space in an RTRIM one", () => {
  for (const [collation, to] of [
    ["NOCASE", "ONE"],
    ["RTRIM", "one  "],
  ]) {
    const db = filled(`CREATE TABLE docs (id INTEGER PRIMARY KEY, slug TEXT, body TEXT COLLATE ${collation}, v BLOB)`);
    db.exec(`UPDATE docs SET body = '${to}' WHERE id = 1`);
    expect(fts(db)[0]).toEqual([1, to]);
  }
});

test("a UNIQUE index over an expression, as Drizzle's guide makes one for e-mail addresses", () => {
  const db = filled(DOCS, 'CREATE UNIQUE INDEX lowered ON docs (lower("other"))', "CREATE TABLE new (x)");
  db.exec("UPDATE docs SET other = 'Me@Example.org' WHERE id = 1");
  db.exec("REPLACE INTO docs (id, other, body) VALUES (8, 'me@example.ORG', 'eight')");
  expect(fts(db)).toEqual([
    [2, "two"],
    [3, "three"],
    [8, "eight"],
  ]);
  expect(noted(db)).toEqual([1, 8]);
});

describe("a partial UNIQUE index", () => {
  const expectReplaced = (db: Db) => {
    db.exec("UPDATE docs SET other = 'x'; REPLACE INTO docs (id, slug, body, other) VALUES (8, 'd', 'two', 'x')");
    expect(fts(db)).toEqual([
      [1, "one"],
      [3, "three"],
      [8, "two"],
    ]);
    expect(noted(db)).toEqual([2, 8]);
  };

  test("as drizzle-kit writes it, with the table in front of its columns", () => {
    const index = `CREATE UNIQUE INDEX part ON \`docs\` (\`body\`) WHERE "docs"."other" = 'x' and docs.id > 0`;
    expectReplaced(filled(DOCS, index));
  });

  test("as it was written where a text may stand in double quotes", () => {
    const lax = open(DOCS, "CREATE UNIQUE INDEX part ON docs (body COLLATE BINARY) WHERE other = 'x' AND other <> 'y'");
    lax.unsafeMode().pragma("writable_schema = ON");
    lax.prepare("UPDATE sqlite_master SET sql = replace(sql, '''', ?) WHERE name = 'part'").run('"');
    const db = new Database(lax.serialize());
    expect(() => db.exec('SELECT 1 FROM docs WHERE other = "x"')).toThrow("no such column");
    db.exec(
      "INSERT INTO docs (id, slug, body, v) VALUES (1, 'a', 'one', x'01'), (2, 'b', 'two', x'02'), (3, 'c', 'three', x'03')",
    );
    ensure(db, DEFINITION);
    expectReplaced(db);
  });
});

test.each([
  ["'x'", "x"],
  ["x", "x"],
  [`"it's"`, "it's"],
  ["('a' || 'b')", "ab"],
  ["-5", "-5"],
])("a REPLACE that puts the default %s in the place of NULL, and by it meets another row", (value, stored) => {
  const db = filled(
    `CREATE TABLE docs (id INTEGER PRIMARY KEY, slug TEXT NOT NULL DEFAULT ${value} UNIQUE, body TEXT, v BLOB)`,
  );
  db.prepare("UPDATE docs SET slug = ? WHERE id = 2").run(stored);
  db.exec("INSERT OR REPLACE INTO docs (id, slug, body) VALUES (7, NULL, 'seven')");
  expect(fts(db)).toEqual([
    [1, "one"],
    [3, "three"],
    [7, "seven"],
  ]);
  db.exec("UPDATE OR REPLACE docs SET slug = NULL WHERE id = 3");
  expect(fts(db)).toEqual([
    [1, "one"],
    [3, "three"],
  ]);
  expect(noted(db)).toEqual([2, 7, 7]);
});

test("a guard looks its rows up in the index it guards, a partial one included", () => {
  const db = filled(
    DOCS,
    "CREATE UNIQUE INDEX active ON docs (other) WHERE v IS NOT NULL",
    "CREATE UNIQUE INDEX low ON docs (lower(body))",
  );
  const guard = db.prepare("SELECT sql FROM sqlite_master WHERE name = '_dv_s_guardinsert'").pluck().get() as string;
  const selects = [...guard.matchAll(/"_dv_s_log" \(id\) (SELECT .*?);/g)].map(([, select]) => select!);
  const plans = selects.map((select) => {
    const query = select.replaceAll(/new\."\w+"/g, "'x'");
    const steps = db.prepare(`EXPLAIN QUERY PLAN ${query}`).all() as { detail: string }[];
    return steps.map(({ detail }) => detail).find((detail) => detail.includes(" r "));
  });
  expect(plans).toHaveLength(3);
  for (const plan of plans) expect(plan).toMatch(/^SEARCH r USING/);
});

describe("41: keys that are not an integer", () => {
  const keyed: IndexDefinition = { ...DEFINITION, key: { columns: ["id"], isRowid: false } };

  test.each(["", " WITHOUT ROWID"])("a text key%s is mapped, moved and forgotten", (options) => {
    const db = open(`CREATE TABLE docs (id TEXT PRIMARY KEY NOT NULL, slug TEXT UNIQUE, body TEXT, v BLOB)${options}`);
    db.exec("INSERT INTO docs VALUES ('x', 'a', 'one', x'01'), ('y', 'b', 'two', x'02')");
    ensure(db, keyed);
    const keys = () => rows(db, "SELECT id, k0 FROM _dv_s_keys ORDER BY id");
    expect(keys()).toEqual([
      [1, "x"],
      [2, "y"],
    ]);
    expect(fts(db)).toEqual([
      [1, "one"],
      [2, "two"],
    ]);
    db.exec("UPDATE docs SET id = 'z' WHERE id = 'x'");
    db.exec("REPLACE INTO docs VALUES ('w', 'b', 'four', x'04')");
    expect(keys().map((row) => (row as unknown[])[1])).toEqual(["w", "z"].reverse());
    const joined = "SELECT k0, c0 FROM _dv_s_fts AS f JOIN _dv_s_keys AS k ON k.id = f.rowid ORDER BY 1";
    expect(rows(db, joined)).toEqual([
      ["w", "four"],
      ["z", "one"],
    ]);
    db.exec("DELETE FROM docs");
    expect([keys(), fts(db)]).toEqual([[], []]);
  });

  test("a key with a NULL is no key: the row is stored and not indexed", () => {
    const db = open("CREATE TABLE docs (id TEXT PRIMARY KEY, slug TEXT, body TEXT, v BLOB)");
    ensure(db, keyed);
    db.exec("INSERT INTO docs VALUES (NULL, 'a', 'one', x'01'), ('k', 'b', 'two', x'02')");
    expect(fts(db)).toEqual([[1, "two"]]);
    expect(noted(db)).toEqual([1]);
    db.exec("UPDATE docs SET id = 'n' WHERE id IS NULL; DELETE FROM docs WHERE id = 'k'");
    expect(rows(db, "SELECT c0 FROM _dv_s_fts")).toEqual([["one"]]);
  });
});

describe.each([
  ["quotes", `a"b'c\`d`],
  ["a space", "my docs"],
  ["a keyword", "select"],
  ["unicode", "größe 文書 🙂"],
  ["a bracket and a semicolon", "x]; DROP TABLE docs; --"],
  ["a property every object has", "__proto__"],
  ["another one", "constructor"],
  ["the row of a trigger", "new"],
  ["FTS5's rank", "rank"],
  ["rowid", "rowid"],
  ["our own aliases", "k"],
])("73: a name with %s", (_, name) => {
  const q = `"${name.replaceAll('"', '""')}"`;

  test.each([true, false])(
    "as index, table, column and UNIQUE column lives its whole life (integer key: %s)",
    (isRowid) => {
      const index: IndexDefinition = {
        name: name.replaceAll("/", ""),
        table: name,
        key: { columns: ["id"], isRowid },
        text: { columns: [{ column: name, weight: 1 }], tokenizer: "unicode61" },
        vectors: [{ ...DEFINITION.vectors[0]!, column: `${name} v` }],
      };
      const v = `${q.slice(0, -1)} v"`;
      const db = open(
        `CREATE TABLE ${q} (id ${isRowid ? "INTEGER" : "TEXT"} PRIMARY KEY, ${q} TEXT UNIQUE, ${v} BLOB)`,
      );
      db.exec(`INSERT INTO ${q} VALUES (1, 'old', NULL)`);
      ensure(db, index);
      db.exec(`REPLACE INTO ${q} VALUES (2, 'old', x'01'), (3, 'three', x'02')`);
      db.exec(`UPDATE ${q} SET ${q} = 'words', ${v} = NULL WHERE id = 2`);
      const shadow = `"_dv_${q.slice(1, -1)}_fts"`;
      expect(rows(db, `SELECT c0 FROM ${shadow} ORDER BY c0`)).toEqual([["three"], ["words"]]);
      expect(problemsIn(db, index)).toEqual([]);
      expect(({} as Record<string, unknown>).name).toBeUndefined();
      run(db, planRemoval(index.name, installedIn(db)));
      expect(ours(db)).toEqual([]);
      expect(db.prepare(`SELECT count(*) FROM ${q}`).pluck().get()).toBe(2);
    },
  );
});

test("a write that no user table sees leaves changes, the last id and RETURNING as they were", () => {
  const db = filled();
  const result = db.prepare("INSERT INTO docs (body) VALUES ('four'), ('five')").run();
  expect(result).toEqual({ changes: 2, lastInsertRowid: 5 });
  expect(db.prepare("UPDATE docs SET body = 'x' WHERE id = 5 RETURNING id").all()).toEqual([{ id: 5 }]);
});

test("an update of a column that is not indexed writes nothing of ours", () => {
  const db = filled();
  const before = db.prepare("SELECT total_changes()").pluck().get() as number;
  db.exec("UPDATE docs SET other = 'x'");
  expect(db.prepare("SELECT total_changes()").pluck().get()).toBe(before + 3);
});

describe("an update that sets", () => {
  const triggered = (db: Db, statement: string) => {
    const plan = db.prepare(`EXPLAIN ${statement}`).all() as { opcode: string }[];
    return plan.some(({ opcode }) => opcode === "Program");
  };

  test("no column of the index runs none of our triggers at all", () => {
    const db = filled();
    expect(triggered(db, "UPDATE docs SET other = 'x' WHERE id = 1")).toBe(false);
    for (const column of ["body", "v", "slug", "id", "rowid", "oid", '"_ROWID_"']) {
      expect(triggered(db, `UPDATE docs SET ${column} = 5 WHERE id = 1`), column).toBe(true);
    }
  });

  test("what an indexed column is generated from is followed", () => {
    const db = open(
      "CREATE TABLE docs (id INTEGER PRIMARY KEY, word TEXT, body TEXT AS (word || '!') STORED, slug TEXT AS (lower(word)) UNIQUE, v BLOB)",
    );
    ensure(db, DEFINITION);
    db.exec("INSERT INTO docs (id, word) VALUES (1, 'one'), (2, 'two')");
    db.exec("UPDATE docs SET word = 'uno' WHERE id = 1");
    expect(fts(db)).toEqual([
      [1, "uno!"],
      [2, "two!"],
    ]);
    db.exec("UPDATE OR REPLACE docs SET word = 'UNO' WHERE id = 2");
    expect(fts(db)).toEqual([[2, "UNO!"]]);
  });

  test("a parent, whose foreign key cascades into an indexed column, is followed", () => {
    const db = open(
      "CREATE TABLE parents (name TEXT PRIMARY KEY)",
      "CREATE TABLE docs (id INTEGER PRIMARY KEY, slug TEXT, body TEXT REFERENCES parents (name) ON UPDATE CASCADE ON DELETE SET NULL, v BLOB)",
      "INSERT INTO parents VALUES ('one'), ('two')",
      "INSERT INTO docs (id, body) VALUES (1, 'one'), (2, 'two')",
    );
    db.pragma("foreign_keys = 1");
    ensure(db, DEFINITION);
    db.exec("UPDATE parents SET name = 'uno' WHERE name = 'one'; DELETE FROM parents WHERE name = 'two'");
    expect(fts(db)).toEqual([
      [1, "uno"],
      [2, null],
    ]);
  });

  test("columns renamed afterwards is followed under their new names", () => {
    const db = filled();
    db.exec('ALTER TABLE docs RENAME COLUMN body TO "new body"; ALTER TABLE docs RENAME COLUMN id TO key');
    db.exec(`UPDATE docs SET "new body" = 'uno' WHERE key = 1; UPDATE docs SET rowid = 9 WHERE key = 2`);
    expect(fts(db)).toEqual([
      [1, "uno"],
      [3, "three"],
      [9, "two"],
    ]);
    const text = { columns: [{ column: "new body", weight: 1 }], tokenizer: "unicode61" };
    expect(problemsIn(db, { ...DEFINITION, key: { columns: ["key"], isRowid: true }, text })).toEqual([]);
  });
});
