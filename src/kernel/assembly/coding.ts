// Stored vectors become codes: centred, rotated, rounded to int8, with the norms of what was lost. What is computed and why the
// bounds hold is proved in vector/code-space.ts; kernel/coder.ts draws the memory; kernel/scalar-coder.ts is the oracle.

import { high, load4, low } from "./numbers";

const CODE_MAX: f32 = 127;
/** Rows that are rotated together, so that each reflector is read once for all of them. */
const GROUP: i32 = 4;
/** Elements summed in one chain: short chains keep the rounding error small. */
const CHAIN_BYTES: usize = 128;
/** Below this a scale is taken as zero: its inverse must be a finite f32. Coordinates are below 2. */
const SCALE_MIN: f64 = 7.888609052210118e-31;
/** How far |v|² of a reflector may be from 2. */
const SQUARES_AWAY_MAX: f64 = 0.01;
/** Makes a float32 of a float64 that is not smaller; 1 + 2^-22 and 2^-148. */
const UPWARDS: f64 = 1.0000002384185791;
const LEAST: f64 = 2.802596928649634e-45;

// The job, as laid out in coder.ts.
// @ts-ignore: decorator
@inline
function widthOf(job: usize): usize {
  return load<u32>(job, 0);
}
// @ts-ignore: decorator
@inline
function headOf(job: usize): usize {
  return load<u32>(job, 4);
}
// @ts-ignore: decorator
@inline
function flagsOf(job: usize): i32 {
  return load<i32>(job, 8);
}
const IS_HALF: i32 = 1;
const IS_COSINE: i32 = 2;
const IS_L2: i32 = 4;

// @ts-ignore: decorator
@inline
function lanes(a: v128, b: v128): f64 {
  return f64x2.extract_lane(a, 0) + f64x2.extract_lane(a, 1) + (f64x2.extract_lane(b, 0) + f64x2.extract_lane(b, 1));
}

/** |x|² in float64. */
// @ts-ignore: decorator
@inline
function squaredNorm<T>(blob: usize, width: usize): f64 {
  let a = f64x2.splat(0), b = f64x2.splat(0);
  for (let i: usize = 0; i < width; i += 4) {
    const x = load4<T>(blob, i), x0 = low(x), x1 = high(x);
    a = f64x2.add(a, f64x2.mul(x0, x0));
    b = f64x2.add(b, f64x2.mul(x1, x1));
  }
  return lanes(a, b);
}

/** Writes y = x·unit - c as f64 and returns |y|²; the largest |y_i| goes to `largest`. */
// @ts-ignore: decorator
@inline
function centre<T>(blob: usize, unit: f64, centres: usize, width: usize, wide: usize, largest: usize): f64 {
  const u = f64x2.splat(unit);
  let a = f64x2.splat(0), b = f64x2.splat(0), most = f64x2.splat(0);
  for (let i: usize = 0; i < width; i += 4) {
    const x = load4<T>(blob, i), c = v128.load(centres + (i << 2));
    const y0 = f64x2.sub(f64x2.mul(low(x), u), low(c)), y1 = f64x2.sub(f64x2.mul(high(x), u), high(c));
    v128.store(wide + (i << 3), y0);
    v128.store(wide + (i << 3), y1, 16);
    a = f64x2.add(a, f64x2.mul(y0, y0));
    b = f64x2.add(b, f64x2.mul(y1, y1));
    most = f64x2.max(most, f64x2.max(f64x2.abs(y0), f64x2.abs(y1)));
  }
  store<f64>(largest, max(f64x2.extract_lane(most, 0), f64x2.extract_lane(most, 1)));
  return lanes(a, b);
}

// @ts-ignore: decorator
@inline
function measure<T>(job: usize, blob: usize, wide: usize, largest: usize): f64 {
  const width = widthOf(job);
  let unit: f64 = 1;
  if (flagsOf(job) & IS_COSINE) {
    const norm = squaredNorm<T>(blob, width);
    unit = norm == 0 ? 0 : 1 / sqrt<f64>(norm);
  }
  return centre<T>(blob, unit, load<u32>(job, 12), width, wide, largest);
}

/** The power of two that brings a number, zero aside, to 1 or a little more. */
// @ts-ignore: decorator
@inline
function towardsOne(value: f64): f64 {
  if (value == 0) return 1;
  return reinterpret<f64>((2046 - ((reinterpret<u64>(value) >> 52) & 0x7ff)) << 52);
}

