import { foldName, isSameName, ownerOf } from "../schema/names.ts";
import { failureIn, isRaised, MOMENT_TOKENS, momentOf, type SchemaRow } from "./failures.ts";
import { isWord, tokensOf } from "./sql-text.ts";

/** A trigger of the user on an indexed table that SQLite runs after the write, and before the triggers of the index. */
export interface TriggerInFront {
  readonly name: string;
  /**
   * By what it can stop a statement whose row stays, so that no trigger of the index hears of it: `RAISE(FAIL)`. Undefined where
   * only the user's own statement could bring that about, by an OR FAIL that the trigger's statements inherit.
   */
  readonly stop: string | undefined;
}

/**
 * The triggers of the user that run AFTER a write and in front of an index's on the same kind of write. Of the triggers for one moment SQLite runs the one
 * that was created last first: a connection that creates one puts it in front, and one that opens the database reads them by
 * rowid; VACUUM, ALTER TABLE and dumps keep that order. (Found so with SQLite 3.28, 3.39, 3.40, 3.45, 3.49 and 3.53.)
 *
 * What runs after ours may end in whatever way it likes: the row is known then, and taken back together with what is noted of it.
 *
 * @param schema - sqlite_master by rowid
 * @param own - the names of the index's triggers
 */
export function triggersInFront(schema: readonly SchemaRow[], table: string, own: readonly string[]): TriggerInFront[] {
  const isOwn = new Set(own.map(foldName));
  const waiting = new Set<string>();
  const inFront: TriggerInFront[] = [];
  for (const row of schema) {
    const [type, name, on, sql] = row;
    if (type !== "trigger" || !isSameName(on, table)) continue;
    const { isAfter, event } = momentOf(tokensOf(sql ?? "", MOMENT_TOKENS));
    if (!isAfter) continue;
    if (isOwn.has(foldName(name))) waiting.add(event);
    else if (waiting.has(event) && ownerOf({ type, name }) === undefined) {
      inFront.push({ name, stop: stopOf(row, schema) });
    }
  }
  return inFront;
}

/**
 * By what a trigger ends its statement without taking the row back, or undefined. FAIL ends it from whatever depth of triggers
 * that its statements set off; IGNORE ends the statement that set off the trigger, which is the user's own at the first depth alone.
 */
function stopOf([, , , sql]: SchemaRow, schema: readonly SchemaRow[]): string | undefined {
  const tokens = tokensOf(sql ?? "");
  const ignores = tokens.some((token, i) => isWord(token, "ignore") && isRaised(tokens, i));
  return ignores ? "RAISE(IGNORE)" : failureIn(tokens, schema);
}
