import { followLog, type LogCursor } from "../change/log.ts";
import type { Steps } from "../driver/driver.ts";
import { reportOnce } from "../driver/events.ts";
import { processWide } from "../driver/process-wide.ts";
import { tableNameOf } from "../schema/names.ts";
import { ChunkDamage } from "./chunk.ts";
import { type CodeSpace, codeSpace, fitModel, isModel, SAMPLE_ROWS } from "./code-space.ts";
import { Generations } from "./generation.ts";
import { BATCH_ROWS, ColumnReader, type IndexedColumn } from "./indexed-column.ts";
import { type Held, hold, makeRoom, now } from "./memory.ts";
import { ResidentCodes } from "./resident-codes.ts";

/** The codes of all rows of this snapshot, or why there are none. */
export type Resident = ResidentColumn | NotResident;

interface NotResident {
  readonly codes?: undefined;
  readonly refusal: string;
  /** Whether a generation on disk would help, which is read block by block. */
  readonly isTooLarge: boolean;
}

export interface ResidentColumn {
  readonly codes: ResidentCodes;
  readonly refusal?: undefined;
  /** The row of the log up to which the generation on disk goes; undefined where there is none to rely on. */
  readonly storedTo: bigint | undefined;
  /** The row of the log up to which the codes go. */
  readonly knownTo: bigint;
}

interface Cached extends Held {
  codes: ResidentCodes | undefined;
  /** Why there are no codes. */
  refusal: string;
  isTooLarge: boolean;
  /** Where in the log the codes stand. */
  cursor: LogCursor;
  storedTo: bigint | undefined;
  /** The generation that was current when the codes were refused: another one may be of more use. */
  generation: bigint | undefined;
  readonly schemaVersion: string;
}

/** The caches of each connection, by column. Each sees its own snapshots, and they are gone with it. */
const connections: WeakMap<object, Map<string, Cached>> = processWide("resident-codes-2", () => new WeakMap());

/** Up to so many changed rows, or this share of all, are read again one by one; beyond, the whole column is. */
const CHANGES_MIN = 1000;
const CHANGES_SHARE = 1 / 4;

export interface ResidentOptions {
  /** Most bytes of codes that all connections of the process hold. */
  readonly budgetBytes: number;
}

/**
 * The codes of a column as the snapshot of these steps has it: the cached ones, with the rows patched in that the log names;
 * those of the generation on disk, patched likewise; or all rows read anew.
 *
 * A cache and a generation are used only for the state of the schema they were made in: while a trigger was missing, writes
 * left no trace but the number of that state. Inside a transaction that may have changed the schema there are no codes: it may
 * be rolled back, and the number be given out again.
 */
export function* residentCodes(
  connection: object,
  column: IndexedColumn,
  { budgetBytes }: ResidentOptions,
): Steps<Resident> {
  const { schemaVersion, isCommitted } = column.attachment;
  if (!isCommitted)
    return { refusal: "the schema was last changed inside a transaction that may still be open", isTooLarge: false };
  const current = yield* currentCodes(connection, column);
  if (current) return current;
  const caches = cachesOf(connection);
  // Caches of other states of the schema are of no use any more.
  for (const [other, { schemaVersion: version }] of caches) if (version !== schemaVersion) caches.delete(other);
  const cached: Cached = {
    codes: undefined,
    refusal: "",
    isTooLarge: false,
    cursor: [],
    storedTo: undefined,
    generation: undefined,
    schemaVersion,
    usedAt: now(),
    get bytes() {
      return this.codes?.bytes ?? 0;
    },
    drop: () => {
      cached.codes = undefined;
      if (caches.get(keyOf(column)) === cached) caches.delete(keyOf(column));
    },
  };
  hold(cached);
  const room: Room = {
    begin: (codes) => {
      cached.codes = codes;
    },
    has: (bytes) => makeRoom(bytes, budgetBytes, cached),
  };
  try {
    const opened = (yield* openStored(connection, column, room)) ?? (yield* openTable(column, room));
    Object.assign(cached, opened);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    cached.codes = undefined;
    cached.refusal = `the codes of ${column.definition.table}.${column.column} do not fit into memory`;
    cached.isTooLarge = true;
    cached.generation = (yield* new Generations(column).head())?.generation;
  }
  if (cached.cursor.length > 0 || cached.refusal !== "") caches.set(keyOf(column), cached);
  return residentOf(cached);
}

/** The cached codes, brought up to the snapshot of these steps; undefined where there are none that can be. */
export function* currentCodes(connection: object, column: IndexedColumn): Steps<Resident | undefined> {
  const { definition, attachment } = column;
  const caches = connections.get(connection);
  const key = keyOf(column);
  const cached = caches?.get(key);
  if (!caches || !cached || cached.schemaVersion !== attachment.schemaVersion) return undefined;
  cached.usedAt = now();
  const { codes } = cached;
  if (!codes) {
    const head = yield* new Generations(column).head();
    return head?.generation === cached.generation ? residentOf(cached) : undefined;
  }
  const most = Math.max(CHANGES_MIN, Math.floor(codes.size * CHANGES_SHARE));
  const change = yield* followLog(tableNameOf(definition.name, "log"), cached.cursor, most);
  if (change.type === "none") return residentOf(cached);
  // Taken out until it is whole again: an error on the way must not leave half a patch behind.
  caches.delete(key);
  if (change.type !== "rows") return undefined;
  try {
    yield* patch(codes, column, change.ids);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return undefined;
  }
  if (codes.isWorn) return undefined;
  cached.cursor = change.cursor;
  caches.set(key, cached);
  return residentOf(cached);
}

