import { BASE } from "./module.ts";
import { passingKernel } from "./passing-kernel.ts";
import { finishChecksum, SEEDS, scalarAscend, scalarChecksum } from "./scalar-checksum.ts";

/** The part of a kernel that hashes what lies in its memory; assembly/checksum.ts tells how. */
export interface HashKernel {
  /**
   * Takes bytes into the four hashes of each of `count` places.
   *
   * @param hashes - where they lie, 4 x u32 each
   * @param addresses - u32 each: where the bytes of each begin
   * @param bytes - of each, a multiple of 16
   */
  hash(hashes: number, addresses: number, count: number, bytes: number): void;
}

/** Where the hashes lie, in front of everything else in a kernel's memory: room for 24 places. */
const HASHES_AT = BASE - 512;

/**
 * The checksums of bytes in a kernel's memory, in the time of one where they are a few.
 *
 * @param places - where they begin; at most 24
 * @param bytes - of each, a multiple of 16
 */
export function checksumsAt(
  kernel: HashKernel,
  buffer: ArrayBufferLike,
  places: readonly number[],
  bytes: number,
): number[] {
  const hashes = places.map((_, i) => new Uint32Array(buffer, HASHES_AT + i * 16, 4));
  for (const each of hashes) each.set(SEEDS);
  const addresses = HASHES_AT + places.length * 16;
  new Uint32Array(buffer, addresses, places.length).set(places);
  kernel.hash(HASHES_AT, addresses, places.length, bytes);
  return hashes.map((each) => finishChecksum(each, NO_BYTES, bytes));
}

const NO_BYTES = new Uint8Array();
/** A piece is still in the caches when it is hashed. */
const PIECE_BYTES = 1 << 16;
/** Fewer bytes than this are hashed in the time of a call. */
const CALL_BYTES = 256;

/**
 * The checksum of bytes, as FORMAT.md tells it. Bytes that differ within one word always differ in theirs, others but for one in
 * 2^32. About 0.2 ms a megabyte, from the first on; what lies in the memory of a kernel anyway is better hashed there.
 */
export function checksum(bytes: Uint8Array): number {
  const exports = bytes.length < CALL_BYTES ? null : passingKernel();
  if (!exports) return scalarChecksum(bytes);
  const { buffer } = exports.memory;
  const hashes = new Uint32Array(buffer, HASHES_AT, 4);
  hashes.set(SEEDS);
  new Uint32Array(buffer, HASHES_AT + 16, 1)[0] = BASE;
  const piece = new Uint8Array(buffer, BASE, PIECE_BYTES);
  const whole = bytes.length - (bytes.length % 16);
  for (let at = 0; at < whole; at += PIECE_BYTES) {
    const length = Math.min(PIECE_BYTES, whole - at);
    piece.set(bytes.subarray(at, at + length));
    exports.hash(HASHES_AT, HASHES_AT + 16, 1, length);
  }
  return finishChecksum(hashes, bytes.subarray(whole), bytes.length);
}

/** Whether each id is larger than the one before. */
export function isAscending(ids: BigInt64Array): boolean {
  const exports = ids.byteLength > PIECE_BYTES ? null : passingKernel();
  if (!exports) return scalarAscend(ids);
  new BigInt64Array(exports.memory.buffer, BASE, ids.length).set(ids);
  return exports.ascend(BASE, ids.length) !== 0;
}
