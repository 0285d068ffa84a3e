import { vectorBytes } from "../codec/codec.ts";
import type { Row, Step, Steps } from "../driver/driver.ts";
import { memoryBudgetOf } from "../driver/events.ts";
import { checksum } from "../kernel/checksum.ts";
import { codeKernel } from "../kernel/code-kernel.ts";
import type { RowCode } from "../kernel/coder.ts";
import { hiddenProblems, TEMPORARY, type Temporary } from "../migration/installed.ts";
import { LOG_TAIL } from "../migration/log-triggers.ts";
import { identifier } from "../migration/sql-text.ts";
import { tableNameOf } from "../schema/names.ts";
import { CHUNK_FORMAT, ChunkDamage, LogDamage, PAYLOAD_BYTES } from "./chunk.ts";
import { type ColumnSpace, columnSpace, isColumnModel } from "./column-space.ts";
import { checkTrust } from "./distrust.ts";
import {
  encodeManifest,
  Generations,
  isSameKinds,
  type LogPlace,
  liveRows,
  type Manifest,
  type Segment,
  type Unit,
} from "./generation.ts";
import { type BreathingSteps, ColumnReader, type IndexedColumn, type StoredColumn } from "./indexed-column.ts";
import { judge, ResidentCodes, type Skip } from "./resident-codes.ts";
import { currentCodes, fitSpace, loadBits } from "./resident-column.ts";
import { kindsOf, RowBlocks, type Slots, spaceBlockRows } from "./row-blocks.ts";
import { RowIds, rowId } from "./row-ids.ts";
import { mergeIds } from "./sorted-ids.ts";

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

export interface FoldOptions {
  /** A slice ends at the next opportunity after so long. */
  readonly sliceMs: number;
  /** Whether all is written into one segment, unless it is already, and with a new model where the column has outgrown its own. */
  readonly isWhole: boolean;
  /** Whether every chunk is looked at, and all is written anew where one is damaged. */
  readonly isChecked: boolean;
  /** Whether `progress` has to tell how many rows there will be. Default false. */
  readonly isCounted?: boolean;
  /** Fewer rows of the log than this are not worth it, unless what is on disk is of no use. Default 1. */
  readonly leastChanges?: number;
}

/** How far a fold is. */
export interface FoldProgress {
  done: number;
  /** Rows to be written; undefined until that is known. */
  total: number | undefined;
}

/**
 * Writes what has changed in a column since its current generation, as a new one: in slices, each to be run in a write
 * transaction of its own, with any pause between them.
 *
 * A row's code is read and written in one slice. Whatever changes later has a row in the log behind the base of the new
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

const PAUSE = Symbol("the end of a slice");
type Work<T> = Generator<Step | typeof PAUSE, T, any>;

/** Another history has taken the place of the one the fold was made from. */
class FoldLost extends Error {}

/** A newer version of the library has written what would be overwritten. */
class FoldNewer extends Error {}

/** Beyond this growth since its model was fitted a column gets a new one, and all rows new codes. */
const GROWTH = 2;
const GROWTH_ROWS = 1000;
/** Codes in memory that are more changed rows behind than this are left to the next query: reading those would take too long. */
const CATCH_UP_ROWS = 128;
/** A segment of which more than this share is gone is written anew. */
const GONE_SHARE = 1 / 4;
/** So are segments up to this many times as large as what is written. */
const MERGE_RATIO = 2;
/** Rows looked at before the clock is, and bytes of their vectors. */
const PAGE_ROWS = 32;
const PAGE_BYTES = 1 << 17;
/** Rows of the log read at once. */
const LOG_ROWS = 512n;
/** Rows of the log deleted at once. */
const TRIM_ROWS = 500n;
/** What it takes to write a chunk of 1 MB and to commit it. */
const CHUNK_MS = 4;
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
    const resident = yield* currentCodes(connection, column, CATCH_UP_ROWS);
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
    yield* slices.breathe();
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
    yield* slices.pause();
    result = { outcome: "folded", rows: segment?.rows ?? 0, storedTo: base.seq, damage };
    yield* tidy(slices, manifest);
    return result;
  } catch (error) {
    if (error instanceof FoldLost) return result;
    if (error instanceof FoldNewer) return { ...result, outcome: "newer" };
    throw error;
  }
}

