import { sql } from "drizzle-orm";
import { toBytes, vectorBytes } from "../codec/codec.ts";
import type { DbLike, QueryStep, Row, Snapshot, Steps } from "../driver/driver.ts";
import { ZeroQueryError } from "../errors.ts";
import { scorerFor } from "../kernel/kernel.ts";
import { hitsSelect, hitsValues } from "./fetch.ts";
import { type Chosen, findNearest, reportSkipped } from "./find-nearest.ts";
import type { Leg } from "./fusion.ts";
import { columnOf, type HybridRequest } from "./hybrid-request.ts";
import { keysToJson } from "./key.ts";
import { NearestRequest } from "./nearest-request.ts";
import type { FoundText, Scored } from "./search-leg.ts";
import type { Values } from "./search-query.ts";

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
  readonly standings: readonly (Standing | null)[];
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

interface LegsInput {
  readonly request: HybridRequest;
  readonly db: DbLike;
  readonly values: Values;
  readonly snapshot: Snapshot;
}

interface Ranked {
  readonly key: Row;
  /** The key as text: what candidates are known by. */
  readonly id: string;
  readonly value: number;
}

/** What a leg found and scored, before the legs are put side by side. */
interface Answered {
  readonly name: string;
  readonly kind: "text" | "vector";
  readonly found: readonly Ranked[];
  readonly others: Ranked[];
  readonly reason: string | null;
  readonly nearest: Chosen | null;
  readonly request?: NearestRequest;
  ms: number;
}

/**
 * Asks every leg for its best `depth` rows under the same condition, and then each leg for the rows that only others found:
 * text within the same run of FTS5, vectors by reading those few.
 */
export function* candidatesOf(input: LegsInput): Steps<Candidates> {
  const { request, values } = input;
  const vectors: Answered[] = [];
  for (const leg of request.vectors) vectors.push(yield* nearestTo(leg, input));
  const start = performance.now();
  const among = unique(vectors.flatMap(({ found }) => found)).map(({ key }) => key);
  const page = { limit: request.depth, offset: 0 };
  const text = request.text && (yield* request.text.find(values, page, among.length === 0 ? undefined : among));
  const answered = text ? [textLeg(text, performance.now() - start), ...vectors] : vectors;

  const rows = unique(answered.flatMap(({ found }) => found));
  for (const leg of vectors) yield* scoreOthers(leg, rows, input);
  return { keys: rows.map(({ key }) => key), legs: answered.map((leg) => sideBySide(leg, rows)), text };
}

function textLeg({ match, candidates, others }: FoundText, ms: number): Answered {
  const found = candidates.map(ranked);
  const known = new Set(found.map(({ id }) => id));
  return {
    name: "text",
    kind: "text",
    found,
    others: others.map(ranked).filter(({ id }) => !known.has(id)),
    reason: match.expression === undefined ? "no word of the text can be searched for" : null,
    nearest: null,
    ms,
  };
}

function ranked({ key, score }: Scored): Ranked {
  return { key, id: keysToJson([key]), value: score };
}

function* nearestTo(
  leg: HybridRequest["vectors"][number],
  { request, db, values, snapshot }: LegsInput,
): Steps<Answered> {
  const start = performance.now();
  const { where, depth: limit, driver } = request;
  const base = { name: leg.name, kind: "vector", others: [] as Ranked[] } as const;
  try {
    // A stored recall is that of `nearest`: here nobody could ask for exact answers.
    const options = { where, limit, metric: leg.indexed.metric, recall: 1 };
    const nearest = new NearestRequest(columnOf(leg), leg.query, options);
    const found = yield* findNearest(nearest, { db, driver, values, snapshot });
    reportSkipped(nearest, found, driver.connection);
    return {
      ...base,
      found: found.candidates.map(({ key, distance }) => ({ key, id: keysToJson([key]), value: distance })),
      reason: null,
      nearest: found,
      request: nearest,
      ms: performance.now() - start,
    };
  } catch (error) {
    // A text without a known word is often embedded as zeros: it says nothing of where to look.
    if (!(error instanceof ZeroQueryError)) throw error;
    return { ...base, found: [], reason: "the vector is all zeros", nearest: null, ms: performance.now() - start };
  }
}

/** Reads the vectors of rows that other legs found, and scores them by the reference. */
function* scoreOthers(leg: Answered, candidates: readonly Candidate[], { values }: LegsInput): Steps<void> {
  if (!leg.request) return;
  const start = performance.now();
  const { request } = leg;
  const known = new Set(leg.found.map(({ id }) => id));
  const missing = candidates.filter(({ id }) => !known.has(id));
  if (missing.length === 0) return;
  const fields = { vector: sql`${request.column}` };
  const step: QueryStep = {
    type: "query",
    build: (db) => hitsSelect(db, request.keyed, fields, missing),
    values: hitsValues(missing),
  };
  const rows: Row[] = yield step;
  const scorer = scorerFor({ shape: request.shape, metric: request.metric, query: request.query(values) });
  const expected = vectorBytes(request.shape);
  const whole = rows.flatMap(([blob, rank]) => {
    const bytes = typeof blob === "object" && blob !== null ? toBytes(blob) : undefined;
    return bytes?.byteLength === expected ? [{ ...missing[Number(rank)]!, bytes }] : [];
  });
  for (let from = 0; from < whole.length; from += scorer.capacity) {
    const batch = whole.slice(from, from + scorer.capacity);
    const distances = scorer.score(batch.map(({ bytes }) => bytes));
    for (const [i, { key, id }] of batch.entries()) {
      if (Number.isFinite(distances[i])) leg.others.push({ key, id, value: distances[i]! });
    }
  }
  leg.ms += performance.now() - start;
}

function sideBySide(leg: Answered, candidates: readonly Candidate[]): CandidateLeg {
  const standings = new Map<string, Standing>();
  for (const { id, value } of leg.others) standings.set(id, { rank: null, value });
  for (const [i, { id, value }] of leg.found.entries()) standings.set(id, { rank: i + 1, value });
  const all = candidates.map(({ id }) => standings.get(id) ?? null);
  const sign = leg.kind === "vector" ? -1 : 1;
  return {
    name: leg.name,
    kind: leg.kind,
    scores: Float64Array.from(all, (standing) => (standing ? sign * standing.value : Number.NaN)),
    ranks: Int32Array.from(all, (standing) => standing?.rank ?? 0),
    standings: all,
    found: leg.found.length,
    scored: leg.others.length,
    reason: leg.reason,
    nearest: leg.nearest,
    ms: leg.ms,
  };
}

type Candidate = Omit<Ranked, "value">;

function unique(rows: readonly Ranked[]): Candidate[] {
  return [...new Map(rows.map((row) => [row.id, row])).values()];
}
