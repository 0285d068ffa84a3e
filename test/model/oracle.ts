import Database from "better-sqlite3";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { expect } from "vitest";
import { ensureSearchIndexes, search, searchIndex } from "../../src/index.ts";
import { compareKeys } from "../../src/query/key.ts";
import type { Scored } from "./brute-force.ts";
import type { Shape } from "./shapes.ts";

/**
 * What `search` has to give: the rows a plain SELECT sees at this moment, in a database made for the purpose whose index never
 * saw anything else. A text left over or missing in the real index shows in the rows as well as in the score of every other
 * row. Which rows match plain words is told by FTS5 alone, without the library.
 */
export class TextOracle {
  readonly #client = new Database(":memory:");
  readonly #db = drizzle({ client: this.#client }) as any;
  readonly #index: any;
  readonly #keep: Database.Statement;
  /** The rows that are in it: their texts, and which of them count. */
  #texts = "";
  #kept = "";

  constructor(tokenizer: "unicode61" | "porter") {
    const rows = { n: integer().primaryKey(), keep: integer(), txt: text(), note: text() };
    this.#index = searchIndex("fresh", sqliteTable("fresh", rows), { text: { txt: 3, note: 1 }, tokenizer });
    this.#client.exec("CREATE TABLE fresh (n INTEGER PRIMARY KEY, keep INTEGER, txt TEXT, note TEXT)");
    this.#client.exec(`CREATE VIRTUAL TABLE f USING fts5(c0, c1, tokenize = '${tokenizer}')`);
    ensureSearchIndexes(this.#db, [this.#index]);
    this.#keep = this.#client.prepare("UPDATE fresh SET keep = ? WHERE n = ?");
  }

  close(): void {
    this.#client.close();
  }

  search(
    client: Database.Database,
    { keyColumns, collations }: Pick<Shape, "keyColumns" | "collations">,
    { text, options, condition }: { text: string; options: object; condition: string },
  ): Scored[] {
    const rows = client
      .prepare(`SELECT ${condition}, txt, note, ${keyColumns} FROM t`)
      .raw(true)
      .safeIntegers(true)
      .all() as [unknown, unknown, unknown, ...unknown[]][];
    this.#fill(rows);
    const asked = { ...options, where: sql`keep`, limit: 1_000_000, select: { n: sql<number>`n` } } as any;
    const hits = (search(this.#db, this.#index, text, asked) as any).all() as { n: number; $score: number }[];
    const isPlain = /^[\p{L}\p{N} ]+$/u.test(text) && Object.keys(options).join() === "match";
    if (isPlain) {
      const { match } = options as { match: "any" | "all" };
      expect(new Set(hits.map(({ n }) => n))).toEqual(this.#matching(text, match));
    }
    return hits
      .map(({ n, $score }) => ({ key: rows[n]!.slice(3), score: $score }))
      .sort((x, y) => y.score - x.score || compareKeys(x.key, y.key, collations))
      .map(({ key, score }) => [key.map(String), score]);
  }

  /** Makes the index anew, from nothing, unless the texts are those it was made of; which of the rows count is no part of it. */
  #fill(rows: readonly (readonly unknown[])[]): void {
    const texts = JSON.stringify(rows.map(([, txt, note]) => [typeof txt, String(txt), note]));
    const kept = rows.map(([keep]) => String(keep)).join();
    const isNew = texts !== this.#texts;
    if (!isNew && kept === this.#kept) return;
    this.#texts = "";
    this.#client.transaction(() => {
      if (isNew) this.#make(rows);
      else for (const [n, [keep]] of rows.entries()) this.#keep.run(keep, n);
    })();
    [this.#texts, this.#kept] = [texts, kept];
  }

  #make(rows: readonly (readonly unknown[])[]): void {
    this.#client.exec("DELETE FROM fresh; DELETE FROM f");
    const insert = this.#client.prepare("INSERT INTO fresh VALUES (?, ?, ?, ?)");
    const insertText = this.#client.prepare("INSERT INTO f (rowid, c0, c1) VALUES (?, ?, ?)");
    for (const [n, [keep, txt, note]] of rows.entries()) {
      insert.run(n, keep, txt, note);
      insertText.run(n, txt, note);
    }
  }

  #matching(text: string, match: "any" | "all"): Set<number> {
    const words = text.split(" ").map((word) => `"${word}"`);
    const found = "SELECT f.rowid FROM f JOIN fresh ON n = f.rowid WHERE f MATCH ? AND keep";
    return new Set(
      this.#client
        .prepare(found)
        .pluck()
        .all(words.join(match === "any" ? " OR " : " ")) as number[],
    );
  }
}
