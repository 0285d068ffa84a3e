import Database from "better-sqlite3";
import { codecOf, encodeVector, vectorBytes } from "../../src/codec/codec.ts";
import { referenceDistance } from "../../src/metric/reference.ts";
import { compareKeys } from "../../src/query/key.ts";
import type { Shape } from "./shapes.ts";

/** A key, cast to text part by part, and the distance or score of its row. */
export type Scored = readonly [key: readonly string[], measure: number];

export interface Limits {
  readonly limit: number;
  readonly offset: number;
}

/**
 * What `nearest` has to give: every row a plain SELECT on this connection sees at this moment, scored one by one, sorted.
 * `STORED_DIMENSIONS` where all that is stored has another length.
 */
export function bruteForce(
  client: Database.Database,
  { keyColumns, collations, element, dimensions, metric }: Shape,
  { query, condition, maxDistance }: { query: number[]; condition: string; maxDistance?: number | undefined },
): Scored[] | "STORED_DIMENSIONS" {
  const rows = client
    .prepare(`SELECT v, ${keyColumns} FROM t WHERE v IS NOT NULL AND ${condition}`)
    .raw(true)
    .safeIntegers(true)
    .all() as [unknown, ...unknown[]][];
  const { decode } = codecOf(element);
  const encoded = decode(encodeVector(query, { element, dimensions }, "q"));
  const blobs = rows.filter(([blob]) => blob instanceof Uint8Array) as [Uint8Array, ...unknown[]][];
  const fitting = blobs.filter(([blob]) => blob.length === vectorBytes({ element, dimensions }));
  if (fitting.length === 0 && blobs.length > 0) return "STORED_DIMENSIONS";
  return fitting
    .map(([blob, ...key]) => ({ key, distance: referenceDistance(metric, decode(blob), encoded) }))
    .filter(({ distance }) => Number.isFinite(distance) && distance <= (maxDistance ?? Number.POSITIVE_INFINITY))
    .sort((x, y) => x.distance - y.distance || compareKeys(x.key, y.key, collations))
    .map(({ key, distance }) => [key.map(String), distance]);
}

/**
 * What `search` has to give: the rows a plain SELECT sees at this moment in an FTS5 table made for the purpose, so that a text
 * left over or missing shows in the rows as well as in the score of every other row.
 */
export class TextOracle {
  readonly #client = new Database(":memory:");

  constructor(tokenizer: string) {
    this.#client.exec(`CREATE VIRTUAL TABLE f USING fts5(c0, c1, tokenize = '${tokenizer}')`);
  }

  close(): void {
    this.#client.close();
  }

  search(
    client: Database.Database,
    { keyColumns, collations }: Pick<Shape, "keyColumns" | "collations">,
    { text, match, condition }: { text: string; match: "any" | "all"; condition: string },
  ): Scored[] {
    const rows = client
      .prepare(`SELECT ${condition}, txt, note, ${keyColumns} FROM t`)
      .raw(true)
      .safeIntegers(true)
      .all() as [unknown, unknown, unknown, ...unknown[]][];
    const words = text
      .replaceAll("\0", " ")
      .split(/\s+/)
      .filter((word) => /[\p{L}\p{N}]/u.test(word));
    if (words.length === 0) return [];
    const phrases = [...new Set(words)].map((word) => `"${word.replaceAll('"', '""')}"`);
    const found = this.#client.transaction(() => {
      this.#client.exec("DELETE FROM f");
      const insert = this.#client.prepare("INSERT INTO f (rowid, c0, c1) VALUES (?, ?, ?)");
      for (const [i, [, txt, note]] of rows.entries()) insert.run(i, txt, note);
      return this.#client
        .prepare("SELECT rowid, -bm25(f, 3, 1) FROM f WHERE f MATCH ?")
        .raw(true)
        .all(phrases.join(match === "any" ? " OR " : " ")) as [number, number][];
    })();
    return found
      .map(([i, score]) => ({ row: rows[i]!, score }))
      .filter(({ row }) => Number(row[0]) === 1)
      .map(({ row: [, , , ...key], score }) => ({ key, score }))
      .sort((x, y) => y.score - x.score || compareKeys(x.key, y.key, collations))
      .map(({ key, score }) => [key.map(String), score]);
  }
}
