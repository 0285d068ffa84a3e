import { vectorBytes } from "../codec/codec.ts";
import type { Row, Steps } from "../driver/driver.ts";
import { FIRST_ID, type Identity, identityOf, LAST_ID } from "../migration/identity.ts";
import { identifier, JSON_EACH } from "../migration/sql-text.ts";
import type { BreathingSteps, IndexedColumn } from "./indexed-column.ts";

/** Rows of one statement: a batch of large vectors stays below some megabytes. */
export const BATCH_ROWS = 256;

/** What has to be known of a column to read its vectors. */
type ReadColumn = Pick<IndexedColumn, "definition" | "table" | "column" | "shape">;
/** Ids of one statement that reads no vectors. */
const ID_PAGE_ROWS = 256;
/** Rows that one statement counts, or gives the ids of: each page of the table is read for it. */
const COUNTED_ROWS = 2048;
/** Vectors of a sample that one statement reads, and their bytes. */
const SAMPLE_PAGE_ROWS = 64;
const SAMPLE_PAGE_BYTES = 1 << 18;
/** A sample that is nearly as large as wanted will do. */
const SAMPLE_ENOUGH = 3 / 4;
/** Rows that are met, as a multiple of those wanted, before a sample is left small: where most have no value. */
const SAMPLE_MET = 8;

/** Ids between which rows may lie, both included. */
type Gap = readonly [from: bigint, to: bigint];

/** The statements that read a column's vectors by our ids. */
export class ColumnReader {
  readonly #column: ReadColumn;
  readonly #identity: Identity;
  readonly #vector: string;

  constructor(column: ReadColumn) {
    this.#column = column;
    this.#identity = identityOf(column.definition, column.table);
    this.#vector = `r.${identifier(column.column)}`;
  }

  /** Hands over id and value of every row that has one, by ascending id. */
  *all(onRows: (rows: readonly Row[]) => void): Steps<void> {
    const { id, rows } = this.#identity;
    const sql = `SELECT ${id}, ${this.#vector} FROM ${rows} WHERE ${this.#vector} IS NOT NULL ORDER BY ${id}`;
    yield { type: "stream", sql, params: [], batchRows: BATCH_ROWS, onRows };
  }

  /** Hands over the id of every row that has one, ascending. */
  *ids(onIds: (ids: readonly bigint[]) => void): Steps<void> {
    const { id, rows } = this.#identity;
    const sql = `SELECT ${id} FROM ${rows} WHERE ${this.#vector} IS NOT NULL ORDER BY ${id}`;
    const onRows = (found: readonly Row[]) => onIds(found.map(([own]) => own as bigint));
    yield { type: "stream", sql, params: [], batchRows: COUNTED_ROWS, onRows };
  }

  /** Id and value of those of up to a few hundred rows that have one, in any order. */
  *some(ids: readonly bigint[]): Steps<readonly Row[]> {
    const { id, rows } = this.#identity;
    const sql = `SELECT ${id}, ${this.#vector} FROM ${rows} WHERE ${id} IN (SELECT value FROM ${JSON_EACH}(?)) AND ${this.#vector} IS NOT NULL`;
    return yield { type: "rows", sql, params: [`[${ids.join(",")}]`] };
  }

  /** The next ids behind one, ascending, whether or not the rows have a value. */
  *idsFrom(least: bigint, most: number): Steps<bigint[]> {
    const { id, ids } = this.#identity;
    const sql = `SELECT ${id} FROM ${ids} WHERE ${id} >= ? ORDER BY ${id} LIMIT ${most}`;
    const rows: Row[] = yield { type: "rows", sql, params: [least] };
    return rows.map(([row]) => row as bigint);
  }

  /** As `idsFrom`, with the values of the rows; undefined where ids are not those of the table, and are better read by themselves. */
  *rowsFrom(least: bigint, most: number): Steps<readonly Row[] | undefined> {
    const { id, rows, map } = this.#identity;
    if (map) return undefined;
    const sql = `SELECT ${id}, ${this.#vector} FROM ${rows} WHERE ${id} >= ? ORDER BY ${id} LIMIT ${most}`;
    return yield { type: "rows", sql, params: [least] };
  }

