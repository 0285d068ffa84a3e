import type { Command } from "commander";
import pc from "picocolors";
import { type IndexStatus, status } from "../../maintenance/status.ts";
import { RECORD_REMEDY } from "../../migration/problems.ts";
import { warn } from "../report.ts";
import { bytesText, table } from "../table.ts";
import { json, upkeepCommand } from "./upkeep.ts";

/** `drizzle-vector status`: how the indexes of a database stand. Exits 0 when all are well, 1 when one is not, 2 could not tell. */
export function statusCommand(): Command {
  return upkeepCommand({
    name: "status",
    description:
      "show rows, log, bytes and problems of the search indexes in a database; exits 0 well, 1 problems, 2 could not tell",
    readonly: true,
    failure: 2,
    async run(db, indexes, options) {
      const statuses: IndexStatus[] = [];
      for (const index of indexes) statuses.push(await status(db, index));
      if (options.json) console.log(json(statuses));
      else print(statuses);
      return statuses.every(({ ok, pending }) => ok && pending === null) ? 0 : 1;
    },
  });
}

function print(statuses: readonly IndexStatus[]): void {
  if (statuses.length === 0) return;
  console.log(table(statuses.map(rowOf)));
  for (const { problems, pending, index, vectors } of statuses) {
    for (const { column, problem, advice, skipped, recall } of vectors) {
      const tell = (text: string) => console.log(`${pc.dim("-")} ${index}, column ${column}: ${text}`);
      if (problem) tell(`the generation of codes on disk is not used: ${problem}; answers are right without it`);
      if (skipped) tell(`${skippedText(skipped)}; embed them again`);
      if (recall !== null) tell(`nearest goes by recall ${recall} where a query names none`);
      if (advice) tell(`${advice.reason}; ${advice.action} advised: \`drizzle-vector ${advice.action} ${index}\``);
    }
    for (const { message } of problems) console.log(`${pc.red("-")} ${message}`);
    const isTheirs = problems.every(({ code }) => code === "CASCADE_FAILS");
    const first = isTheirs ? "write ABORT in the place of that FAIL; then " : "";
    const isUnread = problems.some(({ code }) => code === "RECORD_DAMAGED");
    const repair = isUnread ? RECORD_REMEDY : `${first}\`drizzle-vector rebuild ${index}\` repairs it`;
    if (problems.length > 0) console.log(`${pc.dim("hint")} ${repair}`);
    else if (pending) console.log(`${pc.dim("hint")} \`drizzle-vector rebuild ${index}\` fills its text`);
  }
  for (const warning of statuses[0]!.sqlite.warnings) warn(warning);
}

function skippedText(skipped: number): string {
  const rows = skipped === 1 ? "1 row has a value" : `${skipped.toLocaleString("en-US")} rows have values`;
  return `${rows} of another length than the column's vectors, which nearest does not find`;
}

function rowOf(status: IndexStatus) {
  const { index, table, rows, indexed, log, bytes, managed, ok, pending, vectors } = status;
  // Rows whose codes are on disk, column by column.
  const coded = byColumn(vectors.map((vector) => vector.rows));
  const changed = byColumn(vectors.map(({ drift }) => drift?.changed));
  const size = bytes && Object.values(bytes).reduce((sum, part) => sum + part, 0);
  const state = !ok ? pc.red("detached") : pending ? pc.yellow("text pending") : pc.green("ok");
  return {
    ...{ index, table, rows, indexed, coded, changed, log },
    ...{ size: size === null ? null : bytesText(size), by: managed, state },
  };
}

/** One number for each vector column; a dash where a column has none. */
function byColumn(numbers: readonly (number | null | undefined)[]): string | null {
  return numbers.length === 0 ? null : numbers.map((number) => number?.toLocaleString("en-US") ?? "-").join(", ");
}
