import { namesOf, type TriggerKind } from "../schema/names.ts";
import type { DbObject } from "./objects.ts";
import { identifier } from "./sql-text.ts";

/**
 * Rows of the log that folds keep before the least base of all columns: a connection that stood still for as long needs no
 * reload. Part of the triggers below, so a change of it is a change of format.
 */
export const LOG_TAIL = 4096;

/**
 * The triggers on an index's log. Rows cut off its end by hand look to a new connection like a ROLLBACK, and altered ones like
 * any others: so whoever deletes or alters rows that readers may need leaves one behind that says that every row may differ.
 *
 * - They cost a writer nothing: writes of the user only insert. Folds delete what lies `LOG_TAIL` rows before every base, and
 *   nothing else of ours deletes or alters.
 * - One such row at the end is enough, however many are deleted by a statement; deleted itself, it comes back.
 * - A trigger also keeps `DELETE FROM` from emptying the table without looking at its rows.
 *
 * What they cannot see: `INSERT OR REPLACE` over a row of the log on a connection without `PRAGMA recursive_triggers`, and what
 * is done while they are dropped, which schema_version tells. A trigger BEFORE INSERT would see the former, by a `seq` that is
 * given, and make an insert with its entry take 2.6 µs in memory instead of 1.6.
 */
export function logTriggersOf(index: string): DbObject[] {
  const { tables, triggers } = namesOf(index);
  const log = identifier(tables.log);
  const isNeeded = `(SELECT count(*) = count(h.seq) AND old.seq < min(h.seq) - ${LOG_TAIL} FROM ${identifier(tables.head)} AS h) IS NOT 1`;
  const isTold = `(SELECT l.id IS NULL FROM ${log} AS l WHERE l.seq > old.seq ORDER BY l.seq DESC LIMIT 1) IS 1`;
  const tell = (kind: TriggerKind, event: string): DbObject => ({
    type: "trigger",
    name: triggers[kind],
    sql: `CREATE TRIGGER ${identifier(triggers[kind])} AFTER ${event} ON ${log} WHEN ${isNeeded} BEGIN INSERT INTO ${log} (id) SELECT NULL WHERE NOT (${isTold}); END`,
  });
  return [tell("logdelete", "DELETE"), tell("logupdate", "UPDATE")];
}
