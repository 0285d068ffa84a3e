import { is, sql } from "drizzle-orm";
import {
  alias,
  blob,
  integer,
  numeric,
  primaryKey,
  SQLiteTable,
  sqliteTable,
  sqliteView,
  text,
} from "drizzle-orm/sqlite-core";
import { describe, expect, expectTypeOf, test } from "vitest";
import { searchTablesFilter } from "../../src/kit.ts";
import { definitionOf } from "../../src/migration/definition.ts";
import {
  isSearchIndex,
  type SearchIndex,
  searchIndex,
  type TextKeys,
  type VectorKeys,
  vectorColumn,
} from "../../src/schema.ts";
import { openBetterSqlite3 } from "../helpers/databases.ts";

const docs = sqliteTable("docs", {
  id: integer().primaryKey(),
  title: text("Title").notNull(),
  body: text(),
  kind: text({ enum: ["a", "b"] }),
  meta: text({ mode: "json" }),
  price: numeric(),
  raw: blob(),
  publishedAt: integer(),
  shortText: text(),
  embedding: vectorColumn(384),
  bits: vectorColumn({ dimensions: 64, element: "bit" }),
});

test("a declaration holds names, weights and options with their defaults", () => {
  const index = searchIndex("docs_search", docs, {
    text: { title: 3, body: 0 },
    tokenizer: { name: "unicode61", tokenchars: "-'", removeDiacritics: false },
    vectors: { embedding: { metric: "l2" }, bits: { exact: false } },
  });
  expect(isSearchIndex(index)).toBe(true);
  expect(is(index, SQLiteTable)).toBe(false);
  expect(isSearchIndex(docs)).toBe(false);
  expect(definitionOf(index)).toEqual({
    name: "docs_search",
    table: "docs",
    key: { columns: ["id"], isRowid: true },
    text: {
      columns: [
        { column: "Title", weight: 3 },
        { column: "body", weight: 0 },
      ],
      tokenizer: "unicode61 remove_diacritics 0 tokenchars '-'''",
    },
    vectors: [
      { column: "embedding", dimensions: 384, element: "float32", metric: "l2", exact: true },
      { column: "bits", dimensions: 64, element: "bit", metric: "hamming", exact: false },
    ],
  });
  expectTypeOf(index).toEqualTypeOf<SearchIndex<typeof docs, "title" | "body", "embedding" | "bits">>();
});

test("columns without a name follow the casing of the configuration; named ones do not", () => {
  const index = searchIndex("s", docs, { text: { shortText: 1, title: 1 } });
  const names = (casing?: "snake_case" | "camelCase") =>
    definitionOf(index, { casing }).text?.columns.map((c) => c.column);
  expect(names()).toEqual(["shortText", "Title"]);
  expect(names("snake_case")).toEqual(["short_text", "Title"]);
  expect(names("camelCase")).toEqual(["shortText", "Title"]);
});

test("the types know which columns hold text and which vectors, and the metrics of each element", () => {
  expectTypeOf<TextKeys<typeof docs>>().toEqualTypeOf<"title" | "body" | "kind" | "shortText">();
  expectTypeOf<VectorKeys<typeof docs>>().toEqualTypeOf<"embedding" | "bits">();
  // @ts-expect-error: an integer column
  expect(() => searchIndex("s", docs, { text: { publishedAt: 1 } })).toThrow("expected a text column");
  // @ts-expect-error: no such column
  expect(() => searchIndex("s", docs, { text: { nothing: 1 } })).toThrow("expected a column of id, title");
  // @ts-expect-error: a blob that is no vector
  expect(() => searchIndex("s", docs, { vectors: { raw: {} } })).toThrow(
    "expected a vectorColumn, got raw of type blob",
  );
  // @ts-expect-error: bits have hamming only
  expect(() => searchIndex("s", docs, { vectors: { bits: { metric: "l2" } } })).toThrow("a metric of bit: hamming");
  // @ts-expect-error: numbers do not have hamming
  expect(() => searchIndex("s", docs, { vectors: { embedding: { metric: "hamming" } } })).toThrow("cosine, l2, dot");
  // @ts-expect-error: no such option
  expect(() => searchIndex("s", docs, { text: { body: 1 }, weights: {} })).toThrow(
    "expected options text, tokenizer, vectors",
  );
  // @ts-expect-error: no such option
  expect(() => searchIndex("s", docs, { vectors: { embedding: { lists: 3 } } })).toThrow(
    "expected options metric, exact",
  );
  // @ts-expect-error: no such tokenizer
  expect(() => searchIndex("s", docs, { text: { body: 1 }, tokenizer: "snowball" })).toThrow(
    "unicode61, porter, trigram",
  );
  // @ts-expect-error: not an option of trigram
  expect(() => searchIndex("s", docs, { text: { body: 1 }, tokenizer: { name: "trigram", tokenchars: "-" } })).toThrow(
    "expected options of trigram: caseSensitive, removeDiacritics, got tokenchars",
  );
});

