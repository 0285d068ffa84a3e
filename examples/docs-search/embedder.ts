import type { Transaction } from "./database.ts";
import type { Vector } from "./schema.ts";

/** What an embedder gets to see of a passage. */
export interface PassageText {
  package: string;
  /** Path in the package without the ending; `sqlite-core/query-builders/select` tells more than many a heading. */
  file: string;
  heading: string;
  text: string;
}

/** Turns texts into vectors of `DIMENSIONS` numbers and unit length, so that texts about the same thing lie near each other. */
export interface Embedder {
  /** Names the model and all that decides its vectors. The database keeps it; under another name everything is embedded anew. */
  readonly name: string;
  embedPassages(passages: PassageText[]): Promise<Vector[]>;
  embedQuestion(question: string): Promise<Vector>;
  /**
   * For a model that is fitted on the passages themselves: learns from all of them and returns what stores the result, to
   * be called in the transaction that throws away the old vectors.
   */
  fit?(passages: PassageText[], onProgress: (share: number) => void): (tx: Transaction) => void;
}
