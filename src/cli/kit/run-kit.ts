import { spawn } from "node:child_process";
import { stripVTControlCharacters } from "node:util";
import { KitError } from "../../errors.ts";
import type { Migration } from "../../migration/replay.ts";
import { readMigrations } from "../migrations/folder.ts";
import type { Kit } from "./find-kit.ts";

export interface KitRun {
  kit: Kit;
  /** Where drizzle-kit is run: paths in its config are relative to it. */
  root: string;
  /** The migrations folder. */
  out: string;
  /** What follows `drizzle-kit generate`. */
  args: readonly string[];
  /** Takes what drizzle-kit printed, in its own colours. */
  print: (output: string) => void;
}

/**
 * Runs the project's `drizzle-kit generate` and tells which migration it wrote, or undefined where nothing had changed.
 *
 * The first run has no terminal. Where it then has a question (was this renamed?) it is asked again with ours, if we have
 * one. Exit codes are not trusted, since drizzle-kit 0.31 exits 0 on failure: a run that wrote no migration and did not say
 * that nothing changed has failed.
 *
 * @throws {KitError} when it failed, with what to do about it
 */
export async function kitGenerate(run: KitRun): Promise<Migration | undefined> {
  const known = new Set(readMigrations(run.out).map(({ name }) => name));
  await nextSecond(known);
  const first = await spawnKit(run, "pipe");
  const asks = needsAnswer(first.output) && process.stdin.isTTY === true && process.stdout.isTTY === true;
  if (!asks) run.print(first.output);
  const { code, output } = asks ? await spawnKit(run, "inherit") : first;

  const written = readMigrations(run.out).filter(({ name }) => !known.has(name));
  if (written.length === 1) return written[0];
  if (written.length === 0 && code === 0 && saysUnchanged(output)) return undefined;
  throw new KitError({
    subject: `drizzle-kit ${run.kit.version} generate`,
    expected: "a migration, or word that nothing changed",
    got: asks ? `no migration (exit code ${code})` : failureIn(output, code),
    hint: hintFor(output, run.args),
  });
}

/**
 * drizzle-kit 1.0 names migrations by the second and orders them by name, so a second one within the same second could
 * come to stand before the first.
 */
async function nextSecond(known: ReadonlySet<string>): Promise<void> {
  const stamp = () => new Date().toISOString().replace(/\D/g, "").slice(0, 14);
  while ([...known].some((name) => name.startsWith(stamp()))) await new Promise((resolve) => setTimeout(resolve, 50));
}

interface Outcome {
  code: number | null;
  /** Empty where the terminal was handed over. */
  output: string;
}

function spawnKit({ kit, root, args }: KitRun, mode: "pipe" | "inherit"): Promise<Outcome> {
  const env = process.stdout.isTTY === true ? { FORCE_COLOR: "1", ...process.env } : process.env;
  const child = spawn(process.execPath, [kit.bin, "generate", ...args], {
    cwd: root,
    env,
    stdio: mode === "inherit" ? "inherit" : ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
}

const QUESTION = /Interactive prompts require a TTY|missing_hints/;

function needsAnswer(output: string): boolean {
  return QUESTION.test(output);
}

function saysUnchanged(output: string): boolean {
  return /no schema changes|"status":\s*"no_changes"/i.test(output);
}

function failureIn(output: string, code: number | null): string {
  if (needsAnswer(output)) return "a question and no terminal to ask it in";
  const lines = stripVTControlCharacters(output).split("\n");
  const told = lines.find((line) =>
    /error|collision|not exist|unrecognized|required|invalid|conflict|duplicate/i.test(line),
  );
  return told?.trim() ?? `no migration (exit code ${code})`;
}

function hintFor(output: string, args: readonly string[]): string {
  if (needsAnswer(output)) {
    return "run it in a terminal and answer, or (drizzle-kit 1.0) pass --hints with the answers; drizzle-kit's words are above";
  }
  if (args.includes("--explain"))
    return "--explain writes none; `drizzle-vector check` tells what the search indexes need";
  if (/collision|conflict/i.test(output)) {
    return "two branches made a migration each: `drizzle-kit check` names them; (drizzle-kit 1.0) --ignore-conflicts where they are not in each other's way";
  }
  if (/drizzle-kit up|old drizzle-kit/i.test(output)) return "run `drizzle-kit up` once";
  return "drizzle-kit's own words are above";
}
