/**
 * Long computation that can be left between any two of its steps, of a few milliseconds at most, and gone on with later: where
 * it yields, and yields nothing.
 */
export type Breathing<T> = Generator<undefined, T, unknown>;

/** Does such work without a pause. */
export function atOnce<T>(work: Breathing<T>): T {
  let step = work.next();
  while (!step.done) step = work.next();
  return step.value;
}

/** Numbers that some plain loop gets through in well below a millisecond. */
const STEP_NUMBERS = 1 << 15;

/** How many rows of so many numbers make a step. */
export function stepRows(dimensions: number): number {
  return Math.max(1, Math.floor(STEP_NUMBERS / dimensions));
}
