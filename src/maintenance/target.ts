import { installedIn, missingIndex } from "../change/attachment.ts";
import { describe } from "../codec/codec.ts";
import { casingOf } from "../driver/casing.ts";
import type { DbLike, Steps } from "../driver/driver.ts";
import { DeclarationDriftError, IndexDamagedError, IndexFormatError, InvalidOptionError } from "../errors.ts";
import { definitionOf, FORMAT_VERSION, hashOf, type IndexDefinition } from "../migration/definition.ts";
import { findIndex, type IndexRecord, type Installed } from "../migration/installed.ts";
import type { Plan } from "../migration/plan.ts";
import {
  HIDDEN_REMEDY,
  isHidden,
  NEWER_REMEDY,
  type Problem,
  problemsOf,
  RECORD_REMEDY,
} from "../migration/problems.ts";
import { isSearchIndex, type SearchIndex } from "../schema/search-index.ts";

/** An index of a database: its declaration, or its name. */
export type IndexOrName = SearchIndex<any, any, any> | string;

export interface Target {
  readonly name: string;
  /** What the code declares; undefined where only the name was given. */
  readonly declared: IndexDefinition | undefined;
}

/** @throws {InvalidOptionError} when `index` is neither a declaration nor a name */
export function targetOf(db: DbLike, index: IndexOrName): Target {
  if (typeof index === "string") return { name: index, declared: undefined };
  if (isSearchIndex(index)) return { name: index.name, declared: definitionOf(index, { casing: casingOf(db) }) };
  throw new InvalidOptionError({ subject: "index", expected: "a searchIndex or its name", got: describe(index) });
}

/** An index as its database records it. */
export interface RecordedIndex {
  readonly record: IndexRecord;
  readonly definition: IndexDefinition;
  readonly installed: Installed;
  /** In what the database differs from the recorded definition; see `problemsOf`. */
  readonly problems: readonly Problem[];
}

/**
 * Reads what a database records of an index.
 *
 * @throws {IndexMissingError} when it records nothing
 * @throws {IndexFormatError} when a newer library wrote the record, or it cannot be read
 */
export function* recordedIndex({ name, declared }: Target): Steps<RecordedIndex> {
  const installed = yield* installedIn();
  const record = findIndex(installed, name)?.record;
  if (!record) throw missingIndex(name, installed.indexes);
  const definition = readableDefinition(record, declared);
  if (!definition || record.format > FORMAT_VERSION) throw unreadableIndex(name, record);
  return { record, definition, installed, problems: problemsOf(definition, installed) };
}

/** A damaged text is known all the same where its hash is that of the declaration. */
export function readableDefinition(
  { definition, hash }: IndexRecord,
  declared: IndexDefinition | undefined,
): IndexDefinition | undefined {
  return definition ?? (declared && hashOf(declared) === hash ? declared : undefined);
}

export function unreadableIndex(name: string, { format }: IndexRecord): IndexFormatError {
  const isNewer = format > FORMAT_VERSION;
  return new IndexFormatError({
    subject: name,
    expected: isNewer ? `format ${FORMAT_VERSION} or older` : "a definition that can be read",
    got: isNewer ? `format ${format}` : "a damaged one",
    hint: isNewer ? NEWER_REMEDY : RECORD_REMEDY,
  });
}

/** @throws {IndexFormatError | DeclarationDriftError} when something stands in the way of a plan that no statement of ours can heal */
export function checkFeasible(name: string, { blocking }: Plan): void {
  if (blocking.length === 0) return;
  const got = blocking.map(({ message }) => message).join("; ");
  if (blocking.some(({ code }) => code === "FORMAT_NEWER")) {
    throw new IndexFormatError({
      subject: name,
      expected: `format ${FORMAT_VERSION} or older`,
      got,
      hint: NEWER_REMEDY,
    });
  }
  throw new DeclarationDriftError({
    subject: name,
    expected: "the table it is declared over",
    got,
    hint: blocking.some(isHidden)
      ? HIDDEN_REMEDY
      : "Bring the table in step first: run the app's migrations, or drizzle-kit push.",
  });
}

/**
 * Runs statements of which no rows are expected.
 *
 * @throws {IndexDamagedError} when FTS5 cannot even be dropped, since it lost its configuration, which only a connection that
 * may write to its tables can give back
 */
export function* execute(statements: readonly string[]): Steps<void> {
  for (const sql of statements) {
    try {
      yield { type: "rows", sql, params: [] };
    } catch (error) {
      const { message = "" } = Object(error) as { message?: string };
      if (!message.includes("invalid fts5 file format")) throw error;
      throw new IndexDamagedError({
        subject: "search index",
        expected: "a text index that FTS5 can open",
        got: message,
        hint: `Give it back its version in the sqlite3 shell, then run "drizzle-vector rebuild": INSERT OR REPLACE INTO "_dv_<index>_fts_config" VALUES ('version', 4);`,
        cause: error,
      });
    }
  }
}

/** How many rows there are. @param source - what stands behind FROM */
export function* count(source: string): Steps<number> {
  return Number((yield* firstRow(`SELECT count(*) FROM ${source}`))![0]);
}

/** The first row of a statement. */
export function* firstRow(sql: string): Steps<readonly unknown[] | undefined> {
  const rows: (readonly unknown[])[] = yield { type: "rows", sql, params: [] };
  return rows[0];
}
