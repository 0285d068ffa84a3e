// What FORMAT.md says, read by nothing but what it says: the fixture has to be so, and what the library writes today as well. Where
// one of these tests fails, the format has changed: it needs another number, a fixture of its own, and a reader of the old one.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { beforeAll, describe, expect, test } from "vitest";
import { encodeVector, type VectorShape } from "../../src/codec/codec.ts";
import { codeKernel } from "../../src/kernel/code-kernel.ts";
import type { Metric } from "../../src/metric/metric.ts";
import { CHUNK_FORMAT } from "../../src/vector/chunk.ts";
import { columnSpace } from "../../src/vector/column-space.ts";
import { encodeManifest } from "../../src/vector/generation.ts";
import { RowBlocks } from "../../src/vector/row-blocks.ts";
import { docOf, noteOf, photoOf } from "./fixture.ts";
import { writeFixture } from "./write-fixture.ts";

const KINDS = [undefined, "manifest", "model", "ids", "codes", "bits"] as const;

/** `mix`, and four hashes in turn, as the section on the checksum tells. */
function mix(h: number, w: number): number {
  const x = Number((BigInt((h ^ w) >>> 0) * 0x9e3779b1n) % 2n ** 32n);
  return (x ^ (x >>> 15)) >>> 0;
}

function checksum(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const hashes = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];
  const words = Math.floor(bytes.length / 4);
  for (let i = 0; i < words; i++) {
    const turn = i < words - (words % 4) ? i % 4 : 0;
    hashes[turn] = mix(hashes[turn]!, view.getUint32(i * 4, true));
  }
  for (let i = words * 4; i < bytes.length; i++) hashes[1] = mix(hashes[1]!, bytes[i]!);
  return mix(hashes.slice(1).reduce(mix, hashes[0]!), bytes.length);
}

interface Chunk {
  readonly kind: (typeof KINDS)[number];
  readonly unit: bigint;
  readonly stamp: bigint;
  readonly part: number;
  readonly count: number;
  readonly payload: Uint8Array;
}

/** A chunk, each field of whose header is what it has to be. */
function read(index: string, column: string, { generation, part, bytes }: any): Chunk {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const payload = Uint8Array.from(bytes.subarray(48));
  const owner = new TextEncoder().encode(`${index}\0${column}`);
  expect(new TextDecoder().decode(bytes.subarray(0, 4))).toBe("DVC1");
  expect(view.getUint16(4, true)).toBe(1);
  expect([8, 12].map((at) => view.getUint32(at, true))).toEqual([checksum(owner), checksum(owner.slice().reverse())]);
  expect([view.getBigInt64(16, true), BigInt(view.getUint32(32, true))]).toEqual([generation, part]);
  expect(view.getUint32(40, true)).toBe(payload.length);
  expect(view.getUint32(44, true)).toBe(mix(checksum(Uint8Array.from(bytes.subarray(0, 44))), checksum(payload)));
  expect(payload.length).toBeLessThanOrEqual(1_000_000);
  return {
    kind: KINDS[view.getUint16(6, true)],
    unit: generation,
    stamp: view.getBigInt64(24, true),
    part: Number(part),
    count: view.getUint32(36, true),
    payload,
  };
}

/** The JSON text of a manifest, and what follows it. */
function manifestIn(payload: Uint8Array) {
  const length = new DataView(payload.buffer).getUint32(0, true);
  const json = JSON.parse(new TextDecoder().decode(payload.subarray(4, 4 + length)));
  return { json, rest: payload.slice(4 + length) };
}

/** The current generation of a column: its manifest, its model and its segments, and nothing else is there. */
function generationOf(client: Database.Database, index: string, column: string) {
  const rows = (sql: string) => client.prepare(sql).safeIntegers(true).all(column) as any[];
  const [head] = rows(`SELECT * FROM _dv_${index}_head WHERE "column" = ?`);
  const chunks = rows(`SELECT * FROM _dv_${index}_chunks WHERE "column" = ? ORDER BY generation, part`).map((row) =>
    read(index, column, row),
  );
  const of = (unit: unknown) => chunks.filter((chunk) => chunk.unit === BigInt(unit as string));
  const [whole] = of(head.generation);
  const { json, rest } = manifestIn(whole!.payload);
  expect([head.format, json.base]).toEqual([1n, { seq: String(head.seq), nonce: String(head.nonce) }]);
  const units = [json.model, ...json.segments];
  for (const { generation, stamp, parts } of units) {
    expect(of(generation).map((chunk) => [chunk.part, chunk.stamp])).toEqual(
      Array.from({ length: parts }, (_, part) => [part, BigInt(stamp)]),
    );
  }
  const kinds = ["ids", ...json.codes];
  for (const { generation, rows } of json.segments) {
    of(generation).forEach(({ kind, part, count }) => {
      const block = Math.floor(part / kinds.length);
      expect([kind, count]).toEqual([
        kinds[part % kinds.length],
        Math.min(json.blockRows, rows - block * json.blockRows),
      ]);
    });
  }
  expect(chunks.length).toBe(1 + units.reduce((sum, { parts }) => sum + parts, 0));
  return { json, rest, model: of(json.model.generation), segments: json.segments.map((s: any) => of(s.generation)) };
}

