import { chmodSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { configure, ensureSearchIndexes, nearest, type SearchEvent, search } from "../../src/index.ts";
import { temporaryFolder } from "../helpers/databases.ts";
import { APP_NAMES, APPS, createApp, createStatements } from "./app.ts";
import { open, write } from "./opened.ts";
import { expectAnswers, expectInStep, expectVectors } from "./witness.ts";

function fileOf(name: keyof typeof APPS, journal: "wal" | "delete"): string {
  const file = join(temporaryFolder(), "app.db");
  createApp(file, name, journal);
  return file;
}

describe.each(APP_NAMES)("locks, %s keys", (name) => {
  const app = APPS[name];

  test.each(["wal", "delete"] as const)(
    "50: in journal mode %s a question never waits for the lock of a writer, and leaves busy_timeout as it was",
    (journal) => {
      const file = fileOf(name, journal);
      const [writer, reader] = [open(file), open(file, { timeout: 60_000 })];
      writer.client.exec("BEGIN IMMEDIATE");
      write(writer.client, name, 1, 5);
      expectAnswers(reader, app);
      expect(reader.client.pragma("busy_timeout", { simple: true })).toBe(60_000);
      writer.client.exec("COMMIT");
      expectAnswers(reader, app);
    },
  );

  test("51: in a transaction that can no longer write, because another has written meanwhile, questions are answered", () => {
    const file = fileOf(name, "wal");
    const [late, other] = [open(file, { timeout: 0 }), open(file)];
    late.client.exec("BEGIN");
    expectAnswers(late, app, 1);
    write(other.client, name, 2, 60);
    const write1 = () => late.client.exec("UPDATE t SET u = NULL");
    expect(write1).toThrow(expect.objectContaining({ code: "SQLITE_BUSY_SNAPSHOT" }));
    expectAnswers(late, app);
    late.client.exec("ROLLBACK");
    expectAnswers(late, app);
  });

  test.each(["wal", "delete"] as const)(
    "52, 57: in journal mode %s nothing is held once an answer is there: writers and checkpoints go through at once",
    (journal) => {
      const file = fileOf(name, journal);
      const [reader, writer] = [open(file), open(file, { timeout: 0 })];
      for (let round = 0; round < 3; round++) {
        expectAnswers(reader, app, 2);
        write(writer.client, name, 10 + round, 20);
        const [checkpoint] = writer.client.pragma("wal_checkpoint(TRUNCATE)") as { busy: number }[];
        expect(checkpoint!.busy).toBe(0);
      }
      if (journal === "wal") expect(statSync(`${file}-wal`).size).toBe(0);
    },
  );

  test("56: a log of a million entries that only others have written costs no answer, and no memory", async () => {
    const file = fileOf(name, "wal");
    const [reader, writer] = [open(file), open(file)];
    expectAnswers(reader, app, 1);
    writer.client.exec(
      "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) INSERT INTO _dv_ix_log (id) SELECT i % 60 FROM n",
    );
    write(writer.client, name, 3, 60);
    const statements: string[] = [];
    const fresh = open(file, { verbose: (sql) => statements.push(String(sql)) });
    expectAnswers(reader, app, 1);
    expectAnswers(fresh, app, 1);
    // So many entries are not gone through: every row is read instead.
    const numbers = fresh.client.prepare("SELECT count(*) FROM _dv_ix_log").pluck().get() as number;
    expect(numbers).toBeGreaterThan(1_000_000);
    expect(statements.filter((sql) => /FROM main\."_dv_ix_log" WHERE seq >/.test(sql))).toEqual([]);
    await expectInStep(open(file).client, app, 1);
  });
});

describe("55: databases that cannot be written", () => {
  test.each(["wal", "delete"] as const)(
    "query_only and readonly, journal mode %s: answered, nothing written",
    (journal) => {
      const app = APPS.text;
      const file = fileOf("text", journal);
      const writer = open(file);
      const readers = [open(file, { readonly: true }), open(file)];
      readers[1]!.client.pragma("query_only = ON");
      for (let round = 0; round < 3; round++) {
        for (const reader of readers) {
          const changes = reader.client.prepare("SELECT total_changes()").pluck();
          const before = changes.get();
          expectAnswers(reader, app);
          expect(changes.get()).toBe(before);
        }
        write(writer.client, "text", round, 60);
      }
    },
  );

  test("a file and a folder without permission to write", (context) => {
    context.skip(process.getuid?.() === 0, "root may write anywhere");
    const folder = join(temporaryFolder(), "locked");
    mkdirSync(folder);
    const file = join(folder, "app.db");
    createApp(file, "integer", "delete");
    chmodSync(file, 0o444);
    chmodSync(folder, 0o555);
    onTestFinished(() => chmodSync(folder, 0o755));
    expectAnswers(open(file, { readonly: true }), APPS.integer);
  });
});

describe("61: databases without a file", () => {
  test.each([":memory:", ""])("%j has the full function", async (name) => {
    for (const app of Object.values(APPS)) {
      const { client, db } = open(name);
      for (const sql of createStatements(app)) client.exec(sql);
      ensureSearchIndexes(db, [app.index]);
      write(client, app === APPS.text ? "text" : "integer", 4, 200);
      await expectInStep(client, app);
    }
  });

  test("what an index holds in memory goes with its connection", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const file = fileOf("integer", "wal");
    function useAndDrop(): WeakRef<Database.Database> {
      const client = new Database(file);
      expectAnswers({ client, db: drizzle({ client }) }, APPS.integer);
      client.close();
      return new WeakRef(client);
    }
    const refs = Array.from({ length: 5 }, useAndDrop);
    for (let i = 0; i < 20 && refs.some((ref) => ref.deref()); i++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      collect();
    }
    // One may still be referred to by a stack frame; all of them only by something that lasts.
    expect(refs.filter((ref) => ref.deref()).length).toBeLessThan(2);
  });
});

