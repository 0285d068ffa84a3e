// 1-bit codes: rotation, coding and the "fast scan" over them. vector/one-bit-space.ts tells what the numbers mean,
// kernel/one-bit-blocks.ts draws the memory, and kernel/scalar-one-bit.ts is the oracle, equal to the last bit.

/** One group of four dimensions of 32 rows: byte j holds the bits of row j below those of row j + 16. */
const GROUP_BYTES: usize = 16;
/** The offset of a row that is gone: below that of any other. */
const GONE: f32 = -f32.MAX_VALUE;

/** The Hadamard transform of `n` f32, a power of two from 4 up, not scaled. */
function hadamard(at: usize, n: usize): void {
  const odd = i32x4(0, i32.MIN_VALUE, 0, i32.MIN_VALUE), upper = i32x4(0, 0, i32.MIN_VALUE, i32.MIN_VALUE);
  const bytes = n << 2;
  for (let i: usize = 0; i < bytes; i += 16) {
    let v = v128.load(at + i);
    v = f32x4.add(v128.shuffle<f32>(v, v, 0, 0, 2, 2), v128.xor(v128.shuffle<f32>(v, v, 1, 1, 3, 3), odd));
    v = f32x4.add(v128.shuffle<f32>(v, v, 0, 1, 0, 1), v128.xor(v128.shuffle<f32>(v, v, 2, 3, 2, 3), upper));
    v128.store(at + i, v);
  }
  for (let half: usize = 16; half < bytes; half <<= 1) {
    for (let block: usize = 0; block < bytes; block += half << 1) {
      for (let i = at + block, end = i + half; i < end; i += 16) {
        const a = v128.load(i), b = v128.load(i + half);
        v128.store(i, f32x4.add(a, b));
        v128.store(i + half, f32x4.sub(a, b));
      }
    }
  }
}

/**
 * Rotates `width` f32 in place: in each round numbers are multiplied by their factor, a sign with what keeps lengths; a window
 * of a power of two is transformed, the first and the last in turn; and where the window is not all, halves are mixed.
 */
export function rotateOneBit(at: usize, width: usize, window: usize, factors: usize, rounds: i32): void {
  const bytes = width << 2, half = bytes >> 1;
  for (let round = 0; round < rounds; round++, factors += bytes) {
    for (let i: usize = 0; i < bytes; i += 16) v128.store(at + i, f32x4.mul(v128.load(at + i), v128.load(factors + i)));
    hadamard((round & 1) == 0 ? at : at + ((width - window) << 2), window);
    if (window == width) continue;
    for (let i = at, end = at + half; i < end; i += 16) {
      const a = v128.load(i), b = v128.load(i + half);
      v128.store(i, f32x4.add(a, b));
      v128.store(i + half, f32x4.sub(a, b));
    }
  }
}

// @ts-ignore: decorator
@inline
function total(a: v128, b: v128): f64 {
  return f64x2.extract_lane(a, 0) + f64x2.extract_lane(a, 1) + (f64x2.extract_lane(b, 0) + f64x2.extract_lane(b, 1));
}

// @ts-ignore: decorator
@inline
function high(v: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<f32>(v, v, 2, 3, 2, 3));
}

/**
 * Codes `count` rows of `width` f32 into a block, from row `first` on; the rows are overwritten. `isUnit`: divided by their
 * norms first. `isL2` says what the offset is made of. Returns a bit for each row that holds NaN or an infinity: it has the
 * offset `GONE`. At most 32 rows.
 */
