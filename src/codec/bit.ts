import type { Codec, ElementArray } from "./codec.ts";

/**
 * Eight dimensions a byte, dimension 0 in the lowest bit of byte 0: the layout sqlite-vec's `vec_bit()` reads.
 * A `Uint8Array` is taken as packed bytes; any other list has one 0 or 1 a dimension.
 */
export const bit: Codec<ElementArray["bit"]> = {
  bytes: (dimensions) => dimensions / 8,
  encode(values, fail) {
    if (values instanceof Uint8Array) return Uint8Array.from(values);
    const bytes = new Uint8Array(values.length / 8);
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (value !== 0 && value !== 1) fail(i, value, "0 or 1 (bit)");
      bytes[i >> 3]! |= value! << (i & 7);
    }
    return bytes;
  },
  decode: (bytes) => Uint8Array.from(bytes),
  view: (bytes) => bytes,
  toNumbers: (decoded) => Array.from({ length: decoded.length * 8 }, (_, i) => (decoded[i >> 3]! >> (i & 7)) & 1),
};
