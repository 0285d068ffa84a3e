// search() against raw FTS5 with the same MATCH, ORDER BY rank, LIMIT and join, and hybrid() against both of its legs, over
// 100,000 passages: one, two and six words, common and rare, with and without a condition.
import Database from "better-sqlite3";
import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { ensureSearchIndexes, hybrid, nearest, search, searchIndex, vectorColumn } from "../dist/index.js";
import { seeded, words } from "./lib/data.ts";
import { median, sideBySide } from "./lib/measure.ts";
import { vectorSource } from "./lib/vectors.ts";

const ROWS = 100_000;
const WORDS = 60;
const DIMENSIONS = 384;
const ROUNDS = 9;
/** Of what takes a few milliseconds and is told to a tenth of one. */
const ROUNDS_SHORT = 151;

const passages = sqliteTable(
  "passages",
  {
    id: integer().primaryKey(),
    course: text().notNull(),
    body: text().notNull(),
    embedding: vectorColumn(DIMENSIONS),
  },
  (t) => [index("passages_course").on(t.course)],
);
const passagesSearch = searchIndex("passages_search", passages, { text: { body: 1 }, vectors: { embedding: {} } });

const client = new Database(":memory:");
const db = drizzle({ client });
client.exec(
  "create table passages (id integer primary key, course text not null, body text not null, embedding blob); create index passages_course on passages (course)",
);
const random = seeded(1);
const source = vectorSource("like-minilm", DIMENSIONS, 2)!;
const vector = new Float32Array(DIMENSIONS);
const insert = client.prepare("insert into passages (course, body, embedding) values (?, ?, ?)");
client.transaction(() => {
  for (let row = 0; row < ROWS; row++) {
    source.nextRow(vector);
    insert.run(`c${row % 10}`, words(random, WORDS), Buffer.from(vector.buffer));
  }
})();
ensureSearchIndexes(db, [passagesSearch]);

// The words are numbered by how frequent they are: w1 is met in nearly every passage, w5xk in a handful.
const TEXTS = {
  "one common": "w1",
  "one mid": "w2s",
  "one rare": "w5xk",
  "two common": "w1 w2",
  "two rare": "w5xk w8aa",
  "six common": "w1 w2 w3 w4 w5 w6",
  "six mixed": "w1 w9 w4a wa1 w2bb w6cc",
  "six rare": "w5xk w8aa w7bb w9zz wabc wbcd",
};
const fts = '"_dv_passages_search_fts"';
const columns = "d.id, d.course, d.body";
const raw = client.prepare(
  `select ${columns}, f.rank from ${fts} f join passages d on d.id = f.rowid where f.${fts} match ? order by f.rank limit 10`,
);
const rawWhere = client.prepare(
  `select ${columns}, f.rank from ${fts} f join passages d on d.id = f.rowid where f.${fts} match ? and d.course = 'c3' order by f.rank limit 10`,
);

const rows: Record<string, Record<string, number | string>> = {};
for (const [name, typed] of Object.entries(TEXTS)) {
  for (const where of [undefined, eq(passages.course, "c3")]) {
    const ours = search(db, passagesSearch, typed, { where }).prepare();
    const theirs = where ? rawWhere : raw;
    const match = typed
      .split(" ")
      .map((word) => `"${word}"`)
      .join(" OR ");
    const times = sideBySide(ROUNDS, { raw: () => void theirs.all(match), ours: () => void ours.all() });
    const [base, own] = [median(times.raw!), median(times.ours!)];
    rows[`${name}${where ? ", where" : ""}`] = {
      "raw ms": Number(base.toFixed(2)),
      "search ms": Number(own.toFixed(2)),
      ratio: Number((own / base).toFixed(2)),
      "over 1.1x, ms": Number((own - 1.1 * base).toFixed(2)),
    };
  }
}
console.log(`${ROWS} passages of ${WORDS} words, top 10, median of ${ROUNDS}; at most 0.3 in the last column`);
console.table(rows);

source.nextQuery(vector);
nearest(db, passages.embedding, vector).all();
const legs: Record<string, Record<string, number>> = {};
for (const [name, typed] of Object.entries(TEXTS)) {
  const depth = { limit: 100, select: { id: passages.id } };
  const times = sideBySide(/common|mixed/.test(name) ? ROUNDS : ROUNDS_SHORT, {
    text: () => void search(db, passagesSearch, typed, depth).all(),
    vector: () => void nearest(db, passages.embedding, vector, depth).all(),
    hybrid: () => void hybrid(db, passagesSearch, { text: typed, vector }).all(),
  });
  const over = times.hybrid!.map((both, round) => both - times.text![round]! - times.vector![round]!);
  legs[name] = {
    "text ms": Number(median(times.text!).toFixed(2)),
    "vector ms": Number(median(times.vector!).toFixed(2)),
    "hybrid ms": Number(median(times.hybrid!).toFixed(2)),
    "over the sum, ms": Number(median(over).toFixed(2)),
  };
}
console.log("hybrid against its legs, 100 candidates each, median of the differences; at most 0.5 in the last column");
console.table(legs);

/** The so many most frequent words, in turn; a megabyte of them. */
const frequent = (count: number, length = 200_000) =>
  Array.from({ length }, (_, i) => `w${(1 + (i % count)).toString(36)}`).join(" ");
const megabytes = {
  "one word": "hello ".repeat(200_000),
  "the 17 most frequent": frequent(17),
  "the 64 most frequent": frequent(64),
  "as in prose": words(seeded(9), 200_000),
  "64 words: the most frequent": frequent(64, 64),
  "64 words as in prose": words(seeded(9), 64),
};
const long: Record<string, Record<string, number>> = {};
for (const [name, typed] of Object.entries(megabytes)) {
  const times = sideBySide(ROUNDS, { ms: () => void search(db, passagesSearch, typed).all() });
  const { terms, dropped } = search(db, passagesSearch, typed).explain();
  long[name] = {
    ms: Number(median(times.ms!).toFixed(1)),
    terms: terms.length,
    "in too many rows": dropped.filter(({ reason }) => reason === "in too many rows").length,
  };
}
console.log("1 MB of words, at most 50 ms; texts that are read whole");
console.table(long);
