/**
 * Runs the contenders in turn, round by round, so that a slow moment of the machine hits all of them.
 *
 * @param prepare - called before each run, not timed
 */
export function sideBySide(
  rounds: number,
  contenders: Record<string, () => void>,
  prepare: (name: string) => void = () => {},
): Record<string, number[]> {
  const times = Object.fromEntries(Object.keys(contenders).map((name) => [name, [] as number[]]));
  for (let round = -1; round < rounds; round++) {
    for (const [name, run] of Object.entries(contenders)) {
      prepare(name);
      const start = performance.now();
      run();
      // Round -1 warms up.
      if (round >= 0) times[name]!.push(performance.now() - start);
    }
  }
  return times;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}

/** Medians and the ratio of each to the first contender. */
export function printTimes(title: string, times: Record<string, number[]>): void {
  const [base] = Object.values(times).map(median);
  console.log(title);
  console.table(
    Object.fromEntries(
      Object.entries(times).map(([name, all]) => [
        name,
        { "median ms": Number(median(all).toFixed(2)), ratio: Number((median(all) / base!).toFixed(3)) },
      ]),
    ),
  );
}
