import { describe } from "../codec/codec.ts";
import { DeclarationError } from "../errors.ts";

/** Everything the library puts into a database begins so; `searchTablesFilter()` hides it from drizzle-kit's push and pull. */
export const PREFIX = "_dv_";

/** The table that lists the indexes of a database. */
export const REGISTRY = `${PREFIX}indexes`;

/**
 * What an index may own beside its row in the registry; which of them it has follows from its definition. No kind ends in
 * another, or the index `a` could make a name that belongs to the index `a_guard`.
 */
const TABLES = ["log", "head", "chunks", "keys", "evicted", "fts"] as const;
const TRIGGERS = [
  "insert",
  "delete",
  "updatekey",
  "updatetext",
  "deletevectors",
  "movevectors",
  "updatevectors",
  "guardinsert",
  "guardupdate",
  "sweepinsert",
  "sweepupdate",
  "sweepdelete",
  "logdelete",
  "logupdate",
] as const;

export type TableKind = (typeof TABLES)[number];
export type TriggerKind = (typeof TRIGGERS)[number];

/** The names of everything an index may own; tables and triggers have names of their own in SQLite. */
export interface IndexNames {
  readonly tables: { readonly [K in TableKind]: string };
  readonly triggers: { readonly [K in TriggerKind]: string };
}

/** `_dv_docs_search_log`, `_dv_docs_search_insert`, … for the index `docs_search`. */
export function namesOf(index: string): IndexNames {
  const named = <K extends string>(kinds: readonly K[]) =>
    Object.fromEntries(kinds.map((kind) => [kind, `${PREFIX}${index}_${kind}`])) as { [P in K]: string };
  return { tables: named(TABLES), triggers: named(TRIGGERS) };
}

/** One of those tables, where a query has no time for all the names. */
export function tableNameOf(index: string, kind: TableKind): string {
  return `${PREFIX}${index}_${kind}`;
}

/** The index a table or trigger of ours belongs to, or undefined; the tables FTS5 makes for itself belong to its table. */
export function ownerOf({ type, name }: { type: string; name: string }): string | undefined {
  const kinds: readonly string[] = type === "trigger" ? TRIGGERS : type === "table" ? TABLES : [];
  for (const kind of kinds) {
    const end = name.length - kind.length - 1;
    if (name.startsWith(PREFIX) && end > PREFIX.length && name.slice(end) === `_${kind}`) {
      return name.slice(PREFIX.length, end);
    }
  }
  return undefined;
}

/** Two names SQLite takes for the same: it folds ASCII letters only. */
export function isSameName(a: string, b: string): boolean {
  return a === b || foldName(a) === foldName(b);
}

export function foldName(name: string): string {
  return /[A-Z]/.test(name) ? name.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : name;
}

/**
 * Refuses a name that cannot stand in SQL, or that our own names or the filters of drizzle-kit cannot carry.
 *
 * @throws {DeclarationError}
 */
export function checkIndexName(name: unknown): asserts name is string {
  checkName(name, "searchIndex", "an index name");
  // A filter such as `!_dv_*` does not match a slash; a line break would tear a trigger apart; half a surrogate pair is
  // another character to SQLite.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is refused
  if (/[/\\\u0000-\u001f\u007f\p{Cs}]/u.test(name)) {
    throw new DeclarationError({
      subject: "searchIndex",
      expected: "an index name without slashes, control characters and lone surrogates",
      got: JSON.stringify(name),
    });
  }
}

/** Refuses a table name SQLite or our scheme cannot take. @throws {DeclarationError} */
export function checkTableName(name: unknown, subject: string): asserts name is string {
  checkName(name, subject, "a table name");
  if (foldName(name).startsWith(PREFIX)) {
    throw new DeclarationError({ subject, expected: `a table whose name does not begin with ${PREFIX}`, got: name });
  }
}

function checkName(name: unknown, subject: string, expected: string): asserts name is string {
  const isUsable =
    typeof name === "string" && name !== "" && !name.includes("\0") && !foldName(name).startsWith("sqlite_");
  if (isUsable) return;
  throw new DeclarationError({
    subject,
    expected: `${expected} that is not empty, holds no NUL and does not begin with sqlite_`,
    got: typeof name === "string" ? JSON.stringify(name) : describe(name),
  });
}
