/**
 * A chunk: the bytes of one row of `_chunks`, a header and a payload. FORMAT.md draws it. Whatever is read from disk is
 * checked here first, so that a flipped byte, or bytes that belong somewhere else, never reach a kernel.
 *
 * | offset | type | what |
 * | --- | --- | --- |
 * | 0 | u32 | magic, "DVC1" |
 * | 4 | u16 | format |
 * | 6 | u16 | kind: 1 manifest, 2 model; of rows: 3 ids, 4 codes for exact answers, 5 codes of 1 bit |
 * | 8 | u32 x 2 | owner: checksum of the index's and the column's name, and one of both |
 * | 16 | i64 | unit: the generation number under which its parts lie |
 * | 24 | i64 | stamp of the unit, drawn at random |
 * | 32 | u32 | part, from 0 |
 * | 36 | u32 | count: rows of a block, else parts of the unit |
 * | 40 | u32 | bytes of the payload |
 * | 44 | u32 | checksum of the header before it and the payload |
 * | 48 | | payload |
 */
export interface ChunkHeader {
  readonly kind: keyof typeof KINDS;
  readonly owner: Owner;
  readonly unit: bigint;
  readonly stamp: bigint;
  readonly part: number;
  readonly count: number;
}

/** Which column of which index a chunk belongs to. */
export type Owner = readonly [number, number];

/** Stored bytes are not what they should be. The table answers instead, and the next fold writes them anew. */
export class ChunkDamage extends Error {
  /** Whether they are sound, and of a version of the library to come. */
  readonly isNewer: boolean;
  /** What whoever is told may do. */
  readonly hint: string =
    "The answer is right, and the codes are written anew by the next fold. Check the disk if it comes back.";

  constructor(what: string, isNewer = false) {
    super(what);
    this.isNewer = isNewer;
  }
}

/** The log no longer tells what has happened since the generation on disk. */
export class LogDamage extends ChunkDamage {
  override readonly hint =
    "The answer is right, and the codes are written anew by the next fold. Nobody but the library may delete from the log or alter it.";

  constructor() {
    super("rows of its log were deleted or altered");
  }
}

/** Version of everything in `_head` and `_chunks`. */
export const CHUNK_FORMAT = 1;
/** Most bytes of a chunk's payload. */
export const PAYLOAD_BYTES = 1_000_000;

const MAGIC = 0x31435644;
const HEADER_BYTES = 48;
const KINDS = { manifest: 1, model: 2, ids: 3, codes: 4, bits: 5 } as const;

export function ownerOf(index: string, column: string): Owner {
  const bytes = new TextEncoder().encode(`${index}\0${column}`);
  const reversed = Uint8Array.from(bytes).reverse();
  return [checksum(bytes), checksum(reversed)];
}

/** @param header.format - of another version, for tests */
export function encodeChunk(
  { kind, owner, unit, stamp, part, count, format = CHUNK_FORMAT }: ChunkHeader & { readonly format?: number },
  payload: Uint8Array,
): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint16(4, format, true);
  view.setUint16(6, KINDS[kind], true);
  view.setUint32(8, owner[0], true);
  view.setUint32(12, owner[1], true);
  view.setBigInt64(16, unit, true);
  view.setBigInt64(24, stamp, true);
  view.setUint32(32, part, true);
  view.setUint32(36, count, true);
  view.setUint32(40, payload.length, true);
  bytes.set(payload, HEADER_BYTES);
  view.setUint32(44, checksumOf(bytes), true);
  return bytes;
}

/** What a chunk has to be; what is left out is told by the chunk. */
export type Expected = Pick<ChunkHeader, "kind" | "owner" | "unit" | "part"> & Partial<ChunkHeader>;

/**
 * The payload of a stored chunk, a view on its bytes, and its header.
 *
 * @param stored - what the database gave, of whatever type
 * @throws {ChunkDamage} when it is not the chunk that was asked for, whole and unaltered
 */
export function decodeChunk(stored: unknown, expected: Expected): { header: ChunkHeader; payload: Uint8Array } {
  const name = `part ${expected.part} of generation ${expected.unit}`;
  if (stored === undefined) throw new ChunkDamage(`${name} is missing`);
  if (!(stored instanceof Uint8Array) || stored.length < HEADER_BYTES) throw new ChunkDamage(`${name} is no chunk`);
  const view = new DataView(stored.buffer, stored.byteOffset, stored.byteLength);
  if (view.getUint32(0, true) !== MAGIC) throw new ChunkDamage(`${name} is no chunk`);
  const length = view.getUint32(40, true);
  if (length !== stored.length - HEADER_BYTES || view.getUint32(44, true) !== checksumOf(stored)) {
    throw new ChunkDamage(`the checksum of ${name} is wrong`);
  }
  // Later formats keep the header and its checksum, so that a flipped bit is not taken for one of them.
  if (view.getUint16(4, true) > CHUNK_FORMAT) {
    throw new ChunkDamage(`${name} has format ${view.getUint16(4, true)}, of a newer version of the library`, true);
  }
  const kind = (Object.keys(KINDS) as (keyof typeof KINDS)[]).find((each) => KINDS[each] === view.getUint16(6, true));
  const header = {
    kind: kind ?? "manifest",
    owner: [view.getUint32(8, true), view.getUint32(12, true)] as const,
    unit: view.getBigInt64(16, true),
    stamp: view.getBigInt64(24, true),
    part: view.getUint32(32, true),
    count: view.getUint32(36, true),
  };
  const isForeign =
    kind !== expected.kind ||
    header.owner[0] !== expected.owner[0] ||
    header.owner[1] !== expected.owner[1] ||
    header.unit !== expected.unit ||
    header.part !== expected.part ||
    (expected.stamp !== undefined && header.stamp !== expected.stamp) ||
    (expected.count !== undefined && header.count !== expected.count);
  if (isForeign) throw new ChunkDamage(`${name} belongs somewhere else`);
  // Never a Buffer, whose slices are views.
  return { header, payload: new Uint8Array(stored.buffer, stored.byteOffset + HEADER_BYTES, length) };
}

/** The checksum of a chunk: of all bytes but the four it is kept in. */
function checksumOf(chunk: Uint8Array): number {
  return mix(checksum(chunk.subarray(0, 44)), checksum(chunk.subarray(HEADER_BYTES)));
}

/**
 * Four running hashes over 32-bit words in turn. Each step is a bijection of the hash and of the word, so that bytes that
 * differ within one word always differ in their checksum, others but for one in 2^32. About 0.3 ms a megabyte.
 */
export function checksum(bytes: Uint8Array): number {
  const isAligned = bytes.byteOffset % 4 === 0;
  const aligned = isAligned ? bytes : bytes.slice();
  const words = new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length >> 2);
  let a = 0x243f6a88;
  let b = 0x85a308d3;
  let c = 0x13198a2e;
  let d = 0x03707344;
  const whole = words.length - (words.length % 4);
  for (let i = 0; i < whole; i += 4) {
    a = mix(a, words[i]!);
    b = mix(b, words[i + 1]!);
    c = mix(c, words[i + 2]!);
    d = mix(d, words[i + 3]!);
  }
  for (let i = whole; i < words.length; i++) a = mix(a, words[i]!);
  for (let i = words.length * 4; i < bytes.length; i++) b = mix(b, bytes[i]!);
  return mix(mix(mix(mix(a, b), c), d), bytes.length);
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
