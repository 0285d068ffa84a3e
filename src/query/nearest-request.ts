import type { SQL } from "drizzle-orm";
import type { VectorShape } from "../codec/codec.ts";
import type { Steps } from "../driver/driver.ts";
import { getOrMake } from "../driver/get-or-make.ts";
import { checkMetric, type Metric } from "../metric/metric.ts";
import { type AnyVectorColumn, columnLabel, configOf } from "../schema/vector-column.ts";
import { type Fields, fieldsOf } from "./fetch.ts";
import type { Collation } from "./key.ts";
import { keyCollations } from "./key-collations.ts";
import { type KeyedTable, tableOfVector } from "./keyed-table.ts";
import type { NearestOptions } from "./nearest.ts";
import {
  condition,
  flag,
  isPlaceholder,
  knownOptions,
  LIMIT_DEFAULT,
  numberWithin,
  placeholderValue,
  wholeNumber,
} from "./options.ts";
import type { Values } from "./search-query.ts";
import { encodeQuery } from "./vector-query.ts";

const OPTIONS = ["select", "where", "limit", "offset", "maxDistance", "metric", "recall", "strict"] as const;

/** What `nearest` was asked for, its arguments checked. */
export class NearestRequest {
  readonly column: AnyVectorColumn;
  /** `docs.embedding`, for errors. */
  readonly label: string;
  readonly shape: VectorShape;
  readonly metric: Metric;
  readonly keyed: KeyedTable;
  readonly fields: Fields;
  readonly where: SQL | undefined;
  readonly limit: number;
  readonly offset: number;
  readonly maxDistance: number;
  /** Undefined where the query names none: then what is stored for the column holds, else 1. */
  readonly recall: number | undefined;
  readonly strict: boolean;
  readonly #query: (values: Values) => Uint8Array;
  readonly #queryLabel: string;

  /** @param queryLabel - what errors call the query where there are several; else they name the column */
  constructor(column: AnyVectorColumn, query: unknown, given: unknown, queryLabel?: string) {
    const { keyed, label, shape } = declaredColumn(column);
    this.column = column;
    this.keyed = keyed;
    this.label = label;
    this.#queryLabel = queryLabel ?? label;
    this.shape = shape;
    // The index that declares it may be declared later than the column.
    const declared = configOf(column)!.metric;
    const options = knownOptions<NearestOptions<AnyVectorColumn, unknown>>(given, "nearest", OPTIONS);
    this.metric = checkMetric(options.metric === undefined ? declared : options.metric, shape.element, this.label);
    this.where = condition(options.where);
    this.limit = wholeNumber(options.limit, "limit", LIMIT_DEFAULT);
    this.offset = wholeNumber(options.offset, "offset", 0);
    const { POSITIVE_INFINITY: any, NEGATIVE_INFINITY } = Number;
    this.maxDistance = numberWithin(options.maxDistance, "maxDistance", NEGATIVE_INFINITY, any, any);
    this.recall = options.recall === undefined ? undefined : numberWithin(options.recall, "recall", 0.5, 1, 1);
    this.strict = flag(options.strict, "strict");
    this.fields = fieldsOf(this.keyed, options.select, ["$distance"]);
    if (isPlaceholder(query)) {
      this.#query = (values) => this.#encode(placeholderValue(query, values));
    } else {
      const encoded = this.#encode(query);
      this.#query = () => encoded;
    }
  }

  /** The query vector as the column stores it. */
  query(values: Values): Uint8Array {
    return this.#query(values);
  }

  /** How the parts of the key compare in ties; none for integers, which need no collation. */
  collations(): Steps<Collation[]> {
    return keyCollations(this.keyed);
  }

  #encode(query: unknown): Uint8Array {
    return encodeQuery(query, this.shape, this.metric, this.#queryLabel);
  }
}

/** What a column alone decides. */
type DeclaredColumn = Pick<NearestRequest, "keyed" | "label" | "shape">;

/** A declared column does not change. */
const declaredColumns = new WeakMap<AnyVectorColumn, DeclaredColumn>();

function declaredColumn(column: AnyVectorColumn): DeclaredColumn {
  return getOrMake(declaredColumns, column, () => {
    const keyed = tableOfVector(column);
    const { dimensions, element } = configOf(column)!;
    return { keyed, label: columnLabel(column), shape: { dimensions, element } };
  });
}
