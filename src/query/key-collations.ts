import type { Row, Steps } from "../driver/driver.ts";
import { eponymous } from "../migration/sql-text.ts";
import type { Collation } from "./key.ts";
import { isInteger, type KeyedTable } from "./keyed-table.ts";

/** How the parts of a primary key compare in ties; none for integers, which need no collation. */
export function* keyCollations({ key, name }: KeyedTable): Steps<Collation[]> {
  if (key.every(isInteger)) return [];
  // A temporary view in the place of the table has no key of its own: its columns compare as those of the table do.
  const found = yield* indexedBy(name, `${eponymous("pragma_index_list")}(?)`);
  return found.length > 0 ? found : yield* indexedBy(name, `${eponymous("pragma_index_list")}(?, 'main')`);
}

function* indexedBy(table: string, indexes: string): Steps<Collation[]> {
  const rows: Row[] = yield {
    type: "rows",
    sql: `select x.coll, (select encoding from ${eponymous("pragma_encoding")}) from ${indexes} l, ${eponymous("pragma_index_xinfo")}(l.name) x where l.origin = 'pk' and x."key" = 1 order by x.seqno`,
    params: [table],
  };
  return rows.map(([name, encoding]) => {
    const collation = String(name).toUpperCase();
    return collation === "BINARY" && String(encoding).startsWith("UTF-16") ? String(encoding) : collation;
  });
}
