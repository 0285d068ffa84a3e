import { textLiteral, vectorLiteral } from "../shapes.ts";
import { at, type Command, into, row, setKey, together } from "./command.ts";

const OR = ["IGNORE", "FAIL", "ABORT", "ROLLBACK", "REPLACE"];

/** Statements over rows: every way SQLite has to write, replace, move and remove one. */
export const writes = {
  insert: (s) => s.exec(`INSERT ${into(s.shape)} ${row(s)}`),
  replace: (s) => s.exec(`INSERT OR REPLACE ${into(s.shape)} ${row(s)}`),
  /** Two rows at once, of which the second may fail: each clause keeps, skips or undoes another part. */
  insertOr: (s) => s.exec(`INSERT OR ${OR[s.a % 5]} ${into(s.shape)} ${row(s)}, ${row({ ...s, b: s.a }, s.b)}`),
  upsert: (s) => {
    const to = [
      "DO UPDATE SET v = excluded.v",
      "DO UPDATE SET txt = excluded.txt, u = excluded.u",
      "DO UPDATE SET p = excluded.p",
      "DO NOTHING",
    ][s.v % 4];
    s.exec(`INSERT ${into(s.shape)} ${row(s)} ON CONFLICT (${s.v % 3 ? s.shape.keyColumns : "u"}) ${to}`);
  },
  update: (s) => s.exec(`UPDATE t SET v = ${vectorLiteral(s.shape, s.v)} WHERE ${at(s.shape, s.a)}`),
  updateText: (s) => s.exec(`UPDATE t SET txt = ${textLiteral(s.v)} WHERE ${at(s.shape, s.a)} OR u = ${s.b}`),
  updateAll: (s) =>
    s.exec(`UPDATE OR ${OR[s.a % 5]} t SET v = ${vectorLiteral(s.shape, s.v)}, u = u + 1 WHERE u > ${s.b}`),
  updateUnique: (s) => s.exec(`UPDATE OR ${OR[s.v % 5]} t SET u = ${s.b} WHERE ${at(s.shape, s.a)}`),
  moveKey: (s) => s.exec(`UPDATE OR ${OR[s.v % 5]} t SET ${setKey(s.shape, s.b)} WHERE ${at(s.shape, s.a)}`),
  setRowid: (s) =>
    s.shape.hasRowid &&
    s.exec(`UPDATE OR ${s.v % 2 ? "REPLACE" : "ABORT"} t SET rowid = ${s.b} WHERE ${at(s.shape, s.a)}`),
  swapKeys: (s) => {
    const between = s.shape.keyColumns.map((column) => `${column} = -99`).join(", ");
    const isBetween = s.shape.keyColumns.map((column) => `${column} = '-99'`).join(" AND ");
    together(s, [
      `UPDATE t SET ${between} WHERE ${at(s.shape, s.a)}`,
      `UPDATE t SET ${setKey(s.shape, s.a)} WHERE ${at(s.shape, s.b)}`,
      `UPDATE t SET ${setKey(s.shape, s.b)} WHERE ${isBetween}`,
    ]);
  },
  delete: (s) => s.exec(`DELETE FROM t WHERE ${at(s.shape, s.a)}`),
  deleteSome: (s) => s.exec(`DELETE FROM t WHERE u % 3 = ${s.b % 3}`),
  deleteAll: (s) => s.a === 0 && s.exec("DELETE FROM t"),
  /** The child rows go, lose their parent or follow it, by cascades that no statement names. */
  parent: (s) => {
    if (!s.shape.hasParents) return;
    const [a, b] = [(s.a % 5) * 3, (s.b % 5) * 3];
    s.exec(
      [
        `INSERT OR IGNORE INTO parent VALUES (${a})`,
        `DELETE FROM parent WHERE id = ${a}`,
        `UPDATE OR REPLACE parent SET id = ${b} WHERE id = ${a}`,
        `REPLACE INTO parent VALUES (${a})`,
      ][s.v % 4]!,
    );
  },
  /** More entries than a cache remembers, or follows one by one. */
  many: (s) => {
    if (s.a !== 0) return;
    for (let i = 0; i < 1100; i++)
      s.exec(`UPDATE t SET v = ${vectorLiteral(s.shape, i % 36)} WHERE ${at(s.shape, i % 12)}`);
  },
} satisfies Record<string, Command>;
