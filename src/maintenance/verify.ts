import { type DbLike, driverOf } from "../driver/driver.ts";
import { wholeNumber } from "../query/options.ts";
import { checkKeysAndText, checkStructure, compareCodes, compareSlice, countIds } from "./comparison.ts";
import { type DeliveredRecall, deliveredRecalls, isTooLow } from "./delivered-recall.ts";
import { inSlices, type LongWorkOptions, longWorkOptions } from "./slices.ts";
import { type IndexOrName, targetOf } from "./target.ts";
import { type VerifyProblem, VerifyReport } from "./verify-report.ts";

export interface VerifyOptions extends LongWorkOptions {
  /**
   * How many rows approximate search is measured with, for each vector column: a whole number, 0 for none; default 100, and 20 for a
   * column with `exact: false`, whose exact answers need the whole table.
   */
  recallQueries?: number;
}

export interface VerifyResult {
  index: string;
  /** Whether there are no problems: every row is in the index as it is in the table, and nothing else. */
  ok: boolean;
  problems: VerifyProblem[];
  /** Rows of the table, as far as they could be gone through. */
  rows: number;
  /** Texts in the index; null for an index without text. */
  indexed: number | null;
  /** What approximate search finds now, for each vector column; empty where it was not to be measured, or on libSQL. */
  recall: DeliveredRecall[];
  ms: number;
}

/**
 * Compares a search index with its table, both ways: every row has its text in the index and nothing in the index is without a
 * row, the key map has every row and no other, the codes of vectors are of the rows there are and of the vectors these have, tables
 * and triggers are as the record says, and FTS5's own check finds nothing.
 * `rebuild` heals whatever it reports, but `KEY_NULL`, `DECLARATION_DIFFERS`, `CASCADE_FAILS`, `TABLE_HIDDEN` and what the table itself lacks.
 *
 * Where it has vectors, queries with a recall below 1 are compared with exact ones, for rows drawn as `tune` draws them: for the
 * stored recall of the column, else for 0.95. The recall is reported, and a problem where it is more than 0.01 below what was asked.
 *
 * Reads only, so it works on a read-only database. Rows are compared in slices of about 20 ms, each in one snapshot, so that
 * writes in between are no problems; of a vector column with codes for exact answers every vector is read, once (about 20 µs for 384
 * dimensions). FTS5's check (about 10 µs a text of 60 words), that of the key map (2 µs a row) and that of
 * coded rows (1 µs a row, once codes are in memory) are one step each: for so long they keep the event loop of a synchronous driver.
 *
 * SQL: `SELECT … FROM "docs" AS r LEFT JOIN "_dv_docs_search_fts_content" AS f ON f.id = r."id" WHERE r."id" BETWEEN … AND …`,
 * `PRAGMA integrity_check("_dv_docs_search_fts")`
 *
 * @param index - a declaration or a name
 * @throws {IndexMissingError} when the database does not record the index
 * @throws {IndexFormatError} when a newer version of the library made it
 * @throws {InvalidOptionError | UnsupportedDriverError}
 * @example const { ok, problems } = await verify(db, docsSearch);
 */
export async function verify(db: DbLike, index: IndexOrName, options?: VerifyOptions): Promise<VerifyResult> {
  const start = performance.now();
  const { onProgress, signal, recallQueries } = longWorkOptions<VerifyOptions>(options, "verify", [
    "recallQueries",
    "onProgress",
    "signal",
  ]);
  const count = recallQueries === undefined ? undefined : wholeNumber(recallQueries, "recallQueries", 0);
  const driver = driverOf(db);
  const target = targetOf(db, index);
  const report = new VerifyReport();
  signal?.throwIfAborted();
  const hasText = await driver.run(() => checkStructure(target, report));
  const total = onProgress ? await driver.run(() => countIds(target)) : 0;

  await inSlices(signal, async (from, limit) => {
    const sliceStart = performance.now();
    const next = await driver.run(() => compareSlice(target, from, limit, report));
    const ms = performance.now() - sliceStart;
    onProgress?.({ done: report.rows, total: Math.max(report.rows, total) });
    return { next, ms };
  });
  signal?.throwIfAborted();
  await driver.run(() => checkKeysAndText(target, report));
  await compareCodes({ driver, target, report, signal });
  signal?.throwIfAborted();
  const recall = await deliveredRecalls({ driver, target, count, signal });
  for (const delivered of recall) if (isTooLow(delivered)) report.add(recallProblem(delivered));
  const problems = report.problems();
  return {
    index: target.name,
    ok: problems.length === 0,
    problems,
    rows: report.rows,
    indexed: hasText ? report.indexed : null,
    recall,
    ms: performance.now() - start,
  };
}

function recallProblem({ column, asked, measured }: DeliveredRecall): VerifyProblem {
  const message = `approximate search on column ${column} finds ${measured!.toFixed(3)} of the true nearest rows where ${asked} is asked for`;
  return { code: "RECALL_LOW", message };
}
