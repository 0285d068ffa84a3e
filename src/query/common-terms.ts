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
/** Rows that have the rarest trigram of a term are looked into for all of them, 0.05 to 0.09 µs each, whether they have the term or not. */
const TRIGRAM_COST = 5;
/** A term's rows are counted up to here; beyond, how far the first of them reach tells how many there are. */
const COUNTED = 1024;
/** The same of trigrams, which are three times as many. */
export const TRIGRAMS_COUNTED = 128;
/** So many rows of rarer terms have to be there before one is left out: a page wants to be filled. */
const ROWS_MIN = 4096;

/**
 * The statement that counts the rows of each term.
 *
 * @param terms - right sides of MATCH, one a term
 * @param most - rows of each that are counted
 */
export function countStep(index: string, terms: readonly string[], most = COUNTED): RowsStep {
  const { fts } = namesOf(index).tables;
  const table = identifier(fts);
  const first = `select rowid as "_dv_id" from ${table} where ${table} match "_dv_term"."value" order by rowid limit ${most}`;
  const ids = identifier(`${fts}_docsize`);
  return {
    type: "rows",
    sql: `select (select json_array(count(*), max("_dv_id")) from (${first})), (select min(id) from ${ids}), (select max(id) from ${ids}) from ${JSON_EACH}(?) "_dv_term" order by "_dv_term"."key"`,
    params: [JSON.stringify(terms)],
  };
}

/** About how many rows each term has, from the rows of `countStep` with the same `most`. */
export function rowsOfTerms(counted: readonly (readonly unknown[])[], most = COUNTED): number[] {
  return counted.map(([found, first, last]) => {
    const [count, reach] = JSON.parse(String(found)) as [number, number | null];
    if (count < most || reach === null) return count;
    return (count * (Number(last) - Number(first) + 1)) / (reach - Number(first) + 1);
  });
}

/**
 * Trigrams of a term, of which the rarest tells how many rows are looked into: its first, middle and last. To count the rows of the term itself
 * takes as long as to search for it.
 */
export function trigramSample(term: string): string[] {
  const characters = [...term];
  const last = Math.max(0, characters.length - 3);
  return [...new Set([0, last >> 1, last])].map((at) => characters.slice(at, at + 3).join(""));
}

/**
 * What looking into rows costs for a term of a trigram index, in the unit of `COST_MAX`.
 *
 * @param rows - of its rarest trigram
 */
export function trigramsCost(term: string, rows: number): number {
  return rows * Math.max(1, [...term].length - 2) * TRIGRAM_COST;
}

/**
 * The terms that a search can do without: the rarest words say most of what a text is about, and those are taken first, until
 * the rows they have cost as much as they may.
 *
 * @param rows - of each term, at most
 * @param most - what the text may cost
 * @param finding - what it costs to find the rows of each, beside scoring them
 * @returns the places of those left out
 */
export function tooCommon(rows: readonly number[], most: number, finding = rows.map(() => 0)): Set<number> {
  const rarestFirst = rows.map((_, at) => at).sort((a, b) => rows[a]! - rows[b]! || a - b);
  let [sum, found, used] = [0, 0, 0];
  for (; used < rarestFirst.length; used++) {
    const at = rarestFirst[used]!;
    const cost = (sum + rows[at]!) * (ROW_COST + used + 1) + found + finding[at]!;
    if (sum >= ROWS_MIN && cost > most) break;
    sum += rows[at]!;
    found += finding[at]!;
  }
  return new Set(rarestFirst.slice(used));
}
