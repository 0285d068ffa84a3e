// The certified scan of a block of int8 codes: bounds on the similarity of its rows to one query, and the rows that can still be
// among the k most similar. vector/code-space.ts proves the bounds; kernel/scan.ts draws the memory; the oracle is
// kernel/scalar-code-scan.ts, which takes row after row: the order changes the time and never the result.
//
// Four rows go together. Their products with the query's weights are whole numbers; their upper bounds, in float32 and loosened
// by more than that rounds, say which of them need a look, in float64.
//
// Where there are tails, rows are gone through twice, a window of many blocks at a time. First their heads (`scanHeads`). Then, of
// all that window, the rows with the best estimates are looked at, which makes the threshold almost the final one, and only then
// the rows that it leaves (`scanTails`), in float32 again before any is looked at in float64. Their tails lie apart, and a processor
// that meets them one by one waits for memory each time: so those of some rows are touched together, which makes it fetch all of
// them at once.

import { enterBest, note, offer, thresholdOf } from "./survivors";

/** Covers the rounding of the offset to float32 and all float64 rounding of this file; 2^-22. */
const SLACK: f64 = 2.384185791015625e-7;
/** Covers all float32 rounding: 2^-20 of what has a sign, twice that on the rest, and 2^-116 for what falls below float32. */
const SLACK32: f64 = 9.5367431640625e-7;
const LEAST32: f64 = 1.2037062152420224e-35;

/** Stands for the upper bound of a row that has been looked at, or is not asked for: a NaN that no arithmetic gives. */
const DONE: i32 = 0x7fd0d0d0;
/** Stands for the place of one of the best rows that has been looked at. */
const LOOKED: usize = 0xffffffff;

/** Rows whose tails are touched together: with more of them there is nothing left to overlap. */
const TOUCHED_ROWS: usize = 8;

/**
 * What float32 bounds of heads are made with, four lanes each, behind the numbers of a state. It is read from memory in each turn of a
 * loop: what the engine's compiler can compute it computes there anew, which took as long as the bounds themselves.
 */
const STEP: usize = 80;
const PER_ERROR: usize = 96;
const PER_SCALE: usize = 112;
const PER_OFFSET: usize = 128;
const PER_TAIL_NORM: usize = 144;

// @ts-ignore: decorator
@inline
function loosened(value: f64, unit: f64): v128 {
  return f32x4.splat(<f32>(value * unit * (1 + 2 * SLACK32) + LEAST32));
}

/** Writes them. `per scale` covers the rounding of products, too: of the largest that may be, so that none has to be measured. */
function writeFactors(state: usize, query: usize, headBytes: usize): void {
  const unit = load<f64>(query, 32), step = load<f64>(query);
  const rounding = step * 128 * <f64>sumOfSizes(query + 80, headBytes) * SLACK32;
  v128.store(state, f32x4.splat(<f32>(step * unit)), STEP);
  v128.store(state, loosened(load<f64>(query, 8), unit), PER_ERROR);
  v128.store(state, loosened(load<f64>(query, 16) + rounding, unit), PER_SCALE);
  // Offsets are negative or zero: less of them is more.
  v128.store(state, f32x4.splat(<f32>(unit * (1 - 2 * SLACK32))), PER_OFFSET);
  v128.store(state, loosened(load<f64>(query, 64), unit), PER_TAIL_NORM);
}

/** The sum of the absolute values of so many weights. */
// @ts-ignore: decorator
@inline
function sumOfSizes(weights: usize, count: usize): i32 {
  let sum = i32x4.splat(0);
  for (const end = weights + (count << 1); weights < end; weights += 16) {
    sum = i32x4.add(sum, i32x4.extadd_pairwise_i16x8_u(i16x8.abs(v128.load(weights))));
  }
  return i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3);
}

