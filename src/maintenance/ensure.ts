import { installedIn } from "../change/attachment.ts";
import { describe } from "../codec/codec.ts";
import { casingOf } from "../driver/casing.ts";
import { type DbLike, driverOf, type KindOf, type Result, type Steps } from "../driver/driver.ts";
import { DeclarationDriftError, InvalidOptionError, ReadOnlyError } from "../errors.ts";
import { checkTogether, definitionOf, FORMAT_VERSION, hashOf, type IndexDefinition } from "../migration/definition.ts";
import { findIndex, type IndexRecord, type Installed } from "../migration/installed.ts";
import { type Plan, planEnsure } from "../migration/plan.ts";
import { knownOptions } from "../query/options.ts";
import { isSearchIndex, type SearchIndex } from "../schema/search-index.ts";
import { checkFeasible, execute } from "./target.ts";

export interface EnsureOptions {
  /**
   * Creates text indexes empty, so that nobody waits for a big table: `search` refuses until `rebuild` has filled them.
   * Default `false`: a text index is filled at once.
   */
  deferText?: boolean;
}

/** What became of one index. */
export interface EnsuredIndex {
  index: string;
  action: "created" | "repaired" | "unchanged";
  /** What was done, in sentences without a full stop; empty where nothing was. */
  changes: string[];
}

/**
 * Creates or repairs search indexes in place: for apps that use `drizzle-kit push`, for tests and `:memory:`. All of them or,
 * on an error, none. Where everything is as it should be it only reads, so it can be called at every start.
 *
 * An index that migrations manage is restored as they recorded it and never changed, so that an old replica cannot undo a newer
 * migration. An index that is recorded but no longer declared is left alone; see `dropSearchIndex`.
 *
 * Filling text holds the write lock for the time of one INSERT … SELECT over the table, about 20 µs a row of 60 words;
 * `deferText` avoids that. Inside a transaction of the caller's everything happens in it.
 *
 * @param db - a Drizzle database or transaction on better-sqlite3 (answers at once) or libSQL (a promise)
 * @param indexes - declarations, or a schema: of its exports every `searchIndex` is taken
 * @returns one entry an index, in the order given
 * @throws {DeclarationDriftError} when migrations recorded another definition than the code declares, or the table lacks what is
 * declared
 * @throws {IndexFormatError} when a newer version of the library made the index
 * @throws {DeclarationError} when declarations contradict each other
 * @throws {ReadOnlyError} when something is to be done and the database cannot be written
 * @throws {InvalidOptionError | UnsupportedDriverError}
 * @example ensureSearchIndexes(db, [docsSearch]);
 */
export function ensureSearchIndexes<TDb extends DbLike>(
  db: TDb,
  indexes: readonly SearchIndex<any, any, any>[] | Readonly<Record<string, unknown>>,
  options?: EnsureOptions,
): Result<KindOf<TDb>, EnsuredIndex[]> {
  const driver = driverOf(db);
  const { deferText = false } = knownOptions<EnsureOptions>(options, "ensureSearchIndexes", ["deferText"]);
  const casing = casingOf(db);
  const definitions = declarationsIn(indexes).map((index) => definitionOf(index, { casing }));
  checkTogether(definitions);

  function* decide(): Steps<Decision[]> {
    const installed = yield* installedIn(definitions.map(({ table }) => table));
    return definitions.map((definition) => decisionFor(definition, installed, deferText));
  }

  // A start without anything to do takes no lock. What another process does meanwhile is seen inside the lock.
  const found = driver.run(decide);
  return afterwards(found, (first) => {
    if (first.every(isUnchanged)) return first.map(({ outcome }) => outcome);
    const repair = () =>
      driver.write(function* () {
        const decisions = yield* decide();
        for (const { plan } of decisions) yield* execute([...plan.before, ...plan.after]);
        return decisions.map(({ outcome }) => outcome);
      });
    if (!first.every((decision) => isUnchanged(decision) || decision.plan.canWait)) return repair();
    return unlessReadOnly(repair, () => first.map(({ outcome: { index } }) => unchanged(index)));
  }) as Result<KindOf<TDb>, EnsuredIndex[]>;
}

function unchanged(index: string): EnsuredIndex {
  return { index, action: "unchanged", changes: [] };
}

function isUnchanged({ outcome }: Decision): boolean {
  return outcome.action === "unchanged";
}

/** A replica that cannot be written may start all the same. */
function unlessReadOnly<T>(work: () => T | Promise<T>, instead: () => T): T | Promise<T> {
  const recover = (error: unknown): T => {
    if (error instanceof ReadOnlyError) return instead();
    throw error;
  };
  try {
    const value = work();
    return value instanceof Promise ? value.catch(recover) : value;
  } catch (error) {
    return recover(error);
  }
}

interface Decision {
  readonly plan: Plan;
  readonly outcome: EnsuredIndex;
}

function decisionFor(definition: IndexDefinition, installed: Installed, deferText: boolean): Decision {
  const found = findIndex(installed, definition.name);
  const record = found?.record;
  const isMigrated = record?.managed === "migrations" && record.format <= FORMAT_VERSION;
  if (isMigrated && record.hash !== hashOf(definition)) throw drifted(definition, record);
  const managed = record?.managed ?? "ensure";
  const plan = planEnsure(definition, installed, { managed, deferText });
  checkFeasible(definition.name, plan);
  const changes = plan.changes;
  const action = changes.length === 0 ? "unchanged" : found ? "repaired" : "created";
  return { plan, outcome: { index: definition.name, action, changes } };
}

function drifted(declared: IndexDefinition, { definition }: IndexRecord): DeclarationDriftError {
  const parts = ["table", "key", "text", "vectors"] as const;
  const differing = parts.filter((part) => JSON.stringify(declared[part]) !== JSON.stringify(definition?.[part]));
  return new DeclarationDriftError({
    subject: declared.name,
    expected: "the declaration its migrations were made from",
    got: `another ${differing.join(", ")} in the code`,
    hint: 'Run "drizzle-vector generate" and your migrations. If the database is newer than this code, deploy the newer code.',
  });
}

function declarationsIn(indexes: unknown): SearchIndex<any, any, any>[] {
  if (typeof indexes !== "object" || indexes === null) {
    throw new InvalidOptionError({
      subject: "indexes",
      expected: "an array of searchIndex or a schema",
      got: describe(indexes),
    });
  }
  if (isSearchIndex(indexes)) {
    const hint = "Put it into an array: ensureSearchIndexes(db, [index]).";
    throw new InvalidOptionError({
      subject: "indexes",
      expected: "an array of searchIndex or a schema",
      got: "one searchIndex",
      hint,
    });
  }
  const values: unknown[] = Object.values(indexes);
  // What a circular import hides is undefined, and must not go unnoticed.
  const strangers = Array.isArray(indexes) ? values.filter((value) => !isSearchIndex(value)) : [];
  if (strangers.length > 0) {
    throw new InvalidOptionError({ subject: "indexes", expected: "a searchIndex", got: describe(strangers[0]) });
  }
  // A schema may export one index under two names.
  return [...new Set(values.filter(isSearchIndex))];
}

function afterwards<T, U>(value: T | Promise<T>, next: (value: T) => U | Promise<U>): U | Promise<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}
