import { namesOf, REGISTRY } from "../schema/names.ts";
import { FORMAT_VERSION, hashOf, type IndexDefinition } from "./definition.ts";
import { guardsOf } from "./guards.ts";
import { identityOf } from "./identity.ts";
import { logTriggersOf } from "./log-triggers.ts";
import { identifier, literal } from "./sql-text.ts";
import type { TableFacts } from "./table-facts.ts";
import { triggersOf } from "./triggers.ts";

/** Who keeps an index in step with its declaration: the migrations of the app, or `ensureSearchIndexes`. */
export type Manager = "migrations" | "ensure";

/** Something in sqlite_master, with the statement that makes it. */
export interface DbObject {
  readonly type: "table" | "trigger";
  readonly name: string;
  readonly sql: string;
}

export const CREATE_REGISTRY = `CREATE TABLE IF NOT EXISTS ${identifier(REGISTRY)} (name TEXT PRIMARY KEY COLLATE NOCASE NOT NULL, tbl TEXT NOT NULL, definition TEXT NOT NULL, hash TEXT NOT NULL, managed TEXT NOT NULL, format INTEGER NOT NULL, pending TEXT, settings TEXT)`;
export const DROP_REGISTRY = `DROP TABLE IF EXISTS ${identifier(REGISTRY)}`;

/**
 * Everything an index has in the database beside its row in the registry, in the order of creation. The table is taken as it
 * really is, since Drizzle does not know every UNIQUE index, no collation and no WITHOUT ROWID.
 *
 * | table | with | holds |
 * | --- | --- | --- |
 * | `_log` | vectors | `(seq, id, nonce)`: "this row may differ"; an id of NULL: "every row may" |
 * | `_head` | vectors | one row a vector column: current generation and the log row `(seq, nonce)` it was built at; 0: none yet |
 * | `_chunks` | vectors | the bytes of each generation, in parts |
 * | `_keys` | a key that is no INTEGER PRIMARY KEY | id and key |
 * | `_evicted` | text or keys | the last ids a guard saw in the way of a statement and that are still there: none or a few |
 * | `_fts` | text | a copy of the text columns in c0..cn, and FTS5's index over it |
 */
export function objectsOf(definition: IndexDefinition, table: TableFacts): DbObject[] {
  const { tables } = namesOf(definition.name);
  const identity = identityOf(definition, table);
  const guards = guardsOf(table, identity);
  const objects: DbObject[] = [];
  const add = (name: string, sql: string) => objects.push({ type: "table", name, sql });

  if (definition.vectors.length > 0) {
    add(
      tables.log,
      `CREATE TABLE ${identifier(tables.log)} (seq INTEGER PRIMARY KEY, id INTEGER, nonce INTEGER NOT NULL DEFAULT (random()))`,
    );
    add(
      tables.head,
      `CREATE TABLE ${identifier(tables.head)} ("column" TEXT PRIMARY KEY NOT NULL, generation INTEGER NOT NULL, seq INTEGER, nonce INTEGER, format INTEGER NOT NULL)`,
    );
    add(
      tables.chunks,
      `CREATE TABLE ${identifier(tables.chunks)} ("column" TEXT NOT NULL, generation INTEGER NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY ("column", generation, part))`,
    );
  }
  if (identity.map) add(tables.keys, identity.map.create);
  if (definition.text || identity.map) {
    add(tables.evicted, `CREATE TABLE ${identifier(tables.evicted)} (seq INTEGER PRIMARY KEY, id INTEGER NOT NULL)`);
  }
  if (definition.text) {
    const columns = definition.text.columns.map((_, i) => `c${i}`).join(", ");
    add(
      tables.fts,
      `CREATE VIRTUAL TABLE ${identifier(tables.fts)} USING fts5(${columns}, tokenize = ${literal(definition.text.tokenizer)})`,
    );
  }
  const logTriggers = definition.vectors.length > 0 ? logTriggersOf(definition.name) : [];
  return [...objects, ...logTriggers, ...triggersOf(definition, { table, identity, guards })];
}

/** Fills a new index from the rows the table has. Text is one INSERT … SELECT, in the order of the ids. */
export function fillStatements(definition: IndexDefinition, table: TableFacts, options: { text: boolean }): string[] {
  const identity = identityOf(definition, table);
  return [
    ...(identity.map ? [identity.map.fill] : []),
    ...(definition.text && options.text ? [fillText(definition, table)] : []),
    ...resetStatements(definition),
  ];
}

/**
 * One INSERT … SELECT of rows' text, in the order of the ids, which is what FTS5 takes fastest.
 *
 * @param where - which rows, as SQL over `id`; all by default. `rebuild` fills in slices with it.
 */
