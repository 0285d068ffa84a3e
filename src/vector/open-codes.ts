import { followLog, type LogCursor } from "../change/log.ts";
import type { Steps } from "../driver/driver.ts";
import { scanKernel } from "../kernel/code-kernel.ts";
import { ChunkDamage, LogDamage } from "./chunk.ts";
import { BATCH_ROWS, ColumnReader } from "./column-reader.ts";
import { columnSpace, fitColumn, openSpace } from "./column-space.ts";
import { checkTrust } from "./distrust.ts";
import { Generations, isSameKinds } from "./generation.ts";
import { type BreathingSteps, type IndexedColumn, withoutPause } from "./indexed-column.ts";
import { SAMPLE_ROWS } from "./model.ts";
import { reportDamage } from "./report-damage.ts";
import { ResidentCodes } from "./resident-codes.ts";
import { spaceBlockRows } from "./row-blocks.ts";

export interface ResidentOptions {
  /** Most bytes of codes that all connections of the process hold. */
  readonly budgetBytes: number;
  /** Whether codes on disk that are not kept in memory are looked at, too, where a generation is loaded. Default false. */
  readonly isChecked?: boolean;
  /**
   * Whether 1-bit codes are likely to be asked for, with `loadBits`: where not all codes of the column fit into the budget, they
   * get room before the others, since without them all of them would be read for a query that one row answers. Default false.
   */
  readonly isApproximate?: boolean;
}

const CHANGES_MIN = 1000;
const CHANGES_SHARE = 1 / 4;

/** Most of so many rows that are read again one by one where they have changed: with more the whole column is. */
export function mostChanges(rows: number): number {
  return Math.max(CHANGES_MIN, Math.floor(rows * CHANGES_SHARE));
}

/** What may be filled, and how far. */
export interface Room {
  readonly budgetBytes: number;
  /** Says what is being filled. */
  begin(codes: ResidentCodes): void;
  /** Whether so many bytes may be added. */
  has(bytes: number): boolean;
}

/** Codes that have been opened, or why there are none. */
export interface Opened {
  readonly codes: ResidentCodes | undefined;
  readonly refusal?: string;
  /** Whether a generation on disk would help. */
  readonly needsFold?: boolean;
  /** Where in the log the codes stand. */
  readonly cursor: LogCursor;
  /** The row of the log up to which the generation on disk goes; undefined where there is none to rely on. */
  readonly storedTo: bigint | undefined;
  /** Rows that the model of these codes was fitted to, where that was done for them. */
  readonly fittedRows?: number;
}

/** The codes of the generation on disk, or undefined where there is none that can be relied on. */
export function* openStored(
  connection: object,
  column: IndexedColumn,
  room: Room,
  { isChecked = false, isApproximate = false }: ResidentOptions,
): Steps<Opened | "damaged" | undefined> {
  const { attachment } = column;
  const generations = new Generations(column);
  try {
    const head = yield* generations.head();
    if (!head?.base) return undefined;
    checkTrust(connection, column, head.generation);
    const manifest = yield* generations.manifest(head);
    if (manifest.schemaVersion !== attachment.schemaVersion) return undefined;
    const rows = manifest.segments.reduce((sum, segment) => sum + segment.rows, 0);
    const most = mostChanges(rows);
    const cursor: LogCursor = [{ ...head.base, id: null }];
    const change = yield* followLog(column.log, cursor, most);
    if (change.type === "all" && change.isUnknown) throw new LogDamage();
    if (change.type === "all" || change.type === "lost") return undefined;
    const space = openSpace(column, yield* generations.model(manifest.model));
    // Another version of the library may cut blocks in another way.
    if (spaceBlockRows(space) !== manifest.blockRows || !isSameKinds(space, manifest)) return undefined;
    const codes = new ResidentCodes(space);
    room.begin(codes);
    for (const segment of manifest.segments) {
      codes.beginSegment();
      for (let block = 0; block * manifest.blockRows < segment.rows; block++) {
        codes.addStored(yield* generations.block(segment, block, space));
      }
    }
    const read = generations.reading(space);
    const [first, ...others] = codes.kinds;
    const kinds = isApproximate && !hasRoomForAll(codes, room.budgetBytes) ? [...others, first!] : [first!];
    for (const kind of kinds) {
      yield* withoutPause(codes.loadStored(kind, read, () => room.has(codes.slotBytes(kind))));
    }
    if (isChecked) yield* codes.checkStored(read);
    for (const [id, why] of manifest.skipped) codes.skip(id, why);
    codes.finishLoad();
    if (change.type === "rows") yield* patch(codes, column, change.ids, room);
    return { codes, cursor: change.type === "rows" ? change.cursor : cursor, storedTo: head.base.seq };
  } catch (error) {
    if (!(error instanceof ChunkDamage)) throw error;
    reportDamage(connection, column, error);
    return error.isNewer ? undefined : "damaged";
  }
}

