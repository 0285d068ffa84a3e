import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { describe, expect, test } from "vitest";
import { definitionOf } from "../../src/migration/definition.ts";
import { noticesOf } from "../../src/migration/drift.ts";
import { planMigration } from "../../src/migration/plan.ts";
import { inFrontOf } from "../../src/migration/problems.ts";
import { searchIndex, vectorColumn } from "../../src/schema.ts";
import { type Db, ensure, installedIn, open, problemsIn, rows } from "./database.ts";

const t = sqliteTable("t", { id: integer().primaryKey(), txt: text() });
const definition = definitionOf(searchIndex("s", t, { text: { txt: 1 } }));
const TABLES = [
  "CREATE TABLE t (id INTEGER PRIMARY KEY, txt TEXT, parent INTEGER)",
  "CREATE TABLE audit (txt TEXT UNIQUE)",
  "CREATE TABLE strict (txt TEXT UNIQUE ON CONFLICT FAIL)",
  'CREATE TABLE "far away" (txt TEXT)',
  "CREATE TABLE farther (txt TEXT)",
  "CREATE TABLE only (txt TEXT UNIQUE)",
  "INSERT INTO only VALUES ('twice')",
  "CREATE VIEW seen AS SELECT * FROM audit",
  "INSERT INTO audit VALUES ('twice')",
  "INSERT INTO strict VALUES ('twice')",
];
/** What a trigger of the user may set off. */
const ELSEWHERE = [
  `CREATE TRIGGER far BEFORE INSERT ON "far away" BEGIN INSERT INTO farther VALUES (new.txt); END`,
  "CREATE TRIGGER farther_ends AFTER INSERT ON farther BEGIN SELECT RAISE(FAIL, 'no'); END",
  "CREATE TRIGGER farther_ignores AFTER DELETE ON farther BEGIN SELECT RAISE(IGNORE); END",
  "CREATE TRIGGER only_added UPDATE ON only BEGIN SELECT RAISE(FAIL, 'no'); END",
  "CREATE TRIGGER seen_ends INSTEAD OF DELETE ON seen BEGIN SELECT RAISE(FAIL, 'no'); END",
];
const after = (body: string, when = "") => `CREATE TRIGGER own AFTER INSERT ON t ${when} BEGIN ${body}; END`;

/** Triggers of the user, and by what each of them ends a plain INSERT that keeps its row. */
const TRIGGERS: [sql: string, stop: string | undefined][] = [
  [after("SELECT RAISE(FAIL, 'no')"), "RAISE(FAIL)"],
  [after("select raise /* here */ ( fail , 'no' )"), "RAISE(FAIL)"],
  [after("SELECT RAISE(IGNORE)"), "RAISE(IGNORE)"],
  [after("SELECT CASE WHEN new.id > 0 THEN RAISE(IGNORE) END"), "RAISE(IGNORE)"],
  [after("INSERT OR FAIL INTO audit VALUES ('twice')"), "OR FAIL"],
  [after("INSERT INTO audit VALUES ('x'); UPDATE OR FAIL audit SET txt = 'twice'"), "OR FAIL"],
  [after("INSERT INTO strict VALUES ('twice')"), "ON CONFLICT FAIL in table strict"],
  [after("INSERT INTO [far away] VALUES ('x')"), "RAISE(FAIL) in trigger farther_ends"],
  [after("INSERT INTO 'farther' VALUES ('x')"), "RAISE(FAIL) in trigger farther_ends"],
  [after("REPLACE INTO FARTHER VALUES ('x')"), "RAISE(FAIL) in trigger farther_ends"],
  [after("DELETE FROM seen"), "RAISE(FAIL) in trigger seen_ends"],
  [after("INSERT INTO only VALUES ('x')"), undefined],
  [after("UPDATE only SET txt = 'x'"), "RAISE(FAIL) in trigger only_added"],
  [after("UPDATE OR ABORT only SET txt = 'x'"), "RAISE(FAIL) in trigger only_added"],
  [after("INSERT INTO only VALUES ('twice') ON CONFLICT DO UPDATE SET txt = 'x'"), "RAISE(FAIL) in trigger only_added"],
  // These take the row back, keep away from it, or end nothing but a statement of their own.
  [after("SELECT RAISE(ABORT, 'FAIL')"), undefined],
  [after("SELECT RAISE(ROLLBACK, 'no')"), undefined],
  [after("INSERT OR IGNORE INTO audit VALUES ('RAISE(FAIL, 1)') -- RAISE(FAIL, 1)\n"), undefined],
  [after("UPDATE t SET txt = 'later' WHERE id = new.id AND txt = 'x'"), undefined],
  [after("INSERT INTO audit VALUES ('twice')"), undefined],
  [after("DELETE FROM farther"), undefined],
  [after('INSERT INTO audit SELECT new.id AS "fail" WHERE new.id OR fail'), undefined],
  ["CREATE TRIGGER own BEFORE INSERT ON t BEGIN SELECT RAISE(FAIL, 'no'); END", undefined],
  ["CREATE TRIGGER own INSERT ON t BEGIN SELECT RAISE(IGNORE); END", undefined],
  ["CREATE TRIGGER after BEFORE INSERT ON t BEGIN SELECT RAISE(FAIL, 'no'); END", undefined],
  ["CREATE TRIGGER IF NOT EXISTS main.[after] INSERT ON t BEGIN SELECT RAISE(IGNORE); END", undefined],
  [
    'CREATE TRIGGER IF NOT EXISTS main."a ""b"" before" AFTER INSERT ON t BEGIN SELECT RAISE(FAIL, 1); END',
    "RAISE(FAIL)",
  ],
];

