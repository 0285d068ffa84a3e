import { checksum } from "../kernel/checksum.ts";
import { mix } from "../kernel/scalar-checksum.ts";

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
export const STAMP_OFFSET = 24;
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
  view.setBigInt64(STAMP_OFFSET, stamp, true);
  view.setUint32(32, part, true);
  view.setUint32(36, count, true);
  view.setUint32(40, payload.length, true);
  bytes.set(payload, HEADER_BYTES);
  view.setUint32(44, chunkSum(bytes, checksum(payload)), true);
  return bytes;
}

/** What a chunk has to be; what is left out is told by the chunk. */
export type Expected = Pick<ChunkHeader, "kind" | "owner" | "unit" | "part"> & Partial<ChunkHeader>;

/** A chunk that is the one that was asked for, if its checksum is right. */
export interface OpenedChunk {
  readonly header: ChunkHeader;
  /** A view on its bytes. */
  readonly payload: Uint8Array;
  /** @throws {ChunkDamage} unless this is the checksum of the payload; to be called before anything is done with it */
  check(payloadSum: number): void;
}

/**
 * Looks at a stored chunk, all but its payload: where that is copied into the memory of a kernel, it is hashed there.
 *
 * @param stored - what the database gave, of whatever type
 * @throws {ChunkDamage} when it is not the chunk that was asked for, whole and unaltered
 */
export function openChunk(stored: unknown, expected: Expected): OpenedChunk {
  const name = `part ${expected.part} of generation ${expected.unit}`;
  if (stored === undefined) throw new ChunkDamage(`${name} is missing`);
  if (!(stored instanceof Uint8Array) || stored.length < HEADER_BYTES) throw new ChunkDamage(`${name} is no chunk`);
  const view = new DataView(stored.buffer, stored.byteOffset, stored.byteLength);
  if (view.getUint32(0, true) !== MAGIC) throw new ChunkDamage(`${name} is no chunk`);
  // Never a Buffer, whose slices are views.
  const payload = new Uint8Array(stored.buffer, stored.byteOffset + HEADER_BYTES, stored.length - HEADER_BYTES);
  const check = (payloadSum: number) => {
    if (view.getUint32(44, true) !== chunkSum(stored, payloadSum)) {
      throw new ChunkDamage(`the checksum of ${name} is wrong`);
    }
  };
  const kind = (Object.keys(KINDS) as (keyof typeof KINDS)[]).find((each) => KINDS[each] === view.getUint16(6, true));
  const header = {
    kind: kind ?? "manifest",
    owner: [view.getUint32(8, true), view.getUint32(12, true)] as const,
    unit: view.getBigInt64(16, true),
    stamp: view.getBigInt64(STAMP_OFFSET, true),
    part: view.getUint32(32, true),
    count: view.getUint32(36, true),
  };
  const isWhole = view.getUint32(40, true) === payload.length;
  const format = view.getUint16(4, true);
  const isForeign =
    kind !== expected.kind ||
    header.owner[0] !== expected.owner[0] ||
    header.owner[1] !== expected.owner[1] ||
    header.unit !== expected.unit ||
    header.part !== expected.part ||
    (expected.stamp !== undefined && header.stamp !== expected.stamp) ||
    (expected.count !== undefined && header.count !== expected.count);
  if (isWhole && format <= CHUNK_FORMAT && !isForeign) return { header, payload, check };
  if (!isWhole) throw new ChunkDamage(`the checksum of ${name} is wrong`);
  // Later formats keep the header and its checksum, so that a flipped bit is not taken for one of them.
  check(checksum(payload));
  if (format <= CHUNK_FORMAT) throw new ChunkDamage(`${name} belongs somewhere else`);
  throw new ChunkDamage(`${name} has format ${format}, of a newer version of the library`, true);
}

/**
 * The payload of a stored chunk, a view on its bytes, and its header.
 *
 * @throws {ChunkDamage} when it is not the chunk that was asked for, whole and unaltered
 */
export function decodeChunk(stored: unknown, expected: Expected): { header: ChunkHeader; payload: Uint8Array } {
  const { header, payload, check } = openChunk(stored, expected);
  check(checksum(payload));
  return { header, payload };
}

/** The checksum of a chunk: of all bytes but the four it is kept in. */
function chunkSum(chunk: Uint8Array, payloadSum: number): number {
  return mix(checksum(chunk.subarray(0, 44)), payloadSum);
}
