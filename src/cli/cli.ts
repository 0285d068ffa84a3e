#!/usr/bin/env node
import { Command } from "commander";
import { version } from "../../package.json";
import { reportError } from "./report.ts";

/** In the order of the help. Each is loaded when it is called, with what it alone needs: some 50 ms less of the 300 that `check` takes. */
const commands: Record<string, () => Promise<Command>> = {
  generate: async () => (await import("./commands/generate.ts")).generateCommand(),
  check: async () => (await import("./commands/check.ts")).checkCommand(),
  status: async () => (await import("./commands/status.ts")).statusCommand(),
  verify: async () => (await import("./commands/verify.ts")).verifyCommand(),
  rebuild: async () => (await import("./commands/rebuild.ts")).rebuildCommand(),
  optimize: async () => (await import("./commands/optimize.ts")).optimizeCommand(),
  tune: async () => (await import("./commands/tune.ts")).tuneCommand(),
};

const program = new Command("drizzle-vector")
  .description("Search indexes of a Drizzle app on SQLite: migrations, checks and upkeep.")
  .version(version)
  .showHelpAfterError();

try {
  const called = process.argv[2] ?? "";
  // Help and errors about the command line tell of all of them.
  const needed = Object.hasOwn(commands, called) ? [commands[called]!] : Object.values(commands);
  for (const load of needed) program.addCommand(await load());
  await program.parseAsync();
} catch (error) {
  reportError(error);
  process.exitCode ||= 1;
}
