import { followLog } from "../change/log.ts";
import { vectorBytes } from "../codec/codec.ts";
import type { Row, Step, Steps } from "../driver/driver.ts";
import { blockRows, CodeBlocks, codeKernel } from "../kernel/code-scan.ts";
import { identifier } from "../migration/sql-text.ts";
import { tableNameOf } from "../schema/names.ts";
import { CHUNK_FORMAT, ChunkDamage } from "./chunk.ts";
import { type CodeSpace, codeSpace, isModel } from "./code-space.ts";
import { encodeManifest, Generations, type LogPlace, type Manifest, type Segment, type Unit } from "./generation.ts";
import { ColumnReader, type IndexedColumn } from "./indexed-column.ts";
import type { ResidentCodes, Skip } from "./resident-codes.ts";
import { currentCodes, fitSpace } from "./resident-column.ts";

/** What a fold did. */
export interface FoldResult {
  /** `folded`: the generation on disk is that of the table. `current`: it was before. `lost`: another process was faster, or the
   * log was taken away, and nothing has changed. `newer`: a newer version of the library writes here, and this one must not. */
  readonly outcome: "folded" | "current" | "lost" | "newer";
  /** Rows whose codes were written. */
  readonly rows: number;
  /** The row of the log up to which the generation on disk goes. */
  readonly storedTo: bigint | undefined;
}

export interface FoldOptions {
  /** A slice ends at the next opportunity after so long. */
  readonly sliceMs: number;
  /** Whether all is written into one segment, unless it is already, and with a new model where the column has outgrown its own. */
  readonly isWhole: boolean;
  /** Whether every chunk is looked at, and all is written anew where one is damaged. */
  readonly isChecked: boolean;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
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
  readonly #work: Work<FoldResult>;
  #input: unknown;

  constructor(connection: object, column: IndexedColumn, options: FoldOptions) {
    this.#work = fold(new Slices(column, options.sliceMs), connection, column, options);
  }

