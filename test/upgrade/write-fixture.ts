import type Database from "better-sqlite3";
import { eq, inArray, lt } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { attachmentNamed, attachmentsOf } from "../../src/change/attachment.ts";
import { driverOf } from "../../src/driver/driver.ts";
import { configure, ensureSearchIndexes, optimize } from "../../src/index.ts";
import { Fold } from "../../src/vector/fold.ts";
import { indexedColumnOf } from "../../src/vector/indexed-column.ts";
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
  for (const n of range(100, 140))
    db.update(docs)
      .set(docOf(n, 1) as any)
      .where(eq(docs.id, n))
      .run();
  db.delete(docs).where(lt(docs.id, 20)).run();
  await optimize(db, docsSearch);
  // What has changed since: it is in the log alone.
  for (const n of range(200, 215))
    db.update(docs)
      .set(docOf(n, 2) as any)
      .where(eq(docs.id, n))
      .run();
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
  for (const n of range(50, 70))
    db.update(photos)
      .set(photoOf(n, 1) as any)
      .where(eq(photos.id, n))
      .run();
  db.delete(photos).where(lt(photos.id, 10)).run();
  foldChanges(db);
  for (const n of range(60, 64))
    db.update(photos)
      .set(photoOf(n, 2) as any)
      .where(eq(photos.id, n))
      .run();
}

/** What happens by itself once so much has changed that it is worth it. */
function foldChanges(db: ReturnType<typeof drizzle>): void {
  const driver = driverOf(db as any) as any;
  const attachment = attachmentNamed(
    driver.run((snapshot: any) => attachmentsOf(driver, snapshot)),
    "photos_search",
  )!;
  const [vector] = attachment.record.definition!.vectors;
  const fold = new Fold(driver.connection, indexedColumnOf(attachment, vector!)!, {
    sliceMs: 20,
    isWhole: false,
    isChecked: true,
  });
  let done: { value: unknown };
  do done = driver.tryWrite(() => fold.slice());
  while (done.value === undefined);
}
