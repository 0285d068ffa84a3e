import type { Command } from "commander";
import pc from "picocolors";
import { rebuild } from "../../maintenance/rebuild.ts";
import { onEach, upkeepCommand } from "./upkeep.ts";

/** `drizzle-vector rebuild`: makes indexes anew from their tables, in slices that let other writers in. */
export function rebuildCommand(): Command {
  return upkeepCommand({
    name: "rebuild",
    description: "repair search indexes and fill them anew from their tables; goes on where an earlier run was stopped",
    readonly: false,
    failure: 1,
    run: onEach(rebuild, (rows) => `${pc.green("rebuilt")}, ${rows} texts`),
  });
}
