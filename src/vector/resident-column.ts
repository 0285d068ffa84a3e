import type { Attachment } from "../change/attachment.ts";
import { followLog, type LogCursor } from "../change/log.ts";
import { type VectorShape, vectorBytes } from "../codec/codec.ts";
import type { Row, Steps } from "../driver/driver.ts";
import { processWide } from "../driver/process-wide.ts";
import type { Metric } from "../metric/metric.ts";
import type { IndexDefinition } from "../migration/definition.ts";
import { type Identity, identityOf } from "../migration/identity.ts";
import { identifier } from "../migration/sql-text.ts";
import type { TableFacts } from "../migration/table-facts.ts";
import { tableNameOf } from "../schema/names.ts";
import { codeSpace } from "./code-space.ts";
import { fitModel, SAMPLE_ROWS } from "./model.ts";
import { ResidentCodes } from "./resident-codes.ts";

/** A vector column of an index that follows every write. */
export interface IndexedColumn {
  readonly attachment: Attachment;
  readonly definition: IndexDefinition;
  readonly table: TableFacts;
  /** Its name in the database. */
  readonly column: string;
  readonly shape: VectorShape;
  readonly metric: Metric;
}

/** The codes of all rows of this snapshot, or why there are none. */
export type Resident =
  | { readonly codes: ResidentCodes; readonly refusal?: undefined }
  | { readonly codes?: undefined; readonly refusal: string };

interface Cached {
  readonly state: Resident;
  /** Where in the log the codes stand; undefined for a refusal. */
  readonly cursor: LogCursor | undefined;
  readonly schemaVersion: string;
}

/** The caches of each connection, by column. Each sees its own snapshots, and they are gone with it. */
const connections: WeakMap<object, Map<string, Cached>> = processWide("resident-codes-1", () => new WeakMap());

/** Most bytes of codes of one column. */
export const BUDGET_BYTES_DEFAULT = 256 * 2 ** 20;

/** Up to so many changed rows, or this share of all, are read again one by one; beyond, the whole column is. */
const CHANGES_MIN = 1000;
const CHANGES_SHARE = 1 / 4;

/** Rows of one statement: a batch of large vectors stays below some megabytes. */
const BATCH_ROWS = 256;

/**
 * The codes of a column as the snapshot of these steps has it: the cached ones, with the rows patched in that the log names,
 * or all rows read anew.
 *
 * A cache is used only for the state of the schema it was made in: while a trigger was missing, writes left no trace but the
 * number of that state. Inside a transaction that may have changed the schema there are no codes: it may be rolled back, and
 * the number be given out again.
 */
export function* residentCodes(connection: object, column: IndexedColumn, budgetBytes: number): Steps<Resident> {
  const { attachment, definition } = column;
  const caches = cachesOf(connection);
  const { element, dimensions } = column.shape;
  const key = `${element} ${dimensions} ${column.metric} ${definition.name}\0${column.column}`;
  const known = caches.get(key);
  const { schemaVersion, isCommitted } = attachment;
  if (!isCommitted) return { refusal: "the schema was last changed inside a transaction that may still be open" };
  const cached = known?.schemaVersion === schemaVersion ? known : undefined;
  if (cached?.state.refusal !== undefined) return cached.state;

  const codes = cached?.state.codes;
  const most = Math.max(CHANGES_MIN, Math.floor((codes?.size ?? 0) * CHANGES_SHARE));
  const change = yield* followLog(tableNameOf(definition.name, "log"), cached?.cursor, most);
  if (codes && change.type === "none") return { codes };
  // Taken out until it is whole again: an error on the way must not leave half a patch behind.
  caches.delete(key);
  if (change.type === "lost") return { refusal: `the log of index ${definition.name} has been cleared` };
  const keep = (state: Resident, cursor: LogCursor | undefined): Resident => {
    caches.set(key, { state, cursor, schemaVersion });
    return state;
  };
  if (codes && change.type === "rows") {
    yield* patch(codes, column, change.ids);
    if (!codes.isWorn) return keep({ codes }, change.cursor);
  }
  // Caches of other states of the schema are of no use any more.
  for (const [other, { schemaVersion: version }] of caches) if (version !== schemaVersion) caches.delete(other);
  const cursor = change.type === "none" ? undefined : change.cursor;
  try {
    return keep({ codes: yield* load(column, budgetBytes) }, cursor);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return keep({ refusal: `the codes of ${definition.table}.${column.column} do not fit into memory` }, undefined);
  }
}