export function codeOneBit(
  rows: usize, count: i32, width: usize, window: usize, centre: usize, factors: usize, rounds: i32,
  isUnit: bool, isL2: bool, block: usize, capacity: usize, first: i32,
): u32 {
  const bytes = width << 2, run = capacity << 2;
  const root = <f32>(1 / sqrt<f64>(<f64>width)), spread = 1 / sqrt<f64>(<f64>(width - 1));
  let bad: u32 = 0;
  for (let n = 0; n < count; n++, rows += bytes) {
    let s0 = f64x2.splat(0), s1 = f64x2.splat(0);
    let unit: f64 = 1;
    if (isUnit) {
      for (let i: usize = 0; i < bytes; i += 16) {
        const x = v128.load(rows + i), a = f64x2.promote_low_f32x4(x), b = high(x);
        s0 = f64x2.add(s0, f64x2.mul(a, a));
        s1 = f64x2.add(s1, f64x2.mul(b, b));
      }
      const norm = sqrt<f64>(total(s0, s1));
      unit = norm == 0 ? 0 : 1 / norm;
      s0 = f64x2.splat(0);
      s1 = f64x2.splat(0);
    }
    const units = f64x2.splat(unit);
    let c0 = f64x2.splat(0), c1 = f64x2.splat(0);
    for (let i: usize = 0; i < bytes; i += 16) {
      const x = v128.load(rows + i), c = v128.load(centre + i), ca = f64x2.promote_low_f32x4(c), cb = high(c);
      const a = f64x2.sub(f64x2.mul(f64x2.promote_low_f32x4(x), units), ca), b = f64x2.sub(f64x2.mul(high(x), units), cb);
      s0 = f64x2.add(s0, f64x2.mul(a, a));
      s1 = f64x2.add(s1, f64x2.mul(b, b));
      c0 = f64x2.add(c0, f64x2.mul(a, ca));
      c1 = f64x2.add(c1, f64x2.mul(b, cb));
      v128.store(rows + i, v128.shuffle<f32>(f32x4.demote_f64x2_zero(a), f32x4.demote_f64x2_zero(b), 0, 1, 4, 5));
    }
    const squares = total(s0, s1), along = total(c0, c1);
    const row = first + n;
    const params = block + ((width * capacity) >> 3) + ((<usize>row) << 2);
    // Squares of finite numbers do not overflow float64; under cosine a norm of infinity leaves NaN behind.
    if (!(squares < Infinity)) {
      bad |= 1 << n;
      store<f32>(params, GONE);
      store<f32>(params + run, 0);
      store<f32>(params + run + run, 0);
      continue;
    }
    const length = sqrt<f64>(squares);
    const inverse = f32x4.splat(length == 0 ? 0 : <f32>(1 / length));
    for (let i: usize = 0; i < bytes; i += 16) v128.store(rows + i, f32x4.mul(v128.load(rows + i), inverse));
    rotateOneBit(rows, width, window, factors, rounds);
    // The bits: one for each number that is not negative.
    let sum = f32x4.splat(0);
    const low = (row & 16) == 0;
    let at = block + (((<usize>row) >> 5) * width << 2) + (row & 15);
    for (let i: usize = 0; i < bytes; i += 16, at += GROUP_BYTES) {
      const z = v128.load(rows + i);
      sum = f32x4.add(sum, f32x4.abs(z));
      const bits = <u8>(i32x4.bitmask(z) ^ 15);
      const other = load<u8>(at);
      store<u8>(at, low ? (other & 0xf0) | bits : (other & 0x0f) | (bits << 4));
    }
    const sums = f32x4.extract_lane(sum, 0) + f32x4.extract_lane(sum, 1) + (f32x4.extract_lane(sum, 2) + f32x4.extract_lane(sum, 3));
    const cosine = <f64>(sums * root);
    const offset = <f32>(isL2 ? squares * -0.5 : along);
    const scale = <f32>(length == 0 ? 0 : length / (cosine * sqrt<f64>(<f64>width)));
    const error = <f32>(length == 0 ? 0 : (length * sqrt<f64>(max<f64>(0, 1 - cosine * cosine)) / cosine) * spread);
    // What float32 cannot hold is not estimated, and always scored.
    const isHeld = abs<f32>(offset) < f32.MAX_VALUE && scale < <f32>Infinity && error < <f32>Infinity;
    store<f32>(params, isHeld ? offset : 0);
    store<f32>(params + run, isHeld ? scale : 0);
    store<f32>(params + run + run, isHeld ? error : <f32>Infinity);
  }
  return bad;
}

// The state of a scan, as laid out in kernel/scan.ts.
// @ts-ignore: decorator
@inline
function thresholdOf(state: usize): f32 {
  return load<f32>(state);
}

/** Enters a lower bound into the heap of the k largest, the least on top; with k of them the top is the threshold. */
function offer(state: usize, lower: f32): void {
  const heap = <usize>load<u32>(state, 20);
  const k = load<i32>(state, 4);
  let size = load<i32>(state, 8);
  let i: i32;
  if (size < k) {
    i = size++;
    store<i32>(state, size, 8);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = load<f32>(heap + (<usize>parent << 2));
      if (above <= lower) break;
      store<f32>(heap + (<usize>i << 2), above);
      i = parent;
    }
  } else {
    if (!(lower > load<f32>(heap))) return;
    i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= size) break;
      if (child + 1 < size && load<f32>(heap + (<usize>(child + 1) << 2)) < load<f32>(heap + (<usize>child << 2))) child++;
      const below = load<f32>(heap + (<usize>child << 2));
      if (below >= lower) break;
      store<f32>(heap + (<usize>i << 2), below);
      i = child;
    }
  }
  store<f32>(heap + (<usize>i << 2), lower);
  if (size == k) {
    const top = load<f32>(heap);
    if (top > thresholdOf(state)) store<f32>(state, top);
  }
}

