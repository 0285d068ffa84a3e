import type { Row, Step, Steps } from "../driver/driver.ts";
import { IndexDamagedError } from "../errors.ts";

/**
 * Asks FTS5, whose index may be damaged.
 *
 * @throws {IndexDamagedError} in the place of SQLite's own error, where that is about the index
 */
export function* askText(index: string, step: Step): Steps<Row[]> {
  try {
    return yield step;
  } catch (error) {
    throw damageOr(error, index);
  }
}

/** The typed error in the place of SQLite's own, where that is about a damaged text index; else that error. */
export function damageOr(error: unknown, index: string): unknown {
  const { code, message } = Object(error) as { code?: unknown; message?: string };
  const isDamage =
    /CORRUPT/.test(String(code)) ||
    /vtable constructor failed|malformed|fts5: |invalid fts5 file format/.test(message ?? "");
  if (!isDamage) return error;
  return new IndexDamagedError({
    subject: index,
    expected: "a text index that can be read",
    got: message ?? String(code),
    hint: `Run "drizzle-vector rebuild ${index}" or rebuild(db, index): it is filled anew from the table, which is not touched.`,
    cause: error,
  });
}
