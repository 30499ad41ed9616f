import { GatewayError } from '../../model/error.ts';
import { isJsonObject, type Json } from '../../model/json.ts';
import { parseJson } from '../reading/json-stream.ts';
import { asBuffer, type ByteStream, malformed, textOf } from '../reading/stream.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** Most bytes of one event's entry. */
const MAX_ENTRY = 1024 * 1024;

/**
 * Reads a manifest entry by entry, however long it is: one object with an entry for each event, or, as some programs write it, a
 * list of such objects; PHP writes an empty list for an empty object. Throws `upstream-malformed` and `upstream-too-large`.
 */
export async function* readManifest({ name, body }: ByteStream): AsyncGenerator<[string, Json][]> {
  const reader = new ManifestReader(name);
  for await (const chunk of body) yield reader.read(asBuffer(chunk));
  reader.end();
}

class ManifestReader {
  readonly #name: string;
  #root: 'object' | 'list' | null = null;
  #depth = 0;
  #isText = false;
  #isEscaped = false;
  #isEnded = false;
  #count = 0;
  /** What came of the entry that is not whole. */
  #held: Buffer[] = [];
  #size = 0;

  constructor(name: string) {
    this.#name = name;
  }

  read(chunk: Buffer): [string, Json][] {
    const entries: [string, Json][] = [];
    let from = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] as number;
      if (this.#isText) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (byte === BACKSLASH) this.#isEscaped = true;
        else if (byte === QUOTE) this.#isText = false;
      } else if (this.#depth === 0) {
        this.#open(byte, chunk, at);
        from = at + 1;
      } else if (byte === QUOTE) this.#isText = true;
      else if (byte === OPEN || byte === OPEN_LIST) this.#depth += 1;
      else if (byte === CLOSE || byte === CLOSE_LIST) {
        this.#depth -= 1;
        if (this.#depth === 0) {
          this.#close(byte);
          entries.push(...this.#take(chunk.subarray(from, at), true));
          from = at + 1;
        }
      } else if (byte === COMMA && this.#depth === 1) {
        entries.push(...this.#take(chunk.subarray(from, at), false));
        from = at + 1;
      }
    }
    if (this.#depth > 0) this.#hold(chunk.subarray(from));
    return entries;
  }

  end(): void {
    if (!this.#isEnded) throw this.#broken('it stops in its middle, or it is empty');
  }

  #open(byte: number, chunk: Buffer, at: number): void {
    if (byte <= 0x20 || (this.#root === null && BYTE_ORDER_MARK.includes(byte))) return;
    if (this.#isEnded || (byte !== OPEN && byte !== OPEN_LIST)) {
      throw this.#broken('it is no object by uuid', chunk.toString('utf8', at, at + 1000));
    }
    this.#root = byte === OPEN ? 'object' : 'list';
    this.#depth = 1;
  }

  #close(byte: number): void {
    if ((byte === CLOSE) !== (this.#root === 'object')) throw this.#broken('its brackets do not match');
    this.#isEnded = true;
  }

  #hold(piece: Buffer): void {
    this.#size += piece.length;
    if (this.#size > MAX_ENTRY) {
      throw new GatewayError('upstream-too-large', `${this.#name} has an entry of more than ${MAX_ENTRY} bytes.`);
    }
    this.#held.push(piece);
  }

  #take(piece: Buffer, isLast: boolean): [string, Json][] {
    this.#hold(piece);
    const text = textOf(this.#held);
    this.#held = [];
    this.#size = 0;
    if (isLast && this.#count === 0 && text.trim() === '') return [];
    this.#count += 1;
    if (text.trim() === '') throw this.#broken('an entry is missing');
    const entry = parseJson(this.#root === 'object' ? `{${text}}` : text);
    if (!isJsonObject(entry)) throw this.#broken('it is no object by uuid', text);
    return Object.entries(entry);
  }

  #broken(why: string, text?: string): GatewayError {
    return malformed(this.#name, 'manifest of MISP events', why, text);
  }
}
