import type { Casing } from "../migration/definition.ts";
import type { Selecting } from "./driver.ts";

/** `casing` of a Drizzle 0.x database, told by what its dialect makes of a name; undefined where names stay, as on 1.0. */
export function casingOf(db: Selecting): Casing | undefined {
  const { dialect } = db as unknown as { dialect?: { casing?: { convert?: (name: string) => string } } };
  const convert = dialect?.casing?.convert;
  if (typeof convert !== "function") return undefined;
  if (convert("aB") === "a_b") return "snake_case";
  return convert("a_b") === "aB" ? "camelCase" : undefined;
}
