import { appendFileSync } from "node:fs";

/** How long `npm run test:… -- seconds` has for the whole of a folder; 0 in the short slice that every run of the suite has. */
export const SECONDS = Number(process.env.RELIABILITY_SECONDS ?? 0);

/** How many rounds each loop runs at least in `npm run test:long`; 0 where time counts. */
export const ROUNDS = Number(process.env.RELIABILITY_ROUNDS ?? 0);

/** Where random choices begin; `RELIABILITY_SEED=7` takes others. */
export const SEED = Number(process.env.RELIABILITY_SEED ?? 1);

/**
 * Counts rounds: so many in the short slice, and in a long run as many more as fit into this loop's share of the time.
 *
 * @param share - of the folder's time, 0..1
 */
export function* rounds(short: number, share: number): Generator<number> {
  const end = performance.now() + SECONDS * 1000 * share;
  const least = Math.max(ROUNDS, short);
  for (let round = 0; round < least || performance.now() < end; round++) yield round;
}

/** Figures of a long run, for RELIABILITY.md; `test:long` collects them in a file, one JSON object a line. */
export function figures(what: string, counts: Record<string, number>): void {
  if (SECONDS + ROUNDS > 0) console.log(`${what}: ${JSON.stringify(counts)}`);
  const { RELIABILITY_FIGURES: file } = process.env;
  if (file) appendFileSync(file, `${JSON.stringify({ what, counts })}\n`);
}

export const LONG_MS = 24 * 3_600_000;