/** Whether a statement, by default a plain INSERT, does something that the index has not heard of. */
function isMissed(db: Db, statement = "INSERT INTO t (txt) VALUES ('x')"): boolean {
  try {
    db.exec(statement);
  } catch {
    // The statement is the user's; what counts is what stays.
  }
  const all = (sql: string) => JSON.stringify(rows(db, sql));
  return all("SELECT id, txt FROM t ORDER BY 1") !== all("SELECT rowid, c0 FROM _dv_s_fts ORDER BY 1");
}

describe("a trigger of the user that is newer than those of an index", () => {
  test.each(TRIGGERS)("%s is told apart by what SQLite makes of it: %s", (sql, stop) => {
    const db = open(...TABLES, ...ELSEWHERE);
    db.exec("INSERT INTO farther SELECT 'x' WHERE 0");
    ensure(db, definition);
    db.exec(sql);
    const problems = problemsIn(db, definition);
    expect(problems).toEqual(
      stop === undefined ? [] : [expect.stringContaining(`may stop a write by ${stop} and keep its row`)],
    );
    expect(isMissed(db)).toBe(stop !== undefined);
  });

  test.each(TRIGGERS)("%s does no harm once ours are newer", (sql) => {
    const db = open(...TABLES, ...ELSEWHERE);
    ensure(db, definition);
    db.exec(sql);
    ensure(db, definition);
    expect(problemsIn(db, definition)).toEqual([]);
    expect(inFrontOf(definition, installedIn(db, ["t"]))).toEqual([]);
    expect(isMissed(db)).toBe(false);
    ensure(db, definition);
    expect(rows(db, "PRAGMA integrity_check")).toEqual([["ok"]]);
  });

  test("that may end a delete or an update does no harm to vectors alone, which are noted before", () => {
    const vectors = definitionOf(
      searchIndex("s", sqliteTable("t", { id: integer().primaryKey(), v: vectorColumn(2) }), { vectors: { v: {} } }),
    );
    const ends = (event: string) => `CREATE TRIGGER own AFTER ${event} ON t BEGIN SELECT RAISE(FAIL, 'no'); END`;
    const noted = ["DELETE", "UPDATE", "INSERT"].map((event) => {
      const db = open("CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)", "INSERT INTO t VALUES (1, x'01')");
      ensure(db, vectors);
      db.exec(ends(event));
      const statements = {
        DELETE: "DELETE FROM t",
        UPDATE: "UPDATE t SET id = 2, v = NULL",
        INSERT: "INSERT INTO t VALUES (3, NULL)",
      };
      expect(() => db.exec(statements[event as keyof typeof statements])).toThrow("no");
      return [problemsIn(db, vectors).length, ...rows(db, "SELECT id FROM _dv_s_log WHERE seq > 1").flat()];
    });
    expect(noted).toEqual([[0, 1], [0, 1, 2], [1]]);
  });

  test("that cannot stop a write by itself lets ours be made anew, with the text as it is", () => {
    const db = open(...TABLES, "INSERT INTO t (txt) VALUES ('there before')");
    const installed = () => installedIn(db, ["t"]);
    for (const sql of planMigration({ wanted: [definition], installed: installed() }).after) db.exec(sql);
    db.exec(after("INSERT INTO audit VALUES (new.txt)"));
    expect(problemsIn(db, definition)).toEqual([]);
    expect(noticesOf([definition], installed())).toEqual([
      expect.stringContaining(
        "trigger own runs before those of index s, which miss a row that it fails on under OR FAIL",
      ),
    ]);
    const { before, after: then, changes } = planMigration({ wanted: [definition], installed: installed() });
    expect({ before, changes }).toEqual({ before: [], changes: ["run the triggers of index s before own"] });
    expect(then.filter((sql) => !/TRIGGER|IF NOT EXISTS "_dv_indexes"/.test(sql))).toEqual([]);
    for (const sql of then) db.exec(sql);
    expect(noticesOf([definition], installed())).toEqual([]);
    expect(() => db.exec("INSERT OR FAIL INTO t (txt) VALUES ('one'), ('one')")).toThrow("UNIQUE");
    expect(rows(db, "SELECT c0 FROM _dv_s_fts")).toEqual([["there before"], ["one"], ["one"]]);
  });
});

