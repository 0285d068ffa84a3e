import { roundUp } from "./module.ts";
import {
  arenaOf,
  Scan,
  type ScanBlock,
  type ScanInput,
  scanBytes,
  scratchWords,
  tableBytes,
  writeTable,
} from "./scan.ts";
import { BOARD, PHASE, type ScanThread, scanThreads } from "./scan-threads.ts";

export interface ScanTeamInput {
  /** How many scans. */
  readonly count: number;
  /** What the n-th of them scans: they differ in their queries and floors alone. */
  inputOf(n: number): ScanInput;
  /** The blocks of all of them. */
  readonly blocks: readonly ScanBlock[];
  readonly threads: readonly ScanThread[];
  /** How long a thread may be waited for before it is taken for lost. */
  readonly patienceMs?: number;
}

/**
 * Scans that are prepared ahead, so that threads find work while the one that asks does something else. With half as many a thread is
 * idle for a seventh of the time, and each time it is woken it may find itself on the core of the one that wakes it.
 */
const LANES_A_THREAD = 4;
const LANES_MORE = 4;
const PATIENCE_MS = 1000;
/** Areas of different threads share no cache line. */
const AREA_BYTES = 64;

/**
 * Several scans of the same blocks, made by threads and by the one that asks for the results, which it takes in order. It never depends
 * on threads: what they leave it does itself. Until it is ended nothing may be written to the memory, but for scans of their own.
 *
 * The scans lie in lanes, which are used again as soon as a result has been read: all in one piece of the arena, with a scratch for
 * each thread, and the table.
 */
export class ScanTeam {
  readonly #input: ScanTeamInput;
  readonly #first: ScanInput;
  /** As kernel/scan-threads.ts draws it. */
  readonly #board: Int32Array;
  readonly #lanes: Lane[];
  readonly #scratch: number;
  readonly #piece: { readonly at: number; readonly end: number };
  readonly #table: ReturnType<typeof writeTable>;
  #begun = 0;
  #isLost = false;

