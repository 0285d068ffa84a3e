import type { ScalarMemory } from "./scalar-memory.ts";

/** As in assembly/likely.ts. */
const SLACK32 = 2 ** -21;
const WAITING_ROWS = 8;
const ENTRY_WORDS = 8;

/** What is listed of a row by its 1-bit codes. */
interface Listed {
  readonly upper: number;
  readonly row: number;
}

/** Looks at one row by its codes for exact answers: `block` is where they lie, `first` the number of the first row there. */
type LookAt = (state: number, query: number, block: number, shape: Int32Array, row: number, first: number) => void;

/**
 * Looks at the rows that 1-bit codes have listed, those with the best bounds first, and empties the list; equal to the last bit.
 *
 * @param settle - drops from the list what the threshold has overtaken, and returns how many are left
 */
export function scalarLikely(memory: ScalarMemory, settle: (bits: number) => number, lookAt: LookAt) {
  return (job: number): void => {
    const words = new Int32Array(memory.buffer, job, 32);
    const [query, state, bits] = [words[1]!, words[2]!, words[12]!];
    const shape = words.slice(3, 6);
    const entries = new Int32Array(memory.buffer, words[15]!, words[16]! * ENTRY_WORDS);
    const shift = memory.view.getFloat64(job + 80, true);
    const float = (at: number) => memory.view.getFloat32(at, true);
    const list = memory.view.getUint32(bits + 24, true);
    const listed = Array.from({ length: settle(bits) }, (_, i): Listed => {
      return { upper: float(list + i * 8), row: memory.view.getInt32(list + i * 8 + 4, true) };
    });

    const waiting: Listed[] = [];
    const flush = () => {
      for (const { row } of waiting.splice(0)) {
        let entry = 0;
        while (entry + ENTRY_WORDS < entries.length && entries[entry + ENTRY_WORDS + 2]! <= row) entry += ENTRY_WORDS;
        const first = entries[entry + 2]!;
        lookAt(state, query, entries[entry]!, shape, row - first, first);
      }
      const threshold = memory.view.getFloat64(state, true) + shift;
      const lowered = Math.fround(threshold - Math.abs(threshold) * SLACK32);
      if (lowered > float(bits)) memory.view.setFloat32(bits, lowered, true);
    };
    const wait = (one: Listed) => {
      if (waiting.push(one) === WAITING_ROWS) flush();
    };
    const bests = bestOf(listed, memory.view.getInt32(state + 40, true));
    for (const one of bests) wait(one);
    flush();
    const looked = new Set(bests);
    for (const one of listed) {
      // The threshold of a moment ago: it is read anew only when rows have been looked at.
      if (!looked.has(one) && !(one.upper < float(bits))) wait(one);
    }
    flush();
    memory.view.setInt32(bits + 12, 0, true);
  };
}

/** The `most` with the largest bounds, in the order of a heap with the least on top. */
function bestOf(listed: readonly Listed[], most: number): Listed[] {
  const heap: Listed[] = [];
  for (const one of listed) {
    if (heap.length < most) {
      let i = heap.push(one) - 1;
      for (; i > 0; i = (i - 1) >> 1) {
        const above = heap[(i - 1) >> 1]!;
        if (above.upper <= one.upper) break;
        heap[i] = above;
      }
      heap[i] = one;
    } else if (one.upper > heap[0]!.upper) {
      let i = 0;
      for (let child = 1; child < heap.length; child = 2 * i + 1) {
        if (child + 1 < heap.length && heap[child + 1]!.upper < heap[child]!.upper) child++;
        if (heap[child]!.upper >= one.upper) break;
        heap[i] = heap[child]!;
        i = child;
      }
      heap[i] = one;
    }
  }
  return heap;
}