/** Drops the rows found that the threshold has overtaken since. Returns how many are left. */
export function settleOneBit(state: usize): i32 {
  const found = load<i32>(state, 12);
  const list = <usize>load<u32>(state, 24);
  const threshold = thresholdOf(state);
  let kept = list;
  for (let at = list, end = list + (<usize>found << 3); at < end; at += 8) {
    if (load<f32>(at) < threshold) continue;
    store<u64>(kept, load<u64>(at));
    kept += 8;
  }
  const left = <i32>((kept - list) >> 3);
  store<i32>(state, left, 12);
  return left;
}

/** Looks at one row in full: `product` ≈ y·p. */
function consider(state: usize, query: usize, params: usize, run: usize, row: i32, product: f32): void {
  const offset = load<f32>(params), scale = load<f32>(params + run), error = load<f32>(params + run + run);
  // |y|² from scale and error; see vector/one-bit-space.ts. The share of p along y is taken one error smaller than estimated.
  const square = scale * scale * load<f32>(query, 24) - error * error * load<f32>(query, 28);
  const length = sqrt<f32>(max<f32>(square, 0)) * load<f32>(query, 20);
  const along = length > 0 ? max<f32>(0, (abs<f32>(product) - error * load<f32>(query, 20)) / length) : 0;
  const across = sqrt<f32>(max<f32>(0, 1 - along * along));
  const doubt = error * load<f32>(query, 8) * across + scale * load<f32>(query, 12) + abs<f32>(offset) * load<f32>(query, 16);
  const estimate = product + offset;
  const upper = error < <f32>Infinity ? estimate + doubt : <f32>Infinity;
  if (upper < thresholdOf(state)) return;
  let found = load<i32>(state, 12);
  const capacity = load<i32>(state, 16);
  if (found == capacity) {
    found = settleOneBit(state);
    // A flood: the threshold is found all the same, and the blocks are scanned once more.
    if (found > capacity >> 1) {
      store<i32>(state, 1, 28);
      store<i32>(state, 0, 12);
      found = 0;
    }
  }
  const at = <usize>load<u32>(state, 24) + (<usize>found << 3);
  store<f32>(at, upper);
  store<i32>(at, row, 4);
  store<i32>(state, found + 1, 12);
  if (error < <f32>Infinity) offer(state, estimate - doubt * load<f32>(query, 32));
}

// @ts-ignore: decorator
@inline
function four(state: usize, query: usize, params: usize, run: usize, sums: v128, mask: usize, row: i32, left: i32, first: i32): void {
  const product = f32x4.mul(
    f32x4.add(f32x4.mul(f32x4.convert_i32x4_u(sums), v128.load32_splat(query)), v128.load32_splat(query, 4)),
    v128.load(params + run),
  );
  const offset = v128.load(params);
  const doubt = f32x4.add(
    f32x4.add(
      f32x4.mul(v128.load(params + run + run), v128.load32_splat(query, 8)),
      f32x4.mul(v128.load(params + run), v128.load32_splat(query, 12)),
    ),
    f32x4.mul(f32x4.abs(offset), v128.load32_splat(query, 16)),
  );
  const upper = f32x4.add(f32x4.add(product, offset), doubt);
  const dropped = f32x4.lt(upper, v128.load32_splat(state));
  let bits = i32x4.bitmask(dropped) ^ 15;
  while (bits != 0) {
    const lane = ctz(bits);
    bits &= bits - 1;
    if (lane >= left || (mask != 0 && load<u8>(mask + <usize>(row + lane)) == 0)) continue;
    // A row that is gone is no number of any size.
    if (load<f32>(params + (<usize>lane << 2)) == GONE) continue;
    const value = lane < 2
      ? lane == 0 ? f32x4.extract_lane(product, 0) : f32x4.extract_lane(product, 1)
      : lane == 2 ? f32x4.extract_lane(product, 2) : f32x4.extract_lane(product, 3);
    consider(state, query, params + (<usize>lane << 2), run, first + row + lane, value);
  }
}

