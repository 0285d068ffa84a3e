import { integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { ensureSearchIndexes, searchIndex, vectorColumn } from "../../src/index.ts";
import { openBetterSqlite3, randomVector, seeded } from "../helpers/databases.ts";

export const DIMENSIONS = 64;

/** A table with vectors that 1-bit codes are worth it for: with codes for exact answers, with none, and of bits. */
export const items = sqliteTable("items", {
  id: integer().primaryKey(),
  embedding: vectorColumn("vec", DIMENSIONS),
  approximate: vectorColumn(DIMENSIONS),
  bits: vectorColumn("bits", { dimensions: DIMENSIONS, element: "bit" }),
});

export const itemsSearch = searchIndex("items_search", items, {
  vectors: { embedding: {}, approximate: { metric: "l2", exact: false }, bits: {} },
});

export const pairs = sqliteTable(
  "pairs",
  { a: text().notNull(), b: integer().notNull(), embedding: vectorColumn(DIMENSIONS) },
  (table) => [primaryKey({ columns: [table.a, table.b] })],
);

export const pairsSearch = searchIndex("pairs_search", pairs, { vectors: { embedding: { metric: "dot" } } });

const DDL = `
  CREATE TABLE items (id INTEGER PRIMARY KEY NOT NULL, vec BLOB, approximate BLOB, bits BLOB);
  CREATE TABLE pairs (a TEXT NOT NULL, b INTEGER NOT NULL, embedding BLOB, PRIMARY KEY (a, b))`;

/** Isotropic noise, the worst of all data: approximate search does miss neighbours here. */
export function openVectors({ rows = 1500, file }: { rows?: number; file?: string } = {}) {
  const opened = openBetterSqlite3({}, file);
  const { client, db } = opened;
  client.exec(DDL);
  ensureSearchIndexes(db, [itemsSearch, pairsSearch]);
  const insert = client.prepare("INSERT INTO items (vec, approximate, bits) VALUES (?, ?, ?)");
  const pair = client.prepare("INSERT INTO pairs VALUES (?, ?, ?)");
  const random = seeded(7);
  client.transaction(() => {
    for (let i = 0; i < rows; i++) {
      const vector = bytesOf(randomVector(random, DIMENSIONS));
      insert.run(vector, vector, vector.subarray(0, DIMENSIONS / 8));
      if (i < 50) pair.run(`a${i % 5}`, i, vector);
    }
  })();
  return opened;
}

export function bytesOf(vector: readonly number[]): Buffer {
  return Buffer.from(Float32Array.from(vector).buffer);
}
