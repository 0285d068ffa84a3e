import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { customType, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { describe, expect, onTestFinished, test } from "vitest";
import * as library from "../../src/index.ts";
import { bruteForce } from "../model/brute-force.ts";
import { shape } from "../model/shapes.ts";
import { APPS, createStatements } from "../reliability/app.ts";
import { seeded } from "../reliability/random.ts";
import { figures, LONG_MS, rounds, SEED } from "../reliability/rounds.ts";
import { expectAnswers } from "../reliability/witness.ts";

const { DrizzleVectorError, ensureSearchIndexes, nearest, search, searchIndex, vectorColumn } = library;
type Random = () => number;
const below = (random: Random, n: number) => Math.floor(random() * n);
const pick = <T>(random: Random, all: readonly T[]): T => all[below(random, all.length)]!;

function open(...statements: string[]) {
  const client = new Database(":memory:");
  onTestFinished(() => void client.close());
  for (const sql of statements) client.exec(sql);
  return { client, db: drizzle({ client }) as any };
}

const PIECES = [
  ...[
    "AND",
    "OR",
    "NOT",
    "NEAR(",
    "NEAR",
    "c0:",
    "-c1 :",
    "{c0 c1}:",
    "^",
    "*",
    '"',
    '""',
    "'",
    "''",
    ";",
    "--",
    "/*",
    "(",
    ")",
  ],
  ...[
    "red",
    "b\u00e9ret",
    "\u65e5\u672c\u8a9e",
    "\u0627\u0644",
    "\u{1f600}",
    "a\u0301",
    "\ud800",
    "\udc00",
    "\0",
    "\u202e",
    "\ufeff",
    "\ue000",
  ],
  ..."!#$%&+,./:<=>?@[\\]^_`{|}~\t\n\r ",
];

function hostileText(random: Random): string {
  const pieces = Array.from({ length: below(random, 12) }, () => {
    const kind = below(random, 4);
    if (kind > 1) return pick(random, PIECES);
    return String.fromCharCode(below(random, kind === 0 ? 128 : 65_536));
  });
  return pieces.join(random() < 0.5 ? "" : " ");
}

describe.each(["unicode61", "porter", "trigram"] as const)("69, 70, 71: hostile text, tokenizer %s", (tokenizer) => {
  test("never throws, and finds nothing but rows", { timeout: LONG_MS }, () => {
    const random = seeded(SEED * 3 + tokenizer.length);
    const table = sqliteTable("t", { id: integer().primaryKey(), txt: text() });
    const index = searchIndex("ix", table, { text: { txt: 1 }, tokenizer });
    const { client, db } = open("CREATE TABLE t (id INTEGER PRIMARY KEY, txt TEXT)");
    ensureSearchIndexes(db, [index]);
    const insert = client.prepare("INSERT INTO t VALUES (?, ?)");
    for (let id = 0; id < 60; id++) insert.run(id, hostileText(random));
    const counts = { texts: 0, hits: 0 };
    for (const _ of rounds(500, 0.1)) {
      const query = hostileText(random);
      const hits = search(db, index, query, { match: pick(random, ["any", "all"]), limit: 1000 }).all() as any[];
      expect(new Set(hits.map(({ id }) => id)).size, JSON.stringify(query)).toBe(hits.length);
      expect(hits.every(({ $score }) => Number.isFinite($score))).toBe(true);
      counts.texts++;
      counts.hits += hits.length;
    }
    expect(counts.hits).toBeGreaterThan(0);
    figures(`hostile texts, ${tokenizer}`, counts);
  });
});

test("26, 27: any bytes in the vector column: the rows that are vectors are found, the others left out", {
  timeout: LONG_MS,
}, () => {
  const random = seeded(SEED + 77);
  const app = APPS.integer;
  const { client, db } = open(...createStatements(app));
  ensureSearchIndexes(db, [app.index]);
  const put = client.prepare("INSERT OR REPLACE INTO t (id, txt, v) VALUES (?, 'red', ?)");
  const counts = { blobs: 0, compared: 0 };
  for (const _ of rounds(400, 0.1)) {
    const bytes = Buffer.from(
      Array.from({ length: pick(random, [12, 12, 12, 12, 0, 1, 11, 13, 24]) }, () => below(random, 256)),
    );
    const value = pick<unknown>(random, [
      bytes,
      bytes,
      bytes,
      bytes,
      null,
      "text",
      7n,
      1.5,
      Buffer.from(new Float32Array([0, 0, 0]).buffer),
    ]);
    put.run(below(random, 30), value);
    counts.blobs++;
    const query = [random() - 0.5, random() - 0.5, random() - 0.5].map(Math.fround);
    const expected = bruteForce(client, app, { query, condition: "true" });
    if (expected === "STORED_DIMENSIONS") continue;
    const hits = nearest(db, app.table.v, query as any, { limit: 7, select: { k: app.table.id } }).all() as any[];
    expect(hits.map(({ k, $distance }) => [[String(k)], $distance])).toEqual(expected.slice(0, 7));
    counts.compared++;
  }
  figures("stored bytes", counts);
});

const NAMES = [
  ..."select,table,order,group,_rowid_,rowid,rank,new,old,r,k,f,e,id,seq,value,key,__proto__,constructor,prototype,toString,c0,k0".split(
    ",",
  ),
  ...[
    'a"b',
    "a'b",
    "a`b",
    "a]b[",
    "a;b",
    "a--b",
    "a/*b",
    "a b",
    " a",
    "a\nb",
    "a\\b",
    "$1",
    "?1",
    ":x",
    "@y",
    "%s",
    "\u00e4\u00f6\u65e5\u672c",
    "\u{1f600}",
  ],
  ...[
    '"; DROP TABLE secret; --',
    "'); DELETE FROM secret; --",
    "x".repeat(300),
    "t",
    "T",
    "main",
    "temp",
    "sqlite",
    "_dv",
    "1",
    "-1",
  ],
];

describe("73: identifiers", () => {
  test("whatever a table, its columns and its index are called, a whole life of an index works and nothing else is touched", {
    timeout: LONG_MS,
  }, async () => {
    const random = seeded(SEED + 99);
    const counts = { lives: 0, refused: 0 };
    for (const round of rounds(24, 0.15)) {
      // Each name has its turn in each place; names beside it are random.
      const one = NAMES[round % NAMES.length]!;
      const isRefused = await live(random, round % 4 === 0 ? one : pick(random, NAMES), [one, ...NAMES]);
      counts[isRefused ? "refused" : "lives"]++;
    }
    expect(counts.lives).toBeGreaterThan(counts.refused);
    expect(({} as any).polluted).toBeUndefined();
    figures("identifiers", counts);
  });
});

async function live(random: Random, tableName: string, names: readonly string[]): Promise<boolean> {
  const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;
  const columns: string[] = [];
  const isTextKey = random() < 0.5;
  // Column names differ by more than case, and a rowid's name is no column of an integer key.
  const pool = [names[0]!, ...Array.from({ length: 40 }, () => pick(random, names))];
  for (const name of pool) {
    if (columns.length < 4 && !columns.some((known) => known.toLowerCase() === name.toLowerCase())) columns.push(name);
  }
  const [key, title, vector, unique] = columns as [string, string, string, string];
  const client = new Database(":memory:");
  const db = drizzle({ client }) as any;
  try {
    client.exec("CREATE TABLE secret (x); INSERT INTO secret VALUES (1)");
    client.exec(
      `CREATE TABLE ${quote(tableName)} (${quote(key)} ${isTextKey ? "TEXT PRIMARY KEY NOT NULL" : "INTEGER PRIMARY KEY"}, ${quote(title)} TEXT, ${quote(vector)} BLOB, ${quote(unique)} INTEGER UNIQUE)`,
    );
    let table: any;
    let index: any;
    try {
      table = sqliteTable(tableName, {
        key: isTextKey ? text(key).primaryKey() : integer(key).primaryKey(),
        title: text(title),
        vector: vectorColumn(vector, 2),
        unique: integer(unique),
      });
      index = searchIndex(pick(random, names), table, { text: { title: 1 }, vectors: { vector: {} } } as any);
    } catch (error) {
      if (!(error instanceof DrizzleVectorError)) throw error;
      return true;
    }
    ensureSearchIndexes(db, [index]);
    const row = (id: number, title: string, vector: number[]) => ({
      key: isTextKey ? `k${id}` : id,
      title,
      vector,
      unique: id,
    });
    db.insert(table)
      .values([row(1, "red apple", [1, 0]), row(2, "green pear", [0, 1])])
      .run();
    client
      .prepare(
        `REPLACE INTO ${quote(tableName)} (${quote(key)}, ${quote(title)}, ${quote(vector)}, ${quote(unique)}) VALUES (?, 'blue plum', ?, 1)`,
      )
      .run(isTextKey ? "k3" : 3, Buffer.from(new Float32Array([1, 1]).buffer));
    const keyOf = (id: number) => (isTextKey ? `k${id}` : id);
    const select = { k: table.key };
    const near = nearest(db, table.vector, [1, 0.1], { select }) as any;
    const found = search(db, index, "plum apple pear", { match: "any", select } as any) as any;
    const keys = (hits: any[]) => hits.map(({ k }) => k);
    for (let i = 0; i < 2; i++) {
      expect(keys(near.all())).toEqual([keyOf(3), keyOf(2)]);
      expect(near.explain().plan).toBe("certified scan");
      expect(keys(found.all()).sort()).toEqual([keyOf(2), keyOf(3)]);
      expect((await library.verify(db, index)).problems).toEqual([]);
      await library.rebuild(db, index);
    }
    expect((library.status(db, index) as any).rows).toBe(2);
    library.dropSearchIndex(db, index);
    const left = client
      .prepare("SELECT name FROM sqlite_master WHERE name LIKE '\\_dv\\_%' ESCAPE '\\' AND tbl_name <> ?")
      .pluck()
      .all(tableName);
    expect(left).toEqual([]);
    expect(client.prepare("SELECT count(*) FROM secret").pluck().get()).toBe(1);
    expect(
      client
        .prepare(`SELECT count(*) FROM ${quote(tableName)}`)
        .pluck()
        .get(),
    ).toBe(2);
    return false;
  } catch (error) {
    throw new Error(`${JSON.stringify([tableName, ...columns])}: ${(error as Error).message}`, { cause: error });
  } finally {
    client.close();
  }
}

const KEYS = [
  "limit",
  "offset",
  "where",
  "select",
  "maxDistance",
  "metric",
  "recall",
  "match",
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "limmit",
  "weights",
  "prefix",
  "highlight",
];
const VALUES = [
  "0",
  "1",
  "-1",
  "1.5",
  "1e9",
  "1e400",
  "9007199254740993",
  "null",
  "true",
  '""',
  '"5"',
  '"any"',
  '"dot"',
  "[]",
  "[1]",
  "{}",
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '{"sql":"1=1"}',
  '{"queryChunks":[]}',
];

test("74: options as they come out of JSON are answered or refused by name, and no prototype changes", {
  timeout: LONG_MS,
}, () => {
  const random = seeded(SEED + 55);
  const app = shape({ ...APPS.integer, title: "options" });
  const { client, db } = open(...createStatements(app));
  ensureSearchIndexes(db, [app.index]);
  client.exec("INSERT INTO t (id, txt, v) VALUES (1, 'red', x'0000803f0000000000000000')");
  const counts = { answered: 0, refused: 0 };
  for (const _ of rounds(600, 0.1)) {
    const json = `{${Array.from({ length: below(random, 4) }, () => `${JSON.stringify(pick(random, KEYS))}:${pick(random, VALUES)}`).join(",")}}`;
    const work = pick(random, [
      () => nearest(db, app.table.v, [1, 0, 0], JSON.parse(json)).all(),
      () => search(db, app.index, "red", JSON.parse(json)).all(),
      () => library.configure(db, JSON.parse(json)),
      () => library.distance(app.table.v, JSON.parse(json)),
      () => nearest(db, app.table.v, JSON.parse(pick(random, VALUES).replace("1e400", "1e300"))).all(),
      () => search(db, app.index, JSON.parse(pick(random, VALUES).replace("1e400", "1e300"))).all(),
    ]);
    try {
      work();
      counts.answered++;
    } catch (error) {
      if (!(error instanceof DrizzleVectorError))
        throw new Error(`${json}: ${(error as Error).message}`, { cause: error });
      counts.refused++;
    }
    expect(({} as any).polluted, json).toBeUndefined();
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
  }
  expect(counts.answered).toBeGreaterThan(0);
  expect(counts.refused).toBeGreaterThan(0);
  expectAnswers({ client, db }, app, 1);
  figures("options", counts);
});

test("30: a column that only claims to hold vectors is a typed error", () => {
  const claim = customType<{ data: number[] }>({ dataType: () => "blob" });
  const table = sqliteTable("t", { id: integer().primaryKey(), v: claim() });
  const { db } = open("CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)");
  expect(() => nearest(db, table.v as any, [1, 2]).all()).toThrow(library.UnsupportedColumnError);
});
