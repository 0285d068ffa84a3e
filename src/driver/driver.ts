import { entityKind } from "drizzle-orm";
import { describe } from "../codec/codec.ts";
import { UnsupportedDriverError } from "../errors.ts";
import { betterSqlite3 } from "./better-sqlite3.ts";
import { libsql } from "./libsql.ts";

/** The part of a Drizzle database or transaction the library uses; true of both lines and of every SQLite driver. */
export interface DbLike {
  all(query: any): any;
  get(query: any): any;
  run(query: any): any;
  select(fields?: any): any;
}

/** What selects are built with: a database, a transaction, or the handle of a driver. */
export type Selecting = Pick<DbLike, "select">;

export type Kind = "sync" | "async";

/** Whether a database answers at once or with promises. */
export type KindOf<TDb extends DbLike> = ReturnType<TDb["all"]> extends PromiseLike<unknown> ? "async" : "sync";

/** What a call on a database of this kind returns. */
export type Result<TKind extends Kind, T> = TKind extends "sync" ? T : Promise<T>;

/** A select that Drizzle can turn into SQL. */
export interface BuiltSelect {
  toSQL(): { sql: string; params: unknown[] };
}

/** A Drizzle select builder, as far as it is used here. */
export interface SelectBuilder extends BuiltSelect {
  prepare(): PreparedSelect;
}

/** A select that Drizzle has built once, to be run with values for its placeholders. */
export interface PreparedSelect {
  all(values?: Record<string, unknown>): any;
}

/** A row as the driver gives it, in the order of the selection; integers as bigint, blobs as bytes. */
export type Row = readonly unknown[];

/** Where a page of a scan begins: behind this row's key, or at the start. */
export interface Page {
  readonly after: Row | undefined;
  readonly rows: number;
}

/** All rows of a select over the user's table, in batches; nothing is mapped by Drizzle. */
export interface ScanStep {
  readonly type: "scan";
  /** Builds the select. Given a page, it selects only that page, in key order. */
  build(db: Selecting, page?: Page): SelectBuilder;
  /** Values of the placeholders in the select. */
  readonly values: Record<string, unknown>;
  readonly batchRows: number;
  /** Called with 1..`batchRows` rows, in any order of the table; keeps nothing but what it copies. */
  onRows(rows: readonly Row[]): void;
}

/** A select that Drizzle runs, maps and logs. */
export interface SelectStep {
  readonly type: "select";
  prepare(db: Selecting): PreparedSelect;
  readonly values: Record<string, unknown>;
}

/** A select over the user's table whose rows are given as the driver gives them; logged. */
export interface QueryStep {
  readonly type: "query";
  build(db: Selecting): BuiltSelect;
  readonly values: Record<string, unknown>;
}

/** A statement of our own, not logged; gives all rows, none where it returns none. */
export interface RowsStep {
  readonly type: "rows";
  readonly sql: string;
  readonly params: readonly unknown[];
}

/** A statement of our own whose rows are too many to hold at once; not logged. */
export interface StreamStep {
  readonly type: "stream";
  readonly sql: string;
  readonly params: readonly unknown[];
  readonly batchRows: number;
  /** Called with 1..`batchRows` rows, in order; keeps nothing but what it copies. */
  onRows(rows: readonly Row[]): void;
}

export type Step = ScanStep | SelectStep | QueryStep | RowsStep | StreamStep;

/** Work on a database, written once for drivers that answer at once and drivers that answer with promises. */
export type Steps<T> = Generator<Step, T, any>;

/** The state of the database that steps see. */
export interface Snapshot {
  /** Whether it is that of a transaction of the caller's, which may yet be rolled back. */
  readonly isShared: boolean;
}

