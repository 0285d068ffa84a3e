import { foldName, isSameName, ownerOf } from "../schema/names.ts";
import { closing, isSign, isWord, nameIn, type Token, tokensOf } from "./sql-text.ts";

/** A row of sqlite_master. */
export type SchemaRow = readonly [type: string, name: string, table: string, sql: string | null];

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
 * The triggers of the user that run AFTER a write and in front of an index's. Of the triggers for one moment SQLite runs the one
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
  const triggers = schema.filter(([type, , on]) => type === "trigger" && isSameName(on, table));
  const oldest = triggers.findIndex(([, name]) => isOwn.has(foldName(name)));
  if (oldest < 0) return [];
  return triggers
    .slice(oldest)
    .filter(
      (row) => ownerOf({ type: "trigger", name: row[1] }) === undefined && momentOf(tokensOf(row[3] ?? "")).isAfter,
    )
    .map((row) => ({ name: row[1], stop: stopOf(row, schema) }));
}

/** A foreign key whose action can stop the statement that sets it off, when the row it refers to has changed already. */
export interface FailingCascade {
  readonly child: string;
  readonly stop: string;
}

/**
 * The foreign keys to a table whose actions may end in a failure that keeps its row. SQLite carries them out before any trigger
 * AFTER the write, so that the order of triggers is no help.
 */
export function failingCascades(schema: readonly SchemaRow[], table: string): FailingCascade[] {
  // An action heeds no conflict clause of the table it changes; triggers there do as they say.
  const triggers = schema.filter(([type]) => type === "trigger");
  return schema.flatMap(([type, child, , sql]) => {
    if (type !== "table" || sql === null || !/references/i.test(sql)) return [];
    const events = actionsIn(tokensOf(sql), table);
    const stop = events.map((event) => failureOn({ table: child, event }, triggers, new Set())).find(Boolean);
    return stop === undefined ? [] : { child, stop };
  });
}

/** What the foreign keys in a CREATE TABLE do to its rows when those of the table they refer to go or move. */
function actionsIn(tokens: readonly Token[], table: string): Event[] {
  return tokens.flatMap((token, i) => {
    const parent = tokens[i + 1];
    if (!isWord(token, "references") || !parent || !isSameName(nameIn(parent) ?? "", table)) return [];
    const start = isSign(tokens[i + 2], "(") ? closing(tokens, i + 2) : i + 2;
    const end = tokens.findIndex((one, at) => at >= start && (isSign(one, ",") || isWord(one, "references")));
    const clause = tokens.slice(start, end < 0 ? undefined : end);
    return clause.flatMap((one, at): Event[] => {
      if (!isWord(one, "on")) return [];
      const isDeleting = isWord(clause[at + 1], "delete") && isWord(clause[at + 2], "cascade");
      const isActing = isWord(clause[at + 2], "cascade") || isWord(clause[at + 2], "set");
      return isDeleting ? ["delete"] : isActing ? ["update"] : [];
    });
  });
}

/** What a trigger runs at. Left out, the time is BEFORE; a trigger may be called `after`. */
function momentOf(tokens: readonly Token[]): { isAfter: boolean; event: Token | undefined } {
  const name = tokens.findIndex((token) => isWord(token, "trigger")) + 1;
  const first = isWord(tokens[name], "if") && isWord(tokens[name + 1], "not") ? name + 3 : name;
  const time = first + (isSign(tokens[first + 1], ".") ? 3 : 1);
  const isAfter = isWord(tokens[time], "after");
  const words = isWord(tokens[time], "instead") ? 2 : isAfter || isWord(tokens[time], "before") ? 1 : 0;
  return { isAfter, event: tokens[time + words] };
}

/**
 * By what a trigger ends its statement without taking the row back, or undefined. FAIL ends it from whatever depth of triggers
 * that its statements set off; IGNORE ends the statement that set off the trigger, which is the user's own at the first depth alone.
 */
function stopOf([, , , sql]: SchemaRow, schema: readonly SchemaRow[]): string | undefined {
  const tokens = tokensOf(sql ?? "");
  const ignores = tokens.some((token, i) => isWord(token, "ignore") && isRaise(tokens, i));
  return ignores ? "RAISE(IGNORE)" : failureOf(tokens, schema, new Set());
}