function hasOutgrown(fittedRows: number, rows: number): boolean {
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

/** Writes the rows of a plan as one segment; undefined where there are none. */
function* writeSegment(
  slices: Slices,
  connection: object,
  {
    plan,
    space,
    progress,
    isCounted = false,
  }: Pick<FoldWork, "progress" | "isCounted"> & { plan: Plan; space: ColumnSpace },
): Work<Segment | undefined> {
  const { column, generations } = slices;
  const reader = new ColumnReader(column);
  const pageRows = Math.max(4, Math.min(PAGE_ROWS, Math.floor(PAGE_BYTES / vectorBytes(column.shape))));
  if (plan.ids !== "all") progress.total = plan.ids.length;
  else if (isCounted) progress.total = yield* slices.breathing(reader.count());
  const writer = new SegmentWriter(generations, space);
  const source = new RowSource(slices, connection, space, plan.skipped);
  yield* slices.breathe();
  if (plan.ids === "all") yield* source.completeCodes();
  for (let least: bigint | undefined = -(2n ** 63n); least !== undefined; ) {
    const most = Math.min(pageRows, writer.room);
    const { ids, values }: RowPage =
      plan.ids === "all"
        ? yield* source.page(least, most)
        : { ids: Array.from(plan.ids.subarray(progress.done, progress.done + most)), values: undefined };
    if (ids.length > 0) yield* source.write(ids, values, writer);
    progress.done += ids.length;
    const last: bigint | undefined = ids.at(-1);
    least = ids.length < most || last === 2n ** 63n - 1n ? undefined : last! + 1n;
    if (writer.room === 0 || least === undefined) {
      yield* slices.reserve(CHUNK_MS);
      yield* writer.flush();
    }
    yield* slices.breathe();
  }
  return writer.segment;
}

/** The pauses of a fold, and what has to be as it was after each. */
class Slices {
  readonly column: IndexedColumn;
  readonly generations: Generations;
  readonly #sliceMs: number;
  readonly #log: string;
  /** How many slices have ended. */
  number = 0;
  #end = 0;
  #seen: LogPlace | undefined;
  head: { generation: bigint; format: number } | undefined;

  constructor(column: IndexedColumn, sliceMs: number) {
    this.column = column;
    this.generations = new Generations(column);
    this.#sliceMs = sliceMs;
    this.#log = `main.${identifier(tableNameOf(column.definition.name, "log"))}`;
  }

  get isOver(): boolean {
    return performance.now() > this.#end;
  }

  /**
   * The end of the log at the beginning of the fold. A log that somebody has cleared begins again with a row that says that
   * every row may differ, so that there is something to follow.
   */
  *begin(): Work<LogPlace> {
    this.#end = performance.now() + this.#sliceMs;
    if (!(yield* this.#isSameSchema())) throw new FoldLost();
    this.head = yield* this.generations.head();
    if (this.head && this.head.format > CHUNK_FORMAT) throw new FoldNewer();
    let base = yield* this.#endOfLog();
    if (!base) {
      yield { type: "rows", sql: `INSERT INTO ${this.#log} (id) VALUES (NULL)`, params: [] };
      base = (yield* this.#endOfLog())!;
    }
    this.#seen = base;
    return base;
  }

  /** Pauses if it is time. */
  *breathe(): Work<void> {
    if (this.isOver) yield* this.pause();
  }

  /** Makes sure that what comes next, and its COMMIT, fit into the slice: where less is left of it, they have one of their own. */
  *reserve(ms: number): Work<void> {
    if (performance.now() + ms > this.#end) yield* this.pause();
    this.#end -= ms;
  }

  /** Does work with pauses where it may be left. */
  *breathing<T>(work: BreathingSteps<T>): Work<T> {
    let next = work.next();
    while (!next.done) {
      let answer: unknown;
      if (next.value) answer = yield next.value;
      else yield* this.breathe();
      next = work.next(answer);
    }
    return next.value;
  }

  *pause(): Work<void> {
    yield PAUSE;
    this.number++;
    this.#end = performance.now() + this.#sliceMs;
    if (!(yield* this.#isSameSchema())) throw new FoldLost();
    const head = yield* this.generations.head();
    const isSame = (yield* this.hasLog(this.#seen!)) && head?.generation === this.head?.generation;
    if (!isSame) throw new FoldLost();
    this.#seen = yield* this.#endOfLog();
  }

  /** Whether everything up to a row of the log is the history it was. */
  *hasLog({ seq, nonce }: LogPlace): Steps<boolean> {
    const [row]: Row[] = yield { type: "rows", sql: `SELECT nonce FROM ${this.#log} WHERE seq = ?`, params: [seq] };
    return row?.[0] === nonce;
  }

  /** Up to `LOG_ROWS` rows of the log behind one. */
  *logBehind(seq: bigint, to: bigint): Steps<readonly Row[]> {
    const sql = `SELECT seq, id FROM ${this.#log} WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ${LOG_ROWS}`;
    return yield { type: "rows", sql, params: [seq, to] };
  }

  /** Deletes what no reader of the current generation needs of the log. */
  *trim(): Work<void> {
    for (;;) {
      const base = yield* this.generations.trimBase();
      if (base === undefined) return;
      const [row]: Row[] = yield { type: "rows", sql: `SELECT min(seq) FROM ${this.#log}`, params: [] };
      const first = row?.[0];
      const end = base - BigInt(LOG_TAIL);
      if (typeof first !== "bigint" || first >= end) return;
      const to = first + TRIM_ROWS < end ? first + TRIM_ROWS : end;
      yield { type: "rows", sql: `DELETE FROM ${this.#log} WHERE seq < ?`, params: [to] };
      yield* this.breathe();
    }
  }

  *#endOfLog(): Steps<LogPlace | undefined> {
    const sql = `SELECT seq, nonce FROM ${this.#log} ORDER BY seq DESC LIMIT 1`;
    const [row]: Row[] = yield { type: "rows", sql, params: [] };
    return row && { seq: row[0] as bigint, nonce: row[1] as bigint };
  }

  /** Whether the tables are those that were found, and no temporary one has come to stand in the place of one of them. */
  *#isSameSchema(): Steps<boolean> {
    const { attachment, table } = this.column;
    const [row]: Row[] = yield { type: "rows", sql: "PRAGMA schema_version", params: [] };
    if (String(row?.[0]) !== attachment.schemaVersion) return false;
    const temporary: Row[] = yield { type: "rows", sql: TEMPORARY, params: [] };
    return hiddenProblems(temporary as unknown as Temporary[], table.name).length === 0;
  }
}

/** What a fold builds on. */
interface Generation extends KnownSpace {
  readonly manifest: Manifest;
  readonly fittedRows: number;
}

/** The current generation, unless it is damaged or of another state of the schema: then all is written anew. */
function* soundGeneration(
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
    yield* slices.breathe();
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

/**
 * The space of a model on disk: that of the codes in memory, where they have the same, since to build one takes as long as a slice
 * may.
 *
 * @throws {ChunkDamage} when it is no model of such a column
 */
function* storedSpace({ column }: Slices, connection: object, model: Uint8Array): Steps<ColumnSpace> {
  const codes = (yield* currentCodes(connection, column, CATCH_UP_ROWS))?.codes;
  if (codes instanceof ResidentCodes && isSameBytes(codes.space.model, model)) return codes.space;
  if (!isColumnModel(column, model)) throw new ChunkDamage("the model is not one of such vectors");
  return columnSpace(column, model);
}

/** @throws what is no damage, and FoldNewer where it is a newer version's work */
function damageOf(error: unknown): ChunkDamage {
  if (!(error instanceof ChunkDamage)) throw error;
  if (error.isNewer) throw new FoldNewer();
  return error;
}

/** Ids of the rows that may differ from the generation, ascending, or why all may. */
function* changedRows(slices: Slices, manifest: Manifest, to: LogPlace): Work<BigInt64Array | "many" | "unknown"> {
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

interface KnownSpace {
  readonly space: ColumnSpace;
  readonly model: Unit;
  /** Undefined: the rows of the generation that is being written. */
  readonly fittedRows: number | undefined;
}

/**
 * A model for all rows: that of the codes in memory, where a query has fitted it and the column has not outgrown it since.
 *
 * @param isAnyFit - whether one that came from disk will do, too
 */
function* newModel(slices: Slices, connection: object, isAnyFit: boolean): Work<KnownSpace> {
  const { column, generations } = slices;
  const resident = yield* currentCodes(connection, column, CATCH_UP_ROWS);
  const fit = resident?.codes && { ...resident, rows: resident.codes.size };
  const isFresh = fit?.fittedRows !== undefined && !hasOutgrown(fit.fittedRows, fit.rows);
  const known = isFresh || isAnyFit ? fit : undefined;
  const space = known?.codes.space ?? (yield* slices.breathing(fitSpace(column)));
  const model = yield* writeUnit(generations, "model", space.model, () => slices.reserve(CHUNK_MS));
  return { space, model, fittedRows: known?.fittedRows };
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
    if (pause && part > 0) yield* pause();
    const payload = bytes.subarray(part * PAYLOAD_BYTES, (part + 1) * PAYLOAD_BYTES);
    yield* generations.write({ kind, unit, stamp, part, count }, payload);
  }
  return { generation: unit, stamp, parts: count };
}

interface Plan {
  /** Segments of the generation before that stay, with their rows that are gone. */
  readonly kept: readonly Segment[];
  /** Rows of the new segment, ascending. */
  readonly ids: BigInt64Array | "all";
  readonly skipped: Map<bigint, Skip>;
}

/** Finds the changed rows in the segments there are, and which of those are to be written anew. */
function* planSegments(slices: Slices, before: Generation, changed: BigInt64Array): Work<Plan> {
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

/** Writes the manifest, checks everything it names, and makes it the current one. */
function* flip(slices: Slices, manifest: Manifest): Work<void> {
  const { generations } = slices;
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
  while (!(yield* slices.generations.clean(current, CLEAN_CHUNKS))) yield* slices.breathe();
  yield* slices.trim();
}

/** The units a generation consists of. */
function unitsOf(generation: bigint, { model, segments }: Manifest): bigint[] {
  return [generation, model.generation, ...segments.map((segment) => segment.generation)];
}

/** Ids of rows, ascending, and where they have been read along with them the values of those that have one. */
interface RowPage {
  readonly ids: readonly bigint[];
  readonly values: ReadonlyMap<bigint, Uint8Array | Skip> | undefined;
}

/** Gives the codes of rows: those in memory where they are current, else from the table. */
class RowSource {
  readonly #slices: Slices;
  readonly #connection: object;
  readonly #reader: ColumnReader;
  readonly #space: ColumnSpace;
  readonly #skipped: Map<bigint, Skip>;
  #codes: ResidentCodes | undefined;
  #seen: ResidentCodes | undefined;
  #isUsable = false;
  /** The slice in which the codes were last seen to be current. */
  #slice = -1;

  constructor(slices: Slices, connection: object, space: ColumnSpace, skipped: Map<bigint, Skip>) {
    this.#slices = slices;
    this.#connection = connection;
    this.#reader = new ColumnReader(slices.column);
    this.#space = space;
    this.#skipped = skipped;
  }

  /** Has codes in memory that lack a kind get it from disk, so that they can be copied. */
  *completeCodes(): Work<void> {
    yield* this.#catchUp();
    if (!this.#codes) return;
    const { column } = this.#slices;
    const budgetBytes = memoryBudgetOf(this.#connection);
    try {
      yield* this.#slices.breathing(loadBits(this.#connection, column, this.#codes, budgetBytes));
    } catch (error) {
      // Then they are made anew.
      damageOf(error);
    }
  }

  /** The next rows of the table from an id on. Where nothing is in memory, with their values: each page of the table is read once. */
  *page(least: bigint, most: number): Steps<RowPage> {
    yield* this.#catchUp();
    const read = this.#codes ? undefined : yield* this.#reader.rowsFrom(least, most);
    if (!read) return { ids: yield* this.#reader.idsFrom(least, most), values: undefined };
    return { ids: read.map(([id]) => id as bigint), values: this.#judged(read) };
  }

  /** @param known - values of these rows, where they have been read in this slice */
  *write(ids: readonly bigint[], known: RowPage["values"], writer: SegmentWriter): Steps<void> {
    yield* this.#catchUp();
    const codes = this.#codes;
    const unread = codes ? ids.filter((id) => codes.whereIs(id) === "onDisk") : ids;
    const values = known ?? this.#judged(unread.length > 0 ? yield* this.#reader.some(unread) : []);
    const vectors = unread.map((id) => values.get(id)).filter((value) => value instanceof Uint8Array);
    const coded = this.#space.codesOf(vectors)[Symbol.iterator]();
    for (const id of ids) {
      const how = codes ? writer.copy(codes, id) : "onDisk";
      if (how === "onDisk") {
        const value = values.get(id);
        if (value === undefined) continue;
        const code: RowCode | Skip = typeof value === "string" ? value : (coded.next().value ?? "notFinite");
        if (typeof code === "string") this.#skipped.set(id, code);
        else if (!writer.add(id, code, value as Uint8Array)) this.#skipped.set(id, "notFinite");
      } else if (how !== "inMemory" && how !== "absent") this.#skipped.set(id, how);
    }
  }

  *#catchUp(): Steps<void> {
    const { column, number } = this.#slices;
    if (this.#slice === number) return;
    this.#slice = number;
    this.#use((yield* currentCodes(this.#connection, column, CATCH_UP_ROWS))?.codes);
  }

  #judged(rows: readonly Row[]): Map<bigint, Uint8Array | Skip> {
    const values = new Map<bigint, Uint8Array | Skip>();
    for (const [id, value] of rows) if (value !== null) values.set(id as bigint, judge(value, this.#space));
    return values;
  }

  /** Codes of another model, or those of another copy of the library, whose private state is out of reach, are of no use. */
  #use(codes: ResidentCodes | undefined): void {
    if (codes !== this.#seen) {
      this.#seen = codes;
      this.#isUsable = codes instanceof ResidentCodes && isSameBytes(codes.space.model, this.#space.model);
    }
    this.#codes = this.#isUsable ? codes : undefined;
  }
}

/** Writes rows, block by block, as a segment. */
class SegmentWriter {
  readonly #generations: Generations;
  readonly #blocks: RowBlocks;
  readonly #slots: Slots;
  readonly #ids: BigInt64Array;
  #count = 0;
  #rows = 0;
  #unit: Unit | undefined;

  constructor(generations: Generations, space: ColumnSpace) {
    this.#generations = generations;
    this.#blocks = new RowBlocks(space, codeKernel());
    this.#slots = this.#blocks.takeAll();
    this.#ids = new BigInt64Array(this.#blocks.capacity);
  }

  /** Rows that may be added before `flush`. */
  get room(): number {
    return this.#blocks.capacity - this.#count;
  }

  copy(codes: ResidentCodes, id: bigint) {
    const how = codes.whereIs(id);
    if (how !== "inMemory") return how;
    codes.copyTo(this.#blocks, this.#slots, this.#count, id);
    this.#ids[this.#count++] = id;
    return how;
  }

  add(id: bigint, code: RowCode, bytes: Uint8Array): boolean {
    if (!this.#blocks.write(this.#slots, this.#count, code, bytes)) return false;
    this.#ids[this.#count++] = id;
    return true;
  }

  *flush(): Steps<void> {
    const count = this.#count;
    if (count === 0) return;
    const { unit, stamp } = this.#unit
      ? { unit: this.#unit.generation, stamp: this.#unit.stamp }
      : yield* this.#generations.newUnit();
    let part = this.#unit?.parts ?? 0;
    const ids = new Uint8Array(this.#ids.buffer, 0, count * 8);
    yield* this.#generations.write({ kind: "ids", unit, stamp, part: part++, count }, ids);
    for (const kind of this.#blocks.kinds) {
      const codes = this.#blocks.save(kind, this.#slots[kind]!, count);
      yield* this.#generations.write({ kind, unit, stamp, part: part++, count }, codes);
    }
    this.#unit = { generation: unit, stamp, parts: part };
    this.#rows += count;
    this.#count = 0;
  }

  /** What has been written; undefined where there were no rows. */
  get segment(): Segment | undefined {
    return this.#unit && { ...this.#unit, rows: this.#rows, gone: undefined };
  }
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

function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
