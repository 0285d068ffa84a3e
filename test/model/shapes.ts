import { integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { type Element, encodeVector, vectorBytes } from "../../src/codec/codec.ts";
import { type Metric, searchIndex, vectorColumn } from "../../src/index.ts";
import { randomVector, seeded } from "../reliability/random.ts";

/** A table `t` the model runs over, with an index `ix` of its text and its vectors. */
export interface Shape {
  readonly title: string;
  /** Statements before the index is made. */
  readonly create: readonly string[];
  /** Statements after it: triggers of the user that run in another order. */
  readonly late?: readonly string[];
  readonly keyColumns: readonly string[];
  readonly collations: readonly string[];
  readonly element: Element;
  readonly dimensions: number;
  readonly metric: Metric;
  readonly tokenizer: "unicode61" | "porter";
  readonly hasRowid: boolean;
  /** Whether the column keeps 1-bit codes alone, which only a recall below 1 is answered from. */
  readonly isApproximate: boolean;
  /** Rows of noise that are there at the beginning: enough that a recall means something. */
  readonly noiseRows: number;
  /** Whether a parent's key is one of `parent`; else `p` is a plain number. */
  readonly hasParents: boolean;
  /** A key as SQL literals, one of a dozen. */
  key(n: number): string[];
  /** What stands in `p`. */
  parent(n: number): string;
  readonly table: any;
  readonly index: any;
}

const WORD_KEYS = ["a", "B", "b", "ab", "Ab", "\u00e4", "c", "", "z ", "1"];
const PARENTS = "CREATE TABLE parent (id INTEGER PRIMARY KEY)";
/** The columns beside key and vector; `u` is what statements collide on. */
export const COLUMNS = (parent: string) => `u INTEGER UNIQUE, p INTEGER${parent}, txt TEXT COLLATE NOCASE, note TEXT`;
const plainParent = (n: number) => (n % 3 === 0 ? String(n) : "NULL");

export interface Given extends Partial<Omit<Shape, "table" | "index">> {
  readonly title: string;
  readonly create: readonly string[];
  readonly element: Element;
  readonly metric: Metric;
  readonly columns?: Record<string, any>;
  readonly constraints?: (t: any) => any[];
}

/** A shape with what most have in common; the columns of `create` are the key's, then those of `COLUMNS`, then `v`. */
export function shape({ columns, constraints, ...given }: Given): Shape {
  const dimensions = given.noiseRows ? 40 : given.element === "bit" ? 8 : 3;
  const all = {
    ...(columns ?? { id: integer().primaryKey() }),
    txt: text(),
    note: text(),
    v: vectorColumn({ element: given.element, dimensions }),
  };
  const table = sqliteTable("t", all, constraints);
  const tokenizer = given.tokenizer ?? "unicode61";
  return {
    keyColumns: ["id"],
    collations: [],
    dimensions,
    hasRowid: true,
    hasParents: false,
    isApproximate: false,
    noiseRows: 0,
    key: (n) => [String(n)],
    parent: plainParent,
    ...given,
    tokenizer,
    table,
    index: searchIndex("ix", table, {
      text: { txt: 3, note: 1 },
      tokenizer,
      vectors: { v: { metric: given.metric, ...(given.isApproximate ? { exact: false } : {}) } },
    } as any),
  };
}

export const SHAPES: readonly Shape[] = [
  shape({
    title: "an integer key of 64 bits with children of its own, float32 by cosine",
    create: [`CREATE TABLE t (id INTEGER PRIMARY KEY, ${COLUMNS(" REFERENCES t (id) ON DELETE CASCADE")}, v)`],
    element: "float32",
    metric: "cosine",
    key: (n) => [["-9223372036854775808", "9007199254740993", "0", "-1"][n] ?? String(n)],
    parent: (n) => (n % 3 === 0 ? `(SELECT max(id) FROM t WHERE id < ${n})` : "NULL"),
  }),
  shape({
    title: "UNIQUE ON CONFLICT REPLACE in a child table that cascades, float32 by l2",
    create: [
      PARENTS,
      `CREATE TABLE t (id INTEGER PRIMARY KEY, ${COLUMNS(" REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE").replace("UNIQUE", "UNIQUE ON CONFLICT REPLACE")}, v)`,
    ],
    element: "float32",
    metric: "l2",
    hasParents: true,
  }),
  shape({
    title: "a NOCASE text key in a child table whose parents set NULL, float16 by dot",
    create: [
      PARENTS,
      `CREATE TABLE t (id TEXT PRIMARY KEY COLLATE NOCASE NOT NULL, ${COLUMNS(" UNIQUE REFERENCES parent (id) ON DELETE SET NULL ON UPDATE CASCADE")}, v)`,
    ],
    element: "float16",
    metric: "dot",
    tokenizer: "porter",
    collations: ["NOCASE"],
    hasParents: true,
    key: (n) => [`'${WORD_KEYS[n % WORD_KEYS.length]}'`],
    columns: { id: text().primaryKey() },
  }),
  shape({
    title: "a composite key WITHOUT ROWID, int8 by l2",
    create: [
      `CREATE TABLE t (v, a TEXT NOT NULL, b INTEGER NOT NULL, ${COLUMNS("")}, PRIMARY KEY (b, a)) WITHOUT ROWID`,
    ],
    element: "int8",
    metric: "l2",
    keyColumns: ["b", "a"],
    collations: ["BINARY", "BINARY"],
    hasRowid: false,
    key: (n) => [String(n % 3), `'${WORD_KEYS[n % 4]}'`],
    columns: { a: text().notNull(), b: integer().notNull() },
    constraints: (t) => [primaryKey({ columns: [t.b, t.a] })],
  }),
  shape({
    title: "triggers of the user that rewrite rows, before and after ours, bits by hamming",
    create: [
      `CREATE TABLE t (id INTEGER PRIMARY KEY, ${COLUMNS("")}, v)`,
      "CREATE TRIGGER own_a AFTER INSERT ON t BEGIN UPDATE t SET txt = upper(txt), v = coalesce(v, x'0f') WHERE id = new.id AND txt LIKE 'red%'; END",
      "CREATE TRIGGER own_b AFTER UPDATE ON t WHEN new.u = 3 BEGIN UPDATE t SET txt = 'moved blue', u = 4 WHERE id = new.id; END",
    ],
    late: [
      "CREATE TRIGGER own_c AFTER INSERT ON t WHEN new.u = 5 BEGIN UPDATE t SET v = x'f0', txt = txt || ' late' WHERE id = new.id; END",
      "CREATE TRIGGER own_d AFTER DELETE ON t WHEN old.u = 7 BEGIN INSERT OR IGNORE INTO t (id, u, txt, v) VALUES (old.id, 7, 'again', x'01'); END",
    ],
    element: "bit",
    metric: "hamming",
  }),
  shape({
    title: "a text key, and triggers of the user that end statements of which rows stay, float32 by l2",
    create: [
      `CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, ${COLUMNS("")}, v)`,
      "CREATE TRIGGER own_a AFTER INSERT ON t WHEN new.u = 3 BEGIN SELECT RAISE(FAIL, 'no'); END",
      "CREATE TRIGGER own_b AFTER INSERT ON t WHEN new.u = 4 BEGIN SELECT RAISE(IGNORE); END",
      "CREATE TRIGGER own_c AFTER UPDATE ON t WHEN new.u = 5 BEGIN SELECT RAISE(FAIL, 'no'); END",
      "CREATE TRIGGER own_d AFTER UPDATE ON t WHEN new.u = 6 BEGIN UPDATE OR FAIL t SET u = 7, txt = 'red seven' WHERE id = new.id; END",
      "CREATE TRIGGER own_e AFTER DELETE ON t WHEN old.u = 8 BEGIN SELECT RAISE(FAIL, 'no'); END",
      "CREATE TRIGGER own_f AFTER DELETE ON t WHEN old.u = 9 BEGIN SELECT RAISE(IGNORE); END",
      "CREATE TRIGGER own_g BEFORE UPDATE ON t WHEN old.u = 10 BEGIN SELECT RAISE(FAIL, 'no'); END",
    ],
    element: "float32",
    metric: "l2",
    collations: ["BINARY"],
    key: (n) => [`'${WORD_KEYS[n % WORD_KEYS.length]}'`],
    columns: { id: text().primaryKey() },
  }),
  shape({
    title: "an integer key of a plain app, float32 by cosine",
    create: [`CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, ${COLUMNS("")}, v)`],
    element: "float32",
    metric: "cosine",
    tokenizer: "porter",
  }),
  shape({
    title: "1-bit codes alone over noise, float32 by cosine",
    create: [`CREATE TABLE t (id INTEGER PRIMARY KEY, ${COLUMNS("")}, v)`],
    element: "float32",
    metric: "cosine",
    isApproximate: true,
    noiseRows: 150,
  }),
  shape({
    title: "1-bit codes beside those for exact answers over noise, a text key, float16 by l2, in UTF-16",
    create: [
      "PRAGMA encoding = 'UTF-16le'",
      `CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, ${COLUMNS("")}, v) STRICT`.replace("v)", "v BLOB)"),
    ],
    element: "float16",
    metric: "l2",
    collations: ["BINARY"],
    noiseRows: 150,
    key: (n) => [`'${WORD_KEYS[n % WORD_KEYS.length]}${n < 100 ? "" : n}'`],
    columns: { id: text().primaryKey() },
  }),
];

/** Vectors of which many are equal or tie, and some that are none. */
export function vectorLiteral({ element, dimensions, noiseRows, create }: Shape, n: number): string {
  if (n % 13 === 12 && n < 40) return "NULL";
  if (n === 39) return "x''";
  if (n === 38) return "x'00'";
  if (n === 37) return create.at(-1)!.includes("STRICT") ? "x'0000'" : "'text'";
  if (n === 36 && element !== "bit" && element !== "int8") {
    return `x'${"ff".repeat(vectorBytes({ element, dimensions }))}'`;
  }
  const numbers =
    noiseRows > 0
      ? noise(n, dimensions)
      : element === "bit"
        ? Array.from({ length: dimensions }, (_, i) => (n >> (i % 5)) & 1)
        : Array.from({ length: dimensions }, (_, i) => (((n * (i + 3)) % 7) - 3) * (element === "int8" ? 40 : 0.75));
  return `x'${Buffer.from(encodeVector(numbers, { element, dimensions }, "v")).toString("hex")}'`;
}

/** Numbers without any order: the hardest there is for codes. */
function noise(n: number, dimensions: number): number[] {
  return randomVector(seeded(n * 7919 + 13), dimensions);
}

export function queryVector({ element, dimensions, noiseRows }: Shape, n: number): number[] {
  // Every other query is a row itself, or may be.
  if (noiseRows > 0) return noise(n % 2 ? n : n + 10_000, dimensions);
  if (element === "bit") return Array.from({ length: dimensions }, (_, i) => (n >> (i % 6)) & 1);
  const numbers = Array.from({ length: dimensions }, (_, i) => ((n * (i + 2)) % 9) - 4);
  return numbers.every((value) => value === 0) ? [1, 0, 0] : numbers;
}

const WORDS = ["red", "Red", "blue", "green", "walking", "walked", "b\u00e9ret", "beret", "42", "x-ray"];
export const HOSTILE = [
  '"',
  "AND",
  "red* OR (",
  "c0:red",
  "'; DROP TABLE t; --",
  "NEAR(red blue)",
  "\u0000red",
  "^red",
];

/** Text of a few words, equal but for case now and then, or none. */
export function textLiteral(n: number): string {
  if (n % 11 === 10) return "NULL";
  if (n % 11 === 9) return "7";
  const words = Array.from({ length: 1 + (n % 4) }, (_, i) => WORDS[(n * (i + 3)) % WORDS.length]);
  return `'${words.join(n % 2 ? " " : ", ")}'`;
}

export function queryText(n: number): string {
  if (n % 5 === 4) return HOSTILE[n % HOSTILE.length]!;
  if (n % 11 === 6)
    return `"${WORDS[n % WORDS.length]} ${WORDS[(n + 1) % WORDS.length]}" ${WORDS[(n + 2) % WORDS.length]}`;
  if (n % 11 === 7) return `${WORDS[n % WORDS.length]} -${WORDS[(n + 3) % WORDS.length]}`;
  return `${WORDS[n % WORDS.length]} ${WORDS[(n * 7 + 3) % WORDS.length]}`;
}
