import { describe, expect, test } from "vitest";
import { type MatchOptions, matchOf, TERMS_MAX, TEXT_MAX } from "../../src/text/match.ts";
import { ENGLISH_STOP_WORDS } from "../../src/text/stop-words.ts";
import { wordCharacters } from "../../src/text/word-characters.ts";

const match = (text: string, options: Partial<MatchOptions> & { tokenizer?: string } = {}) =>
  matchOf(text, {
    match: "any",
    prefix: false,
    stopWords: new Set(),
    characters: wordCharacters(options.tokenizer ?? "unicode61 remove_diacritics 2"),
    ...options,
  });
const english = { stopWords: ENGLISH_STOP_WORDS };

describe("one of the words is enough", () => {
  test.each([
    ["can I still join?", '"can" OR "I" OR "still" OR "join"'],
    ["foo-bar node.js", '"foo" OR "bar" OR "node" OR "js"'],
    ["C++ C# R Go", '"C" OR "R" OR "Go"'],
    ["python3 covid19 3.11", '"python3" OR "covid19" OR "3" OR "11"'],
    ["O'Brien don’t", '"O" OR "Brien" OR "don" OR "t"'],
    ["Join join JOIN", '"Join"'],
    ["e\u0301te\u0301 naïve", '("e\u0301te\u0301" OR "été") OR "naïve"'],
    ["हिन्दी किताब", '"हिन्दी" OR "किताब"'],
    ["привет мир שלום", '"привет" OR "мир" OR "שלום"'],
    ["日本語", '"日本"* OR "本語"* OR "日本語"*'],
    ["iPhone手机, 猫", '"iPhone"* OR "猫"* OR "手机"*'],
    ["ที่ไหน 第1", '"ไห"* OR "第"* OR "หน"* OR "1"* OR "ไหน"*'],
    ["\uE000 word", '"\uE000" OR "word"'],
    ["a\0b", '"a" OR "b"'],
    ["\uD800join\uDC00", '"join"'],
    ["NEAR(a, b) AND c* ^d c0:e", '"NEAR" OR "a" OR "b" OR "AND" OR "c" OR "d" OR "c0" OR "e"'],
  ])("%j", (text, expression) => {
    expect(match(text).expression).toBe(expression);
  });

  test("nothing is left of a text without a letter or digit", () => {
    const { expression, dropped } = match(' ?! \t "" “” ++ 👍 ');
    expect(expression).toBeUndefined();
    expect(dropped).toEqual(["?!", "++", "👍"].map((piece) => ({ piece, reason: "no letter or digit" })));
  });
});

describe("every word has to be there", () => {
  test("of a word in letters and marks apart (NFD), the composed one does as well, a phrase and what is excluded among them", () => {
    expect(match('йод -й "один йод"'.normalize("NFD"), { match: "all" }).expression).toBe(
      `(${'("йод" OR "йод") AND ("один йод" OR "один йод")'.replaceAll(
        /"([^"]*)" OR/g,
        (_, term: string) => `"${term.normalize("NFD")}" OR`,
      )}) NOT (("${"й".normalize("NFD")}" OR "й"))`,
    );
    const trigrams = match("가나".normalize("NFD"), { tokenizer: "trigram" }).terms;
    expect(trigrams).toEqual(["가나", "가ᄂ", "ᅡ나"].map((term) => term.normalize("NFD")));
    expect(match("ガク".normalize("NFD")).terms).toEqual(["カ", "ガク", "ク"]);
  });

  test("a piece is one phrase, cut by FTS5 as the stored text was", () => {
    expect(match("foo-bar, node.js C++", { match: "all" }).expression).toBe('"foo-bar" "node.js" "C"');
  });

  test("stop words go where others remain", () => {
    expect(match("how to join?", { match: "all", ...english }).expression).toBe('"join"');
  });
});

