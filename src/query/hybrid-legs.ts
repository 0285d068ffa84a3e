import { and, type SQL, sql } from "drizzle-orm";
import { toBytes, vectorBytes } from "../codec/codec.ts";
import { casingOf } from "../driver/casing.ts";
import type { BuiltSelect, QueryStep, Row, Selecting, Snapshot, Steps } from "../driver/driver.ts";
import { getOrMake } from "../driver/get-or-make.ts";
import { ZeroQueryError } from "../errors.ts";
import { scorerFor } from "../kernel/kernel.ts";
import type { AnyVectorColumn } from "../schema/vector-column.ts";
import { hitsValues, type Keyed, keyedSelect } from "./fetch.ts";
import { type Chosen, findNearest, reportSkipped } from "./find-nearest.ts";
import type { Leg } from "./fusion.ts";
import type { HybridRequest, VectorLeg } from "./hybrid-request.ts";
import { keysForm, keysToJson } from "./key.ts";
import { NearestRequest } from "./nearest-request.ts";
import type { FoundText, Scored } from "./search-leg.ts";
import type { Values } from "./search-query.ts";
import { damageOr } from "./text-damage.ts";

/** One leg's word on a row: its value, and its rank among the first `depth`, or null for a row that is scored only. */
export interface Standing {
  readonly rank: number | null;
  /** BM25, or the distance in the metric's own range. */
  readonly value: number;
}

/** Rows that at least one leg found, each with what every leg says of it. */
export interface Candidates {
  readonly keys: readonly Row[];
  readonly legs: readonly CandidateLeg[];
  readonly text: FoundText | undefined;
}

export interface CandidateLeg extends Leg {
  /** How many rows it found itself. */
  readonly found: number;
  /** How many it scored that another leg found. */
  readonly scored: number;
  /** Why it was not asked, or null. */
  readonly reason: string | null;
  /** How its rows were found; null for text, and for a leg that was not asked. */
  readonly nearest: Chosen | null;
  readonly ms: number;
}

/** What a leg says of a candidate, or null where it can say nothing. */
export function standingOf({ kind, scores, ranks }: Leg, at: number): Standing | null {
  const score = scores[at]!;
  if (Number.isNaN(score)) return null;
  return { rank: ranks[at] || null, value: signOf(kind) * score };
}

/** A distance is the worse the larger it is, a score the better. */
function signOf(kind: Leg["kind"]): 1 | -1 {
  return kind === "vector" ? -1 : 1;
}

interface LegsInput {
  readonly request: HybridRequest;
  readonly values: Values;
  readonly snapshot: Snapshot;
}

interface Valued extends Keyed {
  /** BM25, or a distance. */
  readonly value: number;
}

/** What a leg found, before the legs are put side by side. */
interface Answered {
  readonly name: string;
  readonly kind: "text" | "vector";
  readonly found: readonly Valued[];
  readonly reason: string | null;
  readonly nearest: Chosen | null;
  /** What scores the rows that other legs found, unless they have been. */
  readonly request?: NearestRequest;
  /** Rows that were scored besides. */
  readonly others: readonly Valued[];
  readonly ms: number;
}

/**
 * Asks every leg for its best `depth` rows under the same condition, and then each leg for the rows that only others found:
 * text within the same run of FTS5, vectors by reading those few. Words that the text excludes are part of the condition.
 */
export function* candidatesOf(input: LegsInput): Steps<Candidates> {
  const { request, values } = input;
  const match = request.text && (yield* request.text.words.match(values));
  const without = match && request.text!.selects.without(match);
  const where = without ? and(request.where, without) : request.where;
  const vectors: Answered[] = [];
  for (const leg of request.vectors) vectors.push(yield* nearestTo(leg, where, input));
  const start = performance.now();
  const among = new Places(vectors).keys;
  const page = { limit: request.depth, offset: 0 };
  const text =
    match && (yield* request.text!.find(values, page, { match, among: among.length === 0 ? undefined : among }));
  const answered = text ? [textLeg(text, performance.now() - start), ...vectors] : vectors;

  const places = new Places(answered);
  const legs: CandidateLeg[] = [];
  for (const leg of answered) legs.push(yield* sideBySide(leg, places, values));
  return { keys: places.keys, legs, text };
}

function textLeg({ match, candidates, others }: FoundText, ms: number): Answered {
  return {
    name: "text",
    kind: "text",
    found: candidates.map(valued),
    reason: match.expression === undefined ? "no word of the text can be searched for" : null,
    nearest: null,
    others: others.map(valued),
    ms,
  };
}

function valued({ key, score }: Scored): Valued {
  return { key, value: score };
}

