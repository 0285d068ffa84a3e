import { PREFIX } from "./schema/names.ts";

/**
 * What to write under `tablesFilter` in `drizzle.config.ts`, so that push and pull leave the tables of the library alone. A
 * filter that only names what it wants (`"docs"`, `["app_*"]`) hides our tables already and is returned as it is: drizzle-kit
 * reads a negation beside it as "and everything else".
 *
 * @param patterns - the filter you have, if any
 * @example tablesFilter: searchTablesFilter() // ["!_dv_*"]
 * @example tablesFilter: searchTablesFilter(["!tmp_*"]) // ["!tmp_*", "!_dv_*"]
 */
export function searchTablesFilter(): string[];
export function searchTablesFilter<TPatterns extends string | readonly string[]>(
  patterns: TPatterns,
): TPatterns | string[];
export function searchTablesFilter(patterns: string | readonly string[] = []): string | readonly string[] {
  const list = typeof patterns === "string" ? [patterns] : patterns;
  const isOpen = list.length === 0 || list.some((pattern) => pattern.startsWith("!") || pattern === "*");
  return isOpen ? [...list, `!${PREFIX}*`] : patterns;
}
