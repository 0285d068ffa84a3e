import { expect, test } from "vitest";
import { ChunkDamage, decodeChunk, encodeChunk, ownerOf } from "../../src/vector/chunk.ts";

const owner = ownerOf("ix", "v");
const header = { kind: "codes", owner, unit: 7n, stamp: -5n, part: 2, count: 3 } as const;
const payload = Uint8Array.from({ length: 301 }, (_, i) => i * 7);

function damage(work: () => unknown): ChunkDamage {
  try {
    work();
  } catch (error) {
    if (error instanceof ChunkDamage) return error;
    throw error;
  }
  throw new Error("nothing was noticed");
}

test("what was written is read", () => {
  expect(decodeChunk(encodeChunk(header, payload), header)).toEqual({ header, payload });
  expect(decodeChunk(encodeChunk(header, new Uint8Array()), header).payload).toEqual(new Uint8Array());
});

test("a flip of any bit of header and payload is noticed, and never taken for a newer format", () => {
  const whole = encodeChunk(header, payload);
  for (let at = 0; at < whole.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const flipped = whole.slice();
      flipped[at]! ^= 1 << bit;
      expect(damage(() => decodeChunk(flipped, header)).isNewer).toBe(false);
    }
  }
});

test("so are bytes cut off, added, moved and of another type", () => {
  const whole = encodeChunk(header, payload);
  for (const length of [0, 1, 47, 48, whole.length - 1]) {
    expect(damage(() => decodeChunk(whole.subarray(0, length), header)).isNewer).toBe(false);
  }
  const swapped = whole.slice();
  swapped.set(whole.subarray(100, 116), 116);
  swapped.set(whole.subarray(116, 132), 100);
  for (const stored of [Uint8Array.of(...whole, 0), swapped, undefined, null, "text", 7n, new Uint8Array(60)]) {
    expect(damage(() => decodeChunk(stored, header)).isNewer).toBe(false);
  }
});

test("sound bytes in a place that is not theirs are refused", () => {
  const whole = encodeChunk(header, payload);
  const others = [
    { ...header, kind: "model" },
    { ...header, owner: ownerOf("ix", "w") },
    { ...header, owner: ownerOf("iy", "v") },
    { ...header, unit: 8n },
    { ...header, stamp: 5n },
    { ...header, part: 1 },
    { ...header, count: 4 },
  ] as const;
  for (const expected of others) {
    expect(damage(() => decodeChunk(whole, expected)).message).toBe(
      `part ${expected.part} of generation ${expected.unit} belongs somewhere else`,
    );
  }
});

test("a later format is told from damage", () => {
  const newer = encodeChunk({ ...header, format: 2 }, payload);
  expect(damage(() => decodeChunk(newer, header))).toMatchObject({
    isNewer: true,
    message: "part 2 of generation 7 has format 2, of a newer version of the library",
  });
});

test("names cannot be mistaken for each other", () => {
  expect(ownerOf("a", "bc")).not.toEqual(ownerOf("ab", "c"));
  expect(ownerOf("a", "b")).not.toEqual(ownerOf("b", "a"));
});
