import { followLog, type LogCursor } from "../change/log.ts";
import type { Steps } from "../driver/driver.ts";
import { getOrMake } from "../driver/get-or-make.ts";
import { processWide } from "../driver/process-wide.ts";
import { Generations } from "./generation.ts";
import { type BreathingSteps, type HeldColumn, heldKey, type IndexedColumn } from "./indexed-column.ts";
import { type Held, hold, makeRoom, now } from "./memory.ts";
import {
  hasRoomForAll,
  loadDeferred,
  mostChanges,
  openStored,
  openTable,
  patch,
  type ResidentOptions,
  type Room,
} from "./open-codes.ts";
import type { ResidentCodes } from "./resident-codes.ts";

/** The codes of all rows of this snapshot, or why there are none. */
export type Resident = ResidentColumn | NotResident;

interface NotResident {
  readonly codes?: undefined;
  readonly refusal: string;
  /** Whether the generation on disk is damaged: else it might have answered. */
  readonly isDamage: boolean;
  /** Whether a generation on disk would help. */
  readonly needsFold: boolean;
  readonly storedTo?: undefined;
}

export interface ResidentColumn {
  readonly codes: ResidentCodes;
  readonly refusal?: undefined;
  /** The row of the log up to which the generation on disk goes; undefined where there is none to rely on. */
  readonly storedTo: bigint | undefined;
  /** The row of the log up to which the codes go. */
  readonly knownTo: bigint;
  /** Rows that the model of these codes was fitted to, where that was done for them; undefined where it came from disk. */
  readonly fittedRows: number | undefined;
  /** Whether the generation on disk is damaged. */
  readonly needsFold: boolean;
}

interface Cached extends Held {
  codes: ResidentCodes | undefined;
  /** Why there are no codes. */
  refusal: string;
  isDamage: boolean;
  needsFold: boolean;
  /** Where in the log the codes stand. */
  cursor: LogCursor;
  storedTo: bigint | undefined;
  fittedRows: number | undefined;
  /** The generation that was current when the codes were loaded, or refused: a later one may be of more use. */
  generation: bigint | undefined;
  /** The budget they were last held to. */
  budgetBytes: number;
  /** The bytes they then had. */
  heldBytes: number;
  readonly schemaVersion: string;
}

/** The caches of each connection, by column. Each sees its own snapshots, and they are gone with it. */
const connections: WeakMap<object, Map<string, Cached>> = processWide("resident-codes-6", () => new WeakMap());

/**
 * The codes of a column as the snapshot of these steps has it: the cached ones, with the rows patched in that the log names;
 * those of the generation on disk, patched likewise; or all rows read anew.
 *
 * A cache and a generation are used only for the state of the schema they were made in: while a trigger was missing, writes
 * left no trace but the number of that state. Inside a transaction that may have changed the schema there are no codes: it may
 * be rolled back, and the number be given out again.
 */
export function* residentCodes(connection: object, column: IndexedColumn, options: ResidentOptions): Steps<Resident> {
  const { budgetBytes, isApproximate = false } = options;
  const { schemaVersion, isCommitted } = column.attachment;
  if (!isCommitted)
    return {
      refusal: "the schema was last changed inside a transaction that may still be open",
      isDamage: false,
      needsFold: false,
    };
  const current = yield* currentCodes(connection, column);
  const isEnough = !isApproximate || !current?.codes || hasRoomForAll(current.codes, budgetBytes);
  if (current && isEnough && (yield* isWithinBudget(connection, column, budgetBytes))) return current;
  const caches = getOrMake(connections, connection, () => new Map());
  // What is there is of another state of the schema, of a history that is gone, has outgrown its room or left none for 1-bit codes.
  for (const [key, cached] of caches) {
    if (key === column.key || cached.schemaVersion !== schemaVersion) cached.drop();
  }
  const cached: Cached = {
    codes: undefined,
    refusal: "",
    isDamage: false,
    needsFold: false,
    cursor: [],
    storedTo: undefined,
    fittedRows: undefined,
    generation: undefined,
    budgetBytes,
    heldBytes: 0,
    schemaVersion,
    usedAt: now(),
    get bytes() {
      return this.codes?.bytes ?? 0;
    },
    drop: () => {
      cached.codes = undefined;
      for (const [key, each] of caches) if (each === cached) caches.delete(key);
    },
  };
  const room: Room = {
    budgetBytes,
    begin: (codes) => {
      if (cached.codes === undefined) hold(cached);
      cached.codes = codes;
    },
    has: (bytes) => makeRoom(bytes, budgetBytes, cached),
  };
  let isKept = true;
  try {
    const opened = yield* openStored(connection, column, room, options);
    cached.isDamage = opened === "damaged";
    const isUsable = opened !== undefined && opened !== "damaged";
    Object.assign(cached, isUsable ? opened : yield* openTable(column, room));
    if (opened === "damaged") cached.needsFold = true;
    // A log that has been cleared will be written to again.
    isKept = cached.codes !== undefined;
  } catch (error) {
    // Otherwise they would count as held until they are collected.
    cached.codes = undefined;
    if (!(error instanceof RangeError)) throw error;
    cached.refusal = `the codes of ${column.definition.table}.${column.column} do not fit into memory`;
    cached.needsFold = true;
  }
  cached.generation = (yield* new Generations(column).head())?.generation;
  cached.heldBytes = cached.bytes;
  if (isKept) caches.set(column.key, cached);
  return residentOf(cached);
}