const ends = (on: string, body = "SELECT RAISE(FAIL, 'no')", name = "ends") =>
  `CREATE TRIGGER "${name}" AFTER ${on} BEGIN ${body}; END`;
const CASCADES = [
  "CREATE TABLE deletes (t INTEGER REFERENCES T ON DELETE CASCADE)",
  "CREATE TABLE nulls (x, t INTEGER CONSTRAINT f REFERENCES t (id) ON UPDATE NO ACTION ON DELETE SET NULL, y TEXT)",
  'CREATE TABLE "two parts" (t INTEGER, u INTEGER, FOREIGN KEY (t, u) REFERENCES "t" ("id", parent) ON DELETE CASCADE)',
  "CREATE UNIQUE INDEX pairs ON t (id, parent)",
  "CREATE TABLE restricts (t INTEGER REFERENCES t ON DELETE RESTRICT, x TEXT REFERENCES audit (txt) ON DELETE CASCADE)",
  "CREATE TABLE refuses (t INTEGER NOT NULL ON CONFLICT FAIL REFERENCES t ON DELETE SET NULL)",
  "CREATE TABLE middle (id INTEGER PRIMARY KEY, t INTEGER REFERENCES t ON DELETE CASCADE)",
  "CREATE TABLE far (t INTEGER REFERENCES middle ON DELETE CASCADE)",
];

