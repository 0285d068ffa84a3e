import { is, Param, SQL } from "drizzle-orm";
import type { Values } from "./search-query.ts";

/*
 * A search goes by what it was given when it was called. It may run later, on an asynchronous driver in many steps, when the app has filled a
 * vector's buffer anew, moved a date on, or taken the values of a prepared search for the next one.
 */

/** A copy of what an owner may change: a list of numbers, as vectors and bytes are, or a date. Anything else as it is. */
export function copied<T>(value: T): T {
  if (Array.isArray(value)) return value.slice() as T;
  if (value instanceof Date) return new Date(value) as T;
  // Of memory that was given away nothing is left to copy.
  if (!ArrayBuffer.isView(value) || value instanceof DataView || value.byteLength === 0) return value;
  // `slice` of a Buffer is a view, that of typed arrays is none.
  const { slice } = Object.getPrototypeOf(Uint8Array.prototype) as { slice(): unknown };
  return slice.call(value) as T;
}

/** The values of placeholders; without any, null does as well as none. */
export function valuesAsGiven(values: Values | null): Values {
  return Object.fromEntries(Object.entries(values ?? {}).map(([name, value]) => [name, copied(value)]));
}

/** A condition with copies of the values in it; itself where there are none that can change. Subqueries are left as they are. */
export function conditionAsGiven(condition: SQL): SQL {
  return chunkAsGiven(condition) as SQL;
}

function chunkAsGiven(chunk: unknown): unknown {
  if (is(chunk, SQL)) return withOwn(chunk, "queryChunks", chunksAsGiven(chunk.queryChunks));
  if (is(chunk, Param)) return withOwn(chunk, "value", copied(chunk.value));
  // A list that somebody wrote into their SQL is theirs.
  return Array.isArray(chunk) ? chunk.map(chunkAsGiven) : copied(chunk);
}

function chunksAsGiven(chunks: readonly unknown[]): readonly unknown[] {
  const given = chunks.map(chunkAsGiven);
  return given.some((chunk, i) => chunk !== chunks[i]) ? given : chunks;
}

/** The same with another value of a property: decoders and whatever else Drizzle keeps beside it stay. */
function withOwn<T extends object, K extends keyof T>(of: T, name: K, value: unknown): T {
  return value === of[name] ? of : Object.create(of, { [name]: { value } });
}
