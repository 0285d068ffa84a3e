import { expect, test } from "vitest";
import { freeBytes, freeBytesSoon } from "../../src/kernel/free-bytes.ts";

test("a large buffer is empty at once, and its bytes are no longer held", () => {
  const held = () => process.memoryUsage().arrayBuffers;
  const before = held();
  for (let i = 0; i < 50; i++) {
    const bytes = new Uint8Array(10_000_000);
    const view = bytes.subarray(48);
    freeBytes(view);
    expect([bytes.length, view.length]).toEqual([0, 0]);
    expect(held() - before).toBeLessThan(10_000_000);
  }
});

test("a small one, which may share a pool with others, and shared memory stay as they are", () => {
  const small = Buffer.from("codes");
  const shared = new Uint8Array(new SharedArrayBuffer(200_000)).fill(7);
  const soon = new Uint8Array(200_000).fill(7);
  freeBytes(small);
  freeBytes(shared);
  freeBytesSoon(soon);
  expect(small.toString()).toBe("codes");
  expect([shared.length, shared[0], soon.length, soon[0]]).toEqual([200_000, 7, 200_000, 7]);
});
