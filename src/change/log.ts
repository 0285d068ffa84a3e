import type { Row, Steps } from "../driver/driver.ts";
import { identifier } from "../migration/sql-text.ts";
import { tableNameOf } from "../schema/names.ts";

/** A row of an index's log: "the row `id` may differ", or with NULL "every row may". The nonce is drawn when it is born. */
export interface LogEntry {
  readonly seq: bigint;
  readonly nonce: bigint;
  readonly id: bigint | null;
}

/**
 * How far a cache has followed the log: its last entries, at least one, the newest at the end. The id of the first does not
 * matter: what it stands for is part of the state before.
 */
export type LogCursor = readonly LogEntry[];

/** What the log says has happened since a cursor. */
export type LogChange =
  | { readonly type: "none" }
  /** These rows may differ, and no others; `cursor` is where the cache stands once they are read again. */
  | { readonly type: "rows"; readonly ids: ReadonlySet<bigint>; readonly cursor: LogCursor }
  /** Nothing that the cache holds can be relied on: all is read again. */
  | {
      readonly type: "all";
      readonly cursor: LogCursor;
      /** Whether the log does not tell what has happened: it was reset, restored, cut or altered. Else there is too much. */
      readonly isUnknown: boolean;
    }
  /** It cannot be followed: it is empty or out of numbers, which it never is by itself, or has no nonces to go by. */
  | { readonly type: "lost"; readonly isCleared: boolean };

const NOTHING: LogChange = { type: "none" };

/**
 * Behind the largest number of all, SQLite takes new ones at random: the newest entry would no longer be the last. No log comes
 * near it by itself.
 */
export const SEQ_MAX = 2n ** 62n;

/** Entries remembered: so many changes can be rolled back, or be missing from an older snapshot, without a full reload. */
const REMEMBERED = 1024;

/** What an index's log is asked, as SQL: made once, since each query asks it for the last. */
export type Log = Record<"last" | "nonce" | "between" | "behind", string>;

/** @param index - its name */
export function logOf(index: string): Log {
  const table = `main.${identifier(tableNameOf(index, "log"))}`;
  return {
    last: `SELECT seq, nonce, random() = random() FROM ${table} ORDER BY seq DESC LIMIT 1`,
    nonce: `SELECT nonce FROM ${table} WHERE seq = ?`,
    between: `SELECT seq, nonce FROM ${table} WHERE seq BETWEEN ? AND ?`,
    behind: `SELECT seq, nonce, id FROM ${table} WHERE seq > ? ORDER BY seq`,
  };
}

/**
 * What has changed since a cursor, in the snapshot the steps see. To be followed by reading the rows named in the same snapshot.
 *
 * The log is a stack: writes append, ROLLBACK, ROLLBACK TO and a restore take from its end, a fold from its beginning. So an
 * entry that is still there with the nonce it had proves that everything before it is the history that was followed. What was
 * remembered behind the last such entry has been undone, or is not yet part of this snapshot: its rows may differ, too.
 * Reading rows twice is harmless, and so the log carries no data. A connection on which somebody has put a constant in the place of
 * SQLite's `random()` draws the same nonce each time: what it writes after a ROLLBACK could not be told from what it wrote before.
 *
 * @param cursor - undefined where nothing has been read yet
 * @param most - with more new entries than this, everything is read again: it is faster
 */
export function* followLog(log: Log, cursor: LogCursor | undefined, most: number): Steps<LogChange> {
  const [last]: Row[] = yield rows(log.last);
  const isCleared = !last || (last[0] as bigint) >= SEQ_MAX;
  if (isCleared || last[2] !== 0n) return { type: "lost", isCleared };
  const known = cursor?.at(-1);
  if (known && last[1] === known.nonce && last[0] === known.seq) return NOTHING;
  const tail: LogEntry = { seq: last[0] as bigint, nonce: last[1] as bigint, id: null };
  const all: LogChange = { type: "all", cursor: [tail], isUnknown: false };
  const unknown: LogChange = { ...all, isUnknown: true };
  if (!cursor) return all;

  const at = yield* lastShared(log, cursor);
  if (at < 0) return unknown;
  const shared = cursor[at]!;
  if (tail.seq - shared.seq > BigInt(most)) return all;
  const found: Row[] = yield rows(log.behind, shared.seq);
  const added = found.map(([seq, nonce, id]) => ({ seq, nonce, id }) as LogEntry);
  // Numbers are given out without a gap: where one is missing, somebody has deleted it.
  if (added.some(({ seq }, i) => seq !== shared.seq + BigInt(i + 1))) return unknown;
  const ids = new Set<bigint>();
  for (const { id } of [...cursor.slice(at + 1), ...added]) {
    // NULL says so; whatever else is no number, somebody has written, and it names no row.
    if (typeof id !== "bigint") return unknown;
    ids.add(id);
  }
  const entries = [...cursor.slice(0, at + 1), ...added];
  return { type: "rows", ids, cursor: entries.length > 2 * REMEMBERED ? entries.slice(-REMEMBERED) : entries };
}

/** The place in the cursor of the last entry that the log still has; -1 where it has none. */
function* lastShared(log: Log, cursor: LogCursor): Steps<number> {
  const newest = cursor.length - 1;
  const [row]: Row[] = yield rows(log.nonce, cursor[newest]!.seq);
  if (row?.[0] === cursor[newest]!.nonce) return newest;
  const present: Row[] = yield rows(log.between, cursor[0]!.seq, cursor[newest]!.seq);
  const nonces = new Map(present.map(([seq, nonce]) => [seq, nonce]));
  let at = newest;
  while (at >= 0 && nonces.get(cursor[at]!.seq) !== cursor[at]!.nonce) at--;
  return at;
}

function rows(sql: string, ...params: bigint[]) {
  return { type: "rows", sql, params } as const;
}
