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
function gaussian(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/**
 * Unit vectors with the spectrum of real sentence vectors, any number of them: normalise(a + 0.6 (b - c) + 0.4 (d - e)) over
 * rows of an fvecs file drawn at random.
 */
export function likeMiniLm(random: () => number, fvecs: Buffer): () => Float32Array<ArrayBuffer> {
  const dimensions = fvecs.readInt32LE(0);
  const count = fvecs.length / (4 + dimensions * 4);
  const rows = Array.from({ length: count }, (_, row) =>
    Float32Array.from({ length: dimensions }, (_, i) => fvecs.readFloatLE(row * (4 + dimensions * 4) + 4 + i * 4)),
  );
  return () => {
    const [a, b, c, d, e] = Array.from({ length: 5 }, () => rows[Math.floor(random() * count)]!) as [
      Float32Array,
      Float32Array,
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    const mixed = Float32Array.from(a, (x, i) => x + 0.6 * (b[i]! - c[i]!) + 0.4 * (d[i]! - e[i]!));
    const norm = Math.hypot(...mixed);
    return mixed.map((x) => x / norm);
  };
}
