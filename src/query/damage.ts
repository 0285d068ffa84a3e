import type { Row, Step, Steps } from "../driver/driver.ts";
import { IndexDamagedError, IndexFormatError, IndexMissingError } from "../errors.ts";
import type { IndexDefinition } from "../migration/definition.ts";
import { parseDefinition } from "../migration/installed.ts";

/**
 * Runs a step over a text index. What FTS5 says of its own damage becomes a typed error that names the repair; any other
 * error, one in the caller's condition for example, stays as it is.
 *
 * @throws {IndexDamagedError}
 */
export function* readingText(index: string, step: Step): Steps<Row[]> {
  try {
    return (yield step) as Row[];
  } catch (error) {
    const { code, message = "" } = Object(error) as { code?: unknown; message?: string };
    const isDamage = String(code).startsWith("SQLITE_CORRUPT") || /\bfts5\b|\b_dv_/.test(message);
    if (!isDamage) throw error;
    throw new IndexDamagedError({
      subject: index,
      expected: "a text index that FTS5 can read",
      got: message,
      hint: `Run "drizzle-vector rebuild ${index}", or rebuild(db, index): the text is filled anew from the table.`,
      cause: error,
    });
  }
}

/**
 * The definition in an index's row of the registry, which may have been deleted or overwritten since it was last looked at.
 *
 * @param row - `definition, pending, hash`
 * @throws {IndexMissingError | IndexFormatError}
 */
export function recordedDefinition(index: string, row: Row | undefined): IndexDefinition {
  const hint = "Call ensureSearchIndexes with the declaration, which records it anew.";
  if (!row) throw new IndexMissingError({ subject: index, expected: "its row in the registry", got: "none", hint });
  const definition = parseDefinition(String(row[0]), String(row[2]));
  if (definition) return definition;
  throw new IndexFormatError({ subject: index, expected: "a definition that can be read", got: "a damaged one", hint });
}
