import { describe } from "../codec/codec.ts";
import { InvalidOptionError } from "../errors.ts";
import type { IndexDefinition, VectorDefinition } from "../migration/definition.ts";
import { isSameName } from "../schema/names.ts";
import { isSearchIndex } from "../schema/search-index.ts";
import type { IndexOrName } from "./target.ts";

/**
 * The vector column that is meant: the one named, by its key in the schema or its name in the database, or the only one.
 *
 * @throws {InvalidOptionError} when the index has no vector column, none of that name, or several and none is named
 */
export function chosenVector(
  { name, vectors }: IndexDefinition,
  index: IndexOrName,
  column: unknown,
): VectorDefinition {
  const known = vectors.map((vector) => vector.column);
  if (known.length === 0) {
    throw new InvalidOptionError({
      subject: name,
      expected: "a search index with a vector column",
      got: "one of text alone",
    });
  }
  if (column === undefined) {
    if (vectors.length === 1) return vectors[0]!;
    throw new InvalidOptionError({
      subject: "column",
      expected: `the name of a vector column of ${name}: ${known.join(", ")}`,
      got: "none, and there are several",
    });
  }
  const chosen = vectors.find((vector) => isSameName(vector.column, nameInDatabase(index, column)));
  if (chosen) return chosen;
  throw new InvalidOptionError({
    subject: "column",
    expected: `a vector column of ${name}: ${known.join(", ")}`,
    got: describe(column),
  });
}

function nameInDatabase(index: IndexOrName, column: unknown): string {
  if (typeof column !== "string") return "";
  const declared = isSearchIndex(index) ? index.vectors.find(({ key }) => key === column) : undefined;
  return declared?.column.name ?? column;
}
