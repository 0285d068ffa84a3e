import { once } from "node:events";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { nearest, search, UnsupportedDriverError } from "../../src/index.ts";
import { temporaryFolder } from "../helpers/databases.ts";
import { APPS, createApp } from "../reliability/app.ts";
import { bundled } from "../reliability/program.ts";
import { expectFileInStep } from "../reliability/witness.ts";

const program = await bundled(new URL("thread.ts", import.meta.url));

describe("62: worker threads", () => {
  test("with connections of their own answer alike, while all of them write", { timeout: 60_000 }, async () => {
    const file = join(temporaryFolder(), "threads.db");
    createApp(file, "integer", "wal");
    const workers = [1, 2, 3].map((seed) => new Worker(program, { workerData: { file, seed } }));
    const reports = await Promise.all(workers.map(async (worker) => (await once(worker, "message"))[0]));
    expect(reports).toEqual([1, 2, 3].map(() => ({ differences: [], answers: 60 })));
    await Promise.all(workers.map((worker) => worker.terminate()));
    await expectFileInStep(file, APPS.integer);
  });

  test("a handle that was posted to one is an empty object there: a typed error", () => {
    const client = new Database(":memory:");
    onTestFinished(() => void client.close());
    const { table, index } = APPS.integer;
    // structuredClone is what postMessage does.
    const posted = { session: structuredClone({ client: {} }) } as any;
    expect(() => nearest(posted, table.v, [1, 2, 3])).toThrow(UnsupportedDriverError);
    expect(() => search(posted, index, "red")).toThrow(UnsupportedDriverError);
    expect(() => nearest(structuredClone(client) as any, table.v, [1, 2, 3])).toThrow(UnsupportedDriverError);
    const revived = drizzle({ client: structuredClone(client) as any }) as any;
    expect(() => nearest(revived, table.v, [1, 2, 3]).all()).toThrow(UnsupportedDriverError);
    expect(() => search(revived, index, "red").all()).toThrow(UnsupportedDriverError);
  });
});