// @ts-ignore: decorator
@inline
function narrow(wide: usize, factor: f64, width: usize, out: usize): void {
  const f = f64x2.splat(factor);
  for (let i: usize = 0; i < width; i += 4) {
    const a = f32x4.demote_f64x2_zero(f64x2.mul(v128.load(wide + (i << 3)), f));
    const b = f32x4.demote_f64x2_zero(f64x2.mul(v128.load(wide + (i << 3), 16), f));
    v128.store(out + (i << 2), v128.shuffle<f32>(a, b, 0, 1, 4, 5));
  }
}

// @ts-ignore: decorator
@inline
function total(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}

/**
 * Applies the reflectors to GROUP rows, one behind the other. Each pass takes what the last reflector asks off the rows and, of
 * what is left, sums the products with the next one; behind the last reflector stands one of zeros. The rows lie in tiles
 * meanwhile: one address instead of four in each turn, a tenth to a sixth of the time.
 */
function reflect(rows: usize, tiles: usize, width: usize, count: i32, reflectors: usize, factors: usize): void {
  const bytes = width << 2;
  const r1 = rows + bytes, r2 = r1 + bytes, r3 = r2 + bytes;
  for (let i: usize = 0, at = tiles; i < bytes; i += 16, at += 64) {
    v128.store(at, v128.load(rows + i));
    v128.store(at, v128.load(r1 + i), 16);
    v128.store(at, v128.load(r2 + i), 32);
    v128.store(at, v128.load(r3 + i), 48);
  }
  let t0 = f32x4.splat(0), t1 = t0, t2 = t0, t3 = t0;
  for (let j = -1; j < count; j++) {
    const next = reflectors + <usize>(j + 1) * bytes;
    // Before the first pass there is nothing to take off: any reflector does, times 0.
    const last = j < 0 ? next : next - bytes;
    let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
    // A reflector is zero before its own place; four at a time.
    for (let from: usize = j < 0 ? 0 : <usize>(j & ~3) << 2; from < bytes; from += CHAIN_BYTES) {
      const to = min(from + CHAIN_BYTES, bytes);
      let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
      let v = last + from, w = next + from, at = tiles + (from << 2);
      for (const end = last + to; v < end; v += 16, w += 16, at += 64) {
        const x = v128.load(v), y = v128.load(w);
        const z0 = f32x4.sub(v128.load(at), f32x4.mul(t0, x));
        v128.store(at, z0);
        a0 = f32x4.add(a0, f32x4.mul(z0, y));
        const z1 = f32x4.sub(v128.load(at, 16), f32x4.mul(t1, x));
        v128.store(at, z1, 16);
        a1 = f32x4.add(a1, f32x4.mul(z1, y));
        const z2 = f32x4.sub(v128.load(at, 32), f32x4.mul(t2, x));
        v128.store(at, z2, 32);
        a2 = f32x4.add(a2, f32x4.mul(z2, y));
        const z3 = f32x4.sub(v128.load(at, 48), f32x4.mul(t3, x));
        v128.store(at, z3, 48);
        a3 = f32x4.add(a3, f32x4.mul(z3, y));
      }
      s0 = f32x4.add(s0, a0);
      s1 = f32x4.add(s1, a1);
      s2 = f32x4.add(s2, a2);
      s3 = f32x4.add(s3, a3);
    }
    if (j + 1 == count) break;
    const factor = load<f32>(factors + (<usize>(j + 1) << 2));
    t0 = f32x4.splat(factor * total(s0));
    t1 = f32x4.splat(factor * total(s1));
    t2 = f32x4.splat(factor * total(s2));
    t3 = f32x4.splat(factor * total(s3));
  }
  for (let i: usize = 0, at = tiles; i < bytes; i += 16, at += 64) {
    v128.store(rows + i, v128.load(at));
    v128.store(r1 + i, v128.load(at, 16));
    v128.store(r2 + i, v128.load(at, 32));
    v128.store(r3 + i, v128.load(at, 48));
  }
}

/**
 * What makes mirrors of `count` reflectors v, 2/|v|², as f32 and as f64. Tells whether all are reflectors: zero before their own
 * places, as the loops above rely on, and of length about √2.
 */
