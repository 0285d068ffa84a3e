// Stored numbers as lanes: four float32 or float16 elements as f32, and the halves of four f32 as f64.

/** Four halves, zero-extended to 32 bits, as f32. Infinity and NaN both become NaN. */
// @ts-ignore: decorator
@inline
function halves(h: v128): v128 {
  const magnitude = v128.and(h, i32x4.splat(0x7fff));
  // The half's fields moved to a float's place are too small by 2^112; the multiplication is exact, subnormals too.
  const value = f32x4.mul(i32x4.shl(magnitude, 13), f32x4.splat(reinterpret<f32>(0x77800000)));
  const special = v128.and(i32x4.ge_s(magnitude, i32x4.splat(0x7c00)), i32x4.splat(0x7fc00000));
  const sign = i32x4.shl(v128.and(h, i32x4.splat(0x8000)), 16);
  return v128.or(v128.or(value, special), sign);
}

// @ts-ignore: decorator
@inline
export function load4<T>(row: usize, i: usize): v128 {
  if (sizeof<T>() == 2) return halves(v128.load16x4_u(row + (i << 1)));
  return v128.load(row + (i << 2));
}

// @ts-ignore: decorator
@inline
export function low(v: v128): v128 {
  return f64x2.promote_low_f32x4(v);
}

// @ts-ignore: decorator
@inline
export function high(v: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<f32>(v, v, 2, 3, 2, 3));
}
