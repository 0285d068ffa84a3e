import { foldName, isSameName, namesOf, PREFIX, REGISTRY } from "../schema/names.ts";
import { FORMAT_VERSION, type IndexDefinition } from "./definition.ts";
import { failingCascades } from "./failures.ts";
import { findIndex, findTable, type Installed, type InstalledIndex, type Temporary } from "./installed.ts";
import { type DbObject, objectsOf } from "./objects.ts";
import { isSameSql } from "./sql-text.ts";
import type { TableFacts } from "./table-facts.ts";
import { type TriggerInFront, triggersInFront } from "./trigger-order.ts";

/** What is wrong with an index in a database: writes may have gone by unseen, and nothing of it can be trusted. */
export interface Problem {
  readonly code:
    | "TABLE_MISSING"
    | "TABLE_HIDDEN"
    | "COLUMN_MISSING"
    | "KEY_DIFFERS"
    | "FORMAT_NEWER"
    | "NOT_RECORDED"
    | "RECORD_DAMAGED"
    | "OBJECT_MISSING"
    | "OBJECT_DIFFERS"
    | "OBJECT_FOREIGN"
    | "TRIGGER_IN_FRONT"
    | "CASCADE_FAILS";
  /** The table, column or trigger concerned. */
  readonly object: string;
  /** A sentence for the user, without a full stop. */
  readonly message: string;
}

/** Problems no statement of ours can heal: the table or the library has to change first. */
export function isBlocking({ code }: Problem): boolean {
  return (
    code === "TABLE_HIDDEN" ||
    code === "TABLE_MISSING" ||
    code === "COLUMN_MISSING" ||
    code === "KEY_DIFFERS" ||
    code === "FORMAT_NEWER"
  );
}

/** A problem of one connection alone, and for as long as its temporary table is there. */
export function isHidden({ code }: Problem): boolean {
  return code === "TABLE_HIDDEN";
}

/** What to do about it. */
export const HIDDEN_REMEDY = "Drop it, or use a connection of its own for temporary tables and views of that name.";

/** A record of a format that is known, and yet cannot be read: nobody can tell by it what is indexed. */
export function damagedRecord({ name, record }: InstalledIndex): Problem[] {
  if (!record || record.definition || record.format > FORMAT_VERSION) return [];
  const message = `the record of index ${name} in ${REGISTRY} is damaged, or was altered`;
  return [{ code: "RECORD_DAMAGED", object: name, message }];
}

/** What to do about it. */
export const RECORD_REMEDY = "Call ensureSearchIndexes with the declaration, which records it anew.";

/** A newer version of the library has made the index: nobody else may touch it. */
export function newerFormat(name: string, format: number): Problem {
  const message = `index ${name} has format ${format}, this library knows ${FORMAT_VERSION}: update drizzle-vector`;
  return { code: "FORMAT_NEWER", object: name, message };
}

/** What to do about it. */
export const NEWER_REMEDY = "Update drizzle-vector: the database was written by a newer version.";

/** Problems that leave everything of ours as it should be: nothing but a change to what is the user's heals them. */
export function isTheirs({ code }: Problem): boolean {
  return code === "CASCADE_FAILS";
}

/**
 * Everything in which a database differs from what a definition needs, as it is now: with the table's actual key and UNIQUE
 * indexes. Empty means that every write is followed. The definition that is recorded is not looked at.
 */
export function problemsOf(definition: IndexDefinition, installed: Installed): Problem[] {
  const found = findIndex(installed, definition.name);
  const table = findTable(installed, definition.table);
  const format = found?.record?.format ?? FORMAT_VERSION;
  if (format > FORMAT_VERSION) return [newerFormat(definition.name, format)];
  const hidden = hiddenProblems(installed.temporary, definition.table);
  if (hidden.length > 0) return hidden;
  if (!table) {
    const message = `table ${definition.table} does not exist`;
    return [{ code: "TABLE_MISSING", object: definition.table, message }];
  }
  const unfit = [...missingColumns(definition, table), ...keyProblems(definition, table)];
  if (unfit.length > 0) return unfit;
  const own: Problem[] = found?.record
    ? []
    : [
        {
          code: "NOT_RECORDED",
          object: definition.name,
          message: `index ${definition.name} is not recorded in ${REGISTRY}`,
        },
      ];
  return [
    ...own,
    ...objectProblems(objectsOf(definition, table), found?.objects ?? []),
    ...orderProblems(definition, installed),
    ...cascadeProblems(definition, installed),
  ];
}

