// What fitting a model spends its time on: inner products of many vectors with many others, in float32, and vectors changed by
// others, in float64.

// @ts-ignore: decorator
@inline
function total(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}

/**
 * `out[i * m + j]` becomes the product of row i of `a` and row j of `b`. Rows are `length` f32, a multiple of 4; `n` is a multiple
 * of 4 and `m` of 2, so that a tile of 4 x 2 sums stays in registers.
 */
export function products(a: usize, b: usize, n: i32, m: i32, length: usize, out: usize): void {
  const bytes = length << 2;
  for (let i = 0; i < n; i += 4, a += bytes << 2) {
    const a1 = a + bytes, a2 = a1 + bytes, a3 = a2 + bytes;
    let c = b;
    for (let j = 0; j < m; j += 2, c += bytes << 1) {
      const c1 = c + bytes;
      let s00 = f32x4.splat(0), s01 = f32x4.splat(0), s10 = f32x4.splat(0), s11 = f32x4.splat(0);
      let s20 = f32x4.splat(0), s21 = f32x4.splat(0), s30 = f32x4.splat(0), s31 = f32x4.splat(0);
      for (let at: usize = 0; at < bytes; at += 16) {
        const y0 = v128.load(c + at), y1 = v128.load(c1 + at);
        const x0 = v128.load(a + at);
        s00 = f32x4.add(s00, f32x4.mul(x0, y0));
        s01 = f32x4.add(s01, f32x4.mul(x0, y1));
        const x1 = v128.load(a1 + at);
        s10 = f32x4.add(s10, f32x4.mul(x1, y0));
        s11 = f32x4.add(s11, f32x4.mul(x1, y1));
        const x2 = v128.load(a2 + at);
        s20 = f32x4.add(s20, f32x4.mul(x2, y0));
        s21 = f32x4.add(s21, f32x4.mul(x2, y1));
        const x3 = v128.load(a3 + at);
        s30 = f32x4.add(s30, f32x4.mul(x3, y0));
        s31 = f32x4.add(s31, f32x4.mul(x3, y1));
      }
      const o = out + ((<usize>(i * m + j)) << 2), row = (<usize>m) << 2;
      store<f32>(o, total(s00));
      store<f32>(o, total(s01), 4);
      store<f32>(o + row, total(s10));
      store<f32>(o + row, total(s11), 4);
      store<f32>(o + row * 2, total(s20));
      store<f32>(o + row * 2, total(s21), 4);
      store<f32>(o + row * 3, total(s30));
      store<f32>(o + row * 3, total(s31), 4);
    }
  }
}

/**
 * A vector z becomes z - (v·z)v for each of `count` axes v, one behind the other. All are of `length` f64, a multiple of 4. Each pass
 * takes off what the last axis asks for and, of what is left, sums the product with the next one.
 */
export function apply(vector: usize, axes: usize, count: i32, length: usize): void {
  const bytes = length << 3;
  let t = f64x2.splat(0);
  for (let j = 0; j <= count; j++) {
    // Before the first pass there is nothing to take off, and behind the last axis no next one: any does.
    const last = j == 0 ? axes : axes - bytes, next = j == count ? last : axes;
    let a = f64x2.splat(0), b = f64x2.splat(0);
    for (let i: usize = 0; i < bytes; i += 32) {
      const z0 = f64x2.sub(v128.load(vector + i), f64x2.mul(t, v128.load(last + i)));
      const z1 = f64x2.sub(v128.load(vector + i, 16), f64x2.mul(t, v128.load(last + i, 16)));
      v128.store(vector + i, z0);
      v128.store(vector + i, z1, 16);
      a = f64x2.add(a, f64x2.mul(z0, v128.load(next + i)));
      b = f64x2.add(b, f64x2.mul(z1, v128.load(next + i, 16)));
    }
    const sum = f64x2.add(a, b);
    t = f64x2.splat(f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1));
    axes += bytes;
  }
}
