import type { Steps } from "../driver/driver.ts";
import { CHUNK_FORMAT, ChunkDamage, LogDamage, PAYLOAD_BYTES } from "./chunk.ts";
import { type ColumnSpace, columnSpace } from "./column-space.ts";
import { changedRows, codesInMemory, type KnownSpace, planSegments, soundGeneration } from "./fold-plan.ts";
import { type FoldProgress, type SegmentInput, writeSegment } from "./fold-segment.ts";
import { CHUNK_MS, FoldLost, FoldNewer, MODEL_MS, PAUSE, Slices, type Work } from "./fold-slices.ts";
import { encodeManifest, Generations, type LogPlace, liveRows, type Manifest, type Unit } from "./generation.ts";
import type { IndexedColumn, StoredColumn } from "./indexed-column.ts";
import { fitSample } from "./open-codes.ts";
import { kindsOf, spaceBlockRows } from "./row-blocks.ts";
import type { Skip } from "./skip.ts";

/** What a fold did. */
export interface FoldResult {
  /** `folded`: the generation on disk is that of the table. `current`: it was before. `lost`: another process was faster, or the
   * log was taken away, and nothing has changed. `newer`: a newer version of the library writes here, and this one must not. */
  readonly outcome: "folded" | "current" | "lost" | "newer";
  /** Rows whose codes were written. */
  readonly rows: number;
  /** The row of the log up to which the generation on disk goes. */
  readonly storedTo: bigint | undefined;
  /** What was wrong with the generation there was, and no longer matters. */
  readonly damage: ChunkDamage | undefined;
}

export interface FoldOptions extends Pick<SegmentInput, "isCounted"> {
  /** A slice ends at the next opportunity after so long. */
  readonly sliceMs: number;
  /** Whether all is written into one segment, unless it is already, and with a new model where the column has outgrown its own. */
  readonly isWhole: boolean;
  /** Whether every chunk is looked at, and all is written anew where one is damaged. */
  readonly isChecked: boolean;
  /** Fewer rows of the log than this are not worth it, unless what is on disk is of no use. Default 1. */
  readonly leastChanges?: number;
}

/**
 * Writes what has changed in a column since its current generation, as a new one: in slices, each to be run in a
 * transaction of its own, with any pause between them.
 *
 * A row is read and coded in one slice, and written in that or a later one. Whatever changes later has a row in the log behind the base of the new
 * generation, and is read again by whoever loads it: so rows of different moments may stand side by side. Each slice first looks
 * whether the history it relied on still is the one there is: a restore beneath it, another process that folds or a change
 * of the schema end it. Then the head is flipped in one transaction, which first looks whether all chunks are still there.
 */
export class Fold {
  readonly progress: FoldProgress = { done: 0, total: undefined };
  readonly #slices: Slices;
  readonly #work: Work<FoldResult>;
  #isOver = false;

  constructor(connection: object, column: IndexedColumn, options: FoldOptions) {
    this.#slices = new Slices(column, options.sliceMs);
    this.#work = fold(this.#slices, connection, column, { ...options, progress: this.progress });
  }

  /** Whether the next slice writes: then its transaction has to begin with the lock. */
  get isWriting(): boolean {
    return this.#slices.isWriting;
  }

  /** Bytes it has written so far. */
  get written(): number {
    return this.#slices.generations.written;
  }

