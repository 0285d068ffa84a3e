import { type SQL, sql } from "drizzle-orm";
import { codecOf, decodeVector } from "../codec/codec.ts";
import { UnsupportedColumnError } from "../errors.ts";
import { type AnyVectorColumn, columnLabel, configOf, describeColumn } from "./vector-column.ts";

/**
 * A vector as hex text, for nested relational queries on drizzle-orm 0.x, whose JSON cannot hold blobs. Leave the column out
 * and ask for the hex as an extra; `decodeHexVector` turns it back. On drizzle-orm 1.0 nested vectors work by themselves.
 *
 * SQL: `hex("embedding")`; NULL becomes the empty text.
 *
 * @example
 * db.query.courses.findMany({
 *   with: { docs: { columns: { embedding: false }, extras: (d) => ({ embedding: hexVector(d.embedding).as("embedding_hex") }) } },
 * });
 */
export function hexVector(column: AnyVectorColumn): SQL<string> {
  shapeOf(column);
  return sql<string>`hex(${column})`;
}

/**
 * The vector behind the text of `hexVector(column)`, as the column itself would read; `null` for the empty text and `null`.
 *
 * @throws {DimensionMismatchError} when the text is no vector of the column
 */
export function decodeHexVector<TColumn extends AnyVectorColumn>(
  column: TColumn,
  hex: string | null,
): TColumn["_"]["data"] | null {
  const shape = shapeOf(column);
  if (hex === "" || hex === null) return null;
  const decoded = decodeVector(hex, shape, columnLabel(column));
  return shape.mode === "array" ? codecOf(shape.element).toNumbers(decoded) : decoded;
}

function shapeOf(column: unknown) {
  const config = configOf(column);
  if (config) return config;
  throw new UnsupportedColumnError({
    subject: columnLabel(column),
    expected: "a vectorColumn",
    got: describeColumn(column),
  });
}
