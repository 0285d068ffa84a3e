import { eq, type SQL } from "drizzle-orm";
import { hybrid, nearest, search } from "drizzle-vector";
import type { Db } from "./database.ts";
import type { Embedder } from "./embedder.ts";
import { passages, passagesSearch, type Vector } from "./schema.ts";

export interface SearchOptions {
  limit: number;
  /** Only the documentation of this package. */
  package?: string | undefined;
}

export interface Answer {
  /** The passages nearest in meaning. */
  hits: Hit[];
  /** The passages that have the question's words. */
  wordHits: WordHit[];
  /** Both at once: each passage with what either side says of it. */
  bothHits: BothHit[];
  embedMs: number;
  nearestMs: number;
  searchMs: number;
  hybridMs: number;
}

export type Hit = ReturnType<typeof nearestPassages>[number];
export type WordHit = ReturnType<typeof passagesWithWords>[number];
export type BothHit = ReturnType<typeof passagesByBoth>[number];

/** What is shown of a passage. */
const select = {
  package: passages.package,
  version: passages.version,
  file: passages.file,
  heading: passages.heading,
  text: passages.text,
};

/** Answers a question three times: with the passages that lie nearest to it, with those that have its words, and with both. */
export async function ask(db: Db, embedder: Embedder, question: string, options: SearchOptions): Promise<Answer> {
  const start = performance.now();
  const vector = await embedder.embedQuestion(question);
  const embedded = performance.now();
  const hits = nearestPassages(db, vector, options);
  const near = performance.now();
  const wordHits = passagesWithWords(db, question, options);
  const searched = performance.now();
  const bothHits = passagesByBoth(db, { text: question, vector }, options);
  const end = performance.now();
  return {
    hits,
    wordHits,
    bothHits,
    embedMs: embedded - start,
    nearestMs: near - embedded,
    searchMs: searched - near,
    hybridMs: end - searched,
  };
}

function nearestPassages(db: Db, vector: Vector, { limit, package: name }: SearchOptions) {
  return nearest(db, passages.embedding, vector, { limit, where: inPackage(name), select }).all();
}

function passagesWithWords(db: Db, question: string, { limit, package: name }: SearchOptions) {
  return search(db, passagesSearch, question, { limit, where: inPackage(name), select }).all();
}

function passagesByBoth(db: Db, query: { text: string; vector: Vector }, { limit, package: name }: SearchOptions) {
  return hybrid(db, passagesSearch, query, { limit, where: inPackage(name), select }).all();
}

function inPackage(name: string | undefined): SQL | undefined {
  return name === undefined ? undefined : eq(passages.package, name);
}
