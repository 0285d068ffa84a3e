import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { searchIndex, vectorColumn } from "../../src/index.ts";
import { randomVector, seeded } from "../reliability/random.ts";

/** The schema of the fixture databases. It never changes: another one needs other fixtures. */
export const docs = sqliteTable("docs", {
  id: integer().primaryKey(),
  slug: text().unique(),
  title: text().notNull(),
  body: text(),
  exact: vectorColumn(24),
  likely: vectorColumn({ dimensions: 32, element: "float16" }),
});
export const docsSearch = searchIndex("docs_search", docs, {
  text: { title: 3, body: 1 },
  tokenizer: "porter",
  vectors: { exact: { metric: "cosine" }, likely: { metric: "l2", exact: false } },
});

/** The same with a key that has to be mapped to ids. */
export const notes = sqliteTable("notes", {
  id: text().primaryKey(),
  body: text(),
  bits: vectorColumn({ dimensions: 16, element: "bit" }),
  bytes: vectorColumn({ dimensions: 8, element: "int8" }),
});
export const notesSearch = searchIndex("notes_search", notes, {
  text: { body: 1 },
  vectors: { bits: { metric: "hamming" }, bytes: { metric: "dot" } },
});

/** Vectors along a few directions, and enough of them for a rotation: codes of heads and tails, in two segments. */
export const photos = sqliteTable("photos", { id: integer().primaryKey(), vector: vectorColumn(64) });
export const photosSearch = searchIndex("photos_search", photos, { vectors: { vector: { metric: "l2" } } });

export const INDEXES = [docsSearch, notesSearch, photosSearch];

export const CREATE = `
CREATE TABLE docs (id INTEGER PRIMARY KEY, slug TEXT UNIQUE, title TEXT NOT NULL, body TEXT, exact BLOB, likely BLOB);
CREATE TABLE notes (id TEXT PRIMARY KEY NOT NULL, body TEXT, bits BLOB, bytes BLOB);
CREATE TABLE photos (id INTEGER PRIMARY KEY, vector BLOB);
`;

const WORDS =
  "join course late submit homework vector search index walking walked answer question certificate slack".split(" ");
const sentence = (random: () => number, words: number) =>
  Array.from({ length: words }, () => WORDS[Math.floor(random() * WORDS.length)]).join(" ");

/** Row `n`, the same each time; `version` gives it other contents. */
export function docOf(n: number, version = 0) {
  const random = seeded(n * 31 + version * 7919);
  return {
    id: n,
    slug: `doc-${n}`,
    title: sentence(random, 4),
    body: n % 10 === 0 ? null : sentence(random, 12),
    exact: n % 17 === 0 ? null : randomVector(random, 24),
    likely: randomVector(random, 32),
  };
}

export function noteOf(n: number, version = 0) {
  const random = seeded(n * 37 + version * 104_729);
  return {
    id: `note ${n}`,
    body: sentence(random, 8),
    bits: Array.from({ length: 16 }, () => Number(random() < 0.5)),
    bytes: Array.from({ length: 8 }, () => Math.floor(random() * 255) - 127),
  };
}

const DIRECTIONS = Array.from({ length: 6 }, (_, i) => randomVector(seeded(i + 1), 64));

export function photoOf(n: number, version = 0) {
  const random = seeded(n * 41 + version * 15_485_863);
  const vector = randomVector(random, 64).map((x) => x / 500);
  for (const direction of DIRECTIONS) {
    const along = random() * 2 - 1;
    for (let i = 0; i < vector.length; i++) vector[i] = Math.fround(vector[i]! + along * direction[i]!);
  }
  return { id: n, vector };
}

export const DOCS = 400;
export const NOTES = 120;
export const PHOTOS = 1100;
