import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const BENCH = fileURLToPath(new URL("..", import.meta.url));

/** Runs a script of the bench in a fresh process, with `gc` at hand, and returns what it prints as JSON on its last line. */
export function runFresh<T>(script: string, input: unknown): T {
  const output = execFileSync(process.execPath, ["--expose-gc", "--import", "tsx", `${BENCH}${script}`], {
    cwd: BENCH,
    encoding: "utf8",
    input: JSON.stringify(input),
    stdio: ["pipe", "pipe", "inherit"],
  });
  return JSON.parse(output.trimEnd().split("\n").at(-1)!) as T;
}

/** The other side of `runFresh`. */
export function freshInput<T>(): T {
  return JSON.parse(readFileSync(0, "utf8")) as T;
}
