import type { Driver, Row, Snapshot, Steps } from "../driver/driver.ts";
import { IndexMissingError } from "../errors.ts";
import { FORMAT_VERSION, type IndexDefinition } from "../migration/definition.ts";
import {
  findTable,
  type IndexRecord,
  type Installed,
  type InstalledIndex,
  readInstalled,
  TEMPORARY,
  type Temporary,
} from "../migration/installed.ts";
import {
  damagedRecord,
  HIDDEN_REMEDY,
  hiddenProblems,
  isHidden,
  isTheirs,
  NEWER_REMEDY,
  type Problem,
  problemsOf,
  RECORD_REMEDY,
} from "../migration/problems.ts";
import { identifier } from "../migration/sql-text.ts";
import type { TableFacts } from "../migration/table-facts.ts";
import { isSameName, REGISTRY } from "../schema/names.ts";

/** What a connection finds of one recorded index: whether its triggers follow every write. */
export interface Attachment {
  readonly name: string;
  readonly record: IndexRecord;
  /** Empty: attached. Anything else: writes may have gone by unseen, and nothing of the index can be trusted. */
  readonly problems: readonly Problem[];
  /** The indexed table as it is, or undefined where it is missing. */
  readonly table: TableFacts | undefined;
  /** The state of the schema in which all this was found. */
  readonly schemaVersion: string;
  /** False when it was found inside a transaction of the caller's that may have changed the schema. */
  readonly isCommitted: boolean;
}

interface Seen {
  readonly schemaVersion: string;
  /** The temporary tables and views there were. */
  readonly temporary: string;
  /** What was recorded, where anything is wrong; else undefined. */
  readonly records: string | undefined;
  readonly attachments: readonly Attachment[];
}

/** What was found at which schema_version; any change of the schema, by whichever process, moves that number. */
const seen = new WeakMap<object, Seen>();

/**
 * The recorded indexes of a database, checked against its tables and triggers. Looked up anew when the schema has changed, so
 * that a recreated table is noticed by the next query of every process, and one that a temporary table hides by the next one of
 * its connection; otherwise it costs a PRAGMA, a look at what is temporary, and where anything is wrong one into the registry: that a
 * column or a table was renamed is recorded without a change of the schema. What is seen inside a transaction of the caller's is not kept: it may
 * be rolled back, and its number be given out again.
 */
export function* attachmentsOf({ connection }: Driver, { isShared }: Snapshot): Steps<readonly Attachment[]> {
  const schemaVersion = yield* schemaVersionOf();
  const found = yield* temporaryOf();
  const temporary = found.length === 0 ? "" : JSON.stringify(found);
  const known = seen.get(connection);
  const isSame = known?.schemaVersion === schemaVersion && known.records === (known.records && (yield* recordsOf()));
  if (isSame && known.temporary === temporary) return known.attachments;
  // Temporary tables may come and go with every request of an app, most of them none of our business.
  const attachments =
    isSame && !isHiding(found, known.attachments)
      ? known.attachments
      : checked(yield* installedIn(), { schemaVersion, isCommitted: !isShared });
  if (!isShared) {
    const isWrong = attachments.some(({ problems }) => problems.length > 0);
    const records = isWrong ? yield* recordsOf() : undefined;
    seen.set(connection, { schemaVersion, temporary, records, attachments });
  }
  return attachments;
}

/** All that the registry says of what is indexed. */
function* recordsOf(): Steps<string> {
  const sql = `SELECT name, tbl, definition, hash, managed, format FROM main.${identifier(REGISTRY)} ORDER BY rowid`;
  const rows: Row[] = yield { type: "rows", sql, params: [] };
  return JSON.stringify(rows, (_, value) => (typeof value === "bigint" ? String(value) : value));
}

/** SQLite's number of the schema: any change of it, by whichever process, moves it. */
export function* schemaVersionOf(): Steps<string> {
  const [row]: Row[] = yield { type: "rows", sql: "PRAGMA schema_version", params: [] };
  return String(row?.[0]);
}

/**
 * Not `PRAGMA temp.schema_version`: SQLite (3.53) reads through a null pointer where such a statement was prepared before an app's
 * `PRAGMA temp_store` did away with the temporary database, and statements of our own are kept. This one it prepares anew.
 */
