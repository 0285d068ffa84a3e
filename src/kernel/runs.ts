/** Where each run of a block begins in a kernel's memory, and how many bytes of it are meant. */
export type Runs = Iterable<readonly [at: number, length: number]>;

/** Runs one behind the other, without gaps: what `loadRuns` takes. */
export function saveRuns(memory: ArrayBufferLike, runs: Runs, bytes: number): Uint8Array {
  const saved = new Uint8Array(bytes);
  let to = 0;
  for (const [at, length] of runs) {
    saved.set(new Uint8Array(memory, at, length), to);
    to += length;
  }
  return saved;
}

/** Fills runs from what `saveRuns` gave; the length is the caller's to check. */
export function loadRuns(memory: ArrayBufferLike, runs: Runs, saved: Uint8Array): void {
  let from = 0;
  for (const [at, length] of runs) {
    new Uint8Array(memory, at, length).set(saved.subarray(from, from + length));
    from += length;
  }
}
