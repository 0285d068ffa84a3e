import { dropSearchIndex, ensureSearchIndexes, searchIndex } from "../../../src/index.ts";
import { ask } from "../questions.ts";
import { type Shape, vectorLiteral } from "../shapes.ts";
import { at, type Command, into, row, type Scene, together } from "./command.ts";

const SETTINGS = [
  "recursive_triggers = ON",
  "recursive_triggers = OFF",
  "reverse_unordered_selects = ON",
  "reverse_unordered_selects = OFF",
  "case_sensitive_like = ON",
  "case_sensitive_like = OFF",
  "cache_size = 5",
  "cache_size = -2000",
  "trusted_schema = OFF",
  "cell_size_check = ON",
  "full_column_names = ON",
  "full_column_names = OFF",
  "short_column_names = OFF",
  "short_column_names = ON",
  "defer_foreign_keys = ON",
  "foreign_keys = OFF",
  "foreign_keys = ON",
  "automatic_index = OFF",

  "mmap_size = 1000000",
  "journal_size_limit = 0",
  "legacy_alter_table = OFF",
  "secure_delete = ON",
  "optimize",
  "shrink_memory",
  "incremental_vacuum",
];

/** A table of ours must never be what a statement fails on. */
function refused(s: Scene, sql: string, reason: RegExp): void {
  try {
    s.exec(sql);
  } catch (error) {
    if (!reason.test((error as Error).message)) throw error;
    return;
  }
  throw new Error(`nothing refused ${sql}`);
}

const isInteger = ({ keyColumns, columns }: { keyColumns: readonly string[]; columns: string }) =>
  keyColumns.length === 1 && columns.includes("INTEGER PRIMARY KEY");