  /** One slice; the result with the last. Not to be called again after an error. */
  *slice(): Steps<FoldResult | undefined> {
    let next = this.#work.next(this.#input);
    while (!next.done) {
      if (next.value === PAUSE) return undefined;
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

const PAUSE = Symbol("the end of a slice");
type Work<T> = Generator<Step | typeof PAUSE, T, any>;

/** Another history has taken the place of the one the fold was made from. */
class FoldLost extends Error {}

/** Beyond this growth since its model was fitted a column gets a new one, and all rows new codes. */
const GROWTH = 2;
const GROWTH_ROWS = 1000;
/** A segment of which more than this share is gone is written anew. */
const GONE_SHARE = 1 / 4;
/** So are segments up to this many times as large as what is written. */
const MERGE_RATIO = 2;
/** Rows looked at before the clock is. */
const PAGE_ROWS = 64;
/** Rows of the log kept before the base, so that a process that stood still for as long needs no reload. */
const LOG_TAIL = 4096n;
const TRIM_ROWS = 10_000n;
const CLEAN_CHUNKS = 8;

function* fold(slices: Slices, connection: object, column: IndexedColumn, options: FoldOptions): Work<FoldResult> {
  let result: FoldResult = { outcome: "lost", rows: 0, storedTo: undefined };
  try {
    const base = yield* slices.begin();
    if (!base) return result;
    if (slices.head && slices.head.format > CHUNK_FORMAT) return { ...result, outcome: "newer" };
    const before = yield* soundGeneration(slices, options.isChecked);
    const changed = before && (yield* changedSince(column, before.manifest));
    const rows = before ? liveRows(before.manifest.segments) : 0;
    const isOne = rows === 0 || (before?.manifest.segments.length === 1 && !before.manifest.segments[0]!.gone);
    const isGrown = before !== undefined && rows > before.fittedRows * GROWTH + GROWTH_ROWS;
    if (before && changed?.length === 0 && (!options.isWhole || (isOne && !isGrown))) {
      result = { outcome: "current", rows: 0, storedTo: before.manifest.base.seq };
      if (options.isWhole) yield* tidy(slices, before.manifest);
      return result;
    }

    const isIncremental = before !== undefined && changed !== undefined && !options.isWhole;
    const plan = isIncremental
      ? yield* planSegments(slices, before, changed)
      : { kept: [], ids: "all" as const, skipped: new Map<bigint, Skip>() };
    const known = before && !(options.isWhole && isGrown) ? before : undefined;
    const { space, model, fittedRows } = known ?? (yield* newModel(slices, connection, column, before === undefined));
    const segment = yield* writeSegment(slices, connection, { plan, space, onProgress: options.onProgress });
    const segments = [...plan.kept, ...(segment ? [segment] : [])];
    if (slices.isOver) yield* slices.pause();
    const manifest: Manifest = {
      base,
      schemaVersion: column.attachment.schemaVersion,
      model,
      fittedRows: fittedRows ?? liveRows(segments),
      blockRows: blockRows(space),
      segments,
      skipped: plan.skipped,
    };
    yield* flip(slices, manifest);
    yield* slices.pause();
    result = { outcome: "folded", rows: segment?.rows ?? 0, storedTo: base.seq };
    yield* tidy(slices, manifest);
    return result;
  } catch (error) {
    if (error instanceof FoldLost) return result;
    throw error;
  }
}

/** Writes the rows of a plan as one segment; undefined where there are none. */
function* writeSegment(
  slices: Slices,
  connection: object,
  { plan, space, onProgress }: { plan: Plan; space: CodeSpace; onProgress: FoldOptions["onProgress"] },
): Work<Segment | undefined> {
  const { column, generations } = slices;
  const reader = new ColumnReader(column);
  const total = plan.ids !== "all" ? plan.ids.length : onProgress ? yield* reader.count() : 0;
  const writer = new SegmentWriter(generations, space);
  const source = new RowSource(connection, column, space, plan.skipped);
  for (let done = 0, least: bigint | undefined = -(2n ** 63n); least !== undefined; ) {
    const ids: bigint[] =
      plan.ids === "all"
        ? yield* reader.idsFrom(least, PAGE_ROWS)
        : Array.from(plan.ids.subarray(done, done + PAGE_ROWS));
    if (ids.length > 0) yield* source.write(ids, writer);
    done += ids.length;
    const last: bigint | undefined = ids.at(-1);
    least = ids.length < PAGE_ROWS || last === 2n ** 63n - 1n ? undefined : last! + 1n;
    if (!slices.isOver) continue;
    onProgress?.(done, Math.max(done, total));
    yield* slices.pause();
    source.isCaughtUp = false;
  }
  onProgress?.(total, total);
  return yield* writer.finish();
}

/** The pauses of a fold, and what has to be as it was after each. */
class Slices {
  readonly column: IndexedColumn;
  readonly generations: Generations;
  readonly #sliceMs: number;
  readonly #log: string;
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

  /** The end of the log at the beginning of the fold; undefined where there is none, or another state of the schema. */
  *begin(): Work<LogPlace | undefined> {
    this.#end = performance.now() + this.#sliceMs;
    if (!(yield* this.#isSameSchema())) return undefined;
    this.head = yield* this.generations.head();
    this.#seen = yield* this.#end_of_log();
    return this.#seen;
  }

  *pause(): Work<void> {
    yield PAUSE;
    this.#end = performance.now() + this.#sliceMs;
    const seen = this.#seen!;
    const [row]: Row[] = yield {
      type: "rows",
      sql: `SELECT nonce FROM ${this.#log} WHERE seq = ?`,
      params: [seen.seq],
    };
    const head = yield* this.generations.head();
    const isSame = row?.[0] === seen.nonce && head?.generation === this.head?.generation;
    if (!isSame || !(yield* this.#isSameSchema())) throw new FoldLost();
    this.#seen = yield* this.#end_of_log();
  }

  /** Deletes what no reader of the current generation needs of the log. */
  *trim(): Work<void> {
    for (;;) {
      const base = yield* this.generations.trimBase();
      if (base === undefined) return;
      const [row]: Row[] = yield { type: "rows", sql: `SELECT min(seq) FROM ${this.#log}`, params: [] };
      const first = row?.[0];
      const end = base - LOG_TAIL;
      if (typeof first !== "bigint" || first >= end) return;
      const to = first + TRIM_ROWS < end ? first + TRIM_ROWS : end;
      yield { type: "rows", sql: `DELETE FROM ${this.#log} WHERE seq < ?`, params: [to] };
      yield* this.pause();
    }
  }

  *#end_of_log(): Steps<LogPlace | undefined> {
    const sql = `SELECT seq, nonce FROM ${this.#log} ORDER BY seq DESC LIMIT 1`;
    const [row]: Row[] = yield { type: "rows", sql, params: [] };
    return row && { seq: row[0] as bigint, nonce: row[1] as bigint };
  }

  *#isSameSchema(): Steps<boolean> {
    const [row]: Row[] = yield { type: "rows", sql: "PRAGMA schema_version", params: [] };
    return String(row?.[0]) === this.column.attachment.schemaVersion;
  }
}

/** What a fold builds on. */
interface Generation extends KnownSpace {
  readonly manifest: Manifest;
  readonly fittedRows: number;
}

/** The current generation, unless it is damaged or of another state of the schema: then all is written anew. */
function* soundGeneration(slices: Slices, isChecked: boolean): Work<Generation | undefined> {
  const { column, generations } = slices;
  const head = yield* generations.head();
  if (!head?.base) return undefined;
  try {
    const manifest = yield* generations.manifest(head);
    if (manifest.schemaVersion !== column.attachment.schemaVersion) return undefined;
    const bytes = yield* generations.model(manifest.model);
    if (!isModel(column.shape, bytes)) return undefined;
    const space = codeSpace(column.shape, column.metric, bytes);
    if (blockRows(space) !== manifest.blockRows) return undefined;
    for (const segment of isChecked ? manifest.segments : []) {
      for (let part = 0; part < segment.parts; part++) {
        yield* generations.block(segment, part, space);
        if (slices.isOver) yield* slices.pause();
      }
    }
    return { manifest, space, model: manifest.model, fittedRows: manifest.fittedRows };
  } catch (error) {
    if (!(error instanceof ChunkDamage)) throw error;
    if (error.isNewer) throw new FoldLost();
    return undefined;
  }
}

/** Ids of the rows that may differ from the generation, ascending; undefined: all. */
function* changedSince(column: IndexedColumn, { base, segments }: Manifest): Steps<BigInt64Array | undefined> {
  const log = tableNameOf(column.definition.name, "log");
  const change = yield* followLog(log, [{ ...base, id: null }], Math.max(1000, liveRows(segments)));
  if (change.type === "none") return new BigInt64Array();
  return change.type === "rows" ? BigInt64Array.from(change.ids).sort() : undefined;
}

interface KnownSpace {
  readonly space: CodeSpace;
  readonly model: Unit;
  /** Undefined: the rows of the generation that is being written. */
  readonly fittedRows: number | undefined;
}

/** @param isKnownFit - whether the model of what is in memory, which a query has fitted, will do */
function* newModel(
  { generations }: Slices,
  connection: object,
  column: IndexedColumn,
  isKnownFit: boolean,
): Work<KnownSpace> {
  const codes = isKnownFit ? (yield* currentCodes(connection, column))?.codes : undefined;
  const space = codes?.space ?? (yield* fitSpace(column));
  const { unit, stamp } = yield* generations.newUnit();
  const model = yield* generations.writeWhole("model", unit, stamp, space.model);
  return { space, model, fittedRows: undefined };
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
    if (!(error instanceof ChunkDamage)) throw error;
    return { kept: [], ids: "all", skipped: new Map() };
  }
}

function* planSound(slices: Slices, { manifest, space }: Generation, changed: BigInt64Array): Work<Plan> {
  const idsOf = function* (segment: Segment, part: number): Work<BigInt64Array> {
    if (slices.isOver) yield* slices.pause();
    return (yield* slices.generations.block(segment, part, space)).ids;
  };
  const segments: Segment[] = [];
  for (const segment of manifest.segments) {
    const gone = segment.gone?.slice() ?? new Uint8Array((segment.rows + 7) >> 3);
    for (let part = 0; part < segment.parts; part++) {
      const ids = yield* idsOf(segment, part);
      for (const row of common(ids, changed)) {
        const at = part * manifest.blockRows + row;
        gone[at >> 3]! |= 1 << (at & 7);
      }
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
  const ids = new BigInt64Array(rows);
  ids.set(changed);
  let count = changed.length;
  for (const segment of merged) {
    for (let part = 0; part < segment.parts; part++) {
      const own = yield* idsOf(segment, part);
      own.forEach((id, row) => {
        const at = part * manifest.blockRows + row;
        if (!segment.gone || (segment.gone[at >> 3]! & (1 << (at & 7))) === 0) ids[count++] = id;
      });
    }
  }
  const skipped = new Map(manifest.skipped);
  for (const id of changed) skipped.delete(id);
  return { kept, ids: ids.subarray(0, count).sort(), skipped };
}

/** Writes the manifest, checks everything it names, and makes it the current one. */
function* flip(slices: Slices, manifest: Manifest): Work<void> {
  const { generations } = slices;
  for (const unit of [manifest.model, ...manifest.segments]) {
    if (!(yield* generations.isWhole(unit))) throw new FoldLost();
  }
  const log = identifier(tableNameOf(slices.column.definition.name, "log"));
  const [row]: Row[] = yield {
    type: "rows",
    sql: `SELECT nonce FROM main.${log} WHERE seq = ?`,
    params: [manifest.base.seq],
  };
  if (row?.[0] !== manifest.base.nonce) throw new FoldLost();
  const { unit, stamp } = yield* generations.newUnit();
  yield* generations.writeWhole("manifest", unit, stamp, encodeManifest(manifest));
  yield* generations.flip(unit, manifest.base);
  slices.head = { generation: unit, format: CHUNK_FORMAT };
}

/** Deletes chunks that nothing names any more, and rows of the log that nothing needs. */
function* tidy(slices: Slices, { model, segments }: Manifest): Work<void> {
  const current = [slices.head!.generation, ...[model, ...segments].map(({ generation }) => generation)];
  while (!(yield* slices.generations.clean(current, CLEAN_CHUNKS))) yield* slices.pause();
  yield* slices.trim();
}

/** Gives the codes of rows: those in memory where they are current, else from the table. */
class RowSource {
  isCaughtUp = false;
  readonly #connection: object;
  readonly #column: IndexedColumn;
  readonly #space: CodeSpace;
  readonly #skipped: Map<bigint, Skip>;
  #codes: ResidentCodes | undefined;

  constructor(connection: object, column: IndexedColumn, space: CodeSpace, skipped: Map<bigint, Skip>) {
    this.#connection = connection;
    this.#column = column;
    this.#space = space;
    this.#skipped = skipped;
  }

  *write(ids: readonly bigint[], writer: SegmentWriter): Steps<void> {
    if (!this.isCaughtUp) {
      this.isCaughtUp = true;
      const codes = (yield* currentCodes(this.#connection, this.#column))?.codes;
      this.#codes = codes && isSameBytes(codes.space.model, this.#space.model) ? codes : undefined;
    }
    const codes = this.#codes;
    const unread = codes ? ids.filter((id) => codes.whereIs(id) === "onDisk") : ids;
    const values = new Map<bigint, unknown>();
    if (unread.length > 0) {
      const read = yield* new ColumnReader(this.#column).some(unread);
      for (const [id, value] of read) values.set(id as bigint, value);
    }
    for (const id of ids) {
      const how = codes ? writer.copy(codes, id) : "onDisk";
      if (how === "onDisk") {
        const value = values.get(id);
        if (value === undefined) continue;
        const skip = writer.code(this.#space, id, value);
        if (skip) this.#skipped.set(id, skip);
      } else if (how !== "inMemory" && how !== "absent") this.#skipped.set(id, how);
      if (writer.isFull) yield* writer.flush();
    }
  }
}

/** Writes rows, block by block, as a segment. */
class SegmentWriter {
  readonly #generations: Generations;
  readonly #blocks: CodeBlocks;
  readonly #slot: number;
  readonly #ids: BigInt64Array;
  #count = 0;
  #rows = 0;
  #unit: Unit | undefined;

  constructor(generations: Generations, space: CodeSpace) {
    this.#generations = generations;
    this.#blocks = new CodeBlocks(space, codeKernel());
    this.#slot = this.#blocks.take();
    this.#ids = new BigInt64Array(this.#blocks.capacity);
  }

  get isFull(): boolean {
    return this.#count === this.#blocks.capacity;
  }

  copy(codes: ResidentCodes, id: bigint) {
    const how = codes.whereIs(id);
    if (how !== "inMemory") return how;
    codes.copyTo(this.#blocks, this.#slot, this.#count, id);
    this.#ids[this.#count++] = id;
    return how;
  }

  /** @returns why a value has no code */
  code(space: CodeSpace, id: bigint, value: unknown): Skip | undefined {
    const bytes = value instanceof ArrayBuffer ? new Uint8Array(value) : value;
    if (!(bytes instanceof Uint8Array)) return "notAVector";
    if (bytes.byteLength !== vectorBytes(space.shape)) return "wrongLength";
    const code = space.codeOf(bytes);
    if (!code) return "notFinite";
    this.#blocks.write(this.#slot, this.#count, code);
    this.#ids[this.#count++] = id;
    return undefined;
  }

  *flush(): Steps<void> {
    const count = this.#count;
    const { unit, stamp } = this.#unit
      ? { unit: this.#unit.generation, stamp: this.#unit.stamp }
      : yield* this.#generations.newUnit();
    const part = this.#unit?.parts ?? 0;
    const codes = this.#blocks.save(this.#slot, count);
    const payload = new Uint8Array(count * 8 + codes.length);
    payload.set(new Uint8Array(this.#ids.buffer, 0, count * 8));
    payload.set(codes, count * 8);
    yield* this.#generations.write({ kind: "rows", unit, stamp, part, count }, payload);
    this.#unit = { generation: unit, stamp, parts: part + 1 };
    this.#rows += count;
    this.#count = 0;
  }

  /** The segment; undefined where it has no rows. */
  *finish(): Steps<Segment | undefined> {
    if (this.#count > 0) yield* this.flush();
    return this.#unit && { ...this.#unit, rows: this.#rows, gone: undefined };
  }
}

/** Places in `ids` of the numbers that are in `changed`; both ascend. */
function* common(ids: BigInt64Array, changed: BigInt64Array): Generator<number> {
  let row = 0;
  let at = 0;
  while (row < ids.length && at < changed.length) {
    if (ids[row]! < changed[at]!) row++;
    else if (ids[row]! > changed[at]!) at++;
    else {
      yield row++;
      at++;
    }
  }
}

function liveRows(segments: readonly Segment[]): number {
  let rows = 0;
  for (const segment of segments) {
    rows += segment.rows;
    for (const byte of segment.gone ?? []) for (let bits = byte; bits !== 0; bits &= bits - 1) rows--;
  }
  return rows;
}

function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
