// Checksums of chunks as FORMAT.md tells them, of up to four at a time: each step of a hash waits for the one before, which others
// fill. The four hashes of a chunk are the lanes of one vector:
//
//   hashes      count x 4 x u32
//   addresses   count x u32, where the bytes of each begin

// @ts-ignore: decorator
@inline
const GOLDEN: i32 = <i32>0x9e3779b1;

// @ts-ignore: decorator
@inline
function mix(hash: v128, words: v128): v128 {
  const product = i32x4.mul(v128.xor(hash, words), i32x4.splat(GOLDEN));
  return v128.xor(product, i32x4.shr_u(product, 15));
}

/** @param bytes - of each, a multiple of 16 */
export function hash(hashes: usize, addresses: usize, count: i32, bytes: i32): void {
  while (count >= 4) {
    hash4(hashes, addresses, bytes);
    hashes += 64;
    addresses += 16;
    count -= 4;
  }
  if (count >= 2) {
    hash2(hashes, addresses, bytes);
    hashes += 32;
    addresses += 8;
    count -= 2;
  }
  if (count == 1) hash1(hashes, addresses, bytes);
}

function hash4(hashes: usize, addresses: usize, bytes: i32): void {
  let a = v128.load(hashes), b = v128.load(hashes, 16), c = v128.load(hashes, 32), d = v128.load(hashes, 48);
  let p = <usize>load<u32>(addresses), q = <usize>load<u32>(addresses, 4);
  let r = <usize>load<u32>(addresses, 8), s = <usize>load<u32>(addresses, 12);
  for (const end = p + bytes; p < end; p += 16, q += 16, r += 16, s += 16) {
    a = mix(a, v128.load(p));
    b = mix(b, v128.load(q));
    c = mix(c, v128.load(r));
    d = mix(d, v128.load(s));
  }
  v128.store(hashes, a);
  v128.store(hashes, b, 16);
  v128.store(hashes, c, 32);
  v128.store(hashes, d, 48);
}

function hash2(hashes: usize, addresses: usize, bytes: i32): void {
  let a = v128.load(hashes), b = v128.load(hashes, 16);
  let p = <usize>load<u32>(addresses), q = <usize>load<u32>(addresses, 4);
  for (const end = p + bytes; p < end; p += 16, q += 16) {
    a = mix(a, v128.load(p));
    b = mix(b, v128.load(q));
  }
  v128.store(hashes, a);
  v128.store(hashes, b, 16);
}

function hash1(hashes: usize, addresses: usize, bytes: i32): void {
  let a = v128.load(hashes);
  let p = <usize>load<u32>(addresses);
  for (const end = p + bytes; p < end; p += 16) a = mix(a, v128.load(p));
  v128.store(hashes, a);
}

/** Whether each of `count` 64-bit integers is larger than the one before. */
export function ascend(at: usize, count: i32): bool {
  for (const end = at + (<usize>(count - 1) << 3); at < end; at += 8) {
    if (load<i64>(at) >= load<i64>(at, 8)) return false;
  }
  return true;
}
