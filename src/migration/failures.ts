import { foldName, isSameName, ownerOf } from "../schema/names.ts";
import { closing, isSign, isWord, nameIn, type Token, tokensOf } from "./sql-text.ts";

/** A row of sqlite_master. */
export type SchemaRow = readonly [type: string, name: string, table: string, sql: string | null];

type Event = "insert" | "update" | "delete";

/** What a statement does to a table, by itself or through what it sets off. */
interface Write {
  readonly table: string;
  readonly event: Event;
  /**
   * Whether ABORT stands in the place of every conflict clause, of statements and of constraints. So it is where a foreign key
   * updates its child, and in what that sets off, down to the next DELETE, which has no clause to hand on. RAISE(FAIL) stays what it is.
   */
  readonly isAborting: boolean;
}

/** By what the statements of a trigger may end in a failure that keeps what was written before, or undefined. */
export function failureIn(trigger: readonly Token[], schema: readonly SchemaRow[]): string | undefined {
  return failureOf(trigger, { schema, known: new Set() }, false);
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
  const found = new Map<string, FailingCascade>();
  for (const { write } of actionsOn(schema, table)) {
    const stop = failureOn(write, { schema, known: new Set() });
    if (stop !== undefined) found.set(`${stop} ${write.table}`, { child: write.table, stop });
  }
  return [...found.values()];
}

interface Search {
  readonly schema: readonly SchemaRow[];
  /** Writes that were looked at already. */
  readonly known: Set<string>;
}

function failureOf(tokens: readonly Token[], search: Search, isAborting: boolean): string | undefined {
  for (const [i, token] of tokens.entries()) {
    if (!isWord(token, "fail")) continue;
    if (isRaised(tokens, i)) return "RAISE(FAIL)";
    if (isAborting || !isWord(tokens[i - 1], "or")) continue;
    if (isWord(tokens[i - 2], "insert") || isWord(tokens[i - 2], "update")) return "OR FAIL";
  }
  return firstOf(writesIn(tokens), ({ table, event }) =>
    failureOn({ table, event, isAborting: isAborting && event !== "delete" }, search),
  );
}

/** What can fail so where something is written: constraints of the table, triggers of it or of a view, its foreign keys' actions. */
function failureOn({ table, event, isAborting }: Write, search: Search): string | undefined {
  const key = `${event} ${isAborting} ${foldName(table)}`;
  if (search.known.has(key)) return undefined;
  search.known.add(key);
  for (const [type, name, on, sql] of search.schema) {
    if (!isSameName(on, table) || sql === null || ownerOf({ type, name }) !== undefined) continue;
    if (type === "table" && event !== "delete" && !isAborting && hasOnConflictFail(sql)) {
      return `ON CONFLICT FAIL in table ${name}`;
    }
    if (type !== "trigger" || !/fail|insert|update|delete|replace/i.test(sql)) continue;
    const tokens = tokensOf(sql);
    if (momentOf(tokens).event !== event) continue;
    const failure = failureOf(tokens, search, isAborting);
    if (failure !== undefined) return failure.includes(" in ") ? failure : `${failure} in trigger ${name}`;
  }
  const actions = actionsOn(search.schema, table).filter(({ on }) => on === event);
  return firstOf(actions, ({ write }) => failureOn(write, search));
}

function firstOf<T>(all: readonly T[], find: (one: T) => string | undefined): string | undefined {
  for (const one of all) {
    const found = find(one);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** What a foreign key does to its child when a row it refers to goes or moves. */
interface Action {
  readonly on: Event;
  readonly write: Write;
}

function actionsOn(schema: readonly SchemaRow[], table: string): Action[] {
  return schema.flatMap(([type, child, , sql]) =>
    type === "table" && sql !== null && /references/i.test(sql) ? actionsIn(tokensOf(sql), { child, table }) : [],
  );
}

function actionsIn(tokens: readonly Token[], { child, table }: { child: string; table: string }): Action[] {
  return tokens.flatMap((token, i) => {
    const parent = tokens[i + 1];
    if (!isWord(token, "references") || !parent || !isSameName(nameIn(parent) ?? "", table)) return [];
    const start = isSign(tokens[i + 2], "(") ? closing(tokens, i + 2) : i + 2;
    const end = tokens.findIndex((one, at) => at >= start && (isSign(one, ",") || isWord(one, "references")));
    const clause = tokens.slice(start, end < 0 ? undefined : end);
    return clause.flatMap((one, at): Action[] => {
      if (!isWord(one, "on")) return [];
      const on: Event = isWord(clause[at + 1], "delete") ? "delete" : "update";
      if (on === "delete" && isWord(clause[at + 2], "cascade")) {
        return [{ on, write: { table: child, event: "delete", isAborting: false } }];
      }
      const isActing = isWord(clause[at + 2], "cascade") || isWord(clause[at + 2], "set");
      return isActing ? [{ on, write: { table: child, event: "update", isAborting: true } }] : [];
    });
  });
}

/** No trigger begins with more tokens than these: `CREATE TEMPORARY TRIGGER IF NOT EXISTS main.name INSTEAD OF UPDATE`. */
export const MOMENT_TOKENS = 12;

/** What a trigger runs at, by the first tokens of its statement. Left out, the time is BEFORE; a trigger may be called `after`. */
export function momentOf(tokens: readonly Token[]): { isAfter: boolean; event: string } {
  const name = tokens.findIndex((token) => isWord(token, "trigger")) + 1;
  const first = isWord(tokens[name], "if") && isWord(tokens[name + 1], "not") ? name + 3 : name;
  const time = first + (isSign(tokens[first + 1], ".") ? 3 : 1);
  const isAfter = isWord(tokens[time], "after");
  const words = isWord(tokens[time], "instead") ? 2 : isAfter || isWord(tokens[time], "before") ? 1 : 0;
  return { isAfter, event: foldName(tokens[time + words]?.text ?? "") };
}

function hasOnConflictFail(sql: string): boolean {
  if (!/conflict/i.test(sql)) return false;
  const tokens = tokensOf(sql);
  return tokens.some((token, i) => isWord(token, "fail") && isWord(tokens[i - 1], "conflict"));
}

/** Whether the word at a place stands in RAISE( ). */
export function isRaised(tokens: readonly Token[], at: number): boolean {
  return isSign(tokens[at - 1], "(") && isWord(tokens[at - 2], "raise");
}

/** INSERT INTO, REPLACE INTO, UPDATE and DELETE FROM, which name a table without its schema in triggers. */
function writesIn(tokens: readonly Token[]): Pick<Write, "table" | "event">[] {
  const start = tokens.findIndex((token) => isWord(token, "begin"));
  const writes: Pick<Write, "table" | "event">[] = [];
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