  /** @throws {RangeError} when memory ends */
  constructor(input: ScanTeamInput) {
    const { count, blocks, threads } = input;
    this.#input = input;
    this.#first = input.inputOf(0);
    const arena = arenaOf(this.#first);
    const lanes = Math.min(count, threads.length * LANES_A_THREAD + LANES_MORE);
    const bytes = scanBytes(this.#first);
    const own = roundUp(bytes.own, AREA_BYTES);
    const scratch = roundUp(bytes.scratch, AREA_BYTES);
    const at = arena.take(lanes * own + (threads.length + 1) * scratch + tableBytes(blocks));
    this.#piece = { at, end: arena.end };
    this.#lanes = Array.from({ length: lanes }, (_, i) => ({ own: at + i * own, made: undefined }));
    this.#scratch = at + lanes * own;
    this.#table = writeTable(this.#first, this.#scratch + (threads.length + 1) * scratch, blocks);
    const board = new SharedArrayBuffer((BOARD.PHASES + 2 * lanes) * 4);
    this.#board = new Int32Array(board);
    const { module, memory } = arena.kernel.shared!;
    for (const [i, thread] of threads.entries()) {
      const words = scratchWords(this.#first, this.#scratch + (i + 1) * scratch);
      thread.post({ module, memory, board, lanes, scratch: words });
    }
    this.#prepare(0);
  }

  /** The n-th scan, made: what it has found is to be read before another is taken. Each once, and in order; some may be left out. */
  take(n: number): Scan {
    this.#prepare(n);
    const lane = n % this.#lanes.length;
    const { made } = this.#lanes[lane]!;
    if (made?.n !== n) return this.#alone(this.#input.inputOf(n));
    while (this.#phase(lane) !== PHASE.DONE) {
      if (this.#claim(lane)) this.#make(lane);
      else if (this.#isLost || this.#phase(lane) === PHASE.FAILED) return this.#alone(made.input);
      else this.#help(lane);
    }
    return made.scan;
  }

  /** Ends it, whatever has been taken. */
  end(): void {
    Atomics.store(this.#board, BOARD.IS_OVER, 1);
    this.#ring();
    for (let lane = 0; lane < this.#lanes.length; lane++) this.#free(lane);
    const { at, end } = this.#piece;
    if (!this.#isLost) arenaOf(this.#first).giveBack(at, end);
    // Where a thread may still write nobody else ever does: the piece is lost, until these codes are dropped.
    else for (const thread of this.#input.threads) scanThreads.abandon(thread);
  }

  /** Prepares scans for all lanes that are free: those of scans before the n-th. */
  #prepare(n: number): void {
    const { length } = this.#lanes;
    this.#begun = Math.max(this.#begun, n);
    for (; this.#begun < Math.min(this.#input.count, n + length); this.#begun++) {
      const at = this.#begun % length;
      const lane = this.#lanes[at]!;
      this.#free(at);
      // Where it is not free, a thread may still write to it.
      if (this.#isLost) return;
      const input = this.#begun === 0 ? this.#first : this.#input.inputOf(this.#begun);
      const scan = new Scan(input, { own: lane.own, scratch: this.#scratch });
      scan.aim(this.#table);
      lane.made = { n: this.#begun, input, scan };
      this.#board[BOARD.PHASES + length + at] = scan.job;
      Atomics.store(this.#board, BOARD.PHASES + at, PHASE.READY);
    }
    Atomics.store(this.#board, BOARD.FIRST, n % length);
    this.#ring();
  }

  /** Does something else that is to be done, while a thread makes the scan of a lane; or waits for it. */
  #help(lane: number): void {
    const { length } = this.#lanes;
    for (let i = 1; i < length; i++) {
      const other = (lane + i) % length;
      if (!this.#claim(other)) continue;
      this.#make(other);
      return;
    }
    this.#wait(lane);
  }

  #wait(lane: number): void {
    const { patienceMs = PATIENCE_MS } = this.#input;
    try {
      const how = Atomics.wait(this.#board, BOARD.PHASES + lane, PHASE.TAKEN, patienceMs);
      if (how === "timed-out") this.#isLost = true;
    } catch {
      // There are places in which a thread must not wait.
      this.#isLost = true;
    }
  }

  /** Sees to it that nobody works on a lane, if that can be. */
  #free(lane: number): void {
    if (this.#claim(lane)) Atomics.store(this.#board, BOARD.PHASES + lane, PHASE.EMPTY);
    while (this.#phase(lane) === PHASE.TAKEN && !this.#isLost) this.#wait(lane);
  }

  #make(lane: number): void {
    Atomics.store(this.#board, BOARD.PHASES + lane, PHASE.FAILED);
    run(this.#lanes[lane]!.made!.scan, this.#first);
    Atomics.store(this.#board, BOARD.PHASES + lane, PHASE.DONE);
  }

  /** Makes a scan anew, behind all pieces. */
  #alone(input: ScanInput): Scan {
    const scan = new Scan(input);
    scan.aim(this.#table);
    run(scan, input);
    return scan;
  }

  #phase(lane: number): number {
    return Atomics.load(this.#board, BOARD.PHASES + lane);
  }

  #claim(lane: number): boolean {
    const { READY, TAKEN } = PHASE;
    return Atomics.compareExchange(this.#board, BOARD.PHASES + lane, READY, TAKEN) === READY;
  }

  #ring(): void {
    Atomics.add(this.#board, BOARD.BELL, 1);
    Atomics.notify(this.#board, BOARD.BELL);
  }
}

interface Lane {
  readonly own: number;
  /** The scan that lies in it. */
  made: { readonly n: number; readonly input: ScanInput; readonly scan: Scan } | undefined;
}

function run(scan: Scan, input: ScanInput): void {
  const { kernel } = arenaOf(input);
  do kernel.scan(scan.job);
  while (scan.again());
}
