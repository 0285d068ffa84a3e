import { copyFileSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import * as library from "../../src/index.ts";
import { temporaryFolder } from "../helpers/databases.ts";
import { CREATE, docOf, docs, docsSearch, INDEXES, noteOf, notes, notesSearch, photoOf, photos } from "./fixture.ts";

const { configure, ensureSearchIndexes, hybrid, nearest, optimize, search, status, verify } = library;

function open(file: string) {
  const client = new Database(file);
  onTestFinished(() => void client.close());
  const db = drizzle({ client });
  const events: string[] = [];
  configure(db, { maintenance: "manual", onEvent: ({ code }) => events.push(code) });
  return { client, db, events, file };
}

function openFixture(name: string) {
  const file = join(temporaryFolder(), name);
  copyFileSync(fileURLToPath(new URL(name, import.meta.url)), file);
  return open(file);
}

type Opened = ReturnType<typeof open>;

/** The same rows in a database that today's library has made, whose vectors are read one by one. */
function madeToday({ client }: Opened): Opened {
  const fresh = open(":memory:");
  fresh.client.exec(CREATE);
  ensureSearchIndexes(fresh.db, INDEXES);
  for (const table of ["docs", "notes", "photos"]) {
    const rows = client.prepare(`SELECT * FROM ${table}`).raw().all() as unknown[][];
    const insert = fresh.client.prepare(`INSERT INTO ${table} VALUES (${rows[0]!.map(() => "?")})`);
    for (const row of rows) insert.run(...row);
  }
  for (const { name } of INDEXES as { name: string }[]) fresh.client.exec(`DROP TRIGGER _dv_${name}_insert`);
  return fresh;
}

function answersOf({ db }: Opened) {
  const doc = docOf(205, 2);
  const note = noteOf(50);
  const exact = { limit: 12 };
  return {
    cosine: nearest(db, docs.exact, doc.exact!, exact).all(),
    l2: nearest(db, docs.likely, doc.likely, exact).all(),
    hamming: nearest(db, notes.bits, note.bits, { ...exact, metric: "hamming" }).all(),
    dot: nearest(db, notes.bytes, note.bytes, { ...exact, metric: "dot" }).all(),
    tails: nearest(db, photos.vector, photoOf(55, 1).vector, { ...exact, metric: "l2" }).all(),
  };
}

function textsOf({ db }: Opened) {
  return {
    docs: search(db, docsSearch, "walks certificates", { limit: 50 }).all(),
    notes: search(db, notesSearch, "slack join", { limit: 50 }).all(),
    hybrid: hybrid(db, docsSearch, { text: "homework", vector: { exact: docOf(205, 2).exact! } }, { limit: 20 }).all(),
  };
}

const FIXTURES = readdirSync(new URL(".", import.meta.url)).filter((name) => name.endsWith(".db"));

describe.each(FIXTURES)("a database of an earlier version, %s", (name) => {
  test("is answered as one that was made today, from the codes that are in it", async () => {
    const old = openFixture(name);
    const today = madeToday(old);
    const vectors = answersOf(today);
    ensureSearchIndexes(today.db, INDEXES);
    const texts = textsOf(today);
    for (let round = 0; round < 2; round++) {
      expect(answersOf(old)).toEqual(vectors);
      expect(textsOf(old)).toEqual(texts);
      const recalled = nearest(old.db, docs.likely, docOf(205, 2).likely, { limit: 12, recall: 0.99 });
      expect(recalled.explain().plan).toBe("1-bit scan");
      expect(recalled.all()).toEqual(vectors.l2);
      for (const index of INDEXES) {
        expect((await verify(old.db, index)).problems).toEqual([]);
        for (const { problem } of (status(old.db, index) as any).vectors) expect(problem).toBeNull();
      }
      // The second time what has changed since is part of a generation that this version has written.
      for (const index of INDEXES) await optimize(old.db, index);
    }
    const again = open(old.file);
    expect(answersOf(again)).toEqual(vectors);
    expect([...old.events, ...again.events]).toEqual([]);
    expect(again.client.pragma("integrity_check", { simple: true })).toBe("ok");
  });

  test("keeps what was in its generation: nothing is read from the table but what has changed since", () => {
    const { db } = openFixture(name);
    const [column] = (status(db, docsSearch) as any).vectors;
    expect(column.rows).toBeGreaterThan(300);
    // 15 rows updated, 10 inserted, 3 deleted, one evicted and one in its place.
    expect(column.pending).toBeGreaterThanOrEqual(30);
    expect(nearest(db, docs.exact, docOf(205, 2).exact!).explain().plan).toBe("certified scan");
  });
});

describe("a database of a later version", () => {
  const file = FIXTURES.at(-1)!;

  test("is not written to: whatever would write refuses, vectors are answered from the table", async () => {
    const today = openFixture(file);
    const vectors = answersOf(today);
    const later = openFixture(file);
    later.client.exec("UPDATE _dv_indexes SET format = 1000");
    const before = readFileSync(later.file);
    const works: [string, () => unknown][] = [
      ["ensureSearchIndexes", () => ensureSearchIndexes(later.db, [docsSearch])],
      ["rebuild", () => library.rebuild(later.db, docsSearch)],
      ["optimize", () => optimize(later.db, docsSearch)],
      ["purge", () => library.purge(later.db)],
      ["dropSearchIndex", () => library.dropSearchIndex(later.db, docsSearch)],
      ["verify", () => verify(later.db, docsSearch)],
      ["search", () => search(later.db, docsSearch, "homework").all()],
      ["hybrid", () => hybrid(later.db, docsSearch, { text: "homework" }).all()],
    ];
    for (const [what, work] of works) {
      const refused = Promise.resolve().then(work);
      await expect(refused, what).rejects.toMatchObject({
        code: "INDEX_FORMAT",
        hint: expect.stringMatching(/^Update/),
      });
    }
    expect(answersOf(later)).toEqual(vectors);
    expect(nearest(later.db, docs.exact, docOf(205, 2).exact!).explain()).toMatchObject({
      plan: "bare scan",
      fallback: expect.stringContaining("has format 1000"),
    });
    expect((status(later.db, docsSearch) as any).problems).toMatchObject([{ code: "FORMAT_NEWER" }]);
    expect(readFileSync(later.file).equals(before)).toBe(true);
  });

  test("codes of a later format are left alone, and vectors are answered from the table", async () => {
    const later = openFixture(file);
    const vectors = answersOf(openFixture(file));
    later.client.exec("UPDATE _dv_docs_search_head SET format = 1000");
    const chunks = () => later.client.prepare("SELECT * FROM _dv_docs_search_chunks").raw().all();
    const before = chunks();
    expect(answersOf(later)).toEqual(vectors);
    await expect(optimize(later.db, docsSearch)).rejects.toMatchObject({ code: "INDEX_FORMAT" });
    expect(chunks()).toEqual(before);
    expect(later.events).toContain("CORRUPTION");
  });
});
