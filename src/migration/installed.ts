import { foldName, isSameName, ownerOf, REGISTRY } from "../schema/names.ts";
import { FORMAT_VERSION, hashOf, type IndexDefinition } from "./definition.ts";
import type { SchemaRow } from "./failures.ts";
import type { DbObject, Manager } from "./objects.ts";
import { eponymous, identifier, literal } from "./sql-text.ts";
import { type ColumnRow, factsOf, type TableFacts, type UniqueRow } from "./table-facts.ts";

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
