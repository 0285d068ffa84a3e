// The numbers of exact search, one measure after the other, beside the peers; see README.md. Build the library first.
//
//   npx tsx exact-search.ts [--only scan,kernel] [--data like-minilm,noise] [--rows 100000] [--rounds 9] [--seed 1]
import { parseArgs } from "node:util";
import { build, wide } from "./exact/build.ts";
import { coldStart } from "./exact/cold-start.ts";
import { filters } from "./exact/filters.ts";
import { insertThenQuery } from "./exact/insert.ts";
import { kernel } from "./exact/kernel.ts";
import { memory } from "./exact/memory.ts";
import { million } from "./exact/million.ts";
import type { Options } from "./exact/options.ts";
import { scan } from "./exact/scan.ts";
import { small } from "./exact/small.ts";
import { type Findings, report } from "./lib/report.ts";
import { KINDS, type Kind } from "./lib/vectors.ts";

const MEASURES: Record<string, (options: Options) => Promise<Findings>> = {
  scan,
  kernel,
  memory,
  "cold-start": coldStart,
  build,
  wide,
  small,
  million,
  insert: insertThenQuery,
  filters,
};

const { values } = parseArgs({
  options: {
    only: { type: "string", default: Object.keys(MEASURES).join(",") },
    data: { type: "string" },
    rows: { type: "string", default: "100000" },
    rounds: { type: "string", default: "9" },
    seed: { type: "string", default: "1" },
  },
});
/** Worst case and best only where the data decides; elsewhere what users have. */
const DATA_DEFAULT: Record<string, string> = { scan: "like-minilm,noise", kernel: "like-minilm,noise" };

for (const name of chosen(values.only, Object.keys(MEASURES))) {
  const kinds = chosen(values.data ?? DATA_DEFAULT[name] ?? "like-minilm", KINDS) as Kind[];
  const [seed, rounds, rows] = [values.seed, values.rounds, values.rows].map(Number) as [number, number, number];
  report(name, await MEASURES[name]!({ seed, rounds, rows, kinds }));
}

function chosen(list: string, known: readonly string[]): string[] {
  const names = list.split(",");
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`${unknown}: expected one of ${known.join(", ")}`);
  return names;
}