  /**
   * Vectors from all over the table, no row twice: `count` of them, or those of all rows where they are fewer. Of a small table
   * every so many rows; of a larger one those at places all over the ids. Where a few ids lie far from all others, and most of
   * those places lead to the same rows, what lies between the rows found is looked through again: so it takes some thousand
   * look-ups, whatever the size of the table and its ids, and the same rows give the same sample.
   */
  *sample(count: number): BreathingSteps<Uint8Array[]> {
    const ids = (yield* this.#few(2 * count)) ?? (yield* this.#spread(count));
    const chosen = ids.length <= count ? ids : everySoMany(ids, count);
    const bytes = vectorBytes(this.#column.shape);
    const page = Math.max(1, Math.min(SAMPLE_PAGE_ROWS, Math.floor(SAMPLE_PAGE_BYTES / bytes)));
    const vectors: Uint8Array[] = [];
    for (let i = 0; i < chosen.length; i += page) {
      for (const [, value] of yield* this.some(chosen.slice(i, i + page))) {
        const vector = value instanceof ArrayBuffer ? new Uint8Array(value) : value;
        if (vector instanceof Uint8Array && vector.byteLength === bytes) vectors.push(vector);
      }
      yield;
    }
    return vectors;
  }

  /** The ids of all rows with a value, ascending; undefined where there are more than `most` rows. */
  *#few(most: number): BreathingSteps<bigint[] | undefined> {
    const found: bigint[] = [];
    let rows = 0;
    for (let least = FIRST_ID; ; ) {
      const ids = yield* this.idsFrom(least, ID_PAGE_ROWS);
      rows += ids.length;
      if (rows > most) return undefined;
      found.push(...(yield* this.#withValue(ids)));
      yield;
      if (ids.length < ID_PAGE_ROWS || ids.at(-1) === LAST_ID) return found;
      least = ids.at(-1)! + 1n;
    }
  }

  /** Ids of rows with a value from all over a large table, ascending. */
  *#spread(count: number): BreathingSteps<bigint[]> {
    const found: bigint[] = [];
    let rows = 0;
    let gaps = yield* this.#range();
    // Where a round meets few rows, what it leaves to look through is shorter by as much.
    while (gaps.length > 0 && found.length < count * SAMPLE_ENOUGH && rows < count * SAMPLE_MET) {
      const left: Gap[] = [];
      const places = placesIn(gaps, count);
      for (let i = 0; i < places.length; i += ID_PAGE_ROWS) {
        const page = places.slice(i, i + ID_PAGE_ROWS);
        const met: bigint[] = [];
        for (const [n, first] of (yield* this.#firstFrom(page)).entries()) {
          const [, to] = page[n]!;
          // Nothing lies before the row that was found; what lies behind it is not known.
          if (first === null || first > to) continue;
          met.push(first);
          if (first < to) left.push([first + 1n, to]);
        }
        found.push(...(yield* this.#withValue(met)));
        rows += met.length;
        yield;
      }
      gaps = left;
    }
    return [...BigInt64Array.from(found).sort()];
  }

  /** Where rows may lie: from the least id to the largest. */
  *#range(): Steps<Gap[]> {
    const { id, ids } = this.#identity;
    const sql = `SELECT (SELECT min(${id}) FROM ${ids}), (SELECT max(${id}) FROM ${ids})`;
    const [row]: Row[] = yield { type: "rows", sql, params: [] };
    const [low, high] = row as [bigint | null, bigint | null];
    return low === null || high === null ? [] : [[low, high]];
  }

  /** For each place the first id from there on, wherever that is; NULL behind the last. */
  *#firstFrom(places: readonly Gap[]): Steps<(bigint | null)[]> {
    const { id, ids } = this.#identity;
    const sql = `SELECT (SELECT ${id} FROM ${ids} WHERE ${id} >= p.value ORDER BY ${id} LIMIT 1) FROM ${JSON_EACH}(?) AS p ORDER BY p.key`;
    const rows: Row[] = yield { type: "rows", sql, params: [`[${places.map(([from]) => from).join(",")}]`] };
    return rows.map(([first]) => first as bigint | null);
  }

  /** Those of the ids whose rows have a value. */
  *#withValue(wanted: readonly bigint[]): Steps<bigint[]> {
    const { id, rows } = this.#identity;
    const sql = `SELECT ${id} FROM ${rows} WHERE ${id} IN (SELECT value FROM ${JSON_EACH}(?)) AND ${this.#vector} IS NOT NULL ORDER BY ${id}`;
    const found: Row[] = yield { type: "rows", sql, params: [`[${wanted.join(",")}]`] };
    return found.map(([row]) => row as bigint);
  }

  /** Whether the map of keys and ids has every row; a table whose key is the id needs none. */
  *hasAllIds(): Steps<boolean> {
    const { map } = this.#identity;
    if (!map) return true;
    const rows: Row[] = yield { type: "rows", sql: `SELECT 1 FROM ${map.unmapped} LIMIT 1`, params: [] };
    return rows.length === 0;
  }

  /** Rows of the table. */
  *count(): BreathingSteps<number> {
    const { id, ids } = this.#identity;
    const page = `SELECT ${id} AS id FROM ${ids} WHERE ${id} >= ? ORDER BY ${id} LIMIT ${COUNTED_ROWS}`;
    const sql = `SELECT count(*), max(id) FROM (${page})`;
    let rows = 0;
    for (let least = FIRST_ID; ; ) {
      const [row]: Row[] = yield { type: "rows", sql, params: [least] };
      const [count, last] = row as [bigint, bigint | null];
      rows += Number(count);
      if (Number(count) < COUNTED_ROWS || last === LAST_ID) return rows;
      least = last! + 1n;
      yield;
    }
  }
}

/** A number 0..1 for each place, spread evenly and of no period: rows that alternate, as two languages do, are all met. */
const turn = (n: number) => (n * 0.6180339887498949) % 1;

/** About `count` places that fill gaps, at distances that vary about one mean, and where what belongs to each ends. */
function placesIn(gaps: readonly Gap[], count: number): Gap[] {
  const length = gaps.reduce((sum, [from, to]) => sum + (to - from + 1n), 0n);
  const distance = length / BigInt(count) + 1n;
  return gaps.flatMap(([from, to]) => {
    const startOf = (n: number) =>
      from + BigInt(n) * distance + ((BigInt(Math.floor(turn(n) * 2 ** 32)) * distance) >> 32n);
    const places: Gap[] = [];
    for (let n = 1, at = from; at <= to; n++) {
      const next = startOf(n);
      places.push([at, next <= to ? next - 1n : to]);
      at = next;
    }
    return places;
  });
}

/** `count` of at least as many, one from each of as many equal parts. */
function everySoMany<T>(all: readonly T[], count: number): T[] {
  const startOf = (i: number) => Math.floor((i * all.length) / count);
  return Array.from({ length: count }, (_, i) => {
    const start = startOf(i);
    return all[start + Math.floor(turn(i + 1) * (startOf(i + 1) - start))]!;
  });
}
