import { and, type SQL, sql } from "drizzle-orm";
import { casingOf } from "../driver/casing.ts";
import type { DbLike, Row, SelectBuilder, Steps } from "../driver/driver.ts";
import { columnName } from "../migration/definition.ts";
import { collate, identityOf } from "../migration/identity.ts";
import { identifier } from "../migration/sql-text.ts";
import { isSameName, tableNameOf } from "../schema/names.ts";
import type { IndexedColumn } from "../vector/indexed-column.ts";
import type { Selection } from "../vector/resident-codes.ts";
import type { NearestRequest } from "./nearest-request.ts";
import type { Values } from "./search-query.ts";

/** Rows of one statement that looks whether any has a vector. */
const UNKNOWN_ROWS = 10_000;

/** Tells which rows of an indexed column match the `where` of a request, by our ids. */
export class Matching {
  readonly #request: NearestRequest;
  readonly #db: DbLike;
  readonly #values: Values;
  readonly #column: IndexedColumn;

  constructor(request: NearestRequest, db: DbLike, values: Values, column: IndexedColumn) {
    this.#request = request;
    this.#db = db;
    this.#values = values;
    this.#column = column;
  }

  /** Selects all rows that match and have a vector. False when one of them is unknown to the codes. */
  *all(among: Selection): Steps<boolean> {
    const unknown: bigint[] = [];
    yield {
      type: "scan",
      build: () => this.#select(undefined),
      values: this.#values,
      batchRows: 1024,
      onRows(rows) {
        for (const row of rows) if (!among.add(row[0] as bigint)) unknown.push(row[0] as bigint);
      },
    };
    // Rows without a vector have no code.
    const { id, rows } = identityOf(this.#column.definition, this.#column.table);
    const sql = `SELECT 1 FROM ${rows} WHERE ${id} IN (SELECT value FROM json_each(?)) AND r.${identifier(this.#column.column)} IS NOT NULL LIMIT 1`;
    for (let i = 0; i < unknown.length; i += UNKNOWN_ROWS) {
      const ids = `[${unknown.slice(i, i + UNKNOWN_ROWS).join(",")}]`;
      const found: Row[] = yield { type: "rows", sql, params: [ids] };
      if (found.length > 0) return false;
    }
    return true;
  }

  /** Those of some rows that match. */
  *among(ids: readonly bigint[]): Steps<ReadonlySet<bigint>> {
    const json = `[${ids.join(",")}]`;
    const rows: Row[] = yield { type: "query", build: () => this.#select(json), values: this.#values };
    return new Set(rows.map(([id]) => id as bigint));
  }

  /**
   * The select of the ids of rows that match.
   *
   * SQL: `select "id" from "docs" where …`, without a word of the vector: to look at it SQLite would have to go to the row, where an index
   * of the user's may answer alone. The keys of other tables are looked up in the map, outside the condition's sight.
   */
  #select(ids: string | undefined): SelectBuilder {
    const { keyed, where } = this.#request;
    const { key, table } = keyed;
    const { definition, table: facts } = this.#column;
    const isAsked = (id: SQL) => (ids === undefined ? undefined : sql`${id} in (select value from json_each(${ids}))`);
    if (definition.key.isRowid) {
      return this.#db
        .select({ id: sql`${key[0]}` })
        .from(table)
        .where(and(isAsked(sql`${key[0]}`), where));
    }
    const casing = casingOf(this.#db);
    const matching = this.#db
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
    return this.#db.select({ id }).from(matching).innerJoin(keys, sql.join(on, sql` and `)).where(isAsked(id));
  }
}
