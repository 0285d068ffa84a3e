import type { Command } from "commander";
import pc from "picocolors";
import { type VerifyResult, verify } from "../../maintenance/verify.ts";
import { json, numberArgument, type UpkeepOptions, upkeepCommand, withProgress } from "./upkeep.ts";

interface VerifyCommandOptions extends UpkeepOptions {
  recallQueries?: number;
}

/** `drizzle-vector verify`: indexes against their tables, row by row. Exits 0 equal, 1 with problems, 2 could not tell. */
export function verifyCommand(): Command {
  return upkeepCommand<VerifyCommandOptions>({
    name: "verify",
    description:
      "compare search indexes with their tables, both ways; reads only; exits 0 equal, 1 problems, 2 could not tell",
    readonly: true,
    failure: 2,
    async run(db, indexes, options) {
      const results: VerifyResult[] = [];
      for (const index of indexes) {
        const count = options.recallQueries;
        const more = count === undefined ? {} : { recallQueries: count };
        results.push(await withProgress(index, (progress) => verify(db, index, { ...progress, ...more })));
      }
      if (options.json) console.log(json(results));
      else for (const result of results) print(result);
      return results.every(({ ok }) => ok) ? 0 : 1;
    },
  }).option(
    "--recall-queries <rows>",
    "rows that recall is measured with, 0 for none (default: 100; 20 for exact: false)",
    numberArgument,
  );
}

function print({ index, ok, problems, rows, recall, ms }: VerifyResult): void {
  const seconds = (ms / 1000).toFixed(1);
  const verdict = ok ? pc.green("ok") : pc.red(`${problems.length} problem${problems.length === 1 ? "" : "s"}`);
  console.log(`${index}: ${verdict}, ${rows.toLocaleString("en-US")} rows compared in ${seconds} s`);
  for (const { column, asked, measured, p5, queries, limit, reason } of recall) {
    if (measured === null) {
      // A small table is no news; a large one of which few rows have a vector is.
      if (rows > limit) console.log(`${pc.dim("-")} column ${column}: recall was not measured: ${reason}`);
      continue;
    }
    const found = `recall ${measured.toFixed(3)} where ${asked} is asked for`;
    console.log(
      `${pc.dim("-")} column ${column}: ${found} (${queries} rows as queries, nineteen of twenty find ${p5!.toFixed(2)} or more)`,
    );
  }
  for (const { message, count, key } of problems) {
    const first = key === undefined ? "" : `, first ${json(key).replace(/\s+/g, " ")}`;
    console.log(`${pc.red("-")} ${message}${count === undefined ? "" : ` (${count.toLocaleString("en-US")}${first})`}`);
  }
  if (!ok) console.log(`${pc.dim("hint")} \`drizzle-vector rebuild ${index}\` makes it anew from the table`);
}
