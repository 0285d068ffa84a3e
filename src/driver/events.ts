import { describe } from "../codec/codec.ts";
import { InvalidOptionError } from "../errors.ts";
import { type DbLike, type Driver, driverOf } from "./driver.ts";
import { getOrMake } from "./get-or-make.ts";
import { processWide } from "./process-wide.ts";

/** Something a running app should know, as data; never thrown. */
export interface SearchEvent {
  /**
   * Stable. `ROWS_SKIPPED`: stored bytes that are no vector. `FALLBACK`: an index could not be used, the table answered.
   * `CORRUPTION`: what is stored of an index is damaged, the table answered. `FOLD`: changes were written to the index.
   * `FOLD_FAILED`: they could not be; it is tried again.
   */
  code: "ROWS_SKIPPED" | "FALLBACK" | "CORRUPTION" | "FOLD" | "FOLD_FAILED";
  /** The search index it concerns, or null for a bare column. */
  index: string | null;
  message: string;
  hint: string;
  /** How long it took. */
  ms?: number;
}

export interface Configuration {
  /**
   * Called for each event on the thread of the query, on better-sqlite3 as soon as its snapshot is left, so that the database may be
   * written and an index rebuilt from there; an error it throws is the query's error. `FOLD` and `FOLD_FAILED` come between queries,
   * and errors thrown then are dropped.
   */
  onEvent?: ((event: SearchEvent) => void) | undefined;
  /**
   * Most bytes of codes in memory, of all connections of the process together, as a query of this connection sees to it: a
   * whole number from 0 up; default 256 MB. Beyond it codes are read from disk by each query; answers stay exact.
   */
  memoryBudget?: number | undefined;
  /**
   * `auto` (default): queries that find many changes have them written to the index a little later, in slices of at most 10 ms,
   * between the app's own work. `manual`: only `optimize` and `rebuild` write.
   */
  maintenance?: "auto" | "manual" | undefined;
  /**
   * Threads that scan codes where `nearestMany` asks enough for more than one to pay, the app's own included: a whole number from 1
   * up, 1 for that one alone; default as many as the process has cores, 4 at most, and 1 in a worker thread. The others are shared by
   * all connections, started when they are first of use, and end when there has been nothing to do for 10 seconds, or by `release`;
   * they never keep the process alive. They read the codes where they lie; each takes some 10 MB of its own. Answers are the same.
   */
  threads?: number | undefined;
}

const MEMORY_BUDGET_DEFAULT = 256 * 2 ** 20;

const configurations: WeakMap<object, Configuration> = processWide("configurations", () => new WeakMap());

/**
 * Sets what holds for all handles on a database's connection, as long as the connection lives. Options left out stay as
 * they are; `undefined` sets an option back to its default.
 *
 * @throws {InvalidOptionError} for an option that does not exist or has the wrong type
 * @example configure(db, { memoryBudget: 64 * 2 ** 20, onEvent: (event) => console.warn(event.message, event.hint) });
 */
export function configure(db: DbLike, configuration: Configuration): void {
  if (typeof configuration !== "object" || configuration === null) {
    throw new InvalidOptionError({
      subject: "configuration",
      expected: "an object of options of configure",
      got: describe(configuration),
    });
  }
  const { onEvent, memoryBudget, maintenance, threads, ...unknown } = configuration;
  const [name] = Object.keys(unknown);
  if (name !== undefined) {
    const expected = "an option of configure: onEvent, memoryBudget, maintenance or threads";
    throw new InvalidOptionError({ subject: name, expected, got: name });
  }
  if (onEvent !== undefined && typeof onEvent !== "function") {
    throw new InvalidOptionError({ subject: "onEvent", expected: "a function", got: describe(onEvent) });
  }
  if (memoryBudget !== undefined && !(Number.isSafeInteger(memoryBudget) && memoryBudget >= 0)) {
    const expected = "bytes, a whole number from 0 up";
    throw new InvalidOptionError({ subject: "memoryBudget", expected, got: describe(memoryBudget) });
  }
  if (maintenance !== undefined && maintenance !== "auto" && maintenance !== "manual") {
    throw new InvalidOptionError({
      subject: "maintenance",
      expected: '"auto" or "manual"',
      got: describe(maintenance),
    });
  }
  if (threads !== undefined && !(Number.isSafeInteger(threads) && threads >= 1)) {
    throw new InvalidOptionError({
      subject: "threads",
      expected: "a whole number from 1 up",
      got: describe(threads),
    });
  }
  const { connection } = driverOf(db);
  configurations.set(connection, { ...configurations.get(connection), ...configuration });
}

export function memoryBudgetOf(connection: object): number {
  return configurations.get(connection)?.memoryBudget ?? MEMORY_BUDGET_DEFAULT;
}

export function maintenanceOf(connection: object): "auto" | "manual" {
  return configurations.get(connection)?.maintenance ?? "auto";
}

/** Undefined where the app has not said. */
export function threadsOf(connection: object): number | undefined {
  return configurations.get(connection)?.threads;
}

/** Events of searches that are under way. */
const waiting = new WeakMap<object, SearchEvent[]>();

export function report(connection: object, event: SearchEvent): void {
  const events = waiting.get(connection);
  if (events) events.push(event);
  else configurations.get(connection)?.onEvent?.(event);
}

/**
 * Searches, and tells of events when that is over: what an app then does to its rows must not come in the middle of a search, and
 * finds no transaction of ours. An asynchronous driver has other connections for it.
 */
export function tellingAfter<T>({ connection, kind }: Driver, search: () => T): T {
  if (kind === "async" || waiting.has(connection)) return search();
  const events: SearchEvent[] = [];
  waiting.set(connection, events);
  let send = reportQuietly;
  try {
    const found = search();
    send = report;
    return found;
  } finally {
    waiting.delete(connection);
    for (const event of events) send(connection, event);
  }
}

/** The same on a timer, where nobody could catch what `onEvent` throws. */
export function reportQuietly(connection: object, event: SearchEvent): void {
  try {
    report(connection, event);
  } catch {
    // Its own affair.
  }
}

/** Messages each connection has had: a state that lasts is told once. */
const told = new WeakMap<object, Set<string>>();

/** Reports a lasting state once a connection. */
export function reportOnce(connection: object, event: SearchEvent, send = report): void {
  const messages = getOrMake(told, connection, () => new Set());
  if (messages.has(event.message)) return;
  messages.add(event.message);
  send(connection, event);
}
