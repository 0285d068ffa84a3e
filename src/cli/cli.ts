#!/usr/bin/env node
import { Command } from "commander";
import { version } from "../../package.json";
import { checkCommand } from "./commands/check.ts";
import { generateCommand } from "./commands/generate.ts";
import { reportError } from "./report.ts";

const program = new Command("drizzle-vector")
  .description("Search indexes of a Drizzle app on SQLite: migrations, checks and upkeep.")
  .version(version)
  .showHelpAfterError()
  .addCommand(generateCommand())
  .addCommand(checkCommand());

try {
  await program.parseAsync();
} catch (error) {
  reportError(error);
  process.exitCode ||= 1;
}
