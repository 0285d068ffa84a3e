import { vectorBytes } from "../codec/codec.ts";
import type { Row, Steps } from "../driver/driver.ts";
import { memoryBudgetOf } from "../driver/events.ts";
import { codeKernel } from "../kernel/code-kernel.ts";
import type { RowCode } from "../kernel/coder.ts";
import { FIRST_ID, LAST_ID } from "../migration/identity.ts";
import { ColumnReader } from "./column-reader.ts";
import { type ColumnSpace, hasModel } from "./column-space.ts";
import { codesInMemory, type Plan } from "./fold-plan.ts";
import { CHUNK_MS, damageOf, FoldLost, type Slices, type Work } from "./fold-slices.ts";
import type { Generations, Segment, Unit } from "./generation.ts";
import { ResidentCodes } from "./resident-codes.ts";
import { loadBits } from "./resident-column.ts";
import { RowBlocks, type Slots } from "./row-blocks.ts";
import { judge, type Skip } from "./skip.ts";

/** Rows looked at before the clock is, and bytes of their vectors: a few fours, which are coded together. */
const PAGE_ROWS = 32;
const PAGE_BYTES = 1 << 17;

/** How far a fold is. */
export interface FoldProgress {
  done: number;
  /** Rows to be written; undefined until that is known. */
  total: number | undefined;
}

export interface SegmentInput {
  readonly plan: Plan;
  readonly space: ColumnSpace;
  readonly progress: FoldProgress;
  /** Whether `progress` has to tell how many rows there will be. Default false. */
  readonly isCounted?: boolean;
}

/** Writes the rows of a plan as one segment; undefined where there are none. */
export function* writeSegment(
  slices: Slices,
  connection: object,
  { plan, space, progress, isCounted = false }: SegmentInput,
): Work<Segment | undefined> {
  const { column, generations } = slices;
  const reader = new ColumnReader(column);
  const pageRows = Math.max(4, Math.min(PAGE_ROWS, Math.floor(PAGE_BYTES / vectorBytes(column.shape)) & ~3));
  if (plan.ids !== "all") progress.total = plan.ids.length;
  else if (isCounted) progress.total = yield* slices.breathing(reader.count());
  const writer = new SegmentWriter(generations, space);
  const source = new RowSource(slices, connection, space, plan.skipped);
  yield* slices.breathe();
  if (plan.ids === "all") yield* source.completeCodes();
  for (let least: bigint | undefined = FIRST_ID; least !== undefined; ) {
    const most = Math.min(pageRows, writer.room);
    const { ids, values }: RowPage =
      plan.ids === "all"
        ? yield* source.page(least, most)
        : { ids: Array.from(plan.ids.subarray(progress.done, progress.done + most)), values: undefined };
    if (ids.length > 0) yield* source.write(ids, values, writer);
    progress.done += ids.length;
    const last: bigint | undefined = ids.at(-1);
    least = ids.length < most || last === LAST_ID ? undefined : last! + 1n;
    if (writer.room === 0 || least === undefined) {
      yield* slices.lock(CHUNK_MS);
      yield* writer.flush();
    }
    yield* slices.breathe();
  }
  return writer.segment;
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
    this.#use((yield* codesInMemory(this.#connection, column))?.codes);
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
      this.#isUsable = codes instanceof ResidentCodes && hasModel(codes.space, this.#space.model);
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
    if (this.#unit && !(yield* this.#generations.isWhole(this.#unit))) throw new FoldLost();
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
