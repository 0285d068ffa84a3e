import Database from "better-sqlite3";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { IndexDefinition } from "../../src/migration/definition.ts";
import { type Identity, identityOf } from "../../src/migration/identity.ts";
import { findTable } from "../../src/migration/installed.ts";
import { type Db, ensure, installedIn, open, rows } from "./database.ts";

/**
 * Random statements against a table with every kind of UNIQUE index; after each of them the text index must equal the table,
 * the log must name every id whose row came, went or changed its vector, and table and error must be those of a database
 * with triggers that do nothing in place of ours. The oracle is a plain SELECT before and after.
 */
interface Shape {
  readonly title: string;
  readonly create: readonly string[];
  /** Created after our triggers, so that they run in another order. */
  readonly late?: readonly string[];
  readonly key: IndexDefinition["key"];
  /** Columns that statements set, the key's among them. */
  readonly columns: readonly string[];
  /** What an UPSERT can name. */
  readonly targets: readonly string[];
  /**
   * Whether a trigger of the user that is newer than ours can fail. Under OR FAIL the row then stays, and SQLite runs no further
   * trigger, ours included: so ours are made anew when something of the index is repaired.
   */
  readonly canFail?: boolean;
  /** Whether updates and deletes may be ended when ours have yet to run: vectors are followed all the same, texts are not. */
  readonly isEndedFirst?: boolean;
}

const ROWID = { columns: ["id"], isRowid: true };
const NORMALISE =
  "CREATE TRIGGER own_a AFTER INSERT ON t BEGIN UPDATE t SET txt = upper(txt) WHERE id = new.id AND txt = 'ab'; END";
const NORMALISE_UPDATE =
  "CREATE TRIGGER own_b AFTER UPDATE ON t WHEN new.txt = 'b' BEGIN UPDATE t SET txt = 'a', v = x'03' WHERE id = new.id; END";

/** Triggers of the user that end statements of which rows stay, before and after a write. */
const ENDING = [
  "CREATE TRIGGER ends_a AFTER INSERT ON t WHEN new.txt = 'b' BEGIN SELECT RAISE(FAIL, 'no'); END",
  "CREATE TRIGGER ends_b AFTER UPDATE ON t WHEN new.txt = 'A' BEGIN SELECT RAISE(IGNORE); END",
  "CREATE TRIGGER ends_c AFTER UPDATE ON t WHEN new.u = 'a' BEGIN SELECT RAISE(FAIL, 'no'); END",
  "CREATE TRIGGER ends_d AFTER DELETE ON t WHEN old.txt = 'ab' BEGIN SELECT RAISE(FAIL, 'no'); END",
  "CREATE TRIGGER ends_e AFTER DELETE ON t WHEN old.u = 'b' BEGIN SELECT RAISE(IGNORE); END",
  "CREATE TRIGGER ends_f AFTER INSERT ON t WHEN new.u = 'ab' BEGIN SELECT RAISE(IGNORE); END",
  "CREATE TRIGGER ends_g BEFORE INSERT ON t WHEN new.u = 'B' BEGIN SELECT RAISE(FAIL, 'no'); END",
  "CREATE TRIGGER ends_h BEFORE UPDATE ON t WHEN new.txt = 'B' BEGIN SELECT RAISE(IGNORE); END",
  "CREATE TRIGGER ends_i BEFORE DELETE ON t WHEN old.txt = 'B' BEGIN SELECT RAISE(FAIL, 'no'); END",
];

/** The same, newer than ours or temporary, which SQLite runs before all others; one fails only under the OR FAIL of a statement. */
const ENDING_FIRST = [
  "CREATE TABLE audit (txt TEXT UNIQUE)",
  "CREATE TRIGGER own_c AFTER UPDATE ON t BEGIN INSERT INTO audit VALUES (new.txt); END",
  ...ENDING.filter((sql) => /AFTER (UPDATE|DELETE)/.test(sql)),
  "CREATE TEMP TRIGGER ends_j AFTER UPDATE ON t WHEN new.u = 'B' BEGIN SELECT RAISE(FAIL, 'no'); END",
  "CREATE TEMP TRIGGER ends_k AFTER DELETE ON t WHEN old.p > 2 BEGIN SELECT RAISE(IGNORE); END",
];