/** What people write less often, and what programs do to a database without being asked. */
export const rarities = {
  setting: (s) => void s.connection.client.pragma(SETTINGS[(s.a * 12 + s.b) % SETTINGS.length]!),
  reindex: (s) =>
    s.exec(["REINDEX", "REINDEX t", "ANALYZE", "ANALYZE t", "DROP TABLE IF EXISTS sqlite_stat1"][s.a % 5]!),
  pageSize: (s) => {
    const { client } = s.connection;
    if (s.a > 1 || client.inTransaction) return;
    client.pragma(`auto_vacuum = ${["NONE", "FULL", "INCREMENTAL"][s.b % 3]}`);
    client.pragma(`page_size = ${[512, 1024, 4096, 8192][s.v % 4]}`);
    s.exec("VACUUM");
  },
  /** Rows that are copied from rows, in one statement, over the rows they are read from. */
  copyRows: (s) => {
    const columns = "u, p, txt, note, v";
    const key = s.shape.keyColumns.map((column, i) => (i === 0 ? moved(s, column) : column)).join(", ");
    s.exec(
      `INSERT OR ${["REPLACE", "IGNORE"][s.v % 2]} INTO t (${s.shape.keyColumns}, ${columns}) SELECT ${key}, u + 1, p, note, txt, v FROM t WHERE u < ${s.b} ORDER BY u DESC`,
    );
  },
  /** Every key moves at once, onto keys that other rows have had. */
  shiftKeys: (s) => {
    const [key] = s.shape.keyColumns;
    s.exec(
      `UPDATE OR ${["REPLACE", "IGNORE", "ABORT", "FAIL"][s.v % 4]} t SET ${key} = ${moved(s, key!)} WHERE u < ${s.b * 2}`,
    );
  },
  updateFrom: (s) =>
    s.exec(
      `UPDATE OR IGNORE t SET v = o.v, txt = o.note || ' copied', u = o.u + ${s.a} FROM t AS o WHERE o.u = t.u - 1 AND t.u < 50`,
    ),
  updateRow: (s) =>
    s.exec(
      `UPDATE t SET (v, txt, note) = (SELECT v, note, txt FROM t AS o WHERE o.u = ${s.b}) WHERE ${at(s.shape, s.a)}`,
    ),
  deleteBy: (s) =>
    s.exec(`WITH some AS (SELECT u FROM t WHERE u < 50 ORDER BY txt LIMIT ${s.a % 4}) DELETE FROM t WHERE u IN some`),
  returning: (s) => {
    const { client, db: _ } = s.connection;
    client.prepare(`INSERT OR REPLACE ${into(s.shape)} ${row(s)} RETURNING *`).all();
    client.prepare(`DELETE FROM t WHERE ${at(s.shape, s.b)} RETURNING txt`).all();
  },
  upsertTwice: (s) =>
    s.exec(
      `INSERT ${into(s.shape)} ${row(s)}, ${row(s)} ON CONFLICT (u) DO UPDATE SET txt = excluded.txt, v = NULL WHERE ${s.v % 2} ON CONFLICT DO UPDATE SET v = excluded.v, note = txt`,
    ),
  /** Through a view of the user, which exists only meanwhile: a recreate would fail over it. */
  view: (s) =>
    together(s, [
      "CREATE VIEW seen AS SELECT * FROM t",
      `CREATE TRIGGER seen_delete INSTEAD OF DELETE ON seen BEGIN DELETE FROM t WHERE u = old.u; END`,
      `CREATE TRIGGER seen_update INSTEAD OF UPDATE ON seen BEGIN UPDATE t SET txt = new.txt, v = ${vectorLiteral(s.shape, s.v)} WHERE u = old.u; END`,
      `UPDATE seen SET txt = 'red seen' WHERE u = ${s.a}`,
      `DELETE FROM seen WHERE u = ${s.b}`,
      "DROP VIEW seen",
    ]),
  /** A view of this connection alone in the place of the table, as who may see some rows only would have it. */
  hidden: (s) => {
    try {
      s.exec(`CREATE TEMP VIEW t AS SELECT * FROM main.t WHERE u < ${s.a * 2}`);
      ask({ ...s.world, isHealthy: () => false, count: () => {} } as any, s.connection, s);
    } finally {
      s.exec("DROP VIEW IF EXISTS temp.t");
    }
    s.ask();
  },
  /**
   * A trigger of this connection alone, that writes more rows. Not where a trigger of the user's may end those writes, and the temporary
   * one with them: what that keeps from texts nothing can follow.
   */
  temporaryTrigger: (s) => {
    if (s.shape.create.some((sql) => sql.startsWith("CREATE TRIGGER"))) return;
    try {
      s.exec(
        `CREATE TEMP TRIGGER IF NOT EXISTS mine AFTER UPDATE OF txt ON main.t WHEN new.u = ${s.a} AND new.txt NOT LIKE 'blue%' BEGIN UPDATE t SET v = ${vectorLiteral(s.shape, s.v)}, txt = 'blue mine' WHERE u = ${s.b}; DELETE FROM t WHERE u = ${s.b + 1}; END`,
      );
      s.exec(`UPDATE t SET txt = 'red ' || u WHERE u = ${s.a}`);
      s.ask();
    } finally {
      s.exec("DROP TRIGGER IF EXISTS temp.mine");
    }
  },
  /** One that ends an update behind which the row stays: SQLite runs it before all others, and vectors are followed all the same. */
  temporaryEnd: (s) => {
    const end = ["RAISE(FAIL, 'no')", "RAISE(IGNORE)"][s.v % 2];
    s.exec(
      `CREATE TEMP TRIGGER IF NOT EXISTS ends AFTER UPDATE OF v ON main.t WHEN new.u > ${s.a} BEGIN SELECT ${end}; END`,
    );
    try {
      s.exec(`UPDATE t SET v = ${vectorLiteral(s.shape, s.v)} WHERE u >= ${s.b} AND u < 50`);
    } catch (error) {
      if ((error as Error).message !== "no") throw error;
    } finally {
      s.exec("DROP TRIGGER IF EXISTS temp.ends");
    }
    s.ask();
  },
  /** A trigger of the user that refuses, before or after ours has run. */
  raise: (s) => {
    const kind = ["ABORT, 'no'", "ROLLBACK, 'no'", "FAIL, 'no'", "IGNORE"][s.v % 4]!;
    const isAfter = s.a % 2 === 1;
    const end = () => s.exec("DROP TRIGGER IF EXISTS raises");
    s.exec(
      `CREATE TRIGGER raises ${isAfter ? "AFTER" : "BEFORE"} UPDATE ON t WHEN new.u = ${s.b} BEGIN SELECT RAISE(${kind}); END`,
    );
    if (s.v % 4 < 2 || !isAfter) {
      try {
        s.exec(`UPDATE t SET txt = 'green', v = ${vectorLiteral(s.shape, s.v)} WHERE u >= ${s.b - 1} AND u < 50`);
      } finally {
        end();
      }
      return;
    }
    // Of a row that stays ours hear nothing, as they are older. That is known as long as the trigger is there, and healed by ensure.
    const inFront = { ...s.world, isHealthy: () => false, count: () => {} } as any;
    try {
      s.exec(`UPDATE t SET txt = 'green', v = ${vectorLiteral(s.shape, s.v)} WHERE u >= ${s.b - 1} AND u < 50`);
    } catch (error) {
      if ((error as Error).message !== "no") throw error;
    } finally {
      try {
        ask(inFront, s.connection, s);
        ensureSearchIndexes(s.connection.db, [s.shape.index]);
      } finally {
        end();
      }
    }
    s.world.noteHealth(s.connection.client);
  },
  /** Columns and the table under other names for a moment: triggers and UNIQUE indexes are rewritten by SQLite, and back. */
  rename: (s) => {
    if (s.connection.client.inTransaction || s.shape.create.some((sql) => sql.startsWith("CREATE TRIGGER"))) return;
    const column = ["p", "u", "note", "v"][s.a % 4]!;
    together(s, [
      `ALTER TABLE t RENAME COLUMN ${column} TO other_name`,
      `UPDATE t SET other_name = other_name WHERE ${at(s.shape, s.b)}`,
      `ALTER TABLE t RENAME COLUMN other_name TO ${column}`,
    ]);
    s.ask();
    together(s, [
      "ALTER TABLE t RENAME TO away",
      `UPDATE away SET txt = 'red away', v = ${vectorLiteral(s.shape, s.v)} WHERE ${at(s.shape, s.b)}`,
      "ALTER TABLE away RENAME TO t",
    ]);
  },
  /** An indexed column cannot go while the index is there, and nothing has changed. */
  dropIndexed: (s) => {
    // SQLite up to 3.53 goes on without the column for the rest of a transaction in which it has refused to drop it.
    if (s.world.isHealthy(s.connection.client) && !s.connection.client.inTransaction)
      refused(s, `ALTER TABLE t DROP COLUMN ${["v", "txt", "note"][s.a % 3]}`, /trigger|index|locked/i);
  },
  /** Other indexes on the table: on an expression, in part, by another collation. Duplicates may forbid them. */
  indexes: (s) => {
    const unique = ["", "UNIQUE ", ""][s.v % 3];
    if (s.a % 3 === 0 && s.world.isHealthy(s.connection.client)) {
      s.exec("DROP INDEX IF EXISTS i0; DROP INDEX IF EXISTS i1; DROP INDEX IF EXISTS i2");
      return;
    }
    const on = ["lower(note), u", `u) WHERE ("t"."txt" IS NOT NULL`, "note COLLATE RTRIM, u % 7"][s.b % 3]!;
    s.exec(`CREATE ${unique}INDEX IF NOT EXISTS i${s.b % 3} ON t (${on})`);
  },
  /** Migrations of the index itself: without its vectors, without its text, with other words, and back. */
  redeclare: async (s) => {
    if (s.a > 4 || s.connection.client.inTransaction) return;
    const { world, shape, connection } = s;
    const { db } = connection;
    const other = declaredOtherwise(shape, s.b);
    try {
      if (s.v % 3 === 0) dropSearchIndex(db, "ix");
      else ensureSearchIndexes(db, [other]);
      s.exec(`UPDATE t SET txt = 'walking red', v = ${vectorLiteral(shape, s.v)} WHERE ${at(shape, s.b)}`);
      if (s.b % 3 === 0) ask({ ...world, shape, isHealthy: () => false, count: () => {} } as any, connection, s);
    } finally {
      ensureSearchIndexes(db, [shape.index]);
      world.noteHealth(connection.client);
    }
  },
  journal: (s) => {
    const { client } = s.connection;
    if (s.a > 2 || s.world.connections.length > 1 || client.inTransaction) return;
    client.pragma(`journal_mode = ${["delete", "truncate", "persist", "memory", "wal"][s.b % 5]}`);
  },
  noise: (s) => s.shape.noiseRows > 0 && s.world.addNoise(s.connection.client, 100 + s.a * 7 + s.b, 20),
} satisfies Record<string, Command>;

function moved({ a, shape }: Scene, column: string): string {
  const isNumber = isInteger({ keyColumns: shape.keyColumns, columns: shape.create.join() }) || column === "b";
  if (!isNumber) return `${column} || '${"+".repeat(a % 3)}'`;
  return [`${column} + 1`, `-${column}`, `${column} / 2`, `coalesce(u, ${column})`][a % 4]!;
}

function declaredOtherwise({ table, metric, isApproximate }: Shape, n: number): any {
  const vectors = { v: { metric, ...(isApproximate ? { exact: false } : {}) } };
  const declared = [
    { text: { txt: 3, note: 1 } },
    { vectors },
    { text: { txt: 1 }, vectors },
    { text: { note: 1, txt: 2 }, tokenizer: "trigram", vectors },
  ][n % 4]!;
  return searchIndex("ix", table, declared as any);
}
