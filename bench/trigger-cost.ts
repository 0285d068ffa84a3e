// What an index costs a writer: the same prepared statements on raw better-sqlite3, with and without our triggers. Each run has
// a fresh database file (WAL, synchronous NORMAL). And what it costs to add a text index to a table with rows.
// The first argument is the number of rounds, default 5.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { ensureSearchIndexes, type SearchIndex, searchIndex, vectorColumn } from "../dist/index.js";
import { noise, seeded, words } from "./lib/data.ts";
import { printTimes, sideBySide } from "./lib/measure.ts";

const ROWS = 100_000;
const DIMENSIONS = 384;
const WORDS = 60;
const BATCH = 1000;
const ROUNDS = Number(process.argv[2] ?? 5);

const docs = sqliteTable("docs", {
  id: integer().primaryKey(),
  body: text(),
  views: integer(),
  embedding: vectorColumn(DIMENSIONS),
});
const vectors = searchIndex("by_vector", docs, { vectors: { embedding: {} } });
const texts = searchIndex("by_text", docs, { text: { body: 1 } });
const BARE_FTS = "INSERT … SELECT into a bare FTS5 table";

/** What people write by hand; FTS5 keeps the text, as ours does. */
const HAND_WRITTEN = `CREATE VIRTUAL TABLE hand_fts USING fts5(body);
  CREATE TRIGGER hand_insert AFTER INSERT ON docs BEGIN
    DELETE FROM hand_fts WHERE rowid = new.id; INSERT INTO hand_fts (rowid, body) VALUES (new.id, new.body); END;
  CREATE TRIGGER hand_update AFTER UPDATE ON docs WHEN old.body IS NOT new.body BEGIN
    DELETE FROM hand_fts WHERE rowid = old.id; INSERT INTO hand_fts (rowid, body) VALUES (new.id, new.body); END;
  CREATE TRIGGER hand_delete AFTER DELETE ON docs BEGIN DELETE FROM hand_fts WHERE rowid = old.id; END`;

const random = seeded(1);
const blobs = Array.from({ length: BATCH }, () => Buffer.from(noise(random, DIMENSIONS).buffer));
const bodies = Array.from({ length: 10 * BATCH }, () => words(random, WORDS));
const vectorRow = (i: number) => [i, null, 0, blobs[i % blobs.length]!];
const textRow = (i: number) => [i, bodies[i % bodies.length]!, 0, null];
const fullRow = (i: number) => [i, bodies[i % bodies.length]!, 0, blobs[i % blobs.length]!];

const folder = mkdtempSync(join(tmpdir(), "trigger-cost-"));
const FILE = join(folder, "bench.db");
try {
  race(`insert ${ROWS} rows x ${DIMENSIONS} float32`, (client) => insertAll(client, vectorRow), {
    "bare table": () => {},
    "vector index": ensured(vectors),
  });
  race(`insert ${ROWS} rows x ${WORDS} words`, (client) => insertAll(client, textRow), {
    "hand-written triggers": (client) => void client.exec(HAND_WRITTEN),
    "text index": ensured(texts),
    "bare table": () => {},
  });
  race(`update a column of no index in ${ROWS} rows`, updateAll, {
    "bare table": (client) => insertAll(client, fullRow),
    "vector index": (client) => {
      insertAll(client, fullRow);
      ensured(vectors)(client);
    },
    "text index": (client) => {
      insertAll(client, fullRow);
      ensured(texts)(client);
    },
  });
  // Adding an index to a table with rows: nearly all of it is one INSERT … SELECT.
  const withRows = (client: Database.Database) => insertAll(client, fullRow);
  race(`fill the text of ${ROWS} rows x ${WORDS} words`, fill, {
    [BARE_FTS]: withRows,
    ensureSearchIndexes: withRows,
  });
} finally {
  rmSync(folder, { recursive: true });
}

/** Times the same work on a fresh database for each contender and round; what sets it up is not timed. */
function race(
  title: string,
  work: (client: Database.Database, name: string) => void,
  contenders: Record<string, (client: Database.Database) => void>,
): void {
  let client: Database.Database | undefined;
  const runs = Object.keys(contenders).map((name) => [name, () => work(client!, name)]);
  const times = sideBySide(ROUNDS, Object.fromEntries(runs), (name) => {
    client?.close();
    const setup = create();
    contenders[name]!(setup);
    setup.close();
    // A new connection, so that no contender finds its pages in the cache.
    client = open();
  });
  client?.close();
  printTimes(`${title}, transactions of ${BATCH}, median of ${ROUNDS}`, times);
}

function create(): Database.Database {
  for (const suffix of ["", "-wal", "-shm"]) rmSync(FILE + suffix, { force: true });
  const client = open();
  client.exec("CREATE TABLE docs (id INTEGER PRIMARY KEY, body TEXT, views INTEGER, embedding BLOB)");
  return client;
}

function open(): Database.Database {
  const client = new Database(FILE);
  client.pragma("journal_mode = WAL");
  client.pragma("synchronous = NORMAL");
  return client;
}

function ensured(index: SearchIndex<any, any, any>) {
  return (client: Database.Database) => void ensureSearchIndexes(drizzle({ client }), [index]);
}

function insertAll(client: Database.Database, row: (i: number) => unknown[]): void {
  const insert = client.prepare("INSERT INTO docs VALUES (?, ?, ?, ?)");
  inBatches(client, (i) => void insert.run(...row(i)));
}

function updateAll(client: Database.Database): void {
  const update = client.prepare("UPDATE docs SET views = views + 1 WHERE id = ?");
  inBatches(client, (i) => void update.run(i));
}

function inBatches(client: Database.Database, write: (i: number) => void): void {
  const batch = client.transaction((from: number) => {
    for (let i = from; i < from + BATCH; i++) write(i);
  });
  for (let from = 1; from <= ROWS; from += BATCH) batch(from);
}

function fill(client: Database.Database, name: string): void {
  if (name === BARE_FTS) {
    client.exec("CREATE VIRTUAL TABLE bare_fts USING fts5(body)");
    client.exec("INSERT INTO bare_fts (rowid, body) SELECT id, body FROM docs");
  } else ensured(texts)(client);
}
