import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { describe, expect, onTestFinished, test } from "vitest";
import { ensureSearchIndexes, nearest, optimize, purge, search, searchIndex, vectorColumn } from "../../src/index.ts";
import { seeded, temporaryFolder } from "../helpers/databases.ts";

const notes = sqliteTable("notes", { id: integer().primaryKey(), body: text(), v: vectorColumn(32) });
const notesSearch = searchIndex("notes_search", notes, { text: { body: 1 }, vectors: { v: {} } });

/** A secret among other notes, in a vector of bytes that are found nowhere else. */
const SECRET = "zyzzyva";
const MARK = Float32Array.from({ length: 32 }, (_, i) => 1.2345678 + i / 1000);

function opened(journal: string) {
  const file = join(temporaryFolder(), "notes.db");
  const client = new Database(file);
  onTestFinished(() => void client.close());
  client.pragma(`journal_mode = ${journal}`);
  client.exec("create table notes (id integer primary key, body text, v blob)");
  const db = drizzle({ client, schema: { notes } });
  ensureSearchIndexes(db, [notesSearch]);
  const random = seeded(1);
  db.insert(notes)
    .values(
      Array.from({ length: 300 }, (_, id) => ({
        id,
        body: id === 150 ? `the ${SECRET} of it` : `note number ${id}`,
        v: id === 150 ? MARK : Float32Array.from({ length: 32 }, () => random() - 0.5),
      })),
    )
    .run();
  return { file, client, db };
}

function bytesOf(file: string): Buffer {
  return Buffer.concat([file, `${file}-wal`].filter(existsSync).map((name) => readFileSync(name)));
}

const traces = (file: string) => ({
  text: bytesOf(file).includes(SECRET),
  vector: bytesOf(file).includes(Buffer.from(MARK.buffer, 0, 24)),
});

describe.each(["wal", "delete"])("in journal mode %s", (journal) => {
  test("77: neither text nor vector of a deleted row is in the file", async () => {
    const { file, client, db } = opened(journal);
    nearest(db, notes.v, MARK).all();
    await optimize(db, notesSearch);
    const codes = client.prepare("select count(*) from _dv_notes_search_chunks").pluck().get();
    expect(codes).toBeGreaterThan(0);
    db.delete(notes).where(sql`id = 150`).run();
    client.pragma("wal_checkpoint(truncate)");
    expect(traces(file)).toEqual({ text: true, vector: true });

    expect(await purge(db)).toMatchObject({ indexes: ["notes_search"], checkpointed: true });
    expect(traces(file)).toEqual({ text: false, vector: false });
    expect(search(db, notesSearch, SECRET).all()).toEqual([]);
    expect(search(db, notesSearch, "number").all()).toHaveLength(10);
    expect(nearest(db, notes.v, MARK, { limit: 300 }).all()).toHaveLength(299);
    expect(client.prepare("PRAGMA secure_delete").pluck().get()).toBe(0);
  });
});

test("inside a transaction it is refused", async () => {
  const { client, db } = opened("wal");
  client.exec("begin");
  await expect(purge(db)).rejects.toThrow(expect.objectContaining({ code: "TRANSACTION_OPEN" }));
});

test("while another connection reads, it says that the log could not be emptied", async () => {
  const { file, client, db } = opened("wal");
  client.pragma("busy_timeout = 50");
  const reader = new Database(file);
  onTestFinished(() => void reader.close());
  reader.exec("begin");
  reader.prepare("select count(*) from notes").get();
  db.delete(notes).where(sql`id = 150`).run();
  expect(await purge(db)).toMatchObject({ checkpointed: false });
  reader.exec("commit");
  expect(await purge(db)).toMatchObject({ checkpointed: true });
  expect(traces(file)).toEqual({ text: false, vector: false });
});
