import { foldName, isSameName, namesOf, ownerOf, PREFIX, REGISTRY } from "../schema/names.ts";
import { FORMAT_VERSION, hashOf, type IndexDefinition } from "./definition.ts";
import { failingCascades, type SchemaRow } from "./failures.ts";
import { type DbObject, type Manager, objectsOf } from "./objects.ts";
import { eponymous, identifier, isSameSql, literal } from "./sql-text.ts";
import { type ColumnRow, factsOf, type TableFacts, type UniqueRow } from "./table-facts.ts";
import { type TriggerInFront, triggersInFront } from "./trigger-order.ts";

/** What a database has of ours, and what it says about the tables concerned. */
export interface Installed {
  /** Whether the registry table is there. */
  readonly hasRegistry: boolean;
  /** Every index that is recorded, or of which at least a table or trigger is left. */
  readonly indexes: readonly InstalledIndex[];
  /** The tables asked for and those of recorded indexes, as far as they exist. */
  readonly tables: readonly TableFacts[];
  /** Everything in the database, in the order in which it was created: SQLite runs triggers by it. */
  readonly schema: readonly SchemaRow[];
  /** Temporary tables and views of this connection. */
  readonly temporary: readonly Temporary[];
}

/** Of two tables of one name statements and new triggers take the temporary one, which is there for its own connection alone. */
export type Temporary = readonly [type: string, name: string];

/** SQL of all of them. */
export const TEMPORARY = "SELECT type, name FROM temp.sqlite_master WHERE type IN ('table', 'view')";

export interface InstalledIndex {
  readonly name: string;
  /** The row of the registry; undefined where only objects are left. */
  readonly record: IndexRecord | undefined;
  /** Our tables and triggers, without the tables FTS5 makes for itself. */
  readonly objects: readonly DbObject[];
}

export interface IndexRecord {
  /** As the definition says, where that can be read. */
  readonly table: string;
  /** Undefined where the text is not one we can read: of a newer format, or damaged. */
  readonly definition: IndexDefinition | undefined;
  readonly hash: string;
  readonly managed: Manager;
  readonly format: number;
  /** `text` while the text index is created but not filled: `search` has to refuse, `rebuild` fills it. */
  readonly pending: "text" | undefined;
  /**
   * What `tune` has stored, as it was when this was read; see migration/settings.ts. Undefined: this registry is older than such
   * settings, and has no place for them.
   */
  readonly settings: string | null | undefined;
}

/** A row as an array, in the order of the SELECT; integers as number or bigint. */
export type SqlRow = readonly unknown[];

/**
 * Reads what a database has of ours. It yields a statement and is given its rows, so that any driver can run it, at once or
 * asynchronously; all in one read transaction, please.
 *
 * @param tables - further tables to look at: those of declarations that may not be recorded yet
 */
export function* readInstalled(tables: readonly string[] = []): Generator<string, Installed, readonly SqlRow[]> {
  const master = (yield `SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid`) as unknown as SchemaRow[];
  const registry = master.find(([type, name]) => type === "table" && isSameName(name, REGISTRY));
  const hasRegistry = registry !== undefined;
  const settings = /\bsettings TEXT\b/.test(registry?.[3] ?? "") ? ", settings" : "";
  const records = hasRegistry
    ? yield `SELECT name, tbl, definition, hash, managed, format, pending${settings} FROM main.${identifier(REGISTRY)} ORDER BY name`
    : [];
  const indexes = indexesOf(master, records);
  const wanted = new Set([...tables, ...indexes.flatMap(({ record }) => record?.table ?? [])].map(foldName));
  const found = master.filter(([type, name]) => type === "table" && wanted.has(foldName(name)));
  const names = found.map(([, name]) => `(${literal(name)})`).join(", ");
  const columns = found.length === 0 ? [] : ((yield columnsSql(names)) as unknown as ColumnRow[]);
  const uniques = found.length === 0 ? [] : ((yield uniquesSql(names)) as unknown as UniqueRow[]);
  return {
    hasRegistry,
    indexes,
    tables: found.map(([, name, , sql]) =>
      factsOf({
        name,
        sql: sql ?? "",
        columns: columns.filter(([table]) => table === name),
        uniques: uniques.filter(([table]) => table === name),
        indexSql: (index) => master.find(([type, own]) => type === "index" && own === index)?.[3] ?? undefined,
      }),
    ),
    schema: master,
    temporary: (yield TEMPORARY) as unknown as Temporary[],
  };
}

