import { sql } from "drizzle-orm";
import type { Db } from "./database.ts";
import type { Embedder, PassageText } from "./embedder.ts";
import { countWords, embedText, fitLsa, type WordVectors } from "./lsa.ts";
import { DIMENSIONS, words } from "./schema.ts";

/** Raise it when the same passages shall give other vectors: tokenizer, weights, decomposition. */
const VERSION = 1;

/**
 * Latent semantic analysis of the passages themselves: no network, no key, no download. The model is the table `words`,
 * of which embedding a question reads the few rows it needs; so a restart costs nothing.
 */
export function lsaEmbedder(db: Db): Embedder {
  const embedAll = (texts: string[]) => {
    const vectors = readVectors(db, texts);
    return texts.map((text) => embedText(text, vectors, DIMENSIONS));
  };
  return {
    name: `latent semantic analysis (version ${VERSION})`,
    fit(passages, onProgress) {
      const vectors = fitLsa(passages.map(textOf), { dimensions: DIMENSIONS, onProgress });
      return (tx) => {
        tx.delete(words).run();
        const rows = [...vectors].map(([word, vector]) => ({ word, vector }));
        for (let i = 0; i < rows.length; i += 1000) {
          tx.insert(words)
            .values(rows.slice(i, i + 1000))
            .run();
        }
      };
    },
    async embedPassages(passages) {
      return embedAll(passages.map(textOf));
    },
    async embedQuestion(question) {
      return embedAll([question])[0]!;
    },
  };
}

/** A heading says in three words what the passage needs thirty for. */
function textOf({ package: name, file, heading, text }: PassageText): string {
  return [name, file, heading, heading, heading, text].join("\n");
}

function readVectors(db: Db, texts: string[]): WordVectors {
  const wanted = new Set(texts.flatMap((text) => [...countWords(text).keys()]));
  // One parameter, however many words: a list of parameters would reach SQLite's limit.
  const rows = db
    .select()
    .from(words)
    .where(sql`${words.word} in (select value from json_each(${JSON.stringify([...wanted])}))`)
    .all();
  return new Map(rows.map(({ word, vector }) => [word, vector]));
}
