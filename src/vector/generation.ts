import type { Row, Steps } from "../driver/driver.ts";
import { checksum, isAscending } from "../kernel/checksum.ts";
import { identifier, JSON_EACH } from "../migration/sql-text.ts";
import { tableNameOf } from "../schema/names.ts";
import {
  CHUNK_FORMAT,
  ChunkDamage,
  decodeChunk,
  encodeChunk,
  type OpenedChunk,
  type Owner,
  openChunk,
  ownerOf,
  STAMP_OFFSET,
} from "./chunk.ts";
import type { ColumnSpace } from "./column-space.ts";
import { countBits } from "./count-bits.ts";
import type { StoredColumn } from "./indexed-column.ts";
import { type CodeKind, kindsOf, savedBytes, spaceBlockRows } from "./row-blocks.ts";
import type { Skip } from "./skip.ts";
import type { BlockSource, ReadCodes, StoredBlock } from "./stored-codes.ts";

/**
 * What is on disk of one vector column, and how it is found.
 *
 * A *unit* is a sequence of chunks under one generation number, never altered once written: a segment's blocks of rows, of each
 * a chunk with the ids and one with each kind of codes, a model, or a manifest. `_head` names the manifest of the current generation; the manifest names the model and the segments, which
 * may be older and shared with the generation before. So a fold writes what has changed and flips one row of `_head`.
 */
export interface Manifest {
  /** The row of the log up to which the segments are the table. */
  readonly base: LogPlace;
  /** The state of the schema in which they were written: while a trigger is missing, nothing else moves. */
  readonly schemaVersion: string;
  readonly model: Unit;
  /** Rows there were when the model was fitted. */
  readonly fittedRows: number;
  /** Rows of a full block. */
  readonly blockRows: number;
  /** The kinds of codes of a block. */
  readonly codes: readonly CodeKind[];
  readonly segments: readonly Segment[];
  readonly skipped: ReadonlyMap<bigint, Skip>;
}

export interface LogPlace {
  readonly seq: bigint;
  readonly nonce: bigint;
}

export interface Unit {
  readonly generation: bigint;
  /** Drawn at random: chunks of a lost future, under the same number, are recognised. */
  readonly stamp: bigint;
  readonly parts: number;
}

/** Rows by ascending id; all blocks but the last are full. */
export interface Segment extends Unit {
  readonly rows: number;
  /** One bit a row, set where a later segment or a deletion has overtaken it; undefined where none is. */
  readonly gone: Uint8Array | undefined;
}

/** The row of `_head` of a column. */
export interface Head {
  readonly generation: bigint;
  /** Undefined while nothing has been written. */
  readonly base: LogPlace | undefined;
  readonly format: number;
}

const SKIPS: readonly Skip[] = ["wrongLength", "notFinite", "notAVector"];

/** The chunks of one column. */
export class Generations {
  readonly column: StoredColumn;
  /** Bytes of the chunks that `write` has written. */
  written = 0;
  readonly #head: string;
  readonly #chunks: string;
  #newest = 0n;
  /** The units that were begun here. */
  readonly #begun = new Set<bigint>();
  #owner: Owner | undefined;

  constructor(column: StoredColumn) {
    const { definition } = column;
    this.column = column;
    this.#head = `main.${identifier(tableNameOf(definition.name, "head"))}`;
    this.#chunks = `main.${identifier(tableNameOf(definition.name, "chunks"))}`;
  }

  get owner(): Owner {
    this.#owner ??= ownerOf(this.column.definition.name, this.column.column);
    return this.#owner;
  }

  *head(): Steps<Head | undefined> {
    const sql = `SELECT generation, seq, nonce, format FROM ${this.#head} WHERE "column" = ?`;
    const [row]: Row[] = yield { type: "rows", sql, params: [this.column.column] };
    if (!row) return undefined;
    const [generation, seq, nonce, format] = row;
    const isWhole = typeof generation === "bigint" && typeof format === "bigint";
    if (!isWhole) return undefined;
    const base = typeof seq === "bigint" && typeof nonce === "bigint" ? { seq, nonce } : undefined;
    return { generation, base, format: Number(format) };
  }

