import { GatewayError } from '../../model/error.ts';
import { hasTooManyValues, type Json, MAX_JSON_VALUES } from '../../model/json.ts';

/**
 * JSON texts, one behind the other, of any length: members of a root list, or of the list `objects` of a root object, are
 * given as they come, and what is around them when the root ends. Only where a value begins and ends is looked for here, and
 * JSON.parse reads it: three times as fast as a tokenizer in JavaScript, at a fifth of its garbage (measured).
 */
export type Part = ({ member: Json } | { root: Json; members: number }) & { bytes: number };

const [QUOTE, BACKSLASH, COMMA, OPEN_LIST, CLOSE_LIST, OPEN, CLOSE] = Buffer.from('"\\,[]{}') as unknown as [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
];
const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/** What stands before a list that is the value of `objects`. */
const OBJECTS = /[{,]\s*"objects"\s*:\s*\[$/;
const OBJECTS_ROOM = 256;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
/** Bytes held for one member, or for all that is around them. */
const MOST_HELD = 16 * 1024 * 1024;

/**
 * A byte order mark is passed over. An empty chunk says that the sender pauses (feed.ts) and is passed on as an empty list.
 * Throws `upstream-malformed` and `upstream-too-large`, after everything before was given.
 */
export async function* readParts(name: string, chunks: AsyncIterable<Buffer>): AsyncGenerator<Part[]> {
  const reader = new Reader(name);
  for await (const chunk of chunks) {
    if (chunk.length === 0) yield [];
    else yield* together(reader.read(chunk));
  }
  yield* together(reader.end());
}

/** All that comes at once as one list: a promise for each would cost as much as reading it. */
export function* together<T>(parts: Iterable<T>): Generator<T[]> {
  const found: T[] = [];
  try {
    for (const part of parts) found.push(part);
  } catch (error) {
    yield found;
    throw error;
  }
  if (found.length > 0) yield found;
}

class Reader {
  readonly #name: string;
  readonly #root = new Value(true);
  readonly #member = new Value(false);
  #state: 'between roots' | 'root' | 'member or end' | 'member' | 'comma or end' = 'between roots';
  #members = 0;
  #comma = false;
  /** Bytes of a byte order mark that may still come. */
  #mark = BYTE_ORDER_MARK;

  constructor(name: string) {
    this.#name = name;
  }

  *read(chunk: Buffer): Generator<Part> {
    let at = 0;
    while (at < chunk.length && this.#mark.length > 0) {
      const isMark = chunk[at] === this.#mark[0];
      this.#mark = isMark ? this.#mark.subarray(1) : this.#mark.subarray(this.#mark.length);
      if (isMark) at += 1;
    }
    while (at < chunk.length) {
      const byte = chunk[at] as number;
      if (this.#state === 'root' || this.#state === 'member') {
        const [from, value] = [at, this.#state === 'root' ? this.#root : this.#member];
        at = value.scan(chunk, from);
        value.hold(chunk.subarray(from, at));
        if (value.size > MOST_HELD) {
          const message = `${this.#name} holds an object of more than ${MOST_HELD} bytes.`;
          throw new GatewayError('upstream-too-large', message);
        }
        if (value.isWhole) yield this.#take();
        else if (value.isAtList) this.#state = 'member or end';
      } else if (isSpace(byte)) at += 1;
      else if (this.#state === 'between roots') this.#state = 'root';
      else if (byte === CLOSE_LIST && !this.#comma) this.#state = 'root';
      else if (this.#state === 'member or end') {
        // A closing brace or a second comma is no value, and JSON.parse says so.
        this.#state = 'member';
        this.#comma = false;
      } else if (byte === COMMA) {
        at += 1;
        this.#comma = true;
        this.#state = 'member or end';
      } else throw malformed(this.#name, 'something else than a comma stands between two objects');
    }
  }

  *end(): Generator<Part> {
    // A bare word ends where the text ends.
    if (this.#state === 'root') yield this.#take();
    else if (this.#state !== 'between roots') throw malformed(this.#name, 'it stops in its middle');
  }

  #take(): Part {
    const isMember = this.#state === 'member';
    const held = isMember ? this.#member : this.#root;
    const bytes = held.size;
    const text = held.take();
    if (hasTooManyValues(text)) {
      throw new GatewayError(
        'upstream-too-large',
        `${this.#name} holds an object of more than ${MAX_JSON_VALUES} values.`,
      );
    }
    const value = parse(text);
    if (value === undefined) throw malformed(this.#name, 'it stops in its middle, or it is no JSON', text);
    this.#state = isMember ? 'comma or end' : 'between roots';
    if (isMember) {
      this.#members += 1;
      return { member: value, bytes };
    }
    const members = this.#members;
    this.#members = 0;
    return { root: value, members, bytes };
  }
}

/** A value whose bytes come in pieces. */
class Value {
  readonly #isRoot: boolean;
  #depth = 0;
  #isText = false;
  #isEscaped = false;
  #held: Buffer[] = [];
  size = 0;
  /** Its last byte was scanned. */
  isWhole = false;
  /** Scanning stopped behind the bracket that opens a list of members. */
  isAtList = false;

  constructor(isRoot: boolean) {
    this.#isRoot = isRoot;
  }

  /** Goes on at `from`: answers the index behind the value, behind the opening of a list of members, or behind the chunk. */
  scan(chunk: Buffer, from: number): number {
    this.isAtList = false;
    for (let at = from; at < chunk.length; at += 1) {
      const byte = chunk[at] as number;
      if (this.#isText) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (byte === BACKSLASH) this.#isEscaped = true;
        else if (byte === QUOTE) {
          this.#isText = false;
          if (this.#depth === 0) return this.#end(at + 1);
        }
      } else if (byte === QUOTE) this.#isText = true;
      else if (byte === OPEN || byte === OPEN_LIST) {
        this.#depth += 1;
        this.isAtList = this.#isRoot && byte === OPEN_LIST && this.#opensMembers(chunk.subarray(from, at + 1));
        if (this.isAtList) return at + 1;
      } else if (byte === CLOSE || byte === CLOSE_LIST) {
        this.#depth -= 1;
        if (this.#depth <= 0) return this.#end(this.#depth < 0 ? at : at + 1);
      } else if (this.#depth === 0 && (byte === COMMA || isSpace(byte))) return this.#end(at);
    }
    return chunk.length;
  }

  hold(piece: Buffer): void {
    this.#held.push(piece);
    this.size += piece.length;
  }

  /** Its text; the next value begins. */
  take(): string {
    const text = (this.#held.length === 1 ? (this.#held[0] as Buffer) : Buffer.concat(this.#held)).toString();
    this.#held = [];
    this.#depth = 0;
    this.#isText = false;
    this.size = 0;
    this.isWhole = false;
    return text;
  }

  #end(at: number): number {
    this.isWhole = true;
    return at;
  }

  /** The root itself, or `objects` in it; `piece` ends with the bracket. */
  #opensMembers(piece: Buffer): boolean {
    if (this.#depth === 1) return true;
    if (this.#depth > 2) return false;
    let tail = piece.subarray(-OBJECTS_ROOM);
    for (let i = this.#held.length - 1; i >= 0 && tail.length < OBJECTS_ROOM; i -= 1) {
      tail = Buffer.concat([(this.#held[i] as Buffer).subarray(-OBJECTS_ROOM), tail]);
    }
    return OBJECTS.test(tail.toString());
  }
}

/** Undefined for what is no JSON. */
export function parse(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** `text`: what came instead, of which the operator is shown the beginning. */
export function malformed(name: string, why: string, text?: string): GatewayError {
  const excerpt = text === undefined ? {} : { excerpt: beginning(text) };
  return new GatewayError('upstream-malformed', `${name} is no whole STIX: ${why}.`, excerpt);
}

const MAX_EXCERPT = 80;

/** The beginning of a text in one line. */
function beginning(text: string): string {
  const line = text
    .slice(0, 4 * MAX_EXCERPT)
    .replace(/[\p{C}\s]+/gu, ' ')
    .trim();
  return line.slice(0, MAX_EXCERPT).toWellFormed();
}
