import { and, isNotNull, sql } from "drizzle-orm";
import type { Attachment } from "../change/attachment.ts";
import { vectorBytes } from "../codec/codec.ts";
import { casingOf } from "../driver/casing.ts";
import type { DbLike, Driver, Row, SelectBuilder, Steps } from "../driver/driver.ts";
import { memoryBudgetOf } from "../driver/events.ts";
import { scorerFor } from "../kernel/kernel.ts";
import { columnName } from "../migration/definition.ts";
import { collate, identityOf } from "../migration/identity.ts";
import { identifier } from "../migration/sql-text.ts";
import { isSameName, tableNameOf } from "../schema/names.ts";
import { ChunkDamage } from "../vector/chunk.ts";
import { Generations } from "../vector/generation.ts";
import { type IndexedColumn, indexedColumnOf } from "../vector/indexed-column.ts";
import type { Selection, Skip, Survivor } from "../vector/resident-codes.ts";
import { forgetCodes, reportDamage, residentCodes } from "../vector/resident-column.ts";
import { considerFold } from "../vector/upkeep.ts";
import type { Found, RowsSkipped } from "./found.ts";
import type { NearestRequest } from "./nearest-request.ts";
import { NearestRows } from "./nearest-rows.ts";
import type { Values } from "./search-query.ts";

/** Why a plan gives no answer. */
export interface Refusal {
  readonly refusal: string;
  /** Whether the codes contradict the table, which they never should. */
  readonly isFault?: boolean;
}

export interface CertifiedInput {
  readonly request: NearestRequest;
  readonly driver: Driver;
  readonly db: DbLike;
  readonly attachment: Attachment;
  readonly values: Values;
}

/**
 * More survivors than this share of the rows, and reading them one by one is no faster than reading all in order. So many are
 * always let through: few as they are, they cost a millisecond.
 */
const SURVIVORS_SHARE = 1 / 20;
const SURVIVORS_MIN = 1000;
/** Survivors whose vectors are read by one statement. */
const BATCH_ROWS = 256;

/**
 * Answers from the resident codes of an index, exactly: what the codes cannot rule out is read from the table and scored by
 * the reference. All in the snapshot of these steps, so that the answer is that of a bare scan to the last tie.
 */
export function* certifiedScan(input: CertifiedInput): Steps<Found | Refusal> {
  const { driver } = input;
  const column = indexedColumn(input);
  if ("refusal" in column) return column;
  const shadow: Row[] = yield {
    type: "rows",
    sql: "SELECT 1 FROM temp.sqlite_master WHERE name = ? COLLATE NOCASE AND type IN ('table', 'view')",
    params: [column.table.name],
  };
  if (shadow.length > 0) return { refusal: `a temporary table hides ${column.table.name}` };

  try {
    return yield* scanCodes(input, column);
  } catch (error) {
    if (!(error instanceof ChunkDamage)) throw error;
    // Codes that are read from disk are gone: another generation is current, or something is wrong with this one.
    forgetCodes(driver.connection);
  }
  try {
    return yield* scanCodes(input, column);
  } catch (error) {
    if (!(error instanceof ChunkDamage)) throw error;
    forgetCodes(driver.connection);
    reportDamage(driver.connection, column, error);
    return { refusal: error.message };
  }
}

function* scanCodes({ request, driver, db, values }: CertifiedInput, column: IndexedColumn): Steps<Found | Refusal> {
  const start = performance.now();
  const resident = yield* residentCodes(driver.connection, column, {
    budgetBytes: memoryBudgetOf(driver.connection),
  });
  considerFold(driver, column, resident);
  if (resident.refusal !== undefined) return resident;
  const { codes } = resident;
  const generations = new Generations(column);
  const ready = performance.now();
  let among: Selection | undefined;
  if (request.where) {
    // Rows are selected only while nothing can change the codes: no step of these does.
    among = codes.selection();
    if (!(yield* select(among, { request, db, values }, column)))
      return fault(driver, "a row that matches is not among its codes");
  }
  const size = among ? among.size : codes.size;
  const rowsSkipped = countOf(among ? among.skipped : codes.skipped.values());
  if (rowsSkipped.wrongLength > 0 && size + rowsSkipped.notFinite === 0) {
    return { refusal: "no vector has the length the column declares" };
  }
  const k = Math.min(request.offset + request.limit, size);
  const most = Math.max(SURVIVORS_MIN, Math.floor(codes.size * SURVIVORS_SHARE));
  if (k > most) return { refusal: "more rows are asked for than reading one by one is good for" };
  const query = codes.space.query(request.query(values));
  const survivors =
    k === 0
      ? []
      : yield* codes.search({ query, k, maxDistance: request.maxDistance, most, among }, (source) =>
          generations.codes(source),
        );
  if (!survivors) return { refusal: "too many rows lie too close to each other for their codes to tell apart" };
  const scanned = performance.now();

  const scorer = scorerFor({ shape: request.shape, metric: request.metric, query: request.query(values) });
  const nearest = new NearestRows(k, request.maxDistance, yield* request.collations());
  const statement = vectorsSql({ request, db }, column);
  let rescored = 0;
  for (let i = 0; i < survivors.length && survivors[i]!.upper >= query.floorOf(nearest.bound); i += BATCH_ROWS) {
    const batch = survivors.slice(i, i + BATCH_ROWS);
    const rows: Row[] = yield { type: "rows", sql: statement, params: [`[${batch.map(({ id }) => id).join(",")}]`] };
    rescored += rows.length;
    const uppers = new Map(batch.map(({ id, upper }: Survivor) => [id, upper]));
    const blobs = rows.map((row) => row[1]);
    const expected = vectorBytes(request.shape);
    const isWhole = (blob: unknown): blob is Uint8Array => blob instanceof Uint8Array && blob.byteLength === expected;
    if (rows.length !== batch.length || !blobs.every(isWhole)) return fault(driver, "a coded row has no vector");
    for (let from = 0; from < rows.length; from += scorer.capacity) {
      const distances = scorer.score(blobs.slice(from, from + scorer.capacity));
      for (let at = 0; at < distances.length; at++) {
        const [id, , ...key] = rows[from + at]!;
        const distance = distances[at]!;
        // Otherwise the codes are those of another vector, or the proof is wrong.
        const isWithin = Number.isFinite(distance) && uppers.get(id as bigint)! >= query.floorOf(distance);
        if (!isWithin) return fault(driver, "a row lies nearer than its code says");
        if (distance <= nearest.bound) nearest.offer(distance, key);
      }
    }
  }
  const end = performance.now();
  return {
    plan: "certified scan",
    candidates: nearest.sorted().slice(request.offset),
    kernel: codes.kernel,
    sql: statement,
    rowsScanned: size + rowsSkipped.wrongLength + rowsSkipped.notFinite + rowsSkipped.notAVector,
    rowsRescored: rescored,
    rowsSkipped,
    bytesRead: codes.scanBytes + rescored * vectorBytes(request.shape),
    ms: { catchUp: ready - start, scan: scanned - ready, score: end - scanned },
  };
}