const SHAPES: Shape[] = [
  {
    title: "an integer key and UNIQUE of every kind",
    create: [
      "CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE COLLATE NOCASE, p INTEGER, q INTEGER, txt TEXT COLLATE NOCASE, v BLOB, UNIQUE (p, q))",
      `CREATE UNIQUE INDEX partial ON t (p) WHERE "t"."txt" = 'a' AND t.q IS NOT NULL`,
      "CREATE UNIQUE INDEX lowered ON t (lower(u) DESC, coalesce(q, 0)) WHERE p > 1",
    ],
    key: ROWID,
    columns: ["id", "u", "p", "q", "txt", "v", "rowid"],
    targets: ["id", "u", "p, q"],
  },
  {
    title: "UNIQUE ON CONFLICT REPLACE, self cascades and triggers of the user before ours",
    create: [
      "CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE ON CONFLICT REPLACE, p INTEGER REFERENCES t (id) ON DELETE CASCADE ON UPDATE CASCADE, txt TEXT, v BLOB)",
      NORMALISE,
      NORMALISE_UPDATE,
    ],
    key: ROWID,
    columns: ["id", "u", "p", "txt", "v"],
    targets: ["id", "u"],
  },
  {
    title: "triggers of the user after ours, ON DELETE SET NULL on a UNIQUE column",
    create: [
      "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, u TEXT UNIQUE, p INTEGER UNIQUE REFERENCES t (id) ON DELETE SET NULL, txt TEXT, v BLOB)",
    ],
    late: [
      NORMALISE,
      NORMALISE_UPDATE,
      "CREATE TRIGGER own_c AFTER DELETE ON t WHEN old.txt = 'A' BEGIN INSERT OR IGNORE INTO t (id, txt, v) VALUES (old.id, 'again', x'04'); END",
    ],
    key: ROWID,
    columns: ["id", "u", "p", "txt", "v"],
    targets: ["id", "u", "p"],
  },
  {
    title: "a NOCASE text key named id, and columns that are named as ours are",
    create: [
      "CREATE TABLE t (id TEXT PRIMARY KEY COLLATE NOCASE, k0 TEXT, r INTEGER UNIQUE, txt TEXT, v BLOB)",
      "CREATE UNIQUE INDEX lowered ON t (lower(k0)) WHERE id IS NOT NULL",
    ],
    key: { columns: ["id"], isRowid: false },
    columns: ["id", "k0", "r", "txt", "v"],
    targets: ["id", "r"],
  },
  {
    title: "a text key that triggers of the user rewrite, before and after ours",
    create: [
      "CREATE TABLE t (id TEXT PRIMARY KEY, u TEXT UNIQUE, txt TEXT, v BLOB)",
      "CREATE TRIGGER own_a AFTER INSERT ON t WHEN new.id = 'A' BEGIN UPDATE OR REPLACE t SET id = 'b', txt = 'moved' WHERE id = 'A'; END",
    ],
    late: [
      "CREATE TRIGGER own_b AFTER UPDATE ON t WHEN new.id = 'ab' BEGIN UPDATE OR IGNORE t SET id = 'a', v = x'05' WHERE id = 'ab'; END",
      "CREATE TRIGGER own_c AFTER DELETE ON t WHEN old.txt = 'B' BEGIN INSERT OR IGNORE INTO t (id, txt, v) VALUES (old.id, 'again', x'04'); END",
    ],
    key: { columns: ["id"], isRowid: false },
    columns: ["id", "u", "txt", "v"],
    targets: ["id", "u"],
    canFail: true,
  },
  {
    title: "triggers of the user that fail or ignore what stays, and others that fail under OR FAIL",
    create: [
      "CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE, p INTEGER UNIQUE, txt TEXT, v BLOB)",
      "CREATE TABLE audit (txt TEXT UNIQUE)",
      "CREATE TRIGGER own_a AFTER INSERT ON t BEGIN INSERT INTO audit VALUES (new.txt); END",
      "CREATE TRIGGER own_b AFTER UPDATE OF p ON t BEGIN UPDATE t SET txt = 'a', v = x'05' WHERE id = new.id; DELETE FROM audit; END",
      ...ENDING,
    ],
    key: ROWID,
    columns: ["id", "u", "p", "txt", "v", "rowid"],
    targets: ["id", "u", "p"],
  },
  {
    title: "updates and deletes that triggers of the user end before ours run: vectors",
    create: ["CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE, p INTEGER UNIQUE, txt TEXT, v BLOB)"],
    late: [NORMALISE_UPDATE, ...ENDING_FIRST],
    key: ROWID,
    columns: ["id", "u", "p", "txt", "v", "rowid"],
    targets: ["id", "u", "p"],
    isEndedFirst: true,
  },
  {
    title: "a generated vector, and updates and deletes that triggers of the user end before ours run",
    create: [
      "CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE, p INTEGER, txt TEXT, raw BLOB, v BLOB AS (CASE WHEN p > 2 THEN raw END) STORED)",
      "CREATE TRIGGER own_d BEFORE UPDATE ON t WHEN new.txt = 'A' BEGIN UPDATE t SET p = 3 WHERE id = old.id; END",
    ],
    late: ENDING_FIRST,
    key: ROWID,
    columns: ["id", "u", "p", "txt", "raw"],
    targets: ["id", "u"],
    isEndedFirst: true,
  },
  {
    title: "a text key, and triggers of the user that fail or ignore what stays",
    create: ["CREATE TABLE t (id TEXT PRIMARY KEY COLLATE NOCASE, u TEXT UNIQUE, txt TEXT, v BLOB)", ...ENDING],
    key: { columns: ["id"], isRowid: false },
    columns: ["id", "u", "txt", "v"],
    targets: ["id", "u"],
  },
  {
    title: "a composite key WITHOUT ROWID",
    create: [
      "CREATE TABLE t (txt TEXT, v BLOB, b INTEGER NOT NULL, a TEXT NOT NULL, u TEXT UNIQUE, PRIMARY KEY (a COLLATE NOCASE, b)) WITHOUT ROWID",
    ],
    key: { columns: ["a", "b"], isRowid: false },
    columns: ["a", "b", "u", "txt", "v"],
    targets: ["u"],
  },
  {
    title: "UNIQUE columns that have a default instead of NULL",
    create: [
      "CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT NOT NULL DEFAULT a UNIQUE COLLATE NOCASE, p INTEGER NOT NULL ON CONFLICT REPLACE DEFAULT (1 + 1), txt TEXT NOT NULL DEFAULT 'b', v BLOB NOT NULL DEFAULT x'01')",
      "CREATE UNIQUE INDEX pairs ON t (p, lower(txt)) WHERE p > 1",
    ],
    key: ROWID,
    columns: ["id", "u", "p", "txt", "v"],
    targets: ["id", "u"],
  },
  {
    title: "a generated column that is UNIQUE",
    create: [
      "CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT, p INTEGER, g TEXT AS (u || p) STORED UNIQUE, h TEXT AS (lower(txt)) VIRTUAL UNIQUE, txt TEXT, v BLOB)",
    ],
    key: ROWID,
    columns: ["id", "u", "p", "txt", "v"],
    targets: ["id", "g"],
  },
];

