import type { Breathing } from "../kernel/breathing.ts";

/** Ids merged in one step. */
const STEP_IDS = 1 << 9;

/** All ids of ascending lists, once each and ascending. */
export function* mergeIds(lists: readonly BigInt64Array[]): Breathing<BigInt64Array> {
  let runs = lists;
  while (runs.length > 1) {
    const longer: BigInt64Array[] = [];
    for (let i = 0; i < runs.length; i += 2) {
      const [a, b] = [runs[i]!, runs[i + 1]];
      longer.push(b ? yield* merged(a, b) : a);
      yield;
    }
    runs = longer;
  }
  return runs[0] ?? new BigInt64Array();
}

function* merged(a: BigInt64Array, b: BigInt64Array): Breathing<BigInt64Array> {
  const ids = new BigInt64Array(a.length + b.length);
  let [i, j, count] = [0, 0, 0];
  while (i < a.length && j < b.length) {
    const [x, y] = [a[i]!, b[j]!];
    if (x <= y) i++;
    if (y <= x) j++;
    ids[count++] = x < y ? x : y;
    if (count % STEP_IDS === 0) yield;
  }
  ids.set(a.subarray(i), count);
  ids.set(b.subarray(j), count + a.length - i);
  return ids.subarray(0, count + (a.length - i) + (b.length - j));
}
