import type { Row, Steps } from "../driver/driver.ts";
import { identifier } from "../migration/sql-text.ts";
import { namesOf } from "../schema/names.ts";

/** The table FTS5 keeps its copy of the text in, `(id, c0, …, cn)`: read as it is, it answers even where the index is damaged. */
export function contentOf(index: string): string {
  return identifier(`${namesOf(index).tables.fts}_content`);
}

/**
 * FTS5's own check of a text index against its copy of the text: what is wrong, or undefined. It reads only, also in a
 * read-only database, where FTS5's command `integrity-check` would be a write. One statement, which reads the whole index.
 *
 * A read of the table goes before: where another connection has committed since this one last read the text, FTS5 up to SQLite
 * 3.53 checks against what it remembers of the older state, and reports damage where there is none. Opening a cursor makes
 * it forget.
 *
 * SQL: `PRAGMA integrity_check("_dv_docs_search_fts")`, which asks FTS5 from SQLite 3.44 on.
 */
export function* textDamage(index: string): Steps<string | undefined> {
  const fts = identifier(namesOf(index).tables.fts);
  let rows: Row[];
  try {
    yield { type: "rows", sql: `SELECT rowid FROM ${fts} LIMIT 1`, params: [] };
    rows = yield { type: "rows", sql: `PRAGMA integrity_check(${fts})`, params: [] };
  } catch (error) {
    // Without its configuration the virtual table cannot even be opened.
    return damageIn(error);
  }
  const messages = rows.map(([message]) => String(message)).filter((message) => message !== "ok");
  return messages.length === 0 ? undefined : messages.join("; ");
}

/** What a driver's error says of damage; an error of another kind, a busy database for one, is thrown again. */
export function damageIn(error: unknown): string {
  const { code, message } = Object(error) as { code?: unknown; message?: string };
  if (typeof code === "string" && /^SQLITE_(ERROR|CORRUPT)/.test(code)) return message ?? code;
  throw error;
}
