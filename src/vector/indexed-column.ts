import type { Attachment } from "../change/attachment.ts";
import { type VectorShape, vectorBytes } from "../codec/codec.ts";
import type { Row, Steps } from "../driver/driver.ts";
import type { Metric } from "../metric/metric.ts";
import type { IndexDefinition, VectorDefinition } from "../migration/definition.ts";
import { type Identity, identityOf } from "../migration/identity.ts";
import { identifier } from "../migration/sql-text.ts";
import type { TableFacts } from "../migration/table-facts.ts";
import { tableNameOf } from "../schema/names.ts";

/** A vector column of an index that follows every write. */
export interface IndexedColumn {
  readonly attachment: Attachment;
  readonly definition: IndexDefinition;
  readonly table: TableFacts;
  /** Its name in the database. */
  readonly column: string;
  readonly shape: VectorShape;
  readonly metric: Metric;
  /** Whether it has codes for exact answers, or 1-bit codes alone. */
  readonly isExact: boolean;
}

/** A column of an index, as its codes are made; undefined where the index is not attached. */
export function indexedColumnOf(attachment: Attachment, vector: VectorDefinition): IndexedColumn | undefined {
  const { table, record, problems } = attachment;
  const definition = record.definition;
  if (!definition || !table || problems.length > 0) return undefined;
  const { column, dimensions, element, metric, exact } = vector;
  return { attachment, definition, table, column, shape: { dimensions, element }, metric, isExact: exact };
}

/** Rows of one statement: a batch of large vectors stays below some megabytes. */
export const BATCH_ROWS = 256;

/** What has to be known of a column to read its vectors. */
type ReadColumn = Pick<IndexedColumn, "definition" | "table" | "column" | "shape">;

/** The statements that read a column's vectors by our ids. */
export class ColumnReader {
  readonly #column: ReadColumn;
  readonly #identity: Identity;
  readonly #vector: string;

  constructor(column: ReadColumn) {
    this.#column = column;
    this.#identity = identityOf(column.definition, column.table);
    this.#vector = `r.${identifier(column.column)}`;
  }

  /** Hands over id and value of every row that has one, by ascending id. */
  *all(onRows: (rows: readonly Row[]) => void): Steps<void> {
    const { id, rows } = this.#identity;
    const sql = `SELECT ${id}, ${this.#vector} FROM ${rows} WHERE ${this.#vector} IS NOT NULL ORDER BY ${id}`;
    yield { type: "stream", sql, params: [], batchRows: BATCH_ROWS, onRows };
  }

  /** Id and value of those of up to a few hundred rows that have one, in any order. */
  *some(ids: readonly bigint[]): Steps<readonly Row[]> {
    const { id, rows } = this.#identity;
    const sql = `SELECT ${id}, ${this.#vector} FROM ${rows} WHERE ${id} IN (SELECT value FROM json_each(?)) AND ${this.#vector} IS NOT NULL`;
    return yield { type: "rows", sql, params: [`[${ids.join(",")}]`] };
  }

  /** The next ids behind one, ascending, whether or not the rows have a value. */
  *idsFrom(least: bigint, most: number): Steps<bigint[]> {
    const { id, ids } = this.#identity;
    const sql = `SELECT ${id} FROM ${ids} WHERE ${id} >= ? ORDER BY ${id} LIMIT ${most}`;
    const rows: Row[] = yield { type: "rows", sql, params: [least] };
    return rows.map(([row]) => row as bigint);
  }

  /** Vectors at even distances between the least and the largest id: one look-up each, whatever the size of the table. */
  *sample(count: number): Steps<Uint8Array[]> {
    const { id, rows, map } = this.#identity;
    const { definition, table, shape } = this.#column;
    const ids = map
      ? `main.${identifier(tableNameOf(definition.name, "keys"))} AS k`
      : `main.${identifier(table.name)} AS r`;
    const at = `CAST(low + (1.0 * high - low) * n / ${count} AS INTEGER)`;
    const sql = `WITH span (low, high) AS (SELECT (SELECT min(${id}) FROM ${ids}), (SELECT max(${id}) FROM ${ids})), step (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM step WHERE n < ${count - 1}) SELECT ${this.#vector} FROM ${rows} WHERE ${id} IN (SELECT (SELECT ${id} FROM ${ids} WHERE ${id} >= ${at} ORDER BY ${id} LIMIT 1) FROM span, step)`;
    const values: Row[] = yield { type: "rows", sql, params: [] };
    const bytes = vectorBytes(shape);
    return values.flatMap(([value]) => (value instanceof Uint8Array && value.byteLength === bytes ? [value] : []));
  }

  /** Whether the map of keys and ids has every row; a table whose key is the id needs none. */
  *hasAllIds(): Steps<boolean> {
    const { map } = this.#identity;
    if (!map) return true;
    const rows: Row[] = yield { type: "rows", sql: `SELECT 1 FROM ${map.unmapped} LIMIT 1`, params: [] };
    return rows.length === 0;
  }

  /** Rows of the table. */
  *count(): Steps<number> {
    const rows: Row[] = yield { type: "rows", sql: `SELECT count(*) FROM ${this.#identity.ids}`, params: [] };
    return Number(rows[0]![0]);
  }
}
