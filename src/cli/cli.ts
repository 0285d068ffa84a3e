#!/usr/bin/env node
import { Command } from "commander";
import { version } from "../../package.json";
import { checkCommand } from "./commands/check.ts";
import { generateCommand } from "./commands/generate.ts";
import { optimizeCommand } from "./commands/optimize.ts";
import { rebuildCommand } from "./commands/rebuild.ts";
import { statusCommand } from "./commands/status.ts";
import { tuneCommand } from "./commands/tune.ts";
import { verifyCommand } from "./commands/verify.ts";
import { reportError } from "./report.ts";

const program = new Command("drizzle-vector")
  .description("Search indexes of a Drizzle app on SQLite: migrations, checks and upkeep.")
  .version(version)
  .showHelpAfterError()
  .addCommand(generateCommand())
  .addCommand(checkCommand())
  .addCommand(statusCommand())
  .addCommand(verifyCommand())
  .addCommand(rebuildCommand())
  .addCommand(optimizeCommand())
  .addCommand(tuneCommand());

try {
  await program.parseAsync();
} catch (error) {
  reportError(error);
  process.exitCode ||= 1;
}