/** Scans the first `count` rows of a block, numbered from `first`; `capacity` is a multiple of 32, `width` too. */
export function scanOneBit(
  state: usize, query: usize, table: usize, block: usize, width: usize, capacity: usize, count: i32, first: i32, mask: usize,
): void {
  const run = capacity << 2;
  const nibble = i8x16.splat(15), byte = i16x8.splat(255);
  let at = block;
  let params = block + ((width * capacity) >> 3);
  const bytes = width << 2;
  for (let row = 0; row < count; row += 32, params += 128) {
    const end = at + bytes;
    if (mask != 0 && !v128.any_true(v128.or(v128.load(mask + <usize>row), v128.load(mask + <usize>row, 16)))) {
      at = end;
      continue;
    }
    let a0 = i16x8.splat(0), a1 = i16x8.splat(0), b0 = i16x8.splat(0), b1 = i16x8.splat(0);
    // Eight look-ups of at most 31 stay below 256.
    for (let t = table; at < end; at += 128, t += 128) {
      let c = v128.load(at), l = v128.load(t);
      let a = i8x16.swizzle(l, v128.and(c, nibble)), b = i8x16.swizzle(l, v128.and(i16x8.shr_u(c, 4), nibble));
      c = v128.load(at, 16), l = v128.load(t, 16);
      a = i8x16.add(a, i8x16.swizzle(l, v128.and(c, nibble))), b = i8x16.add(b, i8x16.swizzle(l, v128.and(i16x8.shr_u(c, 4), nibble)));
      c = v128.load(at, 32), l = v128.load(t, 32);
      a = i8x16.add(a, i8x16.swizzle(l, v128.and(c, nibble))), b = i8x16.add(b, i8x16.swizzle(l, v128.and(i16x8.shr_u(c, 4), nibble)));
      c = v128.load(at, 48), l = v128.load(t, 48);
      a = i8x16.add(a, i8x16.swizzle(l, v128.and(c, nibble))), b = i8x16.add(b, i8x16.swizzle(l, v128.and(i16x8.shr_u(c, 4), nibble)));
      c = v128.load(at, 64), l = v128.load(t, 64);
      a = i8x16.add(a, i8x16.swizzle(l, v128.and(c, nibble))), b = i8x16.add(b, i8x16.swizzle(l, v128.and(i16x8.shr_u(c, 4), nibble)));
      c = v128.load(at, 80), l = v128.load(t, 80);
      a = i8x16.add(a, i8x16.swizzle(l, v128.and(c, nibble))), b = i8x16.add(b, i8x16.swizzle(l, v128.and(i16x8.shr_u(c, 4), nibble)));
      c = v128.load(at, 96), l = v128.load(t, 96);
      a = i8x16.add(a, i8x16.swizzle(l, v128.and(c, nibble))), b = i8x16.add(b, i8x16.swizzle(l, v128.and(i16x8.shr_u(c, 4), nibble)));
      c = v128.load(at, 112), l = v128.load(t, 112);
      a = i8x16.add(a, i8x16.swizzle(l, v128.and(c, nibble))), b = i8x16.add(b, i8x16.swizzle(l, v128.and(i16x8.shr_u(c, 4), nibble)));
      a0 = i16x8.add(a0, v128.and(a, byte));
      a1 = i16x8.add(a1, i16x8.shr_u(a, 8));
      b0 = i16x8.add(b0, v128.and(b, byte));
      b1 = i16x8.add(b1, i16x8.shr_u(b, 8));
    }
    const left = count - row;
    const s0 = v128.shuffle<u16>(a0, a1, 0, 8, 1, 9, 2, 10, 3, 11), s1 = v128.shuffle<u16>(a0, a1, 4, 12, 5, 13, 6, 14, 7, 15);
    const s2 = v128.shuffle<u16>(b0, b1, 0, 8, 1, 9, 2, 10, 3, 11), s3 = v128.shuffle<u16>(b0, b1, 4, 12, 5, 13, 6, 14, 7, 15);
    four(state, query, params, run, i32x4.extend_low_i16x8_u(s0), mask, row, left, first);
    four(state, query, params + 16, run, i32x4.extend_high_i16x8_u(s0), mask, row + 4, left - 4, first);
    four(state, query, params + 32, run, i32x4.extend_low_i16x8_u(s1), mask, row + 8, left - 8, first);
    four(state, query, params + 48, run, i32x4.extend_high_i16x8_u(s1), mask, row + 12, left - 12, first);
    four(state, query, params + 64, run, i32x4.extend_low_i16x8_u(s2), mask, row + 16, left - 16, first);
    four(state, query, params + 80, run, i32x4.extend_high_i16x8_u(s2), mask, row + 20, left - 20, first);
    four(state, query, params + 96, run, i32x4.extend_low_i16x8_u(s3), mask, row + 24, left - 24, first);
    four(state, query, params + 112, run, i32x4.extend_high_i16x8_u(s3), mask, row + 28, left - 28, first);
  }
}
