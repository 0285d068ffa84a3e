import { entityKind, QueryPromise } from "drizzle-orm";
import type { Driver, Kind, Result, Snapshot, Steps } from "../driver/driver.ts";
import { tellingAfter } from "../driver/events.ts";
import { valuesAsGiven } from "./as-given.ts";

/** What one run of a search gives. */
export interface Answer<THit, TExplain> {
  readonly hits: THit[];
  readonly explain: TExplain;
}

/** Values for the placeholders of a search, by name. */
export type Values = Record<string, unknown>;

/** A search with all its options checked and nothing run yet. */
export interface SearchPlan<THit, TExplain> {
  readonly driver: Driver;
  answer(values: Values, snapshot: Snapshot): Steps<Answer<THit, TExplain>>;
  /** The hits alone, where telling how they were found costs extra. Default those of `answer`. */
  hits?(values: Values, snapshot: Snapshot): Steps<THit[]>;
  /** Runs the search and freezes its hits as a subquery of this name. */
  freeze(alias: string, snapshot: Snapshot): Steps<unknown>;
}

/** A search that can be run again and again with other values for its placeholders. */
export class PreparedSearch<THit, TExplain, TKind extends Kind> {
  readonly #plan: SearchPlan<THit, TExplain>;

  constructor(plan: SearchPlan<THit, TExplain>) {
    this.#plan = plan;
  }

  /** All hits: at once on a synchronous driver, as a promise on the others. */
  all(values: Values = {}): Result<TKind, THit[]> {
    return this.#hits(values, (hits) => hits);
  }

  /** The first hit, or undefined. */
  get(values: Values = {}): Result<TKind, THit | undefined> {
    return this.#hits(values, ([first]) => first);
  }

  /** All hits, always as a promise. */
  async execute(values: Values = {}): Promise<THit[]> {
    return this.all(values) as THit[] | Promise<THit[]>;
  }

  /** Runs the search and tells how it went: plan, SQL, rows and bytes read, time a step. */
  explain(given: Values = {}): Result<TKind, TExplain> {
    const plan = this.#plan;
    const values = valuesAsGiven(given);
    return searched(plan, function* (snapshot) {
      return (yield* plan.answer(values, snapshot)).explain;
    }) as Result<TKind, TExplain>;
  }

  #hits<T>(given: Values, choose: (hits: THit[]) => T): Result<TKind, T> {
    const plan = this.#plan;
    const values = valuesAsGiven(given);
    return searched(plan, function* (snapshot) {
      return choose(plan.hits ? yield* plan.hits(values, snapshot) : (yield* plan.answer(values, snapshot)).hits);
    }) as Result<TKind, T>;
  }
}

function searched<T>({ driver }: { readonly driver: Driver }, steps: (snapshot: Snapshot) => Steps<T>) {
  return tellingAfter(driver, () => driver.search(steps));
}

/**
 * A search, not run yet: `await` it, or call `.all()`, `.get()`, `.explain()`, `.prepare()`, `.as()`. Every call runs it anew.
 * `THit` is a hit, `TExplain` what `.explain()` tells, `TSubquery` what `.as()` gives.
 */
export class SearchQuery<THit, TExplain, TSubquery, TKind extends Kind> extends QueryPromise<THit[]> {
  static override readonly [entityKind]: string = "DrizzleVectorSearch";
  readonly #plan: SearchPlan<THit, TExplain>;

  constructor(plan: SearchPlan<THit, TExplain>) {
    super();
    this.#plan = plan;
  }

  /** All hits: at once on a synchronous driver, as a promise on the others. */
  all(): Result<TKind, THit[]> {
    return this.prepare().all();
  }

  /** The first hit, or undefined. */
  get(): Result<TKind, THit | undefined> {
    return this.prepare().get();
  }

  override execute(): Promise<THit[]> {
    return this.prepare().execute();
  }

  /** Runs the search and tells how it went: plan, SQL, rows and bytes read, time a step. */
  explain(): Result<TKind, TExplain> {
    return this.prepare().explain();
  }

  /** The search with its options checked once, to be run with other values for its `sql.placeholder`s. */
  prepare(): PreparedSearch<THit, TExplain, TKind> {
    return new PreparedSearch(this.#plan);
  }

  /**
   * Runs the search now and freezes its hits as a subquery, to join in any Drizzle select: the primary-key columns under
   * their own names, `rank` from 1, and `distance` or `score`. The hits travel as one JSON parameter. A promise on an
   * asynchronous driver.
   *
   * @example
   * const hits = nearest(db, docs.embedding, query, { limit: 5 }).as("hits");
   * db.select({ title: docs.title, distance: hits.distance }).from(docs).innerJoin(hits, eq(hits.id, docs.id)).orderBy(hits.rank);
   */
  as<TAlias extends string>(alias: TAlias): Result<TKind, Aliased<TSubquery, TAlias>> {
    const plan = this.#plan;
    return searched(plan, (snapshot) => plan.freeze(alias, snapshot)) as Result<TKind, Aliased<TSubquery, TAlias>>;
  }
}

/** A type function from an alias to a subquery: `TSubquery` takes the alias as `this["alias"]`. */
export interface SubqueryOf {
  readonly alias: string;
  readonly type: unknown;
}

type Aliased<TSubquery, TAlias extends string> = TSubquery extends SubqueryOf
  ? (TSubquery & { readonly alias: TAlias })["type"]
  : never;
