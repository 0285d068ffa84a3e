import type { Codec, ElementArray } from "./codec.ts";

/** One signed byte a dimension, -128..127: the layout sqlite-vec's `vec_int8()` reads. */
export const int8: Codec<ElementArray["int8"]> = {
  bytes: (dimensions) => dimensions,
  encode(values, fail) {
    const bytes = new Int8Array(values.length);
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number;
      if (!Number.isInteger(value) || value < -128 || value > 127) fail(i, value, "a whole number -128..127 (int8)");
      bytes[i] = value;
    }
    return new Uint8Array(bytes.buffer);
  },
  decode: (bytes) => new Int8Array(Uint8Array.from(bytes).buffer),
  view: (bytes) => new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  toNumbers: (decoded) => Array.from(decoded),
};
