import { codecOf, encodeVector, type VectorShape } from "../codec/codec.ts";
import { ZeroQueryError } from "../errors.ts";
import type { Metric } from "../metric/metric.ts";
import { squaredNorm } from "../metric/reference.ts";

/**
 * A query vector as bytes of its column: converted as if it were stored, so that a row's distance to itself is exactly 0.
 *
 * @throws {DimensionMismatchError | VectorValueError} when it does not fit the column
 * @throws {ZeroQueryError} when it has no direction and the metric is cosine
 */
export function encodeQuery(
  query: unknown,
  shape: VectorShape,
  metric: Metric,
  subject: string,
): Uint8Array<ArrayBuffer> {
  const encoded = encodeVector(query, shape, subject);
  if (metric === "cosine" && squaredNorm(codecOf(shape.element).view(encoded)) === 0) {
    throw new ZeroQueryError({
      subject,
      expected: "a query with a direction under cosine",
      got: "a vector of zeros",
      hint: "The text had no known word, or the embedding failed. l2 and dot accept it.",
    });
  }
  return encoded;
}
