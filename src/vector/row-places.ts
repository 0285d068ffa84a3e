import { countBits } from "./count-bits.ts";
import { IdRanks } from "./id-ranks.ts";
import type { Slots } from "./row-blocks.ts";
import { type RowId, RowIds } from "./row-ids.ts";
import { type Run, Selection } from "./selection.ts";
import type { Skip } from "./skip.ts";
import type { StoredBlock, StoredRows } from "./stored-codes.ts";

/** Rows that follow each other, and where their codes are; with a source those that are not in memory are on disk, without one all are in memory. */
export interface Block extends StoredRows {
  readonly ids: RowIds;
  count: number;
  readonly slots: Slots;
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

/**
 * Where the rows of a column are, by id: a *place* is the number of a block, times the rows a block has room for, and the row in it. Ids are 64-bit
 * integers, all of them, so they stay bigint. Those that come in ascending order, as all of a load do, are found by bisection, which
 * takes no memory; others through a map.
 */
export class RowPlaces {
  /** Rows a block has room for. */
  readonly capacity: number;
  /** Rows that have no codes, and why. */
  readonly skipped = new Map<bigint, Skip>();
  readonly #blocks: Block[] = [];
  readonly #segments: Segment[] = [];
  #isLoading = true;
  #rows = 0;
  #gone = 0;
  #loaded = 0;
  #bytes = 0;
  /** Rows that came after the load, and where the next goes. */
  readonly #later = new Map<bigint, number>();
  #open: number | undefined;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get blocks(): readonly Block[] {
    return this.#blocks;
  }

  /** Rows that have a place, those that are gone from it included. */
  get rows(): number {
    return this.#rows;
  }

  /** Rows that are gone, but keep their place. */
  get gone(): number {
    return this.#gone;
  }

  /** Bytes of all ids. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether so much has come or gone since the load that a new one pays: for the centre, and for the space of the gone. */
  get isWorn(): boolean {
    return this.#rows > this.#loaded * 2 + WEAR_ROWS || this.#gone * 2 > this.#rows + WEAR_ROWS;
  }

  /** Begins blocks whose ids ascend from here on. */
  beginSegment(): void {
    const from = this.#blocks.length;
    this.#segments.push({ from, to: from, rows: 0, least: 0, most: 0, ranks: undefined });
  }

  /** Takes a block from disk, without its codes. */
  addStored({ ids, gone, source }: StoredBlock): void {
    const block: Block = {
      ids: RowIds.fixed(ids),
      count: ids.length,
      slots: { codes: undefined, bits: undefined },
      source,
      gone: gone ?? new Uint8Array((ids.length + 7) >> 3),
    };
    this.#blocks.push(block);
    this.#bytes += block.ids.bytes;
    this.#segments.at(-1)!.to++;
    this.#rows += block.count;
    for (const byte of block.gone) this.#gone += countBits(byte);
  }

