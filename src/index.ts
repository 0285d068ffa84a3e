export type { DbLike, Kind, KindOf, Result } from "./driver/driver.ts";
export { type Configuration, configure, type SearchEvent } from "./driver/events.ts";
export * from "./errors.ts";
export { distance } from "./query/distance.ts";
export type { VectorInput, VectorQuery } from "./query/hit.ts";
export {
  type NearestExplain,
  type NearestHit,
  type NearestOptions,
  type NearestQuery,
  nearest,
} from "./query/nearest.ts";
export { registerFunctions } from "./query/register-functions.ts";
export { type SearchExplain, type SearchHit, type SearchOptions, search } from "./query/search.ts";
export { type PreparedSearch, SearchQuery } from "./query/search-query.ts";
export * from "./schema.ts";
