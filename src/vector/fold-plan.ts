import type { Steps } from "../driver/driver.ts";
import { checksum } from "../kernel/checksum.ts";
import type { ChunkDamage } from "./chunk.ts";
import { type ColumnSpace, hasModel, openSpace } from "./column-space.ts";
import { checkTrust } from "./distrust.ts";
import { damageOf, MODEL_MS, type Slices, type Work } from "./fold-slices.ts";
import { isSameKinds, type LogPlace, liveRows, type Manifest, type Segment, type Unit } from "./generation.ts";
import type { IndexedColumn } from "./indexed-column.ts";
import { ResidentCodes } from "./resident-codes.ts";
import { currentCodes, type Resident } from "./resident-column.ts";
import { spaceBlockRows } from "./row-blocks.ts";
import { RowIds, rowId } from "./row-ids.ts";
import type { Skip } from "./skip.ts";
import { mergeIds } from "./sorted-ids.ts";

/** Rows that codes in memory may be behind, and numbers that these have together: to read and code those takes 2 to 5 ms. */
const CATCH_UP_ROWS = 128;
const CATCH_UP_NUMBERS = 49_152;
/** A segment of which more than this share is gone is written anew. */
const GONE_SHARE = 1 / 4;
/** So are segments up to this many times as large as what is written. */
const MERGE_RATIO = 2;

export interface KnownSpace {
  readonly space: ColumnSpace;
  readonly model: Unit;
  /** Undefined: the rows of the generation that is being written. */
  readonly fittedRows: number | undefined;
}

/** What a fold builds on. */
export interface Generation extends KnownSpace {
  readonly manifest: Manifest;
  readonly fittedRows: number;
}

/** The current generation, unless it is damaged or of another state of the schema: then all is written anew. */
export function* soundGeneration(
  slices: Slices,
  connection: object,
  isChecked: boolean,
): Work<{ generation?: Generation; damage: ChunkDamage | undefined }> {
  const { column, generations } = slices;
  const none = { damage: undefined };
  const head = yield* generations.head();
  if (!head?.base) return none;
  try {
    checkTrust(connection, column, head.generation);
    const manifest = yield* generations.manifest(head);
    if (manifest.schemaVersion !== column.attachment.schemaVersion) return none;
    yield* slices.reserve(MODEL_MS);
    const space = yield* storedSpace(slices, connection, yield* generations.model(manifest.model));
    yield* slices.breathe();
    if (spaceBlockRows(space) !== manifest.blockRows || !isSameKinds(space, manifest)) return none;
    for (const segment of isChecked ? manifest.segments : []) {
      for (let block = 0; block * manifest.blockRows < segment.rows; block++) {
        const { source } = yield* generations.block(segment, block, space);
        for (const kind of manifest.codes) {
          yield* slices.breathe();
          const { payload, check } = yield* generations.codes(source, kind, space);
          check(checksum(payload));
        }
        yield* slices.breathe();
      }
    }
    const { model, fittedRows } = manifest;
    return { generation: { manifest, space, model, fittedRows }, damage: undefined };
  } catch (error) {
    return { damage: damageOf(error) };
  }
}

/** The codes in memory as a slice has them. Those that are too many changed rows behind are left to the next query. */
export function codesInMemory(connection: object, column: IndexedColumn): Steps<Resident | undefined> {
  const { dimensions } = column.shape;
  return currentCodes(connection, column, Math.min(CATCH_UP_ROWS, Math.floor(CATCH_UP_NUMBERS / dimensions)));
}

/**
 * The space of a model on disk: that of the codes in memory, where they have the same.
 *
 * @throws {ChunkDamage} when it is no model of such a column
 */
function* storedSpace(slices: Slices, connection: object, model: Uint8Array): Work<ColumnSpace> {
  const { column } = slices;
  const codes = (yield* codesInMemory(connection, column))?.codes;
  if (codes instanceof ResidentCodes && hasModel(codes.space, model)) return codes.space;
  yield* slices.reserve(MODEL_MS);
  return openSpace(column, model);
}

