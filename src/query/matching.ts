import { and, isNotNull, type SQL, sql } from "drizzle-orm";
import { casingOf } from "../driver/casing.ts";
import type { DbLike, Row, SelectBuilder, Steps } from "../driver/driver.ts";
import { columnName } from "../migration/definition.ts";
import { collate } from "../migration/identity.ts";
import { isSameName, tableNameOf } from "../schema/names.ts";
import type { IndexedColumn } from "../vector/indexed-column.ts";
import type { Selection } from "../vector/resident-codes.ts";
import type { NearestRequest } from "./nearest-request.ts";
import type { Values } from "./search-query.ts";

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

  /** Selects all rows that match. False when one of them is unknown to the codes. */
  *all(among: Selection): Steps<boolean> {
    let isKnown = true;
    yield {
      type: "scan",
      build: () => this.#select(undefined),
      values: this.#values,
      batchRows: 1024,
      onRows(rows) {
        for (const row of rows) isKnown = among.add(row[0] as bigint) && isKnown;
      },
    };
    return isKnown;
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
   * SQL: `select "id" from "docs" where … and "embedding" is not null`, in this order: to look at a vector column SQLite walks to
   * the end of the row, at twice the cost. The keys of other tables are looked up in the map, outside the condition's sight.
   */
  #select(ids: string | undefined): SelectBuilder {
    const { keyed, column, where } = this.#request;
    const { key, table } = keyed;
    const { definition, table: facts } = this.#column;
    const isAsked = (id: SQL) => (ids === undefined ? undefined : sql`${id} in (select value from json_each(${ids}))`);
    if (definition.key.isRowid) {
      return this.#db
        .select({ id: sql`${key[0]}` })
        .from(table)
        .where(and(isAsked(sql`${key[0]}`), where, isNotNull(column)));
    }
    const casing = casingOf(this.#db);
    const matching = this.#db
      .select(Object.fromEntries(key.map((part, i) => [`p${i}`, sql`${part}`.as(`p${i}`)])))
      .from(table)
      .where(and(where, isNotNull(column)))
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
