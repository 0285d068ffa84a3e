import type { Steps } from "../driver/driver.ts";
import { checksum } from "../kernel/checksum.ts";
import { type CodeKernel, scanKernel } from "../kernel/code-kernel.ts";
import type { RowCode } from "../kernel/coder.ts";
import { freeBytes, freeBytesSoon } from "../kernel/free-bytes.ts";
import { oneBitRowBytes } from "../kernel/one-bit-blocks.ts";
import { CodeScans } from "./code-scans.ts";
import type { ColumnSpace } from "./column-space.ts";
import type { BreathingSteps } from "./indexed-column.ts";
import { type CodeKind, RowBlocks, type Slots } from "./row-blocks.ts";
import { rowId } from "./row-ids.ts";
import { type Block, RowPlaces } from "./row-places.ts";
import type { Selection } from "./selection.ts";
import { judge, type Skip } from "./skip.ts";
import { fillSlots, READ_BLOCKS, type ReadCodes, type StoredBlock, type StoredCodes } from "./stored-codes.ts";

/** One row in so many may lie in another place than it did. */
const MOVED_SHARE = 64;

/**
 * The codes of a column's rows by id, in blocks. Ids are always in memory; codes of a block, of either kind, may be on disk, from where
 * each search that needs them reads them: because there is no room for them, or because nobody has asked for that kind yet, which is
 * then *deferred*.
 */
export class ResidentCodes {
  readonly space: ColumnSpace;
  /** Searches of these codes. */
  readonly scans: CodeScans;
  readonly #codes: RowBlocks;
  readonly #places: RowPlaces;
  readonly #deferred = new Set<CodeKind>();

