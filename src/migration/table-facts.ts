import { foldName, isSameName } from "../schema/names.ts";
import { closing, isSign, isWord, literal, nameIn, type Token, textOf, tokensOf } from "./sql-text.ts";

/** What a rowid may be set by. SQLite compares the column lists of triggers by name alone. */
export const ROWID_NAMES = ["rowid", "_rowid_", "oid"];

/** What a database says about a table, as far as triggers and keys depend on it. */
export interface TableFacts {
  /** As the database spells it. */
  readonly name: string;
  /** The statement in sqlite_master. */
  readonly sql: string;
  readonly columns: readonly ColumnFacts[];
  /** The primary key's columns in its order; empty where there is none. */
  readonly key: readonly KeyPart[];
  /** Whether the key is one INTEGER PRIMARY KEY, the rowid under another name. */
  readonly hasRowidKey: boolean;
  /** By which name statements reach a rowid that is not the key; undefined where there is none or columns hide its names. */
  readonly rowid: string | undefined;
  /** Every UNIQUE index but the primary key's: a REPLACE that hits one evicts a row without any trigger. */
  readonly uniques: readonly UniqueFacts[];
}

export interface ColumnFacts {
  readonly name: string;
  readonly type: string;
  /** Whether SQLite computes it from other columns. */
  readonly isGenerated: boolean;
  /** What REPLACE puts in the place of a NULL that the column refuses, as SQL: its default, if it has one. */
  readonly insteadOfNull: string | undefined;
}

export interface KeyPart {
  readonly column: string;
  readonly affinity: string;
  readonly collation: string;
}

export interface UniqueFacts {
  readonly name: string;
  readonly terms: readonly UniqueTerm[];
  /** The condition of a partial index, as SQL over the table's columns. */
  readonly where: string | undefined;
  /** The columns its terms and condition read; a row that keeps their values keeps its place in the index. */
  readonly reads: readonly string[];
}

/** One part of a UNIQUE index: a column, or an expression over the columns. */
export interface UniqueTerm {
  readonly column: string | undefined;
  readonly expression: string | undefined;
  readonly collation: string;
}

/** Table, column, declared type, place in the primary key (0: none), 2 or 3 for a generated column, and the default of a NOT NULL one. */
export type ColumnRow = readonly [
  table: string,
  name: string,
  type: string,
  pk: number | bigint,
  hidden: number | bigint,
  insteadOfNull: string | null,
];

/** One part of a UNIQUE index; `column` is NULL for an expression. */
export type UniqueRow = readonly [
  table: string,
  index: string,
  origin: string,
  column: string | null,
  collation: string | null,
];

interface FactsInput {
  readonly name: string;
  readonly sql: string;
  readonly columns: readonly ColumnRow[];
  readonly uniques: readonly UniqueRow[];
  /** The CREATE INDEX statement of an index, or undefined for one that came with the table. */
  indexSql(name: string): string | undefined;
}

export function factsOf({ name, sql, columns, uniques, indexSql }: FactsInput): TableFacts {
  const options = optionsOf(sql);
  const isWithoutRowid = options.some((token, i) => isWord(token, "without") && isWord(options[i + 1], "rowid"));
  const isStrict = options.some((token) => isWord(token, "strict"));
  const keyColumns = columns.filter(([, , , pk]) => Number(pk) > 0).sort((a, b) => Number(a[3]) - Number(b[3]));
  const keyIndex = uniques.filter(([, , origin]) => origin === "pk");
  const byIndex = new Map<string, UniqueRow[]>();
  for (const row of uniques) {
    if (row[2] !== "pk") byIndex.set(row[1], [...(byIndex.get(row[1]) ?? []), row]);
  }
  const hasRowidKey = keyColumns.length === 1 && keyIndex.length === 0 && !isWithoutRowid;
  const isTaken = (rowid: string) => columns.some(([, column]) => isSameName(column, rowid));
  return {
    name,
    sql,
    columns: columns.map(([, column, type, , hidden, instead]) => ({
      name: column,
      type,
      isGenerated: isGenerated(hidden),
      insteadOfNull: instead === null ? undefined : defaultOf(instead),
    })),
    key: keyColumns.map(([, column, type], i) => ({
      column,
      affinity: affinityOf(type, isStrict),
      collation: keyIndex[i]?.[4] ?? "BINARY",
    })),
    // An INTEGER PRIMARY KEY has no index of its own; `INTEGER PRIMARY KEY DESC` and WITHOUT ROWID tables have one.
    hasRowidKey,
    rowid: hasRowidKey || isWithoutRowid ? undefined : ROWID_NAMES.find((rowid) => !isTaken(rowid)),
    uniques: [...byIndex].map(([index, rows]) => uniqueOf(index, rows, columns, indexSql(index))),
  };
}