function failureOf(tokens: readonly Token[], schema: readonly SchemaRow[], known: Set<string>): string | undefined {
  for (const [i, token] of tokens.entries()) {
    if (!isWord(token, "fail")) continue;
    if (isRaise(tokens, i)) return "RAISE(FAIL)";
    if (isWord(tokens[i - 1], "or") && (isWord(tokens[i - 2], "insert") || isWord(tokens[i - 2], "update"))) {
      return "OR FAIL";
    }
  }
  for (const write of writesIn(tokens)) {
    const key = `${write.event} ${foldName(write.table)}`;
    if (known.has(key)) continue;
    known.add(key);
    const failure = failureOn(write, schema, known);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

type Event = "insert" | "update" | "delete";

interface Write {
  readonly table: string;
  readonly event: Event;
}

/** What can fail so where a trigger writes: the constraints of a table, or triggers of a table or view. */
function failureOn({ table, event }: Write, schema: readonly SchemaRow[], known: Set<string>): string | undefined {
  for (const [type, name, on, sql] of schema) {
    if (!isSameName(on, table) || sql === null || ownerOf({ type, name }) !== undefined) continue;
    if (type === "table" && event !== "delete" && hasOnConflictFail(sql)) return `ON CONFLICT FAIL in table ${name}`;
    if (type !== "trigger" || !/fail|insert|update|delete|replace/i.test(sql)) continue;
    const tokens = tokensOf(sql);
    if (!isWord(momentOf(tokens).event, event)) continue;
    const failure = failureOf(tokens, schema, known);
    if (failure !== undefined) return failure.includes(" in ") ? failure : `${failure} in trigger ${name}`;
  }
  return undefined;
}

function hasOnConflictFail(sql: string): boolean {
  if (!/conflict/i.test(sql)) return false;
  const tokens = tokensOf(sql);
  return tokens.some((token, i) => isWord(token, "fail") && isWord(tokens[i - 1], "conflict"));
}

function isRaise(tokens: readonly Token[], at: number): boolean {
  return isSign(tokens[at - 1], "(") && isWord(tokens[at - 2], "raise");
}

/** INSERT INTO, REPLACE INTO, UPDATE and DELETE FROM, which name a table without its schema in triggers. */
function writesIn(tokens: readonly Token[]): Write[] {
  const start = tokens.findIndex((token) => isWord(token, "begin"));
  const writes: Write[] = [];
  const add = (at: number, ...events: readonly Event[]) => {
    const target = tokens[at];
    // SQLite takes a string for a name where nothing else could stand.
    const table = target?.kind === "string" ? target.text.slice(1, -1).replaceAll("''", "'") : target && nameIn(target);
    if (table !== undefined) writes.push(...events.map((event) => ({ table, event })));
  };
  for (let i = start + 1; i < tokens.length; i++) {
    const [token, next] = [tokens[i], tokens[i + 1]];
    // Which rows a REPLACE deletes and an UPSERT updates, their triggers are set off for.
    if (isWord(token, "into")) add(i + 1, "insert", ...alsoOf(tokens, i));
    else if (isWord(token, "delete") && isWord(next, "from")) add(i + 2, "delete");
    else if (isWord(token, "update") && isWord(next, "or")) add(i + 3, "update", ...alsoOf(tokens, i + 2));
    else if (isWord(token, "update")) add(i + 1, "update");
  }
  return writes;
}

/** What an INSERT or UPDATE does beside, by its conflict clauses. */
function alsoOf(tokens: readonly Token[], at: number): Event[] {
  const end = tokens.findIndex((token, i) => i > at && isSign(token, ";"));
  const rest = tokens.slice(at, end < 0 ? undefined : end);
  const isReplacing = isWord(tokens[at], "replace") || isWord(tokens[at - 1], "replace");
  const isUpdating = rest.some((token, i) => isWord(token, "do") && isWord(rest[i + 1], "update"));
  return [...(isReplacing ? (["delete"] as const) : []), ...(isUpdating ? (["update"] as const) : [])];
}
