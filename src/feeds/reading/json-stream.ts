import { GatewayError } from '../../model/error.ts';
import { hasTooManyValues, type Json, MAX_JSON_VALUES } from '../../model/json.ts';
import { inOneList, malformed, textOf } from './stream.ts';

/**
 * Reads JSON texts of any length, one behind the other. Members of a root list, or of one list inside of a root object, are given as
 * they come; what is around them is given when the root ends. Only where a value begins and ends is looked for here, and
 * JSON.parse reads it: of 90 MB of STIX, 3 to 5 times as fast as @streamparser/json and 9 times as fast as stream-json.
 */
export type JsonStreamPart = ({ member: Json } | { root: Json; members: number }) & { bytes: number };

/** What is known of a document before it is read. */
export interface JsonShape {
  /**
   * The names that lead from a root object to the list that is given item by item, one in the other; `each`: the lists of all
   * members of the root. Null: the root is held whole, even where it is a list.
   */
  list: readonly string[] | { each: true } | null;
  /** What the document should be, for messages ("STIX"). */
  format: string;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/** Bytes before a list's bracket that are looked at for its name. */
const NAME_ROOM = 256;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
/** Most bytes of one member, and of all that is around them. */
const MAX_VALUE = 16 * 1024 * 1024;

/**
 * A byte order mark is passed over. An empty chunk says that the sender pauses (feed.ts) and is passed on as an empty list.
 * Throws `upstream-malformed` and `upstream-too-large`, after everything before was given.
 */
export async function* readJsonStream(
  name: string,
  chunks: AsyncIterable<Buffer>,
  shape: JsonShape,
): AsyncGenerator<JsonStreamPart[]> {
  const reader = new JsonReader(name, shape);
  for await (const chunk of chunks) {
    if (chunk.length === 0) yield [];
    else yield* inOneList(reader.read(chunk));
  }
  yield* inOneList(reader.end());
}

class JsonReader {
  readonly #name: string;
  readonly #format: string;
  readonly #root: JsonValue;
  /** What is around the lists is not held: there may be as many lists as members. */
  readonly #isEach: boolean;
  readonly #member = new JsonValue(null);
  #state: 'between roots' | 'root' | 'member or end' | 'member' | 'comma or end' = 'between roots';
  #members = 0;
  #comma = false;
  /** Bytes of a byte order mark that may still come. */
  #mark = BYTE_ORDER_MARK;

  constructor(document: string, { list, format }: JsonShape) {
    this.#name = document;
    this.#format = format;
    this.#isEach = list !== null && 'each' in list;
    this.#root = new JsonValue(list === null ? null : 'each' in list ? [ANY_NAME] : list.map(textOfName));
  }

  *read(chunk: Buffer): Generator<JsonStreamPart> {
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
        if (value.size > MAX_VALUE) {
          const message = `${this.#name} holds an object of more than ${MAX_VALUE} bytes.`;
          throw new GatewayError('upstream-too-large', message);
        }
        if (value.isWhole) yield this.#take();
        else if (value.isAtList) {
          this.#state = 'member or end';
          if (this.#isEach) value.forgetBeforeList();
        }
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
      } else throw malformed(this.#name, this.#format, 'something else than a comma stands between two objects');
    }
  }

  *end(): Generator<JsonStreamPart> {
    // A bare word ends where the text ends.
    if (this.#state === 'root') yield this.#take();
    else if (this.#state !== 'between roots') throw malformed(this.#name, this.#format, 'it stops in its middle');
  }

  #take(): JsonStreamPart {
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
    const value = parseJson(text);
    if (value === undefined)
      throw malformed(this.#name, this.#format, 'it stops in its middle, or it is no JSON', text);
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

const ANY_NAME = '"(?:[^"\\\\]|\\\\.)*"';
const textOfName = (name: string): string => JSON.stringify(name).replace(/[^\w"]/g, '\\$&');

/** A JSON value whose bytes come in pieces. */
class JsonValue {
  /** Of each name on the way to the members of a root, what stands before its value, bracket included; null for what is no root. */
  readonly #way: RegExp[] | null;
  /** So many of the brackets that are open lead to the members. */
  #onWay = 0;
  #depth = 0;
  #isText = false;
  #isEscaped = false;
  #held: Buffer[] = [];
  size = 0;
  /** Its last byte was scanned. */
  isWhole = false;
  /** Scanning stopped behind the bracket that opens a list of members. */
  isAtList = false;

  /** `names`: as a pattern each. */
  constructor(names: readonly string[] | null) {
    this.#way =
      names?.map((name, i) => new RegExp(`[{,]\\s*${name}\\s*:\\s*\\${i < names.length - 1 ? '{' : '['}$`)) ?? null;
  }

  /** Goes on at `from`. Returns the index behind the value, behind the bracket that opens the list of members, or behind the chunk. */
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
        if (this.#way !== null && this.#onWay === this.#depth - 1) {
          this.isAtList = this.#opensMembers(this.#way, byte, chunk.subarray(from, at + 1));
          if (this.isAtList) return at + 1;
        }
      } else if (byte === CLOSE || byte === CLOSE_LIST) {
        this.#depth -= 1;
        this.#onWay = Math.min(this.#onWay, this.#depth);
        if (this.#depth <= 0) return this.#end(this.#depth < 0 ? at : at + 1);
      } else if (this.#depth === 0 && (byte === COMMA || isSpace(byte))) return this.#end(at);
    }
    return chunk.length;
  }

  hold(piece: Buffer): void {
    this.#held.push(piece);
    this.size += piece.length;
  }

  /** Returns its text and makes room for the next value. */
  take(): string {
    const text = textOf(this.#held);
    this.#held = [];
    this.#depth = 0;
    this.#onWay = 0;
    this.#isText = false;
    this.size = 0;
    this.isWhole = false;
    return text;
  }

  /** Keeps that a list is open in an object, and forgets the members before it. */
  forgetBeforeList(): void {
    if (this.#depth !== 2) return;
    this.#held = [Buffer.from('{"":[')];
    this.size = 5;
  }

  #end(at: number): number {
    this.isWhole = true;
    return at;
  }

  /** Does this bracket, the last byte of `piece`, open the root list or the list at the end of the way? It may be a step on it. */
  #opensMembers(way: readonly RegExp[], bracket: number, piece: Buffer): boolean {
    if (this.#depth > 1) {
      let tail = piece.subarray(-NAME_ROOM);
      for (let i = this.#held.length - 1; i >= 0 && tail.length < NAME_ROOM; i -= 1) {
        tail = Buffer.concat([(this.#held[i] as Buffer).subarray(-NAME_ROOM), tail]);
      }
      if (way[this.#depth - 2]?.test(tail.toString()) !== true) return false;
    }
    this.#onWay = this.#depth;
    return bracket === OPEN_LIST;
  }
}

/** Returns undefined for what is no JSON. */
export function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}
