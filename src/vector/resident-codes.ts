import type { Steps } from "../driver/driver.ts";
import { checksum } from "../kernel/checksum.ts";
import { type CodeKernel, codeKernel } from "../kernel/code-kernel.ts";
import type { RowCode } from "../kernel/coder.ts";
import { freeBytes, freeBytesSoon } from "../kernel/free-bytes.ts";
import { oneBitRowBytes } from "../kernel/one-bit-blocks.ts";
import { Scan, type ScanBlock, type ScanFound, type ScanInput } from "../kernel/scan.ts";
import { ScanTeam, type ScanTeamInput } from "../kernel/scan-team.ts";
import type { ScanThread } from "../kernel/scan-threads.ts";
import type { SpaceQuery } from "./code-space.ts";
import type { ColumnSpace } from "./column-space.ts";
import { countBits } from "./count-bits.ts";
import { IdRanks } from "./id-ranks.ts";
import type { BreathingSteps } from "./indexed-column.ts";
import { type OneBitSpaceQuery, oneBitQuery } from "./one-bit-space.ts";
import { type CodeKind, RowBlocks, type Slots } from "./row-blocks.ts";
import { type RowId, RowIds, rowId } from "./row-ids.ts";
import { type Run, Selection } from "./selection.ts";
import { judge, type Skip } from "./skip.ts";

/** A row that may be among the nearest, and the most similar that it can be. */
export interface Survivor {
  readonly id: bigint;
  readonly upper: number;
}

/** What a search of codes has found. */
export interface CodesFound {
  /** The rows that may be among the `k` nearest, best bound first. */
  readonly survivors: readonly Survivor[];
  /** All other rows that were asked are less similar than this. */
  readonly threshold: number;
  readonly bytesRead: number;
}

export interface CodeSearch {
  readonly query: SpaceQuery;
  readonly k: number;
  readonly maxDistance: number;
  /** Most rows that may survive. */
  readonly most: number;
  /** The rows asked, from `selection`; undefined for all. */
  readonly among: Selection | undefined;
  /** Where rows that are not likely enough by their 1-bit codes are to be left out; both kinds are in memory. */
  readonly likely?: LikelyRows | undefined;
}

export interface LikelyRows {
  /** From `likelyQuery`. */
  readonly query: OneBitSpaceQuery;
  /** Most rows that may be likely: with more nothing is found. */
  readonly most: number;
}

export interface LikelySearch extends Omit<CodeSearch, "query" | "likely"> {
  /** From `likelyQuery` of the same codes. */
  readonly query: OneBitSpaceQuery;
  /** Whether the search ends as soon as more than `most` rows are left, though later ones might rule them out. */
  readonly isHasty: boolean;
}

/** What 1-bit codes tell; to be used before anything changes the codes. */
export interface Likely {
  /**
   * Rows that are likely enough among the nearest, best bound first: those whose bounds are at least `least` and below `end`. Most
   * of them are ruled out by the first that are scored, and are not worth being put in order.
   */
  rows(least?: number, end?: number): Survivor[];
  /** The bound that so many of them reach, or a few more of equal bounds; `-Infinity` where they are fewer. */
  boundOf(count: number): number;
  /** The same, to be searched among with codes for exact answers. */
  selection(): Selection;
  /** How many they are. */
  readonly count: number;
  /** Rows whose upper bounds lie below this are left out. */
  readonly threshold: number;
}

/** Where a block is on disk. */
export interface BlockSource {
  readonly generation: bigint;
  readonly stamp: bigint;
  /** Of its ids; the parts behind it are those of its codes. */
  readonly part: number;
  /** Rows it has. */
  readonly count: number;
}

/** A block as it is on disk, without its codes: rows by ascending id. */
export interface StoredBlock {
  readonly ids: BigInt64Array;
  /** One bit a row, set where the row is gone; undefined where none is. */
  readonly gone: Uint8Array | undefined;
  readonly source: BlockSource;
}

/** Gives codes of a block that are not in memory, as `RowBlocks.save` did. */
export type ReadCodes = (source: BlockSource, kind: CodeKind) => Steps<StoredCodes>;

export interface StoredCodes {
  readonly payload: Uint8Array;
  /** @throws unless this is the checksum of the payload */
  check(payloadSum: number): void;
}