export function mirrors(reflectors: usize, width: usize, count: i32, factors: usize, wideFactors: usize): bool {
  for (let j = 0; j < count; j++) {
    let before = f32x4.splat(0);
    const whole = <usize>j & ~3;
    for (let i: usize = 0; i < whole; i += 4) {
      before = v128.or(before, f32x4.ne(v128.load(reflectors + (i << 2)), f32x4.splat(0)));
    }
    if (v128.any_true(before)) return false;
    for (let i = whole; i < <usize>j; i++) if (load<f32>(reflectors + (i << 2)) != 0) return false;
    const squares = squaredNorm<f32>(reflectors, width);
    if (!(abs(squares - 2) < SQUARES_AWAY_MAX)) return false;
    store<f32>(factors + (<usize>j << 2), <f32>(2 / squares));
    store<f64>(wideFactors + (<usize>j << 3), 2 / squares);
    reflectors += width << 2;
  }
  return true;
}

/** `reflect` of one vector in float64, for queries. */
export function rotate(row: usize, width: usize, count: i32, reflectors: usize, factors: usize): void {
  const bytes = width << 2;
  let t = f64x2.splat(0);
  for (let j = -1; j < count; j++) {
    const next = reflectors + <usize>(j + 1) * bytes, last = j < 0 ? next : next - bytes;
    let a = f64x2.splat(0), b = f64x2.splat(0);
    for (let i: usize = j < 0 ? 0 : j & ~3; i < width; i += 4) {
      const v = v128.load(last + (i << 2)), w = v128.load(next + (i << 2)), at = row + (i << 3);
      const z0 = f64x2.sub(v128.load(at), f64x2.mul(t, low(v))), z1 = f64x2.sub(v128.load(at, 16), f64x2.mul(t, high(v)));
      v128.store(at, z0);
      v128.store(at, z1, 16);
      a = f64x2.add(a, f64x2.mul(z0, low(w)));
      b = f64x2.add(b, f64x2.mul(z1, high(w)));
    }
    if (j + 1 == count) break;
    t = f64x2.splat(load<f64>(factors + (<usize>(j + 1) << 3)) * lanes(a, b));
  }
}

/** Codes of coordinates that are below 2, which times 1 / factor are the true ones. Returns the scale of these; |rest|² goes to `wrong`. */
// @ts-ignore: decorator
@inline
function quantise(from: usize, length: usize, factor: f64, codes: usize, wrong: usize): f32 {
  let most = f32x4.splat(0);
  for (let i: usize = 0; i < length; i += 4) most = f32x4.max(most, f32x4.abs(v128.load(from + (i << 2))));
  const largest = max(
    max(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 1)),
    max(f32x4.extract_lane(most, 2), f32x4.extract_lane(most, 3)),
  );
  let scale = <f32>(<f64>largest / 127 / factor);
  // The scale as it is stored, in the unit of the coordinates: exact.
  let step = <f64>scale * factor;
  if (!(step >= SCALE_MIN)) {
    scale = 0;
    step = 0;
  }
  const inverse = f32x4.splat(step == 0 ? 0 : <f32>(1 / step)), bound = f32x4.splat(CODE_MAX);
  const steps = f64x2.splat(step);
  let a = f64x2.splat(0), b = f64x2.splat(0);
  for (let i: usize = 0; i < length; i += 16) {
    const at = from + (i << 2);
    let packed0 = i32x4.splat(0), packed1 = packed0, packed2 = packed0, packed3 = packed0;
    for (let n = 0; n < 4; n++) {
      const z = v128.load(at + (n << 4));
      const u = f32x4.max(f32x4.min(f32x4.nearest(f32x4.mul(z, inverse)), bound), f32x4.neg(bound));
      const rest0 = f64x2.sub(low(z), f64x2.mul(steps, low(u))), rest1 = f64x2.sub(high(z), f64x2.mul(steps, high(u)));
      a = f64x2.add(a, f64x2.mul(rest0, rest0));
      b = f64x2.add(b, f64x2.mul(rest1, rest1));
      const whole = i32x4.trunc_sat_f32x4_s(u);
      if (n == 0) packed0 = whole;
      else if (n == 1) packed1 = whole;
      else if (n == 2) packed2 = whole;
      else packed3 = whole;
    }
    v128.store(
      codes + i,
      i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(packed0, packed1), i16x8.narrow_i32x4_s(packed2, packed3)),
    );
  }
  store<f64>(wrong, lanes(a, b));
  return scale;
}

