import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { describe, expect, test } from "vitest";
import { ensureSearchIndexes, search, searchIndex } from "../../src/index.ts";
import type { Tokenizer } from "../../src/schema/tokenizer.ts";
import { matchOf } from "../../src/text/match.ts";
import { ENGLISH_STOP_WORDS } from "../../src/text/stop-words.ts";
import { wordCharacters } from "../../src/text/word-characters.ts";
import { openBetterSqlite3, seeded } from "../helpers/databases.ts";
import { hasSharedData, readJson } from "../helpers/shared-data.ts";

const TOKENIZERS = ["unicode61", "porter", "trigram"] as const;

function open(tokenizer: Tokenizer) {
  const docs = sqliteTable("docs", { id: integer().primaryKey(), title: text(), body: text() });
  const index = searchIndex("s", docs, { text: { title: 2, body: 1 }, tokenizer });
  const { db, client } = openBetterSqlite3();
  client.exec("create table docs (id integer primary key, title text, body text)");
  ensureSearchIndexes(db, [index]);
  const insert = client.prepare("insert into docs (title, body) values (?, ?)");
  for (const body of ["join the course", "日本語のテキスト", "Привет мир", "a b c 1 2 3", null])
    insert.run("title", body);
  return { db, client, docs, index };
}

/** What makes MATCH expressions, JavaScript strings, SQL or terminals stumble; made up here. */
const FRAGMENTS = [
  ..."\"'`“”‘’()[]{}<>:;,.!?*^+-_=~|&%$#@/\\\0\t\n\r\v\f\u00a0\u0085\u200b\u200d\u2028\ufeff\ufffd",
  ...["AND", "OR", "NOT", "NEAR", "NEAR(a b, 3)", "c0:", "{c0 c1}:", "- c0:", "rank", "rowid", "^a", "a*", '"a" + "b"'],
  ...[
    "\ud800",
    "\udc00",
    "\ud83d",
    "😀",
    "👩‍👩‍👧",
    "🇩🇪",
    "e\u0301",
    "\u0301",
    "ﷺ",
    "İ",
    "ß",
    "ς",
    "\u202e",
    "\ue000",
    "\u{10ffff}",
  ],
  ...[
    "日本語",
    "한국어",
    "ไทย",
    "العربية",
    "עברית",
    "हिन्दी",
    "Ελληνικά",
    "C++",
    "node.js",
    "O'Brien",
    "covid-19",
    "x".repeat(300),
  ],
  ...[
    "'; drop table docs; --",
    "' or 1=1 --",
    "$\u007ba}",
    "{{a}}",
    "%s%n",
    "<script>",
    "../../x",
    "-0",
    "1e999",
    "NaN",
    "null",
    "?1",
    ":a",
  ],
  ...["join", "course", "the", " ", " ", " "],
];

describe.each(TOKENIZERS)("no text throws over %s", (tokenizer) => {
  test("each character of ASCII alone, in each way to search", () => {
    const { db, index } = open(tokenizer);
    for (let code = 0; code < 128; code++) {
      const character = String.fromCharCode(code);
      for (const typed of [character, `${character} join`, `join${character}`, `"${character}`, `-${character}`]) {
        for (const match of ["any", "all"] as const) {
          search(db, index, typed, { match, prefix: true, weights: { title: 0 } }).all();
        }
      }
    }
    const found = search(db, index, "join").all();
    expect(found.map(({ id }) => id)).toEqual([1]);
  });

  test("every code point, by the dozen", () => {
    const { client } = open(tokenizer);
    const ask = client.prepare("select count(*) from _dv_s_fts where _dv_s_fts match ?").pluck();
    const characters = wordCharacters(tokenizer);
    let asked = 0;
    for (let code = 0; code < 0x110000; code += 48) {
      const typed = Array.from({ length: 48 }, (_, i) => String.fromCodePoint(Math.min(code + i, 0x10ffff))).join(" ");
      const options = { match: "any", prefix: true, stopWords: new Set<string>(), characters } as const;
      const { expression, terms, dropped } = matchOf(typed, options);
      expect(terms.length).toBeLessThanOrEqual(64);
      if (expression === undefined) expect(terms.length + dropped.length).toBe(dropped.length);
      else {
        ask.get(expression);
        asked++;
      }
    }
    // Three characters are never alone, but for the Hebrew letter with two marks that U+FB2C is an old form of.
    if (tokenizer === "trigram") expect(asked).toBe(1);
    else expect(asked).toBeGreaterThan(2000);
  }, 60_000);

  test("20,000 strings put together from what is known to hurt", () => {
    const { client } = open(tokenizer);
    const ask = client.prepare("select count(*) from _dv_s_fts where _dv_s_fts match ?").pluck();
    const random = seeded(tokenizer.length);
    const characters = wordCharacters(tokenizer);
    const pick = () => FRAGMENTS[Math.floor(random() * FRAGMENTS.length)]!;
    let asked = 0;
    for (let i = 0; i < 20_000; i++) {
      const typed = Array.from({ length: 1 + Math.floor(random() * 8) }, pick).join(random() < 0.5 ? "" : " ");
      const { expression, anywhere } = matchOf(typed, {
        match: random() < 0.5 ? "any" : "all",
        prefix: random() < 0.5,
        stopWords: random() < 0.5 ? ENGLISH_STOP_WORDS : new Set(),
        columns: random() < 0.5 ? ["c1"] : undefined,
        characters,
      });
      if (expression === undefined) continue;
      ask.get(expression);
      ask.get(anywhere);
      asked++;
    }
    expect(asked).toBeGreaterThan(10_000);
  }, 60_000);

  test("a thousand of them through search itself, highlights and explain included", () => {
    const { db, client, index } = open(tokenizer);
    const random = seeded(7);
    const pick = () => FRAGMENTS[Math.floor(random() * FRAGMENTS.length)]!;
    for (let i = 0; i < 1000; i++) {
      const typed = Array.from({ length: 1 + Math.floor(random() * 5) }, pick).join(random() < 0.5 ? "" : " ");
      const hits = search(db, index, typed, { highlight: { html: true, snippet: 5 } }).all();
      for (const { $score } of hits) expect(Number.isFinite($score)).toBe(true);
      if (i % 10 === 0) search(db, index, typed).explain();
    }
    expect(client.prepare("select count(*) from docs").pluck().get()).toBe(5);
  }, 60_000);

  test.runIf(hasSharedData)("the strings of the well-known list", () => {
    const { db, index } = open(tokenizer);
    const strings: string[] = readJson("text/naughty.json");
    expect(strings.length).toBeGreaterThan(500);
    for (const typed of strings) search(db, index, typed).all();
  });

  test("a megabyte of words is cut, capped and flagged", () => {
    const { db, index } = open(tokenizer);
    for (const typed of ["hello ".repeat(200_000), Array.from({ length: 200_000 }, (_, i) => `w${i}`).join(" ")]) {
      const explain = search(db, index, typed).explain();
      expect(explain.isCut).toBe(true);
      expect(explain.terms.length).toBeLessThanOrEqual(64);
    }
  });
});

