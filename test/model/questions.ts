import { sql } from "drizzle-orm";
import { expect } from "vitest";
import * as library from "../../src/index.ts";
import { compareKeys } from "../../src/query/key.ts";
import { bruteForce, type Scored } from "./brute-force.ts";
import { queryText, queryVector, type Shape } from "./shapes.ts";
import type { Connection, World } from "./world.ts";

/** A connection and the Drizzle database on it. */
export type Handle = Pick<Connection, "client" | "db">;

/** What is asked about: a table with its index, and whether the index is whole. */
export type Asked = Pick<World, "shape" | "text" | "count" | "isHealthy"> & Partial<Pick<World, "recall">>;

/** Numbers from which a question is made. */
export interface Question {
  readonly a: number;
  readonly b: number;
  readonly v: number;
}

type Compare = (world: Asked, connection: Handle, question: Question) => void;

/** Another connection may hold a lock that keeps even a reader out; that is SQLite's answer, not ours. */
const BUSY = /^SQLITE_(BUSY|LOCKED)/;
const UNHEALTHY = /^(INDEX_(DETACHED|MISSING|PENDING)|DECLARATION_DRIFT)$/;
const CONDITION = "coalesce(u, 0) % 2 = 0";

/** Asks the helpers on a connection and compares their answers with what a plain SELECT there gives at the same moment. */
export function ask(
  world: Asked,
  connection: Handle,
  question: Question,
  comparisons: readonly Compare[] = comparisonsOf(question, world.shape),
): void {
  const { client } = connection;
  const wasOpen = client.inTransaction;
  const timeout = client.pragma("busy_timeout", { simple: true });
  for (const compare of comparisons) {
    try {
      compare(world, connection, question);
      world.count("compared");
      if (wasOpen) world.count("compared inside a transaction");
    } catch (error) {
      if (!BUSY.test(codeOf(error))) throw error;
    }
  }
  expect(client.inTransaction).toBe(wasOpen);
  expect(client.pragma("busy_timeout", { simple: true })).toBe(timeout);
}

/** Vectors each time, and one of the others beside. */
function comparisonsOf({ a, b, v }: Question, { isApproximate }: Shape): Compare[] {
  const beside = [compareSearch, compareHybrid, compareSearch, compareLikely, compareMany];
  return [isApproximate && a % 2 ? compareLikely : compareNearest, beside[(a + b + v) % beside.length]!];
}

/** Every helper, for a state that is looked at once. */
export function comparisonsOfAll(n: number): Compare[] {
  return [compareNearest, compareSearch, compareHybrid, n % 2 ? compareMany : compareLikely];
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown }).code ?? "");
}

function optionsOf({ shape }: Asked, { a, b, v }: Question) {
  const limit = a % 2 ? 1000 : 1 + (b % 4);
  const offset = v % 5 === 0 ? 1 : 0;
  const hasCondition = b % 3 === 2;
  return {
    limit,
    offset,
    condition: hasCondition ? CONDITION : "true",
    options: {
      limit,
      offset,
      ...(hasCondition ? { where: sql.raw(CONDITION) } : {}),
      select: Object.fromEntries(shape.keyColumns.map((column, i) => [`k${i}`, sql`cast(${sql.raw(column)} as text)`])),
    } as any,
  };
}

function keyOf({ shape }: Asked, hit: Record<string, any>): string[] {
  return shape.keyColumns.map((_, i) => hit[`k${i}`]);
}

function scored(world: Asked, hits: Record<string, any>[], measure: "$distance" | "$score"): Scored[] {
  return hits.map((hit) => [keyOf(world, hit), hit[measure]]);
}

/** The answer, or the name of the one error there is instead of an answer. */
function unlessStored<T>(work: () => T): T | "STORED_DIMENSIONS" {
  try {
    return work();
  } catch (error) {
    if (codeOf(error) !== "STORED_DIMENSIONS") throw error;
    return "STORED_DIMENSIONS";
  }
}

function countPlan(
  world: Asked,
  { client }: Handle,
  { plan, fallback }: { plan: string; fallback: string | null },
): void {
  world.count(`${plan}${fallback === null ? "" : `: ${fallback.replace(/trigger \S+/g, "trigger")}`}`);
  // Codes that are found out in time are wrong all the same.
  expect(fallback ?? "").not.toContain("contradict");
  if (world.isHealthy(client)) expect(fallback ?? "").not.toMatch(/missing|differs/);
}

