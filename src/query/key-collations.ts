import type { Row, Steps } from "../driver/driver.ts";
import type { Collation } from "./key.ts";
import { isInteger, type KeyedTable } from "./keyed-table.ts";

/** How the parts of a primary key compare in ties; none for integers, which need no collation. */
export function* keyCollations({ key, name }: KeyedTable): Steps<Collation[]> {
  if (key.every(isInteger)) return [];
  const rows: Row[] = yield {
    type: "rows",
    sql: `select x.coll from pragma_index_list(?) l, pragma_index_xinfo(l.name) x where l.origin = 'pk' and x."key" = 1 order by x.seqno`,
    params: [name],
  };
  return rows.map(([collation]) => String(collation).toUpperCase());
}
