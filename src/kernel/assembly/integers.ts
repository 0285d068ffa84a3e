// Reads integers out of text, eight characters at a time. kernel/integers.ts lays out memory; the oracle is BigInt.

// @ts-ignore: decorator
@inline
const MINUS: u8 = 0x2d;
// @ts-ignore: decorator
@inline
const ZERO: u8 = 0x30;

/**
 * The integers from `text` up to `end`, each with a comma behind it. Those that are at least `least` and larger by less than `range`, at
 * most 2^31, go to `near` as i32: by how much they are larger; all others to `far` as i64. Behind the text 7 bytes more are read.
 * Returns how many are near, and writes how many are not, i32, in front of them.
 */
export function integers(text: usize, end: usize, least: i64, range: i64, near: usize, far: usize): i32 {
  const first = near, firstFar = far;
  while (text < end) {
    let eight = load<u64>(text), value: i64;
    // This bit is set in digits, and in neither a comma nor a minus.
    const digits = ctz(~eight & 0x1010101010101010) >> 3;
    if (digits - 1 < 7) {
      text += <usize>digits + 1;
      // In front of the number come zeros: then digits, pairs and fours are put together, all at once.
      eight = (eight << ((8 - digits) << 3)) & 0x0f0f0f0f0f0f0f0f;
      eight = ((eight * (10 * 0x100 + 1)) >> 8) & 0x00ff00ff00ff00ff;
      eight = ((eight * (100 * 0x10000 + 1)) >> 16) & 0x0000ffff0000ffff;
      value = <i64>((eight * (10000 * 0x100000000 + 1)) >> 32);
    } else {
      const isNegative = load<u8>(text) == MINUS;
      if (isNegative) text++;
      value = 0;
      for (let digit = load<u8>(text++) - ZERO; digit <= 9; digit = load<u8>(text++) - ZERO) value = value * 10 + <i64>digit;
      if (isNegative) value = -value;
    }
    if (<u64>(value - least) < <u64>range) {
      store<i32>(near, <i32>(value - least));
      near += 4;
    } else {
      store<i64>(far, value);
      far += 8;
    }
  }
  store<i32>(firstFar - 8, <i32>((far - firstFar) >> 3));
  return <i32>((near - first) >> 2);
}
