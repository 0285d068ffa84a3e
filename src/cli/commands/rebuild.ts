import type { Command } from "commander";
import pc from "picocolors";
import { type RebuildResult, rebuild } from "../../maintenance/rebuild.ts";
import { json, upkeepCommand, withProgress } from "./upkeep.ts";

/** `drizzle-vector rebuild`: makes indexes anew from their tables, in slices that let other writers in. */
export function rebuildCommand(): Command {
  return upkeepCommand({
    name: "rebuild",
    description: "repair search indexes and fill them anew from their tables; goes on where an earlier run was stopped",
    readonly: false,
    failure: 1,
    async run(db, indexes, options) {
      const results: RebuildResult[] = [];
      for (const index of indexes) {
        results.push(await withProgress(index, (progress) => rebuild(db, index, progress)));
      }
      if (options.json) console.log(json(results));
      else for (const { index, rows, ms } of results) console.log(doneText(index, rows, ms));
      return 0;
    },
  });
}

function doneText(index: string, rows: number, ms: number): string {
  return `${index}: ${pc.green("rebuilt")}, ${rows.toLocaleString("en-US")} texts in ${(ms / 1000).toFixed(1)} s`;
}