type Generation = ReturnType<typeof generationOf>;

interface Column {
  readonly index: string;
  readonly column: string;
  readonly shape: VectorShape;
  readonly metric: Metric;
  readonly isExact: boolean;
  /** Bytes of a row of codes for exact answers, and of a group of 32 rows of 1-bit codes. */
  readonly headBytes: number;
  readonly groupBytes: number;
  /** Bytes of the codes of a tail. Default 0. */
  readonly tailBytes?: number;
  /** Default 1. */
  readonly segments?: number;
  /** What was stored when a segment was written. */
  vectorOf(id: number, segment: number): readonly number[];
}

/** Rows 100 to 139 were updated between the first generation and the last. */
const docAt = (id: number) => docOf(id, id >= 100 && id < 140 ? 1 : 0);
const COLUMNS: Column[] = [
  {
    index: "docs_search",
    column: "exact",
    shape: { dimensions: 24, element: "float32" },
    metric: "cosine",
    isExact: true,
    headBytes: 32,
    groupBytes: 32 * 4,
    vectorOf: (id) => Array.from(docAt(id).exact!),
  },
  {
    index: "docs_search",
    column: "likely",
    shape: { dimensions: 32, element: "float16" },
    metric: "l2",
    isExact: false,
    headBytes: 0,
    groupBytes: 32 * 4,
    vectorOf: (id) => Array.from(docAt(id).likely),
  },
  {
    index: "notes_search",
    column: "bits",
    shape: { dimensions: 16, element: "bit" },
    metric: "hamming",
    isExact: true,
    headBytes: 16,
    groupBytes: 0,
    // Ids are given out in the order of the rows, from 1.
    vectorOf: (id) => noteOf(id - 1).bits,
  },
  {
    index: "notes_search",
    column: "bytes",
    shape: { dimensions: 8, element: "int8" },
    metric: "dot",
    isExact: true,
    headBytes: 16,
    groupBytes: 32 * 4,
    vectorOf: (id) => noteOf(id - 1).bytes,
  },
  {
    index: "photos_search",
    column: "vector",
    shape: { dimensions: 64, element: "float32" },
    metric: "l2",
    isExact: true,
    headBytes: 16,
    tailBytes: 48,
    segments: 2,
    groupBytes: 32 * 8,
    vectorOf: (id, segment) => photoOf(id, segment).vector,
  },
];

const fixture = new Database(readFileSync(fileURLToPath(new URL("format-1.db", import.meta.url))));
const today = new Database(":memory:");
beforeAll(() => writeFixture(today));

test("the format that FORMAT.md tells of is the one that is written", () => {
  expect(CHUNK_FORMAT).toBe(1);
  const text = readFileSync(fileURLToPath(new URL("../../FORMAT.md", import.meta.url)), "utf8");
  expect(text).toContain("Format 1, frozen");
});

test("the tables have the columns they had", () => {
  const tablesOf = (client: Database.Database) =>
    client
      .prepare(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name GLOB '_dv_*' AND name NOT GLOB '*_fts*'",
      )
      .all();
  expect(tablesOf(today)).toEqual(tablesOf(fixture));
});

