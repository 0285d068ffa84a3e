import type { Command } from "commander";
import pc from "picocolors";
import { DrizzleVectorError } from "../errors.ts";
import { type Skipped, shortened } from "../migration/replay.ts";

/** Prints an error on stderr: message and hint of those thrown on purpose, everything of the others. */
export function reportError(error: unknown): void {
  if (!(error instanceof DrizzleVectorError)) {
    console.error(error);
    return;
  }
  console.error(`${pc.red("error")} ${error.message}`);
  if (error.hint) console.error(`${pc.dim("hint")}  ${error.hint}`);
}

/** A line on stderr for something that needs the reader's eye, but is no error. */
export function warn(message: string, hint?: string): void {
  console.error(`${pc.yellow("warning")} ${message}`);
  if (hint) console.error(`${pc.dim("hint")}    ${hint}`);
}

/** Tells what a replay left out: the answer holds unless a table depends on it. */
export function warnSkipped(skipped: readonly Skipped[]): void {
  for (const { migration, statement, reason } of skipped) {
    warn(`${migration}: left out of the replay in memory, ${reason}: ${shortened(statement)}`);
  }
}

/** Lets a command line that cannot be understood end with the code that errors of the command have: 1 may mean something else. */
export function exitingWith(failure: number, command: Command): Command {
  return command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : failure));
}
