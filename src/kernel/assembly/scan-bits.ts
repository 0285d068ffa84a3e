// Packed bits, where similarity is the number of differing bits negated: exact, so there is no doubt.

import { note, offer, thresholdOf } from "./survivors";

// @ts-ignore: decorator
@inline
function total(v: v128): f64 {
  return (
    <f64>i32x4.extract_lane(v, 0) + <f64>i32x4.extract_lane(v, 1) + (<f64>i32x4.extract_lane(v, 2) + <f64>i32x4.extract_lane(v, 3))
  );
}

/** Number of bits that differ; `width` bytes, a multiple of 16, of which 16 lie in every 64. */
// @ts-ignore: decorator
@inline
function differing(codes: usize, query: usize, width: usize): f64 {
  let sum = i32x4.splat(0);
  for (let i: usize = 0; i < width; i += 16) {
    const bits = i8x16.popcnt(v128.xor(v128.load(codes + (i << 2)), v128.load(query + i)));
    sum = i32x4.add(sum, i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(bits)));
  }
  return total(sum);
}

/** Scans the first `count` rows of a block, numbered from `first`. As `scanCodes`, where only the offset is a parameter. */
export function scanBits(
  state: usize, query: usize, block: usize, width: usize, count: i32, first: i32, mask: usize,
): void {
  const params = width << 2;
  for (let row = 0; row < count; row++) {
    if (mask != 0 && load<u8>(mask + <usize>row) == 0) continue;
    const lane: usize = row & 3;
    const group = block + <usize>(row >> 2) * (params + 48);
    const estimate = <f64>load<f32>(group + params + (lane << 2)) - differing(group + (lane << 4), query, width);
    // The offset of a row that is gone is -Infinity.
    if (estimate < thresholdOf(state) || estimate == -Infinity) continue;
    note(state, first + row, estimate);
    offer(state, estimate);
  }
}
