import type Database from "better-sqlite3";
import { eq, inArray, lt } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { configure, ensureSearchIndexes, optimize } from "../../src/index.ts";
import { fold } from "../helpers/slow-fold.ts";
import {
  CREATE,
  DOCS,
  docOf,
  docs,
  docsSearch,
  INDEXES,
  NOTES,
  noteOf,
  notes,
  PHOTOS,
  photoOf,
  photos,
} from "./fixture.ts";

/** Makes the fixture database in an empty one. Rows and what is done to them are the same each time; nonces and stamps are drawn anew. */
export async function writeFixture(client: Database.Database): Promise<void> {
  const db = drizzle({ client });
  configure(db, { maintenance: "manual" });
  client.pragma("page_size = 1024");
  client.exec(CREATE);
  ensureSearchIndexes(db, INDEXES);

  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
  const update = (table: any, ids: readonly number[], rowOf: (n: number) => object) => {
    for (const n of ids) db.update(table).set(rowOf(n)).where(eq(table.id, n)).run();
  };
  db.insert(docs)
    .values(range(0, DOCS).map((n) => docOf(n)) as any)
    .run();
  db.insert(notes)
    .values(range(0, NOTES).map((n) => noteOf(n)) as any)
    .run();
  db.insert(photos)
    .values(range(0, PHOTOS).map((n) => photoOf(n)) as any)
    .run();
  for (const index of INDEXES) await optimize(db, index);
  // Rows of which the first generation holds other codes.
  update(docs, range(100, 140), (n) => docOf(n, 1));
  db.delete(docs).where(lt(docs.id, 20)).run();
  await optimize(db, docsSearch);
  // What has changed since: it is in the log alone.
  update(docs, range(200, 215), (n) => docOf(n, 2));
  db.insert(docs)
    .values(range(DOCS, DOCS + 10).map((n) => docOf(n, 3)) as any)
    .run();
  db.delete(docs)
    .where(inArray(docs.id, [30, 31, 32]))
    .run();
  db.update(notes).set({ id: "note moved" }).where(eq(notes.id, "note 7")).run();
  // A REPLACE that evicts another row by its slug.
  client.exec("REPLACE INTO docs (id, slug, title, exact) SELECT 9999, slug, title, exact FROM docs WHERE id = 300");

  // A second segment, and rows of the first that are gone.
  update(photos, range(50, 70), (n) => photoOf(n, 1));
  db.delete(photos).where(lt(photos.id, 10)).run();
  // As it happens by itself once so much has changed that it is worth it.
  fold({ db }, { index: "photos_search", isChecked: true });
  update(photos, range(60, 64), (n) => photoOf(n, 2));
}
