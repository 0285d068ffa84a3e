// The certified scan of a block of int8 codes: bounds on the similarity of its rows to one query, and the rows that can still be
// among the k most similar. vector/code-space.ts proves the bounds; kernel/code-scan.ts draws the memory; the oracle is
// kernel/scalar-code-scan.ts, which takes row after row: the order changes the time and never the result.
//
// Four rows go together. Their products with the query's weights are whole numbers; their upper bounds, in float32 and loosened
// by more than that rounds, say which of them need a look, in float64.
//
// Where there are tails, a block is gone through twice. First its heads: the rows with the best estimates so far are looked at
// first, so that the threshold is almost the final one from the first block on. Then the rows that the threshold leaves. Their
// tails lie apart, and a processor that meets them one by one waits for memory each time: so those of some rows are touched
// together, which makes it fetch all of them at once.

import { enter, note, offer, thresholdOf } from "./survivors";

/** Covers the rounding of the offset to float32 and all float64 rounding of this file; 2^-22. */
const SLACK: f64 = 2.384185791015625e-7;
/** Covers all float32 rounding: 2^-20 on what has a sign, twice that on the rest, and 2^-116 for what falls below float32. */
const SLACK32: f64 = 9.5367431640625e-7;
const LEAST32: f64 = 1.2037062152420224e-35;

/** Stands for the upper bound of a row that has been looked at: a NaN that no arithmetic gives. */
const DONE: i32 = 0x7fd0d0d0;

/** Rows whose tails are touched together: with more of them there is nothing left to overlap. */
const TOUCHED_ROWS: usize = 8;

// @ts-ignore: decorator
@inline
function loosened(value: f64, unit: f64): v128 {
  return f32x4.splat(<f32>(value * unit * (1 + 2 * SLACK32) + LEAST32));
}

/** The threshold as the float32 bounds are compared with it: any row below is surely below. */
// @ts-ignore: decorator
@inline
function lowered(state: usize, constant: f64, unit: f64): v128 {
  const t = (thresholdOf(state) - constant) * unit;
  return f32x4.splat(<f32>(t - abs<f64>(t) * SLACK32 - LEAST32));
}

/** The four sums of the lanes of four vectors. */
// @ts-ignore: decorator
@inline
function sums(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = i32x4.add(v128.shuffle<i32>(a, b, 0, 4, 1, 5), v128.shuffle<i32>(a, b, 2, 6, 3, 7));
  const cd = i32x4.add(v128.shuffle<i32>(c, d, 0, 4, 1, 5), v128.shuffle<i32>(c, d, 2, 6, 3, 7));
  return i32x4.add(v128.shuffle<i64>(ab, cd, 0, 2), v128.shuffle<i64>(ab, cd, 1, 3));
}

/**
 * u·w of a group of four rows of int8 codes, 16 bytes of each in turn, and an int16 query; `width` is a multiple of 16. Exact:
 * the caller sees to it that 128·Σ|w| is below 2^31.
 */
// @ts-ignore: decorator
@inline
function dotGroup(group: usize, query: usize, width: usize): v128 {
  let a = i32x4.splat(0), b = i32x4.splat(0), c = i32x4.splat(0), d = i32x4.splat(0);
  for (const end = group + (width << 2); group < end; group += 64, query += 32) {
    const q0 = v128.load(query), q1 = v128.load(query, 16);
    a = i32x4.add(a, dot16(group, 0, q0, q1));
    b = i32x4.add(b, dot16(group, 16, q0, q1));
    c = i32x4.add(c, dot16(group, 32, q0, q1));
    d = i32x4.add(d, dot16(group, 48, q0, q1));
  }
  return sums(a, b, c, d);
}

// @ts-ignore: decorator
@inline
function dot16(codes: usize, at: usize, q0: v128, q1: v128): v128 {
  return i32x4.add(
    i32x4.dot_i16x8_s(v128.load8x8_s(codes + at), q0),
    i32x4.dot_i16x8_s(v128.load8x8_s(codes + at, 8), q1),
  );
}

