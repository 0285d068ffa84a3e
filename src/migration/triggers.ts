import { isSameName, namesOf, type TriggerKind } from "../schema/names.ts";
import type { IndexDefinition } from "./definition.ts";
import { differences, type Guards } from "./guards.ts";
import type { Identity } from "./identity.ts";
import type { DbObject } from "./objects.ts";
import { identifier } from "./sql-text.ts";
import { ROWID_NAMES, type TableFacts } from "./table-facts.ts";

interface TriggerInput {
  readonly table: TableFacts;
  readonly identity: Identity;
  readonly guards: Guards;
}

type Row = "new" | "old";

/**
 * The triggers on the user's table, each on one line.
 *
 * They hold for any writer, because they rely on so little:
 * - What is indexed is read from the table, not from `new`: triggers of the user may have rewritten, moved or brought back
 *   the row before ours run. So each of them may run at any time, any number of times.
 * - WHEN compares bytes. A column list in front only spares a statement that sets none of these columns every cost: it names
 *   the rowid by all its names, as `UPDATE OF id` misses `SET rowid = …`, and there is none where a column is generated.
 * - No OR clauses: the OR clause of the user's statement would take their place. DELETE + INSERT and ON CONFLICT stand.
 * - Nothing is deleted BEFORE a statement: it may yet be ignored.
 * - Rows whose vectors are about to go, move or change are noted in the log BEFORE that, since an entry too many does no harm, and
 *   nothing that fails between the write and our triggers can keep one out. Nobody reads the log in between: no statement runs
 *   on a connection whose write is under way. Whose id is known only afterwards, that of a new row or key, is noted then.
 *
 * What no trigger AFTER a write can follow: a row that stays although something of the user that ran before it failed (OR FAIL or
 * RAISE(FAIL), RAISE(IGNORE) AFTER a write). SQLite then runs no trigger that was still to come; RAISE(ABORT), the usual one, takes
 * the row back. So ours are to be the first to run, which `trigger-order.ts` looks after.
 */