/** What stands behind the columns of a CREATE TABLE. */
function optionsOf(sql: string): Token[] {
  const tokens = tokensOf(sql);
  const open = tokens.findIndex((token) => isSign(token, "("));
  return open < 0 ? [] : tokens.slice(closing(tokens, open));
}

function uniqueOf(
  name: string,
  rows: UniqueRow[],
  columns: readonly ColumnRow[],
  sql: string | undefined,
): UniqueFacts {
  const written = sql === undefined ? undefined : parseIndex(sql, rows[0]![0], columns);
  const terms = rows.map(([, , , column, collation], i) => ({
    column: column ?? undefined,
    expression: column === null ? textOf(written?.terms[i] ?? []) : undefined,
    collation: collation ?? "BINARY",
  }));
  const free = [
    ...rows.flatMap((row, i) => (row[3] === null ? (written?.terms[i] ?? []) : [])),
    ...(written?.where ?? []),
  ];
  const named = new Set([...rows.map(([, , , column]) => column), ...free.map(nameIn)].map((n) => foldName(n ?? "")));
  const read = columns.filter(([, column]) => named.has(foldName(column)));
  // BEFORE an update, SQLite computes a generated column from those columns only that the trigger itself mentions.
  const hasGenerated = read.some(([, , , , hidden]) => isGenerated(hidden));
  return {
    name,
    terms,
    where: written?.where && textOf(written.where),
    reads: (hasGenerated ? columns : read).map(([, column]) => column),
  };
}

/** A default as SQL that means the same anywhere: SQLite takes a name there for a text. */
function defaultOf(sql: string): string {
  const tokens = tokensOf(sql);
  const isName = ({ kind, text }: Token) =>
    kind === "quoted" ||
    (tokens.length === 1 && kind === "word" && !/^(\d|(null|true|false|current_\w+)$)/i.test(text));
  return `(${textOf(tokens.map((token) => (isName(token) ? asText(token) : token)))})`;
}

function asText(token: Token): Token {
  return { ...token, kind: "string", text: literal(nameIn(token) ?? "") };
}

function isGenerated(hidden: number | bigint): boolean {
  return Number(hidden) > 1;
}

/** Terms and condition of a CREATE INDEX statement, which no PRAGMA tells. */
function parseIndex(
  sql: string,
  table: string,
  columns: readonly ColumnRow[],
): { terms: Token[][]; where: Token[] | undefined } {
  const tokens = clearOf(tokensOf(sql), table, columns);
  const open = tokens.findIndex((token, i) => isSign(token, "(") && i > 0);
  const end = closing(tokens, open);
  const terms: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens.slice(open + 1, end - 1)) {
    if (isSign(token, "(")) depth++;
    if (isSign(token, ")")) depth--;
    if (depth === 0 && isSign(token, ",")) terms.push([]);
    else terms.at(-1)!.push(token);
  }
  return {
    terms: terms.map((term) => (isWord(term.at(-1), "asc") || isWord(term.at(-1), "desc") ? term.slice(0, -1) : term)),
    where: isWord(tokens[end], "where") ? tokens.slice(end + 1) : undefined,
  };
}

/**
 * The tokens of a CREATE INDEX so that they mean the same in a trigger. The table goes by another name there, so columns lose it
 * in front of them, as drizzle-kit writes it into the condition of a partial index; and a text in double quotes, as other
 * connections may take it, gets single ones.
 */
function clearOf(tokens: readonly Token[], table: string, columns: readonly ColumnRow[]): Token[] {
  const known = new Set([...ROWID_NAMES, ...columns.map(([, column]) => foldName(column))]);
  const first = tokens.findIndex((token) => isSign(token, "("));
  const isQualified = (i: number) =>
    i - 2 > first && isSign(tokens[i - 1], ".") && isSameName(nameIn(tokens[i - 2]!) ?? "", table);
  const isText = (token: Token, i: number) =>
    i > first &&
    token.text.startsWith('"') &&
    !known.has(foldName(nameIn(token)!)) &&
    !isSign(tokens[i + 1], "(") &&
    !isWord(tokens[i - 1], "collate");
  return tokens.flatMap((token, i) => {
    if (isQualified(i + 2) || isQualified(i + 1)) return [];
    if (isQualified(i)) return [{ ...token, spaced: tokens[i - 2]!.spaced }];
    return [isText(token, i) ? asText(token) : token];
  });
}

/** @see https://www.sqlite.org/datatype3.html, section 3.1 */
function affinityOf(type: string, isStrict: boolean): string {
  const upper = type.toUpperCase();
  if (isStrict && upper === "ANY") return "BLOB";
  if (upper.includes("INT")) return "INTEGER";
  if (/CHAR|CLOB|TEXT/.test(upper)) return "TEXT";
  if (upper === "" || upper.includes("BLOB")) return "BLOB";
  return /REAL|FLOA|DOUB/.test(upper) ? "REAL" : "NUMERIC";
}
