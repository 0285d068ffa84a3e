// Exact scoring of stored vectors in float64, 128-bit SIMD. The caller lays out memory (see wasm.ts):
//
//   query   float kernels: dimensions x f64, zero-padded to a multiple of 8; int8 and bit: bytes, zero-padded to 16
//   rows    count x stride bytes as stored, each row zero-padded to its stride, 16-byte aligned
//   out     count x f64
//
// Sums run in the order of metric/reference.ts: lane i mod 8, then ((0+1)+(2+3))+((4+5)+(6+7)). Padding adds +0.
// The branch on the metric is taken once a call; `metric` is a type parameter's stand-in below.

import { high, load4, low } from "./numbers";

const COSINE: i32 = 0;
const L2: i32 = 1;
const DOT: i32 = 2;

// @ts-ignore: decorator
@inline
function lanes(a: v128, b: v128, c: v128, d: v128): f64 {
  const ab = f64x2.extract_lane(a, 0) + f64x2.extract_lane(a, 1) + (f64x2.extract_lane(b, 0) + f64x2.extract_lane(b, 1));
  const cd = f64x2.extract_lane(c, 0) + f64x2.extract_lane(c, 1) + (f64x2.extract_lane(d, 0) + f64x2.extract_lane(d, 1));
  return ab + cd;
}

// @ts-ignore: decorator
@inline
function cosine(dot: f64, rowNorm: f64, queryNorm: f64): f64 {
  if (rowNorm == 0) return 1;
  const c = dot / sqrt<f64>(rowNorm * queryNorm);
  if (c > 1) return 0;
  if (c < -1) return 2;
  return 1 - c;
}

// @ts-ignore: decorator
@inline
function dots<T>(metric: i32, query: usize, queryNorm: f64, rows: usize, stride: usize, padded: usize, count: i32, out: usize): void {
  for (let r = 0; r < count; r++) {
    let d0 = f64x2.splat(0), d1 = f64x2.splat(0), d2 = f64x2.splat(0), d3 = f64x2.splat(0);
    let n0 = f64x2.splat(0), n1 = f64x2.splat(0), n2 = f64x2.splat(0), n3 = f64x2.splat(0);
    for (let i: usize = 0; i < padded; i += 8) {
      const a = load4<T>(rows, i), b = load4<T>(rows, i + 4);
      const q = query + (i << 3);
      const x0 = low(a), x1 = high(a), x2 = low(b), x3 = high(b);
      d0 = f64x2.add(d0, f64x2.mul(x0, v128.load(q)));
      d1 = f64x2.add(d1, f64x2.mul(x1, v128.load(q, 16)));
      d2 = f64x2.add(d2, f64x2.mul(x2, v128.load(q, 32)));
      d3 = f64x2.add(d3, f64x2.mul(x3, v128.load(q, 48)));
      if (metric == COSINE) {
        n0 = f64x2.add(n0, f64x2.mul(x0, x0));
        n1 = f64x2.add(n1, f64x2.mul(x1, x1));
        n2 = f64x2.add(n2, f64x2.mul(x2, x2));
        n3 = f64x2.add(n3, f64x2.mul(x3, x3));
      }
    }
    const dot = lanes(d0, d1, d2, d3);
    store<f64>(out, metric == COSINE ? cosine(dot, lanes(n0, n1, n2, n3), queryNorm) : 0 - dot);
    rows += stride;
    out += 8;
  }
}

