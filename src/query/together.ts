import type { Steps } from "../driver/driver.ts";
import type { Scan } from "../kernel/scan.ts";
import type { ScanTeam } from "../kernel/scan-team.ts";
import { type ScanThread, scanThreads, threadsByDefault } from "../kernel/scan-threads.ts";
import type { SpaceQuery } from "../vector/code-space.ts";
import { forgetCodes, type Resident } from "../vector/resident-column.ts";
import type { NearestRequest } from "./nearest-request.ts";
import type { Values } from "./search-query.ts";

/**
 * Bytes of codes that all searches together scan, from which on threads are worth being started, some 20 ms of work; and where there are
 * some, being called.
 */
const START_BYTES = 3e8;
const CALL_BYTES = 3e7;

/** Most teams have fewer lanes. */
const QUERIES_KEPT = 64;

/**
 * What several searches of one snapshot share that differ in their queries alone, as the first of them finds it: the codes, the rows
 * that match, and threads that scan for all of them.
 */
export class Together<TAsked> {
  readonly requests: readonly NearestRequest[];
  readonly #values: Values;
  readonly #threads: number | undefined;
  readonly #queries = new Map<number, SpaceQuery>();
  #resident: Resident | undefined;
  #asked: TAsked | undefined;
  #team: { readonly first: number; readonly made: ScanTeam | undefined } | undefined;

  /** @param threads - most threads that scan, this one included; undefined for the default */
  constructor(requests: readonly NearestRequest[], values: Values, threads: number | undefined) {
    this.requests = requests;
    this.#values = values;
    this.#threads = threads;
  }

  /** How many searches there are from the n-th on. */
  from(n: number): number {
    return this.requests.length - n;
  }

  /** The n-th query as the column stores it. */
  encoded(n: number): Uint8Array {
    return this.requests[n]!.query(this.#values);
  }

  /** What the n-th query is for codes. The last few are kept: a team asks for them ahead of the searches. */
  query(n: number, make: () => SpaceQuery): SpaceQuery {
    let query = this.#queries.get(n);
    if (!query) {
      query = make();
      this.#queries.set(n, query);
      if (this.#queries.size > QUERIES_KEPT) this.#queries.delete(this.#queries.keys().next().value!);
    }
    return query;
  }

  /** The codes, brought up to the snapshot. */
  *resident(ask: () => Steps<Resident>): Steps<Resident> {
    this.#resident ??= yield* ask();
    return this.#resident;
  }

  /** Which rows are asked. */
  *asked(ask: () => Steps<TAsked>): Steps<TAsked> {
    this.#asked ??= yield* ask();
    return this.#asked;
  }

  /**
   * The scan of the n-th search, made by several threads as those of all that follow; undefined where it has to be made alone.
   *
   * @param bytes - of codes that a scan reads
   * @param begin - makes the team, whose first scan is that of the n-th search
   */
  scan(
    n: number,
    bytes: number,
    begin: (count: number, threads: readonly ScanThread[]) => ScanTeam | undefined,
  ): Scan | undefined {
    if (!this.#team) {
      const count = this.from(n);
      const threads = this.#threadsFor(count, count * bytes);
      this.#team = { first: n, made: threads.length > 0 ? begin(count, threads) : undefined };
    }
    return this.#team.made?.take(n - this.#team.first);
  }

  #threadsFor(searches: number, bytes: number): readonly ScanThread[] {
    if (searches < 2 || bytes < (scanThreads.size > 0 ? CALL_BYTES : START_BYTES)) return [];
    return scanThreads.get(Math.min(this.#threads ?? threadsByDefault(), searches) - 1);
  }

  /** Has the next search look anew: something about the codes is wrong. */
  forget(connection: object): void {
    this.end();
    this.#resident = undefined;
    this.#queries.clear();
    this.#asked = undefined;
    this.#team = undefined;
    forgetCodes(connection);
  }

  /** Lets threads go. */
  end(): void {
    const team = this.#team?.made;
    if (this.#team) this.#team = { ...this.#team, made: undefined };
    team?.end();
  }
}
