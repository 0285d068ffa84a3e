/**
 * Ascending row ids. They are 64-bit integers, all of them; but almost all are small enough to be numbers, which are compared, and
 * read out of these arrays, many times as fast.
 */
export class RowIds {
  readonly #all: BigInt64Array;
  readonly #words: Int32Array;
  /** Of safe ids that follow each other without a gap, which are not kept. */
  readonly #first: number | undefined;

  private constructor(ids: BigInt64Array, first?: number) {
    this.#all = ids;
    this.#words = new Int32Array(ids.buffer, ids.byteOffset, ids.length * 2);
    this.#first = first;
  }

  /** Room for ids to come. */
  static open(capacity: number): RowIds {
    return new RowIds(new BigInt64Array(capacity));
  }

  /** Ids that do not change; not copied. */
  static fixed(ids: BigInt64Array): RowIds {
    const [first, last] = [Number(ids[0]), Number(ids.at(-1))];
    const isGapless = Number.isSafeInteger(first) && Number.isSafeInteger(last) && last - first === ids.length - 1;
    return isGapless ? new RowIds(new BigInt64Array(), first) : new RowIds(ids);
  }

  get bytes(): number {
    return this.#all.byteLength;
  }

  set(row: number, id: bigint): void {
    this.#all[row] = id;
  }

  /** The id of a row, rounded where it is not safe: order is kept, and no unsafe id is taken for a safe one. */
  at(row: number): number {
    if (this.#first !== undefined) return this.#first + row;
    return this.#words[2 * row + 1]! * 2 ** 32 + (this.#words[2 * row]! >>> 0);
  }

  exactly(row: number): bigint {
    return this.#first === undefined ? this.#all[row]! : BigInt(this.#first + row);
  }

  /** The first of `count` rows whose id is not smaller. */
  bisect(count: number, id: RowId): number {
    let from = 0;
    let to = count;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (this.isBelow(middle, id)) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  isBelow(row: number, id: RowId): boolean {
    return typeof id === "number" ? this.at(row) < id : this.exactly(row) < id;
  }

  is(row: number, id: RowId): boolean {
    return typeof id === "number" ? this.at(row) === id : this.exactly(row) === id;
  }
}

/** An id: a number where that is safe, else a bigint. */
export type RowId = number | bigint;

/** The id as it is looked for. */
export function rowId(id: bigint): RowId {
  const number = Number(id);
  return Number.isSafeInteger(number) ? number : id;
}