/** Ids of the rows that may differ from the generation, ascending, or why all may. */
export function* changedRows(
  slices: Slices,
  manifest: Manifest,
  to: LogPlace,
): Work<BigInt64Array | "many" | "unknown"> {
  const { base, segments } = manifest;
  if (!(yield* slices.hasLog(base))) return "unknown";
  if (to.seq - base.seq > Math.max(1000, liveRows(segments))) return "many";
  const pages: BigInt64Array[] = [];
  for (let seq = base.seq; seq < to.seq; ) {
    const ids = new Set<bigint>();
    const rows = yield* slices.logBehind(seq, to.seq);
    for (const [at, id] of rows) {
      // Where a number is missing, somebody has deleted it.
      if (typeof id !== "bigint" || at !== ++seq) return "unknown";
      ids.add(id);
    }
    if (rows.length === 0) return "unknown";
    pages.push(BigInt64Array.from(ids).sort());
    yield* slices.breathe();
  }
  return yield* slices.breathing(mergeIds(pages));
}

export interface Plan {
  /** Segments of the generation before that stay, with their rows that are gone. */
  readonly kept: readonly Segment[];
  /** Rows of the new segment, ascending. */
  readonly ids: BigInt64Array | "all";
  readonly skipped: Map<bigint, Skip>;
}

/** Finds the changed rows in the segments there are, and which of those are to be written anew. */
export function* planSegments(slices: Slices, before: Generation, changed: BigInt64Array): Work<Plan> {
  try {
    return yield* planSound(slices, before, changed);
  } catch (error) {
    damageOf(error);
    return { kept: [], ids: "all", skipped: new Map() };
  }
}

function* planSound(slices: Slices, { manifest, space }: Generation, changed: BigInt64Array): Work<Plan> {
  const idsOf = function* (segment: Segment, block: number): Work<BigInt64Array> {
    yield* slices.breathe();
    return (yield* slices.generations.block(segment, block, space)).ids;
  };
  const segments: Segment[] = [];
  for (const segment of manifest.segments) {
    const gone = segment.gone?.slice() ?? new Uint8Array((segment.rows + 7) >> 3);
    for (let block = 0; block * manifest.blockRows < segment.rows; block++) {
      const ids = yield* idsOf(segment, block);
      for (const row of common(ids, changed)) {
        const at = block * manifest.blockRows + row;
        gone[at >> 3]! |= 1 << (at & 7);
      }
      yield* slices.breathe();
    }
    segments.push({ ...segment, gone: gone.some((bits) => bits !== 0) ? gone : undefined });
  }
  const kept: Segment[] = [];
  const merged: Segment[] = [];
  let rows = changed.length;
  for (const segment of segments.reverse()) {
    const live = liveRows([segment]);
    const isMerged = live < segment.rows * (1 - GONE_SHARE) || live <= rows * MERGE_RATIO;
    if (isMerged) rows += live;
    (isMerged ? merged : kept).unshift(segment);
  }
  const lists = [changed];
  for (const segment of merged) {
    const live = new BigInt64Array(liveRows([segment]));
    let count = 0;
    for (let block = 0; block * manifest.blockRows < segment.rows; block++) {
      const own = yield* idsOf(segment, block);
      own.forEach((id, row) => {
        const at = block * manifest.blockRows + row;
        if (!segment.gone || (segment.gone[at >> 3]! & (1 << (at & 7))) === 0) live[count++] = id;
      });
      yield* slices.breathe();
    }
    lists.push(live);
  }
  const skipped = new Map(manifest.skipped);
  for (const id of changed) skipped.delete(id);
  return { kept, ids: yield* slices.breathing(mergeIds(lists)), skipped };
}

/** Places in `ids` of the numbers that are in `changed`; both ascend. */
function* common(ids: BigInt64Array, changed: BigInt64Array): Generator<number> {
  let row = 0;
  let at = RowIds.fixed(changed).bisect(changed.length, rowId(ids[0]!));
  while (row < ids.length && at < changed.length) {
    if (ids[row]! < changed[at]!) row++;
    else if (ids[row]! > changed[at]!) at++;
    else {
      yield row++;
      at++;
    }
  }
}