describe("what a person may write", () => {
  test.each([
    ['"still join" course', '"still join" OR "course"'],
    ["“still join”", '"still join"'],
    ['("still join")', '"still join"'],
    ['5" by 6" screen', '"5" OR "by" OR "6" OR "screen"'],
    ['say "unfinished', '"say" OR "unfinished"'],
    ["join -course", '("join") NOT ("course")'],
    ['join -"late fee" -money', '("join") NOT ("late fee" OR "money")'],
    ["docker run -it -p 80:80 --rm -5", '"docker" OR "run" OR "it" OR "p" OR "80" OR "rm" OR "5"'],
    ["ls -lh -d? -AI", '"ls" OR "lh" OR "d" OR "AI"'],
    ["join -one -two -three -four -five", '("join") NOT ("one" OR "two" OR "three" OR "four") NOT ("five")'],
    ['join -"AI" -日本', '("join") NOT ("AI" OR "日本")'],
    ["^join -join", '"join"'],
    ["state-of-the-art", '"state" OR "of" OR "the" OR "art"'],
    ["-only -exclusions", undefined],
    ['""""', undefined],
  ])("%j", (text, expression) => {
    expect(match(text).expression).toBe(expression);
  });

  test("an exclusion keeps its columns with the rest", () => {
    expect(match("join -course", { columns: ["c0", "c2"] })).toMatchObject({
      expression: '{c0 c2} : (("join") NOT ("course"))',
      anywhere: '"join"',
      terms: ["join"],
      excluded: ["course"],
    });
  });

  test("what is asked for cannot be excluded", () => {
    expect(match("join -join", { match: "all" })).toMatchObject({
      expression: '"join"',
      dropped: [{ piece: "join", reason: "asked for and excluded" }],
    });
  });
});

describe("prefix", () => {
  test.each([
    ["can I jo", '"can" OR "I" OR "jo"*'],
    ["node.js foo-b", '"node" OR "js" OR "foo" OR "b"*'],
    ["jo jo", '"jo"*'],
    ['"still join" cou', '"still join" OR "cou"*'],
    ["wha?", '"wha"*'],
    ["join -cou", '("join") NOT ("cou")'],
    ['cou "still join"', '"cou" OR "still join"'],
  ])("%j", (text, expression) => {
    expect(match(text, { prefix: true }).expression).toBe(expression);
  });

  test("the last word is never a stop word, as it may become another", () => {
    expect(match("how do i", { prefix: true, ...english }).expression).toBe('"i"*');
    expect(match("join wi", { prefix: true, match: "all" }).expression).toBe('"join" "wi"*');
  });

  test.each([
    // What begins with the letters typed, whatever the stemmer makes of them.
    ["to anal", false, '"to" OR "anal"*'],
    ["to analy", false, '"to" OR ("analy"* OR "analyness"*)'],
    ["Analys", false, '("Analys"* OR "Analyse"*)'],
    // What has the stem of a longer word, if told to.
    ["simulated", true, '"simulated"*'],
    ["simula", false, '"simula"*'],
    ["simula", true, '("simula"* OR "simulate")'],
    ["simulati", true, '("simulati"* OR "simulating")'],
    ["simulatio", true, '("simulatio"* OR "simulation")'],
    ["simulation", true, '("simulation"* OR "simulational")'],
    ["Powerfu?", true, '("Powerfu"* OR "Powerful")'],
    ["stemm", true, '("stemm"* OR "stemming")'],
    ["dynamicall", true, '("dynamicall"* OR "dynamically")'],
    ["embedde", true, '("embedde"* OR "embedded")'],
  ])("over English stems, %j (with its ending: %j)", (text, ends, expression) => {
    expect(match(text, { prefix: true, tokenizer: "porter", ends }).expression).toBe(expression);
    expect(match(text, { prefix: true, ends }).expression).not.toContain("(");
  });

  test("over English stems every word, and one of two forms of the last", () => {
    const { expression, terms, unfinished } = match("still foo-simula", {
      prefix: true,
      match: "all",
      tokenizer: "porter",
      columns: ["c1"],
      ends: true,
    });
    expect(expression).toBe('{c1} : ("still" AND ("foo-simula"* OR "foo-simulate"))');
    expect(terms).toEqual(["still", "foo-simula"]);
    expect(unfinished).toEqual({ typed: '{c1} : ("foo-simula"*)', ended: '{c1} : ("foo-simulate")' });
  });

  test("does nothing over trigrams, which find any part of a word", () => {
    expect(match("join cou", { prefix: true, tokenizer: "trigram" }).expression).toBe('"join" OR "cou"');
  });
});

describe("stop words", () => {
  test("do not count as long as others remain", () => {
    expect(match("how do I join the course", english)).toMatchObject({
      expression: '"join" OR "course"',
      dropped: ["how", "do", "I", "the"].map((piece) => ({ piece, reason: "stop word" })),
    });
    expect(match("to be or not to be", english)).toMatchObject({
      expression: '"to" OR "be" OR "or" OR "not"',
      dropped: [],
    });
  });

  test("in capitals or in a phrase mean something", () => {
    expect(match('IT is NOT NULL "to be"', english).expression).toBe('"IT" OR "NOT" OR "NULL" OR "to be"');
  });

  test("may be one's own", () => {
    expect(match("wie geht das", { stopWords: new Set(["das", "wie"]) }).expression).toBe('"geht"');
  });
});

