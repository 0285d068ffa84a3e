import type { CodeKernel } from "./code-scan.ts";

/** As in assembly/codes.ts. */
const SLACK = 2 ** -22;

/** The code kernels in plain TypeScript, equal to the last bit: the oracle of their tests, and the fallback without SIMD. */
export function scalarCodeKernel(): CodeKernel {
  let buffer = new ArrayBuffer(0);
  let view = new DataView(buffer);

  const number = (at: number) => view.getFloat64(at, true);
  const integer = (at: number) => view.getUint32(at, true);

  function dot(codes: number, query: number, width: number): number {
    const u = new Int8Array(buffer, codes, width);
    const w = new Int16Array(buffer, query, width);
    let sum = 0;
    for (let i = 0; i < width; i++) sum += u[i]! * w[i]!;
    return sum;
  }

  function differing(codes: number, query: number, width: number): number {
    const u = new Uint8Array(buffer, codes, width);
    const w = new Uint8Array(buffer, query, width);
    let sum = 0;
    for (let i = 0; i < width; i++) {
      for (let bits = u[i]! ^ w[i]!; bits !== 0; bits &= bits - 1) sum++;
    }
    return sum;
  }

  function offer(state: number, lower: number): void {
    const heap = new Float64Array(buffer, integer(state + 24), integer(state + 8));
    let size = integer(state + 12);
    if (size < heap.length) {
      let i = size++;
      view.setInt32(state + 12, size, true);
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
    if (size === heap.length && heap[0]! > number(state)) view.setFloat64(state, heap[0]!, true);
  }

  function note(state: number, row: number, upper: number): boolean {
    let found = integer(state + 16);
    const capacity = integer(state + 20);
    if (found === capacity) {
      found = settle(state);
      if (found > capacity >> 1) return false;
    }
    const at = integer(state + 28) + found * 16;
    view.setFloat64(at, upper, true);
    view.setInt32(at + 8, row, true);
    view.setInt32(state + 16, found + 1, true);
    return true;
  }

  function settle(state: number): number {
    const found = integer(state + 16);
    const list = integer(state + 28);
    const threshold = number(state);
    let left = 0;
    for (let i = 0; i < found; i++) {
      const at = list + i * 16;
      if (number(at) < threshold) continue;
      new Uint8Array(buffer).copyWithin(list + left * 16, at, at + 16);
      left++;
    }
    view.setInt32(state + 16, left, true);
    return left;
  }

  return {
    kernel: "scalar",
    reserve(bytes) {
      if (bytes > buffer.byteLength) {
        const larger = new ArrayBuffer(Math.max(bytes, Math.ceil(buffer.byteLength * 1.25)));
        new Uint8Array(larger).set(new Uint8Array(buffer));
        buffer = larger;
        view = new DataView(buffer);
      }
      return buffer;
    },
    scanCodes(state, query, step, perError, perScale, constant, block, width, capacity, count, first, mask) {
      const params = block + width * capacity;
      let isWhole = true;
      for (let row = 0; row < count; row++) {
        if (mask !== 0 && view.getUint8(mask + row) === 0) continue;
        const offset = view.getFloat32(params + row * 4, true);
        const scale = view.getFloat32(params + (capacity + row) * 4, true);
        const error = view.getFloat32(params + (2 * capacity + row) * 4, true);
        const product = step * scale * dot(block + row * width, query, width);
        const estimate = product + offset;
        const doubt = error * perError + scale * perScale + (Math.abs(product) + Math.abs(offset)) * SLACK + constant;
        const upper = estimate + doubt;
        if (!(upper >= number(state))) continue;
        if (isWhole) isWhole = note(state, first + row, upper);
        offer(state, estimate - doubt);
      }
      return isWhole;
    },
    scanBits(state, query, block, width, capacity, count, first, mask) {
      const offsets = block + width * capacity;
      let isWhole = true;
      for (let row = 0; row < count; row++) {
        if (mask !== 0 && view.getUint8(mask + row) === 0) continue;
        const estimate = view.getFloat32(offsets + row * 4, true) - differing(block + row * width, query, width);
        if (estimate < number(state) || estimate === Number.NEGATIVE_INFINITY) continue;
        if (isWhole) isWhole = note(state, first + row, estimate);
        offer(state, estimate);
      }
      return isWhole;
    },
    settle,
  };
}
