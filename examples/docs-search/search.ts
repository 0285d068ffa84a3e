import { eq } from "drizzle-orm";
import { nearest } from "drizzle-vector";
import type { Db } from "./database.ts";
import type { Embedder } from "./embedder.ts";
import { passages, type Vector } from "./schema.ts";

export interface SearchOptions {
  limit: number;
  /** Only the documentation of this package. */
  package?: string | undefined;
}

export interface Answer {
  hits: Hit[];
  embedMs: number;
  searchMs: number;
}

export type Hit = ReturnType<typeof nearestPassages>[number];

/** Answers a question with the passages that lie nearest to it. */
export async function ask(db: Db, embedder: Embedder, question: string, options: SearchOptions): Promise<Answer> {
  const start = performance.now();
  const vector = await embedder.embedQuestion(question);
  const embedded = performance.now();
  const hits = nearestPassages(db, vector, options);
  return { hits, embedMs: embedded - start, searchMs: performance.now() - embedded };
}

function nearestPassages(db: Db, vector: Vector, { limit, package: name }: SearchOptions) {
  return nearest(db, passages.embedding, vector, {
    limit,
    where: name === undefined ? undefined : eq(passages.package, name),
    select: {
      package: passages.package,
      version: passages.version,
      file: passages.file,
      heading: passages.heading,
      text: passages.text,
    },
  }).all();
}
