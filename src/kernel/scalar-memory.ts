/** Memory as the engine gives it to the SIMD kernels, in plain TypeScript. */
export class ScalarMemory {
  buffer = new ArrayBuffer(0);
  view = new DataView(this.buffer);

  reserve(bytes: number): ArrayBuffer {
    if (bytes > this.buffer.byteLength) {
      const larger = new ArrayBuffer(Math.max(bytes, Math.ceil(this.buffer.byteLength * 1.25)));
      new Uint8Array(larger).set(new Uint8Array(this.buffer));
      this.buffer = larger;
      this.view = new DataView(larger);
    }
    return this.buffer;
  }
}
