import type { Steps } from "../driver/driver.ts";
import { freeBytesSoon } from "../kernel/free-bytes.ts";
import { Scan, type ScanBlock, type ScanFound, type ScanInput } from "../kernel/scan.ts";
import { ScanTeam, type ScanTeamInput } from "../kernel/scan-team.ts";
import type { ScanThread } from "../kernel/scan-threads.ts";
import type { SpaceQuery } from "./code-space.ts";
import { type OneBitSpaceQuery, oneBitQuery } from "./one-bit-space.ts";
import type { CodeKind, RowBlocks } from "./row-blocks.ts";
import type { Block, RowPlaces } from "./row-places.ts";
import type { Selection } from "./selection.ts";
import { fillSlots, READ_BLOCKS, type ReadCodes } from "./stored-codes.ts";

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

/** Searches of the codes of a column, of either kind, wherever they are: in memory, or on disk, from where they are then read. */
export class CodeScans {
  readonly #codes: RowBlocks;
  readonly #places: RowPlaces;

  constructor(codes: RowBlocks, places: RowPlaces) {
    this.#codes = codes;
    this.#places = places;
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
    return oneBitQuery(this.#codes.bits!, this.#codes.space, encoded, factor);
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
        const likely = this.#places.selection();
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
          for (const { payload } of yield* fillSlots(this.#codes, kind, visiting, blocks, read)) freeBytesSoon(payload);
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
    const { capacity } = this.#places;
    const resident: ScanBlock[] = [];
    const streamed: [Block, ScanBlock][] = [];
    this.#places.blocks.forEach((block, n) => {
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
    const ranked: Survivor[] = [];
    for (let i = 0; i < rows.length; i++) ranked.push({ id: this.#places.idOf(rows[i]!), upper: uppers[i]! });
    return ranked.sort((x, y) => (x.upper === y.upper ? 0 : y.upper - x.upper));
  }
}
