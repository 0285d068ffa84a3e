import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { text } from "drizzle-orm/sqlite-core";
import { ensureSearchIndexes } from "../../src/index.ts";
import { COLUMNS, type Shape, shape, textLiteral, vectorLiteral } from "../model/shapes.ts";

/**
 * The apps that are killed, damaged and written to by others: one whose key is the id, one whose keys have to be mapped, and one
 * whose vectors have 1-bit codes alone.
 */
export const APPS = {
  integer: shape({
    title: "an integer key",
    create: [`CREATE TABLE t (id INTEGER PRIMARY KEY, ${COLUMNS("")}, v)`],
    element: "float32",
    metric: "cosine",
  }),
  text: shape({
    title: "a text key",
    create: [`CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, ${COLUMNS("")}, v)`],
    element: "float32",
    metric: "l2",
    collations: ["BINARY"],
    columns: { id: text().primaryKey() },
    key: (n) => [`'key ${n}'`],
  }),
  likely: shape({
    title: "1-bit codes alone",
    create: [`CREATE TABLE t (id INTEGER PRIMARY KEY, ${COLUMNS("")}, v)`],
    element: "float32",
    metric: "cosine",
    isApproximate: true,
    noiseRows: 40,
  }),
} satisfies Record<string, Shape>;

export type AppName = keyof typeof APPS;
/** Those with exact answers, which most of the tests are about. */
export const APP_NAMES = ["integer", "text"] as const satisfies AppName[];

/** The statements of an app's first migration, beside the index: `acknowledged` counts transactions, one row a writer. */
export function createStatements(app: Shape): string[] {
  return [...app.create, "CREATE TABLE acknowledged (writer INTEGER PRIMARY KEY, n INTEGER NOT NULL)"];
}

/** Makes the database of an app, with some rows from before the index and some after. */
export function createApp(file: string, name: AppName, journal: "wal" | "delete", rows = 60): void {
  const app = APPS[name];
  const client = new Database(file);
  client.pragma(`journal_mode = ${journal}`);
  client.pragma("synchronous = OFF");
  for (const sql of createStatements(app)) client.exec(sql);
  const insert = (n: number) =>
    client.exec(
      `INSERT INTO t (id, u, txt, note, v) VALUES (${app.key(n)}, ${n}, ${textLiteral(n)}, ${textLiteral(n + 1)}, ${vectorLiteral(app, n % 36)})`,
    );
  client.transaction(() => {
    for (let n = 0; n < rows / 2; n++) insert(n);
  })();
  ensureSearchIndexes(drizzle({ client }) as any, [app.index]);
  client.transaction(() => {
    for (let n = Math.ceil(rows / 2); n < rows; n++) insert(n);
  })();
  client.close();
}

/** One statement of an app, as SQL that any program can run. */
export function randomStatement(random: () => number, app: Shape, keys = 120): string {
  const below = (n: number) => Math.floor(random() * n);
  const [key, other, u, v] = [app.key(below(keys)), app.key(below(keys)), below(keys), below(40)];
  const values = `(${key}, ${u}, ${textLiteral(v)}, ${textLiteral(below(40))}, ${vectorLiteral(app, v)})`;
  const into = "INTO t (id, u, txt, note, v) VALUES";
  const statements = [
    `INSERT OR REPLACE ${into} ${values}`,
    `INSERT OR IGNORE ${into} ${values}`,
    `INSERT ${into} ${values} ON CONFLICT (id) DO UPDATE SET v = excluded.v, txt = excluded.txt`,
    `UPDATE t SET v = ${vectorLiteral(app, v)} WHERE id = ${key}`,
    `UPDATE t SET txt = ${textLiteral(v)} WHERE u > ${u} AND u < ${u + 5}`,
    `UPDATE OR REPLACE t SET u = ${u} WHERE id = ${key}`,
    `UPDATE OR REPLACE t SET id = ${other} WHERE id = ${key}`,
    `DELETE FROM t WHERE id = ${key}`,
  ];
  return statements[below(statements.length)]!;
}