/** `readInstalled` where statements are answered at once. */
export function readInstalledSync(all: (sql: string) => readonly SqlRow[], tables: readonly string[] = []): Installed {
  const steps = readInstalled(tables);
  let step = steps.next();
  while (!step.done) step = steps.next(all(step.value));
  return step.value;
}

export function findTable({ tables }: Installed, name: string): TableFacts | undefined {
  return tables.find((table) => isSameName(table.name, name));
}

export function findIndex({ indexes }: Installed, name: string): InstalledIndex | undefined {
  return indexes.find((index) => isSameName(index.name, name));
}

function columnsSql(names: string): string {
  return `SELECT t.column1, c.name, c.type, c.pk, c.hidden, CASE WHEN c."notnull" THEN c.dflt_value END FROM (VALUES ${names}) AS t JOIN ${eponymous("pragma_table_xinfo")}(t.column1, 'main') AS c ORDER BY t.column1, c.cid`;
}

function uniquesSql(names: string): string {
  return `SELECT t.column1, l.name, l.origin, x.name, x.coll FROM (VALUES ${names}) AS t JOIN ${eponymous("pragma_index_list")}(t.column1, 'main') AS l JOIN ${eponymous("pragma_index_xinfo")}(l.name, 'main') AS x WHERE l."unique" AND x.key ORDER BY t.column1, l.name, x.seqno`;
}

function indexesOf(master: readonly SchemaRow[], records: readonly SqlRow[]): InstalledIndex[] {
  const objects = new Map<string, DbObject[]>();
  for (const [type, name, , sql] of master) {
    const owner = ownerOf({ type, name });
    if (owner === undefined) continue;
    const key = foldName(owner);
    objects.set(key, [...(objects.get(key) ?? []), { type: type as DbObject["type"], name, sql: sql ?? "" }]);
  }
  // A name that could not be one of ours, somebody has written; it must not get into a statement.
  const named = records.filter(([name]) => typeof name === "string" && !name.includes("\0"));
  const recorded = named.map((row): InstalledIndex => {
    const name = String(row[0]);
    const own = objects.get(foldName(name)) ?? [];
    objects.delete(foldName(name));
    return { name, record: recordOf(row), objects: own };
  });
  const left = [...objects.values()].map(
    (own): InstalledIndex => ({ name: ownerOf(own[0]!)!, record: undefined, objects: own }),
  );
  return [...recorded, ...left];
}

function recordOf([, table, definition, hash, managed, format, pending, settings]: SqlRow): IndexRecord {
  const known = Number(format) === FORMAT_VERSION ? parseDefinition(String(definition), String(hash)) : undefined;
  return {
    table: known?.table ?? String(table),
    definition: known,
    hash: String(hash),
    managed: managed === "ensure" ? "ensure" : "migrations",
    format: Number(format),
    pending: pending === "text" ? "text" : undefined,
    settings: settings === undefined ? undefined : typeof settings === "string" ? settings : null,
  };
}

/** A definition is believed only where its hash is the recorded one: anything else has been altered since. */
export function parseDefinition(json: string, hash: string): IndexDefinition | undefined {
  try {
    const parsed = JSON.parse(json);
    return hashOf(parsed) === hash ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** What is wrong with an index in a database. `detached` ones mean that writes went by unseen: nothing of it can be trusted. */
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
  if (format > FORMAT_VERSION) {
    const message = `index ${definition.name} has format ${format}, this library knows ${FORMAT_VERSION}: update drizzle-vector`;
    return [{ code: "FORMAT_NEWER", object: definition.name, message }];
  }
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
