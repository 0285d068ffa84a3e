import { codecOf, type Element, encodeVector } from "../codec/codec.ts";
import type { Row, Snapshot, Steps } from "../driver/driver.ts";
import { scorerFor } from "../kernel/kernel.ts";
import { LAST_ID } from "../migration/identity.ts";
import { ChunkDamage } from "../vector/chunk.ts";
import { BATCH_ROWS, ColumnReader } from "../vector/column-reader.ts";
import { distrust } from "../vector/distrust.ts";
import { Generations } from "../vector/generation.ts";
import type { IndexedColumn } from "../vector/indexed-column.ts";
import type { ResidentCodes } from "../vector/resident-codes.ts";
import { forgetCodes } from "../vector/resident-column.ts";
import { rowId } from "../vector/row-ids.ts";
import type { Selection } from "../vector/selection.ts";
import { judge } from "../vector/skip.ts";
import { type CodedRowsInput, codesOf } from "./coded-rows.ts";
import { isQuery } from "./recall.ts";

/** Rows whose codes are those of other vectors. */
export interface Contradicted {
  readonly count: number;
  /** Our id of the first of them. */
  readonly first: bigint | undefined;
  /** Where to go on; undefined: that was the end. */
  readonly next: bigint | undefined;
}

/**
 * Looks whether codes are those of the vectors that their rows have, for up to `limit` rows from an id on; undefined where there are
 * none with bounds that are proven.
 *
 * Bounds hold for any query, so a distance beyond its bound is that of another vector than was coded. Two of the rows are queries, and so
 * are their opposites, which bound similarities from the other side: a code of another vector keeps within all four by chance only,
 * and the nearer it comes, the less it matters. To code the vectors once more and compare bytes would hold a later version of the
 * library to the codes of this one.
 */
export function* contradicted(
  input: CodedRowsInput,
  snapshot: Snapshot,
  { from, limit }: { from: bigint; limit: number },
): Steps<Contradicted | undefined> {
  const coded = yield* codesOf(input, snapshot);
  if (!coded?.codes.space.isExact) return undefined;
  const { column, codes } = coded;
  const reader = new ColumnReader(column);
  const ids = yield* reader.idsFrom(from, limit);
  const last = ids.at(-1);
  const next = last === undefined || ids.length < limit || last === LAST_ID ? undefined : last + 1n;
  const among = codes.selection();
  const known = ids.filter((id) => typeof among.add(rowId(id)) === "number");
  if (known.length === 0) return { count: 0, first: undefined, next };
  try {
    const checks: Check[] = [];
    for (const query of yield* queriesAmong(known, codes, reader)) {
      checks.push(yield* checkBy(query, among, coded));
    }
    const wrong = new Set<bigint>();
    for (let i = 0; i < known.length; i += BATCH_ROWS) {
      const rows = yield* reader.some(known.slice(i, i + BATCH_ROWS));
      const vectors: Row[] = [];
      for (const row of rows) {
        // What has a code was a vector when it was coded.
        if (typeof judge(row[1], codes.space) === "string") wrong.add(row[0] as bigint);
        else vectors.push(row);
      }
      for (const beyond of checks) for (const id of beyond(vectors)) wrong.add(id);
    }
    return { count: wrong.size, first: known.find((id) => wrong.has(id)), next };
  } catch (error) {
    // Codes that cannot be read are told by the queries that do without them.
    if (!(error instanceof ChunkDamage)) throw error;
    return undefined;
  }
}

/** Has this connection do without the codes of a column, and the next fold write all of them anew. */
export function* doWithout(input: CodedRowsInput, snapshot: Snapshot): Steps<void> {
  const coded = yield* codesOf(input, snapshot);
  if (!coded) return;
  const { connection } = input.driver;
  forgetCodes(connection);
  yield* distrust(connection, coded.column);
}

/** Those of some rows, id and vector, that lie nearer to a query than their codes say. */
type Check = (rows: readonly Row[]) => Iterable<bigint>;

/** Vectors of two of the rows, where they can be queries, and their opposites, as the column stores them. */
function* queriesAmong(ids: readonly bigint[], { space }: ResidentCodes, reader: ColumnReader): Steps<Uint8Array[]> {
  const { shape, metric } = space;
  const { decode } = codecOf(shape.element);
  const rows = yield* reader.some([...new Set([ids[0]!, ids[ids.length >> 1]!])]);
  return rows.flatMap(([, value]) => {
    const bytes = judge(value, space);
    const vector = typeof bytes === "string" ? undefined : decode(bytes);
    if (!vector || !isQuery(vector, { metric })) return [];
    return [vector, opposite(vector, shape.element)].map((query) => encodeVector(query, shape, "query"));
  });
}

/** What is far from a vector's neighbours, and near to what is far from it. */
function opposite(vector: Float32Array | Int8Array | Uint8Array, element: Element): typeof vector {
  if (element === "bit") return vector.map((byte) => 255 - byte);
  return vector.map((number) => (element === "int8" ? Math.min(127, -number) : -number));
}

function* checkBy(
  encoded: Uint8Array,
  among: Selection,
  { column, codes }: { column: IndexedColumn; codes: ResidentCodes },
): Steps<Check> {
  const { shape, metric } = column;
  const query = codes.space.query(encoded);
  const all = { k: among.size, most: among.size, maxDistance: Number.POSITIVE_INFINITY };
  const read = new Generations(column).reading(codes.space);
  const found = yield* codes.scans.search({ query, among, ...all }, read);
  const uppers = new Map(found?.survivors.map(({ id, upper }) => [id, upper]));
  const scorer = scorerFor({ shape, metric, query: encoded });
  return function* (rows) {
    for (let from = 0; from < rows.length; from += scorer.capacity) {
      const some = rows.slice(from, from + scorer.capacity);
      const distances = scorer.score(some.map(([, vector]) => vector as Uint8Array));
      for (let i = 0; i < some.length; i++) {
        const id = some[i]![0] as bigint;
        const upper = uppers.get(id);
        if (upper !== undefined && upper < query.floorOf(distances[i]!)) yield id;
      }
    }
  };
}