  /** One slice; the result with the last. Not to be called again after that, nor after an error: what it wrote is gone. */
  *slice(): Steps<FoldResult | undefined> {
    if (this.#isOver) throw new Error("drizzle-vector: a fold that is over was asked to go on");
    this.#isOver = true;
    let next = this.#work.next();
    while (!next.done) {
      if (next.value === PAUSE) {
        this.#isOver = false;
        return undefined;
      }
      let answer: unknown;
      try {
        answer = yield next.value;
      } catch (error) {
        next = this.#work.throw(error);
        continue;
      }
      next = this.#work.next(answer);
    }
    return next.value;
  }
}

/**
 * Deletes a few chunks that no generation names: what a fold that failed has left behind, where the disk is full of it. A fold
 * of another process that is under way loses its chunks, too, and will notice.
 *
 * @returns whether there are no more
 */
export function* clearLeftOvers(column: StoredColumn): Steps<boolean> {
  const generations = new Generations(column);
  try {
    const head = yield* generations.head();
    if (!head || head.format > CHUNK_FORMAT) return true;
    const kept = head.base ? unitsOf(head.generation, yield* generations.manifest(head)) : [];
    return yield* generations.clean(kept, CLEAN_CHUNKS);
  } catch (error) {
    if (error instanceof ChunkDamage) return true;
    throw error;
  }
}

/** Beyond this growth since its model was fitted a column gets a new one, and all rows new codes. */
const GROWTH = 2;
const GROWTH_ROWS = 1000;
/** Chunks deleted at once: each has some 250 pages, which take a millisecond. */
const CLEAN_CHUNKS = 1;

interface FoldWork extends FoldOptions {
  readonly progress: FoldProgress;
}

function* fold(slices: Slices, connection: object, column: IndexedColumn, options: FoldWork): Work<FoldResult> {
  let result: FoldResult = { outcome: "lost", rows: 0, storedTo: undefined, damage: undefined };
  try {
    const base = yield* slices.begin();
    const { generation: before, damage: found } = yield* soundGeneration(slices, connection, options.isChecked);
    const followed = before && (yield* changedRows(slices, before.manifest, base));
    const damage = followed === "unknown" ? new LogDamage() : found;
    const changed = typeof followed === "string" ? undefined : followed;
    const resident = yield* codesInMemory(connection, column);
    const rows = resident?.codes?.size ?? (before ? liveRows(before.manifest.segments) : 0);
    const isGrown = before !== undefined && hasOutgrown(before.fittedRows, rows);
    if (before && changed && isCurrent(before.manifest, base, { ...options, isGrown })) {
      result = { outcome: "current", rows: 0, storedTo: before.manifest.base.seq, damage };
      if (options.isWhole) yield* tidy(slices, before.manifest);
      return result;
    }

    const isIncremental = before !== undefined && changed !== undefined && !options.isWhole && !isGrown;
    const plan = isIncremental
      ? yield* planSegments(slices, before, changed)
      : { kept: [], ids: "all" as const, skipped: new Map<bigint, Skip>() };
    const known = isGrown ? undefined : before;
    const { space, model, fittedRows } = known ?? (yield* newModel(slices, connection, before === undefined));
    const segment = yield* writeSegment(slices, connection, { ...options, plan, space });
    const segments = [...plan.kept, ...(segment ? [segment] : [])];
    const manifest: Manifest = {
      base,
      schemaVersion: column.attachment.schemaVersion,
      model,
      fittedRows: fittedRows ?? liveRows(segments),
      blockRows: spaceBlockRows(space),
      codes: kindsOf(space),
      segments,
      skipped: plan.skipped,
    };
    yield* flip(slices, manifest);
    yield* slices.pause(true);
    result = { outcome: "folded", rows: segment?.rows ?? 0, storedTo: base.seq, damage };
    yield* tidy(slices, manifest);
    return result;
  } catch (error) {
    if (error instanceof FoldLost) return result;
    if (error instanceof FoldNewer) return { ...result, outcome: "newer" };
    throw error;
  }
}

/** Whether a column has so many more rows than its model was fitted to that it gets a new one. */
export function hasOutgrown(fittedRows: number, rows: number): boolean {
  return rows > fittedRows * GROWTH + GROWTH_ROWS;
}

/** Whether what is on disk will do. */
function isCurrent(
  { base, segments }: Manifest,
  { seq }: LogPlace,
  { isWhole, isGrown, leastChanges = 1 }: FoldOptions & { isGrown: boolean },
): boolean {
  const behind = seq - base.seq;
  if (!isWhole) return behind < BigInt(Math.ceil(leastChanges));
  const isOne = segments.length === 0 || (segments.length === 1 && !segments[0]!.gone);
  return behind === 0n && isOne && !isGrown;
}

/**
 * A model for all rows: that of the codes in memory, where a query has fitted it and the column has not outgrown it since.
 *
 * @param isAnyFit - whether one that came from disk will do, too
 */
function* newModel(slices: Slices, connection: object, isAnyFit: boolean): Work<KnownSpace> {
  const { column, generations } = slices;
  const resident = yield* codesInMemory(connection, column);
  const fit = resident?.codes && { ...resident, rows: resident.codes.size };
  const isFresh = fit?.fittedRows !== undefined && !hasOutgrown(fit.fittedRows, fit.rows);
  const known = isFresh || isAnyFit ? fit : undefined;
  const space = known?.codes.space ?? (yield* fitSpace(slices));
  const model = yield* writeUnit(generations, "model", space.model, () => slices.lock(CHUNK_MS));
  return { space, model, fittedRows: known?.fittedRows };
}

function* fitSpace(slices: Slices): Work<ColumnSpace> {
  const model = yield* slices.breathing(fitSample(slices.column));
  yield* slices.reserve(MODEL_MS);
  return columnSpace(slices.column, model)!;
}

/** Writes bytes that need not be read row by row, with a pause before each chunk where one is given. */
function* writeUnit(
  generations: Generations,
  kind: "manifest" | "model",
  bytes: Uint8Array,
  pause?: () => Work<void>,
): Work<Unit> {
  if (pause) yield* pause();
  // Another fold may take the same number until a chunk of it is there.
  const { unit, stamp } = yield* generations.newUnit();
  const count = Math.max(1, Math.ceil(bytes.length / PAYLOAD_BYTES));
  for (let part = 0; part < count; part++) {
    if (pause && part > 0) {
      yield* pause();
      if (!(yield* generations.isWhole({ generation: unit, stamp, parts: part }))) throw new FoldLost();
    }
    const payload = bytes.subarray(part * PAYLOAD_BYTES, (part + 1) * PAYLOAD_BYTES);
    yield* generations.write({ kind, unit, stamp, part, count }, payload);
  }
  return { generation: unit, stamp, parts: count };
}

/** Writes the manifest, checks everything it names, and makes it the current one. */
function* flip(slices: Slices, manifest: Manifest): Work<void> {
  const { generations } = slices;
  yield* slices.lock();
  for (const unit of [manifest.model, ...manifest.segments]) {
    if (!(yield* generations.isWhole(unit))) throw new FoldLost();
  }
  if (!(yield* slices.hasLog(manifest.base))) throw new FoldLost();
  const { generation } = yield* writeUnit(generations, "manifest", encodeManifest(manifest));
  yield* generations.flip(generation, manifest.base);
  slices.head = { generation, format: CHUNK_FORMAT };
}

/** Deletes chunks that nothing names any more, and rows of the log that nothing needs. */
function* tidy(slices: Slices, manifest: Manifest): Work<void> {
  const current = unitsOf(slices.head!.generation, manifest);
  do yield* slices.lock(CHUNK_MS);
  while (!(yield* slices.generations.clean(current, CLEAN_CHUNKS)));
  yield* slices.trim();
}

/** The units a generation consists of. */
function unitsOf(generation: bigint, { model, segments }: Manifest): bigint[] {
  return [generation, model.generation, ...segments.map((segment) => segment.generation)];
}
