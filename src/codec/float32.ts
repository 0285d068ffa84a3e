import type { Codec, ElementArray } from "./codec.ts";

/** IEEE 754 single precision, little endian: the layout sqlite-vec and libSQL read. */
export const float32: Codec<ElementArray["float32"]> = {
  bytes: (dimensions) => dimensions * 4,
  encode(values, fail) {
    const bytes = new Uint8Array(values.length * 4);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number;
      // Checked after rounding: 3.5e38 is a finite number and an infinite float32.
      if (typeof value !== "number" || !Number.isFinite(Math.fround(value))) {
        fail(i, value, "a finite number within ±3.4028234663852886e38 (float32)");
      }
      view.setFloat32(i * 4, value, true);
    }
    return bytes;
  },
  decode(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const decoded = new Float32Array(bytes.byteLength / 4);
    for (let i = 0; i < decoded.length; i++) decoded[i] = view.getFloat32(i * 4, true);
    return decoded;
  },
  toNumbers: (decoded) => Array.from(decoded),
};
