/** What the four hashes of a checksum begin with. */
export const SEEDS = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344] as const;

/** One step of a hash: a bijection of the hash and of the word. */
export function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

/** Takes words in turn into four hashes. @param count - a multiple of 4 */
function hashWords(hashes: Uint32Array, words: ArrayLike<number>, count: number): void {
  let [a, b, c, d] = hashes as unknown as [number, number, number, number];
  for (let i = 0; i < count; i += 4) {
    a = mix(a, words[i]!);
    b = mix(b, words[i + 1]!);
    c = mix(c, words[i + 2]!);
    d = mix(d, words[i + 3]!);
  }
  hashes.set([a, b, c, d]);
}

/**
 * The checksum that four hashes come to.
 *
 * @param hashes - of all whole groups of 16 bytes
 * @param rest - the bytes behind those
 * @param length - of all bytes
 */
export function finishChecksum(hashes: Uint32Array, rest: Uint8Array, length: number): number {
  let [a, b, c, d] = hashes as unknown as [number, number, number, number];
  const view = new DataView(rest.buffer, rest.byteOffset, rest.length);
  const words = rest.length >> 2;
  for (let i = 0; i < words; i++) a = mix(a, view.getUint32(i * 4, true));
  for (let i = words * 4; i < rest.length; i++) b = mix(b, rest[i]!);
  return mix(mix(mix(mix(a, b), c), d), length);
}

/** `checksum` in plain TypeScript: the oracle of the kernel's tests, the fallback without SIMD, and as fast for a few bytes. */
export function scalarChecksum(bytes: Uint8Array): number {
  const isAligned = bytes.byteOffset % 4 === 0;
  const aligned = isAligned ? bytes : bytes.slice();
  const whole = (bytes.length >> 4) << 2;
  const hashes = Uint32Array.from(SEEDS);
  hashWords(hashes, new Uint32Array(aligned.buffer, aligned.byteOffset, whole), whole);
  return finishChecksum(hashes, bytes.subarray(whole * 4), bytes.length);
}

/** `hash` of `HashKernel` in plain TypeScript. */
export function scalarHash(buffer: ArrayBuffer, hashes: number, addresses: number, count: number, bytes: number): void {
  for (const [i, at] of new Uint32Array(buffer, addresses, count).entries()) {
    hashWords(new Uint32Array(buffer, hashes + i * 16, 4), new Uint32Array(buffer, at, bytes >> 2), bytes >> 2);
  }
}

export function scalarAscend(ids: BigInt64Array): boolean {
  for (let i = 1; i < ids.length; i++) if (ids[i - 1]! >= ids[i]!) return false;
  return true;
}