// @ts-ignore: decorator
@inline
function norm32(from: usize, length: usize): f64 {
  let a = f64x2.splat(0), b = f64x2.splat(0);
  for (let i: usize = 0; i < length; i += 4) {
    const z = v128.load(from + (i << 2)), z0 = low(z), z1 = high(z);
    a = f64x2.add(a, f64x2.mul(z0, z0));
    b = f64x2.add(b, f64x2.mul(z1, z1));
  }
  return sqrt<f64>(lanes(a, b));
}

// @ts-ignore: decorator
@inline
function upwards(value: f64): f32 {
  return <f32>(value * UPWARDS + LEAST);
}

// @ts-ignore: decorator
@inline
function isFinite32(value: f32): bool {
  return abs<f32>(value) <= f32.MAX_VALUE;
}

/** Codes, scales and error norms of a row whose coordinates stand at `row`. */
function write(job: usize, row: usize, squares: f64, factor: f64, codes: usize, params: usize): void {
  const width = widthOf(job), head = headOf(job);
  const wrong = load<u32>(job, 44);
  const relative = load<f64>(job, 48), absolute = load<f64>(job, 56), sums = load<f64>(job, 64);
  const rounding = relative * sqrt<f64>(squares) + absolute;
  const scale = quantise(row, head, factor, codes, wrong);
  const error = upwards((sqrt<f64>(load<f64>(wrong)) * sums) / factor + rounding);
  const offset: f32 = flagsOf(job) & IS_L2 ? <f32>(squares / -2) : 0;
  let tailNorm: f32 = 0, tailScale: f32 = 0, tailError: f32 = 0;
  if (head < width) {
    const tail = row + (head << 2);
    tailScale = quantise(tail, width - head, factor, codes + head, wrong);
    tailError = upwards((sqrt<f64>(load<f64>(wrong)) * sums) / factor + rounding);
    tailNorm = upwards((norm32(tail, width - head) * sums) / factor + rounding);
  }
  store<f32>(params, offset);
  store<f32>(params, scale, 4);
  store<f32>(params, error, 8);
  store<f32>(params, tailNorm, 12);
  store<f32>(params, tailScale, 16);
  store<f32>(params, tailError, 20);
  // What float32 cannot hold is not bounded.
  if (isFinite32(scale) && isFinite32(error) && isFinite32(offset) && isFinite32(tailNorm) && isFinite32(tailError)) return;
  memory.fill(codes, 0, width);
  memory.fill(params, 0, 24);
  store<f32>(params, Infinity, 8);
  if (head == width) return;
  store<f32>(params, Infinity, 12);
  store<f32>(params, Infinity, 20);
}

/** Codes `count` vectors. One that holds NaN or an infinity gets an offset of NaN. */
export function codeRows(job: usize, count: i32): void {
  const width = widthOf(job), flags = flagsOf(job);
  const stride = width << (flags & IS_HALF ? 1 : 2);
  const reflections = load<i32>(job, 72);
  const wide = <usize>load<u32>(job, 24), rows = <usize>load<u32>(job, 28), measures = <usize>load<u32>(job, 44) + 8;
  let blob = <usize>load<u32>(job, 32), codes = <usize>load<u32>(job, 36), params = <usize>load<u32>(job, 40);
  for (let i = 0; i < count; i += GROUP) {
    const group = min(GROUP, count - i);
    for (let r = 0; r < group; r++) {
      // For each row of the group: |y|², and the factor that brings its coordinates to 1.
      const at = measures + (<usize>r << 4);
      const squares = flags & IS_HALF ? measure<u16>(job, blob, wide, at + 8) : measure<f32>(job, blob, wide, at + 8);
      const factor = towardsOne(load<f64>(at, 8));
      narrow(wide, factor, width, rows + <usize>r * (width << 2));
      store<f64>(at, squares);
      store<f64>(at, factor, 8);
      blob += stride;
    }
    if (reflections > 0) reflect(rows, load<u32>(job, 76), width, reflections, load<u32>(job, 16), load<u32>(job, 20));
    for (let r = 0; r < group; r++) {
      const at = measures + (<usize>r << 4);
      const squares = load<f64>(at);
      // Squares of finite numbers do not overflow: the sum is finite exactly when the vector is.
      if (squares <= f64.MAX_VALUE) write(job, rows + <usize>r * (width << 2), squares, load<f64>(at, 8), codes, params);
      else store<f32>(params, NaN);
      codes += width;
      params += 32;
    }
  }
}
