import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { type BetterSQLite3Database, drizzle } from "drizzle-orm/better-sqlite3";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { ensureSearchIndexes, searchIndex, vectorColumn } from "./library.ts";
import { type Kind, remarkOn, vectorSource } from "./vectors.ts";

/** Where data, peers' indexes and results are kept from run to run. */
export const FOLDER = process.env.BENCH_FOLDER ?? join(tmpdir(), "drizzle-vector-bench");
mkdirSync(FOLDER, { recursive: true });

export interface DataSetOptions {
  readonly kind: Kind;
  readonly rows: number;
  readonly dimensions: number;
  readonly seed: number;
}

/** A table `docs` of ids 1..rows in an SQLite file of its own, with the vectors of one kind; and the queries that go with it. */
export interface DataSet extends DataSetOptions {
  readonly name: string;
  readonly metric: "cosine" | "l2";
  readonly isUnit: boolean;
  /** Never written to: work on a `copyOf` it. */
  readonly file: string;
  readonly floatBytes: number;
  queries(count: number): Float32Array[];
}

const SIFT_DIMENSIONS = 128;

/** The data set, made unless it is there from an earlier run. Undefined where its kind needs a folder that is absent. */
export function dataSet(options: DataSetOptions): DataSet | undefined {
  const { kind, seed } = options;
  const dimensions = kind === "sift10k" ? SIFT_DIMENSIONS : options.dimensions;
  const source = vectorSource(kind, dimensions, seed);
  if (!source) {
    console.log(`${kind}: left out, its data folder is absent`);
    return undefined;
  }
  const { metric, isUnit } = source;
  const rows = Math.min(options.rows, source.rowsMax);
  const name = `${kind}${remarkOn(kind, dimensions) && "-stand-in"}-${rows}x${dimensions}-${seed}`;

  const file = join(FOLDER, `${name}.db`);
  if (!existsSync(file)) {
    const start = performance.now();
    const unfinished = `${file}.unfinished`;
    rmSync(unfinished, { force: true });
    const { docs } = schemaOf(dimensions, metric);
    const client = new Database(unfinished);
    client.pragma("journal_mode = OFF");
    client.pragma("synchronous = OFF");
    client.exec("CREATE TABLE docs (id integer PRIMARY KEY, title text, embedding blob)");
    const insert = client.prepare("INSERT INTO docs VALUES (?, ?, ?)");
    const vector = new Float32Array(dimensions);
    client.transaction(() => {
      for (let id = 1; id <= rows; id++) {
        source.nextRow(vector);
        insert.run(id, `Document ${id}`, docs.embedding.mapToDriverValue(vector));
      }
    })();
    client.pragma("journal_mode = WAL");
    client.close();
    renameSync(unfinished, file);
    console.log(`made ${name} in ${((performance.now() - start) / 1000).toFixed(1)} s`);
  }
  return {
    kind,
    seed,
    rows,
    dimensions,
    name,
    metric,
    isUnit,
    file,
    floatBytes: rows * dimensions * 4,
    queries(count) {
      const fresh = vectorSource(kind, dimensions, seed)!;
      return Array.from({ length: count }, () => {
        const query = new Float32Array(dimensions);
        fresh.nextQuery(query);
        return query;
      });
    },
  };
}

/** The table and its search index, as an app would declare them. */
export function schemaOf(dimensions: number, metric: "cosine" | "l2") {
  const docs = sqliteTable("docs", { id: integer().primaryKey(), title: text(), embedding: vectorColumn(dimensions) });
  return { docs, docsSearch: searchIndex("docs_search", docs, { vectors: { embedding: { metric } } }) };
}

export type Schema = ReturnType<typeof schemaOf>;
export type Db = BetterSQLite3Database<Schema> & { $client: Database.Database };

/** A database as an app opens it. */
export function openDb(file: string, schema: Schema): Db {
  const client = new Database(file);
  client.pragma("synchronous = NORMAL");
  return drizzle({ client, schema });
}

/** Runs with a folder of its own, which is gone afterwards. */
export async function inFolder<T>(run: (folder: string) => T | Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(FOLDER, "run-"));
  try {
    return await run(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function copyOf(set: DataSet, folder: string, name = "bench.db"): string {
  const file = join(folder, name);
  copyFileSync(set.file, file);
  return file;
}

/** A copy with the search index over it, in an open database. */
export function openIndexed(set: DataSet, folder: string, name?: string): Schema & { db: Db; file: string } {
  const schema = schemaOf(set.dimensions, set.metric);
  const file = copyOf(set, folder, name);
  const db = openDb(file, schema);
  ensureSearchIndexes(db, [schema.docsSearch]);
  return { ...schema, db, file };
}

/** All vectors of the set in one array; row i has the id i + 1. */
export function vectorsOf(set: DataSet): Float32Array<ArrayBuffer> {
  const client = new Database(set.file, { readonly: true });
  const vectors = new Float32Array(set.rows * set.dimensions);
  const bytes = new Uint8Array(vectors.buffer);
  let at = 0;
  for (const blob of client.prepare("SELECT embedding FROM docs ORDER BY id").pluck().iterate()) {
    bytes.set(blob as Uint8Array, at);
    at += set.dimensions * 4;
  }
  client.close();
  return vectors;
}

/** Reads a file once, so that the next reader finds it in the page cache. */
export function warm(file: string): void {
  for (const part of [file, `${file}-wal`]) if (existsSync(part)) readFileSync(part);
}
