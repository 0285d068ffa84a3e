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

/** One of several that answer the same queries. */
export interface Contender {
  readonly name: string;
  search(query: Float32Array): number[] | Promise<number[]>;
}

const BLOCK_MS = 60;

/**
 * Time of one search of each contender, in ms. Round by round in turn; in its turn a contender answers so many queries in a row
 * that fast and slow ones get about the same time, at least one.
 */
export async function searchTimes(
  contenders: readonly Contender[],
  queries: readonly Float32Array[],
  rounds: number,
): Promise<Map<Contender, number[]>> {
  const times = new Map(contenders.map((contender) => [contender, [] as number[]]));
  const blocks = new Map<Contender, number>();
  let next = 0;
  for (let round = -1; round < rounds; round++) {
    for (const contender of contenders) {
      // Round -1 warms up: three queries tell how many make a block.
      const block = blocks.get(contender) ?? 3;
      const taken: number[] = [];
      for (let i = 0; i < block; i++) {
        const query = queries[next++ % queries.length]!;
        const start = performance.now();
        const found = contender.search(query);
        if (found instanceof Promise) await found;
        taken.push(performance.now() - start);
      }
      if (round < 0) blocks.set(contender, Math.min(100, Math.max(1, Math.round(BLOCK_MS / taken[2]!))));
      else times.get(contender)!.push(...taken);
    }
  }
  return times;
}
