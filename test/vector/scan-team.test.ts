import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeEach, describe, expect, test, vi } from "vitest";
import { Arena } from "../../src/kernel/arena.ts";
import { CodeBlocks } from "../../src/kernel/code-blocks.ts";
import { wasmCodeKernel } from "../../src/kernel/code-kernel.ts";
import { Scan, type ScanBlock, type ScanInput } from "../../src/kernel/scan.ts";
import { ScanTeam } from "../../src/kernel/scan-team.ts";
import { BOARD, type BoardMessage, PHASE, type ScanThread, scanThreads } from "../../src/kernel/scan-threads.ts";
import { seeded } from "../helpers/databases.ts";

const [HEAD_BYTES, TAIL_BYTES, CAPACITY] = [32, 16, 64];
const ROWS = 1000;
const SCANS = 60;

/** Blocks of codes that other threads can get at, and scans of them with queries of their own. */
function world(seed: number): { blocks: ScanBlock[]; inputOf: (n: number) => ScanInput; arena: Arena } {
  const random = seeded(seed);
  const arena = new Arena(wasmCodeKernel(true));
  const codes = new CodeBlocks({ headBytes: HEAD_BYTES, tailBytes: TAIL_BYTES }, arena, CAPACITY);
  const blocks: ScanBlock[] = [];
  const bytes = (length: number) => Uint8Array.from({ length }, () => random() * 256);
  for (let row = 0; row < ROWS; row++) {
    if (row % CAPACITY === 0) {
      const count = Math.min(CAPACITY, ROWS - row);
      const mask = row % 3 === 0 ? Uint8Array.from({ length: count }, (_, i) => i % 2) : undefined;
      blocks.push({ codes: codes.take(), count, first: row, mask });
    }
    const params = Float32Array.of(-random(), 0.01, 0.05, 0.1, 0.01, 0.05);
    codes.write(blocks.at(-1)!.codes!, row % CAPACITY, { head: bytes(HEAD_BYTES), tail: bytes(TAIL_BYTES), params });
  }
  const weights = (length: number) => Int16Array.from({ length }, () => (random() - 0.5) * 2000);
  const inputs = Array.from({ length: SCANS }, (): ScanInput => {
    const numbers = {
      step: 2 ** -12,
      perError: 1,
      perScale: 0.1,
      constant: 0.5,
      unit: 1,
      tailStep: 2 ** -12,
      perTailError: 1,
      perTailScale: 0.1,
      perTailNorm: 1,
    };
    const query = { type: "codes", weights: weights(HEAD_BYTES), tailWeights: weights(TAIL_BYTES), numbers } as const;
    return { codes: { blocks: codes, query, floor: Number.NEGATIVE_INFINITY }, k: 5, most: 200 };
  });
  return { blocks, inputOf: (n) => inputs[n]!, arena };
}

function alone({ blocks, inputOf }: ReturnType<typeof world>): unknown[] {
  return Array.from({ length: SCANS }, (_, n) => {
    const scan = new Scan(inputOf(n));
    do scan.blocks(blocks);
    while (scan.again());
    return [scan.found(), scan.bytesRead];
  });
}

/** A thread that behaves as it likes; when it is given up, it is noted. */
function pretender(post: (message: BoardMessage) => void): { thread: ScanThread; isEnded: () => boolean } {
  let isEnded = false;
  const end = () => {
    isEnded = true;
  };
  return { thread: { post, end } as unknown as ScanThread, isEnded: () => isEnded };
}

/** Takes the n-th lane of a board, as a thread does that begins a scan. */
function takeLane(board: Int32Array, lane: number): void {
  expect(Atomics.compareExchange(board, BOARD.PHASES + lane, PHASE.READY, PHASE.TAKEN)).toBe(PHASE.READY);
}

beforeEach(() => {
  scanThreads.dismiss();
});
afterAll(() => {
  scanThreads.dismiss();
});