const INTEGERS = ["1", "2", "3", "4", "NULL"];
const TEXTS = ["'a'", "'A'", "'b'", "'ab'", "'B'", "NULL"];
const BLOBS = ["x'01'", "x'02'", "NULL"];
const literalOf = (column: string) =>
  fc.constantFrom(
    ...(column === "v" || column === "raw" ? BLOBS : /^(id|p|q|r|b|rowid)$/.test(column) ? INTEGERS : TEXTS),
  );
const CLAUSES = ["", "OR REPLACE", "OR REPLACE", "OR IGNORE", "OR FAIL", "OR ABORT", "OR ROLLBACK"];

function statementsOf({ columns, targets, create, canFail }: Shape): fc.Arbitrary<string> {
  const isTextKey = create[0]!.includes("id TEXT");
  const value = (column: string) =>
    column === "id" && isTextKey ? fc.constantFrom(...TEXTS.slice(0, 4)) : literalOf(column);
  const stored = columns.filter((column) => column !== "rowid");
  const row = fc.tuple(...stored.map(value)).map((values) => `(${values.join(", ")})`);
  const tuples = fc.array(row, { minLength: 1, maxLength: 3 }).map((all) => all.join(", "));
  const clause = fc.constantFrom(...CLAUSES.filter((or) => or !== "OR FAIL" || !canFail));
  const sets = fc
    .uniqueArray(fc.constantFrom(...columns), { minLength: 1, maxLength: 3 })
    .filter((names) => !(names.includes("id") && names.includes("rowid")))
    .chain((names) => fc.tuple(...names.map((name) => value(name).map((to) => `${name} = ${to}`))))
    .map((all) => all.join(", "));
  const where = fc
    .constantFrom(...stored)
    .chain((column) => value(column).map((to) => `${column} IS ${to}`))
    .chain((condition) => fc.constantFrom(condition, condition, "true"));
  const into = `INTO t (${stored.join(", ")}) VALUES`;
  return fc.oneof(
    { weight: 5, arbitrary: fc.tuple(clause, tuples).map(([or, all]) => `INSERT ${or} ${into} ${all}`) },
    {
      weight: 5,
      arbitrary: fc.tuple(clause, sets, where).map(([or, to, on]) => `UPDATE ${or} t SET ${to} WHERE ${on}`),
    },
    { weight: 2, arbitrary: where.map((on) => `DELETE FROM t WHERE ${on}`) },
    {
      weight: 4,
      arbitrary: fc
        .tuple(clause, row, fc.constantFrom(...targets), sets, fc.boolean())
        .map(([or, all, target, to, isNothing]) =>
          isNothing
            ? `INSERT ${or} ${into} ${all} ON CONFLICT DO NOTHING`
            : `INSERT ${or} ${into} ${all} ON CONFLICT (${target}) DO UPDATE SET ${to}`,
        ),
    },
  );
}

