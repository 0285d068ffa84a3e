import type Database from "better-sqlite3";
import { codecOf, encodeVector, vectorBytes } from "../../src/codec/codec.ts";
import { referenceDistance } from "../../src/metric/reference.ts";
import { compareKeys } from "../../src/query/key.ts";
import type { Shape } from "./shapes.ts";

/** A key, cast to text part by part, and the distance or score of its row. */
export type Scored = readonly [key: readonly string[], measure: number];

export interface Limits {
  readonly limit: number;
  readonly offset: number;
}

export interface BruteForceInput {
  readonly query: number[];
  readonly condition: string;
  readonly maxDistance?: number | undefined;
  /** Keys of rows that are as good as not there, as JSON of texts. */
  readonly without?: ReadonlySet<string>;
}

/**
 * What `nearest` has to give: every row a plain SELECT on this connection sees at this moment, scored one by one, sorted.
 * `STORED_DIMENSIONS` where all that is stored has another length.
 */
export function bruteForce(
  client: Database.Database,
  { keyColumns, collations, element, dimensions, metric }: Shape,
  { query, condition, maxDistance, without }: BruteForceInput,
): Scored[] | "STORED_DIMENSIONS" {
  const stored = client
    .prepare(`SELECT v, ${keyColumns} FROM t WHERE v IS NOT NULL AND ${condition}`)
    .raw(true)
    .safeIntegers(true)
    .all() as [unknown, ...unknown[]][];
  const rows = stored.filter(([, ...key]) => !without?.has(JSON.stringify(key.map(String))));
  const { decode } = codecOf(element);
  const encoded = decode(encodeVector(query, { element, dimensions }, "q"));
  const blobs = rows.filter(([blob]) => blob instanceof Uint8Array) as [Uint8Array, ...unknown[]][];
  const fitting = blobs.filter(([blob]) => blob.length === vectorBytes({ element, dimensions }));
  if (fitting.length === 0 && blobs.length > 0) return "STORED_DIMENSIONS";
  return fitting
    .map(([blob, ...key]) => ({ key, distance: referenceDistance(metric, decode(blob), encoded) }))
    .filter(({ distance }) => Number.isFinite(distance) && distance <= (maxDistance ?? Number.POSITIVE_INFINITY))
    .sort((x, y) => x.distance - y.distance || compareKeys(x.key, y.key, collations))
    .map(({ key, distance }) => [key.map(String), distance]);
}