describe.each(COLUMNS)("$index, column $column", (column) => {
  const { index, shape, metric, isExact, headBytes, groupBytes, tailBytes = 0 } = column;
  const opened = () => [fixture, today].map((client) => generationOf(client, index, column.column));

  test("a generation of today consists of the same chunks as the fixture's, of the same lengths", () => {
    const outline = ({ json, rest, model, segments }: Generation) => {
      const sizes = (chunks: Chunk[]) =>
        chunks.map(({ kind, part, count, payload }) => [kind, part, count, payload.length]);
      return {
        fields: Object.keys(json),
        codes: json.codes,
        rows: json.blockRows,
        rest,
        model: sizes(model),
        segments: segments.map(sizes),
      };
    };
    const [old, fresh] = opened() as [Generation, Generation];
    expect(outline(fresh)).toEqual(outline(old));
    expect(fresh.segments.length).toBe(column.segments ?? 1);
    expect(Object.keys(fresh.json.segments[0])).toEqual(Object.keys(old.json.segments[0]));
    expect(fresh.segments[0][0].payload).toEqual(old.segments[0][0].payload);
  });

  test("rows are coded by the model that is stored, in runs one behind the other", () => {
    for (const { model, segments } of opened()) {
      const bytes = Uint8Array.from(model.flatMap(({ payload }) => [...payload]));
      const space = columnSpace({ shape, metric, isExact }, bytes)!;
      for (const [segment, [ids, ...codes]] of (segments as [Chunk, ...Chunk[]][]).entries()) {
        const rows = [...new BigInt64Array(ids.payload.slice().buffer)].map(Number);
        expect(rows).toEqual([...rows].sort((a, b) => a - b));
        const blocks = new RowBlocks(space, codeKernel());
        const slots = blocks.takeAll();
        const vectors = rows.map((id) => encodeVector(column.vectorOf(id, segment), shape, "row"));
        let row = 0;
        for (const code of space.codesOf(vectors)) blocks.write(slots, row, code!, vectors[row++]!);
        const lengths = {
          codes:
            tailBytes === 0
              ? Math.ceil(rows.length / 4) * 4 * (headBytes + 12)
              : Math.ceil(rows.length / 4) * 4 * (headBytes + 16) + rows.length * (8 + tailBytes),
          bits: Math.ceil(rows.length / 32) * groupBytes + rows.length * 12,
        };
        for (const { kind, payload } of codes) {
          expect(payload.length).toBe(lengths[kind as "codes" | "bits"]);
          expect(payload).toEqual(blocks.save(kind as "codes" | "bits", slots[kind as "codes" | "bits"]!, rows.length));
        }
      }
    }
  });

  test("a model is what is told of it", () => {
    for (const { model } of opened()) {
      expect(model.length).toBe(1);
      const { payload } = model[0]!;
      if (shape.element === "bit") {
        expect(payload.length).toBe(0);
        continue;
      }
      const view = new DataView(payload.buffer);
      const at = payload.length - 16 - shape.dimensions * 4;
      const length = view.getUint32(at, true);
      expect(at).toBe(Math.ceil(length / 4) * 4);
      expect(view.getFloat32(at + 8, true)).toBeGreaterThanOrEqual(1);
      expect(view.getUint32(at + 12, true)).toBe(0);
      if (shape.element === "int8" || !isExact) expect(length).toBe(0);
      else {
        const [, dimensions, reflectors, nothing] = [0, 4, 8, 12].map((field) => view.getUint32(field, true));
        expect([dimensions, nothing]).toEqual([shape.dimensions, 0]);
        expect(length).toBe(16 + (1 + reflectors!) * shape.dimensions * 4);
      }
    }
  });
});

test("a manifest with rows that are gone and rows that are skipped", () => {
  const unit = { generation: 7n, stamp: -3n, parts: 1 };
  const bytes = encodeManifest({
    base: { seq: 2n, nonce: -9n },
    schemaVersion: "5",
    model: unit,
    fittedRows: 11,
    blockRows: 32,
    codes: ["codes", "bits"],
    segments: [
      { ...unit, parts: 3, rows: 10, gone: Uint8Array.of(0b101, 2) },
      { ...unit, parts: 3, rows: 1, gone: undefined },
    ],
    skipped: new Map([
      [-1n, "notAVector"],
      [2n ** 40n, "wrongLength"],
      [3n, "notFinite"],
    ]),
  });
  const { json, rest } = manifestIn(bytes);
  expect(json).toEqual({
    base: { seq: "2", nonce: "-9" },
    schemaVersion: "5",
    model: { generation: "7", stamp: "-3", parts: 1 },
    fittedRows: 11,
    blockRows: 32,
    codes: ["codes", "bits"],
    segments: [
      { generation: "7", stamp: "-3", parts: 3, rows: 10, gone: 2 },
      { generation: "7", stamp: "-3", parts: 3, rows: 1, gone: 0 },
    ],
    skipped: 3,
  });
  const ids = new Uint8Array(BigInt64Array.of(-1n, 2n ** 40n, 3n).buffer);
  expect([...rest]).toEqual([0b101, 2, ...ids, 2, 0, 1]);
});
