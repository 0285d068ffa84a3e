import { and, type SQL, sql } from "drizzle-orm";
import { casingOf } from "../driver/casing.ts";
import type { BuiltSelect, Driver, QueryStep, Row, Steps } from "../driver/driver.ts";
import { getOrMake } from "../driver/get-or-make.ts";
import { columnName } from "../migration/definition.ts";
import { collate, identityOf } from "../migration/identity.ts";
import { identifier, JSON_EACH } from "../migration/sql-text.ts";
import { isSameName, tableNameOf } from "../schema/names.ts";
import type { IndexedColumn } from "../vector/indexed-column.ts";
import type { Selection } from "../vector/selection.ts";
import type { NearestRequest } from "./nearest-request.ts";
import type { Values } from "./search-query.ts";

/** The placeholder of the ids that are asked. */
const IDS = "_dv_ids";
/** Rows of one statement that looks whether any has a vector. */
const UNKNOWN_ROWS = 10_000;

/** What it took to read all rows that match a condition, when that was last done. */
interface Cost {
  readonly ms: number;
  readonly rows: number;
  /** Whether an SQL index finds them, so that fewer would have cost less; or SQLite looks at every row. */
  readonly isSearch: boolean;
}

/** What is remembered of a condition, whatever its values are. */
interface Condition {
  cost: Cost | undefined;
  /** Walks in vain, in turn. */
  vain: number;
  /** Walks to be left out. */
  left: number;
}

/** Most walks left out in turn, as a power of two. */
const VAIN_MAX = 6;
/** What a row costs that SQLite has to go to for a condition; a guess, until the condition has run. */
const VISIT_MS = 0.0004;
/** Conditions that are remembered, for each connection. */
const CONDITIONS_MAX = 200;
const conditions = new WeakMap<object, Map<string, Condition>>();

export interface MatchingInput {
  readonly request: NearestRequest;
  readonly driver: Driver;
  readonly values: Values;
  readonly column: IndexedColumn;
}

/** Tells which rows of an indexed column match the `where` of a request, by our ids. */
export class Matching {
  readonly #input: MatchingInput;
  readonly #condition: Condition;
  readonly #all: BuiltSelect;
  readonly #among: BuiltSelect;

  constructor(input: MatchingInput) {
    const { connection } = input.driver;
    this.#input = input;
    this.#all = once(() => this.#select(false));
    this.#among = once(() => this.#select(true));
    this.#condition = remembered(connection, this.#all.toSQL().sql);
  }

