export type { Element } from "./codec/codec.ts";
export type { Metric, MetricOf } from "./metric/metric.ts";
export { decodeHexVector, hexVector } from "./schema/hex-vector.ts";
export { type VectorConfig, type VectorMode, vectorColumn } from "./schema/vector-column.ts";