test("63: defaultSafeIntegers, unsafeMode, verbose and the names SQLite gives to columns change no answer", async () => {
  const statements: unknown[] = [];
  const { client, db } = open(fileOf("integer", "wal"), { verbose: (sql) => statements.push(sql) });
  client.defaultSafeIntegers(true);
  client.unsafeMode(true);
  expectAnswers({ client, db }, APPS.integer);
  write(client, "integer", 5, 60);
  expectAnswers({ client, db }, APPS.integer);
  client.pragma("short_column_names = OFF");
  client.pragma("full_column_names = ON");
  write(client, "integer", 6, 60);
  await expectInStep(client, APPS.integer);
  expect(statements.length).toBeGreaterThan(0);
});

test("63: PRAGMA temp_store between two questions takes temporary tables away, and nothing else", () => {
  const { client, db } = open(fileOf("integer", "wal"));
  expectAnswers({ client, db }, APPS.integer, 1);
  for (const where of ["MEMORY", "FILE", "DEFAULT"]) {
    client.exec("CREATE TEMP TABLE t AS SELECT * FROM main.t WHERE u < 9");
    expectVectors({ client, db }, APPS.integer);
    client.pragma(`temp_store = ${where}`);
    expectAnswers({ client, db }, APPS.integer, 1);
    expect(client.prepare("SELECT name FROM temp.sqlite_master").all()).toEqual([]);
  }
});

test("63: a function in the place of random(), from which nonces are drawn, costs the codes and no answer", () => {
  const { client, db } = open(fileOf("integer", "wal"));
  const { table } = APPS.integer;
  expectAnswers({ client, db }, APPS.integer);
  client.function("random", () => 4);
  const update = (v: number[]) =>
    client.prepare("UPDATE t SET v = ? WHERE u = 7").run(Buffer.from(new Float32Array(v).buffer));
  update([0, 0, 1]);
  client.exec("BEGIN");
  update([0, 1, 0]);
  expectAnswers({ client, db }, APPS.integer);
  client.exec("ROLLBACK");
  update([1, 0, 0]);
  expectAnswers({ client, db }, APPS.integer);
  expect(nearest(db, table.v, [1, 0, 0] as any, { limit: 1 }).explain()).toMatchObject({
    plan: "bare scan",
    fallback: expect.stringContaining("random()"),
  });
  // Another connection has its own random().
  const other = open(client.name);
  expect(nearest(other.db, table.v, [1, 0, 0] as any, { limit: 1 }).explain()).toMatchObject({
    plan: "certified scan",
  });
  expectAnswers(other, APPS.integer);
});

