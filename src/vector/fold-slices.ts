import { isHiddenNow } from "../change/attachment.ts";
import type { Row, Step, Steps } from "../driver/driver.ts";
import { LOG_TAIL } from "../migration/log-triggers.ts";
import { identifier } from "../migration/sql-text.ts";
import { tableNameOf } from "../schema/names.ts";
import { CHUNK_FORMAT, ChunkDamage } from "./chunk.ts";
import { Generations, type LogPlace } from "./generation.ts";
import type { BreathingSteps, IndexedColumn } from "./indexed-column.ts";

/** What it takes to write a chunk of 1 MB and to commit it. */
export const CHUNK_MS = 4;
/** What it takes to read a model of 2 MB, or to make the space of one. */
export const MODEL_MS = 4;

/** What a fold yields at the end of a slice. */
export const PAUSE = Symbol("the end of a slice");
export type Work<T> = Generator<Step | typeof PAUSE, T, any>;

/** Another history has taken the place of the one the fold was made from. */
export class FoldLost extends Error {}

/** A newer version of the library has written what would be overwritten. */
export class FoldNewer extends Error {}

/** Rows of the log read at once. */
const LOG_ROWS = 512n;
/** Rows of the log deleted at once. */
const TRIM_ROWS = 500n;

/** @throws what is no damage, and FoldNewer where it is a newer version's work */
export function damageOf(error: unknown): ChunkDamage {
  if (!(error instanceof ChunkDamage)) throw error;
  if (error.isNewer) throw new FoldNewer();
  return error;
}

/** The pauses of a fold, and what has to be as it was after each. */
export class Slices {
  readonly column: IndexedColumn;
  readonly generations: Generations;
  readonly #sliceMs: number;
  readonly #log: string;
  /** How many slices have ended. */
  number = 0;
  /** Whether the slice that is under way, or the next, writes. Others read, and need no lock. */
  isWriting = true;
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

  /**
   * The end of the log at the beginning of the fold. A log that somebody has cleared begins again with a row that says that
   * every row may differ, so that there is something to follow.
   */
  *begin(): Work<LogPlace> {
    this.#end = performance.now() + this.#sliceMs;
    if (!(yield* this.#isSameSchema())) throw new FoldLost();
    this.head = yield* this.generations.head();
    if (this.head && this.head.format > CHUNK_FORMAT) throw new FoldNewer();
    let base = yield* this.#endOfLog();
    if (!base) {
      yield { type: "rows", sql: `INSERT INTO ${this.#log} (id) VALUES (NULL)`, params: [] };
      base = (yield* this.#endOfLog())!;
    }
    this.#seen = base;
    return base;
  }

  /** Pauses if it is time. */
  *breathe(): Work<void> {
    if (this.isOver) yield* this.pause();
  }

  /** Makes sure that what comes next fits into the slice: where less is left of it, it has one of its own. */
  *reserve(ms: number, isWriting = false): Work<void> {
    if (performance.now() + ms > this.#end || (isWriting && !this.isWriting)) yield* this.pause(isWriting);
    this.#end -= ms;
  }

  /** The same of what is written, and its COMMIT: such a slice holds the lock. */
  *lock(ms = 0): Work<void> {
    yield* this.reserve(ms, true);
  }

  /** Does work with pauses where it may be left. */
  *breathing<T>(work: BreathingSteps<T>): Work<T> {
    let next = work.next();
    while (!next.done) {
      let answer: unknown;
      if (next.value) answer = yield next.value;
      else yield* this.breathe();
      next = work.next(answer);
    }
    return next.value;
  }

  *pause(isWriting = false): Work<void> {
    this.isWriting = isWriting;
    yield PAUSE;
    this.number++;
    this.#end = performance.now() + this.#sliceMs;
    if (!(yield* this.#isSameSchema())) throw new FoldLost();
    const head = yield* this.generations.head();
    const isSame = (yield* this.hasLog(this.#seen!)) && head?.generation === this.head?.generation;
    if (!isSame) throw new FoldLost();
    this.#seen = yield* this.#endOfLog();
  }

  /** Whether everything up to a row of the log is the history it was. */
  *hasLog({ seq, nonce }: LogPlace): Steps<boolean> {
    const [row]: Row[] = yield { type: "rows", sql: `SELECT nonce FROM ${this.#log} WHERE seq = ?`, params: [seq] };
    return row?.[0] === nonce;
  }

  /** Up to `LOG_ROWS` rows of the log behind one. */
  *logBehind(seq: bigint, to: bigint): Steps<readonly Row[]> {
    const sql = `SELECT seq, id FROM ${this.#log} WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ${LOG_ROWS}`;
    return yield { type: "rows", sql, params: [seq, to] };
  }

  /** Deletes what no reader of the current generation needs of the log. */
  *trim(): Work<void> {
    for (;;) {
      yield* this.lock();
      const base = yield* this.generations.trimBase();
      if (base === undefined) return;
      const [row]: Row[] = yield { type: "rows", sql: `SELECT min(seq) FROM ${this.#log}`, params: [] };
      const first = row?.[0];
      const end = base - BigInt(LOG_TAIL);
      if (typeof first !== "bigint" || first >= end) return;
      const to = first + TRIM_ROWS < end ? first + TRIM_ROWS : end;
      yield { type: "rows", sql: `DELETE FROM ${this.#log} WHERE seq < ?`, params: [to] };
    }
  }

  *#endOfLog(): Steps<LogPlace | undefined> {
    const sql = `SELECT seq, nonce FROM ${this.#log} ORDER BY seq DESC LIMIT 1`;
    const [row]: Row[] = yield { type: "rows", sql, params: [] };
    return row && { seq: row[0] as bigint, nonce: row[1] as bigint };
  }

  /** Whether the tables are those that were found, and no temporary one has come to stand in the place of one of them. */
  *#isSameSchema(): Steps<boolean> {
    const { attachment, table } = this.column;
    const [row]: Row[] = yield { type: "rows", sql: "PRAGMA schema_version", params: [] };
    if (String(row?.[0]) !== attachment.schemaVersion) return false;
    return !(yield* isHiddenNow(table.name));
  }
}