export function triggersOf(definition: IndexDefinition, input: TriggerInput): DbObject[] {
  const { identity, guards, table } = input;
  const names = namesOf(definition.name);
  const { log, evicted, fts, keys } = names.tables;
  const hasText = definition.text !== null;
  const hasVectors = definition.vectors.length > 0;
  const sweeps = hasText || identity.map !== undefined;
  const triggers: DbObject[] = [];

  function add(kind: TriggerKind, event: string, when: string, statements: string[]): void {
    if (statements.length === 0) return;
    const condition = when === "" ? "" : ` WHEN ${when}`;
    triggers.push({
      type: "trigger",
      name: names.triggers[kind],
      sql: `CREATE TRIGGER ${identifier(names.triggers[kind])} ${event} ON ${identifier(table.name)}${condition} BEGIN ${statements.join("; ")}; END`,
    });
  }

  const noteEach = (selects: readonly string[]) =>
    hasVectors ? selects.map((select) => `INSERT INTO ${identifier(log)} (id) ${select}`) : [];
  const note = (row: Row) => noteEach([identity.selectId(row)]);
  const reindex = (row: Row) =>
    definition.text
      ? [
          `DELETE FROM ${identifier(fts)} WHERE rowid = ${identity.idOf(row)}`,
          `INSERT INTO ${identifier(fts)} (rowid, ${definition.text.columns.map((_, i) => `c${i}`).join(", ")}) SELECT ${identity.id}, ${definition.text.columns.map(({ column }) => `r.${identifier(column)}`).join(", ")} FROM ${identity.rows} WHERE ${identity.isRow(row)}`,
        ]
      : [];
  const enter = (row: Row) => (identity.map ? [identity.map.add(row), ...note(row)] : []);
  const leave = (row: Row) => [...reindex(row), ...(identity.map ? [identity.map.remove(row)] : [])];

  add("insert", "AFTER INSERT", "", [...(identity.map ? enter("new") : note("new")), ...reindex("new")]);
  add("delete", "AFTER DELETE", "", leave("old"));
  const keyColumns = [...definition.key.columns, ...(definition.key.isRowid ? ROWID_NAMES : [])];
  const isComputed = (columns: readonly string[]) =>
    columns.some((column) => table.columns.some((c) => c.isGenerated && isSameName(c.name, column)));
  const update = (columns: readonly string[]) =>
    isComputed(columns) ? "UPDATE" : `UPDATE OF ${[...new Set(columns)].map(identifier).join(", ")}`;
  add("updatekey", `AFTER ${update(keyColumns)}`, identity.hasMoved, [
    ...leave("old"),
    ...enter("new"),
    ...reindex("new"),
  ]);
  const whenOf = (columns: readonly string[]) => `${identity.hasNotMoved} AND (${differences(columns).join(" OR ")})`;
  if (definition.text) {
    const columns = definition.text.columns.map(({ column }) => column);
    add("updatetext", `AFTER ${update(columns)}`, whenOf(columns), reindex("new"));
  }
  if (hasVectors) {
    const columns = definition.vectors.map(({ column }) => column);
    add("deletevectors", "BEFORE DELETE", "", note("old"));
    add("movevectors", `BEFORE ${update(keyColumns)}`, identity.hasMoved, [...note("old"), ...note("new")]);
    // A generated column BEFORE an update is not yet what it will be: any column may be what it is computed from.
    const read = isComputed(columns) ? table.columns.map(({ name }) => name) : columns;
    add("updatevectors", `BEFORE ${update(columns)}`, whenOf(read), note("old"));
  }

  const gone = `SELECT e.id FROM ${identifier(evicted)} AS e WHERE ${identity.isGone("e.id")}`;
  const watch = (selects: readonly string[]) =>
    sweeps && selects.length > 0
      ? [
          ...selects.map((select) => `INSERT INTO ${identifier(evicted)} (id) ${select}`),
          // What earlier statements noted and kept has had its time. One row can evict no more than one row an index; the rest
          // is let be, because this may run inside the cascade of another statement that has yet to evict what it noted.
          `DELETE FROM ${identifier(evicted)} WHERE seq <= (SELECT e.seq FROM ${identifier(evicted)} AS e ORDER BY e.seq DESC LIMIT 1) - ${guards.onUpdate.length + 1} AND id NOT IN (${gone})`,
        ]
      : [];
  add("guardinsert", "BEFORE INSERT", guards.isInTheWay, [...noteEach(guards.onInsert), ...watch(guards.onInsert)]);
  const evicting = guards.canEvict
    ? update([...keyColumns, ...guards.reads, ...(table.rowid === undefined ? [] : ROWID_NAMES)])
    : "UPDATE";
  add("guardupdate", `BEFORE ${evicting}`, guards.canEvict ?? "", [
    ...noteEach(guards.onUpdate),
    ...watch([guards.onMove, ...guards.onUpdate]),
  ]);
  if (!sweeps) return triggers;

  const sweep = [
    ...(hasText ? [`DELETE FROM ${identifier(fts)} WHERE rowid IN (${gone})`] : []),
    ...(identity.map ? [`DELETE FROM ${identifier(keys)} WHERE id IN (${gone})`] : []),
    `DELETE FROM ${identifier(evicted)} WHERE id IN (${gone})`,
  ];
  const isWaiting = `EXISTS (SELECT 1 FROM ${identifier(evicted)})`;
  if (guards.onInsert.length > 0) add("sweepinsert", "AFTER INSERT", isWaiting, sweep);
  add("sweepupdate", `AFTER ${evicting}`, guards.canEvict ? `(${guards.canEvict}) AND ${isWaiting}` : isWaiting, sweep);
  add("sweepdelete", "AFTER DELETE", isWaiting, sweep);
  return triggers;
}
