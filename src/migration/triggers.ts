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
 *
 * What no trigger can follow: a row that stays although something of the user that ran before it failed (OR FAIL or RAISE(FAIL),
 * RAISE(IGNORE) AFTER a write). SQLite then runs no trigger that was still to come; RAISE(ABORT), the usual one, takes the row
 * back. So ours are to be the first to run, which `trigger-order.ts` looks after.
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

  const note = (row: Row) => (hasVectors ? [`INSERT INTO ${identifier(log)} (id) ${identity.selectId(row)}`] : []);
  const reindex = (row: Row) =>
    definition.text
      ? [
          `DELETE FROM ${identifier(fts)} WHERE rowid = ${identity.idOf(row)}`,
          `INSERT INTO ${identifier(fts)} (rowid, ${definition.text.columns.map((_, i) => `c${i}`).join(", ")}) SELECT ${identity.id}, ${definition.text.columns.map(({ column }) => `r.${identifier(column)}`).join(", ")} FROM ${identity.rows} WHERE ${identity.isRow(row)}`,
        ]
      : [];
  const arrive = (row: Row) => [...(identity.map ? [identity.map.add(row)] : []), ...note(row), ...reindex(row)];
  const leave = (row: Row) => [...note(row), ...reindex(row), ...(identity.map ? [identity.map.remove(row)] : [])];

  add("insert", "AFTER INSERT", "", arrive("new"));
  add("delete", "AFTER DELETE", "", leave("old"));
  const keyColumns = [...definition.key.columns, ...(definition.key.isRowid ? ROWID_NAMES : [])];
  const update = (columns: readonly string[]) => {
    const isComputed = columns.some((column) => table.columns.some((c) => c.isGenerated && isSameName(c.name, column)));
    return isComputed ? "UPDATE" : `UPDATE OF ${[...new Set(columns)].map(identifier).join(", ")}`;
  };
  add("updatekey", `AFTER ${update(keyColumns)}`, identity.hasMoved, [...leave("old"), ...arrive("new")]);
  const whenOf = (columns: readonly string[]) => `${identity.hasNotMoved} AND (${differences(columns).join(" OR ")})`;
  if (definition.text) {
    const columns = definition.text.columns.map(({ column }) => column);
    add("updatetext", `AFTER ${update(columns)}`, whenOf(columns), reindex("new"));
  }
  if (hasVectors) {
    const columns = definition.vectors.map(({ column }) => column);
    add("updatevectors", `AFTER ${update(columns)}`, whenOf(columns), note("new"));
  }

  const gone = `SELECT e.id FROM ${identifier(evicted)} AS e WHERE ${identity.isGone("e.id")}`;
  const watch = (selects: readonly string[]) => [
    ...(hasVectors ? selects.map((select) => `INSERT INTO ${identifier(log)} (id) ${select}`) : []),
    ...(sweeps ? selects.map((select) => `INSERT INTO ${identifier(evicted)} (id) ${select}`) : []),
    // What earlier statements noted and kept has had its time. One row can evict no more than one row an index; the rest is
    // let be, because this may run inside the cascade of another statement that has yet to evict what it noted.
    ...(sweeps && selects.length > 0
      ? [
          `DELETE FROM ${identifier(evicted)} WHERE seq <= (SELECT max(e.seq) FROM ${identifier(evicted)} AS e) - ${guards.onUpdate.length} AND id NOT IN (${gone})`,
        ]
      : []),
  ];
  add("guardinsert", "BEFORE INSERT", guards.isInTheWay, watch(guards.onInsert));
  const evicting = guards.canEvict
    ? update([...keyColumns, ...guards.reads, ...(table.rowid === undefined ? [] : ROWID_NAMES)])
    : "UPDATE";
  add("guardupdate", `BEFORE ${evicting}`, guards.canEvict ?? "", watch(guards.onUpdate));
  if (!sweeps) return triggers;

  const sweep = [
    // This may run before the trigger that reports the row: once its key is forgotten, nobody else could.
    ...(identity.map && hasVectors ? [`INSERT INTO ${identifier(log)} (id) ${gone}`] : []),
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