/** From products and parameters of a group, in float32: estimates from its heads. */
// @ts-ignore: decorator
@inline
function estimatesOf(state: usize, dot: v128, params: usize): v128 {
  const product4 = f32x4.mul(v128.load(params, 16), f32x4.mul(v128.load(state, STEP), f32x4.convert_i32x4_s(dot)));
  return f32x4.add(product4, f32x4.mul(v128.load(params), v128.load(state, PER_OFFSET)));
}

/** What is to be added to them for an upper bound. */
// @ts-ignore: decorator
@inline
function doubtsOf(state: usize, params: usize): v128 {
  const errors = f32x4.mul(v128.load(params, 32), v128.load(state, PER_ERROR));
  return f32x4.add(errors, f32x4.mul(v128.load(params, 16), v128.load(state, PER_SCALE)));
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

/** u·w of one row of a group, of which the first 16 bytes lie at `codes`. */
// @ts-ignore: decorator
@inline
function dotLane(codes: usize, query: usize, width: usize): i32 {
  let a = i32x4.splat(0);
  for (const end = codes + (width << 2); codes < end; codes += 64, query += 32) {
    a = i32x4.add(a, dot16(codes, 0, v128.load(query), v128.load(query, 16)));
  }
  return i32x4.extract_lane(a, 0) + i32x4.extract_lane(a, 1) + i32x4.extract_lane(a, 2) + i32x4.extract_lane(a, 3);
}

/** Bytes of a group of four rows: their heads, and 4 x f32 for each parameter that is kept with them. */
// @ts-ignore: decorator
@inline
function groupBytes(headBytes: usize, hasTail: bool): usize {
  return (headBytes << 2) + (hasTail ? 64 : 48);
}

/**
 * A look at one row in float64: notes it and offers its lower bound if its bounds let it in. `params` points at its offset, `tail` at
 * scale, error and codes of its tail.
 */
function look(
  state: usize, query: usize, params: usize, dot: i32, tail: usize, tailBytes: usize, tailDot: i32, row: i32,
): void {
  const offset = <f64>load<f32>(params);
  // The mark of a row that is gone.
  if (offset == -Infinity) return;
  const scale = <f64>load<f32>(params, 16);
  const product = load<f64>(query) * scale * <f64>dot;
  let estimate = product + offset;
  let doubt = <f64>load<f32>(params, 32) * load<f64>(query, 8) + scale * load<f64>(query, 16) + load<f64>(query, 24);
  let size = abs<f64>(product) + abs<f64>(offset);
  let upper = estimate + doubt + size * SLACK;
  if (tailBytes > 0) {
    upper += <f64>load<f32>(params, 48) * load<f64>(query, 64);
    const tailScale = <f64>load<f32>(tail);
    const tailProduct = load<f64>(query, 40) * tailScale * <f64>tailDot;
    estimate += tailProduct;
    doubt += <f64>load<f32>(tail, 4) * load<f64>(query, 48) + tailScale * load<f64>(query, 56);
    size += abs<f64>(tailProduct);
    upper = min(upper, estimate + doubt + size * SLACK);
  }
  if (!(upper >= thresholdOf(state))) return;
  note(state, row, upper);
  offer(state, estimate - doubt - size * SLACK);
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
 * Scans the first `count` rows of a block without tails, numbered from `first`; `mask` points at a byte a row, or is 0.
 */
export function scanCodes(
  state: usize, query: usize, block: usize, headBytes: usize, count: i32, first: i32, mask: usize,
): void {
  const group = groupBytes(headBytes, false), paramsAt = headBytes << 2;
  const constant = load<f64>(query, 24), unit = load<f64>(query, 32);
  const weights = query + 80, dots = state + 64;
  writeFactors(state, query, headBytes);
  let threshold4 = lowered(state, constant, unit);

  for (let row = 0; row < count; row += 4, block += group) {
    let asked = askedOf(row, count, mask);
    if (asked == 0) continue;
    const dot = dotGroup(block, weights, headBytes);
    const params = block + paramsAt;
    const upper4 = f32x4.add(estimatesOf(state, dot, params), doubtsOf(state, params));
    // NaN, which only rows out of bounds give, is not below.
    asked &= ~i32x4.bitmask(f32x4.lt(upper4, threshold4));
    if (asked == 0) continue;
    v128.store(dots, dot);
    for (; asked != 0; asked &= asked - 1) {
      const r = ctz(asked), lane = <usize>r << 2;
      look(state, query, params + lane, load<i32>(dots + lane), 0, 0, 0, first + row + r);
    }
    threshold4 = lowered(state, constant, unit);
  }
}

/**
 * The heads of the first `count` rows of a block with tails; `mask` as for `scanCodes`. Of each row two float32 numbers go to a
 * window of `rows` each, from place `at` on, a multiple of 4: the upper bound of what its head has, and with that of its tail. The
 * places of those with the best estimates are kept.
 */
export function scanHeads(
  state: usize, query: usize, block: usize, headBytes: usize, tailBytes: usize, capacity: usize, count: i32, first: i32,
  mask: usize, window: usize, rows: usize, at: i32,
): void {
  const group = groupBytes(headBytes, true), paramsAt = headBytes << 2;
  const weights = query + 80;
  writeFactors(state, query, headBytes);
  const best = <usize>load<u32>(state, 48), estimates = state + 64;
  const most = load<i32>(state, 40);
  let bar4 = f32x4.splat(load<f32>(state, 52));
  let near = window + (<usize>at << 2), upper = near + (rows << 2);

  for (let row = 0; row < count; row += 4, block += group, near += 16, upper += 16) {
    let asked = askedOf(row, count, mask);
    if (asked == 0) {
      v128.store(upper, i32x4.splat(DONE));
      continue;
    }
    const dot = dotGroup(block, weights, headBytes);
    const params = block + paramsAt;
    const estimate4 = estimatesOf(state, dot, params), near4 = f32x4.add(estimate4, doubtsOf(state, params));
    v128.store(near, near4);
    v128.store(upper, f32x4.add(near4, f32x4.mul(v128.load(params, 48), v128.load(state, PER_TAIL_NORM))));
    if (asked != 15) {
      for (let not = asked ^ 15; not != 0; not &= not - 1) store<i32>(upper + (<usize>ctz(not) << 2), DONE);
    }
    asked &= i32x4.bitmask(f32x4.gt(estimate4, bar4));
    if (asked == 0) continue;
    v128.store(estimates, estimate4);
    for (; asked != 0; asked &= asked - 1) {
      const r = ctz(asked);
      const size = enterBest(best, load<i32>(state, 44), most, load<f32>(estimates + (<usize>r << 2)), at + row + r);
      store<i32>(state, size, 44);
      if (size == most) store<f32>(state, load<f32>(best), 52);
    }
    bar4 = f32x4.splat(load<f32>(state, 52));
  }
}

/** Has a processor fetch the tails of a list of (u32 block, u32 row) all at once. */
// @ts-ignore: decorator
@inline
function touch(state: usize, tails: usize, tailBytes: usize, from: usize, to: usize): void {
  let touched = 0;
  for (let at = from; at < to; at += 8) {
    const tail = <usize>load<u32>(<usize>load<u32>(at)) + tails + <usize>load<u32>(at, 4) * (tailBytes + 8);
    for (let line: usize = 0; line < tailBytes + 8; line += 64) touched ^= load<i32>(tail + line);
  }
  // Nobody reads it: a value that is not kept would not be fetched.
  store<i32>(state, touched, 56);
}

/** Looks at the rows of a list. */
function lookAt(
  state: usize, query: usize, headBytes: usize, tailBytes: usize, capacity: usize, window: usize, blocks: usize, from: usize,
  to: usize,
): void {
  const weights = query + 80, tailWeights = weights + (headBytes << 1);
  const group = groupBytes(headBytes, true), tails = (capacity >> 2) * group;
  const constant = load<f64>(query, 24), unit = load<f64>(query, 32);
  const step = <f32>(load<f64>(query, 40) * unit), slack = <f32>SLACK32;
  const perError = f32x4.extract_lane(loosened(load<f64>(query, 48), unit), 0);
  const perScale = f32x4.extract_lane(loosened(load<f64>(query, 56), unit), 0);
  let threshold = f32x4.extract_lane(lowered(state, constant, unit), 0);
  touch(state, tails, tailBytes, from, to);
  store<i32>(state, load<i32>(state, 36) + <i32>((to - from) >> 3), 36);
  for (let at = from; at < to; at += 8) {
    const entry = <usize>load<u32>(at), row = load<u32>(at, 4);
    const block = <usize>load<u32>(entry), tail = block + tails + <usize>row * (tailBytes + 8);
    const tailDot = dotRow(tail + 8, tailWeights, tailBytes);
    const scale = load<f32>(tail);
    const product = scale * (step * <f32>tailDot);
    const rest = product + (abs<f32>(product) * slack + (load<f32>(tail, 4) * perError + scale * perScale));
    // NaN is not below.
    if (load<f32>(window + ((((entry - blocks) >> 4) * capacity + <usize>row) << 2)) + rest < threshold) continue;
    const codes = block + <usize>(row >> 2) * group, lane = <usize>(row & 3);
    const dot = dotLane(codes + (lane << 4), weights, headBytes);
    look(state, query, codes + (headBytes << 2) + (lane << 2), dot, tail, tailBytes, tailDot, load<u32>(entry, 4) + row);
    threshold = f32x4.extract_lane(lowered(state, constant, unit), 0);
  }
}

/**
 * Looks at the rows of a window, filled by `scanHeads`, whose heads leave them in doubt. `blocks` points at 16 bytes for each block,
 * whose rows begin at every `capacity`-th place: where it lies, the number of its first row, how many rows, unused; behind the
 * window lie 64 bytes for the kernel's use.
 */
export function scanTails(
  state: usize, query: usize, headBytes: usize, tailBytes: usize, capacity: usize, window: usize, rows: usize, blocks: usize,
  count: i32,
): void {
  const constant = load<f64>(query, 24), unit = load<f64>(query, 32);
  const uppers = window + (rows << 2), list = uppers + (rows << 2), full = list + (TOUCHED_ROWS << 3);
  let listed = list;
  for (let at = <usize>load<u32>(state, 48), end = at + (<usize>load<i32>(state, 44) << 3); at < end; at += 8) {
    const place = <usize>load<u32>(at, 4);
    if (place == LOOKED) continue;
    store<u32>(at, LOOKED, 4);
    store<i32>(uppers + (place << 2), DONE);
    store<u32>(listed, <u32>(blocks + ((place / capacity) << 4)));
    store<u32>(listed, <u32>(place % capacity), 4);
    listed += 8;
    if (listed < full) continue;
    lookAt(state, query, headBytes, tailBytes, capacity, window, blocks, list, listed);
    listed = list;
  }
  lookAt(state, query, headBytes, tailBytes, capacity, window, blocks, list, listed);
  listed = list;

  let threshold4 = lowered(state, constant, unit);
  let seen = uppers;
  for (let block = blocks, end = blocks + (<usize>count << 4); block < end; block += 16, seen += capacity << 2) {
    const inBlock = load<i32>(block, 8);
    for (let row = 0; row < inBlock; row += 4) {
      const upper4 = v128.load(seen + (<usize>row << 2));
      const ruledOut4 = v128.or(f32x4.lt(upper4, threshold4), i32x4.eq(upper4, i32x4.splat(DONE)));
      for (let left = ~i32x4.bitmask(ruledOut4) & 15; left != 0; left &= left - 1) {
        store<u32>(listed, <u32>block);
        store<u32>(listed, row + ctz(left), 4);
        listed += 8;
        if (listed < full) continue;
        lookAt(state, query, headBytes, tailBytes, capacity, window, blocks, list, listed);
        listed = list;
        threshold4 = lowered(state, constant, unit);
      }
    }
  }
  lookAt(state, query, headBytes, tailBytes, capacity, window, blocks, list, listed);
}
