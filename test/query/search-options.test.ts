import { and, eq, gte, inArray, isNull, lt, ne } from "drizzle-orm";
import { integer, real, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { describe, expect, test } from "vitest";
import { ensureSearchIndexes, rebuild, search, searchIndex, verify } from "../../src/index.ts";
import { DRIVERS, openBetterSqlite3 } from "../helpers/databases.ts";

const docs = sqliteTable("docs", {
  id: integer().primaryKey(),
  title: text(),
  body: text(),
  course: text(),
  points: real(),
});
const DDL = "create table docs (id integer primary key, title text, body text, course text, points real)";
const index = searchIndex("docs_search", docs, { text: { title: 3, body: 1, course: 0 }, tokenizer: "porter" });

async function filled(
  open: (typeof DRIVERS)[number]["open"],
  rows: readonly Record<string, any>[],
  declared: any = index,
) {
  const { db, exec } = open();
  await exec(DDL);
  await ensureSearchIndexes(db, [declared]);
  if (rows.length > 0) await db.insert(docs).values(rows);
  return { db, exec };
}

const ids = (hits: readonly Record<string, any>[]) => hits.map(({ id }) => id);

/** Rows that match nothing, so that the words of the others are rare. */
const OTHERS = Array.from({ length: 20 }, (_, i) => ({ id: 100 + i, title: "nothing", body: "else" }));

describe.each(DRIVERS)("options of search on $name", ({ open }) => {
  const ROWS = [
    { id: 1, title: "apples and pears", body: "about fruit", course: "ml" },
    { id: 2, title: "fruit", body: "apples and apples & <pears>", course: "de" },
    { id: 3, title: "late joining", body: null, course: "apples" },
    ...OTHERS,
  ];

  test("weights of a query stand over the declared; 0 leaves a column out, also one declared with 0 can count", async () => {
    const { db } = await filled(open, ROWS);
    expect(ids(await search(db, index, "apples"))).toEqual([1, 2]);
    expect(ids(await search(db, index, "apples", { weights: { title: 0.01 } }))).toEqual([2, 1]);
    expect(ids(await search(db, index, "apples", { weights: { title: 0 } }))).toEqual([2]);
    expect(ids(await search(db, index, "apples", { weights: { title: 0, body: 0, course: 1 } }))).toEqual([3]);
    const { columns, match } = await search(db, index, "apples", { weights: { body: 0 } }).explain();
    expect(columns).toEqual([
      { column: "title", weight: 3 },
      { column: "body", weight: 0 },
      { column: "course", weight: 0 },
    ]);
    expect(match).toBe('{c0} : ("apples")');
  });

  test("72: weights that are no numbers from 0 up, of unknown columns or all 0 are typed errors", async () => {
    const { db } = await filled(open, []);
    const run = (weights: any) => () => search(db, index, "apples", { weights });
    for (const weight of [Number.NaN, Number.POSITIVE_INFINITY, -1, "3", null, 1e300]) {
      expect(run({ title: weight })).toThrow("weights.title: expected a number from 0 to");
    }
    expect(run({ heading: 1 })).toThrow("weights.heading: expected a text column of docs_search: title, body, course");
    expect(run({ title: 0, body: 0 })).toThrow("weights: expected a column with a weight above 0, got only zeros");
    expect(run([1, 2])).toThrow("weights: expected an object of weights by column");
  });

  test("74: options and weights from JSON with __proto__ and constructor change nothing", async () => {
    const { db } = await filled(open, ROWS);
    const options = JSON.parse(
      '{"__proto__":{"limit":1},"constructor":{"prototype":{"x":1}},"weights":{"__proto__":{"title":0},"constructor":1},"highlight":{"__proto__":{"html":true}}}',
    );
    expect(ids(await search(db, index, "apples", options))).toEqual([1, 2]);
    expect(({} as any).limit).toBeUndefined();
    expect(({} as any).x).toBeUndefined();
  });

  test("a phrase is found as it stands, and a word with a minus leaves rows out", async () => {
    const { db } = await filled(open, ROWS);
    expect(ids(await search(db, index, '"apples and pears"'))).toEqual([1]);
    expect(ids(await search(db, index, "apples -about"))).toEqual([2]);
    expect(ids(await search(db, index, 'fruit -"apples and pears"'))).toEqual([2]);
    const { excluded } = await search(db, index, "apples -about").explain();
    expect(excluded).toEqual(["about"]);
  });

  test("however many words are left out, one is enough to leave a row out, and the rest are found", async () => {
    const rows = Array.from({ length: 30 }, (_, i) => ({ id: i + 1, title: `apples w${i}`, body: `w${(i * 7) % 30}` }));
    const { db } = await filled(open, rows);
    for (const excluded of [1, 3, 4, 5, 8, 9, 20]) {
      const words = Array.from({ length: excluded }, (_, i) => `w${i}`);
      const left = rows.filter(({ title, body }) => !words.some((word) => [title.slice(7), body].includes(word)));
      const typed = `apples ${words.map((word) => `-${word}`).join(" ")}`;
      for (const match of ["any", "all"] as const) {
        const hits = ids(await search(db, index, typed, { match, limit: 30 }));
        expect(hits.sort((a, b) => a - b)).toEqual(left.map(({ id }) => id));
      }
    }
  });

  test("prefix finds what the last word begins", async () => {
    const { db } = await filled(open, ROWS);
    expect(await search(db, index, "late joi")).toMatchObject([{ id: 3 }]);
    expect(ids(await search(db, index, "joi"))).toEqual([]);
    expect(ids(await search(db, index, "joi", { prefix: true }))).toEqual([3]);
    expect(ids(await search(db, index, "late fru", { prefix: true, match: "all" }))).toEqual([]);
    await expect(async () => search(db, index, "x", { prefix: 1 as any })).rejects.toThrow(
      "prefix: expected true or false",
    );
  });

  test.each(["simulation", "programming", "encryption", "analysis", "keyboard", "utilities", "powerful", "embedded"])(
    "typed letter by letter, %s is never lost, though the index has its stem alone",
    async (word) => {
      const { db } = await filled(open, [
        { id: 1, title: `late ${word}`, body: null, course: null },
        { id: 2, title: "simulacra, key", body: "late", course: null },
        ...OTHERS,
      ]);
      for (let length = 3; length <= word.length; length++) {
        const typed = word.slice(0, length);
        for (const match of ["any", "all"] as const) {
          expect([typed, ...ids(await search(db, index, typed, { prefix: true, match }))]).toContain(1);
          expect([typed, ...ids(await search(db, index, `late ${typed}`, { prefix: true, match }))]).toContain(1);
        }
      }
    },
  );

  test("a word that begins as typed comes before one that only has the stem of an ending", async () => {
    const { db } = await filled(open, [
      { id: 1, title: "classic", body: null, course: null },
      { id: 2, title: "classics", body: null, course: null },
      { id: 3, title: "class", body: null, course: null },
      ...OTHERS,
    ]);
    expect(ids(await search(db, index, "classi", { prefix: true }))).toEqual([1, 2]);
    await db.insert(docs).values([4, 5].map((id) => ({ id, title: "classes" })));
    expect(ids(await search(db, index, "classi", { prefix: true }))).toEqual([1, 2, 3, 4, 5]);
    const { terms, match } = await search(db, index, "classi", { prefix: true }).explain();
    expect([terms, match]).toEqual([["classi"], '{c0 c1} : (("classi"* OR "classing"))']);
  });

  test("stop words: left out over porter unless told otherwise, one's own, none", async () => {
    const { db } = await filled(open, ROWS);
    const terms = async (options?: any) => (await search(db, index, "the pears and what", options).explain()).terms;
    expect(await terms()).toEqual(["pears"]);
    expect(await terms({ stopWords: false })).toEqual(["the", "pears", "and", "what"]);
    expect(await terms({ stopWords: ["Pears"] })).toEqual(["the", "and", "what"]);
    expect(await terms({ match: "all" })).toEqual(["the", "pears", "and", "what"]);
    expect(await terms({ match: "all", stopWords: true })).toEqual(["pears"]);
    expect(ids(await search(db, index, "and"))).toEqual([1, 2]);
    await expect(async () => search(db, index, "x", { stopWords: "english" as any })).rejects.toThrow(
      "stopWords: expected true, false or an array of words",
    );
  });

  test("highlights mark the words found, whatever their form, in the columns asked for", async () => {
    const { db } = await filled(open, ROWS);
    const marked = async (options: any, typed = "apple") =>
      (await search(db, index, typed, { highlight: options })).map(({ $highlights }: any) => $highlights);
    expect(await marked({})).toEqual([
      { title: "<mark>apples</mark> and pears", body: "about fruit", course: "ml" },
      { title: "fruit", body: "<mark>apples</mark> and <mark>apples</mark> & <pears>", course: "de" },
    ]);
    expect(await marked({ columns: ["body"], html: true, tags: ["<b>", "</b>"] })).toEqual([
      { body: "about fruit" },
      { body: "<b>apples</b> and <b>apples</b> &amp; &lt;pears&gt;" },
    ]);
    expect(await marked({ columns: ["body"], snippet: 1, ellipsis: "[…]", tags: ["*", "*"] }, "fruit -late")).toEqual([
      { body: "apples[…]" },
      { body: "[…]*fruit*" },
    ]);
    expect(await marked({ columns: [] })).toEqual([{}, {}]);
    // A NULL column has no highlight; a column of weight 0 neither finds nor counts, and is marked all the same.
    expect(await marked({ columns: ["body", "course"] }, "late apples")).toContainEqual({
      body: null,
      course: "<mark>apples</mark>",
    });
    // Nothing is excluded for the sake of such a column, and the marks of what was found stay.
    expect(await marked({ columns: ["title", "course"] }, 'pears -"ml"')).toContainEqual({
      title: "apples and <mark>pears</mark>",
      course: "ml",
    });
  });

  test("a snippet over trigrams counts characters, and two come on top", async () => {
    const trigrams = searchIndex("docs_search", docs, { text: { title: 1 }, tokenizer: "trigram" });
    const { db } = await filled(open, [{ id: 1, title: "one keyboard, another mouse" }], trigrams);
    const [hit]: any[] = await search(db, trigrams, "keyboard", { highlight: { snippet: 10 } });
    expect(hit.$highlights.title).toBe("one <mark>keyboard</mark>…");
  });

  test("nothing a row holds gets past html: true", async () => {
    const evil = "apples <img src=x onerror='alert(1)'> \ue000\ue001 \"&amp;\"";
    const { db } = await filled(open, [{ id: 1, title: evil }, ...OTHERS]);
    const [hit]: any[] = await search(db, index, "apples", { highlight: { html: true, columns: ["title"] } });
    expect(hit.$highlights.title).toBe(
      "<mark>apples</mark> &lt;img src=x onerror=&#39;alert(1)&#39;&gt; \ue000\ue001 &quot;&amp;amp;&quot;",
    );
  });

  test("tags stand as they are given, dollar signs among them", async () => {
    const { db } = await filled(open, [{ id: 1, title: "apples" }, ...OTHERS]);
    const tags = ["$$", "$&"] as const;
    for (const html of [false, true]) {
      const [hit]: any[] = await search(db, index, "apples", { highlight: { html, tags, columns: ["title"] } });
      expect(hit.$highlights.title).toBe("$$apples$&");
    }
  });

  test.each([
    [{ columns: ["nope"] }, "highlight.columns: expected text columns of docs_search: title, body, course"],
    [{ columns: "title" }, "highlight.columns: expected an array of text columns"],
    [{ tags: ["<b>"] }, "highlight.tags: expected two texts"],
    [{ snippet: 0 }, "highlight.snippet: expected a whole number of words, 1..64"],
    [{ snippet: 65 }, "highlight.snippet: expected a whole number of words, 1..64"],
    [{ html: "yes" }, "highlight.html: expected true or false"],
    [{ ellipsis: 3 }, "highlight.ellipsis: expected a text"],
    [{ tag: "b" }, "tag: expected an option of highlight"],
    [true, "highlight: expected an object such as { html: true }, got true"],
  ])("highlight: %j is refused", async (highlight, message) => {
    const { db } = await filled(open, []);
    expect(() => search(db, index, "x", { highlight: highlight as any })).toThrow(message);
  });

  test("explain tells what each column has to do with a score", async () => {
    const { db } = await filled(open, ROWS);
    const { scores } = await search(db, index, "apples fruit").explain();
    expect(scores.map(({ key }: any) => key)).toEqual([2, 1]);
    for (const { score, columns } of scores) {
      expect(columns.course).toBe(0);
      const parts = Object.values<any>(columns);
      expect(Math.max(...parts)).toBeLessThanOrEqual(score);
      expect(parts.reduce((a, b) => a + b)).toBeGreaterThanOrEqual(score * 0.999);
    }
  });
});

describe("67: a damaged text index", () => {
  test.each([
    ["its leaves overwritten", "update _dv_docs_search_fts_data set block = zeroblob(50) where id > 10"],
    ["its data wiped", "delete from _dv_docs_search_fts_data"],
  ])("%s: a typed error that says what to do, and rebuild heals it", async (_, damage) => {
    const { db, client } = openBetterSqlite3();
    client.exec(DDL);
    ensureSearchIndexes(db, [index]);
    for (const row of OTHERS) db.insert(docs).values(row).run();
    const before = client.prepare("select * from docs").all();
    client.unsafeMode(true);
    client.pragma("writable_schema = on");
    client.exec(damage);
    client.unsafeMode(false);
    const find = () => search(db, index, "nothing", { limit: 100 }).all();
    expect(find).toThrow(expect.objectContaining({ code: "INDEX_DAMAGED", hint: expect.stringContaining("rebuild") }));
    await rebuild(db, index);
    expect(find()).toHaveLength(20);
    expect(await verify(db, index)).toMatchObject({ ok: true });
    expect(client.prepare("select * from docs").all()).toEqual(before);
  });
});

/** The behaviour people know from minsearch and sqlitesearch, as far as it is right; restated as cases of our own. */
describe.each(DRIVERS)("cases that carry over from minsearch and sqlitesearch, on $name", ({ open }) => {
  const COURSES = [
    { id: 11, title: "Python Programming", body: "Learn to write programs", course: "programming", points: 10 },
    { id: 12, title: "Data Science", body: "Python for data and statistics", course: "data", points: 20.5 },
    { id: 13, title: "Web Development", body: "Sites with JavaScript", course: "web", points: 0 },
    { id: 14, title: "Machine Learning", body: "Models and data", course: "data", points: -5 },
    { id: 15, title: null, body: "Python with covid19 numbers, python3, in C and R", course: null, points: null },
    ...OTHERS,
  ];
  const plain = searchIndex("docs_search", docs, { text: { title: 1, body: 1 } });

  test("no rows, no words: no hits; ten hits unless told otherwise", async () => {
    const { db } = await filled(open, [], plain);
    expect(await search(db, plain, "python")).toEqual([]);
    await db.insert(docs).values(COURSES);
    expect(await search(db, plain, "")).toEqual([]);
    expect(await search(db, plain, "python", { limit: 0 })).toEqual([]);
    expect(await search(db, plain, "nothing")).toHaveLength(10);
  });

  test("a title that is the word comes before a body that has it; hits come with the row's own key", async () => {
    const { db } = await filled(open, COURSES, plain);
    expect(ids(await search(db, plain, "python programming"))[0]).toBe(11);
    expect(ids(await search(db, plain, "python-programming"))[0]).toBe(11);
    expect(new Set(ids(await search(db, plain, "python")))).toEqual(new Set([11, 12, 15]));
  });

  test("a boost moves a field to the front, and how much matters", async () => {
    const rows = [
      { id: 1, title: "apple", body: "pear pear pear" },
      { id: 2, title: "pear", body: "apple apple apple" },
      ...OTHERS,
    ];
    const { db } = await filled(open, rows, plain);
    expect(ids(await search(db, plain, "apple", { weights: { title: 10 } }))).toEqual([1, 2]);
    expect(ids(await search(db, plain, "apple", { weights: { title: 0.001, body: 1000 } }))).toEqual([2, 1]);
  });

  test("exact words in a short text beat a long one, and a whole match beats one word said twenty times", async () => {
    const rows = [
      { id: 1, body: "python tutorial" },
      { id: 2, body: `python tutorial ${"and much more about other things ".repeat(10)}` },
      { id: 3, body: "python ".repeat(20) },
      ...OTHERS,
    ];
    const { db } = await filled(open, rows, plain);
    expect(ids(await search(db, plain, "python tutorial"))[0]).toBe(1);
    expect(ids(await search(db, plain, "python tutorial"))).toHaveLength(3);
  });

  test("digits and short words are found: covid19, python3, C, R; a number is text, not an id", async () => {
    const { db } = await filled(open, COURSES, plain);
    for (const word of ["covid19", "python3", "C", "R", "c r"])
      expect(ids(await search(db, plain, word))).toEqual([15]);
    expect(await search(db, plain, "11")).toEqual([]);
  });

  test("NULL is no text: the word None finds nothing, and the other column does", async () => {
    const { db } = await filled(open, COURSES, plain);
    expect(await search(db, plain, "None null")).toEqual([]);
    expect(ids(await search(db, plain, "numbers"))).toEqual([15]);
  });

  test("filters: equality, lists, ranges, NULL, several at once, nothing left", async () => {
    const { db } = await filled(open, COURSES, plain);
    const find = async (where: any) => ids(await search(db, plain, "python data models sites", { where })).sort();
    expect(await find(eq(docs.course, "data"))).toEqual([12, 14]);
    expect(await find(inArray(docs.course, ["data", "web"]))).toEqual([12, 13, 14]);
    expect(await find(inArray(docs.course, []))).toEqual([]);
    expect(await find(and(gte(docs.points, 0), lt(docs.points, 20.5)))).toEqual([11, 13]);
    expect(await find(lt(docs.points, 0))).toEqual([14]);
    expect(await find(ne(docs.points, 10))).toEqual([12, 13, 14]);
    expect(await find(isNull(docs.course))).toEqual([15]);
    expect(await find(and(eq(docs.course, "data"), gte(docs.points, 100)))).toEqual([]);
  });

  test("a row added later is found at once, a row changed by its new text, a row deleted no more", async () => {
    const { db } = await filled(open, COURSES, plain);
    await db.insert(docs).values({ id: 50, title: "Rust in Action" });
    expect(ids(await search(db, plain, "rust"))).toEqual([50]);
    await db.update(docs).set({ title: "Zig in Action" }).where(eq(docs.id, 50));
    expect([await search(db, plain, "rust"), ids(await search(db, plain, "zig"))]).toEqual([[], [50]]);
    await db.delete(docs).where(eq(docs.id, 50));
    expect(await search(db, plain, "zig action")).toEqual([]);
  });

  test("stemming finds other forms of a word, on both sides", async () => {
    const { db } = await filled(open, [{ id: 1, title: "running horses" }, ...OTHERS]);
    for (const word of ["run", "runs", "horse"]) expect(ids(await search(db, index, word))).toEqual([1]);
  });
});
