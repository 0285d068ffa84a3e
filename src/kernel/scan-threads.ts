import { processWide } from "../driver/process-wide.ts";

/**
 * Threads of the process that scan for one that waits. Each is started when there is work for it, never keeps the process alive,
 * ends by itself when it has been idle for a while, and is a help that may fail: whoever asks does what a thread leaves undone.
 *
 * Work is handed out on a board, memory that all threads share: numbers of 32 bits,
 *
 * | place | what |
 * | --- | --- |
 * | `BELL` | counts up when there is something new to look at |
 * | `IS_OVER` | 1 once nothing more will come |
 * | `FIRST` | the lane that is wanted first |
 * | `PHASES` | one a lane: `EMPTY`, `READY`, `TAKEN`, `DONE` or `FAILED`; who changes it from `READY` to `TAKEN` does the scan |
 * | behind them | one a lane: where its job lies |
 */
export const BOARD = { BELL: 0, IS_OVER: 1, FIRST: 2, PHASES: 3 } as const;
export const PHASE = { EMPTY: 0, READY: 1, TAKEN: 2, DONE: 3, FAILED: 4 } as const;

/** What a thread is handed. */
export interface BoardMessage {
  readonly module: object;
  readonly memory: object;
  readonly board: SharedArrayBuffer;
  readonly lanes: number;
  /** Where in a job its scratch is named, and the scratch of this thread; see kernel/scan.ts. */
  readonly scratch: readonly (readonly [word: number, at: number])[];
}

/** A thread that has had nothing to do for so long ends. What it has seen of memory is freed with it. */
const IDLE_MS = 10_000;
/** A thread looks up so often, whether it has been forgotten. */
const LOOK_UP_MS = 1000;

/**
 * What a thread runs: kept as text, so that no bundler has to find a file. `workerData` is one number, which is 0 once the thread
 * takes no more work.
 */
const CODE = `"use strict";
const { parentPort, workerData } = require("node:worker_threads");
const open = new Int32Array(workerData);
let timer;
const rest = () => {
  timer = setTimeout(() => {
    Atomics.store(open, 0, 0);
    parentPort.close();
  }, ${IDLE_MS});
};
rest();
parentPort.on("message", ({ module, memory, board, lanes, scratch }) => {
  clearTimeout(timer);
  const words = new Int32Array(board);
  const jobs = ${BOARD.PHASES} + lanes;
  const claimed = () => {
    const first = Atomics.load(words, ${BOARD.FIRST});
    for (let i = 0; i < lanes; i++) {
      const lane = (first + i) % lanes;
      if (Atomics.compareExchange(words, ${BOARD.PHASES} + lane, ${PHASE.READY}, ${PHASE.TAKEN}) === ${PHASE.READY}) return lane;
    }
  };
  let kernel, numbers;
  while (Atomics.load(words, ${BOARD.IS_OVER}) === 0) {
    const bell = Atomics.load(words, ${BOARD.BELL});
    const lane = claimed();
    if (lane === undefined) {
      if (Atomics.wait(words, ${BOARD.BELL}, bell, ${LOOK_UP_MS}) === "timed-out") break;
      continue;
    }
    let phase = ${PHASE.FAILED};
    try {
      kernel ??= new WebAssembly.Instance(module, { env: { memory, abort() {} } }).exports;
      numbers ??= new Int32Array(memory.buffer);
      const job = words[jobs + lane];
      for (const [word, at] of scratch) numbers[job / 4 + word] = at;
      do kernel.scan(job);
      while (kernel.again(job));
      phase = ${PHASE.DONE};
    } catch {}
    Atomics.store(words, ${BOARD.PHASES} + lane, phase);
    Atomics.notify(words, ${BOARD.PHASES} + lane);
  }
  rest();
});
`;

/** The part of Node.js that is used. It is asked for at run time: the library is loaded where there is no such thing, too. */
interface WorkerThreads {
  readonly isMainThread: boolean;
  readonly Worker: new (code: string, options: object) => Worker;
}