describe("trigrams", () => {
  const tokenizer = "trigram";
  test.each([
    ["keyboard, mouse", '"keyboard" OR "mouse"'],
    ["C++ a=b node.js T-cell", '"C++" OR "a=b" OR "node.js" OR "T-cell"'],
    ["黑豹队的防守 NFL", '"NFL" OR "黑豹队" OR "豹队的" OR "队的防" OR "的防守"'],
    ["نقطة", '"نقطة" OR "نقط" OR "قطة"'],
    ["👍👍👍", undefined],
  ])("%j", (text, expression) => {
    if (expression === undefined) expect(match(text, { tokenizer }).expression).toBe('"👍👍👍"');
    else expect(match(text, { tokenizer }).expression).toBe(expression);
  });

  test("pieces under three characters are dropped and reported", () => {
    expect(match("ab 日本 word", { tokenizer }).dropped).toEqual(
      ["ab", "日本"].map((piece) => ({ piece, reason: "shorter than three characters" })),
    );
  });

  test("where there are too many, words go first, and every run of text keeps some", () => {
    const runs = Array.from({ length: 8 }, (_, i) =>
      String.fromCharCode(...Array.from({ length: 19 }, (_, j) => 0x4e00 + 20 * i + j)),
    );
    const { terms, dropped } = match(["word", ...runs].join(" "), { tokenizer });
    expect(terms).toHaveLength(TERMS_MAX);
    expect(terms[0]).toBe("word");
    for (const run of runs) expect(terms).toContain(run.slice(0, 3));
    expect(dropped.every(({ reason }) => reason === "more than 64 terms")).toBe(true);
  });

  test("case counts where the tokenizer says so", () => {
    expect(match("Join join", { tokenizer: "trigram case_sensitive 1" }).terms).toEqual(["Join", "join"]);
  });
});

describe("tokenizers with options", () => {
  test.each([
    ["unicode61 remove_diacritics 2 tokenchars '-_#'", "foo-bar a_b #tag x.y", ["foo-bar", "a_b", "#tag", "x", "y"]],
    ["unicode61 remove_diacritics 2 separators 'xy'", "axb cyd", ["a", "b", "c", "d"]],
    ["unicode61 remove_diacritics 2 categories 'L* Sc'", "a1b €5", ["a", "b", "€"]],
    ["unicode61 remove_diacritics 2 categories 'LC Nd'", "Ab1 ª5 中", ["Ab1", "5"]],
    ["porter unicode61 remove_diacritics 2 tokenchars ''''", "a'b c", ["a'b", "c"]],
  ])("%s", (tokenizer, text, terms) => {
    expect(match(text, { tokenizer }).terms).toEqual(terms);
  });
});

describe("limits", () => {
  test("64 terms, and what is more is reported", () => {
    const { terms, dropped } = match(Array.from({ length: 70 }, (_, i) => `w${i}`).join(" "));
    expect([terms.length, dropped.length, dropped[0]]).toEqual([64, 6, { piece: "w64", reason: "more than 64 terms" }]);
  });

  test("4,096 characters, also where one of them would be cut in two", () => {
    expect(match("x".repeat(TEXT_MAX)).isCut).toBe(false);
    const { isCut, terms } = match(`${"x".repeat(TEXT_MAX - 1)}😀 more`);
    expect([isCut, terms.length]).toEqual([true, 1]);
  });

  test("and over trigrams 128 characters of each word and phrase of a text that is cut, but for those excluded", () => {
    const long = "ab".repeat(200);
    const unwanted = "cd".repeat(200);
    const text = `${long} "${long} c" -${unwanted}`;
    const short = match(text, { tokenizer: "trigram" });
    expect([short.isCut, short.terms, short.excluded]).toEqual([false, [long, `${long} c`], [unwanted]]);
    const whole = match(`${text}${" ".repeat(TEXT_MAX)}`, { tokenizer: "trigram" });
    const beginning = "ab".repeat(64);
    expect([whole.isCut, whole.terms, whole.excluded]).toEqual([true, [beginning], [unwanted]]);
    expect(match("𐐀".repeat(TEXT_MAX), { tokenizer: "trigram" }).terms).toEqual(["𐐀".repeat(128)]);
    expect(match(`${text}${" ".repeat(TEXT_MAX)}`).terms).toEqual([long, `${long} c`]);
  });
});
