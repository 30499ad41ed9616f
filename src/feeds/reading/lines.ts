import { asBuffer, inOneList, textOf } from './stream.ts';

/** Most bytes of one line. */
export const MAX_LINE = 16 * 1024 * 1024;

/** A line of a text in UTF-8. */
export interface Line {
  /** From 1. */
  number: number;
  /** Without its line break (LF or CRLF); null when the line is longer than MAX_LINE. */
  text: string | null;
  /** Its size, without the line break. */
  bytes: number;
  /** A line break ends it. The last line of a text that was cut has none. */
  isEnded: boolean;
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** The lines of a stream, as many at once as a chunk ends. An empty chunk is passed on as an empty list. */
export async function* readLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Line[]> {
  const splitter = new LineSplitter();
  for await (const chunk of chunks) {
    if (chunk.length === 0) yield [];
    else yield* inOneList(splitter.read(asBuffer(chunk)));
  }
  yield* inOneList(splitter.end());
}

/**
 * Turns line breaks that are a CR alone into LF; CRLF stays as it is. A chunk without any is passed on as it came, and no byte of a
 * chunk is changed: others may read it too. A CR at the very end is left out: no line stands behind it.
 */
export async function* withLineFeeds(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let isHeld = false;
  for await (const chunk of chunks) {
    if (chunk.length === 0 || (!isHeld && !chunk.includes(CARRIAGE_RETURN))) {
      yield chunk;
      continue;
    }
    const text = Buffer.concat([isHeld ? Buffer.of(CARRIAGE_RETURN) : Buffer.alloc(0), chunk]);
    // What stands behind the last CR decides what it is.
    isHeld = text.at(-1) === CARRIAGE_RETURN;
    const whole = isHeld ? text.subarray(0, -1) : text;
    for (let at = whole.indexOf(CARRIAGE_RETURN); at !== -1; at = whole.indexOf(CARRIAGE_RETURN, at + 1)) {
      if (text[at + 1] !== LINE_FEED) whole[at] = LINE_FEED;
    }
    if (whole.length > 0) yield whole;
  }
}

class LineSplitter {
  #number = 0;
  /** What came of the line that is not ended; empty once it is too long. */
  #held: Buffer[] = [];
  #size = 0;

  *read(chunk: Buffer): Generator<Line> {
    let from = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, from)) {
      this.#hold(chunk.subarray(from, end));
      yield this.#take(true);
      from = end + 1;
    }
    if (from < chunk.length) this.#hold(chunk.subarray(from));
  }

  *end(): Generator<Line> {
    if (this.#size > 0) yield this.#take(false);
  }

  #hold(part: Buffer): void {
    this.#size += part.length;
    if (this.#size <= MAX_LINE) this.#held.push(part);
    else this.#held = [];
  }

  #take(isEnded: boolean): Line {
    this.#number += 1;
    const bytes = this.#size;
    const text = bytes > MAX_LINE ? null : textOf(this.#held).replace(/\r$/, '');
    this.#held = [];
    this.#size = 0;
    return { number: this.#number, text, bytes, isEnded };
  }
}