// @ts-ignore: decorator
@inline
function lines<T>(query: usize, rows: usize, stride: usize, padded: usize, count: i32, out: usize): void {
  for (let r = 0; r < count; r++) {
    let s0 = f64x2.splat(0), s1 = f64x2.splat(0), s2 = f64x2.splat(0), s3 = f64x2.splat(0);
    for (let i: usize = 0; i < padded; i += 8) {
      const a = load4<T>(rows, i), b = load4<T>(rows, i + 4);
      const q = query + (i << 3);
      const x0 = f64x2.sub(low(a), v128.load(q)), x1 = f64x2.sub(high(a), v128.load(q, 16));
      const x2 = f64x2.sub(low(b), v128.load(q, 32)), x3 = f64x2.sub(high(b), v128.load(q, 48));
      s0 = f64x2.add(s0, f64x2.mul(x0, x0));
      s1 = f64x2.add(s1, f64x2.mul(x1, x1));
      s2 = f64x2.add(s2, f64x2.mul(x2, x2));
      s3 = f64x2.add(s3, f64x2.mul(x3, x3));
    }
    store<f64>(out, sqrt<f64>(lanes(s0, s1, s2, s3)));
    rows += stride;
    out += 8;
  }
}

export function scoreFloat32(metric: i32, query: usize, queryNorm: f64, rows: usize, stride: usize, padded: usize, count: i32, out: usize): void {
  if (metric == L2) lines<f32>(query, rows, stride, padded, count, out);
  else if (metric == COSINE) dots<f32>(COSINE, query, queryNorm, rows, stride, padded, count, out);
  else dots<f32>(DOT, query, queryNorm, rows, stride, padded, count, out);
}

export function scoreFloat16(metric: i32, query: usize, queryNorm: f64, rows: usize, stride: usize, padded: usize, count: i32, out: usize): void {
  if (metric == L2) lines<u16>(query, rows, stride, padded, count, out);
  else if (metric == COSINE) dots<u16>(COSINE, query, queryNorm, rows, stride, padded, count, out);
  else dots<u16>(DOT, query, queryNorm, rows, stride, padded, count, out);
}

// @ts-ignore: decorator
@inline
function sum(v: v128): i32 {
  return i32x4.extract_lane(v, 0) + i32x4.extract_lane(v, 1) + i32x4.extract_lane(v, 2) + i32x4.extract_lane(v, 3);
}

/** Sums of whole numbers are exact in any order: 16,384 dimensions of 255² stay below 2^31. */
export function scoreInt8(metric: i32, query: usize, queryNorm: f64, rows: usize, stride: usize, padded: usize, count: i32, out: usize): void {
  for (let r = 0; r < count; r++) {
    let first = i32x4.splat(0), norm = i32x4.splat(0);
    for (let i: usize = 0; i < padded; i += 8) {
      const x = v128.load8x8_s(rows + i), q = v128.load8x8_s(query + i);
      if (metric == L2) {
        const d = i16x8.sub(x, q);
        first = i32x4.add(first, i32x4.dot_i16x8_s(d, d));
      } else {
        first = i32x4.add(first, i32x4.dot_i16x8_s(x, q));
        if (metric == COSINE) norm = i32x4.add(norm, i32x4.dot_i16x8_s(x, x));
      }
    }
    const total = <f64>sum(first);
    store<f64>(out, metric == L2 ? sqrt<f64>(total) : metric == DOT ? 0 - total : cosine(total, <f64>sum(norm), queryNorm));
    rows += stride;
    out += 8;
  }
}

export function scoreBit(metric: i32, query: usize, queryNorm: f64, rows: usize, stride: usize, padded: usize, count: i32, out: usize): void {
  for (let r = 0; r < count; r++) {
    let total = i32x4.splat(0);
    for (let i: usize = 0; i < padded; i += 16) {
      const bits = i8x16.popcnt(v128.xor(v128.load(rows + i), v128.load(query + i)));
      total = i32x4.add(total, i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(bits)));
    }
    store<f64>(out, <f64>sum(total));
    rows += stride;
    out += 8;
  }
}

export { ascend, hash } from "./checksum";
export { codeRows, mirrors, rotate } from "./coding";
export { integers } from "./integers";
export { apply, products } from "./matrix";
export { codeOneBit, rotateOneBit } from "./one-bit";
export { again, leave, scan } from "./scan";
