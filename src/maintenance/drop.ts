import { installedIn } from "../change/attachment.ts";
import { type DbLike, driverOf, type KindOf, type Result } from "../driver/driver.ts";
import { planRemoval } from "../migration/plan.ts";
import { checkFeasible, execute, type IndexOrName, targetOf } from "./target.ts";

/**
 * Drops a search index with all its tables and triggers, and the registry with the last one; the user's table is not touched.
 * For an index that migrations manage, remove the declaration and run `drizzle-vector generate` instead: the next migration
 * would otherwise look for what is no longer there.
 *
 * @param index - a declaration, or the name of one that is no longer declared
 * @returns whether there was anything to drop
 * @throws {IndexFormatError} when a newer version of the library made the index
 * @throws {ReadOnlyError | InvalidOptionError | UnsupportedDriverError}
 * @example dropSearchIndex(db, "docs_search");
 */
export function dropSearchIndex<TDb extends DbLike>(db: TDb, index: IndexOrName): Result<KindOf<TDb>, boolean> {
  const driver = driverOf(db);
  const { name } = targetOf(db, index);
  return driver.write(function* () {
    const plan = planRemoval(name, yield* installedIn());
    checkFeasible(name, plan);
    yield* execute(plan.before);
    return plan.changes.length > 0;
  }) as Result<KindOf<TDb>, boolean>;
}