  /** Says that the load is over: rows come in any order from now on. */
  finishLoad(): void {
    this.#isLoading = false;
    this.#open = undefined;
    this.#loaded = this.#rows;
    for (const segment of this.#segments) {
      const { from, to } = segment;
      if (from === to) continue;
      const [first, last] = [this.#blocks[from]!, this.#blocks[to - 1]!];
      segment.rows = (to - from - 1) * this.capacity + last.count;
      segment.least = first.ids.at(0);
      segment.most = last.ids.at(last.count - 1);
    }
  }

  /**
   * The place of a row that is new; until `finishLoad` ids ascend.
   *
   * @param takeSlots - room for the codes of one more block
   */
  append(id: bigint, takeSlots: () => Slots): number {
    let open = this.#open;
    if (open === undefined || this.#blocks[open]!.count === this.capacity) {
      const slots = takeSlots();
      if (this.#isLoading && this.#segments.length === 0) this.beginSegment();
      open = this.#blocks.length;
      const ids = RowIds.open(this.capacity);
      this.#bytes += ids.bytes;
      this.#blocks.push({ ids, count: 0, slots, source: undefined, gone: new Uint8Array((this.capacity + 7) >> 3) });
      if (this.#isLoading) this.#segments.at(-1)!.to++;
      this.#open = open;
    }
    const block = this.#blocks[open]!;
    const at = open * this.capacity + block.count;
    block.ids.set(block.count++, id);
    this.#rows++;
    if (!this.#isLoading) this.#later.set(id, at);
    return at;
  }

  /** The place of a row, or one where it was and is gone from; undefined where it never was, and for all until `finishLoad`. */
  find(id: RowId): number | undefined {
    if (this.#isLoading) return undefined;
    let gone: number | undefined;
    for (let i = this.#segments.length - 1; i >= 0; i--) {
      const at = this.#findIn(this.#segments[i]!, id);
      if (at === undefined) continue;
      if (!this.isGone(at)) return at;
      gone ??= at;
    }
    const later = this.#later.size === 0 ? undefined : this.#later.get(BigInt(id));
    return later ?? gone;
  }

  #findIn(segment: Segment, id: RowId): number | undefined {
    if (segment.ranks && typeof id === "number") {
      const nth = segment.ranks.rankOf(id);
      return nth === undefined ? undefined : segment.from * this.capacity + nth;
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
    return row < count && ids.is(row, id) ? low * this.capacity + row : undefined;
  }

  /** The place of a row if it is where it would be were ids evenly spread, as they are where none was deleted. */
  #guess({ from, rows, least, most }: Segment, id: number): number | undefined {
    if (!(id >= least && id <= most)) return undefined;
    const nth = most === least ? 0 : Math.round(((id - least) / (most - least)) * (rows - 1));
    const block = Math.floor(nth / this.capacity);
    const row = nth - block * this.capacity;
    return this.#blocks[from + block]!.ids.at(row) === id ? from * this.capacity + nth : undefined;
  }

  blockOf(at: number): Block {
    return this.#blocks[Math.floor(at / this.capacity)]!;
  }

  idOf(at: number): bigint {
    return this.blockOf(at).ids.exactly(at % this.capacity);
  }

  isGone(at: number): boolean {
    const row = at % this.capacity;
    return (this.blockOf(at).gone[row >> 3]! & (1 << (row & 7))) !== 0;
  }

  /** Notes that a row has gone from its place, or, with false, that it is back. False where that was known. */
  setGone(at: number, isGone = true): boolean {
    if (this.isGone(at) === isGone) return false;
    const row = at % this.capacity;
    this.blockOf(at).gone[row >> 3]! ^= 1 << (row & 7);
    this.#gone += isGone ? 1 : -1;
    return true;
  }

  /** An empty selection of rows, to be searched among. */
  selection(): Selection {
    const find = (id: RowId) => {
      const at = this.find(id);
      if (at !== undefined && !this.isGone(at)) return at;
      return this.skipped.size === 0 ? undefined : this.skipped.get(BigInt(id));
    };
    return new Selection({ capacity: this.capacity, blocks: this.#blocks.length, find, run: this.#run() });
  }

  /** The largest segment, where most ids are found. */
  #run(): Run | undefined {
    let largest: Segment | undefined;
    for (const segment of this.#segments) if (segment.rows > (largest?.rows ?? 0)) largest = segment;
    if (!largest) return undefined;
    const { from, rows, least, most } = largest;
    const isGapless = most - least === rows - 1 && Number.isSafeInteger(least) && Number.isSafeInteger(most);
    if (!isGapless) this.#rank(largest);
    if (!isGapless && !largest.ranks) return undefined;
    return {
      least,
      most,
      at: from * this.capacity,
      ranks: isGapless ? undefined : largest.ranks!,
      isGone: this.#gone === 0 ? undefined : (at) => this.isGone(at),
    };
  }

  #rank(segment: Segment): void {
    if (segment.ranks !== undefined) return;
    const lists = this.#blocks.slice(segment.from, segment.to).map(({ ids, count }) => [ids, count] as const);
    segment.ranks = IdRanks.of(segment, lists) ?? null;
    this.#bytes += segment.ranks?.bytes ?? 0;
  }
}
