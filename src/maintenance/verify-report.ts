import type { Problem } from "../migration/problems.ts";

/** Something in which an index and its table disagree. */
export interface VerifyProblem {
  /**
   * Stable. Those of tables and triggers (`OBJECT_MISSING`, `OBJECT_DIFFERS`, `OBJECT_FOREIGN`, `TABLE_MISSING`, `TABLE_HIDDEN`,
   * `COLUMN_MISSING`, `KEY_DIFFERS`, `RECORD_DAMAGED`, `TRIGGER_IN_FRONT`, `CASCADE_FAILS`), and:
   *
   * | code | meaning |
   * | --- | --- |
   * | `TEXT_PENDING` | the text is not filled yet; rows that are missing are not counted |
   * | `DECLARATION_DIFFERS` | the code declares another index than the database records |
   * | `ROW_NOT_INDEXED` | rows whose text is not in the index |
   * | `NOT_A_ROW` | text in the index that belongs to no row |
   * | `TEXT_DIFFERS` | rows that the index has another text of |
   * | `TEXT_DAMAGED` | FTS5 finds its index damaged |
   * | `ROW_WITHOUT_ID` | rows that the key map does not have |
   * | `ID_WITHOUT_ROW` | entries of the key map that belong to no row |
   * | `KEY_NULL` | rows that cannot be indexed, because a part of their primary key is NULL |
   * | `LOG_LOST` | the log of changed vectors was emptied, cut or altered: changes may have gone by unseen |
   * | `ROW_WITHOUT_CODE` | rows with a vector that the codes of their column know nothing of: `nearest` does not find them |
   * | `CODE_DIFFERS` | rows whose codes are those of other vectors: `nearest` may not find them |
   * | `CODE_WITHOUT_ROW` | rows that the codes know of and the table does not have, or without a vector |
   * | `HEAD_MISSING` | a vector column without its row in the table of generations |
   * | `RECALL_LOW` | approximate search finds less than is asked for, by more than 0.01 and more than chance explains |
   */
  code: Exclude<Problem["code"], "NOT_RECORDED" | "FORMAT_NEWER"> | Finding;
  /** A sentence without a full stop. */
  message: string;
  /** How many rows or entries, where they are counted. */
  count?: number;
  /** The primary key of the first of them; an array where it has several parts, undefined where nothing tells it any more. */
  key?: unknown;
}

type Finding =
  | "TEXT_PENDING"
  | "DECLARATION_DIFFERS"
  | "ROW_NOT_INDEXED"
  | "NOT_A_ROW"
  | "TEXT_DIFFERS"
  | "TEXT_DAMAGED"
  | "ROW_WITHOUT_ID"
  | "ID_WITHOUT_ROW"
  | "KEY_NULL"
  | "LOG_LOST"
  | "ROW_WITHOUT_CODE"
  | "CODE_DIFFERS"
  | "CODE_WITHOUT_ROW"
  | "HEAD_MISSING"
  | "RECALL_LOW";

/** What was found so far; several findings of one kind become one problem. */
export class VerifyReport {
  rows = 0;
  indexed = 0;
  readonly #problems = new Map<string, VerifyProblem>();

  add(problem: VerifyProblem): void {
    this.#problems.set(`${problem.code} ${problem.message}`, problem);
  }

  count(code: Finding, message: string, count: number, key: unknown): void {
    if (count === 0) return;
    const known = this.#problems.get(`${code} ${message}`);
    if (known) known.count = known.count! + count;
    else this.#problems.set(`${code} ${message}`, { code, message, count, ...(key === undefined ? {} : { key }) });
  }

  problems(): VerifyProblem[] {
    return [...this.#problems.values()];
  }
}
