import type { ScalarMemory } from "./scalar-memory.ts";

/** As in assembly/scan-codes.ts. */
const SLACK = 2 ** -22;

/** Scans of codes in plain TypeScript, equal to the last bit. */
export function scalarCodeScan(memory: ScalarMemory) {
  const number = (at: number) => memory.view.getFloat64(at, true);
  const integer = (at: number) => memory.view.getUint32(at, true);

  function dot(u: Int8Array, query: number, width: number): number {
    const w = new Int16Array(memory.buffer, query, width);
    let sum = 0;
    for (let i = 0; i < width; i++) sum += u[i]! * w[i]!;
    return sum;
  }

  /** A row's head, whose pieces of 16 bytes lie between those of three others. */
  function headOf(group: number, lane: number, width: number): Int8Array {
    const head = new Int8Array(width);
    for (let i = 0; i < width; i += 16) head.set(new Int8Array(memory.buffer, group + lane * 16 + i * 4, 16), i);
    return head;
  }

  function differing(codes: Int8Array, query: number, width: number): number {
    const u = Uint8Array.from(codes);
    const w = new Uint8Array(memory.buffer, query, width);
    let sum = 0;
    for (let i = 0; i < width; i++) {
      for (let bits = u[i]! ^ w[i]!; bits !== 0; bits &= bits - 1) sum++;
    }
    return sum;
  }

  function offer(state: number, lower: number): void {
    const heap = new Float64Array(memory.buffer, integer(state + 24), integer(state + 8));
    let size = integer(state + 12);
    if (size < heap.length) {
      let i = size++;
      memory.view.setInt32(state + 12, size, true);
      for (; i > 0; i = (i - 1) >> 1) {
        const above = heap[(i - 1) >> 1]!;
        if (above <= lower) break;
        heap[i] = above;
      }
      heap[i] = lower;
    } else {
      if (!(lower > heap[0]!)) return;
      let i = 0;
      for (;;) {
        let child = 2 * i + 1;
        if (child >= size) break;
        if (child + 1 < size && heap[child + 1]! < heap[child]!) child++;
        const below = heap[child]!;
        if (below >= lower) break;
        heap[i] = below;
        i = child;
      }
      heap[i] = lower;
    }
    if (size === heap.length && heap[0]! > number(state)) memory.view.setFloat64(state, heap[0]!, true);
  }

  function note(state: number, row: number, upper: number): void {
    if (integer(state + 32) !== 0) return;
    let found = integer(state + 16);
    const capacity = integer(state + 20);
    if (found === capacity) {
      found = settle(state);
      if (found > capacity >> 1) {
        memory.view.setInt32(state + 32, 1, true);
        return;
      }
    }
    const at = integer(state + 28) + found * 16;
    memory.view.setFloat64(at, upper, true);
    memory.view.setInt32(at + 8, row, true);
    memory.view.setInt32(state + 16, found + 1, true);
  }

  function settle(state: number): number {
    const found = integer(state + 16);
    const list = integer(state + 28);
    const threshold = number(state);
    let left = 0;
    for (let i = 0; i < found; i++) {
      const at = list + i * 16;
      if (number(at) < threshold) continue;
      new Uint8Array(memory.buffer).copyWithin(list + left * 16, at, at + 16);
      left++;
    }
    memory.view.setInt32(state + 16, left, true);
    return left;
  }

  /**
   * A look at one row, its tail included where its head leaves it in doubt: nothing is put off. Returns whether the tail has been read.
   */
  function look(
    state: number,
    query: number,
    block: number,
    headBytes: number,
    tailBytes: number,
    capacity: number,
    row: number,
    first: number,
  ): boolean {
    const { buffer, view } = memory;
    const [step, perError, perScale, constant, , tailStep, perTailError, perTailScale, perTailNorm] = Array.from(
      { length: 9 },
      (_, i) => number(query + i * 8),
    ) as [number, number, number, number, number, number, number, number, number];
    const weights = query + 80;
    const groupBytes = headBytes * 4 + (tailBytes > 0 ? 64 : 48);
    const [group, lane] = [block + (row >> 2) * groupBytes, row & 3];
    const param = (i: number) => view.getFloat32(group + headBytes * 4 + i * 16 + lane * 4, true);
    const offset = param(0);
    if (offset === Number.NEGATIVE_INFINITY) return false;
    const scale = param(1);
    const product = step * scale * dot(headOf(group, lane, headBytes), weights, headBytes);
    let estimate = product + offset;
    let doubt = param(2) * perError + scale * perScale + constant;
    let size = Math.abs(product) + Math.abs(offset);
    let upper = estimate + doubt + size * SLACK;
    if (tailBytes > 0) {
      upper += param(3) * perTailNorm;
      if (!(upper >= number(state))) return false;
      const tailAt = block + (capacity / 4) * groupBytes + row * (tailBytes + 8);
      const tailScale = view.getFloat32(tailAt, true);
      const tail = new Int8Array(buffer, tailAt + 8, tailBytes);
      const tailProduct = tailStep * tailScale * dot(tail, weights + headBytes * 2, tailBytes);
      estimate += tailProduct;
      doubt += view.getFloat32(tailAt + 4, true) * perTailError + tailScale * perTailScale;
      size += Math.abs(tailProduct);
      upper = Math.min(upper, estimate + doubt + size * SLACK);
    }
    if (upper >= number(state)) {
      note(state, first + row, upper);
      offer(state, estimate - doubt - size * SLACK);
    }
    return tailBytes > 0;
  }

  function count(state: number): void {
    memory.view.setInt32(state + 36, integer(state + 36) + 1, true);
  }

  function scanCodes(
    state: number,
    query: number,
    block: number,
    headBytes: number,
    tailBytes: number,
    capacity: number,
    rows: number,
    first: number,
    mask: number,
  ): void {
    for (let row = 0; row < rows; row++) {
      if (mask !== 0 && memory.view.getUint8(mask + row) === 0) continue;
      if (look(state, query, block, headBytes, tailBytes, capacity, row, first)) count(state);
    }
  }

  /** A look at a row that is likely. */
  function lookAt(state: number, ...rest: OneRow): void {
    count(state);
    look(state, ...rest);
  }

  function scanBits(
    state: number,
    query: number,
    block: number,
    width: number,
    count: number,
    first: number,
    mask: number,
  ): void {
    const { view } = memory;
    for (let row = 0; row < count; row++) {
      if (mask !== 0 && view.getUint8(mask + row) === 0) continue;
      const [group, lane] = [block + (row >> 2) * (width * 4 + 48), row & 3];
      const offset = view.getFloat32(group + width * 4 + lane * 4, true);
      const estimate = offset - differing(headOf(group, lane, width), query, width);
      if (estimate < number(state) || estimate === Number.NEGATIVE_INFINITY) continue;
      note(state, first + row, estimate);
      offer(state, estimate);
    }
  }

  return { scanCodes, scanBits, lookAt, settle };
}

/** The arguments of `look` behind the state. */
type OneRow = [
  query: number,
  block: number,
  headBytes: number,
  tailBytes: number,
  capacity: number,
  row: number,
  first: number,
];
