import type { Command } from "commander";
import pc from "picocolors";
import { type OptimizeResult, optimize } from "../../maintenance/optimize.ts";
import { json, upkeepCommand, withProgress } from "./upkeep.ts";

/** `drizzle-vector optimize`: writes the codes of vectors as one piece and merges texts, of indexes that are in step. */
export function optimizeCommand(): Command {
  return upkeepCommand({
    name: "optimize",
    description: "write the codes of vectors to the database as one piece, and merge the parts of text indexes",
    readonly: false,
    failure: 1,
    async run(db, indexes, options) {
      const results: OptimizeResult[] = [];
      for (const index of indexes) {
        results.push(await withProgress(index, (progress) => optimize(db, index, progress)));
      }
      if (options.json) console.log(json(results));
      else for (const result of results) console.log(doneText(result));
      return 0;
    },
  });
}

function doneText({ index, rows, ms }: OptimizeResult): string {
  return `${index}: ${pc.green("optimized")}, ${rows.toLocaleString("en-US")} vectors written in ${(ms / 1000).toFixed(1)} s`;
}