/** Forgets all codes of a connection: something about them is wrong. */
export function forgetCodes(connection: object): void {
  connections.delete(connection);
}

function cachesOf(connection: object): Map<string, Cached> {
  let caches = connections.get(connection);
  if (!caches) {
    caches = new Map();
    connections.set(connection, caches);
  }
  return caches;
}

function* load(column: IndexedColumn, budgetBytes: number): Steps<ResidentCodes> {
  const { shape, metric } = column;
  const { id, rows } = identityOfColumn(column);
  const vector = `r.${identifier(column.column)}`;
  const sample: Row[] = yield { type: "rows", sql: sampleSql(column), params: [] };
  const blobs = sample.flatMap(([blob]) => (blob instanceof Uint8Array && isFitting(blob, shape) ? [blob] : []));
  const codes = new ResidentCodes(codeSpace(shape, metric, fitModel(shape, metric, blobs)));
  yield {
    type: "stream",
    sql: `SELECT ${id}, ${vector} FROM ${rows} WHERE ${vector} IS NOT NULL ORDER BY ${id}`,
    params: [],
    batchRows: BATCH_ROWS,
    onRows(batch) {
      codes.setAll(batch as [bigint, unknown][]);
      if (codes.bytes > budgetBytes) throw new RangeError(`more than ${budgetBytes} bytes of codes`);
    },
  };
  codes.finishLoad();
  return codes;
}

function* patch(codes: ResidentCodes, column: IndexedColumn, ids: ReadonlySet<bigint>): Steps<void> {
  const { id, rows } = identityOfColumn(column);
  const vector = `r.${identifier(column.column)}`;
  const changed = [...ids];
  for (let i = 0; i < changed.length; i += BATCH_ROWS) {
    const batch = changed.slice(i, i + BATCH_ROWS);
    const gone = new Set(batch);
    const present: Row[] = yield {
      type: "rows",
      sql: `SELECT ${id}, ${vector} FROM ${rows} WHERE ${id} IN (SELECT value FROM json_each(?)) AND ${vector} IS NOT NULL`,
      params: [`[${batch.join(",")}]`],
    };
    codes.setAll(present as [bigint, unknown][]);
    for (const [rowId] of present) gone.delete(rowId as bigint);
    for (const rowId of gone) codes.delete(rowId);
  }
}

/** Vectors at even distances between the least and the largest id: a few hundred look-ups, whatever the size of the table. */
function sampleSql(column: IndexedColumn): string {
  const { id, rows, map } = identityOfColumn(column);
  const ids = map
    ? `main.${identifier(tableNameOf(column.definition.name, "keys"))} AS k`
    : `main.${identifier(column.table.name)} AS r`;
  const at = `CAST(low + (1.0 * high - low) * n / ${SAMPLE_ROWS} AS INTEGER)`;
  return `WITH span (low, high) AS (SELECT (SELECT min(${id}) FROM ${ids}), (SELECT max(${id}) FROM ${ids})), step (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM step WHERE n < ${SAMPLE_ROWS - 1}) SELECT r.${identifier(column.column)} FROM ${rows} WHERE ${id} IN (SELECT (SELECT ${id} FROM ${ids} WHERE ${id} >= ${at} ORDER BY ${id} LIMIT 1) FROM span, step)`;
}

export function identityOfColumn({ definition, table }: IndexedColumn): Identity {
  return identityOf(definition, table);
}

function isFitting(blob: Uint8Array, shape: VectorShape): boolean {
  return blob.byteLength === vectorBytes(shape);
}
