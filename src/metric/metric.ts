import { describe, type Element } from "../codec/codec.ts";
import { MetricError } from "../errors.ts";

/**
 * How far apart two vectors are; smaller is nearer in every metric.
 *
 * | metric | distance | range |
 * | --- | --- | --- |
 * | `cosine` | 1 - x·q / (‖x‖ ‖q‖); a stored zero vector has distance 1 | 0..2 |
 * | `l2` | ‖x - q‖, the straight line | ≥ 0, in the unit of the data |
 * | `dot` | -x·q, the inner product negated | any |
 * | `hamming` | number of bits that differ (`bit` only) | 0..dimensions |
 */
export type Metric = "cosine" | "l2" | "dot" | "hamming";

/** The metrics an element has; enforced by type and again at run time. */
export type MetricOf<TElement extends Element> = TElement extends "bit" ? "hamming" : Exclude<Metric, "hamming">;

const FOR_NUMBERS: readonly Metric[] = ["cosine", "l2", "dot"];
const FOR_BITS: readonly Metric[] = ["hamming"];

function defaultMetric(element: Element): Metric {
  return element === "bit" ? "hamming" : "cosine";
}

/** The metric asked for, or the element's default; throws `MetricError` where the element does not have it. */
export function checkMetric(metric: unknown, element: Element, subject: string): Metric {
  if (metric === undefined) return defaultMetric(element);
  const known = element === "bit" ? FOR_BITS : FOR_NUMBERS;
  if (known.includes(metric as Metric)) return metric as Metric;
  throw new MetricError({
    subject,
    expected: `a metric of ${element}: ${known.join(", ")}`,
    got: describe(metric),
  });
}
