/** A small seeded generator of numbers in 0..1 (mulberry32); here, where programs without vitest can load it. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function randomVector(random: () => number, dimensions: number): number[] {
  return Array.from({ length: dimensions }, () => Math.fround(random() * 2 - 1));
}
