export type { DbLike, Kind, KindOf, Result } from "./driver/driver.ts";
export { type Configuration, configure, type SearchEvent } from "./driver/events.ts";
export * from "./errors.ts";
export type { DeliveredRecall } from "./maintenance/delivered-recall.ts";
export { dropSearchIndex } from "./maintenance/drop.ts";
export { type EnsuredIndex, type EnsureOptions, ensureSearchIndexes } from "./maintenance/ensure.ts";
export { type OptimizeResult, optimize } from "./maintenance/optimize.ts";
export { type PurgeResult, purge } from "./maintenance/purge.ts";
export { type RebuildResult, rebuild } from "./maintenance/rebuild.ts";
export { release } from "./maintenance/release.ts";
export type { LongWorkOptions, Progress } from "./maintenance/slices.ts";
export { type IndexStatus, status } from "./maintenance/status.ts";
export { storeRecall } from "./maintenance/store-recall.ts";
export type { IndexOrName } from "./maintenance/target.ts";
export { type TuneOptions, type TuneReport, tune } from "./maintenance/tune.ts";
export type { TuneRecommendation, TuneSetting } from "./maintenance/tune-setting.ts";
export type { DriftAdvice, VectorDrift } from "./maintenance/vector-drift.ts";
export type { VectorStatus } from "./maintenance/vector-status.ts";
export { type VerifyOptions, type VerifyResult, verify } from "./maintenance/verify.ts";
export type { VerifyProblem } from "./maintenance/verify-report.ts";
export { distance } from "./query/distance.ts";
export {
  type Fusion,
  type LinearOptions,
  linear,
  type RrfOptions,
  rrf,
  type SharesOptions,
  shares,
  type Weights,
} from "./query/fusion.ts";
export type { VectorInput, VectorQuery } from "./query/hit.ts";
export {
  type HybridExplain,
  type HybridHit,
  type HybridOptions,
  type HybridQuery,
  type HybridSubquery,
  hybrid,
  type LegExplain,
  type TextStanding,
  type VectorStanding,
} from "./query/hybrid.ts";
export {
  type NearestExplain,
  type NearestHit,
  type NearestOptions,
  type NearestQuery,
  type NearestSubquery,
  nearest,
} from "./query/nearest.ts";
export { type NearestManyExplain, type NearestManyQuery, nearestMany } from "./query/nearest-many.ts";
export { registerFunctions } from "./query/register-functions.ts";
export {
  type SearchExplain,
  type SearchHit,
  type SearchOptions,
  type SearchSubquery,
  search,
  type TextExplain,
} from "./query/search.ts";
export type { HighlightOptions } from "./query/search-highlight.ts";
export type { TextOptions } from "./query/search-options.ts";
export { type PreparedSearch, SearchQuery } from "./query/search-query.ts";
export * from "./schema.ts";