describe("refused at declaration", () => {
  const indexOf =
    (config: object, table: unknown = docs, name: unknown = "s") =>
    () =>
      searchIndex(name as string, table as typeof docs, config as { text: { body: number } });
  const words = { text: { body: 1 } };

  test.each([
    ["nothing to index", {}, "expected a text or vector column to index, got none"],
    ["a weight that is no number", { text: { body: "1" } }, 'expected a weight from 0 to 1000000000, got text "1"'],
    ["a negative weight", { text: { body: -1 } }, "expected a weight from 0 to 1000000000, got -1"],
    ["NaN", { text: { body: Number.NaN } }, "expected a weight from 0 to 1000000000, got NaN"],
    [
      "an infinite weight",
      { text: { body: Number.POSITIVE_INFINITY } },
      "expected a weight from 0 to 1000000000, got Infinity",
    ],
    [
      "a weight that no query may have",
      { text: { body: 1e10 } },
      "expected a weight from 0 to 1000000000, got 10000000000",
    ],
    ["weights that are all 0", { text: { body: 0, title: 0 } }, "expected a weight above 0, got only zeros"],
    ["JSON", { text: { meta: 1 } }, "expected a text column of words, got meta of type text in mode json"],
    ["numeric", { text: { price: 1 } }, "expected a text column, got price of type numeric"],
    ["a column of Object.prototype", { text: JSON.parse('{"__proto__": 1}') }, "got __proto__"],
    ["another", { text: { constructor: 1 } }, "got constructor"],
    ["a tokenizer without text", { vectors: { embedding: {} }, tokenizer: "porter" }, "expected text columns to cut"],
    [
      "an option of the wrong type",
      { ...words, tokenizer: { name: "porter", removeDiacritics: 1 } },
      "true or false, got 1",
    ],
    [
      "separators that SQLite cannot keep",
      { ...words, tokenizer: { name: "unicode61", separators: "\ud800" } },
      "expected separators to be a text without NUL and lone surrogates",
    ],
    ["a tokenizer named constructor", { ...words, tokenizer: { name: "constructor" } }, "expected a tokenizer of"],
    [
      "what FTS5 refuses",
      { ...words, tokenizer: { name: "trigram", caseSensitive: true, removeDiacritics: true } },
      "both, which FTS5 refuses",
    ],
    ["exact that is no boolean", { vectors: { embedding: { exact: 0 } } }, "expected true or false, got 0"],
    ["null for options", { vectors: { embedding: null } }, "expected an object of options, got null"],
  ])("%s", (_, config, message) => {
    expect(indexOf(config)).toThrow(message);
  });

  test.each(["", "a\0b", "sqlite_x", "SQLITE_x", "a/b", "a\\b", "a\nb", "a\ud800", 7, null])(
    "the index name %j",
    (name) => {
      expect(indexOf(words, docs, name)).toThrow("an index name");
    },
  );

  test("categories that FTS5 does not know, or none", () => {
    const { client } = openBetterSqlite3();
    const isTaken = (categories: string) => {
      try {
        client.exec(`create virtual table temp.f using fts5(x, tokenize = "unicode61 categories '${categories}'")`);
        client.exec("drop table temp.f");
        return true;
      } catch {
        return false;
      }
    };
    const upper = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"];
    for (const categories of upper.flatMap((first) =>
      [..."abcdefghijklmnopqrstuvwxyzC*"].map((next) => first + next),
    )) {
      const declare = indexOf({ ...words, tokenizer: { name: "unicode61", categories } });
      if (isTaken(categories)) expect(declare, categories).not.toThrow();
      else expect(declare, categories).toThrow("expected categories to be Unicode categories such as L* M* N* Co, got");
    }
    for (const categories of ["", "L", "L* n*", 5]) {
      expect(indexOf({ ...words, tokenizer: { name: "unicode61", categories } })).toThrow(
        "expected categories to be Unicode categories such as L* M* N* Co, got",
      );
    }
  });

  test("a table in the place of the name", () => {
    expect(() => (searchIndex as any)(docs, words)).toThrow(
      /^searchIndex: expected an index name .*, got SQLiteTable$/,
    );
  });

  test("a view, an alias, a table without a key or with our prefix, a composite key that may be NULL", () => {
    const view = sqliteView("v", { body: text() }).as(sql`select 1`);
    expect(indexOf(words, view)).toThrow("expected a table made by sqliteTable, got a view");
    expect(indexOf(words, alias(docs, "d"))).toThrow("expected the table itself, got its alias d");
    expect(indexOf(words, sqliteTable("t", { body: text() }))).toThrow("expected a table with a primary key, got none");
    expect(indexOf(words, sqliteTable("_DV_t", { id: integer().primaryKey(), body: text() }))).toThrow(
      "does not begin with _dv_",
    );
    const nullable = sqliteTable("t", { a: text().notNull(), b: text(), body: text() }, (t) => [
      primaryKey({ columns: [t.a, t.b] }),
    ]);
    expect(indexOf(words, nullable)).toThrow("expected every part of the primary key to be notNull(), got b");
  });

  test("a key hidden by a circular import is looked at again later", () => {
    let isReady = false;
    const pairs = sqliteTable("pairs", { a: text().notNull(), b: text(), body: text() }, (t) => {
      if (!isReady) throw new TypeError("Cannot read properties of undefined");
      return [primaryKey({ columns: [t.a, t.b] })];
    });
    const index = searchIndex("s", pairs, { text: { body: 1 } });
    isReady = true;
    expect(() => definitionOf(index)).toThrow("notNull(), got b");
  });
});

test("searchTablesFilter adds our tables to negations and leaves a list of wanted tables alone", () => {
  expect(searchTablesFilter()).toEqual(["!_dv_*"]);
  expect(searchTablesFilter(["!tmp_*"])).toEqual(["!tmp_*", "!_dv_*"]);
  expect(searchTablesFilter("!tmp_*")).toEqual(["!tmp_*", "!_dv_*"]);
  expect(searchTablesFilter(["*", "!tmp_*"])).toEqual(["*", "!tmp_*", "!_dv_*"]);
  expect(searchTablesFilter("docs")).toBe("docs");
  expect(searchTablesFilter(["docs", "app_*"])).toEqual(["docs", "app_*"]);
});