/** `nearest` answers whatever has become of its index, to the last tie. */
function compareNearest(world: Asked, handle: Handle, question: Question): void {
  const { shape } = world;
  const { options, limit, offset, condition } = optionsOf(world, question);
  const query = queryVector(shape, question.v);
  const maxDistance = question.a === 4 ? 1 : undefined;
  const expected = bruteForce(handle.client, shape, { query, condition, maxDistance });
  const search = library.nearest(handle.db, shape.table.v, query as any, {
    ...options,
    metric: shape.metric,
    ...(maxDistance === undefined ? {} : { maxDistance }),
  }) as any;
  const actual = unlessStored(() => {
    countPlan(world, handle, search.explain());
    return scored(world, search.all(), "$distance");
  });
  expect(actual).toEqual(Array.isArray(expected) ? expected.slice(offset, offset + limit) : expected);
}

/** Several queries at once are answered as one by one. */
function compareMany(world: Asked, { client, db }: Handle, question: Question): void {
  const { shape } = world;
  const { options, limit, offset, condition } = optionsOf(world, question);
  const queries = [0, 1, 7].map((n) => queryVector(shape, question.v + n));
  const expected = queries.map((query) => bruteForce(client, shape, { query, condition }));
  const many = library.nearestMany(db, shape.table.v, queries as any, { ...options, metric: shape.metric }) as any;
  const actual = unlessStored(() => (many.all() as any[][]).map((hits) => scored(world, hits, "$distance")));
  const isRefused = expected.includes("STORED_DIMENSIONS");
  expect(actual).toEqual(
    isRefused ? "STORED_DIMENSIONS" : expected.map((one) => (one as Scored[]).slice(offset, offset + limit)),
  );
}

const RECALLS = [0.5, 0.8, 0.9, 0.95, 0.99];

/**
 * For a recall below 1 an answer is still nothing but rows that match, each with its own distance, in order, and `limit` of them
 * where there are so many. How many of the true neighbours are found is counted, and compared with what was asked for in the end.
 */
function compareLikely(world: Asked, handle: Handle, question: Question): void {
  const { shape } = world;
  const { options, offset, condition } = optionsOf(world, question);
  const limit = [1, 3, 10, 1000][question.a % 4]!;
  const recall = RECALLS[question.b % RECALLS.length]!;
  const query = queryVector(shape, question.v);
  const expected = bruteForce(handle.client, shape, { query, condition });
  const search = library.nearest(handle.db, shape.table.v, query as any, {
    ...options,
    limit,
    recall,
    metric: shape.metric,
  }) as any;
  const actual = unlessStored(() => {
    countPlan(world, handle, search.explain());
    return scored(world, search.all(), "$distance");
  });
  if (expected === "STORED_DIMENSIONS" || actual === "STORED_DIMENSIONS") {
    expect(actual).toEqual(expected);
    return;
  }
  const wanted = expected.slice(offset, offset + limit);
  expect(actual.length).toBe(wanted.length);
  const keys = new Set(actual.map(([key]) => JSON.stringify(key)));
  expect(keys.size).toBe(actual.length);
  // What was found, in the order of the truth and with its distances, is what was answered.
  expect(actual).toEqual(expected.filter(([key]) => keys.has(JSON.stringify(key))));
  if (offset > 0 || !world.recall) return;
  const last = wanted.at(-1)?.[1] ?? 0;
  world.recall.there += wanted.length;
  world.recall.found += actual.filter(([, distance]) => distance <= last).length;
  world.recall.asked += wanted.length * recall;
}

function textOptionsOf({ a, b, v }: Question): object {
  return {
    match: b % 2 ? "any" : "all",
    ...(v % 7 === 3 ? { prefix: true } : {}),
    ...(a % 5 === 3 ? { weights: [{ txt: 0 }, { note: 2.5 }, { txt: 0.5, note: 0 }][v % 3] } : {}),
  };
}

/** `search` answers as a text index made this moment would, or says what is wrong with the index that it has. */
function compareSearch(world: Asked, { client, db }: Handle, question: Question): void {
  const { shape } = world;
  const { options, limit, offset, condition } = optionsOf(world, question);
  const text = queryText(question.v);
  const textOptions = textOptionsOf(question);
  const expected = world.text.search(client, shape, { text, options: textOptions, condition });
  let actual: Scored[];
  try {
    actual = scored(
      world,
      (library.search(db, shape.index, text, { ...options, ...textOptions }) as any).all(),
      "$score",
    );
  } catch (error) {
    if (!UNHEALTHY.test(codeOf(error)) || world.isHealthy(client)) throw error;
    world.count("search refused");
    return;
  }
  world.count(actual.length > 0 ? "search with hits" : "search without hits");
  expect(actual).toEqual(expected.slice(offset, offset + limit));
}