test("each option of a tokenizer is one that FTS5 takes, and queries are cut as rows are", () => {
  const found = (tokenizer: Tokenizer, body: string, typed: string) => {
    const { db, client, index } = open(tokenizer);
    client.prepare("insert into docs (id, body) values (9, ?)").run(body);
    return search(db, index, typed).all().length;
  };
  expect([found("unicode61", "x-ray a_b", "ray"), found("unicode61", "x-ray a_b", "b a_c")]).toEqual([1, 2]);
  const joining = { name: "unicode61", tokenchars: "-_'\"" } as const;
  expect([
    found(joining, "x-ray a_b", "ray"),
    found(joining, "x-ray a_b", "x-ray"),
    found(joining, "o'k", "o'k"),
  ]).toEqual([0, 1, 1]);
  expect(found({ name: "porter", separators: "xy", removeDiacritics: false }, "oneytwo", "twox")).toBe(1);
  // Marks are no letters to unicode61: without their category a Hindi word is a phrase of its consonants.
  expect(found("unicode61", "हिन्दू", "हिन्दी")).toBe(1);
  const withMarks = { name: "unicode61", categories: "L* M* N* Co" } as const;
  expect([found(withMarks, "हिन्दू", "हिन्दी"), found(withMarks, "हिन्दी", "हिन्दी")]).toEqual([0, 1]);
  expect(found({ name: "trigram", caseSensitive: true }, "Joins", "joins")).toBe(0);
});

test("documented behaviour of scripts, by tokenizer", () => {
  const found = (tokenizer: (typeof TOKENIZERS)[number], typed: string) => {
    const { db, client, index } = open(tokenizer);
    client.exec("delete from docs");
    const bodies = [
      "日本語のテキスト",
      "Привет, мир",
      "שָׁלוֹם שלום",
      "naïve café",
      "ΟΔΟΣ",
      "fußball",
      "مرحبا بالعالم",
      "smile 😀😀😀",
    ];
    for (const [i, body] of bodies.entries()) {
      client.prepare("insert into docs (id, body) values (?, ?)").run(i + 1, body);
    }
    return search(db, index, typed)
      .all()
      .map(({ id }) => id);
  };
  // unicode61 takes a run without spaces for one word, whose beginning can be found; trigram finds any three characters, never two.
  expect([found("unicode61", "日本語"), found("trigram", "日本語"), found("trigram", "日本")]).toEqual([[1], [1], []]);
  expect([found("unicode61", "テキスト"), found("trigram", "テキスト")]).toEqual([[], [1]]);
  expect([found("unicode61", "МИР"), found("trigram", "привет")]).toEqual([[2], [2]]);
  expect(found("unicode61", "שלום")).toEqual([3]);
  expect([found("unicode61", "naive cafe"), found("trigram", "café"), found("trigram", "cafe")]).toEqual([
    [4],
    [4],
    [],
  ]);
  expect([found("unicode61", "οδος"), found("unicode61", "fussball")]).toEqual([[5], []]);
  expect([found("unicode61", "مرحبا"), found("trigram", "العالم")]).toEqual([[7], [7]]);
  expect([found("unicode61", "😀"), found("trigram", "😀😀😀")]).toEqual([[], [8]]);
});

test.each(["unicode61", "porter", "trigram"] as const)(
  "over %s a text in letters and marks apart, as macOS names files, finds what was typed, and itself",
  (tokenizer) => {
    const { db, client, index } = open(tokenizer);
    client.exec("delete from docs");
    const bodies = ["новый йод", "프로그램 데이터", "café crème", "ταξίδι", "ガイドブック", "đường phố"];
    for (const [i, body] of bodies.entries()) {
      const insert = client.prepare("insert into docs (id, body) values (?, ?)");
      insert.run(i + 1, body);
      insert.run(i + 11, body.normalize("NFD"));
    }
    for (const [i, body] of bodies.entries()) {
      for (const match of ["any", "all"] as const) {
        const hits = search(db, index, body.normalize("NFD"), { match, select: { id: index.table.id } }).all();
        expect(hits.map(({ id }) => id).sort((a, b) => a - b)).toEqual([i + 1, i + 11]);
      }
    }
  },
);