  /** Whether it is worth looking which of the nearest rows match. After a time in vain it is not for once, then for three times, seven … */
  get isWalkable(): boolean {
    if (this.#condition.left === 0) return true;
    this.#condition.left--;
    return false;
  }

  /** Notes whether that was worth it. */
  walked(wasWorthIt: boolean): void {
    const vain = wasWorthIt ? 0 : Math.min(this.#condition.vain + 1, VAIN_MAX);
    Object.assign(this.#condition, { vain, left: 2 ** vain - 1 });
  }

  /**
   * Tells how many milliseconds `all` is likely to take, for so many matches, or as many as the last time: by what it took then,
   * whatever the values were; the first time few where SQLite can search an index, and many where it has to look at every row.
   *
   * @param rows - of the table
   */
  *expected(rows: number): Steps<(matches?: number) => number> {
    if (!this.#condition.cost) {
      const { sql } = this.#all.toSQL();
      const plan: Row[] = yield this.#query({
        toSQL: () => ({ ...this.#all.toSQL(), sql: `explain query plan ${sql}` }),
      });
      const isSearch = !plan.some(([, , , detail]) => String(detail).startsWith("SCAN "));
      this.#condition.cost = { ms: isSearch ? 0 : rows * VISIT_MS, rows: 0, isSearch };
    }
    const { ms, rows: known, isSearch } = this.#condition.cost;
    return (matches = known) => (isSearch && known > 0 ? (ms * matches) / known : ms);
  }

  /** Selects all rows that match and have a vector. False when one of them is unknown to the codes. */
  *all(among: Selection): Steps<boolean> {
    const start = performance.now();
    // One text of all ids comes a few times as fast as a row for each, and as a blob it is not made a string.
    const [row]: Row[] = yield this.#query(this.#all);
    const unknown = among.addList((row?.[0] as Uint8Array | null | undefined) ?? new Uint8Array());
    const isSearch = this.#condition.cost?.isSearch ?? false;
    this.#condition.cost = { ms: performance.now() - start, rows: among.size + unknown.length, isSearch };
    // Rows without a vector have no code.
    const { column } = this.#input;
    const { id, rows } = identityOf(column.definition, column.table);
    const sql = `SELECT 1 FROM ${rows} WHERE ${id} IN (SELECT value FROM ${JSON_EACH}(?)) AND r.${identifier(column.column)} IS NOT NULL LIMIT 1`;
    for (let i = 0; i < unknown.length; i += UNKNOWN_ROWS) {
      const ids = `[${unknown.slice(i, i + UNKNOWN_ROWS).join(",")}]`;
      const found: Row[] = yield { type: "rows", sql, params: [ids] };
      if (found.length > 0) return false;
    }
    return true;
  }

  /** Those of some rows that match. */
  *among(ids: readonly bigint[]): Steps<ReadonlySet<bigint>> {
    const rows: Row[] = yield this.#query(this.#among, { [IDS]: `[${ids.join(",")}]` });
    return new Set(rows.map(([id]) => id as bigint));
  }

  #query(select: BuiltSelect, values: Values = {}): QueryStep {
    return { type: "query", build: () => select, values: { ...this.#input.values, ...values } };
  }

  /**
   * The select of the ids of those of some rows that match; or of all of them, in one text as `readIntegers` takes it.
   *
   * SQL: `select cast(group_concat("id") as blob) from "docs" where …`, without a word of the vector: to look at it SQLite would have to go to the row, where an index
   * of the user's may answer alone. The keys of other tables are looked up in the map, outside the condition's sight.
   */
  #select(areSome: boolean): BuiltSelect {
    const { request, driver, column } = this.#input;
    const { handle } = driver;
    const { keyed, where } = request;
    const { key, table } = keyed;
    const { definition, table: facts } = column;
    const selected = (id: SQL) => ({ id: areSome ? id : sql`cast(group_concat(${id}) as blob)` });
    const given = sql`(select value from ${sql.raw(JSON_EACH)}(${sql.placeholder(IDS)}))`;
    const isAsked = (id: SQL) => (areSome ? sql`${id} in ${given}` : undefined);
    if (definition.key.isRowid) {
      return handle
        .select(selected(sql`${key[0]}`))
        .from(table)
        .where(and(isAsked(sql`${key[0]}`), where));
    }
    const casing = casingOf(handle);
    const matching = handle
      .select(Object.fromEntries(key.map((part, i) => [`p${i}`, sql`${part}`.as(`p${i}`)])))
      .from(table)
      .where(where)
      .as("_dv_match");
    const on = facts.key.map((part, i) => {
      const at = key.findIndex((declared) => isSameName(columnName(declared, casing), part.column));
      return sql.raw(`"_dv_key".k${i} = "_dv_match".p${at}${collate(part)}`);
    });
    const keys = sql`${sql.identifier(tableNameOf(definition.name, "keys"))} "_dv_key"`;
    const id = sql.raw(`"_dv_key".id`);
    return handle.select(selected(id)).from(matching).innerJoin(keys, sql.join(on, sql` and `)).where(isAsked(id));
  }
}

function remembered(connection: object, sql: string): Condition {
  const known = getOrMake(conditions, connection, () => new Map());
  let condition = known.get(sql);
  if (!condition) {
    if (known.size >= CONDITIONS_MAX) known.clear();
    condition = { cost: undefined, vain: 0, left: 0 };
    known.set(sql, condition);
  }
  return condition;
}

/** A select whose SQL Drizzle makes once, when it is first wanted. */
function once(build: () => BuiltSelect): BuiltSelect {
  let made: ReturnType<BuiltSelect["toSQL"]> | undefined;
  return {
    toSQL() {
      made ??= build().toSQL();
      return made;
    },
  };
}
