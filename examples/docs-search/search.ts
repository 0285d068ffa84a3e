import { eq, type SQL } from "drizzle-orm";
import { nearest, search } from "drizzle-vector";
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
  embedMs: number;
  nearestMs: number;
  searchMs: number;
}

export type Hit = ReturnType<typeof nearestPassages>[number];
export type WordHit = ReturnType<typeof passagesWithWords>[number];

/** What is shown of a passage. */
const select = {
  package: passages.package,
  version: passages.version,
  file: passages.file,
  heading: passages.heading,
  text: passages.text,
};

/** Answers a question twice: with the passages that lie nearest to it, and with those that have its words. */
export async function ask(db: Db, embedder: Embedder, question: string, options: SearchOptions): Promise<Answer> {
  const start = performance.now();
  const vector = await embedder.embedQuestion(question);
  const embedded = performance.now();
  const hits = nearestPassages(db, vector, options);
  const near = performance.now();
  const wordHits = passagesWithWords(db, question, options);
  const end = performance.now();
  return { hits, wordHits, embedMs: embedded - start, nearestMs: near - embedded, searchMs: end - near };
}

function nearestPassages(db: Db, vector: Vector, { limit, package: name }: SearchOptions) {
  return nearest(db, passages.embedding, vector, { limit, where: inPackage(name), select }).all();
}

function passagesWithWords(db: Db, question: string, { limit, package: name }: SearchOptions) {
  return search(db, passagesSearch, question, { limit, where: inPackage(name), select }).all();
}

function inPackage(name: string | undefined): SQL | undefined {
  return name === undefined ? undefined : eq(passages.package, name);
}