interface Block {
  readonly ids: RowIds;
  count: number;
  /** Where its codes are in memory; those that are not are on disk, at `source`. */
  readonly slots: Slots;
  /** Undefined where its rows were coded here: then it has all kinds in memory. */
  readonly source: BlockSource | undefined;
  /** One bit a row, set where the row is gone. */
  readonly gone: Uint8Array;
}

/** Blocks whose ids ascend from the first row of the first to the last of the last, all but the last of them full. */
interface Segment {
  /** `[from, to)` of all blocks. */
  readonly from: number;
  to: number;
  /** Once it is loaded: rows, the least and the largest id. */
  rows: number;
  least: number;
  most: number;
  /** Made when many of its ids are first looked for at once; null where there can be none. */
  ranks: IdRanks | null | undefined;
}

/** A small index need not be coded anew each time it doubles. */
const WEAR_ROWS = 1000;
/** Blocks that are read from disk at once: their checksums are computed in the time of one. */
const READ_BLOCKS = 4;
/** One row in so many may lie in another place than it did. */
const MOVED_SHARE = 64;

/**
 * The codes of a column's rows by id, in blocks. Ids are 64-bit integers, all of them, so they stay bigint. Those that come in
 * ascending order, as all of a load do, are found by bisection, which takes no memory; others through a map. Ids are always in
 * memory; codes of a block, of either kind, may be on disk, from where each search that needs them reads them: because there is no
 * room for them, or because nobody has asked for that kind yet, which is then *deferred*.
 */
export class ResidentCodes {
  readonly space: ColumnSpace;
  readonly #codes: RowBlocks;
  readonly #blocks: Block[] = [];
  readonly #segments: Segment[] = [];
  readonly #deferred = new Set<CodeKind>();
  #isLoading = true;
  #rows = 0;
  #gone = 0;
  #loaded = 0;
  #idBytes = 0;
  /** Rows that came after the load, and where the next goes. */
  readonly #later = new Map<bigint, number>();
  #open: number | undefined;
  readonly #skipped = new Map<bigint, Skip>();

  /** @param capacity - rows of a block, fewer than usual for tests */
  constructor(space: ColumnSpace, kernel: CodeKernel = codeKernel(true), capacity?: number) {
    this.space = space;
    this.#codes = new RowBlocks(space, kernel, capacity);
  }

  get kernel(): CodeKernel["kernel"] {
    return this.#codes.kernel;
  }

  /** How many rows can be found. */
  get size(): number {
    return this.#rows - this.#gone;
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
    return this.#codes.bytes + this.#idBytes;
  }

  /** Bytes of 1-bit codes that a search of all rows reads. */
  get likelyBytes(): number {
    return this.#rows * (this.space.oneBit ? oneBitRowBytes(this.space.oneBit.shape.width) : 0);
  }

