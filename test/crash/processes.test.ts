import { join } from "node:path";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { describe, expect, test } from "vitest";
import { rebuild } from "../../src/index.ts";
import { temporaryFolder } from "../helpers/databases.ts";
import type { Shape } from "../model/shapes.ts";
import { APP_NAMES, APPS, createApp } from "../reliability/app.ts";
import { bundled, Running } from "../reliability/program.ts";
import { figures, LONG_MS, rounds, SEED } from "../reliability/rounds.ts";
import { expectAnswers, expectFileInStep } from "../reliability/witness.ts";
import type { Task } from "./writer.ts";

const program = await bundled(new URL("writer.ts", import.meta.url));

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks inside a snapshot of one's own, as an app does that needs several answers of one state. */
function askInSnapshot(client: Database.Database, name: keyof typeof APPS): boolean {
  try {
    client.exec("BEGIN");
    expectAnswers({ client, db: drizzle({ client }) }, APPS[name], 2);
    return true;
  } catch (error) {
    if (!/^SQLITE_BUSY/.test(String((error as { code?: unknown }).code))) throw error;
    return false;
  } finally {
    if (client.inTransaction) client.exec("ROLLBACK");
  }
}

async function rebuildFile(file: string, index: Shape["index"]): Promise<void> {
  const client = new Database(file);
  try {
    await rebuild(drizzle({ client }), index);
  } finally {
    client.close();
  }
}

describe.each([
  ["wal", "integer"],
  ["delete", "text"],
] as const)("three processes write, fold and read one file, journal mode %s", (journal, name) => {
  test("every snapshot a fourth one sees is answered as its table would; no commit is lost", {
    timeout: LONG_MS,
  }, async () => {
    const counts = { commits: 0, snapshots: 0, busy: 0 };
    const file = join(temporaryFolder(), "shared.db");
    createApp(file, name, journal);
    const works: Task["work"][] = ["write", "fold", "fold"];
    const tasks = works.map((work, i) => ({ file, app: name, seed: SEED * 10 + i, writer: i, work, statements: 4 }));
    const processes = tasks.map((task) => new Running(program, task));
    await Promise.all(processes.map((one) => one.started()));
    const client = new Database(file, { timeout: 5000 });
    for (const _ of rounds(40, 0.08)) {
      if (askInSnapshot(client, name)) counts.snapshots++;
      else counts.busy++;
      await sleep(2);
    }
    client.close();
    for (const one of processes) {
      await one.stop();
      expect(one.failures).toEqual([]);
      counts.commits += one.commits;
    }
    await expectFileInStep(file, APPS[name], (reopened) => {
      for (const [writer, one] of processes.entries()) {
        const kept = reopened.prepare("SELECT n FROM acknowledged WHERE writer = ?").pluck().get(writer);
        // What was told last may still have been on its way when the channel closed.
        expect(kept).toBeGreaterThanOrEqual(one.acknowledged.get(writer)!);
      }
    });
    expect(counts.snapshots).toBeGreaterThan(0);
    figures(`four processes, ${journal}`, counts);
  });
});

describe.each(APP_NAMES)("two processes at the same long work, %s keys", (name) => {
  test.each(["fold", "rebuild"] as const)(
    "44: both %s at once, one is killed, and nothing partial is ever answered from",
    async (work) => {
      const counts = { kills: 0, commits: 0 };
      const file = join(temporaryFolder(), "raced.db");
      createApp(file, name, "wal");
      const start = (writer: number, round: number) =>
        new Running(program, { file, app: name, seed: SEED * 100 + round * 2 + writer, writer, work, statements: 3 });
      const lasting = start(0, 0);
      await lasting.started();
      for (const round of rounds(3, 0.08 / 4)) {
        const rival = start(1, round);
        await rival.started();
        await sleep(30 + (round % 7) * 15);
        await rival.kill();
        expect(rival.failures).toEqual([]);
        counts.kills++;
        counts.commits += rival.commits;
      }
      await lasting.stop();
      expect(lasting.failures).toEqual([]);
      counts.commits += lasting.commits;
      // The rival may have been killed after the last rebuild of the other: then the next one goes on.
      if (work === "rebuild") await rebuildFile(file, APPS[name].index);
      await expectFileInStep(file, APPS[name], () => {});
      figures(`two at once, ${work}, ${name}`, counts);
    },
    LONG_MS,
  );
});
