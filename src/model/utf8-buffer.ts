/** Most bytes of UTF-8 for one UTF-16 code unit. */
const MAX_UNIT_BYTES = 3;

/**
 * Encodes texts one by one into a buffer, which is replaced by a larger one when it is full. Faster than joining thousands of
 * strings and encoding the result (bench/render.ts).
 */
export class Utf8Buffer {
  length = 0;
  buffer: Buffer;

  constructor(buffer: Buffer) {
    this.buffer = buffer;
  }

  add(text: string): void {
    const needed = this.length + text.length * MAX_UNIT_BYTES;
    if (needed > this.buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.buffer.length));
      this.buffer.copy(larger, 0, 0, this.length);
      this.buffer = larger;
    }
    this.length += this.buffer.write(text, this.length);
  }

  /** The bytes so far, as a view of the buffer. */
  bytes(): Buffer {
    return this.buffer.subarray(0, this.length);
  }
}
