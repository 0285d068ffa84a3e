import type { Casing } from "../migration/definition.ts";
import type { DbLike } from "./driver.ts";

/**
 * The `casing` that was given to `drizzle()`, or undefined; drizzle-orm 1.0 has none, as its tables know the final names.
 * Drizzle keeps a function in its place, private in 0.x and steady across its releases.
 */
export function casingOf(db: DbLike): Casing | undefined {
  const convert = (db as { dialect?: { casing?: { convert?: (name: string) => string } } }).dialect?.casing?.convert;
  if (typeof convert !== "function") return undefined;
  if (convert("aB") === "a_b") return "snake_case";
  return convert("a_b") === "aB" ? "camelCase" : undefined;
}
