import { sql } from "drizzle-orm";
import { expect } from "vitest";
import * as library from "../../src/index.ts";
import { bruteForce, type Scored } from "./brute-force.ts";
import { queryText, queryVector } from "./shapes.ts";
import type { Connection, World } from "./world.ts";

/** A connection and the Drizzle database on it. */
export type Handle = Pick<Connection, "client" | "db">;

/** What is asked about: a table with its index, and whether the index is whole. */
export type Asked = Pick<World, "shape" | "text" | "count" | "isHealthy">;

/** Numbers from which a question is made. */
export interface Question {
  readonly a: number;
  readonly b: number;
  readonly v: number;
}

/** Another connection may hold a lock that keeps even a reader out; that is SQLite's answer, not ours. */
const BUSY = /^SQLITE_(BUSY|LOCKED)/;
const UNHEALTHY = /^INDEX_(DETACHED|MISSING|PENDING)$/;
const CONDITION = "coalesce(u, 0) % 2 = 0";

/** Asks every helper on a connection and compares its answers with what a plain SELECT there gives at the same moment. */
export function ask(world: Asked, connection: Handle, question: Question): void {
  const { client } = connection;
  const wasOpen = client.inTransaction;
  const timeout = client.pragma("busy_timeout", { simple: true });
  for (const compare of [compareNearest, compareSearch, compareHybrid]) {
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

function scored({ shape }: Asked, hits: Record<string, any>[], measure: "$distance" | "$score"): Scored[] {
  return hits.map((hit) => [shape.keyColumns.map((_, i) => hit[`k${i}`]), hit[measure]]);
}

/** `nearest` answers whatever has become of its index, to the last tie. */
function compareNearest(world: Asked, { client, db }: Handle, question: Question): void {
  const { shape } = world;
  const { options, limit, offset, condition } = optionsOf(world, question);
  const query = queryVector(shape, question.v);
  const maxDistance = question.a === 4 ? 1 : undefined;
  const expected = bruteForce(client, shape, { query, condition, maxDistance });
  const search = library.nearest(db, shape.table.v, query as any, {
    ...options,
    metric: shape.metric,
    ...(maxDistance === undefined ? {} : { maxDistance }),
  }) as any;
  let actual: unknown;
  try {
    const { plan, fallback } = search.explain();
    world.count(`${plan}${fallback === null ? "" : `: ${fallback.replace(/trigger \S+/g, "trigger")}`}`);
    // Codes that are found out in time are wrong all the same.
    expect(fallback ?? "").not.toContain("contradict");
    if (world.isHealthy(client)) expect(fallback ?? "").not.toMatch(/missing|differs/);
    actual = scored(world, search.all(), "$distance");
  } catch (error) {
    if (codeOf(error) !== "STORED_DIMENSIONS") throw error;
    actual = "STORED_DIMENSIONS";
  }
  expect(actual).toEqual(Array.isArray(expected) ? expected.slice(offset, offset + limit) : expected);
}

/** `search` answers as a text index made this moment would, or says what is wrong with the index that it has. */
function compareSearch(world: Asked, { client, db }: Handle, question: Question): void {
  const { shape } = world;
  const { options, limit, offset, condition } = optionsOf(world, question);
  const text = queryText(question.v);
  const match = question.b % 2 ? "any" : "all";
  const expected = world.text.search(client, shape, { text, match, condition });
  let actual: Scored[];
  try {
    actual = scored(world, (library.search(db, shape.index, text, { ...options, match }) as any).all(), "$score");
  } catch (error) {
    if (!UNHEALTHY.test(codeOf(error)) || world.isHealthy(client)) throw error;
    world.count("search refused");
    return;
  }
  world.count(actual.length > 0 ? "search with hits" : "search without hits");
  expect(actual).toEqual(expected.slice(offset, offset + limit));
}

type Hybrid = (db: any, index: any, query: object, options: object) => { all(): Record<string, any>[] };
const hybrid = (library as { hybrid?: Hybrid }).hybrid;

/** Pages of `hybrid` are disjoint and add up to one list, every hit is a row, and each leg's ranks are those of the leg alone. */
function compareHybrid(world: Asked, { client, db }: Handle, question: Question): void {
  if (!hybrid) return;
  const { shape } = world;
  const { options, condition } = optionsOf(world, question);
  const query = { text: queryText(question.v), vector: queryVector(shape, question.v) };
  const page = (limit: number, offset: number) =>
    hybrid(db, shape.index, query, { ...options, limit, offset, depth: 1000 }).all();
  let all: Record<string, any>[];
  try {
    all = page(1000, 0);
  } catch (error) {
    if (codeOf(error) === "STORED_DIMENSIONS" || (UNHEALTHY.test(codeOf(error)) && !world.isHealthy(client))) return;
    throw error;
  }
  const size = Math.max(1, Math.ceil(all.length / 3));
  const pages: unknown[] = [];
  for (let offset = 0; offset < all.length; offset += size) pages.push(...page(size, offset));
  expect(pages).toEqual(all);
  const keyOf = (hit: Record<string, any>) => JSON.stringify(shape.keyColumns.map((_, i) => hit[`k${i}`]));
  const keys = all.map(keyOf);
  expect(new Set(keys).size).toBe(keys.length);
  const casts = shape.keyColumns.map((column) => `cast(${column} AS TEXT)`);
  const rows = client.prepare(`SELECT ${casts} FROM t WHERE ${condition}`).raw(true).all();
  const present = new Set(rows.map((row) => JSON.stringify(row)));
  expect(keys.filter((key) => !present.has(key))).toEqual([]);
  // With fewer rows than candidates each leg has all of its rows in the list.
  const vectors = bruteForce(client, shape, { query: query.vector, condition });
  const texts = world.text.search(client, shape, { text: query.text, match: "any", condition });
  const expected = new Set([...vectors, ...texts].map(([key]) => JSON.stringify(key)));
  expect(new Set(keys)).toEqual(expected);
  world.count("hybrid");
}
