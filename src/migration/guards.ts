import { isSameName } from "../schema/names.ts";
import { collate, type Identity } from "./identity.ts";
import { identifier } from "./sql-text.ts";
import type { TableFacts, UniqueFacts, UniqueTerm } from "./table-facts.ts";

/**
 * A REPLACE that meets a UNIQUE index evicts the row in its way, and no trigger tells. So a trigger BEFORE the statement notes
 * which rows stand in the way. Whether they are really evicted shows afterwards: an OR IGNORE or an UPSERT keeps them.
 */
export interface Guards {
  /** SELECTs of the ids of the rows in the way of an insert, one for each UNIQUE index that may evict. */
  readonly onInsert: readonly string[];
  /** WHEN there is such a row: one look-up an index, which most inserts are through with. */
  readonly isInTheWay: string;
  /** The same for an update. */
  readonly onUpdate: readonly string[];
  /** SELECT of the id of the row that already has the key an update moves to. */
  readonly onMove: string;
  /** WHEN an update can evict; undefined for "always". */
  readonly canEvict: string | undefined;
  /** The columns `canEvict` compares, beside the key. */
  readonly reads: readonly string[];
}

export function guardsOf(table: TableFacts, identity: Identity): Guards {
  // Rows that agree in the id are one row: such an index evicts nobody else.
  const key = table.hasRowidKey ? table.key[0]?.column : undefined;
  const uniques = table.uniques.filter(({ terms }) => key === undefined || terms.every(({ column }) => column !== key));
  // The order of PRAGMA index_list changes when a table is copied; ours does not.
  const conditions = [...new Set(uniques.map((unique) => inTheWay(unique, table)))].sort();
  // A rowid that is not the key can be set all the same, and REPLACE evicts by it as by any UNIQUE index.
  const { rowid } = table;
  if (rowid !== undefined) conditions.push(`r.${rowid} = new.${rowid}`);
  const reads = [...new Set(uniques.flatMap((unique) => unique.reads))].sort();
  const hasMovedRow = rowid === undefined ? [] : [`old.${rowid} IS NOT new.${rowid}`];
  const isBound = uniques.every((unique) => unique.reads.length > 0);
  return {
    onInsert: conditions.map((condition) => identity.among(condition)),
    isInTheWay: conditions.map((c) => `EXISTS (SELECT 1 FROM ${identifier(table.name)} AS r WHERE ${c})`).join(" OR "),
    onUpdate: conditions.map((condition) => identity.among(condition, { except: "old" })),
    onMove: identity.among(identity.isRow("new"), { except: "old" }),
    canEvict: isBound ? [identity.hasMoved, ...hasMovedRow, ...differences(reads)].join(" OR ") : undefined,
    reads,
  };
}

/** For each column, whether an UPDATE changed it, to the byte. */
export function differences(columns: readonly string[]): string[] {
  // Without COLLATE, a NOCASE column would take 'abc' and 'ABC' for equal.
  return columns.map((c) => `old.${identifier(c)} IS NOT new.${identifier(c)} COLLATE BINARY`);
}

/** With its own condition, a partial index serves this look-up; without, it would be a scan of the table. */
function inTheWay(unique: UniqueFacts, table: TableFacts): string {
  const terms = unique.terms.map((term) => isEqual(term, unique, table));
  return [...terms, ...(unique.where === undefined ? [] : [`(${unique.where})`])].join(" AND ");
}

function isEqual(term: UniqueTerm, { reads }: UniqueFacts, table: TableFacts): string {
  if (term.column !== undefined) {
    return `r.${identifier(term.column)} = ${written(term.column, table)}${collate(term)}`;
  }
  // The same expression over the new row: its columns stand in a row of their own, so that the text needs no change.
  const columns = reads.map((column) => `${written(column, table)} AS ${identifier(column)}`).join(", ");
  return `${term.expression} = (SELECT ${term.expression} FROM (SELECT ${columns || "1"}))${collate(term)}`;
}

/** What a statement writes. BEFORE it, the NULL that a REPLACE turns into the default of its column is still a NULL. */
function written(column: string, { columns }: TableFacts): string {
  const instead = columns.find(({ name }) => isSameName(name, column))?.insteadOfNull;
  return instead === undefined ? `new.${identifier(column)}` : `coalesce(new.${identifier(column)}, ${instead})`;
}