/** With recursive_triggers on, REPLACE checks UNIQUE once more as soon as a table has any trigger at all, and may refuse. */
const IDLE = ["BEFORE INSERT", "AFTER INSERT", "BEFORE UPDATE", "AFTER UPDATE", "AFTER DELETE"].map(
  (event, i) => `CREATE TRIGGER idle_${i} ${event} ON t BEGIN SELECT 1; END`,
);

const TEXT = { columns: [{ column: "txt", weight: 1 }], tokenizer: "unicode61" };
const VECTORS = [{ column: "v", dimensions: 8, element: "bit", metric: "hamming", exact: true } as const];

describe.each(SHAPES)("$title", (shape) => {
  test.each([0, 1])(
    "13, 14, 18: every statement is followed, with recursive_triggers = %i",
    (recursive) => {
      const both: IndexDefinition = { name: "both", table: "t", key: shape.key, text: TEXT, vectors: VECTORS };
      const words: IndexDefinition = { ...both, name: "words", vectors: [] };
      const codes: IndexDefinition = { ...both, name: "codes", text: null };
      const made = open(...shape.create);
      // A definition that only the database can tell from a declaration: the vector column is in two indexes.
      for (const definition of [both, words, codes]) ensure(made, definition);
      const table = findTable(installedIn(made, ["t"]), "t")!;
      const ids = { both: identityOf(both, table), words: identityOf(words, table), codes: identityOf(codes, table) };
      const again = copies(made, recursive, shape.late);
      const bare = copies(open(...shape.create, ...IDLE), recursive, shape.late);
      fc.assert(
        fc.property(fc.array(statementsOf(shape), { minLength: 1, maxLength: 14 }), (statements) => {
          const [db, plain] = [again(), bare()];
          for (const sql of statements) {
            const before = { both: stateOf(db, both, ids.both), codes: stateOf(db, codes, ids.codes) };
            expect(outcome(db, sql)).toEqual(outcome(plain, sql));
            expectFollowed(db, both, before.both, stateOf(db, both, ids.both));
            expectFollowed(db, codes, before.codes, stateOf(db, codes, ids.codes));
            if (shape.isEndedFirst) continue;
            expectText(db, both, ids.both);
            expectText(db, words, ids.words);
          }
          db.close();
          plain.close();
        }),
        { numRuns: 60, seed: 11 },
      );
    },
    60_000,
  );
});

