import { copyFileSync } from "node:fs";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { expect, onTestFinished } from "vitest";
import { codecOf, type Element, encodeVector, vectorBytes } from "../../src/codec/codec.ts";
import {
  type Configuration,
  configure,
  type Metric,
  nearest,
  type SearchEvent,
  searchIndex,
  vectorColumn,
} from "../../src/index.ts";
import { referenceDistance } from "../../src/metric/reference.ts";
import { compareKeys } from "../../src/query/key.ts";
import { ensure } from "../migration/database.ts";
import { seeded, temporaryFolder } from "./databases.ts";

export const KEYS = ["integer", "text", "composite"] as const;

export interface Shape {
  readonly element?: Element;
  readonly metric?: Metric;
  readonly key?: (typeof KEYS)[number];
  readonly dimensions?: number;
  readonly rows?: number;
  readonly journal?: "wal" | "delete";
  /** The file of an app of the same shape: it is copied, rows, index and all, which is faster than making them. */
  readonly copied?: string;
}

/** An app on a file of its own: a table `t` with a vector `v`, a number `tag`, and an index `ix`. */
export class App {
  readonly file: string;
  readonly element: Element;
  readonly metric: Metric;
  readonly key: (typeof KEYS)[number];
  readonly dimensions: number;
  readonly table: any;
  readonly index: any;
  readonly first: Connection;
  readonly #random = seeded(7);

  constructor(shape: Shape = {}) {
    this.element = shape.element ?? "float32";
    this.metric = shape.metric ?? "cosine";
    this.key = shape.key ?? "integer";
    this.dimensions = shape.dimensions ?? 8;
    this.file = `${temporaryFolder()}/app.db`;
    const key = {
      integer: { id: integer().primaryKey() },
      text: { id: text().primaryKey() },
      composite: { a: text().notNull(), b: integer().notNull() },
    }[this.key];
    this.table = sqliteTable(
      "t",
      { ...key, tag: integer(), v: vectorColumn({ dimensions: this.dimensions, element: this.element }) } as any,
      (t: any) => (this.key === "composite" ? [primaryKey({ columns: [t.a, t.b] })] : []),
    );
    this.index = searchIndex("ix", this.table, { vectors: { v: { metric: this.metric } as object } } as any);
    if (shape.copied !== undefined) copyFileSync(shape.copied, this.file);
    this.first = this.connect();
    if (shape.copied !== undefined) return;
    const { client } = this.first;
    client.pragma(`journal_mode = ${shape.journal ?? "wal"}`);
    const columns = {
      integer: "id INTEGER PRIMARY KEY NOT NULL, tag INTEGER, v BLOB)",
      text: "id TEXT PRIMARY KEY NOT NULL, tag INTEGER, v BLOB)",
      composite: "a TEXT NOT NULL, b INTEGER NOT NULL, tag INTEGER, v BLOB, PRIMARY KEY (a, b)) WITHOUT ROWID",
    };
    client.exec(`CREATE TABLE t (${columns[this.key]}`);
    ensure(client, this.index);
    this.put(0, shape.rows ?? 0);
  }

  /** A connection of its own, closed at the end of the test. Folds happen when a test asks for them. */
  connect(options: Database.Options = {}, configuration: Configuration = {}, file = this.file): Connection {
    const client = new Database(file, options);
    onTestFinished(() => void client.close());
    const db = drizzle({ client }) as any;
    const events: SearchEvent[] = [];
    configure(db, { maintenance: "manual", onEvent: (event) => void events.push(event), ...configuration });
    return { client, db, events };
  }

  /** Bytes of a random vector. */
  vector(): Uint8Array {
    const { element, dimensions } = this;
    const number = () => {
      const value = this.#random() * 2 - 1;
      return element === "int8" ? Math.round(value * 127) : element === "bit" ? Number(value > 0) : Math.fround(value);
    };
    return encodeVector(Array.from({ length: dimensions }, number), { element, dimensions }, "v");
  }

