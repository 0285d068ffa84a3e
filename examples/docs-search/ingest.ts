import { eq, inArray, sql } from "drizzle-orm";
import {
  CORPUS_VERSION,
  type FilePassage,
  findPackages,
  type PackageDocs,
  pathInPackage,
  readPassages,
} from "./corpus.ts";
import type { Db } from "./database.ts";
import type { Embedder, PassageText } from "./embedder.ts";
import { model, packages, passages, type Vector } from "./schema.ts";

export interface IngestOptions {
  /** The folder that holds `node_modules`. */
  root: string;
  /** Throw everything away first. */
  rebuild?: boolean;
  onProgress?: (stage: string, done: number, total: number) => void;
}

export interface IngestReport {
  /** Whether all vectors are new: another model, or one fitted again. */
  isRebuilt: boolean;
  changedPackages: number;
  addedPassages: number;
  removedPassages: number;
}

/** A fitted model goes on with new passages (their known words place them) until this share of its passages came or went. */
const REFIT_SHARE = 0.2;
/** Passages embedded at once: one request to an endpoint. */
const BATCH = 64;

/** What differs between a package on disk and in the database. */
interface Change {
  docs: PackageDocs;
  added: FilePassage[];
  removedIds: number[];
}

/**
 * Brings the database in step with the packages on disk. A package whose files look as before is not even read; in one that
 * is read, only passages that are new are embedded. Each package is written in a transaction of its own, so an ingest that was
 * interrupted goes on where it stopped.
 */
export async function ingest(db: Db, embedder: Embedder, options: IngestOptions): Promise<IngestReport> {
  const { root, rebuild = false, onProgress } = options;
  const found = findPackages(root);
  const modelName = `${embedder.name}, corpus ${CORPUS_VERSION}`;
  const current = db.select().from(model).get();

  let changes: Change[] = [];
  let isRebuilt = rebuild || current?.name !== modelName;
  if (!isRebuilt) {
    changes = findChanges(db, found, root);
    const changed = current!.changedPassages + changes.reduce((sum, change) => sum + countOf(change), 0);
    isRebuilt = embedder.fit !== undefined && changed > REFIT_SHARE * current!.fittedPassages;
  }
  if (isRebuilt) {
    // An endpoint that does not answer shall not cost the vectors there are.
    if (embedder.fit === undefined) await embedder.embedQuestion("Are you there?");
    changes = found.map((docs, i) => {
      onProgress?.("Reading the documentation", i + 1, found.length);
      return { docs, added: readPassages(root, docs), removedIds: [] };
    });
    startOver(db, embedder, modelName, changes, onProgress);
  }

  const total = changes.reduce((sum, { added }) => sum + added.length, 0);
  let done = 0;
  for (const change of changes) {
    const vectors: Vector[] = [];
    const texts = change.added.map((passage) => describe(change.docs, passage));
    for (let i = 0; i < texts.length; i += BATCH) {
      vectors.push(...(await embedder.embedPassages(texts.slice(i, i + BATCH))));
      onProgress?.("Embedding passages", done + vectors.length, total);
    }
    done += vectors.length;
    write(db, change, vectors, isRebuilt);
  }

  return {
    isRebuilt,
    changedPackages: changes.length,
    addedPassages: total,
    removedPassages: changes.reduce((sum, { removedIds }) => sum + removedIds.length, 0),
  };
}

/** Packages that are new, look different or are gone, with the passages in which they differ. */
function findChanges(db: Db, found: PackageDocs[], root: string): Change[] {
  const stored = new Map(
    db
      .select()
      .from(packages)
      .all()
      .map((row) => [row.name, row]),
  );
  const changed = found.filter(({ name, fingerprint }) => stored.get(name)?.fingerprint !== fingerprint);
  const installed = new Set(found.map(({ name }) => name));
  const gone = [...stored.values()].filter(({ name }) => !installed.has(name)).map((row) => ({ ...row, files: [] }));
  return [...changed, ...gone].map((docs) => compare(db, docs, readPassages(root, docs)));
}

function compare(db: Db, docs: PackageDocs, wanted: FilePassage[]): Change {
  const keyOf = ({ file, heading, text }: FilePassage) => JSON.stringify([file, heading, text]);
  const added = new Map(wanted.map((passage) => [keyOf(passage), passage]));
  const removedIds: number[] = [];
  const { id, file, heading, text } = passages;
  for (const row of db
    .select({ id, file, heading, text })
    .from(passages)
    .where(eq(passages.package, docs.name))
    .all()) {
    if (!added.delete(keyOf(row))) removedIds.push(row.id);
  }
  return { docs, added: [...added.values()], removedIds };
}

/** Fits the model, where it is one to fit, and empties the tables of what the old one made: both or neither. */
function startOver(
  db: Db,
  embedder: Embedder,
  modelName: string,
  changes: Change[],
  onProgress: IngestOptions["onProgress"],
): void {
  const texts = changes.flatMap(({ docs, added }) => added.map((passage) => describe(docs, passage)));
  const save = embedder.fit?.(texts, (share) => onProgress?.("Learning the words", Math.round(100 * share), 100));
  db.transaction((tx) => {
    tx.delete(packages).run(); // and by cascade the passages
    tx.delete(model).run();
    tx.insert(model).values({ id: 1, name: modelName, fittedPassages: texts.length, changedPassages: 0 }).run();
    save?.(tx);
  });
}

function write(db: Db, change: Change, vectors: Vector[], isRebuilt: boolean): void {
  const { added, removedIds } = change;
  const { name, version, fingerprint, files } = change.docs;
  db.transaction((tx) => {
    if (!isRebuilt) {
      tx.update(model)
        .set({ changedPassages: sql`${model.changedPassages} + ${countOf(change)}` })
        .run();
    }
    if (files.length === 0 && !isRebuilt) {
      tx.delete(packages).where(eq(packages.name, name)).run();
      return;
    }
    tx.insert(packages)
      .values({ name, version, fingerprint })
      .onConflictDoUpdate({ target: packages.name, set: { version, fingerprint } })
      .run();
    tx.update(passages).set({ version }).where(eq(passages.package, name)).run();
    for (const ids of slices(removedIds)) tx.delete(passages).where(inArray(passages.id, ids)).run();
    const rows = added.map((passage, i) => ({ ...passage, package: name, version, embedding: vectors[i]! }));
    for (const some of slices(rows)) tx.insert(passages).values(some).run();
  });
}

function describe({ name }: PackageDocs, { file, heading, text }: FilePassage): PassageText {
  const path = pathInPackage(file, name).replace(/\.(md|markdown|d\.[cm]?ts)$/i, "");
  return { package: name, file: path, heading, text };
}

function countOf({ added, removedIds }: Change): number {
  return added.length + removedIds.length;
}

/** Small enough for the number of parameters SQLite takes in a statement. */
function slices<T>(items: T[]): T[][] {
  const size = 500;
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}