/** The codes of all rows, read from the table. */
export function* openTable(column: IndexedColumn, room: Room): Steps<Opened> {
  const { definition } = column;
  const start = yield* followLog(column.log, undefined, 0);
  if (start.type !== "all") {
    const isCleared = start.type === "lost" && start.isCleared;
    return {
      codes: undefined,
      cursor: [],
      storedTo: undefined,
      refusal: isCleared
        ? `the log of index ${definition.name} has been cleared`
        : "random() of this connection is not that of SQLite, and the log cannot be followed without it",
      needsFold: isCleared,
    };
  }
  if (!(yield* new ColumnReader(column).hasAllIds())) {
    return {
      codes: undefined,
      cursor: [],
      storedTo: undefined,
      refusal: `rows of ${column.table.name} have no id in the index ${definition.name}`,
      needsFold: false,
    };
  }
  // Before a model is fitted in vain.
  const kernel = scanKernel();
  const codes = new ResidentCodes(columnSpace(column, yield* withoutPause(fitSample(column)))!, kernel);
  room.begin(codes);
  let taken = 0;
  yield* new ColumnReader(column).all((batch) => {
    codes.setAll(batch as [bigint, unknown][]);
    if (codes.bytes > taken && !room.has(0)) throw new RangeError("more codes than the budget allows");
    taken = codes.bytes;
  });
  codes.finishLoad();
  return { codes, cursor: start.cursor, storedTo: undefined, fittedRows: codes.size };
}

/** Reads rows anew that may have changed. */
export function* patch(
  codes: ResidentCodes,
  column: IndexedColumn,
  ids: ReadonlySet<bigint>,
  room: Pick<Room, "budgetBytes" | "has">,
): Steps<void> {
  const reader = new ColumnReader(column);
  try {
    if (codes.isCrowded(ids.size)) yield* withoutPause(loadDeferred(column, codes, room));
  } catch (error) {
    // It matters to those who ask for 1-bit codes: they will find it, too.
    if (!(error instanceof ChunkDamage)) throw error;
  }
  const changed = [...ids];
  for (let i = 0; i < changed.length; i += BATCH_ROWS) {
    const batch = changed.slice(i, i + BATCH_ROWS);
    const gone = new Set(batch);
    const present = yield* reader.some(batch);
    codes.setAll(present as [bigint, unknown][]);
    for (const [id] of present) gone.delete(id as bigint);
    for (const id of gone) codes.delete(id);
  }
}

/** Reads the 1-bit codes of a generation that were left on disk, if there is room for all that is left there. */
export function* loadDeferred(
  column: IndexedColumn,
  codes: ResidentCodes,
  { budgetBytes, has }: Pick<Room, "budgetBytes" | "has">,
): BreathingSteps<void> {
  if (!codes.isDeferred("bits") || !hasRoomForAll(codes, budgetBytes)) return;
  yield* codes.loadStored("bits", new Generations(column).reading(codes.space), () => has(codes.slotBytes("bits")));
}

/** Whether the codes that are in memory and those that are deferred fit into the budget together. */
export function hasRoomForAll(codes: ResidentCodes, budgetBytes: number): boolean {
  return codes.deferredBytes === 0 || codes.bytes + codes.deferredBytes <= budgetBytes;
}

/**
 * The model of a space that suits a sample of a column's vectors. Where it yields nothing it may be left for a while: the rows may
 * change meanwhile, since a space decides nothing but speed.
 */
export function* fitSample(column: IndexedColumn): BreathingSteps<Uint8Array> {
  return yield* fitColumn(column, yield* new ColumnReader(column).sample(SAMPLE_ROWS));
}
