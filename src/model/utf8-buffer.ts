/** UTF-8 takes no more bytes for a UTF-16 code unit. */
const MAX_UNIT_BYTES = 3;

/**
 * Text that becomes UTF-8 as it comes: strings of megabytes, put together of thousands, are what a collector is slowest with.
 * `buffer` is where it begins; a larger one takes its place when it is full.
 */
export class Utf8Buffer {
  length = 0;
  buffer: Buffer;

  constructor(buffer: Buffer) {
    this.buffer = buffer;
  }

  add(text: string): void {
    const most = this.length + text.length * MAX_UNIT_BYTES;
    if (most > this.buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(most, 2 * this.buffer.length));
      this.buffer.copy(larger, 0, 0, this.length);
      this.buffer = larger;
    }
    this.length += this.buffer.write(text, this.length);
  }

  /** What was added, in the same memory. */
  bytes(): Buffer {
    return this.buffer.subarray(0, this.length);
  }
}
