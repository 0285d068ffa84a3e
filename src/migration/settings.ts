import { foldName } from "../schema/names.ts";
import type { VectorDefinition } from "./definition.ts";

/** What `tune` has stored for a vector column. */
export interface StoredRecall {
  /** The `recall` of queries that name none, 0.5..1. */
  readonly recall: number;
  /** What was asked of the tuner: a lower `recall` may deliver it. */
  readonly asked: number;
}

/**
 * Reads what is stored for a column in the registry's `settings`: JSON, for each column the lower-cased name
 * `{ recall, asked, for }`. It holds for the vectors it was measured on: a column that has been declared with other dimensions,
 * another element or metric since has nothing stored. Nor has one whose entry somebody has made unreadable: then answers are
 * exact.
 */
export function storedRecallIn(settings: unknown, vector: VectorDefinition): StoredRecall | undefined {
  const { recall, asked, for: measured } = Object(columnsIn(settings)[foldName(vector.column)]);
  const isSound = isRecall(recall) && isRecall(asked) && measured === kindOf(vector);
  return isSound ? { recall, asked } : undefined;
}

/** `settings` with another entry for a column, or without one; null where nothing is left. */
export function settingsWith(
  settings: unknown,
  vector: VectorDefinition,
  stored: StoredRecall | undefined,
): string | null {
  const { [foldName(vector.column)]: _, ...others } = columnsIn(settings);
  const own = stored ? { [foldName(vector.column)]: { ...stored, for: kindOf(vector) } } : {};
  const all = { ...others, ...own };
  return Object.keys(all).length === 0 ? null : JSON.stringify(all);
}

function kindOf({ dimensions, element, metric, exact }: VectorDefinition): string {
  return `${dimensions} ${element} ${metric}${exact ? "" : " 1-bit"}`;
}

function isRecall(value: unknown): value is number {
  return typeof value === "number" && value >= 0.5 && value <= 1;
}

function columnsIn(settings: unknown): Record<string, unknown> {
  if (typeof settings !== "string") return {};
  try {
    const parsed: unknown = JSON.parse(settings);
    return typeof parsed === "object" && parsed !== null && !Array.isArray(parsed) ? { ...parsed } : {};
  } catch {
    return {};
  }
}
