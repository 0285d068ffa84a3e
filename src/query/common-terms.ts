import type { RowsStep } from "../driver/driver.ts";
import { identifier, JSON_EACH } from "../migration/sql-text.ts";
import { namesOf } from "../schema/names.ts";

/** Texts of so few terms are searched as they are, however common their words. */
export const FREE_TERMS = 16;
/**
 * What a longer text may cost: the rows of its terms, times 20 and the number of terms. FTS5 takes 0.35 µs to score a row and
 * 0.018 µs more a term, so that this is below 100 ms, as much as six common words take; 64 of the most frequent words over 100,000
 * passages take 460 ms without a budget (bench/text-search.ts). A quarter of it costs texts as long as an abstract 0.06 of
 * nDCG@10 (bench/README.md).
 */
export const COST_MAX = 5_600_000;
/** The same of a text too long to be read whole: 25 ms. What a megabyte is about, its beginning tells only roughly. */
export const COST_MAX_CUT = 1_400_000;
const ROW_COST = 20;
/** A term's rows are counted up to here; beyond, how far the first of them reach tells how many there are. */
const COUNTED = 1024;
/** So many rows of rarer terms have to be there before one is left out: a page wants to be filled. */
const ROWS_MIN = 4096;

/**
 * The statement that counts the rows of each term.
 *
 * @param terms - right sides of MATCH, one a term
 */
export function countStep(index: string, terms: readonly string[]): RowsStep {
  const { fts } = namesOf(index).tables;
  const table = identifier(fts);
  const first = `select rowid as "_dv_id" from ${table} where ${table} match "_dv_term"."value" order by rowid limit ${COUNTED}`;
  const ids = identifier(`${fts}_docsize`);
  return {
    type: "rows",
    sql: `select (select json_array(count(*), max("_dv_id")) from (${first})), (select min(id) from ${ids}), (select max(id) from ${ids}) from ${JSON_EACH}(?) "_dv_term" order by "_dv_term"."key"`,
    params: [JSON.stringify(terms)],
  };
}

/** About how many rows each term has, from the rows of `countStep`. */
export function rowsOfTerms(counted: readonly (readonly unknown[])[]): number[] {
  return counted.map(([found, least, most]) => {
    const [count, reach] = JSON.parse(String(found)) as [number, number | null];
    if (count < COUNTED || reach === null) return count;
    return (count * (Number(most) - Number(least) + 1)) / (reach - Number(least) + 1);
  });
}

/**
 * The terms that a search can do without: the rarest words say most of what a text is about, and those are taken first, until
 * the rows they have cost as much as they may.
 *
 * @param rows - of each term
 * @param most - what the text may cost
 * @returns the places of those left out
 */
export function tooCommon(rows: readonly number[], most: number): Set<number> {
  const rarestFirst = rows.map((_, at) => at).sort((a, b) => rows[a]! - rows[b]! || a - b);
  let [sum, used] = [0, 0];
  const isTooMuch = (more: number) => sum >= ROWS_MIN && (sum + more) * (ROW_COST + used + 1) > most;
  while (used < rarestFirst.length && !isTooMuch(rows[rarestFirst[used]!]!)) sum += rows[rarestFirst[used++]!]!;
  return new Set(rarestFirst.slice(used));
}
