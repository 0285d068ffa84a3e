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
// them at once. Where many rows are left it fetches those in between, too, as one stream; where few rows are asked for at all, their
// heads lie apart and are touched in the same way.

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
const TOUCHED_ROWS: usize = 32;
/** Where at least one tail in so many is wanted, those in between are touched as well. */
const DENSE: usize = 6;
/** Groups of which those asked for are touched together, unless they are more than so many: then all are read as one stream. */
const TOUCHED_GROUPS: i32 = 64;
const SPARSE_GROUPS: i32 = 16;

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

/** The same of tails, for as long as no heads are scanned. */
function writeTailFactors(state: usize, query: usize, headBytes: usize, tailBytes: usize): void {
  const unit = load<f64>(query, 32), step = load<f64>(query, 40);
  const rounding = step * 128 * <f64>sumOfSizes(query + 80 + (headBytes << 1), tailBytes) * SLACK32;
  v128.store(state, f32x4.splat(<f32>(step * unit)), STEP);
  v128.store(state, loosened(load<f64>(query, 48), unit), PER_ERROR);
  v128.store(state, loosened(load<f64>(query, 56) + rounding, unit), PER_SCALE);
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
export function dot16(codes: usize, at: usize, q0: v128, q1: v128): v128 {
  return i32x4.add(
    i32x4.dot_i16x8_s(v128.load8x8_s(codes + at), q0),
    i32x4.dot_i16x8_s(v128.load8x8_s(codes + at, 8), q1),
  );
}

/** u·w of one row of a group, of which the first 16 bytes lie at `codes`. */
// @ts-ignore: decorator
@inline
export function dotLane(codes: usize, query: usize, width: usize): i32 {
  let a = i32x4.splat(0);
  for (const end = codes + (width << 2); codes < end; codes += 64, query += 32) {
    a = i32x4.add(a, dot16(codes, 0, v128.load(query), v128.load(query, 16)));
  }
  return i32x4.extract_lane(a, 0) + i32x4.extract_lane(a, 1) + i32x4.extract_lane(a, 2) + i32x4.extract_lane(a, 3);
}

/** Bytes of a group of four rows: their heads, and 4 x f32 for each parameter that is kept with them. */
// @ts-ignore: decorator
@inline
export function groupBytes(headBytes: usize, hasTail: bool): usize {
  return (headBytes << 2) + (hasTail ? 64 : 48);
}

/**
 * A look at one row in float64: notes it and offers its lower bound if its bounds let it in. `params` points at its offset, `tail` at
 * scale, error and codes of its tail.
 */
export function look(
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

/** The same as lanes, all bits of which are set. */
// @ts-ignore: decorator
@inline
function asked4Of(row: i32, count: i32, mask: usize): v128 {
  const inside4 = i32x4.gt_s(i32x4.splat(count - row), i32x4(0, 1, 2, 3));
  if (mask == 0) return inside4;
  const bytes = v128.load32_zero(mask + <usize>row);
  const asked4 = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(bytes));
  return v128.and(inside4, i32x4.ne(asked4, i32x4.splat(0)));
}

/**
 * Whether few of the next groups are asked for, of so many rows at `mask` and behind it. Then those are touched together: a
 * processor that meets groups here and there does not see them coming.
 */
function touchAsked(state: usize, block: usize, group: usize, mask: usize, rows: i32): bool {
  const groups = min((rows + 3) >> 2, TOUCHED_GROUPS);
  let asked = 0;
  for (let i = 0; i < groups; i++) asked += <i32>(load<i32>(mask + (<usize>i << 2)) != 0);
  if (asked > SPARSE_GROUPS) return false;
  let touched = 0;
  for (let i = 0; i < groups; i++, block += group) {
    if (load<i32>(mask + (<usize>i << 2)) == 0) continue;
    for (let line: usize = 0; line < group; line += 64) touched ^= load<i32>(block + line);
  }
  store<i32>(state, touched, 56);
  return true;
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
  let isSparse = false;

  for (let row = 0; row < count; row += 4, block += group, near += 16, upper += 16) {
    if (mask != 0) {
      if ((row & (TOUCHED_GROUPS * 4 - 1)) == 0) isSparse = touchAsked(state, block, group, mask + <usize>row, count - row);
      if (isSparse && load<i32>(mask + <usize>row) == 0) {
        v128.store(upper, i32x4.splat(DONE));
        continue;
      }
    }
    const dot = dotGroup(block, weights, headBytes);
    const params = block + paramsAt;
    const estimate4 = estimatesOf(state, dot, params), near4 = f32x4.add(estimate4, doubtsOf(state, params));
    v128.store(near, near4);
    let upper4 = f32x4.add(near4, f32x4.mul(v128.load(params, 48), v128.load(state, PER_TAIL_NORM)));
    let asked = i32x4.bitmask(f32x4.gt(estimate4, bar4));
    if (mask != 0 || count - row < 4) {
      const asked4 = asked4Of(row, count, mask);
      upper4 = v128.bitselect(upper4, i32x4.splat(DONE), asked4);
      asked &= i32x4.bitmask(asked4);
    }
    v128.store(upper, upper4);
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

/** Has a processor fetch the tails of a list of (u32 tail, u32 place) all at once. */
// @ts-ignore: decorator
@inline
function touch(state: usize, bytes: usize, from: usize, to: usize): void {
  let touched = 0;
  const first = <usize>load<u32>(from), end = <usize>load<u32>(to - 8) + bytes;
  if (end - first < ((to - from) >> 3) * bytes * DENSE) {
    // What lies between is fetched as well: as one stream, which takes less time than a part of it does.
    for (let line = first; line < end; line += 64) touched ^= load<i32>(line);
    store<i32>(state, touched, 56);
    return;
  }
  for (let at = from; at < to; at += 8) {
    const tail = <usize>load<u32>(at);
    for (let line: usize = 0; line < bytes; line += 64) touched ^= load<i32>(tail + line);
  }
  // Nobody reads it: a value that is not kept would not be fetched.
  store<i32>(state, touched, 56);
}

/** u·w of four rows, wherever they lie. */
// @ts-ignore: decorator
@inline
function dotFour(row0: usize, row1: usize, row2: usize, row3: usize, query: usize, width: usize): v128 {
  let a = i32x4.splat(0), b = i32x4.splat(0), c = i32x4.splat(0), d = i32x4.splat(0);
  for (let at: usize = 0; at < width; at += 16, query += 32) {
    const q0 = v128.load(query), q1 = v128.load(query, 16);
    a = i32x4.add(a, dot16(row0 + at, 0, q0, q1));
    b = i32x4.add(b, dot16(row1 + at, 0, q0, q1));
    c = i32x4.add(c, dot16(row2 + at, 0, q0, q1));
    d = i32x4.add(d, dot16(row3 + at, 0, q0, q1));
  }
  return sums(a, b, c, d);
}

/** The numbers at four addresses. */
// @ts-ignore: decorator
@inline
function gathered(at0: usize, at1: usize, at2: usize, at3: usize): v128 {
  let four = v128.load32_zero(at0);
  four = v128.load_lane<f32>(at1, four, 1);
  four = v128.load_lane<f32>(at2, four, 2);
  return v128.load_lane<f32>(at3, four, 3);
}

/** Looks at the rows of a list, at least one. Behind it there is room for three more. */
function lookAt(
  state: usize, query: usize, headBytes: usize, tailBytes: usize, capacity: usize, window: usize, blocks: usize, from: usize,
  to: usize,
): void {
  const weights = query + 80, tailWeights = weights + (headBytes << 1);
  const group = groupBytes(headBytes, true), dots = state + 64;
  const constant = load<f64>(query, 24), unit = load<f64>(query, 32);
  touch(state, tailBytes + 8, from, to);
  store<i32>(state, load<i32>(state, 36) + <i32>((to - from) >> 3), 36);
  // The last group of four is filled up with the last row.
  const last = load<u64>(to - 8);
  store<u64>(to, last);
  store<u64>(to, last, 8);
  store<u64>(to, last, 16);
  let threshold4 = lowered(state, constant, unit);
  for (let at = from; at < to; at += 32) {
    const tail0 = <usize>load<u32>(at), tail1 = <usize>load<u32>(at, 8);
    const tail2 = <usize>load<u32>(at, 16), tail3 = <usize>load<u32>(at, 24);
    const dot = dotFour(tail0 + 8, tail1 + 8, tail2 + 8, tail3 + 8, tailWeights, tailBytes);
    const near4 = gathered(
      window + (<usize>load<u32>(at, 4) << 2), window + (<usize>load<u32>(at, 12) << 2),
      window + (<usize>load<u32>(at, 20) << 2), window + (<usize>load<u32>(at, 28) << 2),
    );
    const scale4 = gathered(tail0, tail1, tail2, tail3), error4 = gathered(tail0 + 4, tail1 + 4, tail2 + 4, tail3 + 4);
    const product4 = f32x4.mul(scale4, f32x4.mul(v128.load(state, STEP), f32x4.convert_i32x4_s(dot)));
    const doubt4 = f32x4.add(
      f32x4.mul(error4, v128.load(state, PER_ERROR)), f32x4.mul(scale4, v128.load(state, PER_SCALE)));
    const upper4 = f32x4.add(near4, f32x4.add(product4, doubt4));
    // NaN is not below.
    let left = ~i32x4.bitmask(f32x4.lt(upper4, threshold4)) & 15;
    const rows = <i32>((to - at) >> 3);
    if (rows < 4) left &= (1 << rows) - 1;
    if (left == 0) continue;
    v128.store(dots, dot);
    for (; left != 0; left &= left - 1) {
      const r = <usize>ctz(left), place = <usize>load<u32>(at + (r << 3), 4);
      const entry = blocks + ((place / capacity) << 4), row = place % capacity;
      const codes = <usize>load<u32>(entry) + (row >> 2) * group, lane = row & 3;
      const headDot = dotLane(codes + (lane << 4), weights, headBytes);
      const tail = <usize>load<u32>(at + (r << 3));
      look(
        state, query, codes + (headBytes << 2) + (lane << 2), headDot, tail, tailBytes, load<i32>(dots + (r << 2)),
        load<i32>(entry, 4) + <i32>row,
      );
    }
    threshold4 = lowered(state, constant, unit);
  }
}

/**
 * Looks at the rows of a window, filled by `scanHeads`, whose heads leave them in doubt. `blocks` points at 16 bytes for each block,
 * whose rows begin at every `capacity`-th place: where it lies, the number of its first row, how many rows, unused; behind the
 * window lie 320 bytes for the kernel's use.
 */
export function scanTails(
  state: usize, query: usize, headBytes: usize, tailBytes: usize, capacity: usize, window: usize, rows: usize, blocks: usize,
  count: i32,
): void {
  const constant = load<f64>(query, 24), unit = load<f64>(query, 32);
  const uppers = window + (rows << 2), list = uppers + (rows << 2), full = list + (TOUCHED_ROWS << 3);
  const tails = (capacity >> 2) * groupBytes(headBytes, true), stride = tailBytes + 8;
  writeTailFactors(state, query, headBytes, tailBytes);
  let listed = list;
  for (let at = <usize>load<u32>(state, 48), end = at + (<usize>load<i32>(state, 44) << 3); at < end; at += 8) {
    const place = <usize>load<u32>(at, 4);
    if (place == LOOKED) continue;
    store<u32>(at, LOOKED, 4);
    store<i32>(uppers + (place << 2), DONE);
    store<u32>(listed, load<u32>(blocks + ((place / capacity) << 4)) + <u32>(tails + (place % capacity) * stride));
    store<u32>(listed, <u32>place, 4);
    listed += 8;
    if (listed < full) continue;
    lookAt(state, query, headBytes, tailBytes, capacity, window, blocks, list, listed);
    listed = list;
  }
  if (listed > list) lookAt(state, query, headBytes, tailBytes, capacity, window, blocks, list, listed);
  listed = list;

  let threshold4 = lowered(state, constant, unit);
  let first: usize = 0;
  for (let block = blocks, end = blocks + (<usize>count << 4); block < end; block += 16, first += capacity) {
    const inBlock = <usize>load<i32>(block, 8);
    let tail = <usize>load<u32>(block) + tails;
    for (let place = first, end = first + inBlock; place < end; place += 16, tail += stride << 4) {
      if (place + 16 <= end && areBelow(uppers + (place << 2), threshold4)) continue;
      for (let group = place, inTails = tail, most = min(place + 16, end); group < most; group += 4, inTails += stride << 2) {
        const upper4 = v128.load(uppers + (group << 2));
        const ruledOut4 = v128.or(f32x4.lt(upper4, threshold4), i32x4.eq(upper4, i32x4.splat(DONE)));
        const left = <usize>(~i32x4.bitmask(ruledOut4) & 15);
        if (left == 0) continue;
        // Without a branch for each, which nothing could foretell.
        listed = listedAt(listed, inTails, group, left & 1);
        listed = listedAt(listed, inTails + stride, group + 1, (left >> 1) & 1);
        listed = listedAt(listed, inTails + (stride << 1), group + 2, (left >> 2) & 1);
        listed = listedAt(listed, inTails + stride * 3, group + 3, left >> 3);
        if (listed < full) continue;
        lookAt(state, query, headBytes, tailBytes, capacity, window, blocks, list, listed);
        listed = list;
        threshold4 = lowered(state, constant, unit);
      }
    }
  }
  if (listed > list) lookAt(state, query, headBytes, tailBytes, capacity, window, blocks, list, listed);
}

/** Whether all of sixteen bounds are below a threshold. */
// @ts-ignore: decorator
@inline
function areBelow(uppers: usize, threshold4: v128): bool {
  const a = v128.and(f32x4.lt(v128.load(uppers), threshold4), f32x4.lt(v128.load(uppers, 16), threshold4));
  const b = v128.and(f32x4.lt(v128.load(uppers, 32), threshold4), f32x4.lt(v128.load(uppers, 48), threshold4));
  return i32x4.bitmask(v128.and(a, b)) == 15;
}

/** Writes a row behind a list, and returns its new end: that of before where `isLeft` is 0. */
// @ts-ignore: decorator
@inline
function listedAt(listed: usize, tail: usize, place: usize, isLeft: usize): usize {
  store<u32>(listed, <u32>tail);
  store<u32>(listed, <u32>place, 4);
  return listed + (isLeft << 3);
}
