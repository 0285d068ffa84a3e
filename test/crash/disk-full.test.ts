import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import * as library from "../../src/index.ts";
import { temporaryFolder } from "../helpers/databases.ts";
import { APP_NAMES, APPS, createApp, randomStatement } from "../reliability/app.ts";
import { finishRebuild } from "../reliability/opened.ts";
import { bundled } from "../reliability/program.ts";
import { seeded } from "../reliability/random.ts";
import { figures, LONG_MS, rounds, SEED } from "../reliability/rounds.ts";
import { expectAnswers, expectFileInStep, expectInStep } from "../reliability/witness.ts";
import type { Filled } from "./filler.ts";

type LongWork = (db: any, index: any) => Promise<unknown>;
const { optimize } = library as { optimize?: LongWork };

describe.each(APP_NAMES)("no room left, an app with %s keys", (name) => {
  const app = APPS[name];

  test.each(["wal", "delete"] as const)(
    "9, 48, 49: at every page further, journal mode %s: the user's error, an index that equals its table, reads as before",
    async (journal) => {
      const random = seeded(SEED + 31);
      const counts = { rounds: 0, refused: 0 };
      const file = join(temporaryFolder(), "full.db");
      createApp(file, name, journal);
      const client = new Database(file);
      const db = drizzle({ client }) as any;
      client.pragma("synchronous = OFF");
      try {
        for (const round of rounds(12, 0.05 / 4)) {
          client.pragma(`max_page_count = ${(client.pragma("page_count", { simple: true }) as number) + (round % 9)}`);
          for (let i = 0; i < 60; i++) {
            const isInside = i % 3 === 0;
            try {
              if (isInside) client.exec("BEGIN");
              client.exec(randomStatement(random, app, 2000));
              if (isInside) client.exec("COMMIT");
            } catch (error) {
              const { code } = error as { code: string };
              expect(code).toMatch(/^SQLITE_(CONSTRAINT|FULL)/);
              if (code === "SQLITE_FULL") counts.refused++;
              // SQLite itself may have ended the transaction.
              if (client.inTransaction) client.exec(i % 2 ? "COMMIT" : "ROLLBACK");
            }
          }
          // Work of ours that needs room says so, and changes nothing about answers.
          for (const work of [optimize, round % 4 === 0 ? library.rebuild : undefined]) {
            try {
              await work?.(db, app.index);
            } catch (error) {
              expect((error as { code: string }).code).toBe("SQLITE_FULL");
            }
          }
          client.pragma("max_page_count = 1000000");
          await finishRebuild(file, app);
          await expectInStep(client, app);
          if (round % 3 === 2) client.exec("DELETE FROM t WHERE u > 300; VACUUM");
          counts.rounds++;
        }
      } finally {
        client.close();
      }
      expect(counts.refused).toBeGreaterThan(0);
      figures(`max_page_count, ${name}, ${journal}`, counts);
    },
    LONG_MS,
  );
});

const filler = await bundled(new URL("filler.ts", import.meta.url));

/** Runs the filler in a shell that limits it first; it tells what it has committed and what it was refused. */
function fill(file: string, setup = ""): Filled {
  const command = `${setup} exec "$0" "$1" "$2"`;
  const { stdout, stderr } = spawnSync("sh", ["-c", command, process.execPath, filler, file], { encoding: "utf8" });
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

async function expectWhatWasCommitted(file: string, { committed, refused, failures }: Filled): Promise<void> {
  expect(failures).toEqual([]);
  expect(refused).toBeGreaterThan(0);
  await finishRebuild(file, APPS.integer);
  await expectFileInStep(file, APPS.integer, (client) => {
    expect(client.prepare("SELECT coalesce(max(n), 0) FROM acknowledged").pluck().get()).toBe(committed);
  });
}

describe.each(["wal", "delete"] as const)("in journal mode %s", (journal) => {
  test("48: a file that may not grow (RLIMIT_FSIZE) keeps what was committed, and its index", {
    timeout: 60_000,
  }, async () => {
    const file = join(temporaryFolder(), "limited.db");
    createApp(file, "integer", journal);
    await expectWhatWasCommitted(file, fill(file, "trap '' XFSZ; ulimit -f 1200;"));
  });

  test("48: a full disk (a small tmpfs) keeps what was committed, and its index", {
    timeout: 60_000,
  }, async (context) => {
    const folder = join(temporaryFolder(), "disk");
    mkdirSync(folder);
    const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1500k", "tmpfs", folder], { stdio: "ignore" });
    context.skip(status !== 0, "mounting a tmpfs is not permitted here");
    onTestFinished(() => void spawnSync("umount", [folder]));
    const file = join(folder, "full.db");
    createApp(file, "integer", journal);
    const filled = fill(file);
    // Where not a byte is left, SQLite cannot even begin a journal or make the WAL's index: room comes back first.
    spawnSync("mount", ["-o", "remount,size=8m", folder]);
    await expectWhatWasCommitted(file, filled);
  });
});

test("31, 49: answers go on while nothing can be written", () => {
  const file = join(temporaryFolder(), "full.db");
  createApp(file, "integer", "wal");
  const client = new Database(file);
  onTestFinished(() => void client.close());
  client.pragma(`max_page_count = ${client.pragma("page_count", { simple: true })}`);
  const big = "INSERT INTO t (id, txt) VALUES (9999, hex(zeroblob(20000)))";
  expect(() => client.exec(big)).toThrow(/full/);
  expectAnswers({ client, db: drizzle({ client }) }, APPS.integer);
});
