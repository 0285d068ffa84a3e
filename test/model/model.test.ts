import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { temporaryFolder } from "../helpers/databases.ts";
import { SECONDS } from "../reliability/rounds.ts";
import { Step, type StepData, steps } from "./commands/step.ts";
import { SHAPES } from "./shapes.ts";
import { World, type WorldOptions } from "./world.ts";

/**
 * Random commands on up to three connections to one file, and between them questions: `nearest` over the index has to give
 * what brute force over a plain SELECT gives on the same connection at the same moment, to the last tie, `search` what a text
 * index made at that moment gives, to the last bit of every score. Invariants 1 to 25, 26 to 29, 32 to 35, 37, 40, 58 and 60.
 *
 * `npm run test:model -- 600` runs ten minutes. A failure prints the seed and the path; `MODEL_SEED=… MODEL_PATH=…` runs that
 * one alone, and `MODEL_SHRINK=1` makes it small enough to keep in `fixtures/`.
 */
const RUNS = Number(process.env.MODEL_RUNS ?? 2);
const SEED = Number(process.env.MODEL_SEED ?? 1);
const STEPS = Number(process.env.MODEL_STEPS ?? 100);
const PATH = process.env.MODEL_PATH;

const SETTINGS = [
  ["wal", 3],
  ["delete", 2],
  ["wal", 1],
] as const;

const totals: Record<string, number> = {};

async function run(world: World, commands: Iterable<fc.AsyncCommand<object, World>>): Promise<void> {
  try {
    await fc.asyncModelRun(() => ({ model: {}, real: world }), commands);
    expect(await world.finish()).toEqual([]);
  } finally {
    world.close();
    world.text.close();
    for (const [what, count] of Object.entries(world.counts)) totals[what] = (totals[what] ?? 0) + count;
  }
}

describe.each(SHAPES)("$title", (shape) => {
  test.each(SETTINGS)(
    "whatever is written, in journal mode %s with %i connections, the index answers as the table would",
    async (journal, connections) => {
      const folder = temporaryFolder();
      const before = { ...totals };
      const share = (SECONDS * 1000) / (SHAPES.length * SETTINGS.length);
      let last: StepData[] = [];
      await fc
        .assert(
          fc.asyncProperty(fc.commands([steps], { maxCommands: STEPS, size: "max" }), async (commands) => {
            last = [...commands].map((command) => JSON.parse(String(command)) as StepData);
            await run(new World(shape, { folder, journal, connections }), commands);
          }),
          {
            seed: SEED * 1000 + SHAPES.indexOf(shape) * 10 + connections,
            ...(SECONDS > 0
              ? { numRuns: 1_000_000, interruptAfterTimeLimit: share, markInterruptAsFailure: false }
              : { numRuns: RUNS }),
            ...(PATH === undefined ? {} : { path: PATH }),
            endOnFailure: process.env.MODEL_SHRINK === undefined,
          },
        )
        .catch((error) => {
          const fixture = { shape: shape.title, journal, connections, steps: last };
          throw new Error(`${(error as Error).message}\n\nAs a fixture: ${JSON.stringify(fixture)}`, { cause: error });
        });
      const gained = (what: string) => (totals[what] ?? 0) - (before[what] ?? 0);
      // Codes, text and open transactions are what this is about.
      expect(gained("certified scan")).toBeGreaterThan(gained("compared") / 20);
      expect(gained("search with hits")).toBeGreaterThan(gained("compared") / 20);
      if (connections > 1) expect(gained("compared inside a transaction")).toBeGreaterThan(gained("compared") / 6);
    },
    3_600_000,
  );
});

interface Fixture extends Omit<WorldOptions, "folder"> {
  readonly shape: string;
  /** What was wrong. */
  readonly found?: string;
  readonly steps: readonly StepData[];
}

const FIXTURES = new URL("fixtures/", import.meta.url);

describe("what went wrong once", () => {
  test.each(readdirSync(FIXTURES))("%s", async (name) => {
    const { shape, steps, ...options } = JSON.parse(readFileSync(new URL(name, FIXTURES), "utf8")) as Fixture;
    const found = SHAPES.find(({ title }) => title === shape)!;
    await run(
      new World(found, { folder: temporaryFolder(), ...options }),
      steps.map((data) => new Step(data)),
    );
  });
});

afterAll(() => {
  if (SECONDS > 0 || process.env.MODEL_RUNS) console.log("model test", totals);
});
