import { type DbLike, driverOf, type KindOf, type Result, type Steps } from "../driver/driver.ts";
import type { VectorDefinition } from "../migration/definition.ts";
import { settingsStatements } from "../migration/objects.ts";
import { type StoredRecall, settingsWith } from "../migration/settings.ts";
import { numberWithin } from "../query/options.ts";
import { execute, type IndexOrName, recordedIndex, type Target, targetOf } from "./target.ts";
import { chosenVector } from "./vector-choice.ts";

/**
 * Stores the `recall` that `nearest` and `nearestMany` go by where a query names none; `null` takes it away, and answers are exact
 * again. A query that names a recall is answered by that: `recall: 1` is always exact. It is kept in the row of the index in
 * `_dv_indexes`, holds for every process from its next query on, and lasts through folds, rebuilds and migrations, until the
 * column is declared with other dimensions, another element or metric. `hybrid` does not use it, nor does libSQL.
 *
 * One UPDATE in a transaction of its own, or within the open one. A registry made by an older version of the library gets its
 * column for it, which as any DDL has the codes on disk written anew.
 *
 * @param recall - 0.5..1, or `null`; 1 is kept as `null` is
 * @param options.column - the vector column, by its key in the schema or its name in the database, where there are several
 * @throws {IndexMissingError | IndexFormatError} when the database does not record the index, or a newer version made it
 * @throws {InvalidOptionError} for a recall out of range, an unknown column, or none where there are several
 * @throws {ReadOnlyError | UnsupportedDriverError}
 * @example storeRecall(db, docsSearch, 0.98);
 */
export function storeRecall<TDb extends DbLike, TIndex extends IndexOrName>(
  db: TDb,
  index: TIndex,
  recall: number | null,
  options: { column?: ColumnOf<TIndex> } = {},
): Result<KindOf<TDb>, void> {
  const driver = driverOf(db);
  const target = targetOf(db, index);
  const wanted = recall === null ? 1 : numberWithin(recall ?? Number.NaN, "recall", 0.5, 1, 1);
  return driver.write(function* () {
    const { definition } = yield* recordedIndex(target);
    const vector = chosenVector(definition, index, options.column);
    yield* keepRecall(target, vector, wanted === 1 ? undefined : { recall: wanted, asked: wanted });
  }) as Result<KindOf<TDb>, void>;
}

/** The vector columns of an index, by their keys in the schema; any name where the index itself is named. */
export type ColumnOf<TIndex> = TIndex extends { readonly _: { readonly vectors: infer TVectors } }
  ? TVectors & string
  : string;

/** Writes or removes what is stored for a column, in the transaction of these steps. */
export function* keepRecall(target: Target, vector: VectorDefinition, stored: StoredRecall | undefined): Steps<void> {
  const { record } = yield* recordedIndex(target);
  const hasPlace = record.settings !== undefined;
  if (!hasPlace && !stored) return;
  yield* execute(settingsStatements(target.name, settingsWith(record.settings, vector, stored), { hasPlace }));
}
