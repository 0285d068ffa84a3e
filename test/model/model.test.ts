import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { temporaryFolder } from "../helpers/databases.ts";
import { figures, LONG_MS, ROUNDS, rounds, SECONDS, SEED } from "../reliability/rounds.ts";
import { run, type StepData, steps } from "./commands/step.ts";
import { SHAPES } from "./shapes.ts";
import { smallest } from "./smallest.ts";
import { World, type WorldOptions } from "./world.ts";

/**
 * Random commands on up to three connections to one file, and between them questions: `nearest` over the index has to give
 * what brute force over a plain SELECT gives on the same connection at the same moment, to the last tie, `search` what a text
 * index made at that moment gives, to the last bit of every score, `hybrid` the fusion of the two. For a recall below 1 every
 * hit has to be a row that matches, with its own distance, and as many of the true neighbours are found as were asked for.
 * Invariants 1 to 25, 26 to 29, 32 to 35, 37, 40, 58 and 60.
 *
 * `npm run test:model -- 600` runs ten minutes. Whatever fails is made small first, and printed as a fixture for `fixtures/`.
 */
const STEPS = Number(process.env.MODEL_STEPS ?? (SECONDS + ROUNDS > 0 ? 500 : 100));

const SETTINGS = [
  ["wal", 3],
  ["delete", 2],
  ["wal", 1],
] as const;

const totals: Record<string, number> = {};

/** Runs steps in a world of their own, and gives what went wrong. */
async function failureOf(world: World, sequence: readonly StepData[]): Promise<Error | undefined> {
  try {
    for (const step of sequence) await run(world, step);
    expect(await world.finish()).toEqual([]);
    return undefined;
  } catch (error) {
    return error as Error;
  } finally {
    world.close();
    world.text.close();
  }
}

function sequenceOf(seed: number): StepData[] {
  const all = fc.array(steps, { minLength: STEPS, maxLength: STEPS, size: "max" });
  return fc.sample(all, { seed, numRuns: 1 })[0]!;
}

describe.each(SHAPES)("$title", (shape) => {
  test.each(SETTINGS)(
    "whatever is written, in journal mode %s with %i connections, the index answers as the table would",
    async (journal, connections) => {
      const options: WorldOptions = { folder: temporaryFolder(), journal, connections };
      const counts: Record<string, number> = {};
      const recall = { there: 0, found: 0, asked: 0 };
      for (const round of rounds(1, 1 / (SHAPES.length * SETTINGS.length))) {
        const sequence = sequenceOf(SEED * 1_000_000 + round * 1000 + SHAPES.indexOf(shape) * 10 + connections);
        const world = new World(shape, options);
        const failure = await failureOf(world, sequence);
        if (failure) {
          const small = await smallest(sequence, async (some) =>
            Boolean(await failureOf(new World(shape, options), some)),
          );
          const fixture = { shape: shape.title, journal, connections, steps: small };
          throw new Error(`${failure.message}\n\nAs a fixture: ${JSON.stringify(fixture)}`, { cause: failure });
        }
        for (const [what, count] of Object.entries(world.counts)) counts[what] = (counts[what] ?? 0) + count;
        for (const what of ["there", "found", "asked"] as const) recall[what] += world.recall[what];
        counts.seeds = round + 1;
      }
      // Codes, text and open transactions are what this is about.
      const plan = shape.isApproximate ? "1-bit scan" : "certified scan";
      expect(counts[plan]).toBeGreaterThan(counts.compared! / (shape.isApproximate ? 500 : 50));
      expect((counts["search with hits"] ?? 0) + (counts.hybrid ?? 0)).toBeGreaterThan(counts.compared! / 100);
      if (connections > 1) expect(counts["compared inside a transaction"]).toBeGreaterThan(counts.compared! / 10);
      // A few questions cannot tell; many have to be answered as well as was asked.
      if (recall.there > 200) expect(recall.found / recall.there).toBeGreaterThan(recall.asked / recall.there - 0.02);
      for (const [what, count] of Object.entries(counts)) totals[what] = (totals[what] ?? 0) + count;
    },
    LONG_MS,
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
    expect(await failureOf(new World(found, { folder: temporaryFolder(), ...options }), steps)).toBeUndefined();
  });
});

afterAll(() => figures("model", totals));
