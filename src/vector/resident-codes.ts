import { vectorBytes } from "../codec/codec.ts";
import { type CodeKernel, CodeRows, codeKernel } from "../kernel/code-scan.ts";
import type { CodeSpace, SpaceQuery } from "./code-space.ts";

/** Why a row with something in its vector column is not among the codes. */
export type Skip = "wrongLength" | "notFinite" | "notAVector";

/** A row that may be among the nearest, and the most similar that it can be. */
export interface Survivor {
  readonly id: bigint;
  readonly upper: number;
}

export interface CodeSearch {
  readonly query: SpaceQuery;
  readonly k: number;
  readonly maxDistance: number;
  /** Most rows that may survive. */
  readonly most: number;
  /** The rows asked, from `selection`; undefined for all. */
  readonly among: Selection | undefined;
}

/** A small index need not be coded anew each time it doubles. */
const WEAR_ROWS = 1000;

/**
 * The codes of a column's rows by id. Ids are 64-bit integers, all of them, so they stay bigint. Those that come
 * in ascending order, as all of the first load do, are found by bisection, which takes no memory; others through a map.
 */
export class ResidentCodes {
  readonly space: CodeSpace;
  readonly #rows: CodeRows;
  /** The id of each row; the first `#sorted` ascend. */
  #ids = new BigInt64Array(256);
  #sorted = 0;
  #loaded = 0;
  readonly #later = new Map<bigint, number>();
  readonly #gone = new Set<number>();
  readonly #skipped = new Map<bigint, Skip>();

  constructor(space: CodeSpace, kernel: CodeKernel = codeKernel()) {
    this.space = space;
    this.#rows = new CodeRows(space.codeBytes, kernel);
  }

  get kernel(): CodeKernel["kernel"] {
    return this.#rows.kernel;
  }

  /** How many rows can be found. */
  get size(): number {
    return this.#rows.count - this.#gone.size;
  }

  /** Bytes of all codes with their ids. */
  get bytes(): number {
    return this.#rows.count * this.#rows.rowBytes + this.#ids.byteLength;
  }

  /** Bytes of codes that a scan of all rows reads. */
  get scanBytes(): number {
    return this.#rows.count * this.#rows.rowBytes;
  }

  get skipped(): Iterable<Skip> {
    return this.#skipped.values();
  }

  /** Says that the first load is over. */
  finishLoad(): void {
    this.#loaded = this.#rows.count;
  }

  /** Whether so much has come or gone since the first load that a new one pays: for the centre, and for the space of the gone. */
  get isWorn(): boolean {
    const { count } = this.#rows;
    return count > this.#loaded * 2 + WEAR_ROWS || this.#gone.size * 2 > count + WEAR_ROWS;
  }

  /**
   * Codes a row, or codes it anew.
   *
   * @param value - what the vector column holds, not NULL; copied
   * @throws {RangeError} when memory ends
   */
  set(id: bigint, value: unknown): void {
    const code = this.#judge(value);
    if (typeof code === "string") {
      this.delete(id);
      this.#skipped.set(id, code);
      return;
    }
    this.#skipped.delete(id);
    const row = this.#rowOf(id) ?? this.#append(id);
    this.#rows.write(row, code);
    this.#gone.delete(row);
  }

  delete(id: bigint): void {
    this.#skipped.delete(id);
    const row = this.#rowOf(id);
    if (row === undefined) return;
    this.#rows.erase(row);
    this.#gone.add(row);
  }

  /** An empty selection of rows, to be searched among. */
  selection(): Selection {
    return new Selection(this.#rows.count, (id, hint) => {
      const row = this.#ids[hint] === id && hint < this.#rows.count ? hint : this.#rowOf(id);
      if (row !== undefined && !this.#gone.has(row)) return row;
      return this.#skipped.get(id);
    });
  }

  /** The rows that may be among the `k` nearest, best bound first; undefined where they are more than `most`. */
  search({ query, k, maxDistance, most, among }: CodeSearch): Survivor[] | undefined {
    const found = this.#rows.scan({
      query: query.coded,
      k,
      floor: query.floorOf(maxDistance),
      most,
      mask: among?.mask,
    });
    if (!found) return undefined;
    const survivors = Array.from(found.rows, (row, i) => ({ id: this.#ids[row]!, upper: found.uppers[i]! }));
    return survivors.sort((a, b) => (a.upper === b.upper ? 0 : b.upper - a.upper));
  }

  #judge(value: unknown) {
    const bytes = value instanceof ArrayBuffer ? new Uint8Array(value) : value;
    if (!(bytes instanceof Uint8Array)) return "notAVector";
    if (bytes.byteLength !== vectorBytes(this.space.shape)) return "wrongLength";
    return this.space.codeOf(bytes) ?? "notFinite";
  }

  #append(id: bigint): number {
    const row = this.#rows.count;
    if (row === this.#ids.length) {
      const larger = new BigInt64Array(Math.ceil(row * 1.125) + 256);
      larger.set(this.#ids);
      this.#ids = larger;
    }
    this.#ids[row] = id;
    if (this.#sorted === row && (row === 0 || this.#ids[row - 1]! < id)) this.#sorted++;
    else this.#later.set(id, row);
    return row;
  }

  #rowOf(id: bigint): number | undefined {
    let from = 0;
    let to = this.#sorted;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (this.#ids[middle]! < id) from = middle + 1;
      else to = middle;
    }
    return from < this.#sorted && this.#ids[from] === id ? from : this.#later.get(id);
  }
}

/** Some of the coded rows, and a count of those left out of the codes. */
export class Selection {
  readonly mask: Uint8Array;
  readonly skipped: Skip[] = [];
  size = 0;
  #next = 0;
  readonly #find: (id: bigint, hint: number) => number | Skip | undefined;

  constructor(rows: number, find: (id: bigint, hint: number) => number | Skip | undefined) {
    this.mask = new Uint8Array(rows);
    this.#find = find;
  }

  /** False for a row the codes know nothing of. */
  add(id: bigint): boolean {
    const found = this.#find(id, this.#next);
    if (found === undefined) return false;
    if (typeof found === "string") this.skipped.push(found);
    else {
      this.mask[found] = 1;
      this.size++;
      this.#next = found + 1;
    }
    return true;
  }
}
