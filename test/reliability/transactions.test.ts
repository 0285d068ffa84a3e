import { join } from "node:path";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { search } from "../../src/index.ts";
import { temporaryFolder } from "../helpers/databases.ts";
import { APP_NAMES, APPS, createApp } from "./app.ts";
import { expectAnswers } from "./witness.ts";

/** Each step is followed by questions on every connection, so that every cache has seen the state before. */
describe.each(APP_NAMES)("transactions, %s keys", (name) => {
  const app = APPS[name];
  const key = (n: number) => app.key(n)[0]!;
  const row = (n: number, u = n) => `(${key(n)}, ${u}, 'word${n}', x'0000803f0000000000000000')`;
  const into = "INTO t (id, u, txt, v) VALUES";

  function open() {
    const file = join(temporaryFolder(), "app.db");
    createApp(file, name, "wal");
    const handles = [0, 1].map(() => {
      const client = new Database(file, { timeout: 0 });
      onTestFinished(() => void client.close());
      return { client, db: drizzle({ client }) as any };
    });
    const [own, other] = handles as [(typeof handles)[0], (typeof handles)[0]];
    const ask = () => {
      for (const handle of handles) expectAnswers(handle, app, 2);
    };
    const found = (n: number, handle = own) => (search(handle.db, app.index, `word${n}`).all() as unknown[]).length;
    const run = (sql: string, handle = own) => {
      handle.client.exec(sql);
      ask();
    };
    const fail = (sql: string, code: string) => {
      expect(() => own.client.exec(sql)).toThrow(expect.objectContaining({ code }));
      ask();
    };
    ask();
    return { own, other, run, fail, found };
  }

  test("2, 3: own writes are found before they are committed, by nobody else, and are gone after ROLLBACK", () => {
    const { other, run, found } = open();
    run(`BEGIN; INSERT ${into} ${row(900)}`);
    expect([found(900), found(900, other)]).toEqual([1, 0]);
    run("ROLLBACK");
    expect([found(900), found(900, other)]).toEqual([0, 0]);
  });

  test("4: ROLLBACK TO an outer savepoint takes the tail and keeps what was before", () => {
    const { run, found } = open();
    run(`BEGIN; INSERT ${into} ${row(900)}`);
    run(`SAVEPOINT a; INSERT ${into} ${row(901)}`);
    run(`SAVEPOINT b; INSERT ${into} ${row(902)}`);
    run("ROLLBACK TO a");
    expect([900, 901, 902].map((n) => found(n))).toEqual([1, 0, 0]);
    run("COMMIT");
    expect([900, 901, 902].map((n) => found(n))).toEqual([1, 0, 0]);
  });

  test("5: after ROLLBACK another connection commits as many changes", () => {
    const { other, run, found } = open();
    run(`BEGIN; INSERT ${into} ${row(900)}; DELETE FROM t WHERE id = ${key(3)}`);
    run("ROLLBACK");
    run(`INSERT ${into} ${row(901)}; DELETE FROM t WHERE id = ${key(4)}`, other);
    expect([900, 901].map((n) => found(n))).toEqual([0, 1]);
  });

  test("6: ROLLBACK TO, and other writes with the same numbers in the log", () => {
    const { run, found } = open();
    run(`BEGIN; SAVEPOINT a; INSERT ${into} ${row(900)}`);
    run(`ROLLBACK TO a; INSERT ${into} ${row(901)}`);
    expect([900, 901].map((n) => found(n))).toEqual([0, 1]);
    run("COMMIT");
  });

  test("7: a statement of several rows that fails leaves none of them, and the transaction goes on", () => {
    const { own, run, fail, found } = open();
    run(`BEGIN; INSERT ${into} ${row(900)}`);
    fail(`INSERT ${into} ${row(901)}, ${row(902, 900)}`, "SQLITE_CONSTRAINT_UNIQUE");
    expect(own.client.inTransaction).toBe(true);
    run(`INSERT ${into} ${row(903)}; COMMIT`);
    expect([900, 901, 902, 903].map((n) => found(n))).toEqual([1, 0, 0, 1]);
  });

  test("8: OR FAIL keeps the rows before the one that failed, and they are found", () => {
    const { fail, found } = open();
    fail(`INSERT OR FAIL ${into} ${row(900)}, ${row(901, 900)}, ${row(902)}`, "SQLITE_CONSTRAINT_UNIQUE");
    expect([900, 901, 902].map((n) => found(n))).toEqual([1, 0, 0]);
  });

  test("9: OR ROLLBACK and RAISE(ROLLBACK) end the transaction, and nothing of it stays", () => {
    const { own, run, fail, found } = open();
    run("CREATE TRIGGER own BEFORE INSERT ON t WHEN new.txt = 'word905' BEGIN SELECT RAISE(ROLLBACK, 'no'); END");
    for (const [statement, code] of [
      [`INSERT OR ROLLBACK ${into} ${row(901, 900)}`, "SQLITE_CONSTRAINT_UNIQUE"],
      [`INSERT ${into} ${row(905)}`, "SQLITE_CONSTRAINT_TRIGGER"],
    ] as const) {
      run(`BEGIN; INSERT ${into} ${row(900)}`);
      fail(statement, code);
      expect(own.client.inTransaction).toBe(false);
      expect([900, 901, 905].map((n) => found(n))).toEqual([0, 0, 0]);
    }
  });

  test("10, 11: two connections with different snapshots, asked in turns", () => {
    const { other, run, found } = open();
    run("BEGIN");
    for (let n = 900; n < 905; n++) run(`INSERT ${into} ${row(n)}`, other);
    expect([found(904), found(904, other)]).toEqual([0, 1]);
    run("COMMIT");
    expect([found(904), found(904, other)]).toEqual([1, 1]);
  });
});
