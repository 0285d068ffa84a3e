// npm run test:long [-- share]: the whole proof at the length RELIABILITY.md tells of, or a share of it (0.01 tries it out).
// Two lanes at a time. Figures go into a file, one JSON object a line, and are summed up at the end.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const share = Number(process.argv[2] ?? 1);
if (!(share > 0)) {
  console.error(`expected a share of the whole above 0, got ${process.argv[2]}`);
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), "drizzle-vector-long-"));
const figuresFile = join(folder, "figures.jsonl");
writeFileSync(figuresFile, "");

/**
 * @typedef {object} Part
 * @property {string} name
 * @property {string} file - of tests
 * @property {string} [only] - the tests of it, as a pattern
 * @property {number} [rounds] - of each loop
 * @property {number} [seconds] - for the loops of the file together
 * @property {Record<string, string>} [env]
 */

/** Each loop of a file runs so many rounds; how many loops there are is told beside. The longest come first. @type {Part[]} */
const PARTS = [
  // 24 worlds, which are 8 tables with 3 settings each: 216 sequences in all.
  ...[1, 2, 3].map((seed) => ({
    name: `model ${seed}`,
    file: "test/model/model.test.ts",
    rounds: 3,
    env: { MODEL_STEPS: share < 1 ? "250" : "2500", RELIABILITY_SEED: String(seed) },
  })),
  // 3 loops.
  { name: "damaged tables", file: "test/fuzz/shadow-tables.test.ts", rounds: 3400 },
  // 8 loops.
  { name: "kills", file: "test/crash/kill.test.ts", rounds: 125 },
  { name: "input", file: "test/fuzz/input.test.ts", only: "26, 27|identifiers|74", rounds: 2000 },
  { name: "no room", file: "test/crash/disk-full.test.ts", rounds: 60 },
  // 6 loops of WALs, 2 of journals.
  { name: "power cuts", file: "test/crash/power-cut.test.ts", rounds: 100 },
  // 4 loops.
  { name: "races", file: "test/crash/processes.test.ts", only: "two processes", rounds: 25 },
  { name: "other programs", file: "test/foreign/writers.test.ts", rounds: 20 },
  // 3 loops.
  { name: "hostile texts", file: "test/fuzz/input.test.ts", only: "hostile text", rounds: 34_000 },
];

/** Runs beside all others: 2 loops, each of 0.08 of its seconds. @type {Part} */
const BESIDE = {
  name: "four processes",
  file: "test/crash/processes.test.ts",
  only: "three processes",
  seconds: 600 / 0.16,
};

const start = performance.now();
const failed = [];

/** @param {Part} part */
async function run({ name, file, only, rounds, seconds, env }) {
  const from = performance.now();
  const child = spawn(
    process.execPath,
    [
      "node_modules/vitest/vitest.mjs",
      "run",
      file,
      ...(only ? ["-t", only] : []),
      "--project",
      "drizzle 0.x*",
      "--disable-console-intercept=true",
      "--maxWorkers=1",
      "--reporter=default",
    ],
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        ...env,
        RELIABILITY_FIGURES: figuresFile,
        ...(rounds ? { RELIABILITY_ROUNDS: String(Math.max(1, Math.round(rounds * share))) } : {}),
        ...(seconds ? { RELIABILITY_SECONDS: String(seconds * share) } : {}),
      },
    },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
  const status = await new Promise((resolve) => child.on("close", resolve));
  const minutes = ((performance.now() - from) / 60_000).toFixed(1);
  writeFileSync(join(folder, `${name}.txt`), output);
  if (status !== 0) failed.push(name);
  console.log(`${name}: ${status === 0 ? "passed" : `FAILED, see ${join(folder, `${name}.txt`)}`}, ${minutes} min`);
}

async function lane() {
  for (let part = PARTS.shift(); part; part = PARTS.shift()) await run(part);
}

await Promise.all([run(BESIDE), lane(), lane()]);

/** Counts of all loops whose name begins so. */
const lines = readFileSync(figuresFile, "utf8")
  .trim()
  .split("\n")
  .filter(Boolean)
  .map((line) => JSON.parse(line));
const sum = (what, count) =>
  lines.filter((line) => line.what.startsWith(what)).reduce((total, { counts }) => total + (counts[count] ?? 0), 0);

const summary = {
  minutes: Number(((performance.now() - start) / 60_000).toFixed(1)),
  model: {
    seeds: sum("model", "seeds"),
    statements: sum("model", "steps"),
    compared: sum("model", "compared"),
    insideTransactions: sum("model", "compared inside a transaction"),
  },
  kills: sum("kill -9", "kills") + sum("two at once", "kills"),
  acknowledgedCommits: sum("kill -9", "commits") + sum("two at once", "commits"),
  damagedWals: sum("damaged WALs", "wals"),
  hotJournals: sum("hot journals", "journals"),
  tornPages: sum("hot journals", "pages"),
  fourProcesses: { commits: sum("four processes", "commits"), snapshots: sum("four processes", "snapshots") },
  noRoom: { rounds: sum("max_page_count", "rounds"), refused: sum("max_page_count", "refused") },
  damagedTables: sum("damaged tables", "states"),
  hostileTexts: sum("hostile texts", "texts"),
  identifiers: sum("identifiers", "lives"),
  storedBytes: sum("stored bytes", "blobs"),
  options: sum("options", "answered") + sum("options", "refused"),
  otherPrograms: sum("foreign writer", "statements"),
  // A wrong answer, a lost row or a crash ends its part.
  failed,
};
writeFileSync(join(folder, "summary.json"), `${JSON.stringify(summary, null, 2)}\n`);
console.log(JSON.stringify(summary, null, 2));
console.log(`in ${folder}`);
process.exit(failed.length > 0 ? 1 : 0);
