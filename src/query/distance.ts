import { type GetColumnData, type SQL, sql } from "drizzle-orm";
import { checkMetric, type Metric, type MetricOf } from "../metric/metric.ts";
import { type AnyVectorColumn, columnLabel, configOf } from "../schema/vector-column.ts";
import { copied } from "./as-given.ts";
import type { ElementOf, VectorQuery } from "./hit.ts";
import { checkVectorColumn } from "./keyed-table.ts";
import { isPlaceholder } from "./options.ts";
import { encodeQuery } from "./vector-query.ts";

/** The SQL functions behind the metrics. The first three have the names they have in libSQL. */
export const DISTANCE_FUNCTIONS: Record<Metric, string> = {
  cosine: "vector_distance_cos",
  l2: "vector_distance_l2",
  dot: "vector_distance_dot",
  hamming: "vector_distance_hamming",
};

type DistanceOf<TColumn extends AnyVectorColumn> = null extends GetColumnData<TColumn> ? number | null : number;

/**
 * The distance of each row's vector to `query` as an SQL expression, for any select, `orderBy` or `where`: the number
 * `nearest` gives, to the last bit; also of a column of a view, a subquery or a relational query. NULL where the vector is NULL or its bytes are no vector of the column. Needs
 * `registerFunctions(db)` once a connection. Computes one row at a time; `nearest` is many times faster.
 *
 * SQL: `vector_distance_cos("embedding", ?)`, with a third argument `'float16'` or `'int8'` for those elements.
 *
 * @param query - as for `nearest`: numbers or `sql.placeholder("name")`
 * @param metric - default what the column's `searchIndex` declares, else `cosine`; `hamming` for `bit`
 * @throws {DimensionMismatchError | VectorValueError | ZeroQueryError} when `query` does not fit, at once or when the placeholder is filled
 * @throws {MetricError | UnsupportedColumnError}
 * @example db.select({ id: docs.id, d: distance(docs.embedding, query) }).from(docs).where(lt(distance(docs.embedding, query), 0.3));
 */
export function distance<TColumn extends AnyVectorColumn>(
  column: TColumn,
  query: VectorQuery<ElementOf<TColumn>>,
  metric?: MetricOf<ElementOf<TColumn>>,
): SQL<DistanceOf<TColumn>> {
  checkVectorColumn(column);
  const shape = configOf(column)!;
  const label = columnLabel(column);
  const checked = checkMetric(metric === undefined ? shape.metric : metric, shape.element, label);
  const encoder = {
    mapToDriverValue: (value: unknown) => {
      const bytes = encodeQuery(value, shape, checked, label);
      return typeof Buffer === "undefined" ? bytes : Buffer.from(bytes.buffer);
    },
  };
  // Checked now where it is known now; Drizzle encodes it when it builds the statement, which may be later.
  const given = isPlaceholder(query) ? query : copied(query);
  if (!isPlaceholder(query)) encoder.mapToDriverValue(given);
  const element =
    shape.element === "float16" || shape.element === "int8" ? sql.raw(`, '${shape.element}'`) : sql.raw("");
  const call = sql.raw(DISTANCE_FUNCTIONS[checked]);
  return sql<DistanceOf<TColumn>>`${call}(${column}, ${sql.param(given, encoder)}${element})`.mapWith(Number) as SQL<
    DistanceOf<TColumn>
  >;
}
