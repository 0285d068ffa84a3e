import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { describe, expect, test } from "vitest";
import { optimize, search } from "../../src/index.ts";
import { temporaryFolder } from "../helpers/databases.ts";
import { APP_NAMES, APPS, createApp } from "../reliability/app.ts";
import { open, write } from "../reliability/opened.ts";
import { expectAnswers, expectInStep } from "../reliability/witness.ts";
import { PROGRAMS } from "./programs.ts";

const SHELL = PROGRAMS[0]!;

describe.each(APP_NAMES)("copies of a database with %s keys", (name) => {
  const app = APPS[name];

  test.each(["wal", "delete"] as const)(
    "58: a backup taken while it is written, journal mode %s, and put back: its own state, no ghosts",
    async (journal) => {
      const folder = temporaryFolder();
      const [file, kept] = [join(folder, "live.db"), join(folder, "kept.db")];
      createApp(file, name, journal);
      const live = open(file);
      expectAnswers(live, app, 2);
      let pages = 0;
      await live.client.backup(kept, {
        progress({ remainingPages }) {
          if (pages++ < 3) write(live.client, name, pages, 3);
          return Math.max(1, Math.ceil(remainingPages / 4));
        },
      });
      const copy = open(kept);
      await expectInStep(copy.client, app, 2);
      write(live.client, name, 9, 40);
      live.client.exec("INSERT INTO t (id, txt) VALUES (999999, 'lostfuture')");
      expectAnswers(live, app, 2);
      expect(search(live.db, app.index, "lostfuture").all()).toHaveLength(1);
      // Back into the file that is open and was asked a moment ago.
      await copy.client.backup(file);
      expect(search(live.db, app.index, "lostfuture").all()).toHaveLength(0);
      await expectInStep(live.client, app);
      write(live.client, name, 10, 40);
      await expectInStep(live.client, app);
    },
  );

  test("40: VACUUM INTO and VACUUM give equal answers", async () => {
    const folder = temporaryFolder();
    const [file, copy] = [join(folder, "live.db"), join(folder, "copy.db")];
    createApp(file, name, "wal");
    const live = open(file);
    write(live.client, name, 4, 40);
    live.client.exec(`VACUUM INTO '${copy}'`);
    await expectInStep(open(copy).client, app);
    live.client.exec("VACUUM");
    await expectInStep(live.client, app);
    live.client.pragma("auto_vacuum = FULL");
    live.client.exec("VACUUM; DELETE FROM t WHERE u % 2");
    await expectInStep(live.client, app);
  });

  test("a dump of the sqlite3 shell, read into another file, is whole and answered", async (context) => {
    context.skip(SHELL.missing !== undefined, SHELL.missing);
    const folder = temporaryFolder();
    const [file, copy] = [join(folder, "live.db"), join(folder, "copy.db")];
    createApp(file, name, "delete");
    const live = open(file);
    await optimize(live.db, app.index);
    write(live.client, name, 5, 40);
    const { stdout: dump } = spawnSync("sqlite3", [file, ".dump"], { encoding: "utf8", maxBuffer: 2 ** 28 });
    expect(spawnSync("sqlite3", [copy], { input: dump, encoding: "utf8" }).stderr).toBe("");
    const loaded = open(copy);
    await expectInStep(loaded.client, app);
    write(loaded.client, name, 6, 40);
    await expectInStep(loaded.client, app);
  });

  test("59: a file copied while it is open, its WAL with it: both are answered, each by its own rows", async () => {
    const folder = temporaryFolder();
    const [file, copy] = [join(folder, "live.db"), join(folder, "copy.db")];
    createApp(file, name, "wal");
    const live = open(file);
    expectAnswers(live, app, 2);
    write(live.client, name, 5, 40);
    for (const suffix of ["", "-wal"]) if (existsSync(file + suffix)) copyFileSync(file + suffix, copy + suffix);
    const other = open(copy);
    for (let round = 0; round < 3; round++) {
      // The same numbers in both logs, and other rows behind them.
      write(live.client, name, 20 + round, 10);
      write(other.client, name, 30 + round, 10);
      expectAnswers(live, app, 2);
      expectAnswers(other, app, 2);
    }
    await expectInStep(live.client, app);
    await expectInStep(other.client, app);
  });

  test("58: another state put in the place of the closed file", async () => {
    const folder = temporaryFolder();
    const [file, kept] = [join(folder, "live.db"), join(folder, "kept.db")];
    createApp(file, name, "wal");
    const before = new Database(file);
    write(before, name, 6, 40);
    before.pragma("wal_checkpoint(TRUNCATE)");
    copyFileSync(file, kept);
    write(before, name, 7, 40);
    expectAnswers({ client: before, db: drizzle({ client: before }) }, app, 2);
    before.close();
    for (const suffix of ["-wal", "-shm"]) rmSync(file + suffix, { force: true });
    copyFileSync(kept, file);
    const restored = open(file);
    await expectInStep(restored.client, app);
    write(restored.client, name, 8, 40);
    await expectInStep(restored.client, app);
  });
});