  /**
   * @param capacity - rows of a block, fewer than usual for tests
   * @throws {RangeError} when memory ends
   */
  constructor(space: ColumnSpace, kernel: CodeKernel = scanKernel(), capacity?: number) {
    this.space = space;
    this.#codes = new RowBlocks(space, kernel, capacity);
    this.#places = new RowPlaces(this.#codes.capacity);
    this.scans = new CodeScans(this.#codes, this.#places);
  }

  get kernel(): CodeKernel["kernel"] {
    return this.#codes.kernel;
  }

  /** How many rows can be found. */
  get size(): number {
    return this.#places.rows - this.#places.gone;
  }

  /** The kinds of codes there are. */
  get kinds(): readonly CodeKind[] {
    return this.#codes.kinds;
  }

  /** Bytes of memory that codes of a block take. */
  slotBytes(kind: CodeKind): number {
    return this.#codes.slotBytes(kind);
  }

  /** Bytes of all codes in memory with all ids. */
  get bytes(): number {
    return this.#codes.bytes + this.#places.bytes;
  }

  /** Bytes of 1-bit codes that a search of all rows reads. */
  get likelyBytes(): number {
    return this.#places.rows * (this.space.oneBit ? oneBitRowBytes(this.space.oneBit.shape.width) : 0);
  }

  /** Blocks of which codes are on disk because there is no room for them. */
  get streamed(): number {
    const kinds = this.kinds.filter((kind) => !this.#deferred.has(kind));
    return this.#places.blocks.filter(({ slots }) => kinds.some((kind) => slots[kind] === undefined)).length;
  }

  /** Whether all codes of all blocks are in memory. */
  get isWhole(): boolean {
    return this.#places.blocks.every(({ slots }) => this.#codes.isWhole(slots));
  }

  /** Bytes of codes of a kind that a search of all rows reads from disk, once they have been loaded as far as there is room. */
  streamedBytes(kind: CodeKind): number {
    return this.#deferred.has(kind) ? 0 : this.#bytesOnDisk(kind);
  }

  /** Whether a kind of codes is still to be loaded. */
  isDeferred(kind: CodeKind): boolean {
    return this.#deferred.has(kind);
  }

  /** Bytes that all codes would take in memory that are still to be loaded. */
  get deferredBytes(): number {
    return [...this.#deferred].reduce((sum, kind) => sum + this.#bytesOnDisk(kind), 0);
  }

  #bytesOnDisk(kind: CodeKind): number {
    if (!this.kinds.includes(kind)) return 0;
    return this.#places.blocks.filter(({ slots }) => slots[kind] === undefined).length * this.slotBytes(kind);
  }

  get skipped(): ReadonlyMap<bigint, Skip> {
    return this.#places.skipped;
  }

  /** Notes a row that was skipped when it was stored. */
  skip(id: bigint, why: Skip): void {
    this.#places.skipped.set(id, why);
  }

  /** Begins blocks of a stored segment: the ids of `addStored` ascend from here on. */
  beginSegment(): void {
    this.#places.beginSegment();
  }

  /** Takes a block from disk, without its codes: all kinds of them are deferred. */
  addStored(block: StoredBlock): void {
    for (const kind of this.kinds) this.#deferred.add(kind);
    this.#places.addStored(block);
  }

  /**
   * Reads a kind of codes that is deferred into memory, in the order of the blocks, as long as there is room for one more.
   *
   * @throws {RangeError} when memory ends
   */
  *loadStored(kind: CodeKind, read: ReadCodes, hasRoom: () => boolean): BreathingSteps<void> {
    const blocks = this.#places.blocks.filter(({ slots }) => slots[kind] === undefined);
    // The last chunk of a group goes after the next has been read: malloc keeps the room below it, instead of giving it back in between.
    let last: StoredCodes | undefined;
    for (let from = 0, isFull = false; from < blocks.length && !isFull; from += READ_BLOCKS) {
      const group: Block[] = [];
      const slots: number[] = [];
      try {
        for (const block of blocks.slice(from, from + READ_BLOCKS)) {
          isFull ||= !hasRoom();
          if (isFull) break;
          group.push(block);
          slots.push(this.#codes.take(kind));
        }
        const stored = yield* fillSlots(this.#codes, kind, slots, group, read);
        if (last) freeBytes(last.payload);
        last = stored.pop();
        for (const { payload } of stored) freeBytes(payload);
      } catch (error) {
        for (const slot of slots) this.#codes.free(kind, slot);
        throw error;
      }
      group.forEach((block, i) => {
        block.slots[kind] = slots[i];
      });
      yield;
    }
    if (last) freeBytes(last.payload);
    this.#deferred.delete(kind);
  }

  /** Reads all codes that are not in memory, to see whether they are sound. */
  *checkStored(read: ReadCodes): Steps<void> {
    for (const { slots, source } of this.#places.blocks) {
      for (const kind of this.kinds) {
        if (slots[kind] !== undefined) continue;
        const { payload, check } = yield* read(source!, kind);
        check(checksum(payload));
        freeBytesSoon(payload);
      }
    }
  }

  /** Says that the load is over. */
  finishLoad(): void {
    this.#places.finishLoad();
  }

  /** Whether so much has come or gone since the load that a new one pays: for the centre, and for the space of the gone. */
  get isWorn(): boolean {
    return this.#places.isWorn;
  }

  /**
   * Whether so many rows that are coded anew should be so in their places. Where a kind of codes is deferred they get others, and leave
   * gaps, which are nothing beside it while they are few.
   */
  isCrowded(changes: number): boolean {
    return this.#deferred.size > 0 && (this.#places.gone + changes) * MOVED_SHARE > this.#places.rows;
  }

  /**
   * Codes rows, or codes them anew; many at a time cost less. Until `finishLoad`, ids ascend.
   *
   * @param rows - id and what the vector column holds, not NULL; copied
   * @throws {RangeError} when memory ends
   */
  setAll(rows: readonly (readonly [id: bigint, value: unknown])[]): void {
    const judged = rows.map(([, value]) => judge(value, this.space));
    const codes = this.space.codesOf(judged.filter((bytes) => typeof bytes !== "string"))[Symbol.iterator]();
    rows.forEach(([id], i) => {
      const bytes = judged[i]!;
      if (typeof bytes === "string") this.#skip(id, bytes);
      else this.#put(id, codes.next().value, bytes);
    });
  }

  delete(id: bigint): void {
    this.#places.skipped.delete(id);
    const at = this.#places.find(rowId(id));
    if (at !== undefined) this.#erase(at);
  }

  /** Where the code of a row is; `absent` where the row has no value, or is not there. */
  whereIs(id: bigint): "inMemory" | "onDisk" | "absent" | Skip {
    const at = this.#places.find(rowId(id));
    if (at === undefined || this.#places.isGone(at)) return this.skipped.get(id) ?? "absent";
    return this.#codes.isWhole(this.#places.blockOf(at).slots) ? "inMemory" : "onDisk";
  }

  /** Copies the codes of a row that is in memory to a block of other blocks of the same space. */
  copyTo(blocks: RowBlocks, slots: Slots, row: number, id: bigint): void {
    const at = this.#places.find(rowId(id))!;
    blocks.copy(slots, row, this.#codes, this.#places.blockOf(at).slots, at % this.#places.capacity);
  }

  /** An empty selection of rows, to be searched among. */
  selection(): Selection {
    return this.#places.selection();
  }

  #skip(id: bigint, why: Skip): void {
    this.delete(id);
    this.#places.skipped.set(id, why);
  }

  #put(id: bigint, code: RowCode | undefined, bytes: Uint8Array): void {
    if (!code) {
      this.#skip(id, "notFinite");
      return;
    }
    this.#places.skipped.delete(id);
    let at = this.#places.find(rowId(id));
    if (at !== undefined && !this.#codes.isWhole(this.#places.blockOf(at).slots)) {
      // Old codes lie on disk, where they stay.
      this.#erase(at);
      at = undefined;
    }
    at ??= this.#places.append(id, () => this.#codes.takeAll());
    const block = this.#places.blockOf(at);
    const row = at % this.#places.capacity;
    const isCoded = this.#codes.write(block.slots, row, code, bytes);
    this.#places.setGone(at, false);
    if (isCoded) return;
    this.#erase(at);
    this.#places.skipped.set(id, "notFinite");
  }

  #erase(at: number): void {
    if (this.#places.setGone(at)) this.#codes.erase(this.#places.blockOf(at).slots, at % this.#places.capacity);
  }
}