export function fillText(definition: IndexDefinition, table: TableFacts, where?: (id: string) => string): string {
  const { rows, id } = identityOf(definition, table);
  const columns = definition.text?.columns ?? [];
  const places = columns.map((_, i) => `c${i}`).join(", ");
  const values = columns.map(({ column }) => `r.${identifier(column)}`).join(", ");
  const fts = identifier(namesOf(definition.name).tables.fts);
  const condition = where ? ` WHERE ${where(id)}` : "";
  return `INSERT INTO ${fts} (rowid, ${places}) SELECT ${id}, ${values} FROM ${rows}${condition} ORDER BY ${id}`;
}

/**
 * Makes every generation worthless and tells every live process: for a new index, and whenever vectors may have changed
 * behind the triggers' back or mean something else. The new log row has a fresh nonce; the log is never empty from here on.
 */
export function resetStatements({ name, vectors }: IndexDefinition): string[] {
  if (vectors.length === 0) return [];
  const { log, head, chunks } = namesOf(name).tables;
  const columns = vectors.map(({ column }) => literal(column));
  return [
    `DELETE FROM ${identifier(chunks)}`,
    `DELETE FROM ${identifier(head)} WHERE "column" NOT IN (${columns.join(", ")})`,
    ...columns.map(
      (column) =>
        `INSERT INTO ${identifier(head)} ("column", generation, format) VALUES (${column}, 0, ${FORMAT_VERSION}) ON CONFLICT ("column") DO UPDATE SET generation = generation + 1, seq = NULL, nonce = NULL, format = excluded.format`,
    ),
    `INSERT INTO ${identifier(log)} (id) VALUES (NULL)`,
  ];
}

/**
 * Makes one of our triggers anew, and so changes SQLite's number of the schema: by it every live process keeps what it has read of the
 * registry, and would go on taking codes of one metric for those of another.
 */
export function schemaStatements({ name, vectors }: IndexDefinition): string[] {
  if (vectors.length === 0) return [];
  const { name: trigger, sql } = logTriggersOf(name)[0]!;
  return [`DROP TRIGGER ${identifier(trigger)}`, sql];
}

/**
 * Writes the index into the registry, or over its row there.
 *
 * @param options.pending - `text` when the text index was created empty and `rebuild` has yet to fill it; until then `search`
 * has to refuse. `clearPending` is its end.
 */
export function registerStatement(
  definition: IndexDefinition,
  { managed, pending }: { managed: Manager; pending?: "text" | undefined },
): string {
  const values = [
    literal(definition.name),
    literal(definition.table),
    literal(JSON.stringify(definition)),
    literal(hashOf(definition)),
    literal(managed),
    String(FORMAT_VERSION),
    pending ? literal(pending) : "NULL",
  ];
  return `INSERT INTO ${identifier(REGISTRY)} (name, tbl, definition, hash, managed, format, pending) VALUES (${values.join(", ")}) ON CONFLICT (name) DO UPDATE SET name = excluded.name, tbl = excluded.tbl, definition = excluded.definition, hash = excluded.hash, managed = excluded.managed, format = excluded.format, pending = excluded.pending`;
}

/** Says that the text index is complete. */
export function clearPending(index: string): string {
  return `UPDATE ${identifier(REGISTRY)} SET pending = NULL WHERE name = ${literal(index)}`;
}

/** Writes what `tune` stores; a registry made before there was a place for it gets one first. */
export function settingsStatements(
  index: string,
  settings: string | null,
  { hasPlace }: { hasPlace: boolean },
): string[] {
  const registry = identifier(REGISTRY);
  return [
    ...(hasPlace ? [] : [`ALTER TABLE ${registry} ADD COLUMN settings TEXT`]),
    `UPDATE ${registry} SET settings = ${settings === null ? "NULL" : literal(settings)} WHERE name = ${literal(index)}`,
  ];
}

/** Takes an index out of the registry. */
export function unregisterStatement(index: string): string {
  return `DELETE FROM ${identifier(REGISTRY)} WHERE name = ${literal(index)}`;
}

/** Drops whatever an index may have; triggers first, because a write between the two would fail on a missing table. */
export function dropStatements(index: string): string[] {
  const { tables, triggers } = namesOf(index);
  return [
    ...Object.values(triggers).map((name) => `DROP TRIGGER IF EXISTS ${identifier(name)}`),
    ...Object.values(tables).map((name) => `DROP TABLE IF EXISTS ${identifier(name)}`),
  ];
}
