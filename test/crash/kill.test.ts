import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../helpers/databases.ts";
import { APP_NAMES, APPS, createApp } from "../reliability/app.ts";
import { finishRebuild } from "../reliability/opened.ts";
import { bundled, Running } from "../reliability/program.ts";
import { seeded } from "../reliability/random.ts";
import { figures, LONG_MS, rounds, SEED } from "../reliability/rounds.ts";
import { expectFileInStep } from "../reliability/witness.ts";
import type { Task } from "./writer.ts";

const program = await bundled(new URL("writer.ts", import.meta.url));

const WORKS: Task["work"][] = ["write", "rebuild", "migrate", "fold"];
const CASES = WORKS.flatMap((work) => (["wal", "delete"] as const).map((journal) => ({ work, journal })));

describe.each(CASES)("42, 43: kill -9 while a process does $work, journal mode $journal", ({ work, journal }) => {
  test("nothing told is lost, and the index equals its table", { timeout: LONG_MS }, async () => {
    const random = seeded(SEED + CASES.findIndex((one) => one.work === work && one.journal === journal));
    const counts = { kills: 0, commits: 0, pending: 0 };
    const file = join(temporaryFolder(), "killed.db");
    const name = APP_NAMES[WORKS.indexOf(work) % 2]!;
    const app = APPS[name];
    createApp(file, name, journal);
    let told = 0;
    for (const round of rounds(2, 0.4 / CASES.length)) {
      const task: Task = { file, app: name, seed: SEED * 1000 + round, writer: 1, work };
      const process = new Running(program, task);
      await process.started();
      await new Promise((resolve) => setTimeout(resolve, random() * 120));
      await process.kill();
      expect(process.failures).toEqual([]);
      told = Math.max(told, process.acknowledged.get(1) ?? 0);
      counts.kills++;
      counts.commits += process.commits;
      counts.pending += await finishRebuild(file, app);
      await expectFileInStep(file, app, (client) => {
        const kept = client.prepare("SELECT coalesce(max(n), 0) FROM acknowledged").pluck().get() as number;
        expect(kept).toBeGreaterThanOrEqual(told);
        // A commit that was not told any more counts from now on.
        told = kept;
      });
    }
    expect(counts.commits).toBeGreaterThanOrEqual(counts.kills);
    figures(`kill -9, ${work}, ${journal}`, counts);
  });
});