/** As `dotGroup` of one row. */
// @ts-ignore: decorator
@inline
function dotRow(codes: usize, query: usize, width: usize): i32 {
  let a = i32x4.splat(0), b = i32x4.splat(0);
  for (const end = codes + width; codes < end; codes += 16, query += 32) {
    a = i32x4.add(a, i32x4.dot_i16x8_s(v128.load8x8_s(codes), v128.load(query)));
    b = i32x4.add(b, i32x4.dot_i16x8_s(v128.load8x8_s(codes, 8), v128.load(query, 16)));
  }
  const ab = i32x4.add(a, b);
  return i32x4.extract_lane(ab, 0) + i32x4.extract_lane(ab, 1) + i32x4.extract_lane(ab, 2) + i32x4.extract_lane(ab, 3);
}

/** A look at one row in float64: notes it and offers its lower bound if its bounds let it in. */
function look(
  state: usize, query: usize, params: usize, array: usize, tail: usize, tailBytes: usize, tailWeights: usize, dot: i32, row: i32,
): void {
  const offset = <f64>load<f32>(params);
  // The mark of a row that is gone.
  if (offset == -Infinity) return;
  const scale = <f64>load<f32>(params + array);
  const product = load<f64>(query) * scale * <f64>dot;
  let estimate = product + offset;
  let doubt = <f64>load<f32>(params + 2 * array) * load<f64>(query, 8) + scale * load<f64>(query, 16) + load<f64>(query, 24);
  let size = abs<f64>(product) + abs<f64>(offset);
  let upper = estimate + doubt + size * SLACK;
  if (tailBytes > 0) {
    upper += <f64>load<f32>(params + 3 * array) * load<f64>(query, 64);
    if (!(upper >= thresholdOf(state))) return;
    const tailScale = <f64>load<f32>(params + 4 * array);
    const tailProduct = load<f64>(query, 40) * tailScale * <f64>dotRow(tail, tailWeights, tailBytes);
    estimate += tailProduct;
    doubt += <f64>load<f32>(params + 5 * array) * load<f64>(query, 48) + tailScale * load<f64>(query, 56);
    size += abs<f64>(tailProduct);
    upper = min(upper, estimate + doubt + size * SLACK);
    store<i32>(state, load<i32>(state, 36) + 1, 36);
  }
  if (!(upper >= thresholdOf(state))) return;
  note(state, row, upper);
  offer(state, estimate - doubt - size * SLACK);
}

/** Looks at the rows of a list of u32. */
// @ts-ignore: decorator
@inline
function lookAt(
  state: usize, query: usize, params: usize, array: usize, tails: usize, tailBytes: usize, tailWeights: usize, dots: usize,
  first: i32, from: usize, to: usize,
): void {
  while (from < to) {
    const end = min(from + TOUCHED_ROWS * 4, to);
    let touched = 0;
    for (let at = from; at < end; at += 4) {
      const tail = tails + <usize>load<u32>(at) * tailBytes;
      for (let line: usize = 0; line < tailBytes; line += 64) touched ^= load<i32>(tail + line);
    }
    // Nobody reads it: a value that is not kept would not be fetched.
    store<i32>(state, touched, 56);
    for (; from < end; from += 4) {
      const row = load<u32>(from), i = <usize>row;
      look(state, query, params + (i << 2), array, tails + i * tailBytes, tailBytes, tailWeights, load<i32>(dots + (i << 2)), first + row);
    }
  }
}

/** One bit for each of four rows that is asked for. */
// @ts-ignore: decorator
@inline
function askedOf(row: i32, count: i32, mask: usize): i32 {
  const asked = count - row >= 4 ? 15 : (1 << (count - row)) - 1;
  if (mask == 0) return asked;
  return asked & i8x16.bitmask(i8x16.ne(v128.load32_zero(mask + <usize>row), i8x16.splat(0)));
}

/**
 * Scans the first `count` rows of a block, numbered from `first`; `mask` points at a byte a row, or is 0. `scratch` has room for
 * three times 4 bytes for each row of a block, and 16 more.
 */