  /** Inserts rows, or gives those there are other vectors. */
  put(from: number, to: number, client = this.first.client): void {
    const [columns, values] =
      this.key === "composite" ? ["a, b, tag, v", "'a' || (? % 3), ?, ?, ?"] : ["id, tag, v", "?, ?, ?"];
    const insert = client.prepare(`INSERT OR REPLACE INTO t (${columns}) VALUES (${values})`);
    const rows = client.transaction(() => {
      for (let n = from; n < to; n++) {
        const id = { integer: [BigInt(n)], text: [`key ${n}`], composite: [BigInt(n), BigInt(n)] }[this.key];
        insert.run(...id, BigInt(n % 10), this.vector());
      }
    });
    rows();
  }

  /** The answer of `nearest` is that of the table, row by row. Returns the last `explain`. */
  expectExact({ client, db }: Connection, { limit = 7, offset = 0, where, queries = 3 }: Asked = {}) {
    const { element, dimensions, metric } = this;
    const { decode } = codecOf(element);
    const keys = this.key === "composite" ? ["a", "b"] : ["id"];
    const rows = client
      .prepare(`SELECT v, ${keys} FROM t WHERE v IS NOT NULL AND ${where?.text ?? "true"}`)
      .raw(true)
      .safeIntegers(true)
      .all() as [unknown, ...unknown[]][];
    const stored = rows
      .filter(([blob]) => blob instanceof Uint8Array && blob.length === vectorBytes({ element, dimensions }))
      .map(([blob, ...key]) => ({ key, vector: decode(blob as Uint8Array) }));
    let explained: any;
    for (let n = 0; n < queries; n++) {
      const query = decode(this.vector());
      const measured = stored
        .map(({ key, vector }) => ({ key, distance: referenceDistance(metric, vector, query) }))
        .filter(({ distance }) => Number.isFinite(distance));
      // Numbers alone are sorted ten times as fast: only the rows up to the last one asked for are put in their order.
      const last = Float64Array.from(measured, ({ distance }) => distance).sort()[offset + limit - 1];
      const expected = measured
        .filter(({ distance }) => last === undefined || distance <= last)
        .sort((x, y) => x.distance - y.distance || compareKeys(x.key, y.key, []))
        .slice(offset, offset + limit);
      // Bits are asked for as they are stored.
      const asked = element === "bit" ? query : Array.from(query);
      const found = nearest(db, this.table.v, asked as any, {
        ...({ metric } as object),
        limit,
        offset,
        where: where?.condition,
      });
      const hits = found.all() as any[];
      const keyOf = (hit: any) => keys.map((key) => (typeof hit[key] === "number" ? BigInt(hit[key]) : hit[key]));
      expect(hits.map((hit) => [...keyOf(hit), hit.$distance])).toEqual(
        expected.map(({ key, distance }) => [...key, distance]),
      );
      explained = found.explain();
    }
    return explained;
  }
}

interface Asked {
  limit?: number;
  offset?: number;
  /** A condition as SQL for the truth, and as Drizzle's for the query. */
  where?: { text: string; condition: any };
  queries?: number;
}

export interface Connection {
  readonly client: Database.Database;
  readonly db: any;
  readonly events: SearchEvent[];
}

/** What lies on disk: units with their parts and the bytes of these. */
export function chunks({ client }: Connection): { generation: number; parts: number; bytes: number }[] {
  return client
    .prepare(
      "SELECT generation, count(*) AS parts, sum(length(bytes)) AS bytes FROM _dv_ix_chunks GROUP BY 1 ORDER BY 1",
    )
    .all() as any;
}

/** Waits until something is so, on the timers that upkeep runs on. */
export async function until(isSo: () => boolean): Promise<void> {
  const end = Date.now() + 20_000;
  while (!isSo()) {
    if (Date.now() > end) throw new Error("it did not come to be so");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
