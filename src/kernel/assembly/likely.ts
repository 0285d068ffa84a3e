// Where a column has codes of both kinds: of the rows that their 1-bit codes have left, a list of (f32 upper bound, i32 row), the
// others are looked at in the order that spares most of them. First those with the best bounds: so the threshold is almost the true
// one; then the rest, as far as that leaves any. The oracle is kernel/scalar-likely.ts.

import { settleOneBit } from "./one-bit";
import { dot16, dotLane, groupBytes, look } from "./scan-codes";
import { enterBest, thresholdOf } from "./survivors";

/** Rounding of the threshold to float32. */
const SLACK32: f64 = 4.76837158203125e-7;
const ENTRY_BYTES: usize = 32;
/** Bytes of a row that waits to be looked at. */
const ROW_BYTES: usize = 12;
/** Rows whose codes are touched together: with more of them there is nothing left to overlap. */
const TOUCHED_ROWS: usize = 8;
/** Stands for a row that has been looked at. */
const LOOKED: i32 = -1;

/** The threshold of codes for exact answers as one of 1-bit codes, where it is higher. */
// @ts-ignore: decorator
@inline
function raise(bits: usize, state: usize, shift: f64): void {
  const threshold = thresholdOf(state) + shift;
  const lowered = <f32>(threshold - abs<f64>(threshold) * SLACK32);
  if (lowered > load<f32>(bits)) store<f32>(bits, lowered);
}

/** u·w of one row of int8 codes and an int16 query; `width` is a multiple of 16. */
// @ts-ignore: decorator
@inline
function dotRow(codes: usize, query: usize, width: usize): i32 {
  let a = i32x4.splat(0);
  for (const end = codes + width; codes < end; codes += 16, query += 32) {
    a = i32x4.add(a, dot16(codes, 0, v128.load(query), v128.load(query, 16)));
  }
  return i32x4.extract_lane(a, 0) + i32x4.extract_lane(a, 1) + i32x4.extract_lane(a, 2) + i32x4.extract_lane(a, 3);
}

/** The last of the entries from `entry` to `end` whose first row is not above a row: the block it is in. */
function entryOf(row: i32, entry: usize, end: usize): usize {
  let few = <i32>((end - entry) / ENTRY_BYTES);
  while (few > 1) {
    const half = few >> 1, middle = entry + <usize>half * ENTRY_BYTES;
    if (load<i32>(middle, 8) > row) few = half;
    else {
      entry = middle;
      few -= half;
    }
  }
  return entry;
}

/**
 * Looks at up to `TOUCHED_ROWS` rows of both codes: u32 where each block lies, i32 the number of its first row, i32 the row within it. A
 * processor is made to fetch the codes of all of them at once.
 */
function lookAt(job: usize, from: usize, to: usize): void {
  const query = <usize>load<u32>(job, 4), state = <usize>load<u32>(job, 8);
  const headBytes = <usize>load<u32>(job, 12), tailBytes = <usize>load<u32>(job, 16), capacity = <usize>load<u32>(job, 20);
  const weights = query + 80, tailWeights = weights + (headBytes << 1);
  const group = groupBytes(headBytes, tailBytes > 0), tails = (capacity >> 2) * group;
  let touched = 0;
  for (let at = from; at < to; at += ROW_BYTES) {
    const block = <usize>load<u32>(at), row = <usize>load<u32>(at, 8);
    const head = block + (row >> 2) * group;
    for (let line: usize = 0; line < group; line += 64) touched ^= load<i32>(head + line);
    if (tailBytes == 0) continue;
    const tail = block + tails + row * (tailBytes + 8);
    for (let line: usize = 0; line < tailBytes + 8; line += 64) touched ^= load<i32>(tail + line);
  }
  // Nobody reads it: a value that is not kept would not be fetched.
  store<i32>(state, touched, 56);
  for (let at = from; at < to; at += ROW_BYTES) {
    const block = <usize>load<u32>(at), row = <usize>load<u32>(at, 8), lane = row & 3;
    const codes = block + (row >> 2) * group, tail = block + tails + row * (tailBytes + 8);
    const dot = dotLane(codes + (lane << 4), weights, headBytes);
    const tailDot = tailBytes > 0 ? dotRow(tail + 8, tailWeights, tailBytes) : 0;
    look(state, query, codes + (headBytes << 2) + (lane << 2), dot, tail, tailBytes, tailDot, load<i32>(at, 4) + <i32>row);
  }
  store<i32>(state, load<i32>(state, 36) + <i32>((to - from) / ROW_BYTES), 36);
  raise(load<u32>(job, 48), state, load<f64>(job, 80));
}

/**
 * Looks at the rows listed, and empties the list. Their blocks are among the entries from `entry` to `end`; `rows` points at room for
 * `TOUCHED_ROWS` rows.
 */
export function lookAtLikely(job: usize, entry: usize, end: usize, rows: usize): void {
  const state = <usize>load<u32>(job, 8), bits = <usize>load<u32>(job, 48);
  const list = <usize>load<u32>(bits, 24), listEnd = list + (<usize>settleOneBit(bits) << 3);
  const best = <usize>load<u32>(state, 48), most = load<i32>(state, 40);
  const full = rows + TOUCHED_ROWS * ROW_BYTES;
  let size = 0;
  for (let at = list; at < listEnd; at += 8) size = enterBest(best, size, most, load<f32>(at), <u32>at);
  let waiting = rows;
  for (let i: usize = 0; i < <usize>size; i++) {
    const at = <usize>load<u32>(best + (i << 3), 4);
    waiting = wait(waiting, load<i32>(at, 4), entry, end);
    store<i32>(at, LOOKED, 4);
    if (waiting < full) continue;
    lookAt(job, rows, waiting);
    waiting = rows;
  }
  lookAt(job, rows, waiting);
  waiting = rows;
  let threshold = load<f32>(bits);
  for (let at = list; at < listEnd; at += 8) {
    const row = load<i32>(at, 4);
    if (row == LOOKED || load<f32>(at) < threshold) continue;
    waiting = wait(waiting, row, entry, end);
    if (waiting < full) continue;
    lookAt(job, rows, waiting);
    waiting = rows;
    threshold = load<f32>(bits);
  }
  lookAt(job, rows, waiting);
  store<i32>(bits, 0, 12);
}

/** Writes a row behind those that wait. Returns where the next goes. */
// @ts-ignore: decorator
@inline
function wait(at: usize, row: i32, entry: usize, end: usize): usize {
  const block = entryOf(row, entry, end), first = load<i32>(block, 8);
  store<u32>(at, load<u32>(block));
  store<i32>(at, first, 4);
  store<i32>(at, row - first, 8);
  return at + ROW_BYTES;
}
