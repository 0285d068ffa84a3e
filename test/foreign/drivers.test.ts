import { join } from "node:path";
import { createClient } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql";
import { expect, onTestFinished, test } from "vitest";
import { hybrid, nearest, search } from "../../src/index.ts";
import { temporaryFolder } from "../helpers/databases.ts";
import { queryText, queryVector } from "../model/shapes.ts";
import { APP_NAMES, APPS, createApp } from "../reliability/app.ts";
import { open, write } from "../reliability/opened.ts";
import { LONG_MS, rounds } from "../reliability/rounds.ts";
import { expectAnswers } from "../reliability/witness.ts";

test.each(APP_NAMES)(
  "libSQL and better-sqlite3 give the same answers about one file, %s keys",
  async (name) => {
    const { table, index, metric } = APPS[name];
    const file = join(temporaryFolder(), "both.db");
    createApp(file, name, "wal");
    const sync = open(file);
    const client = createClient({ url: `file:${file}` });
    onTestFinished(() => client.close());
    const db = drizzle(client);
    for (const round of rounds(6, 0.05)) {
      write(sync.client, name, round, 10);
      expectAnswers(sync, APPS[name], 1);
      const [text, vector] = [queryText(round), queryVector(APPS[name], round)];
      const options: any = { limit: round % 2 ? 3 : 1000, select: { id: table.id } };
      const asked = [
        (db: any): any => nearest(db, table.v, vector as any, { ...options, metric }),
        (db: any): any => search(db, index, text, options),
        (db: any): any => hybrid(db, index, { text, vector } as any, { ...options, depth: 1000 }),
      ];
      for (const ask of asked) expect(await ask(db)).toEqual(ask(sync.db).all());
    }
  },
  LONG_MS,
);
