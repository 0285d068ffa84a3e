import { vectorLiteral } from "../shapes.ts";
import { at, type Command, type Scene, together } from "./command.ts";

function triggersOfOurs({ connection }: Scene): [name: string, sql: string][] {
  return connection.client
    .prepare(
      "SELECT name, sql FROM sqlite_master WHERE name LIKE '\\_dv\\_ix\\_%' ESCAPE '\\' AND type = 'trigger' ORDER BY 1",
    )
    .raw()
    .all() as [string, string][];
}

/** DDL beside the index, on its table, and behind its back. */
export const schemaChanges = {
  otherTable: (s) => s.exec(s.a % 2 ? "CREATE TABLE IF NOT EXISTS other (x)" : "DROP TABLE IF EXISTS other"),
  addColumn: (s) =>
    s.a < 2 &&
    !hasColumn(s, `extra_${s.b}`) &&
    s.exec(`ALTER TABLE t ADD COLUMN extra_${s.b} ${s.b % 2 ? "TEXT DEFAULT 'x'" : "INTEGER"}`),
  dropColumn: (s) => s.a < 2 && hasColumn(s, `extra_${s.b}`) && s.exec(`ALTER TABLE t DROP COLUMN extra_${s.b}`),
  /**
   * A UNIQUE index that comes later makes REPLACE evict by it, so that the guards have to be made anew. It goes only once they
   * are: rows evicted by an index that came and went before anybody looked leave no trace.
   */
  unique: (s) => {
    const create = `CREATE UNIQUE INDEX IF NOT EXISTS later ON t (note) WHERE u > ${s.b}`;
    if (s.a % 3 === 0) return s.exec(create);
    if (s.world.isHealthy(s.connection.client)) s.exec("DROP INDEX IF EXISTS later");
  },
  /** drizzle-kit's way to change a column: a copy under a new name, without any trigger. */
  recreate: (s) => {
    const { client } = s.connection;
    if (s.a > 5 || client.inTransaction) return;
    const create = client
      .prepare("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 't'")
      .pluck()
      .get() as string;
    client.pragma("foreign_keys = OFF");
    try {
      together(s, [
        create.replace(/^CREATE TABLE ("?)t\1/, "CREATE TABLE __new_t"),
        "INSERT INTO __new_t SELECT * FROM t",
        "DROP TABLE t",
        "ALTER TABLE __new_t RENAME TO t",
      ]);
    } finally {
      client.pragma("foreign_keys = ON");
    }
    s.ask();
    s.exec(`UPDATE t SET v = ${vectorLiteral(s.shape, s.v)}, txt = 'red unseen' WHERE ${at(s.shape, s.b)}`);
    s.ask();
  },
  /** Something of ours is gone inside a transaction, rows change unseen, and all of it is taken back. */
  rolledBack: (s) => {
    const triggers = triggersOfOurs(s);
    const [name] = triggers[s.b % Math.max(1, triggers.length)] ?? [];
    s.exec("SAVEPOINT d");
    try {
      s.exec(name !== undefined && s.a % 3 ? `DROP TRIGGER "${name}"` : "ALTER TABLE t ADD COLUMN undone INTEGER");
      s.ask();
      s.exec(`UPDATE t SET v = ${vectorLiteral(s.shape, s.v)}, txt = 'blue unseen' WHERE ${at(s.shape, s.a)}`);
      s.ask();
    } finally {
      if (s.connection.client.inTransaction) s.exec("ROLLBACK TO d; RELEASE d");
    }
    s.ask();
  },
  /**
   * A trigger is away while vectors change, and then as it was: nothing but the number of the schema tells, so that only what
   * lives in memory can notice. Text would stay wrong, as would vectors in chunks; so the text stays as it is, which triggers of
   * the user could change.
   */
  unlogged: (s) => {
    if (s.shape.late || s.shape.create.some((sql) => sql.startsWith("CREATE TRIGGER"))) return;
    const triggers = triggersOfOurs(s);
    s.world.wasUnlogged = true;
    together(s, [
      ...triggers.map(([name]) => `DROP TRIGGER "${name}"`),
      `UPDATE t SET v = ${vectorLiteral(s.shape, s.v)}`,
      ...triggers.map(([, sql]) => sql),
    ]);
  },
  /** Somebody cuts the log at either end, alters or clears it, or says that every row may differ. */
  cutLog: (s) => {
    if (s.a === 1) return s.exec(`DELETE FROM _dv_ix_log WHERE seq > (SELECT max(seq) FROM _dv_ix_log) - ${s.b}`);
    if (s.a === 2) return s.exec(`UPDATE _dv_ix_log SET id = ${s.b} WHERE seq % 2 = 1`);
    if (s.a > 5) return s.exec(`DELETE FROM _dv_ix_log WHERE seq < (SELECT max(seq) FROM _dv_ix_log) - ${s.b}`);
    return s.exec(s.a === 0 ? "DELETE FROM _dv_ix_log" : "INSERT INTO _dv_ix_log (id) VALUES (NULL)");
  },
} satisfies Record<string, Command>;

function hasColumn({ connection: { client } }: Scene, name: string): boolean {
  return client.prepare("SELECT 1 FROM pragma_table_info('t') WHERE name = ?").get(name) !== undefined;
}
