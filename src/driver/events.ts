import { describe } from "../codec/codec.ts";
import { InvalidOptionError } from "../errors.ts";
import { type DbLike, driverOf } from "./driver.ts";
import { processWide } from "./process-wide.ts";

/** Something a running app should know, as data; never thrown. */
export interface SearchEvent {
  /** Stable. `ROWS_SKIPPED`: stored bytes that are no vector. `FALLBACK`: an index could not be used, the table answered. */
  code: "ROWS_SKIPPED" | "FALLBACK";
  /** The search index it concerns, or null for a bare column. */
  index: string | null;
  message: string;
  hint: string;
}

export interface Configuration {
  /** Called at once, on the thread of the query, for each event; an error it throws is the query's error. */
  onEvent?: ((event: SearchEvent) => void) | undefined;
}

const configurations: WeakMap<object, Configuration> = processWide("configurations", () => new WeakMap());

/**
 * Sets what holds for all handles on a database's connection, as long as the connection lives. Options left out stay as
 * they are.
 *
 * @throws {InvalidOptionError} for an option that does not exist or has the wrong type
 * @example configure(db, { onEvent: (event) => console.warn(event.message, event.hint) });
 */
export function configure(db: DbLike, configuration: Configuration): void {
  if (typeof configuration !== "object" || configuration === null) {
    throw new InvalidOptionError({
      subject: "configuration",
      expected: "an object of options of configure",
      got: describe(configuration),
    });
  }
  const { onEvent, ...unknown } = configuration;
  const [name] = Object.keys(unknown);
  if (name !== undefined) {
    throw new InvalidOptionError({ subject: name, expected: "an option of configure: onEvent", got: name });
  }
  if (onEvent !== undefined && typeof onEvent !== "function") {
    throw new InvalidOptionError({ subject: "onEvent", expected: "a function", got: describe(onEvent) });
  }
  const { connection } = driverOf(db);
  configurations.set(connection, { ...configurations.get(connection), ...configuration });
}

export function report(connection: object, event: SearchEvent): void {
  configurations.get(connection)?.onEvent?.(event);
}

/** Messages each connection has had: a state that lasts is told once. */
const told = new WeakMap<object, Set<string>>();

/** Reports a lasting state once a connection. */
export function reportOnce(connection: object, event: SearchEvent): void {
  const messages = told.get(connection) ?? new Set();
  told.set(connection, messages);
  if (messages.has(event.message)) return;
  messages.add(event.message);
  report(connection, event);
}
