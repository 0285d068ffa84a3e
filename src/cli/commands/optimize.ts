import type { Command } from "commander";
import pc from "picocolors";
import { optimize } from "../../maintenance/optimize.ts";
import { onEach, upkeepCommand } from "./upkeep.ts";

/** `drizzle-vector optimize`: writes the codes of vectors as one piece and merges texts, of indexes that are in step. */
export function optimizeCommand(): Command {
  return upkeepCommand({
    name: "optimize",
    description: "write the codes of vectors to the database as one piece, and merge the parts of text indexes",
    readonly: false,
    failure: 1,
    run: onEach(optimize, (rows) => `${pc.green("optimized")}, ${rows} vectors written`),
  });
}
