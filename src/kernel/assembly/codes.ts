// The certified scan: bounds on the similarity of coded rows to one query, and the rows that can still be among the k most
// similar. vector/code-space.ts proves the bounds; kernel/code-scan.ts draws the memory and is the oracle in TypeScript.

/** Covers the rounding of the offset to float32 and all float64 rounding of this file; 2^-22. */
const SLACK: f64 = 2.384185791015625e-7;
/** Elements after which 32-bit lanes must be emptied: 256 steps x 2 products of 128 x 32,767 stay below 2^31. */
const LANE_ELEMENTS: usize = 2048;

// The state of a scan, as laid out in code-scan.ts.
// @ts-ignore: decorator
@inline
function thresholdOf(state: usize): f64 {
  return load<f64>(state);
}

// @ts-ignore: decorator
@inline
function total(v: v128): f64 {
  // Each lane is below 2^31, so their sum is exact in f64 whatever the order.
  return (
    <f64>i32x4.extract_lane(v, 0) + <f64>i32x4.extract_lane(v, 1) + (<f64>i32x4.extract_lane(v, 2) + <f64>i32x4.extract_lane(v, 3))
  );
}

/** u·w of int8 codes and an int16 query; `width` is a multiple of 16. Exact. */
// @ts-ignore: decorator
@inline
function dot(codes: usize, query: usize, width: usize): f64 {
  let sum: f64 = 0;
  for (let from: usize = 0; from < width; from += LANE_ELEMENTS) {
    const to = min(from + LANE_ELEMENTS, width);
    let a = i32x4.splat(0), b = i32x4.splat(0);
    for (let i = from; i < to; i += 16) {
      a = i32x4.add(a, i32x4.dot_i16x8_s(v128.load8x8_s(codes + i), v128.load(query + (i << 1))));
      b = i32x4.add(b, i32x4.dot_i16x8_s(v128.load8x8_s(codes + i + 8), v128.load(query + (i << 1), 16)));
    }
    sum += total(i32x4.add(a, b));
  }
  return sum;
}

/** Number of bits that differ; `width` bytes, a multiple of 16. */
// @ts-ignore: decorator
@inline
function differing(codes: usize, query: usize, width: usize): f64 {
  let sum = i32x4.splat(0);
  for (let i: usize = 0; i < width; i += 16) {
    const bits = i8x16.popcnt(v128.xor(v128.load(codes + i), v128.load(query + i)));
    sum = i32x4.add(sum, i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(bits)));
  }
  return total(sum);
}

/** Enters a lower bound into the heap of the k largest, the least on top; with k of them the top is the threshold. */
function offer(state: usize, lower: f64): void {
  const heap = <usize>load<u32>(state, 24);
  const k = load<i32>(state, 8);
  let size = load<i32>(state, 12);
  let i: i32;
  if (size < k) {
    i = size++;
    store<i32>(state, size, 12);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = load<f64>(heap + (<usize>parent << 3));
      if (above <= lower) break;
      store<f64>(heap + (<usize>i << 3), above);
      i = parent;
    }
    store<f64>(heap + (<usize>i << 3), lower);
  } else {
    if (!(lower > load<f64>(heap))) return;
    i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= size) break;
      if (child + 1 < size && load<f64>(heap + (<usize>(child + 1) << 3)) < load<f64>(heap + (<usize>child << 3))) child++;
      const below = load<f64>(heap + (<usize>child << 3));
      if (below >= lower) break;
      store<f64>(heap + (<usize>i << 3), below);
      i = child;
    }
    store<f64>(heap + (<usize>i << 3), lower);
  }
  if (size == k) {
    const top = load<f64>(heap);
    if (top > load<f64>(state)) store<f64>(state, top);
  }
}

/** Drops the rows found that the threshold has overtaken since. Returns how many are left. */
export function settle(state: usize): i32 {
  const found = load<i32>(state, 16);
  const list = <usize>load<u32>(state, 28);
  const threshold = thresholdOf(state);
  let kept: usize = list;
  for (let at = list, end = list + (<usize>found << 4); at < end; at += 16) {
    if (load<f64>(at) < threshold) continue;
    v128.store(kept, v128.load(at));
    kept += 16;
  }
  const left = <i32>((kept - list) >> 4);
  store<i32>(state, left, 16);
  return left;
}

/** Notes a row whose bounds let it in. False when more rows are left than the list was made for. */
// @ts-ignore: decorator
@inline
function note(state: usize, row: i32, upper: f64): bool {
  let found = load<i32>(state, 16);
  const capacity = load<i32>(state, 20);
  if (found == capacity) {
    found = settle(state);
    if (found > capacity >> 1) return false;
  }
  const at = <usize>load<u32>(state, 28) + (<usize>found << 4);
  store<f64>(at, upper);
  store<i32>(at, row, 8);
  store<i32>(state, found + 1, 16);
  return true;
}

/**
 * Scans the first `count` rows of a block, numbered from `first`. Returns false when the list has overflowed; the threshold is
 * that of all rows even so.
 */
export function scanCodes(
  state: usize, query: usize, step: f64, perError: f64, perScale: f64, constant: f64,
  block: usize, width: usize, capacity: usize, count: i32, first: i32, mask: usize,
): bool {
  let at = block, isWhole = true;
  // Three arrays of f32 behind the codes: offset, scale, error.
  let params = block + width * capacity;
  const run = capacity << 2;
  for (let row = 0; row < count; row++, at += width, params += 4) {
    if (mask != 0 && load<u8>(mask + <usize>row) == 0) continue;
    const offset = <f64>load<f32>(params), scale = <f64>load<f32>(params + run), error = <f64>load<f32>(params + run + run);
    const product = step * scale * dot(at, query, width);
    const estimate = product + offset;
    const doubt = error * perError + scale * perScale + (abs<f64>(product) + abs<f64>(offset)) * SLACK + constant;
    const upper = estimate + doubt;
    // Written so that NaN, the mark of a row that is gone, is passed over.
    if (!(upper >= thresholdOf(state))) continue;
    if (isWhole) isWhole = note(state, first + row, upper);
    offer(state, estimate - doubt);
  }
  return isWhole;
}

/** The same over packed bits, where similarity is the number of differing bits negated: exact, so there is no doubt. */
export function scanBits(
  state: usize, query: usize, block: usize, width: usize, capacity: usize, count: i32, first: i32, mask: usize,
): bool {
  let at = block, isWhole = true;
  let offsets = block + width * capacity;
  for (let row = 0; row < count; row++, at += width, offsets += 4) {
    if (mask != 0 && load<u8>(mask + <usize>row) == 0) continue;
    const estimate = <f64>load<f32>(offsets) - differing(at, query, width);
    // The offset of a row that is gone is -Infinity.
    if (estimate < thresholdOf(state) || estimate == -Infinity) continue;
    if (isWhole) isWhole = note(state, first + row, estimate);
    offer(state, estimate);
  }
  return isWhole;
}
