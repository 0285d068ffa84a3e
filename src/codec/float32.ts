import type { Codec, ElementArray } from "./codec.ts";

/** The layout of this machine's own numbers, so that they need not be read one by one. */
const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** IEEE 754 single precision, little endian: the layout sqlite-vec and libSQL read. */
export const float32: Codec<ElementArray["float32"]> = {
  bytes: (dimensions) => dimensions * 4,
  encode(values, fail) {
    const floats = new Float32Array(values.length);
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number;
      // Checked after rounding: 3.5e38 is a finite number and an infinite float32.
      if (typeof value !== "number" || !Number.isFinite(Math.fround(value))) {
        fail(i, value, "a finite number within ±3.4028234663852886e38 (float32)");
      }
      floats[i] = value;
    }
    if (!IS_LITTLE_ENDIAN) {
      const view = new DataView(floats.buffer);
      for (let i = 0; i < floats.length; i++) view.setFloat32(i * 4, floats[i]!, true);
    }
    return new Uint8Array(floats.buffer);
  },
  decode(bytes) {
    if (IS_LITTLE_ENDIAN && bytes.byteLength % 4 === 0) {
      const decoded = new Float32Array(bytes.byteLength / 4);
      new Uint8Array(decoded.buffer).set(bytes);
      return decoded;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const decoded = new Float32Array(bytes.byteLength / 4);
    for (let i = 0; i < decoded.length; i++) decoded[i] = view.getFloat32(i * 4, true);
    return decoded;
  },
  view(bytes) {
    const isAligned = IS_LITTLE_ENDIAN && bytes.byteOffset % 4 === 0 && bytes.byteLength % 4 === 0;
    return isAligned ? new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4) : float32.decode(bytes);
  },
  toNumbers: (decoded) => Array.from(decoded),
};