/** Notes how far the generation on disk goes. */
export function noteStored(connection: object, column: IndexedColumn, storedTo: bigint): void {
  const cached = connections.get(connection)?.get(keyOf(column));
  if (cached) cached.storedTo = storedTo;
}

/** Forgets all codes of a connection: something about them is wrong, or they are not wanted any more. */
export function forgetCodes(connection: object): void {
  connections.delete(connection);
}

/** What a connection holds of a column, without looking at the database. */
export function heldOf(connection: object, column: IndexedColumn): ResidentCodes | undefined {
  return connections.get(connection)?.get(keyOf(column))?.codes;
}

/** Brings a sample of vectors into the space their column is coded in. */
export function* fitSpace(column: IndexedColumn): Steps<CodeSpace> {
  const { shape, metric } = column;
  const sample = yield* new ColumnReader(column).sample(SAMPLE_ROWS);
  return codeSpace(shape, metric, fitModel(shape, metric, sample));
}

interface Room {
  /** Says what is being filled. */
  begin(codes: ResidentCodes): void;
  /** Whether so many bytes may be added. */
  has(bytes: number): boolean;
}

type Opened = Pick<Cached, "codes" | "cursor" | "storedTo"> & Partial<Pick<Cached, "refusal">>;

/** The codes of the generation on disk, or undefined where there is none that can be relied on. */
function* openStored(connection: object, column: IndexedColumn, room: Room): Steps<Opened | undefined> {
  const { definition, shape, metric, attachment } = column;
  const generations = new Generations(column);
  try {
    const head = yield* generations.head();
    if (!head?.base) return undefined;
    const manifest = yield* generations.manifest(head);
    if (manifest.schemaVersion !== attachment.schemaVersion) return undefined;
    const rows = manifest.segments.reduce((sum, segment) => sum + segment.rows, 0);
    const most = Math.max(CHANGES_MIN, Math.floor(rows * CHANGES_SHARE));
    const cursor: LogCursor = [{ ...head.base, id: null }];
    const change = yield* followLog(tableNameOf(definition.name, "log"), cursor, most);
    if (change.type === "all" || change.type === "lost") return undefined;
    const model = yield* generations.model(manifest.model);
    if (!isModel(shape, model)) throw new ChunkDamage("the model is not one of such vectors");
    const space = codeSpace(shape, metric, model);
    const codes = new ResidentCodes(space);
    room.begin(codes);
    for (const segment of manifest.segments) {
      codes.beginSegment();
      for (let part = 0; part < segment.parts; part++) {
        codes.addStored(yield* generations.block(segment, part, space), room.has(codes.blockBytes));
      }
    }
    for (const [id, why] of manifest.skipped) codes.skip(id, why);
    codes.finishLoad();
    if (change.type === "rows") yield* patch(codes, column, change.ids);
    return { codes, cursor: change.type === "rows" ? change.cursor : cursor, storedTo: head.base.seq };
  } catch (error) {
    if (!(error instanceof ChunkDamage)) throw error;
    reportDamage(connection, column, error);
    return undefined;
  }
}

/** Tells of stored bytes that are not what they should be, once. */
export function reportDamage(connection: object, { definition, column }: IndexedColumn, damage: ChunkDamage): void {
  reportOnce(connection, {
    code: "CORRUPTION",
    index: definition.name,
    message: `index ${definition.name}, column ${column}: ${damage.message}; the table is read instead`,
    hint: damage.isNewer
      ? "Update drizzle-vector here, or keep older versions away from this database."
      : "The answer is right, and the codes are written anew by the next fold. Check the disk if it comes back.",
  });
}

/** The codes of all rows, read from the table. */
function* openTable(column: IndexedColumn, room: Room): Steps<Opened> {
  const { definition } = column;
  const start = yield* followLog(tableNameOf(definition.name, "log"), undefined, 0);
  if (start.type !== "all") {
    return {
      codes: undefined,
      cursor: [],
      storedTo: undefined,
      refusal: `the log of index ${definition.name} has been cleared`,
    };
  }
  const codes = new ResidentCodes(yield* fitSpace(column));
  room.begin(codes);
  let taken = 0;
  yield* new ColumnReader(column).all((batch) => {
    for (const [id, value] of batch) codes.set(id as bigint, value);
    if (codes.bytes > taken && !room.has(0)) throw new RangeError("more codes than the budget allows");
    taken = codes.bytes;
  });
  codes.finishLoad();
  return { codes, cursor: start.cursor, storedTo: undefined };
}

function* patch(codes: ResidentCodes, column: IndexedColumn, ids: ReadonlySet<bigint>): Steps<void> {
  const reader = new ColumnReader(column);
  const changed = [...ids];
  for (let i = 0; i < changed.length; i += BATCH_ROWS) {
    const batch = changed.slice(i, i + BATCH_ROWS);
    const gone = new Set(batch);
    for (const [id, value] of yield* reader.some(batch)) {
      codes.set(id as bigint, value);
      gone.delete(id as bigint);
    }
    for (const id of gone) codes.delete(id);
  }
}

function residentOf({ codes, refusal, isTooLarge, storedTo, cursor }: Cached): Resident {
  return codes ? { codes, storedTo, knownTo: cursor.at(-1)!.seq } : { refusal, isTooLarge };
}

function keyOf({ definition, column, shape, metric }: IndexedColumn): string {
  return `${shape.element} ${shape.dimensions} ${metric} ${definition.name}\0${column}`;
}

function cachesOf(connection: object): Map<string, Cached> {
  let caches = connections.get(connection);
  if (!caches) {
    caches = new Map();
    connections.set(connection, caches);
  }
  return caches;
}