function* nearestTo(
  { indexed, query }: VectorLeg,
  where: SQL | undefined,
  { request, values, snapshot }: LegsInput,
): Steps<Answered> {
  const start = performance.now();
  const { depth: limit, driver } = request;
  const base = { name: indexed.key, kind: "vector", others: [] } as const;
  try {
    // A stored recall is that of `nearest`: here nobody could ask for exact answers.
    const options = { where, limit, metric: indexed.metric, recall: 1 };
    const nearest = new NearestRequest(indexed.column as AnyVectorColumn, query, options);
    const found = yield* findNearest(nearest, { driver, values, snapshot });
    reportSkipped(nearest, found, driver.connection);
    return {
      ...base,
      found: found.candidates.map(({ key, distance }) => ({ key, value: distance })),
      reason: null,
      nearest: found,
      request: nearest,
      ms: performance.now() - start,
    };
  } catch (error) {
    // A text without a known word is often embedded as zeros: it says nothing of where to look.
    if (!(error instanceof ZeroQueryError))
      throw where === request.where ? error : damageOr(error, request.text!.declared.name);
    return { ...base, found: [], reason: "the vector is all zeros", nearest: null, ms: performance.now() - start };
  }
}

/** Reads the vectors of rows by key and scores them by the reference; rows without a vector that can be compared are left out. */
function* distancesOf(request: NearestRequest, rows: readonly Keyed[], values: Values): Steps<Valued[]> {
  if (rows.length === 0) return [];
  const step: QueryStep = {
    type: "query",
    build: (db) => vectorsSelect(db, request, rows),
    values: hitsValues(rows),
  };
  const read: Row[] = yield step;
  const scorer = scorerFor({ shape: request.shape, metric: request.metric, query: request.query(values) });
  const expected = vectorBytes(request.shape);
  const whole = read.flatMap(([blob, at]) => {
    const bytes = typeof blob === "object" && blob !== null ? toBytes(blob) : undefined;
    return bytes?.byteLength === expected ? [{ key: rows[Number(at)]!.key, bytes }] : [];
  });
  const scored: Valued[] = [];
  for (let from = 0; from < whole.length; from += scorer.capacity) {
    const batch = whole.slice(from, from + scorer.capacity);
    const distances = scorer.score(batch.map(({ bytes }) => bytes));
    for (const [i, { key }] of batch.entries()) {
      if (Number.isFinite(distances[i])) scored.push({ key, value: distances[i]! });
    }
  }
  return scored;
}

/** What reads the vectors of rows by key, by its column: building it takes Drizzle as long as SQLite needs to run it. */
const vectorsSelects = new WeakMap<AnyVectorColumn, Map<string, BuiltSelect>>();

function vectorsSelect(db: Selecting, { column, keyed }: NearestRequest, rows: readonly Keyed[]): BuiltSelect {
  const selects = getOrMake(vectorsSelects, column, () => new Map());
  const form = `${casingOf(db)} ${keysForm(rows.map(({ key }) => key))}`;
  return getOrMake(selects, form, () => {
    const text = keyedSelect(db, keyed, { vector: sql`${column}` }, rows).toSQL();
    return { toSQL: () => text };
  });
}

function* sideBySide(leg: Answered, places: Places, values: Values): Steps<CandidateLeg> {
  const start = performance.now();
  const { keys } = places;
  const scores = new Float64Array(keys.length).fill(Number.NaN);
  const ranks = new Int32Array(keys.length);
  const sign = signOf(leg.kind);
  for (const [i, { key, value }] of leg.found.entries()) {
    const at = places.of(key);
    scores[at] = sign * value;
    ranks[at] = i + 1;
  }
  let scored = 0;
  const missing = keys.flatMap((key, at) => (ranks[at] === 0 ? [{ key }] : []));
  const others = leg.request ? yield* distancesOf(leg.request, missing, values) : leg.others;
  for (const { key, value } of others) {
    const at = places.of(key);
    // A leg of text may score its own candidates, too.
    if (ranks[at] !== 0) continue;
    scores[at] = sign * value;
    scored++;
  }
  const { name, kind, found, reason, nearest } = leg;
  const ms = leg.ms + performance.now() - start;
  return { name, kind, scores, ranks, found: found.length, scored, reason, nearest, ms };
}

/** All rows that some leg found, each once, in the order of the legs. */
class Places {
  readonly keys: Row[] = [];
  readonly #at = new Map<string | number, number>();

  constructor(legs: readonly Answered[]) {
    for (const { found } of legs) {
      for (const { key } of found) {
        const name = nameOf(key);
        if (this.#at.has(name)) continue;
        this.#at.set(name, this.keys.length);
        this.keys.push(key);
      }
    }
  }

  /** Where a row stands among all, which it does. */
  of(key: Row): number {
    return this.#at.get(nameOf(key))!;
  }
}

/** What a key is known by: a number where it is one, so that no text has to be made of it. */
function nameOf(key: Row): string | number {
  const [part] = key;
  const number = key.length === 1 && (typeof part === "bigint" || typeof part === "number") ? Number(part) : Number.NaN;
  return Number.isSafeInteger(number) ? number : keysToJson([key]);
}