describe("a team", () => {
  test.each([1, 2, 3])("finds what each scan finds alone, with %i threads", async (threads) => {
    const made = world(threads);
    const expected = alone(made);
    expect(new Set(expected.map((each) => JSON.stringify(each))).size).toBeGreaterThan(SCANS / 2);
    for (let round = 0; round < 5; round++) {
      const team = new ScanTeam({ ...made, count: SCANS, threads: scanThreads.get(threads) });
      const found = Array.from({ length: SCANS }, (_, n) => {
        const scan = team.take(n);
        return [scan.found(), scan.bytesRead];
      });
      team.end();
      expect(found).toEqual(expected);
      // Those that have just been started find their work from the next round on.
      await sleep(20);
    }
    expect(scanThreads.size).toBe(threads);
  });

  test("has threads scan while the one that asks does something else", async () => {
    const made = world(9);
    const expected = alone(made);
    const [real] = scanThreads.get(1);
    let message: BoardMessage | undefined;
    const { thread } = pretender((posted) => {
      message = posted;
      real!.post(posted);
    });
    const team = new ScanTeam({ ...made, count: SCANS, threads: [thread] });
    const { board, lanes } = message!;
    const phases = () => [...new Int32Array(board, BOARD.PHASES * 4, lanes)];
    await vi.waitFor(() => expect(phases()).toEqual(Array(lanes).fill(PHASE.DONE)));
    const found = Array.from({ length: lanes }, (_, n) => team.take(n).found());
    team.end();
    expect(found.map((each) => [each])).toEqual(expected.slice(0, lanes).map((each) => [(each as unknown[])[0]]));
  });

  test("gives the room of its scans back, and may be ended before all are taken, or some left out", () => {
    const made = world(4);
    const expected = alone(made);
    const before = made.arena.end;
    for (const [first, second] of [
      [0, 1],
      [0, SCANS - 1],
      [7, 30],
    ] as const) {
      const team = new ScanTeam({ ...made, count: SCANS, threads: scanThreads.get(1) });
      expect(made.arena.end).toBeGreaterThan(before);
      for (const n of [first, second]) {
        const scan = team.take(n);
        expect([scan.found(), scan.bytesRead]).toEqual(expected[n]);
      }
      team.end();
      expect(made.arena.end).toBe(before);
    }
  });

  test("does all scans itself when a thread never begins", () => {
    const made = world(5);
    const { thread, isEnded } = pretender(() => {});
    const team = new ScanTeam({ ...made, count: SCANS, threads: [thread] });
    const found = Array.from({ length: SCANS }, (_, n) => team.take(n)).map((scan) => scan.job > 0);
    expect(found).toEqual(Array(SCANS).fill(true));
    team.end();
    expect(isEnded()).toBe(false);
  });

  test("a scan that a thread has begun and never ends is made anew, in a place where the thread cannot spoil it", () => {
    const made = world(6);
    const expected = alone(made);
    let board: Int32Array | undefined;
    const { thread, isEnded } = pretender((message) => {
      board = new Int32Array(message.board);
    });
    const team = new ScanTeam({ ...made, count: SCANS, threads: [thread], patienceMs: 20 });
    const end = made.arena.end;
    const found = Array.from({ length: SCANS }, (_, n) => {
      if (n === 0) takeLane(board!, 1);
      const scan = team.take(n);
      return [scan.found(), scan.bytesRead];
    });
    expect(found).toEqual(expected);
    team.end();
    expect(isEnded()).toBe(true);
    expect(made.arena.end).toBe(end);
    expect(alone(made)).toEqual(expected);
  });

  test("a scan that fails in a thread is made anew", () => {
    const made = world(7);
    const expected = alone(made);
    let board: Int32Array | undefined;
    const { thread, isEnded } = pretender((message) => {
      board = new Int32Array(message.board);
    });
    const team = new ScanTeam({ ...made, count: SCANS, threads: [thread] });
    const found = Array.from({ length: SCANS }, (_, n) => {
      if (n % 3 === 0) Atomics.compareExchange(board!, BOARD.PHASES + (n % 4), PHASE.READY, PHASE.FAILED);
      const scan = team.take(n);
      return [scan.found(), scan.bytesRead];
    });
    team.end();
    expect(found).toEqual(expected);
    expect(isEnded()).toBe(false);
  });
});

describe("threads", () => {
  test("are started once, end by `dismiss`, and others take the place of one that has died", async () => {
    const [first] = scanThreads.get(1);
    expect(scanThreads.get(1)).toEqual([first]);
    await first!.worker.terminate();
    await vi.waitFor(() => expect(scanThreads.size).toBe(0));
    const made = world(8);
    const team = new ScanTeam({ ...made, count: SCANS, threads: [first!] });
    const found = Array.from({ length: SCANS }, (_, n) => {
      const scan = team.take(n);
      return [scan.found(), scan.bytesRead];
    });
    team.end();
    expect(found).toEqual(alone(made));
    expect(scanThreads.get(1)).not.toEqual([first]);
    scanThreads.dismiss();
    expect(scanThreads.size).toBe(0);
  });
});
