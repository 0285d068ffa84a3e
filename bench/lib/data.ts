/** A small seeded generator of numbers in 0..1 (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Isotropic noise: every coordinate Gaussian. The worst case for anything that hopes for structure. */
export function noise(random: () => number, dimensions: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: dimensions }, () => gaussian(random));
}

const VOCABULARY = 20_000;

/** A text of words as frequent as in prose: the n-th most frequent is met about 1 / n as often as the first (Zipf). */
export function words(random: () => number, count: number): string {
  return Array.from({ length: count }, () => `w${Math.floor(VOCABULARY ** random()).toString(36)}`).join(" ");
}

/** Box and Muller, 1958. */
export function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