/** The column as the index knows it, unless what is asked is not what is indexed. */
function indexedColumn({ request, attachment, db }: CertifiedInput): IndexedColumn | Refusal {
  const { table, record } = attachment;
  const definition = record.definition;
  if (!definition || !table) return { refusal: "the index cannot be read" };
  const casing = casingOf(db);
  const name = columnName(request.column, casing);
  const declared = definition.vectors.find(({ column }) => isSameName(column, name));
  const { dimensions, element } = request.shape;
  if (declared?.dimensions !== dimensions || declared.element !== element) {
    return { refusal: "the index was made for vectors of another shape" };
  }
  if (declared.metric !== request.metric) return { refusal: `the index measures by ${declared.metric}` };
  const keys = request.keyed.key.map((part) => columnName(part, casing));
  const isSameKey =
    keys.length === table.key.length && keys.every((key) => table.key.some(({ column }) => isSameName(column, key)));
  if (!isSameKey) return { refusal: "the schema declares another primary key than the database has" };
  return indexedColumnOf(attachment, declared) ?? { refusal: "the index keeps no codes for exact answers" };
}

/** Selects the rows that match `where`. False when one of them is unknown to the codes. */
function* select(
  among: Selection,
  { request, db, values }: Pick<CertifiedInput, "request" | "db" | "values">,
  column: IndexedColumn,
): Steps<boolean> {
  let isKnown = true;
  yield {
    type: "scan",
    build: () => matchingSelect(request, db, column),
    values,
    batchRows: 1024,
    onRows(rows) {
      for (const [id] of rows) isKnown = among.add(id as bigint) && isKnown;
    },
  };
  return isKnown;
}

/**
 * The select of the ids of rows that match.
 *
 * SQL: `select "id" from "docs" where "embedding" is not null and …`; the keys of other tables are looked up in the map, outside
 * the condition's sight.
 */
function matchingSelect(
  { keyed: { key, table }, column: vector, where }: NearestRequest,
  db: DbLike,
  { definition, table: facts }: IndexedColumn,
): SelectBuilder {
  const condition = and(isNotNull(vector), where);
  if (definition.key.isRowid) {
    return db
      .select({ id: sql`${key[0]}` })
      .from(table)
      .where(condition);
  }
  const casing = casingOf(db);
  const matching = db
    .select(Object.fromEntries(key.map((part, i) => [`p${i}`, sql`${part}`.as(`p${i}`)])))
    .from(table)
    .where(condition)
    .as("_dv_match");
  const on = facts.key.map((part, i) => {
    const at = key.findIndex((declared) => isSameName(columnName(declared, casing), part.column));
    return sql.raw(`"_dv_key".k${i} = "_dv_match".p${at}${collate(part)}`);
  });
  const keys = sql`${sql.identifier(tableNameOf(definition.name, "keys"))} "_dv_key"`;
  return db
    .select({ id: sql.raw(`"_dv_key".id`) })
    .from(matching)
    .innerJoin(keys, sql.join(on, sql` and `));
}

/** Reads id, vector and key of rows by their ids, a JSON array. */
function vectorsSql({ request, db }: Pick<CertifiedInput, "request" | "db">, column: IndexedColumn): string {
  const { id, rows } = identityOf(column.definition, column.table);
  const keys = request.keyed.key.map((part) => `r.${identifier(columnName(part, casingOf(db)))}`);
  return `SELECT ${[id, `r.${identifier(column.column)}`, ...keys].join(", ")} FROM ${rows} WHERE ${id} IN (SELECT value FROM json_each(?))`;
}

function fault({ connection }: Driver, what: string): Refusal {
  forgetCodes(connection);
  return { refusal: `the codes contradict the table: ${what}`, isFault: true };
}

function countOf(skips: Iterable<Skip>): RowsSkipped {
  const counts: RowsSkipped = { wrongLength: 0, notFinite: 0, notAVector: 0 };
  for (const skip of skips) counts[skip]++;
  return counts;
}