function* temporaryOf(): Steps<readonly Temporary[]> {
  return yield { type: "rows", sql: TEMPORARY, params: [] };
}

/** Whether temporary tables stand in the place of others, or did when these were found. */
function isHiding(temporary: readonly Temporary[], attachments: readonly Attachment[]): boolean {
  if (attachments.some(({ problems }) => problems.some(isHidden))) return true;
  return attachments.some(({ record }) => hiddenProblems(temporary, record.table).length > 0);
}

/** Whether temporary tables or views of this connection stand in the place of this table, or of one of ours. */
export function* isHiddenNow(table: string): Steps<boolean> {
  return hiddenProblems(yield* temporaryOf(), table).length > 0;
}

/** What a database has of ours, read through a driver. */
export function* installedIn(tables: readonly string[] = []): Steps<Installed> {
  const reading = readInstalled(tables);
  let next = reading.next();
  while (!next.done) {
    const rows: Row[] = yield { type: "rows", sql: next.value, params: [] };
    next = reading.next(rows);
  }
  return next.value;
}

export function attachmentNamed(attachments: readonly Attachment[], name: string): Attachment | undefined {
  return attachments.find((attachment) => isSameName(attachment.name, name));
}

/** The error where a database records no index of that name, but perhaps others. */
export function missingIndex(name: string, indexes: readonly { name: string; record?: unknown }[]): IndexMissingError {
  const others = indexes.filter(({ record }) => record !== undefined).map((index) => index.name);
  return new IndexMissingError({
    subject: name,
    expected: "a search index in the database",
    got: `none of that name${others.length === 0 ? "" : `, only ${others.join(", ")}`}`,
    hint: 'Run "drizzle-vector generate" and your migrations, or ensureSearchIndexes(db, [index]) where you have none.',
  });
}

/** What to do about the problems of an index. */
export function remedyOf({ name, record, problems }: Pick<Attachment, "name" | "record" | "problems">): string {
  if (record.format > FORMAT_VERSION) return NEWER_REMEDY;
  if (!record.definition) return RECORD_REMEDY;
  if (problems.some(isHidden)) return HIDDEN_REMEDY;
  if (problems.every(isTheirs)) {
    return `Write ABORT in the place of that FAIL, which takes the write back; then "drizzle-vector rebuild ${name}" finds what may have been missed.`;
  }
  return record.managed === "migrations"
    ? `Run "drizzle-vector rebuild ${name}" to repair this database, and "drizzle-vector generate" to repair the migrations.`
    : "Run ensureSearchIndexes(db, [index]), which repairs it.";
}

/**
 * The index a vector column belongs to, if any. One over the same table whose definition cannot be read, most often because a
 * newer version wrote it, may be that: it has problems, and is better named than passed over.
 */
export function attachmentOfVector(
  attachments: readonly Attachment[],
  table: string,
  column: string,
): Attachment | undefined {
  return (
    attachments.find(({ record: { definition } }) => hasVector(definition, table, column)) ??
    attachments.find(({ record }) => !record.definition && isSameName(record.table, table))
  );
}

function hasVector(definition: IndexDefinition | undefined, table: string, column: string): boolean {
  if (!definition || !isSameName(definition.table, table)) return false;
  return definition.vectors.some((vector) => isSameName(vector.column, column));
}

function checked(installed: Installed, state: Pick<Attachment, "schemaVersion" | "isCommitted">): Attachment[] {
  return installed.indexes.flatMap((index) => {
    const { name, record } = index;
    if (!record) return [];
    const problems = record.definition ? problemsOf(record.definition, installed) : unreadable(index, record);
    const table = record.definition && findTable(installed, record.definition.table);
    return [{ name, record, problems, table, ...state }];
  });
}

function unreadable(index: InstalledIndex, { format }: IndexRecord): Problem[] {
  const damaged = damagedRecord(index);
  if (damaged.length > 0) return damaged;
  const { name } = index;
  const message = `index ${name} has format ${format}, which this library cannot read`;
  return [{ code: "FORMAT_NEWER", object: name, message }];
}
