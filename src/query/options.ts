import { is, Placeholder, SQL, sql } from "drizzle-orm";
import { describe } from "../codec/codec.ts";
import { InvalidOptionError } from "../errors.ts";
import { conditionAsGiven } from "./as-given.ts";
import type { Values } from "./search-query.ts";

export const LIMIT_DEFAULT = 10;

/** What an object of known names is called where it is refused. */
interface Naming {
  readonly subject: string;
  /** What the whole has to be. */
  readonly expected: string;
  /** What each of its names is. */
  readonly member: string;
}

/**
 * A caller's options as a plain object of known names. Keys that are smuggled in are ignored.
 *
 * @param of - the helper whose options they are, or what else the object is
 * @throws {InvalidOptionError} for an option that does not exist: a misspelt one must not go unnoticed
 */
export function knownOptions<T extends object>(
  options: unknown,
  of: string | Naming,
  names: readonly (keyof T & string)[],
): T {
  const known = Object.create(null) as T;
  if (options === undefined) return known;
  const { subject, expected, member } = typeof of === "string" ? optionsOf(of) : of;
  if (typeof options !== "object" || options === null) {
    throw new InvalidOptionError({ subject, expected, got: describe(options) });
  }
  for (const name of Object.keys(options)) {
    if (isSmuggled(name)) continue;
    if (!(names as readonly string[]).includes(name)) {
      throw new InvalidOptionError({
        subject: name,
        expected: `${member}: ${names.join(", ")}`,
        got: name,
      });
    }
    (known as Record<string, unknown>)[name] = (options as Record<string, unknown>)[name];
  }
  return known;
}

/** Whether a key is one that JSON may bring along and nobody has meant. */
export function isSmuggled(key: string): boolean {
  return key === "__proto__" || key === "constructor" || key === "prototype";
}

function optionsOf(helper: string): Naming {
  return { subject: "options", expected: `an object of options of ${helper}`, member: `an option of ${helper}` };
}

/**
 * A whole number from 0 up; `fallback` where the option is left out. What is beyond all that counts exactly means as much as that:
 * SQLite takes nothing from 2 ** 63 up.
 */
export function wholeNumber(value: unknown, subject: string, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0)
    return Math.min(value, Number.MAX_SAFE_INTEGER);
  throw new InvalidOptionError({ subject, expected: "a whole number, 0 or larger", got: describe(value) });
}

/** True or false; false where the option is left out. */
export function flag(value: unknown, subject: string): boolean {
  if (value === undefined || typeof value === "boolean") return value ?? false;
  throw new InvalidOptionError({ subject, expected: "true or false", got: describe(value) });
}

/** A number within a range; `fallback` where the option is left out. */
export function numberWithin(value: unknown, subject: string, min: number, max: number, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value === "number" && value >= min && value <= max) return value;
  const range =
    max === Number.POSITIVE_INFINITY ? (min === Number.NEGATIVE_INFINITY ? "" : ` from ${min} up`) : ` ${min}..${max}`;
  throw new InvalidOptionError({ subject, expected: `a number${range}`, got: describe(value) });
}

/**
 * A Drizzle condition, or undefined: `and(...)` of nothing is undefined, and means no condition. In parentheses: Drizzle 0.x puts none
 * around SQL as somebody wrote it, and an OR in it would let in rows that another condition beside it leaves out.
 */
export function condition(value: unknown): SQL | undefined {
  if (value === undefined) return undefined;
  if (is(value, SQL)) return sql`(${conditionAsGiven(value)})`;
  throw new InvalidOptionError({
    subject: "where",
    expected: "a Drizzle condition, such as eq(docs.course, 'ml')",
    got: describe(value),
  });
}

export function isPlaceholder(value: unknown): value is Placeholder {
  return is(value, Placeholder);
}

/** @throws {InvalidOptionError} when a prepared search is run without it, or a search with placeholders as it is */
export function placeholderValue({ name }: Placeholder, values: Values): unknown {
  if (Object.hasOwn(values, name)) return values[name];
  throw new InvalidOptionError({
    subject: `sql.placeholder("${name}")`,
    expected: "a value",
    got: "none",
    hint: `Call .prepare(), and give the value to what you call on that, as in .all({ ${name}: … }). A search with placeholders cannot be frozen by .as().`,
  });
}
