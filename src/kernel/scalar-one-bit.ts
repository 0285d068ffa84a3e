import type { ScalarMemory } from "./scalar-memory.ts";

/** The offset of a row that is gone: below that of any other. */
export const GONE = -(2 - 2 ** -23) * 2 ** 127;

const f = Math.fround;

/** Coding and scans of 1-bit codes in plain TypeScript, equal to the last bit. */
export function scalarOneBit(memory: ScalarMemory) {
  const float = (at: number) => memory.view.getFloat32(at, true);
  const integer = (at: number) => memory.view.getInt32(at, true);
  const floats = (at: number, length: number) => new Float32Array(memory.buffer, at, length);

  function codeOneBit(
    rows: number,
    count: number,
    width: number,
    window: number,
    centreAt: number,
    factors: number,
    rounds: number,
    isUnit: number,
    isL2: number,
    block: number,
    capacity: number,
    first: number,
  ): number {
    const centre = floats(centreAt, width);
    const root = f(1 / Math.sqrt(width));
    const spread = 1 / Math.sqrt(width - 1);
    let bad = 0;
    for (let n = 0; n < count; n++) {
      const x = floats(rows + n * width * 4, width);
      const norm = isUnit ? Math.sqrt(inFour(width, (i) => x[i]! * x[i]!)) : 1;
      const unit = norm === 0 ? 0 : 1 / norm;
      const y = Float64Array.from(x, (value, i) => value * unit - centre[i]!);
      const squares = inFour(width, (i) => y[i]! * y[i]!);
      const along = inFour(width, (i) => y[i]! * centre[i]!);
      const row = first + n;
      const params = block + (width * capacity) / 8 + row * 4;
      const store = (offset: number, scale: number, error: number) =>
        [offset, scale, error].forEach((value, i) => {
          memory.view.setFloat32(params + i * capacity * 4, value, true);
        });
      if (!(squares < Number.POSITIVE_INFINITY)) {
        bad |= 1 << n;
        store(GONE, 0, 0);
        continue;
      }
      const length = Math.sqrt(squares);
      const inverse = length === 0 ? 0 : f(1 / length);
      for (let i = 0; i < width; i++) x[i] = f(y[i]!) * inverse;
      rotateOneBit(rows + n * width * 4, width, window, factors, rounds);
      const sums = [0, 0, 0, 0];
      const codes = new Uint8Array(memory.buffer, block + (row >> 5) * width * 4, width * 4);
      for (let i = 0; i < width; i++) sums[i % 4] = f(sums[i % 4]! + Math.abs(x[i]!));
      for (let i = 0; i < width; i += 4) {
        let bits = 0;
        for (let lane = 0; lane < 4; lane++) if (!isNegative(x[i + lane]!)) bits |= 1 << lane;
        const at = i * 4 + (row & 15);
        codes[at] = (row & 16) === 0 ? (codes[at]! & 0xf0) | bits : (codes[at]! & 0x0f) | (bits << 4);
      }
      const cosine = f(f(f(sums[0]! + sums[1]!) + f(sums[2]! + sums[3]!)) * root);
      const offset = f(isL2 ? squares * -0.5 : along);
      const scale = f(length === 0 ? 0 : length / (cosine * Math.sqrt(width)));
      const error = f(length === 0 ? 0 : ((length * Math.sqrt(Math.max(0, 1 - cosine * cosine))) / cosine) * spread);
      const isHeld = Math.abs(offset) < -GONE && Number.isFinite(scale) && Number.isFinite(error);
      if (isHeld) store(offset, scale, error);
      else store(0, 0, Number.POSITIVE_INFINITY);
    }
    return bad;
  }

  function rotateOneBit(at: number, width: number, window: number, factorsAt: number, rounds: number): void {
    const x = floats(at, width);
    for (let round = 0; round < rounds; round++) {
      const factors = floats(factorsAt + round * width * 4, width);
      for (let i = 0; i < width; i++) x[i] = x[i]! * factors[i]!;
      hadamard(round % 2 === 0 ? x.subarray(0, window) : x.subarray(width - window));
      if (window === width) continue;
      for (let i = 0; i < width / 2; i++) butterfly(x, i, i + width / 2);
    }
  }

  function offer(state: number, lower: number): void {
    const k = integer(state + 4);
    const heap = floats(integer(state + 20), k);
    let size = integer(state + 8);
    let i: number;
    if (size < k) {
      i = size++;
      memory.view.setInt32(state + 8, size, true);
      for (; i > 0 && heap[(i - 1) >> 1]! > lower; i = (i - 1) >> 1) heap[i] = heap[(i - 1) >> 1]!;
    } else {
      if (!(lower > heap[0]!)) return;
      i = 0;
      for (;;) {
        let child = 2 * i + 1;
        if (child >= size) break;
        if (child + 1 < size && heap[child + 1]! < heap[child]!) child++;
        if (heap[child]! >= lower) break;
        heap[i] = heap[child]!;
        i = child;
      }
    }
    heap[i] = lower;
    if (size === k && heap[0]! > float(state)) memory.view.setFloat32(state, heap[0]!, true);
  }

  function settleOneBit(state: number): number {
    const found = integer(state + 12);
    const list = integer(state + 24);
    const threshold = float(state);
    let left = 0;
    for (let i = 0; i < found; i++) {
      if (float(list + i * 8) < threshold) continue;
      new Uint8Array(memory.buffer).copyWithin(list + left * 8, list + i * 8, list + i * 8 + 8);
      left++;
    }
    memory.view.setInt32(state + 12, left, true);
    return left;
  }

  function scanOneBit(
    state: number,
    query: number,
    table: number,
    block: number,
    width: number,
    capacity: number,
    count: number,
    first: number,
    mask: number,
  ): void {
    const { view } = memory;
    const [step, base, perError, perScale, perOffset, norm, whole, less, caution] = floats(query, 9);
    const params = block + (width * capacity) / 8;
    const run = capacity * 4;
    for (let row = 0; row < count; row++) {
      if (mask !== 0 && view.getUint8(mask + row) === 0) continue;
      const offset = float(params + row * 4);
      if (offset === GONE) continue;
      const scale = float(params + run + row * 4);
      const error = float(params + run + run + row * 4);
      let sum = 0;
      for (let group = 0; group < width / 4; group++) {
        const pair = view.getUint8(block + (row >> 5) * width * 4 + group * 16 + (row & 15));
        sum += view.getUint8(table + group * 16 + ((row & 16) === 0 ? pair & 15 : pair >> 4));
      }
      const product = f(f(f(sum * step!) + base!) * scale);
      const estimate = f(product + offset);
      const widest = f(f(f(error * perError!) + f(scale * perScale!)) + f(Math.abs(offset) * perOffset!));
      if (f(estimate + widest) < float(state)) continue;
      const square = f(f(f(scale * scale) * whole!) - f(f(error * error) * less!));
      const length = f(f(Math.sqrt(Math.max(square, 0))) * norm!);
      const along = length > 0 ? Math.max(0, f(f(Math.abs(product) - f(error * norm!)) / length)) : 0;
      const across = f(Math.sqrt(Math.max(0, f(1 - f(along * along)))));
      const doubt = f(f(f(f(error * perError!) * across) + f(scale * perScale!)) + f(Math.abs(offset) * perOffset!));
      const upper = error < Number.POSITIVE_INFINITY ? f(estimate + doubt) : Number.POSITIVE_INFINITY;
      if (upper < float(state)) continue;
      let found = integer(state + 12);
      const most = integer(state + 16);
      if (found === most) {
        found = settleOneBit(state);
        if (found > most >> 1) {
          view.setInt32(state + 28, 1, true);
          view.setInt32(state + 12, 0, true);
          found = 0;
        }
      }
      const at = integer(state + 24) + found * 8;
      view.setFloat32(at, upper, true);
      view.setInt32(at + 4, first + row, true);
      view.setInt32(state + 12, found + 1, true);
      if (error < Number.POSITIVE_INFINITY) offer(state, f(estimate - f(doubt * caution!)));
    }
  }

  return { codeOneBit, rotateOneBit, scanOneBit, settleOneBit };
}

/** A sum as the kernel makes it, in four lanes. */
function inFour(width: number, term: (i: number) => number): number {
  const sums = [0, 0, 0, 0];
  for (let i = 0; i < width; i++) sums[i % 4]! += term(i);
  return sums[0]! + sums[1]! + (sums[2]! + sums[3]!);
}

function hadamard(x: Float32Array): void {
  for (let half = 1; half < x.length; half *= 2) {
    for (let block = 0; block < x.length; block += half * 2) {
      for (let i = block; i < block + half; i++) butterfly(x, i, i + half);
    }
  }
}

function butterfly(x: Float32Array, i: number, j: number): void {
  const [a, b] = [x[i]!, x[j]!];
  x[i] = a + b;
  x[j] = a - b;
}

function isNegative(value: number): boolean {
  return value < 0 || Object.is(value, -0);
}
