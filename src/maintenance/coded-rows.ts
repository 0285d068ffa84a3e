import { attachmentNamed, attachmentsOf } from "../change/attachment.ts";
import type { Driver, Snapshot, Steps } from "../driver/driver.ts";
import { memoryBudgetOf } from "../driver/events.ts";
import type { IndexDefinition, VectorDefinition } from "../migration/definition.ts";
import { ColumnReader } from "../vector/column-reader.ts";
import { type IndexedColumn, indexedColumnOf } from "../vector/indexed-column.ts";
import type { ResidentCodes } from "../vector/resident-codes.ts";
import { residentCodes } from "../vector/resident-column.ts";

/** How the rows that the codes of a column know of differ from those of the table. */
export interface CodedRows {
  /** Rows with a vector that the codes know nothing of. */
  readonly missing: number;
  /** Our id of the first of them. */
  readonly firstMissing: bigint | undefined;
  /** Rows the codes know of that the table does not have, or without a vector. */
  readonly left: number;
}

export interface CodedRowsInput {
  readonly driver: Driver;
  readonly definition: IndexDefinition;
  readonly vector: VectorDefinition;
}

/**
 * Compares the rows that the codes of a column know of, brought up to the snapshot, with those of the table, by their ids; undefined
 * where there are no codes, so that the table itself answers.
 */
export function* codedRows(input: CodedRowsInput, snapshot: Snapshot): Steps<CodedRows | undefined> {
  const coded = yield* codesOf(input, snapshot);
  if (!coded) return undefined;
  const { column, codes } = coded;
  let known = 0;
  let missing = 0;
  let firstMissing: bigint | undefined;
  yield* new ColumnReader(column).ids((ids) => {
    for (const id of ids) {
      if (codes.whereIs(id) !== "absent") known++;
      else if (missing++ === 0) firstMissing = id;
    }
  });
  return { missing, firstMissing, left: codes.size + codes.skipped.size - known };
}

/** The codes of a column as a query of this snapshot has them; undefined where there are none. */
export function* codesOf(
  { driver, definition, vector }: CodedRowsInput,
  snapshot: Snapshot,
): Steps<{ column: IndexedColumn; codes: ResidentCodes } | undefined> {
  const { connection } = driver;
  const attachment = attachmentNamed(yield* attachmentsOf(driver, snapshot), definition.name);
  const column = attachment && indexedColumnOf(attachment, vector);
  if (!column) return undefined;
  const { codes } = yield* residentCodes(connection, column, { budgetBytes: memoryBudgetOf(connection) });
  return codes && { column, codes };
}
