export type { Element } from "./codec/codec.ts";
export type { Metric, MetricOf } from "./metric/metric.ts";
export { decodeHexVector, hexVector } from "./schema/hex-vector.ts";
export {
  type IndexedText,
  type IndexedVector,
  isSearchIndex,
  type SearchIndex,
  type SearchIndexConfig,
  searchIndex,
  type TextKeys,
  type VectorKeys,
  type VectorOptions,
} from "./schema/search-index.ts";
export type { Tokenizer, TrigramOptions, Unicode61Options } from "./schema/tokenizer.ts";
export {
  type AnyVectorColumn,
  type VectorBytes,
  type VectorColumnBuilder,
  type VectorConfig,
  type VectorData,
  type VectorMode,
  vectorColumn,
} from "./schema/vector-column.ts";
