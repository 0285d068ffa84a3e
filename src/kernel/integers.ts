import { BASE } from "./module.ts";
import { passingKernel } from "./passing-kernel.ts";

const COMMA = 44;
/** Of text that is read at once. */
const PIECE_BYTES = 1 << 14;
/** What the kernel reads behind it, and where it writes a count. */
const SPARE_BYTES = 16;
const ASCII = new TextDecoder();

/** `least` and as many integers from there on, at most 2^31. */
export interface IntegerRange {
  readonly least: number;
  readonly count: number;
}

/** Is handed integers of 64 bits. */
export interface IntegersTaken {
  /** Some of the range: by how much each is larger than the least. A view of memory that is used again. */
  near(offsets: Int32Array): void;
  far(integer: bigint): void;
}

/**
 * Reads the integers of a text, with a comma between each two, as `group_concat` makes it.
 *
 * @param bytes - of the text, in any encoding a database may have
 * @param range - that of most of them
 */
export function readIntegers(bytes: Uint8Array, range: IntegerRange, taken: IntegersTaken): void {
  // UTF-16 has a 0 in each of these characters.
  const text = bytes[0] === 0 || bytes[1] === 0 ? bytes.filter((byte) => byte !== 0) : bytes;
  const kernel = passingKernel();
  if (!kernel) {
    scalarIntegers(text, range, taken);
    return;
  }
  const { buffer } = kernel.memory;
  const piece = new Uint8Array(buffer, BASE, PIECE_BYTES + 1);
  const [least, count] = [BigInt(range.least), BigInt(range.count)];
  // Each takes two bytes of text, or more.
  const near = BASE + PIECE_BYTES + SPARE_BYTES;
  const far = near + PIECE_BYTES * 2 + SPARE_BYTES;
  for (let from = 0; from < text.length; ) {
    const isLast = text.length - from <= PIECE_BYTES;
    const to = isLast ? text.length : text.lastIndexOf(COMMA, from + PIECE_BYTES);
    piece.set(text.subarray(from, to));
    piece[to - from] = COMMA;
    const offsets = kernel.integers(BASE, BASE + to - from + 1, least, count, near, far);
    const [others] = new Int32Array(buffer, far - 8, 1);
    taken.near(new Int32Array(buffer, near, offsets));
    for (const other of new BigInt64Array(buffer, far, others)) taken.far(other);
    from = to + 1;
  }
}

/** The same in plain TypeScript: the oracle of the kernel's tests. */
export function scalarIntegers(text: Uint8Array, { least, count }: IntegerRange, taken: IntegersTaken): void {
  const near: number[] = [];
  for (const digits of text.length === 0 ? [] : ASCII.decode(text).split(",")) {
    const offset = BigInt(digits) - BigInt(least);
    if (offset >= 0n && offset < BigInt(count)) near.push(Number(offset));
    else taken.far(BigInt(digits));
  }
  taken.near(Int32Array.from(near));
}