describe.each(APP_NAMES)("63: functions of the program in the place of SQLite's own, %s keys", (name) => {
  const FUNCTIONS = "abs,changes,char,concat,glob,ifnull,iif,instr,json,json_array,last_insert_rowid,length,like,lower";
  const MORE = "match,nullif,printf,quote,replace,round,sqlite_version,substr,typeof,upper,bm25,highlight,snippet,rank";
  const AGGREGATES = "avg,count,json_group_array,max,min,sum,total";

  test.each([4, null, "x", 0])("that give %j cost no answer, before the first question and after it", (value) => {
    const replace = (client: Database.Database) => {
      for (const name of `${FUNCTIONS},${MORE}`.split(",")) client.function(name, { varargs: true }, () => value);
      for (const name of AGGREGATES.split(",")) {
        client.aggregate(name, { varargs: true, start: () => value, step: () => value });
      }
    };
    const file = fileOf(name, "wal");
    const early = open(file);
    replace(early.client);
    expectAnswers(early, APPS[name]);
    const late = open(file);
    expectAnswers(late, APPS[name]);
    replace(late.client);
    expectAnswers(late, APPS[name]);
  });
});

test("53: half-way through the rows that a write returns, all that it has written is seen", () => {
  for (const isUnsafe of [false, true]) {
    const { client, db } = open(fileOf("integer", "wal"));
    expectAnswers({ client, db }, APPS.integer);
    client.unsafeMode(isUnsafe);
    for (const _ of client
      .prepare("UPDATE t SET v = x'000000000000000000000040', txt = 'red' RETURNING id")
      .iterate()) {
      const near: any = nearest(db, APPS.integer.table.v, [0, 0, 1] as any, { limit: 1000 }).all();
      expect(near.map((hit: any) => hit.$distance)).toEqual(Array(60).fill(0));
      expect(search(db, APPS.integer.index, "red", { limit: 1000 }).all()).toHaveLength(60);
      break;
    }
    expect(client.inTransaction).toBe(false);
    expectAnswers({ client, db }, APPS.integer);
  }
});

test("70: a text of a megabyte and 200,000 words is cut, and the answer is that of its beginning", () => {
  const { db } = open(fileOf("integer", "wal"));
  const { index } = APPS.integer;
  const words = `${"red ".repeat(3)}${Array.from({ length: 200_000 }, (_, i) => `w${i}`).join(" ")}`;
  const asked = (text: string) => search(db, index, text, { limit: 1000 }) as any;
  expect(asked(words).explain().terms.length).toBeLessThanOrEqual(64);
  expect(asked(words).all()).toEqual(asked(words.slice(0, 4096)).all());
  expect(asked(words).all().length).toBeGreaterThan(0);
});

test("78: the same statements twice give the same answers, to the last bit", () => {
  const once = () => {
    const { client, db } = open(":memory:");
    for (const sql of createStatements(APPS.text)) client.exec(sql);
    ensureSearchIndexes(db, [APPS.text.index]);
    const answers: unknown[] = [];
    for (let round = 0; round < 5; round++) {
      write(client, "text", round, 60);
      answers.push(nearest(db, APPS.text.table.v, [1, 2, round] as any, { metric: "l2" as any }).all());
      answers.push(search(db, APPS.text.index, "red walking").all());
    }
    return answers;
  };
  expect(once()).toEqual(once());
});

test("the state of an index that was left out is told once, and again to another connection", () => {
  const file = fileOf("integer", "wal");
  for (let i = 0; i < 2; i++) {
    const { client, db } = open(file);
    const events: SearchEvent[] = [];
    configure(db, { onEvent: (event) => events.push(event) });
    client.exec("DROP TRIGGER IF EXISTS _dv_ix_insert");
    for (let j = 0; j < 3; j++) nearest(db, APPS.integer.table.v, [1, 2, 3] as any).all();
    expect(events.map(({ code }) => code)).toEqual(["FALLBACK"]);
  }
});