export function scanCodes(
  state: usize, query: usize, block: usize, headBytes: usize, tailBytes: usize, capacity: usize, count: i32, first: i32,
  mask: usize, scratch: usize,
): void {
  const array = capacity << 2;
  const offsets = block + capacity * headBytes, scales = offsets + array, errors = scales + array, tailNorms = errors + array;
  const tails = tailNorms + 3 * array;
  const hasTail = tailBytes > 0;
  const constant = load<f64>(query, 24), unit = load<f64>(query, 32);
  const weights = query + 80, tailWeights = weights + (headBytes << 1);
  const step4 = f32x4.splat(<f32>(load<f64>(query) * unit));
  const perError4 = loosened(load<f64>(query, 8), unit), perScale4 = loosened(load<f64>(query, 16), unit);
  const perTailNorm4 = loosened(load<f64>(query, 64), unit);
  // Offsets are negative or zero: less of them is more.
  const perOffset4 = f32x4.splat(<f32>(unit * (1 - 2 * SLACK32)));
  const slack4 = f32x4.splat(<f32>SLACK32);
  const dots = scratch, uppers = dots + array, list = uppers + array, estimates = list + array;
  const best = <usize>load<u32>(state, 48);
  let threshold4 = lowered(state, constant, unit);
  let bar4 = f32x4.splat(load<f32>(state, 52));
  let listed = list;

  for (let row = 0; row < count; row += 4) {
    let asked = askedOf(row, count, mask);
    if (asked == 0) continue;
    const at = <usize>row, at4 = at << 2;
    const dot = dotGroup(block + at * headBytes, weights, headBytes);
    const scale4 = v128.load(scales + at4);
    const product4 = f32x4.mul(scale4, f32x4.mul(step4, f32x4.convert_i32x4_s(dot)));
    const estimate4 = f32x4.add(product4, f32x4.mul(v128.load(offsets + at4), perOffset4));
    const near4 = f32x4.add(
      estimate4,
      f32x4.add(
        f32x4.mul(f32x4.abs(product4), slack4),
        f32x4.add(f32x4.mul(v128.load(errors + at4), perError4), f32x4.mul(scale4, perScale4)),
      ),
    );
    v128.store(dots + at4, dot);
    if (hasTail) {
      v128.store(uppers + at4, f32x4.add(near4, f32x4.mul(v128.load(tailNorms + at4), perTailNorm4)));
      asked &= i32x4.bitmask(f32x4.gt(estimate4, bar4));
      if (asked == 0) continue;
      v128.store(estimates, estimate4);
      for (; asked != 0; asked &= asked - 1) {
        const r = ctz(asked);
        store<u32>(listed, row + r);
        listed += 4;
        const most = load<i32>(state, 40);
        const size = enter(best, load<i32>(state, 44), most, <f64>load<f32>(estimates + (<usize>r << 2)));
        store<i32>(state, size, 44);
        if (size == most) store<f32>(state, <f32>load<f64>(best), 52);
      }
      bar4 = f32x4.splat(load<f32>(state, 52));
    } else {
      // NaN, which only rows out of bounds give, is not below.
      asked &= ~i32x4.bitmask(f32x4.lt(near4, threshold4));
      if (asked == 0) continue;
      for (; asked != 0; asked &= asked - 1) {
        const r = ctz(asked), i = (at + <usize>r) << 2;
        look(state, query, offsets + i, array, tails, 0, tailWeights, load<i32>(dots + i), first + row + r);
      }
      threshold4 = lowered(state, constant, unit);
    }
  }
  if (!hasTail) return;

  for (let at = list; at < listed; at += 4) store<i32>(uppers + (<usize>load<u32>(at) << 2), DONE);
  lookAt(state, query, offsets, array, tails, tailBytes, tailWeights, dots, first, list, listed);
  threshold4 = lowered(state, constant, unit);
  listed = list;
  for (let row = 0; row < count; row += 4) {
    const seen4 = v128.load(uppers + (<usize>row << 2));
    const ruledOut4 = v128.or(f32x4.lt(seen4, threshold4), i32x4.eq(seen4, i32x4.splat(DONE)));
    let asked = ~i32x4.bitmask(ruledOut4) & 15;
    if (asked == 0) continue;
    asked &= askedOf(row, count, mask);
    for (; asked != 0; asked &= asked - 1) {
      store<u32>(listed, row + ctz(asked));
      listed += 4;
    }
  }
  lookAt(state, query, offsets, array, tails, tailBytes, tailWeights, dots, first, list, listed);
}