/**
 * The cached codes, brought up to the snapshot of these steps; undefined where there are none that can be.
 *
 * @param most - with more changed rows than this they stay as they are, and none are given; by default all that pays is read
 */
export function* currentCodes(
  connection: object,
  column: IndexedColumn,
  most = Number.POSITIVE_INFINITY,
): Steps<Resident | undefined> {
  const { attachment, key } = column;
  const caches = connections.get(connection);
  const cached = caches?.get(key);
  if (!caches || !cached || cached.schemaVersion !== attachment.schemaVersion) return undefined;
  cached.usedAt = now();
  const { codes } = cached;
  if (!codes) {
    const head = yield* new Generations(column).head();
    return head?.generation === cached.generation ? residentOf(cached) : undefined;
  }
  const worth = mostChanges(codes.size);
  const change = yield* followLog(column.log, cached.cursor, Math.min(worth, most));
  if (change.type === "none") return residentOf(cached);
  if (change.type === "all" && !change.isUnknown && most < worth) return undefined;
  // Taken out until it is whole again: an error on the way must not leave half a patch behind.
  cached.drop();
  if (change.type !== "rows") return undefined;
  try {
    // Others make way for it as soon as it is back: see `isWithinBudget`.
    yield* patch(codes, column, change.ids, { budgetBytes: cached.budgetBytes, has: () => true });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return undefined;
  }
  if (codes.isWorn) return undefined;
  cached.codes = codes;
  cached.cursor = change.cursor;
  caches.set(key, cached);
  return residentOf(cached);
}

/**
 * Whether cached codes have the room they take, or loading them anew would not make them smaller. Changed rows are kept in
 * memory, wherever the codes of the others are, until they are part of a generation on disk.
 */
function* isWithinBudget(connection: object, column: IndexedColumn, budgetBytes: number): Steps<boolean> {
  const cached = connections.get(connection)!.get(column.key)!;
  const { bytes } = cached;
  const isSameBudget = cached.budgetBytes === budgetBytes;
  if (isSameBudget && bytes <= cached.heldBytes) return true;
  // A larger budget may have room for what is read from disk.
  if (!isSameBudget && (!cached.codes || cached.codes.streamed > 0)) return false;
  cached.heldBytes = bytes;
  if (makeRoom(0, budgetBytes, cached)) {
    cached.budgetBytes = budgetBytes;
    return true;
  }
  if (!isSameBudget) return false;
  const head = yield* new Generations(column).head();
  return head?.generation === cached.generation;
}

/**
 * Reads the 1-bit codes of a generation into memory, as far as there is room, unless they are there: columns with codes for exact
 * answers do without them until somebody asks for them.
 *
 * @param codes - from `residentCodes` or `currentCodes` of the same snapshot
 * @throws {ChunkDamage}
 * @throws {RangeError} when memory ends
 */
export function* loadBits(
  connection: object,
  column: IndexedColumn,
  codes: ResidentCodes,
  budgetBytes: number,
): BreathingSteps<void> {
  const cached = connections.get(connection)?.get(column.key);
  if (cached?.codes !== codes) return;
  yield* loadDeferred(column, codes, { budgetBytes, has: (bytes) => makeRoom(bytes, budgetBytes, cached) });
  cached.heldBytes = cached.bytes;
}

/** Notes how far the generation on disk goes. */
export function noteStored(connection: object, column: IndexedColumn, storedTo: bigint): void {
  const cached = connections.get(connection)?.get(column.key);
  if (!cached) return;
  cached.storedTo = storedTo;
  cached.needsFold = false;
}

/** Forgets all codes of a connection: something about them is wrong, or they are not wanted any more. */
export function forgetCodes(connection: object): void {
  for (const cached of connections.get(connection)?.values() ?? []) cached.drop();
  connections.delete(connection);
}

/** What a connection holds of a column, without looking at the database. */
export function heldOf(connection: object, column: HeldColumn): ResidentCodes | undefined {
  return connections.get(connection)?.get(heldKey(column))?.codes;
}

function residentOf({ codes, refusal, isDamage, needsFold, storedTo, cursor, fittedRows }: Cached): Resident {
  if (!codes) return { refusal, isDamage, needsFold };
  return { codes, storedTo, needsFold, knownTo: cursor.at(-1)!.seq, fittedRows };
}