const FUSIONS = { shares: library.shares(), rrf: library.rrf(), linear: library.linear() };

/** `hybrid` is the fusion of what both legs give by themselves, and its pages are slices of one list. */
function compareHybrid(world: Asked, { client, db }: Handle, question: Question): void {
  const { shape } = world;
  const { options, condition } = optionsOf(world, question);
  const query = { text: queryText(question.v), vector: queryVector(shape, question.v) };
  const name = (["shares", "rrf", "linear"] as const)[question.v % 3]!;
  const page = (limit: number, offset: number) =>
    (
      library.hybrid(db, shape.index, query as any, {
        ...options,
        limit,
        offset,
        depth: 1000,
        fusion: FUSIONS[name],
      }) as any
    ).all() as Record<string, any>[];
  const texts = world.text.search(client, shape, { text: query.text, options: {}, condition });
  // A word the text excludes is in no hit, whichever leg found it; a negative number excludes nothing.
  const [, excluded] = / -([^\d\s]\S*)$/.exec(query.text) ?? [];
  const out = excluded ? world.text.search(client, shape, { text: excluded, options: {}, condition }) : [];
  const without = new Set(out.map(([key]) => JSON.stringify(key)));
  const vectors = bruteForce(client, shape, { query: query.vector, condition, without });
  let all: Record<string, any>[];
  try {
    all = page(1000, 0);
  } catch (error) {
    if (codeOf(error) === "STORED_DIMENSIONS" && vectors === "STORED_DIMENSIONS") return;
    if (UNHEALTHY.test(codeOf(error)) && !world.isHealthy(client)) return;
    throw error;
  }
  const expected = fuse(name, { texts, vectors: vectors as Scored[] });
  const actual = all.map(
    (hit): Fused => ({ key: keyOf(world, hit), text: hit.$text, vector: hit.$vector, score: hit.$score }),
  );
  const known = new Map(expected.map((hit) => [JSON.stringify(hit.key), hit]));
  expect(actual.map(({ key, text, vector }) => ({ key, text, vector }))).toEqual(
    actual.map(({ key: own }) => {
      const { key, text, vector } = known.get(JSON.stringify(own))!;
      return { key, text, vector };
    }),
  );
  expect(actual.length).toBe(expected.length);
  const order = (one: Fused, other: Fused) => other.score - one.score || compareKeys(one.key, other.key, []);
  if (name === "shares")
    expect(actual.map(({ score }) => score)).toEqual([...actual].sort(order).map(({ score }) => score));
  else {
    for (const { key, score } of actual) expect(score).toBeCloseTo(known.get(JSON.stringify(key))!.score, 9);
  }
  const offset = Math.floor(all.length / 2);
  if (all.length > 0)
    expect([...page(Math.max(1, offset), 0), ...page(1000 - offset, offset)].slice(0, all.length)).toEqual(all);
  world.count("hybrid");
}

interface Fused {
  readonly key: string[];
  readonly text: { rank: number; score: number } | null;
  readonly vector: { rank: number; distance: number } | null;
  readonly score: number;
}

/** The legs side by side. With fewer rows than candidates each leg has all of its rows in the list. */
function fuse(name: keyof typeof FUSIONS, { texts, vectors }: { texts: Scored[]; vectors: Scored[] }): Fused[] {
  const places = (leg: Scored[]) =>
    new Map(leg.map(([key, value], i) => [JSON.stringify(key), { rank: i + 1, value }]));
  const [text, vector] = [places(texts), places(vectors)];
  const part = (leg: Map<string, { rank: number; value: number }>, key: string, isDistance: boolean): number => {
    const place = leg.get(key);
    if (!place) return 0;
    if (name === "rrf") return 1 / (60 + place.rank);
    const values = [...leg.values()].map(({ value }) => value);
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const share = most > least ? (place.value - least) / (most - least) : 0;
    return most > least ? (isDistance ? 0.3 * (1 - share) : 0.7 * share) : isDistance ? 0.3 : 0.7;
  };
  return [...new Set([...text.keys(), ...vector.keys()])].map((key) => {
    const [t, v] = [text.get(key), vector.get(key)];
    return {
      key: JSON.parse(key) as string[],
      text: t ? { rank: t.rank, score: t.value } : null,
      vector: v ? { rank: v.rank, distance: v.value } : null,
      score: part(text, key, false) + part(vector, key, true),
    };
  });
}