interface Worker {
  postMessage(message: unknown): void;
  on(event: "error" | "exit", listener: () => void): this;
  unref(): void;
  terminate(): Promise<unknown>;
}

/** Threads that failed to begin, or ended in an error, before no more are tried. */
const FAILURES_MAX = 3;
/** By default no more than so many scan, the one that asks included. */
const THREADS_DEFAULT_MAX = 4;

class ScanThread {
  readonly worker: Worker;
  readonly #open: Int32Array;
  /** Memories it has been handed. They cannot be freed as long as it lives. */
  readonly #seen = new Set<WeakRef<object>>();

  constructor({ Worker }: WorkerThreads) {
    const open = new SharedArrayBuffer(4);
    this.#open = new Int32Array(open).fill(1);
    // No options of the process, such as loaders of its own, and nothing of its environment: this code needs none of them.
    this.worker = new Worker(CODE, { eval: true, workerData: open, env: {}, execArgv: [], trackUnmanagedFds: false });
    this.worker.unref();
  }

  get isOpen(): boolean {
    return Atomics.load(this.#open, 0) === 1;
  }

  /** Whether it keeps memory that nobody else does. */
  get isHoarding(): boolean {
    return [...this.#seen].some((memory) => memory.deref() === undefined);
  }

  post(message: BoardMessage): void {
    if (![...this.#seen].some((memory) => memory.deref() === message.memory))
      this.#seen.add(new WeakRef(message.memory));
    this.worker.postMessage(message);
  }

  end(): void {
    Atomics.store(this.#open, 0, 0);
    void this.worker.terminate();
  }
}

export type { ScanThread };

class ScanThreads {
  readonly #threads = new Set<ScanThread>();
  #failures = 0;

  /**
   * Threads for some work, at most so many; none where there can be none. Those that are started first take part as soon as they
   * are ready.
   */
  get(most: number): ScanThread[] {
    for (const thread of this.#threads) {
      if (thread.isOpen && !thread.isHoarding) continue;
      this.#threads.delete(thread);
      thread.end();
    }
    const node = this.#threads.size < most && this.#failures < FAILURES_MAX ? workerThreads() : undefined;
    while (node && this.#threads.size < most) {
      try {
        this.#start(node);
      } catch {
        // Not permitted, or no more threads to be had.
        this.#failures++;
        break;
      }
    }
    return [...this.#threads].slice(0, most);
  }

  /** How many there are. */
  get size(): number {
    return this.#threads.size;
  }

  /** Gives up a thread that does not do its work. */
  abandon(thread: ScanThread): void {
    this.#failures++;
    this.#threads.delete(thread);
    thread.end();
  }

  /** Ends all of them, and with them what they have seen of memory; there will be others when there is work again. */
  dismiss(): void {
    for (const thread of this.#threads) thread.end();
    this.#threads.clear();
  }

  #start(node: WorkerThreads): void {
    const thread = new ScanThread(node);
    this.#threads.add(thread);
    thread.worker.on("error", () => {
      this.#failures++;
    });
    thread.worker.on("exit", () => this.#threads.delete(thread));
  }
}

/** Those of the process; each thread of the app's has its own. */
export const scanThreads = processWide("scan-threads-1", () => new ScanThreads());

/**
 * How many threads scan, unless the app says otherwise: as many as there are cores, up to a few. Only the one that asks where that is
 * itself a thread of the app's, which then shares out its cores as it likes.
 */
export function threadsByDefault(): number {
  const node = workerThreads();
  if (!node?.isMainThread) return 1;
  const cores = builtin<{ availableParallelism(): number }>("node:os")?.availableParallelism() ?? 1;
  return Math.min(THREADS_DEFAULT_MAX, cores);
}

function workerThreads(): WorkerThreads | undefined {
  return builtin<WorkerThreads>("node:worker_threads");
}

function builtin<T>(name: string): T | undefined {
  return (process as { getBuiltinModule?: (name: string) => T }).getBuiltinModule?.(name);
}
