import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Bundles a program of the tests, so that starting it takes a tenth of a second. Gives the path of the file, which goes when the
 * tests of this file are over: to be called while they are collected. */
export async function bundled(entry: URL): Promise<string> {
  const name = fileURLToPath(entry).split("/").at(-1)!.replace(/\.ts$/, "");
  const outfile = `${ROOT}build/${name}-${process.pid}.mjs`;
  afterAll(() => rmSync(outfile, { force: true }));
  await build({
    entryPoints: [fileURLToPath(entry)],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    external: ["better-sqlite3", "@libsql/client"],
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    logLevel: "error",
  });
  return outfile;
}

/** A program at work in a process of its own. */
export class Running {
  readonly #child: ChildProcess;
  /** The last transaction each writer has told to be committed. */
  readonly acknowledged = new Map<number, number>();
  /** What went wrong in it. */
  readonly failures: string[] = [];
  commits = 0;
  readonly #ended: Promise<unknown>;

  constructor(program: string, task: object) {
    this.#child = fork(program, [JSON.stringify(task)], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.#child.on("message", (message: { writer?: number; n?: number; failure?: string }) => {
      if (message.failure !== undefined) this.failures.push(message.failure);
      else {
        this.acknowledged.set(message.writer!, message.n!);
        this.commits++;
      }
    });
    this.#ended = Promise.all([once(this.#child, "exit"), once(this.#child, "disconnect")]);
  }

  /** Resolves when it has told its first commit, or has ended. */
  async started(): Promise<void> {
    await Promise.race([once(this.#child, "message"), this.#ended]);
  }

  /** kill -9, and whatever it had told before. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  /** Asks it to end, and waits. */
  async stop(): Promise<void> {
    if (this.#child.connected) this.#child.send("stop");
    await this.#ended;
  }
}
