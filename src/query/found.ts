import type { Scorer } from "../kernel/kernel.ts";
import type { NearestExplain } from "./nearest.ts";
import type { Candidate } from "./nearest-rows.ts";

/** Rows with something in their vector column that cannot be compared. */
export interface RowsSkipped {
  /** Blobs of another length than the column's vectors. */
  wrongLength: number;
  /** NaN or an infinity among the numbers. */
  notFinite: number;
  /** Something else than a blob, such as text. */
  notAVector: number;
}

/** What a plan found, and how. */
export interface Found {
  plan: NearestExplain["plan"];
  /** From `offset` on, nearest first. */
  candidates: readonly Candidate[];
  kernel: Scorer["kernel"];
  /** The statement that reads vectors. */
  sql: string;
  rowsScanned: number;
  rowsInDoubt: number;
  rowsRescored: number;
  rowsSkipped: RowsSkipped;
  bytesRead: number;
  ms: { catchUp: number; scan: number; score: number };
}

/** Why a plan gives no answer. */
export interface Refusal {
  readonly refusal: string;
  /** Whether the codes contradict the table, which they never should. */
  readonly isFault?: boolean;
  /** Whether what is stored of the codes is damaged or of a newer format; that has been told. */
  readonly isDamage?: boolean;
}