/** Databases as the given one is, one after the other; triggers of the user that come later are created in each. */
function copies(made: Db, recursive: number, late: readonly string[] = []): () => Db {
  const bytes = made.serialize();
  return () => {
    const db = new Database(bytes);
    db.pragma(`recursive_triggers = ${recursive}`);
    for (const sql of late) db.exec(sql);
    return db;
  };
}

/** What a statement does as the user sees it: its error, and the table afterwards. */
function outcome(db: Db, sql: string): unknown {
  let error = "";
  try {
    db.exec(sql);
  } catch (caught) {
    error = (caught as Error).message;
  }
  return { error, rows: rows(db, "SELECT * FROM t ORDER BY 1, 2, 3") };
}

interface State {
  readonly vectors: ReadonlyMap<unknown, string>;
  readonly seq: number;
}

function stateOf(db: Db, definition: IndexDefinition, { id, rows: from }: Identity): State {
  return {
    vectors: new Map(rows(db, `SELECT ${id}, quote(r.v) FROM ${from}`) as [unknown, string][]),
    seq: db.prepare(`SELECT max(seq) FROM _dv_${definition.name}_log`).pluck().get() as number,
  };
}

function expectFollowed(db: Db, definition: IndexDefinition, before: State, after: State): void {
  const noted = new Set(db.prepare(`SELECT id FROM _dv_${definition.name}_log WHERE seq > ?`).pluck().all(before.seq));
  const ids = new Set([...before.vectors.keys(), ...after.vectors.keys()]);
  const missed = [...ids].filter((id) => before.vectors.get(id) !== after.vectors.get(id) && !noted.has(id));
  expect(missed).toEqual([]);
  expect(noted.has(null)).toBe(false);
  if (!definition.key.isRowid) {
    const whole = definition.key.columns.map((column) => `${column} IS NOT NULL`).join(" AND ");
    expect(after.vectors.size).toBe(db.prepare(`SELECT count(*) FROM t WHERE ${whole}`).pluck().get());
    expect(db.prepare(`SELECT count(*) FROM _dv_${definition.name}_keys`).pluck().get()).toBe(after.vectors.size);
  }
}

function expectText(db: Db, definition: IndexDefinition, { id, rows: from }: Identity): void {
  const fts = `_dv_${definition.name}_fts`;
  const indexed = rows(db, `SELECT rowid, c0 FROM ${fts} ORDER BY 1`);
  expect(indexed).toEqual(rows(db, `SELECT ${id}, r.txt FROM ${from} ORDER BY 1`));
  db.exec(`INSERT INTO ${fts} (${fts}) VALUES ('integrity-check')`);
}
