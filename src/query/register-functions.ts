import { codecOf, type Element, isSameBytes } from "../codec/codec.ts";
import { type DbLike, driverOf } from "../driver/driver.ts";
import { UnsupportedDriverError } from "../errors.ts";
import { type Scorer, scorerFor } from "../kernel/kernel.ts";
import type { Metric } from "../metric/metric.ts";
import { DISTANCE_FUNCTIONS } from "./distance.ts";

/**
 * Registers the SQL functions behind `distance()` on the database's connection: `vector_distance_cos`, `_l2`, `_dot` and
 * `_hamming`, each of two blobs of one length and, for elements other than `float32`, the element's name. NULL for NULL, for blobs
 * of different lengths and for vectors that are not finite. They live as long as the connection; calling this again does no harm.
 *
 * @throws {UnsupportedDriverError} on libSQL, whose client cannot register functions
 */
export function registerFunctions(db: DbLike): void {
  const driver = driverOf(db);
  if (!driver.defineFunction) {
    throw new UnsupportedDriverError({
      subject: "registerFunctions",
      expected: "a driver that can register SQL functions: better-sqlite3",
      got: driver.name,
      hint: "libSQL has vector_distance_cos and vector_distance_l2 of its own, in float32, for float32 columns.",
    });
  }
  for (const [metric, name] of Object.entries(DISTANCE_FUNCTIONS)) {
    driver.defineFunction(name, distanceFunction(metric as Metric));
  }
}

/** Most statements compare every row with one query: the scorer of the last one is kept. */
function distanceFunction(metric: Metric) {
  let last: { query: Uint8Array; element: Element; scorer: Scorer } | undefined;

  return (row: unknown, query: unknown, given?: unknown): number | null => {
    if (!(row instanceof Uint8Array) || !(query instanceof Uint8Array)) return null;
    const element = elementOf(metric, given);
    const dimensions = dimensionsIn(query, element);
    if (row.byteLength !== query.byteLength || dimensions === 0 || !Number.isInteger(dimensions)) return null;
    if (last?.element !== element || !isSameBytes(last.query, query)) {
      const copy = Uint8Array.from(query);
      last = { query: copy, element, scorer: scorerFor({ shape: { element, dimensions }, metric, query: copy }) };
    }
    const [distance] = last.scorer.score([row]);
    return Number.isFinite(distance) ? distance! : null;
  };
}

function elementOf(metric: Metric, given: unknown): Element {
  if (metric === "hamming") return "bit";
  return given === "float16" || given === "int8" ? given : "float32";
}

function dimensionsIn(bytes: Uint8Array, element: Element): number {
  return bytes.byteLength / codecOf(element).bytes(1);
}