/** Where rows refer to one of `t`, what is more, and by what the action of a foreign key ends the deletion of that row. */
const ACTIONS: [child: string, sql: string[], stop: string | undefined][] = [
  ["deletes", [ends("DELETE ON deletes")], "RAISE(FAIL) in trigger ends"],
  ["deletes", [ends("UPDATE ON deletes")], undefined],
  ["deletes", [ends("DELETE ON deletes", "SELECT RAISE(IGNORE)")], undefined],
  ["deletes", [ends("DELETE ON deletes", "SELECT RAISE(ABORT, 'no')")], undefined],
  ["deletes", [ends("DELETE ON deletes", "INSERT OR FAIL INTO audit VALUES ('twice')")], "OR FAIL in trigger ends"],
  ["deletes", [ends("DELETE ON deletes", "INSERT INTO strict VALUES ('twice')")], "ON CONFLICT FAIL in table strict"],
  ["nulls", [ends("UPDATE ON nulls")], "RAISE(FAIL) in trigger ends"],
  ["nulls", [ends("DELETE ON nulls")], undefined],
  // Where the action is an update, ABORT takes the place of every clause, down to the next DELETE.
  ["nulls", [ends("UPDATE ON nulls", "INSERT OR FAIL INTO audit VALUES ('twice')")], undefined],
  ["nulls", [ends("UPDATE ON nulls", "INSERT INTO strict VALUES ('twice')")], undefined],
  [
    "nulls",
    [
      "INSERT INTO farther VALUES ('x')",
      ends("UPDATE ON nulls", "DELETE FROM farther", "goes on"),
      ends("DELETE ON farther", "INSERT OR FAIL INTO audit VALUES ('twice')"),
    ],
    "OR FAIL in trigger ends",
  ],
  ["two parts", [ends('DELETE ON "two parts"')], "RAISE(FAIL) in trigger ends"],
  ["restricts", [ends("DELETE ON restricts")], undefined],
  ["refuses", [], undefined],
  ["middle", ["INSERT INTO far VALUES (7)", ends("DELETE ON far")], "RAISE(FAIL) in trigger ends"],
];

test.each(ACTIONS)("the action of a foreign key of %s, with %j, may end so: %s", (child, sql, stop) => {
  const db = open(...TABLES, ...CASCADES, "INSERT INTO t VALUES (1, 'x', 1)");
  const row = { "two parts": "(t, u) VALUES (1, 1)", middle: "(id, t) VALUES (7, 1)" }[child] ?? "(t) VALUES (1)";
  db.exec(`INSERT INTO "${child}" ${row}`);
  for (const statement of sql) db.exec(statement);
  ensure(db, definition);
  expect(problemsIn(db, definition)).toEqual(
    stop === undefined
      ? []
      : [
          `the action of a foreign key of ${child}, which runs before all triggers, may stop a write to t by ${stop} and keep it`,
        ],
  );
  expect(isMissed(db, "DELETE FROM t")).toBe(stop !== undefined);
});

test("SQLite runs the newest trigger first, after whatever becomes of the file", () => {
  const db = open("CREATE TABLE t (id INTEGER PRIMARY KEY, txt TEXT)", "CREATE TABLE ran (name TEXT)");
  const create = (name: string, on = "t") =>
    db.exec(`CREATE TRIGGER ${name} AFTER INSERT ON ${on} BEGIN INSERT INTO ran VALUES ('${name}'); END`);
  const order = (of = db, on = "t") => {
    of.exec(`DELETE FROM ran; INSERT INTO ${on} (txt) VALUES ('x')`);
    return rows(of, "SELECT name FROM ran").join(" ");
  };
  for (const name of ["m", "z", "a"]) create(name);
  expect(order()).toBe("a z m");
  db.exec("VACUUM");
  expect(order()).toBe("a z m");
  db.exec("ALTER TABLE t ADD COLUMN more; ALTER TABLE t RENAME COLUMN more TO less; ALTER TABLE t DROP COLUMN less");
  expect(order()).toBe("a z m");
  db.exec("ALTER TABLE t RENAME TO moved");
  expect(order(db, "moved")).toBe("a z m");
  expect(order(open(...(rows(db, "SELECT sql FROM sqlite_master ORDER BY rowid").flat() as string[])), "moved")).toBe(
    "a z m",
  );
  db.exec("BEGIN; DROP TRIGGER m");
  create("m", "moved");
  expect(order(db, "moved")).toBe("m a z");
  db.exec("ROLLBACK");
  expect(order(db, "moved")).toBe("a z m");
  db.exec("DROP TRIGGER z");
  create("z", "moved");
  expect(order(db, "moved")).toBe("z a m");
});