  /** @throws {ChunkDamage} when it is not there, not whole, or not the one the head means */
  *manifest({ generation, base, format }: Head): Steps<Manifest> {
    if (format > CHUNK_FORMAT) throw new ChunkDamage(`the head has format ${format}, of a newer version`, true);
    const first = decodeChunk(yield* this.#read(generation, 0), {
      kind: "manifest",
      owner: this.owner,
      unit: generation,
      part: 0,
    });
    const { stamp, count } = first.header;
    const parts = [first.payload];
    for (let part = 1; part < count; part++) {
      const expected = { kind: "manifest", owner: this.owner, unit: generation, stamp, part, count } as const;
      parts.push(decodeChunk(yield* this.#read(generation, part), expected).payload);
    }
    const manifest = decodeManifest(join(parts));
    if (manifest.base.seq !== base?.seq || manifest.base.nonce !== base.nonce) {
      throw new ChunkDamage("the manifest belongs to another head");
    }
    return manifest;
  }

  /** @throws {ChunkDamage} */
  *model({ generation, stamp, parts }: Unit): Steps<Uint8Array> {
    const payloads: Uint8Array[] = [];
    for (let part = 0; part < parts; part++) {
      const expected = { kind: "model", owner: this.owner, unit: generation, stamp, part, count: parts } as const;
      payloads.push(decodeChunk(yield* this.#read(generation, part), expected).payload);
    }
    return join(payloads);
  }

  /**
   * The rows of one block of a segment, without their codes.
   *
   * @throws {ChunkDamage}
   */
  *block(segment: Segment, block: number, space: ColumnSpace): Steps<StoredBlock> {
    const { generation, stamp } = segment;
    const capacity = spaceBlockRows(space);
    if (block * capacity >= segment.rows) throw new ChunkDamage(`generation ${generation} has too many parts`);
    const count = Math.min(capacity, segment.rows - block * capacity);
    const part = block * (1 + kindsOf(space).length);
    const { payload, check } = yield* this.#rows("ids", { generation, stamp, part, count }, count * 8);
    check(checksum(payload));
    const ids = new BigInt64Array(payload.slice().buffer);
    if (!isAscending(ids)) throw new ChunkDamage(`the ids of generation ${generation} do not ascend`);
    const from = (block * capacity) >> 3;
    const gone = segment.gone?.slice(from, from + ((count + 7) >> 3));
    return { ids, gone, source: { generation, stamp, part, count } };
  }

  /**
   * The chunk with codes of a block, as `RowBlocks.save` gave them, before its checksum is compared.
   *
   * @throws {ChunkDamage}
   */
  *codes({ part, ...source }: BlockSource, kind: CodeKind, space: ColumnSpace): Steps<OpenedChunk> {
    const at = part + 1 + kindsOf(space).indexOf(kind);
    return yield* this.#rows(kind, { ...source, part: at }, savedBytes(space, kind, source.count));
  }

  /** Reads codes of this space, for those who do not know where they lie. */
  reading(space: ColumnSpace): ReadCodes {
    return (source, kind) => this.codes(source, kind, space);
  }

  /** A number under which nothing has been written, taken by the first chunk that is, and a stamp. */
  *newUnit(): Steps<{ unit: bigint; stamp: bigint }> {
    const sql = `SELECT max(coalesce((SELECT max(generation) FROM ${this.#chunks} WHERE "column" = ?), 0), coalesce((SELECT generation FROM ${this.#head} WHERE "column" = ?), 0)) + 1, random()`;
    const [row]: Row[] = yield { type: "rows", sql, params: [this.column.column, this.column.column] };
    const [next, stamp] = row as [bigint, bigint];
    // Chunks of ours may have been taken for left-overs: their number must not come again.
    this.#newest = next > this.#newest ? next : this.#newest + 1n;
    this.#begun.add(this.#newest);
    return { unit: this.#newest, stamp };
  }

  *write(
    chunk: { kind: "manifest" | "model" | "ids" | CodeKind; unit: bigint; stamp: bigint; part: number; count: number },
    payload: Uint8Array,
  ): Steps<void> {
    const sql = `INSERT INTO ${this.#chunks} ("column", generation, part, bytes) VALUES (?, ?, ?, ?)`;
    const bytes = encodeChunk({ ...chunk, owner: this.owner }, payload);
    yield { type: "rows", sql, params: [this.column.column, chunk.unit, BigInt(chunk.part), bytes] };
    this.written += bytes.length;
  }

  /**
   * Whether all chunks of a unit are still there: another process may have taken them for left-overs, and then a third one the number of
   * a unit that is not yet part of a generation.
   */
  *isWhole({ generation, stamp, parts }: Unit): Steps<boolean> {
    const sql = `SELECT count(*) FROM ${this.#chunks} WHERE "column" = ? AND generation = ? AND part BETWEEN 0 AND ?`;
    const [row]: Row[] = yield { type: "rows", sql, params: [this.column.column, generation, BigInt(parts - 1)] };
    if (Number(row![0]) !== parts) return false;
    return !this.#begun.has(generation) || (yield* this.#stampOf(generation)) === stamp;
  }

  *#stampOf(generation: bigint): Steps<bigint | undefined> {
    const sql = `SELECT substr(bytes, ${STAMP_OFFSET + 1}, 8) FROM ${this.#chunks} WHERE "column" = ? AND generation = ? AND part = 0`;
    const [row]: Row[] = yield { type: "rows", sql, params: [this.column.column, generation] };
    const bytes = row?.[0];
    return bytes instanceof Uint8Array && bytes.length === 8 ? new BigInt64Array(bytes.slice().buffer)[0] : undefined;
  }

  /** Makes a generation the current one. */
  *flip(generation: bigint, { seq, nonce }: LogPlace): Steps<void> {
    const sql = `INSERT INTO ${this.#head} ("column", generation, seq, nonce, format) VALUES (?, ?, ?, ?, ${CHUNK_FORMAT}) ON CONFLICT ("column") DO UPDATE SET generation = excluded.generation, seq = excluded.seq, nonce = excluded.nonce, format = excluded.format`;
    yield { type: "rows", sql, params: [this.column.column, generation, seq, nonce] };
  }

  /** Deletes up to `most` chunks that are of none of these units; tells whether they were all there are. */
  *clean(units: readonly bigint[], most: number): Steps<boolean> {
    const kept = `[${units.join(",")}]`;
    const sql = `DELETE FROM ${this.#chunks} WHERE rowid IN (SELECT rowid FROM ${this.#chunks} WHERE "column" = ? AND generation NOT IN (SELECT value FROM ${JSON_EACH}(?)) LIMIT ${most}) RETURNING 1`;
    const deleted: Row[] = yield { type: "rows", sql, params: [this.column.column, kept] };
    return deleted.length < most;
  }

  /** The least row of the log that a generation of any column of the index is based on; undefined while one has none. */
  *trimBase(): Steps<bigint | undefined> {
    const sql = `SELECT count(*), count(seq), min(seq) FROM ${this.#head}`;
    const [row]: Row[] = yield { type: "rows", sql, params: [] };
    const [columns, based, least] = row!;
    return Number(columns) === Number(based) && typeof least === "bigint" ? least : undefined;
  }

  *#rows(kind: "ids" | CodeKind, { generation, stamp, part, count }: BlockSource, bytes: number): Steps<OpenedChunk> {
    const expected = { kind, owner: this.owner, unit: generation, stamp, part, count } as const;
    const chunk = openChunk(yield* this.#read(generation, part), expected);
    if (chunk.payload.length === bytes) return chunk;
    throw new ChunkDamage(`part ${part} of generation ${generation} has rows of another size`);
  }

  *#read(generation: bigint, part: number): Steps<unknown> {
    const sql = `SELECT bytes FROM ${this.#chunks} WHERE "column" = ? AND generation = ? AND part = ?`;
    let row: Row | undefined;
    try {
      [row] = (yield { type: "rows", sql, params: [this.column.column, generation, BigInt(part)] }) as Row[];
    } catch (error) {
      const isCorrupt = String(Object(error).code).startsWith("SQLITE_CORRUPT");
      if (!isCorrupt) throw error;
      throw new ChunkDamage(`part ${part} of generation ${generation} lies on damaged pages of the database`);
    }
    const bytes = row?.[0];
    return bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes;
  }
}

/**
 * The payload of a manifest: u32 length of a JSON text, the text, for each segment with rows that are gone its bits, then the
 * ids of skipped rows (i64 each) and why (u8 each: 0 wrong length, 1 not finite, 2 not a vector).
 */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const { base, schemaVersion, model, fittedRows, blockRows, codes, segments, skipped } = manifest;
  const json = JSON.stringify({
    base: { seq: String(base.seq), nonce: String(base.nonce) },
    schemaVersion,
    model: plain(model),
    fittedRows,
    blockRows,
    codes,
    segments: segments.map((segment) => ({ ...plain(segment), rows: segment.rows, gone: segment.gone?.length ?? 0 })),
    skipped: skipped.size,
  });
  const text = new TextEncoder().encode(json);
  return join([
    new Uint8Array(Uint32Array.of(text.length).buffer),
    text,
    ...segments.flatMap(({ gone }) => (gone ? [gone] : [])),
    new Uint8Array(BigInt64Array.from(skipped.keys()).buffer),
    Uint8Array.from(skipped.values(), (why) => SKIPS.indexOf(why)),
  ]);
}

function decodeManifest(bytes: Uint8Array): Manifest {
  try {
    let at = 0;
    const take = (length: number) => {
      if (!Number.isInteger(length) || length < 0 || at + length > bytes.length) throw new RangeError();
      at += length;
      return bytes.slice(at - length, at);
    };
    const [length] = new Uint32Array(take(4).buffer);
    const json = JSON.parse(new TextDecoder().decode(take(length!)));
    const capacity = whole(json.blockRows);
    const codes = json.codes.map(String);
    const segments = json.segments.map((segment: any): Segment => {
      const unit = unitOf(segment);
      const rows = whole(segment.rows);
      const gone = segment.gone > 0 ? take(segment.gone) : undefined;
      if (gone && gone.length !== (rows + 7) >> 3) throw new RangeError();
      if (unit.parts !== Math.ceil(rows / capacity) * (1 + codes.length)) throw new RangeError();
      return { ...unit, rows, gone };
    });
    const ids = new BigInt64Array(take(whole(json.skipped) * 8).buffer);
    const kinds = take(ids.length);
    return {
      base: { seq: BigInt(json.base.seq), nonce: BigInt(json.base.nonce) },
      schemaVersion: String(json.schemaVersion),
      model: unitOf(json.model),
      fittedRows: whole(json.fittedRows),
      blockRows: capacity,
      codes,
      segments,
      skipped: new Map(Array.from(ids, (id, i) => [id, SKIPS[kinds[i]!]!])),
    };
  } catch {
    throw new ChunkDamage("the manifest cannot be read");
  }
}

function plain({ generation, stamp, parts }: Unit) {
  return { generation: String(generation), stamp: String(stamp), parts };
}

function unitOf({ generation, stamp, parts }: { generation: string; stamp: string; parts: number }): Unit {
  return { generation: BigInt(generation), stamp: BigInt(stamp), parts: whole(parts) };
}

function whole(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw new RangeError();
  return value as number;
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Whether a generation has the kinds of codes that are wanted now. */
export function isSameKinds(space: ColumnSpace, { codes }: Manifest): boolean {
  return String(kindsOf(space)) === String(codes);
}

/** Rows of segments that are not gone. */
export function liveRows(segments: readonly Segment[]): number {
  let rows = 0;
  for (const segment of segments) {
    rows += segment.rows;
    for (const byte of segment.gone ?? []) rows -= countBits(byte);
  }
  return rows;
}