/** Temporary tables and views in the place of an indexed table or of one of ours, whose names all begin alike. */
export function hiddenProblems(temporary: readonly Temporary[], table?: string): Problem[] {
  const hiding = temporary.filter(
    ([, name]) => foldName(name).startsWith(PREFIX) || (table && isSameName(name, table)),
  );
  return hiding.map(([type, name]) => ({
    code: "TABLE_HIDDEN",
    object: name,
    message: `a temporary ${type} hides ${name}`,
  }));
}

/** The triggers of the user that run between a write and the triggers of an index. */
export function inFrontOf({ name, table }: IndexDefinition, { schema }: Installed): TriggerInFront[] {
  return triggersInFront(schema, table, Object.values(namesOf(name).triggers));
}

/** Triggers that may stop a write before ours have heard of it, though its row stays. Made anew, ours run before them. */
function orderProblems(definition: IndexDefinition, installed: Installed): Problem[] {
  return inFrontOf(definition, installed).flatMap(({ name, stop }) =>
    stop === undefined
      ? []
      : {
          code: "TRIGGER_IN_FRONT" as const,
          object: name,
          message: `trigger ${name}, which is newer than those of the index and so runs before them, may stop a write by ${stop} and keep its row`,
        },
  );
}

/** Actions of foreign keys that may stop a write before any trigger has heard of it, though its row is gone or moved. */
function cascadeProblems({ table }: IndexDefinition, { schema }: Installed): Problem[] {
  return failingCascades(schema, table).map(({ child, stop }) => ({
    code: "CASCADE_FAILS",
    object: child,
    message: `the action of a foreign key of ${child}, which runs before all triggers, may stop a write to ${table} by ${stop} and keep it`,
  }));
}

function missingColumns({ table: name, text, vectors }: IndexDefinition, table: TableFacts): Problem[] {
  const known = new Set(table.columns.map((column) => foldName(column.name)));
  const columns = [...(text?.columns ?? []), ...vectors].map(({ column }) => column);
  return columns
    .filter((column) => !known.has(foldName(column)))
    .map((column) => ({
      code: "COLUMN_MISSING",
      object: `${name}.${column}`,
      message: `column ${name}.${column} does not exist`,
    }));
}

function keyProblems({ table: name, key }: IndexDefinition, table: TableFacts): Problem[] {
  const actual = table.key.map(({ column }) => foldName(column));
  const isSame = JSON.stringify(actual) === JSON.stringify(key.columns.map(foldName));
  if (isSame && key.isRowid === table.hasRowidKey) return [];
  const message = isSame
    ? keyTypeMessage(key.isRowid, table)
    : `${name} has the primary key (${table.key.map(({ column }) => column).join(", ")}), declared is (${key.columns.join(", ")})`;
  return [{ code: "KEY_DIFFERS", object: name, message }];
}

/** The key is the declared column, and of another kind. */
function keyTypeMessage(isDeclaredInteger: boolean, { name, key, columns }: TableFacts): string {
  const { column } = key[0]!;
  if (!isDeclaredInteger) return `${name}.${column} is an INTEGER PRIMARY KEY, and declared as a key of another type`;
  const type = columns.find((one) => one.name === column)?.type ?? "";
  if (foldName(type) !== "integer") {
    return `${name}.${column} is declared as an integer key, and ${type === "" ? "has no type" : `of type ${type.toUpperCase()}`} in the database: it has to be INTEGER there, or another key in the schema`;
  }
  return `the INTEGER PRIMARY KEY of ${name} is not its rowid (WITHOUT ROWID, or DESC): drop that, or declare the key as text`;
}

function objectProblems(expected: readonly DbObject[], actual: readonly DbObject[]): Problem[] {
  const problems: Problem[] = [];
  for (const { type, name, sql } of expected) {
    const found = actual.find((object) => object.type === type && isSameName(object.name, name));
    if (!found) {
      problems.push({ code: "OBJECT_MISSING", object: name, message: `${type} ${name} is missing` });
    } else if (!isSameSql(found.sql, sql)) {
      problems.push({ code: "OBJECT_DIFFERS", object: name, message: `${type} ${name} is not as it should be` });
    }
  }
  for (const { type, name } of actual) {
    if (expected.some((object) => object.type === type && isSameName(object.name, name))) continue;
    problems.push({
      code: "OBJECT_FOREIGN",
      object: name,
      message: `${type} ${name} does not belong to the index any more`,
    });
  }
  return problems;
}
