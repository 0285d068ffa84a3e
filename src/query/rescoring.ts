import { vectorBytes } from "../codec/codec.ts";
import type { Row, Steps } from "../driver/driver.ts";
import { type Scorer, scorerFor } from "../kernel/kernel.ts";
import { identityOf } from "../migration/identity.ts";
import { identifier, JSON_EACH } from "../migration/sql-text.ts";
import type { Survivor } from "../vector/code-scans.ts";
import type { IndexedColumn } from "../vector/indexed-column.ts";
import type { NearestRequest } from "./nearest-request.ts";
import { type Candidate, NearestRows } from "./nearest-rows.ts";

/** The codes say something else than the table, which they never should. */
export class CodesContradicted extends Error {}

export interface RescoringInput {
  readonly request: NearestRequest;
  /** From `vectorsSql`. */
  readonly sql: string;
  /** The query as the column stores it. */
  readonly encoded: Uint8Array;
  readonly bounds: Bounds;
  readonly k: number;
}

/** What the upper bounds of rows mean. */
export interface Bounds {
  /** Whether they are proven. Otherwise they are likely, and a row may well lie nearer. */
  readonly isProven: boolean;
  /** A bound that rows whose distance is at most this reach: surely, or likely enough. */
  floorOf(distance: number): number;
}

/**
 * The statement that reads vectors of a column by our ids, a JSON array, in its order: id and vector, and behind them the key where
 * that is not the id. SQLite takes the tables of a CROSS JOIN as they stand.
 *
 * @param keys - the parts of the key, by their names in the database
 */
export function vectorsSql({ definition, table, column }: IndexedColumn, keys: readonly string[]): string {
  const { id, rows, map } = identityOf(definition, table);
  const parts = map ? keys.map((name) => `r.${identifier(name)}`) : [];
  const selected = [id, `r.${identifier(column)}`, ...parts].join(", ");
  return `SELECT ${selected} FROM ${JSON_EACH}(?) AS j CROSS JOIN ${rows} WHERE ${id} = j.value`;
}

/** Survivors whose vectors are read by one statement. */
export const BATCH_ROWS = 256;

/** Reads the vectors of rows that their codes leave in doubt, scores them by the reference and keeps the `k` nearest. */
export class Rescoring {
  readonly sql: string;
  rescored = 0;
  readonly #nearest: NearestRows;
  readonly #scorer: Scorer;
  readonly #bounds: Bounds;
  readonly #bytes: number;

  private constructor({ request, sql, encoded, bounds }: RescoringInput, nearest: NearestRows) {
    this.sql = sql;
    this.#nearest = nearest;
    this.#scorer = scorerFor({ shape: request.shape, metric: request.metric, query: encoded });
    this.#bounds = bounds;
    this.#bytes = vectorBytes(request.shape);
  }

  static *begin(input: RescoringInput): Steps<Rescoring> {
    const { request, k } = input;
    return new Rescoring(input, new NearestRows(k, request.maxDistance, yield* request.collations()));
  }

  get bytesRead(): number {
    return this.rescored * this.#bytes;
  }

  /** Rows that are surely less similar than this cannot be among the nearest any more; only ever rises. */
  get floor(): number {
    return this.#bounds.floorOf(this.#nearest.bound);
  }

  get isFull(): boolean {
    return this.#nearest.isFull;
  }

  sorted(): Candidate[] {
    return this.#nearest.sorted();
  }

  /**
   * Scores rows, of which each has a vector.
   *
   * @throws {CodesContradicted} when one has none, or lies nearer than its code says: then the code is that of another
   * vector, or the proof is wrong
   */
  *score(survivors: readonly Survivor[]): Steps<void> {
    if (survivors.length === 0) return;
    const rows: Row[] = yield { type: "rows", sql: this.sql, params: [`[${survivors.map(({ id }) => id).join(",")}]`] };
    this.rescored += rows.length;
    const blobs = rows.map((row) => row[1]);
    const isWhole = (blob: unknown): blob is Uint8Array =>
      blob instanceof Uint8Array && blob.byteLength === this.#bytes;
    if (rows.length !== survivors.length || !blobs.every(isWhole)) {
      throw new CodesContradicted("a coded row has no vector");
    }
    const { capacity } = this.#scorer;
    for (let from = 0; from < rows.length; from += capacity) {
      const distances = this.#scorer.score(blobs.slice(from, from + capacity));
      for (let at = 0; at < distances.length; at++) {
        const row = rows[from + at]!;
        const id = row[0] as bigint;
        const distance = distances[at]!;
        const isWithin = !this.#bounds.isProven || upperOf(survivors, from + at, id) >= this.#bounds.floorOf(distance);
        if (!Number.isFinite(distance) || !isWithin)
          throw new CodesContradicted("a row lies nearer than its code says");
        if (distance <= this.#nearest.bound) this.#nearest.offer(distance, row.length > 2 ? row.slice(2) : [id]);
      }
    }
  }
}

/** Rows come in the order in which they are asked for, as far as SQLite's promises go in practice: looked for where they do not. */
function upperOf(survivors: readonly Survivor[], at: number, id: bigint): number {
  const { upper } = survivors[at]!.id === id ? survivors[at]! : survivors.find((survivor) => survivor.id === id)!;
  return upper;
}