/** What the library needs from a database. One file a driver. */
export interface Driver<TKind extends Kind = Kind> {
  readonly name: string;
  readonly kind: TKind;
  /** The driver's own connection: two handles on one connection share what hangs on it. */
  readonly connection: object;
  /** Builds selects that run on this connection, or in this transaction, alone. */
  readonly handle: Selecting;
  /**
   * Runs all steps in one read snapshot: the transaction that is open, or one of its own that is over when this returns.
   * Never takes a write lock.
   */
  run<T>(steps: (snapshot: Snapshot) => Steps<T>): Result<TKind, T>;
  /** The same for steps that leave nothing behind: where the driver has no snapshot, and something is written meanwhile, they are run again. */
  search<T>(steps: (snapshot: Snapshot) => Steps<T>): Result<TKind, T>;
  /**
   * Runs all steps in one write transaction: one of its own that begins with the lock, or a savepoint of the one that is open.
   * On an error nothing of them stays.
   *
   * @throws {ReadOnlyError} when the database cannot be written
   */
  write<T>(steps: (snapshot: Snapshot) => Steps<T>): Result<TKind, T>;
  /**
   * Runs one statement as it is, in no transaction of ours: for what SQLite refuses inside of one.
   *
   * @throws {ReadOnlyError} when the database cannot be written
   */
  bare(sql: string): Result<TKind, readonly Row[]>;
  /**
   * Runs all steps in one write transaction of its own, if it can begin without waiting for a lock: neither while the app has
   * a transaction or a statement open on the connection, nor while another connection writes. Undefined where the driver
   * cannot. The COMMIT does not move a write-ahead log into the file, which can take longer than all else: see `checkpoint`.
   *
   * @returns what the steps returned; `busy` where they have not begun and may later; `closed`; or `readonly`, and nothing of
   * them stays
   * @throws what they throw, and what SQLite does where it cannot write; nothing of them stays
   */
  readonly tryWrite?: <T>(steps: () => Steps<T>) => { readonly value: T } | "busy" | "closed" | "readonly";
  /**
   * Moves what a write-ahead log holds into the file, as far as that can be done without waiting, unless the app has turned
   * SQLite's own checkpoints off. Undefined where `tryWrite` is.
   */
  readonly checkpoint?: () => void;
  /** Makes an SQL function; undefined where the driver cannot. */
  readonly defineFunction?: (name: string, call: (...args: any[]) => unknown) => void;
}

/** Drizzle's session behind a database or transaction; private to it in both lines, and steady across them. */
export interface Session {
  readonly client: any;
  readonly logger?: { logQuery(sql: string, params: unknown[]): void };
  readonly tx?: unknown;
}

/**
 * The driver behind a Drizzle database or transaction.
 *
 * @throws {UnsupportedDriverError} for anything else, naming it and what works
 */
export function driverOf(db: DbLike): Driver {
  const session = (db as { session?: Session } | null | undefined)?.session;
  const known = session && drivers.get(session);
  if (known) return known;
  const driver = newDriver(db, session);
  drivers.set(session!, driver);
  return driver;
}

/** The drivers of sessions that have one. */
const drivers = new WeakMap<Session, Driver>();

function newDriver(db: DbLike, session: Session | undefined): Driver {
  const kind = (session?.constructor as { [entityKind]?: string } | undefined)?.[entityKind];
  if (session && kind === "BetterSQLiteSession" && isAlive(session, "prepare"))
    return betterSqlite3(handlesLike(db), session);
  if (session && kind === "LibSQLSession" && isAlive(session, "execute")) return libsql(handlesLike(db), session);
  throw new UnsupportedDriverError({
    subject: "db",
    expected: "a Drizzle database or transaction on better-sqlite3 or libSQL",
    got: kind === undefined ? describe(db) : isOurs(kind) ? "one on an object that is no open client" : kind,
    hint: isOurs(kind)
      ? "A client that was posted to a worker thread is an empty object there: open one in each thread."
      : 'Use drizzle() of "drizzle-orm/better-sqlite3" or "drizzle-orm/libsql".',
  });
}

/**
 * Makes handles that select on a session. What is given as a database may be no more than a way to one: a proxy for that of the request
 * under way, which may be over when the search runs, or `withReplicas` of Drizzle 0.x, which selects from any of several. So it is asked
 * for a builder once, and all others are made like it.
 */
function handlesLike(db: DbLike): (session: Session) => Selecting & { readonly dialect: unknown } {
  const builder: object = db.select();
  const { dialect } = db as unknown as { dialect: unknown };
  return (session) => ({
    dialect,
    select(fields?: unknown) {
      return Object.assign(Object.create(Object.getPrototypeOf(builder)), builder, { fields, session, dialect });
    },
  });
}

function isOurs(kind: string | undefined): boolean {
  return kind === "BetterSQLiteSession" || kind === "LibSQLSession";
}

function isAlive({ client }: Session, method: string): boolean {
  return typeof client?.[method] === "function";
}