  /** Blocks of which codes are on disk because there is no room for them. */
  get streamed(): number {
    const kinds = this.kinds.filter((kind) => !this.#deferred.has(kind));
    return this.#blocks.filter(({ slots }) => kinds.some((kind) => slots[kind] === undefined)).length;
  }

  /** Whether all codes of all blocks are in memory. */
  get isWhole(): boolean {
    return this.#blocks.every(({ slots }) => this.#codes.isWhole(slots));
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
    return this.#blocks.filter(({ slots }) => slots[kind] === undefined).length * this.slotBytes(kind);
  }

  get skipped(): ReadonlyMap<bigint, Skip> {
    return this.#skipped;
  }

  /** Notes a row that was skipped when it was stored. */
  skip(id: bigint, why: Skip): void {
    this.#skipped.set(id, why);
  }

  /** Begins blocks of a stored segment: the ids of `addStored` ascend from here on. */
  beginSegment(): void {
    const from = this.#blocks.length;
    this.#segments.push({ from, to: from, rows: 0, least: 0, most: 0, ranks: undefined });
  }

  /** Takes a block from disk, without its codes: all kinds of them are deferred. */
  addStored({ ids, gone, source }: StoredBlock): void {
    for (const kind of this.kinds) this.#deferred.add(kind);
    const block: Block = {
      ids: RowIds.fixed(ids),
      count: ids.length,
      slots: { codes: undefined, bits: undefined },
      source,
      gone: gone ?? new Uint8Array((ids.length + 7) >> 3),
    };
    this.#blocks.push(block);
    this.#idBytes += block.ids.bytes;
    this.#segments.at(-1)!.to++;
    this.#rows += block.count;
    for (const byte of block.gone) this.#gone += countBits(byte);
  }

  /**
   * Reads a kind of codes that is deferred into memory, in the order of the blocks, as long as there is room for one more.
   *
   * @throws {RangeError} when memory ends
   */
  *loadStored(kind: CodeKind, read: ReadCodes, hasRoom: () => boolean): BreathingSteps<void> {
    const blocks = this.#blocks.filter(({ slots }) => slots[kind] === undefined);
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
        const stored = yield* this.#fill(kind, slots, group, read);
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
    for (const { slots, source } of this.#blocks) {
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
    this.#isLoading = false;
    this.#open = undefined;
    this.#loaded = this.#rows;
    for (const segment of this.#segments) {
      const { from, to } = segment;
      if (from === to) continue;
      const [first, last] = [this.#blocks[from]!, this.#blocks[to - 1]!];
      segment.rows = (to - from - 1) * this.#codes.capacity + last.count;
      segment.least = first.ids.at(0);
      segment.most = last.ids.at(last.count - 1);
    }
  }

  /** Whether so much has come or gone since the load that a new one pays: for the centre, and for the space of the gone. */
  get isWorn(): boolean {
    return this.#rows > this.#loaded * 2 + WEAR_ROWS || this.#gone * 2 > this.#rows + WEAR_ROWS;
  }

  /**
   * Whether so many rows that are coded anew should be so in their places. Where a kind of codes is deferred they get others, and leave
   * gaps, which are nothing beside it while they are few.
   */
  isCrowded(changes: number): boolean {
    return this.#deferred.size > 0 && (this.#gone + changes) * MOVED_SHARE > this.#rows;
  }

  /** As `setAll` of one row. */
  set(id: bigint, value: unknown): void {
    this.setAll([[id, value]]);
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
    this.#skipped.delete(id);
    const at = this.#isLoading ? undefined : this.#find(rowId(id));
    if (at !== undefined) this.#erase(at);
  }

  /** Where the code of a row is; `absent` where the row has no value, or is not there. */
  whereIs(id: bigint): "inMemory" | "onDisk" | "absent" | Skip {
    const at = this.#find(rowId(id));
    const block = at === undefined ? undefined : this.#blockOf(at);
    if (!block || isGone(block, at! % this.#codes.capacity)) return this.#skipped.get(id) ?? "absent";
    return this.#codes.isWhole(block.slots) ? "inMemory" : "onDisk";
  }

  /** Copies the codes of a row that is in memory to a block of other blocks of the same space. */
  copyTo(blocks: RowBlocks, slots: Slots, row: number, id: bigint): void {
    const at = this.#find(rowId(id))!;
    blocks.copy(slots, row, this.#codes, this.#blockOf(at).slots, at % this.#codes.capacity);
  }

  /** An empty selection of rows, to be searched among. */
  selection(): Selection {
    const { capacity } = this.#codes;
    const find = (id: RowId) => {
      const at = this.#find(id);
      if (at !== undefined && !isGone(this.#blockOf(at), at % capacity)) return at;
      return this.#skipped.size === 0 ? undefined : this.#skipped.get(BigInt(id));
    };
    return new Selection({ capacity, blocks: this.#blocks.length, find, run: this.#run() });
  }

  /** The largest segment, where most ids are found. */
  #run(): Run | undefined {
    let largest: Segment | undefined;
    for (const segment of this.#segments) if (segment.rows > (largest?.rows ?? 0)) largest = segment;
    if (!largest) return undefined;
    const { capacity } = this.#codes;
    const { from, rows, least, most } = largest;
    const isGapless = most - least === rows - 1 && Number.isSafeInteger(least) && Number.isSafeInteger(most);
    if (!isGapless) this.#rank(largest);
    if (!isGapless && !largest.ranks) return undefined;
    return {
      least,
      most,
      at: from * capacity,
      ranks: isGapless ? undefined : largest.ranks!,
      isGone: this.#gone === 0 ? undefined : (at) => isGone(this.#blockOf(at), at % capacity),
    };
  }

  #rank(segment: Segment): void {
    if (segment.ranks !== undefined) return;
    const lists = this.#blocks.slice(segment.from, segment.to).map(({ ids, count }) => [ids, count] as const);
    segment.ranks = IdRanks.of(segment, lists) ?? null;
    this.#idBytes += segment.ranks?.bytes ?? 0;
  }

  /**
   * Undefined where more than `most` rows survive.
   *
   * @param search - or the scan, where a team of `searchTeam` has made it
   */
  *search(search: CodeSearch | Scan, read: ReadCodes): Steps<CodesFound | undefined> {
    const scan =
      search instanceof Scan ? search : yield* this.#visit("codes", this.#inputOf(search), search.among, read);
    const found = scan.found();
    return found && { survivors: this.#ranked(found), threshold: found.threshold, bytesRead: scan.bytesRead };
  }

  /**
   * A team for several searches that differ in their queries alone; undefined where threads cannot make them. To be ended before
   * anything changes the codes.
   *
   * @throws {RangeError} when memory ends
   */
  searchTeam(count: number, searchOf: (n: number) => CodeSearch, threads: readonly ScanThread[]): ScanTeam | undefined {
    return this.#team("codes", searchOf(0).among, { count, inputOf: (n) => this.#inputOf(searchOf(n)), threads });
  }

  /**
   * A query for 1-bit codes.
   *
   * @param encoded - as the column stores it
   * @param factor - deviations that an estimate may be too low by
   */
  likelyQuery(encoded: Uint8Array, factor: number): OneBitSpaceQuery {
    return oneBitQuery(this.#codes.bits!, this.space, encoded, factor);
  }

  /**
   * The rows that are likely enough among the `k` nearest by their 1-bit codes; undefined where they are more than `most`.
   *
   * @param search - or the scan, where a team of `likelyTeam` has made it
   */
  *searchLikely(search: LikelySearch | Scan, read: ReadCodes): Steps<Likely | undefined> {
    const scan =
      search instanceof Scan ? search : yield* this.#visit("bits", this.#likelyInputOf(search), search.among, read);
    const found = scan.found();
    if (!found) return undefined;
    return {
      count: found.rows.length,
      threshold: found.threshold,
      rows: (least = Number.NEGATIVE_INFINITY, end) => {
        const { rows, uppers } = found;
        const isAsked = (upper: number) => upper >= least && (end === undefined || upper < end);
        return this.#ranked({
          rows: rows.filter((_, i) => isAsked(uppers[i]!)),
          uppers: uppers.filter(isAsked),
        });
      },
      boundOf: (count) => found.uppers.slice().sort().at(-count) ?? Number.NEGATIVE_INFINITY,
      selection: () => {
        const likely = this.selection();
        for (const at of found.rows) likely.addPlace(at);
        return likely;
      },
    };
  }

  /** As `searchTeam`, for `searchLikely`. */
  likelyTeam(
    count: number,
    searchOf: (n: number) => LikelySearch,
    threads: readonly ScanThread[],
  ): ScanTeam | undefined {
    return this.#team("bits", searchOf(0).among, { count, inputOf: (n) => this.#likelyInputOf(searchOf(n)), threads });
  }

  #team(kind: CodeKind, among: Selection | undefined, input: Omit<ScanTeamInput, "blocks">): ScanTeam | undefined {
    const { resident, streamed } = this.#asked(kind, among);
    if (streamed.length > 0 || !this.#codes.isShared) return undefined;
    return new ScanTeam({ ...input, blocks: resident });
  }

  #inputOf({ query, k, maxDistance, most, likely }: CodeSearch): ScanInput {
    const codes = this.#codes.codesOf(query.coded, query.floorOf(maxDistance));
    if (!likely) return { ...codes, k, most };
    const [here, there] = [query.similarityOf(0), likely.query.similarityOf(0)];
    // Rather too small than too large by what float64 rounds.
    const shift = there - here - (Math.abs(here) + Math.abs(there)) * 2 ** -40;
    return { ...codes, ...this.#bitsOf(likely.query, maxDistance), both: { shift, likely: likely.most }, k, most };
  }

  #bitsOf(query: OneBitSpaceQuery, maxDistance: number): Pick<ScanInput, "bits"> {
    const floor = Number.isFinite(maxDistance) ? query.similarityOf(maxDistance) : Number.NEGATIVE_INFINITY;
    return this.#codes.bitsOf(query.coded, floor);
  }

  #likelyInputOf({ query, k, maxDistance, most, isHasty }: LikelySearch): ScanInput {
    return { ...this.#bitsOf(query, maxDistance), k, most, isHasty };
  }

  /**
   * Hands the blocks that are asked to a scan: all that are in memory at once, then those on disk, through a few slots that are taken
   * before it begins.
   */
  *#visit(kind: CodeKind, input: ScanInput, among: Selection | undefined, read: ReadCodes): Steps<Scan> {
    const { resident, streamed } = this.#asked(kind, among);
    const visiting = streamed.slice(0, READ_BLOCKS).map(() => this.#codes.take(kind));
    try {
      const scan = new Scan(input);
      const isLost = () => input.isHasty === true && scan.isFlooded;
      do {
        scan.blocks(resident);
        for (let from = 0; from < streamed.length; from += READ_BLOCKS) {
          if (isLost()) return scan;
          const group = streamed.slice(from, from + READ_BLOCKS);
          const blocks = group.map(([block]) => block);
          for (const { payload } of yield* this.#fill(kind, visiting, blocks, read)) freeBytesSoon(payload);
          scan.blocks(group.map(([, rows], i) => ({ ...rows, [kind]: visiting[i] })));
        }
      } while (scan.again());
      return scan;
    } finally {
      for (const slot of visiting) this.#codes.free(kind, slot);
    }
  }

  /** The blocks that are asked: those in memory, and those on disk. */
  #asked(kind: CodeKind, among: Selection | undefined): { resident: ScanBlock[]; streamed: [Block, ScanBlock][] } {
    const { capacity } = this.#codes;
    const resident: ScanBlock[] = [];
    const streamed: [Block, ScanBlock][] = [];
    this.#blocks.forEach((block, n) => {
      const { slots, count } = block;
      const mask = among?.maskOf(n);
      if (among && !mask) return;
      const first = n * capacity;
      if (slots[kind] === undefined) streamed.push([block, { count, first, mask }]);
      else resident.push({ codes: slots.codes, bits: slots.bits, count, first, mask });
    });
    return { resident, streamed };
  }

  /** The rows found, best bound first. */
  #ranked({ rows, uppers }: Pick<ScanFound, "rows" | "uppers">): Survivor[] {
    const ranked = Array.from(rows, (at, i) => ({ id: this.#idOf(at), upper: uppers[i]! }));
    return ranked.sort((x, y) => (x.upper === y.upper ? 0 : y.upper - x.upper));
  }

  #skip(id: bigint, why: Skip): void {
    this.delete(id);
    this.#skipped.set(id, why);
  }

  #put(id: bigint, code: RowCode | undefined, bytes: Uint8Array): void {
    if (!code) {
      this.#skip(id, "notFinite");
      return;
    }
    this.#skipped.delete(id);
    let at = this.#isLoading ? undefined : this.#find(rowId(id));
    if (at !== undefined && !this.#codes.isWhole(this.#blockOf(at).slots)) {
      // Old codes lie on disk, where they stay.
      this.#erase(at);
      at = undefined;
    }
    at ??= this.#append(id);
    const block = this.#blockOf(at);
    const row = at % this.#codes.capacity;
    const isCoded = this.#codes.write(block.slots, row, code, bytes);
    if (isGone(block, row)) {
      block.gone[row >> 3]! &= ~(1 << (row & 7));
      this.#gone--;
    }
    if (isCoded) return;
    this.#erase(at);
    this.#skipped.set(id, "notFinite");
  }

  /**
   * Reads codes of blocks into slots, and returns them as they were stored.
   *
   * @throws where they are not sound: what the slots then hold must not be looked at
   */
  *#fill(kind: CodeKind, slots: readonly number[], blocks: readonly Block[], read: ReadCodes): Steps<StoredCodes[]> {
    const stored: StoredCodes[] = [];
    for (const { source } of blocks) stored.push(yield* read(source!, kind));
    const saved = blocks.map(({ count: rows }, i) => ({ slot: slots[i]!, rows, bytes: stored[i]!.payload }));
    this.#codes.load(kind, saved).forEach((sum, i) => {
      stored[i]!.check(sum);
    });
    blocks.forEach(({ gone }, i) => {
      this.#eraseGone({ codes: undefined, bits: undefined, [kind]: slots[i]! }, gone);
    });
    return stored;
  }

  #eraseGone(slots: Slots, gone: Uint8Array): void {
    gone.forEach((bits, i) => {
      for (let rest = bits; rest !== 0; rest &= rest - 1)
        this.#codes.erase(slots, i * 8 + (31 - Math.clz32(rest & -rest)));
    });
  }

  #append(id: bigint): number {
    const { capacity } = this.#codes;
    let open = this.#open;
    if (open === undefined || this.#blocks[open]!.count === capacity) {
      const slots = this.#codes.takeAll();
      if (this.#isLoading && this.#segments.length === 0) this.beginSegment();
      open = this.#blocks.length;
      const ids = RowIds.open(capacity);
      this.#idBytes += ids.bytes;
      this.#blocks.push({ ids, count: 0, slots, source: undefined, gone: new Uint8Array((capacity + 7) >> 3) });
      if (this.#isLoading) this.#segments.at(-1)!.to++;
      this.#open = open;
    }
    const block = this.#blocks[open]!;
    const at = open * capacity + block.count;
    block.ids.set(block.count++, id);
    this.#rows++;
    if (!this.#isLoading) this.#later.set(id, at);
    return at;
  }

  #erase(at: number): void {
    const block = this.#blockOf(at);
    const row = at % this.#codes.capacity;
    if (isGone(block, row)) return;
    block.gone[row >> 3]! |= 1 << (row & 7);
    this.#gone++;
    this.#codes.erase(block.slots, row);
  }

  /** The place of a row, or one where it was and is gone from; undefined where it never was. */
  #find(id: RowId): number | undefined {
    let gone: number | undefined;
    for (let i = this.#segments.length - 1; i >= 0; i--) {
      const at = this.#findIn(this.#segments[i]!, id);
      if (at === undefined) continue;
      if (!isGone(this.#blockOf(at), at % this.#codes.capacity)) return at;
      gone ??= at;
    }
    const later = this.#later.size === 0 ? undefined : this.#later.get(BigInt(id));
    return later ?? gone;
  }

  #findIn(segment: Segment, id: RowId): number | undefined {
    if (segment.ranks && typeof id === "number") {
      const nth = segment.ranks.rankOf(id);
      return nth === undefined ? undefined : segment.from * this.#codes.capacity + nth;
    }
    const guessed = typeof id === "number" ? this.#guess(segment, id) : undefined;
    if (guessed !== undefined) return guessed;
    let low = segment.from;
    let high = segment.to;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { ids, count } = this.#blocks[middle]!;
      if (ids.isBelow(count - 1, id)) low = middle + 1;
      else high = middle;
    }
    if (low === segment.to) return undefined;
    const { ids, count } = this.#blocks[low]!;
    const row = ids.bisect(count, id);
    return row < count && ids.is(row, id) ? low * this.#codes.capacity + row : undefined;
  }

  /** The place of a row if it is where it would be were ids evenly spread, as they are where none was deleted. */
  #guess({ from, rows, least, most }: Segment, id: number): number | undefined {
    if (!(id >= least && id <= most)) return undefined;
    const { capacity } = this.#codes;
    const nth = most === least ? 0 : Math.round(((id - least) / (most - least)) * (rows - 1));
    const block = Math.floor(nth / capacity);
    const row = nth - block * capacity;
    return this.#blocks[from + block]!.ids.at(row) === id ? from * capacity + nth : undefined;
  }

  #blockOf(at: number): Block {
    return this.#blocks[Math.floor(at / this.#codes.capacity)]!;
  }

  #idOf(at: number): bigint {
    return this.#blockOf(at).ids.exactly(at % this.#codes.capacity);
  }
}

function isGone({ gone }: Block, row: number): boolean {
  return (gone[row >> 3]! & (1 << (row & 7))) !== 0;
}
