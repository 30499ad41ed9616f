import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { GatewayError } from '../../model/error.ts';
import { hasTooManyValues, isJsonObject, type Json, MAX_JSON_VALUES } from '../../model/json.ts';
import type { Rejection } from '../../model/observation.ts';
import { rowText } from '../../stix/validate.ts';
import { isEmptyEnvelope } from './envelope.ts';
import { malformed, type Part, parse, readParts, together } from './json-stream.ts';

/**
 * STIX objects out of a document of any size, in bounded memory, as many at once as a piece of it holds. A document whose first
 * line is a JSON text of its own is read line by line, each line an object or a bundle; any other is parsed as JSON texts, one behind the other.
 */
export type Found = ({ value: Json } | { rejection: Rejection }) & { bytes: number };

const MB = 1024 * 1024;
/** A first line longer than this is no line of its own. */
const PEEK = 2 * MB;
/** Bytes held for one object, or for one line. */
const MOST_HELD = 16 * MB;
/** Bytes that a gzip file may unpack to, and how many times its own size beyond the first so many. */
const MOST_UNPACKED = 8192 * MB;
const RATIO = 200;
const RATIO_FROM = 64 * MB;

/**
 * An empty piece of a body that pauses (feed.ts) is passed on as an empty list.
 * Throws `upstream-malformed`, naming the document, for what is no STIX or stops in its middle, after everything before
 * was given; `upstream-too-large` for an object that can't be held.
 */
export async function* readObjects(
  name: string,
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Found[]> {
  const chunks = unpack(name, body, signal);
  try {
    const { start, line } = await peek(chunks);
    if (line?.trim() === '') {
      throw malformed(name, 'it is empty, and a bundle without objects would say that there are none');
    }
    const from = start.findIndex((byte) => byte > 0x20);
    // A page for people, most often: it is shown, and not what a parser makes of it.
    if (from !== -1 && start[from] !== 0x7b && start[from] !== 0x5b) {
      throw malformed(name, 'it does not begin as JSON does', start.toString('utf8', from, from + 1000));
    }
    const whole = (async function* () {
      yield start;
      yield* chunks;
    })();
    yield* line !== null && isJsonObject(parse(line)) ? readLines(name, whole) : readTexts(name, whole);
  } finally {
    await chunks.return(undefined);
  }
}

/** The beginning, without byte order mark, and in it the first line that is not empty; null when it is too long for one. */
async function peek(chunks: AsyncGenerator<Buffer>): Promise<{ start: Buffer; line: string | null }> {
  let start: Buffer = Buffer.alloc(0);
  let isEnd = false;
  while (firstLine(start) === null && start.length < PEEK && !isEnd) {
    const next = await chunks.next();
    isEnd = next.done === true;
    if (!next.done) start = Buffer.concat([start, next.value]);
  }
  if (start[0] === 0xef && start[1] === 0xbb && start[2] === 0xbf) start = start.subarray(3);
  return { start, line: (firstLine(start) ?? (isEnd ? start : null))?.toString() ?? null };
}

/** Up to the first line break behind something; null when there is none. */
function firstLine(start: Buffer): Buffer | null {
  const from = start.findIndex((byte) => byte > 0x20);
  const end = from === -1 ? -1 : start.indexOf(0x0a, from);
  return end === -1 ? null : start.subarray(0, end);
}

/** Gzip is told by its first bytes (RFC 1952 section 2.3.1), whatever the name says. */
async function* unpack(
  name: string,
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Buffer, undefined> {
  let came = 0;
  let size = 0;
  const packed = (async function* () {
    for await (const chunk of body) {
      signal.throwIfAborted();
      came += chunk.length;
      yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    }
  })();
  let first = await packed.next();
  while (!first.done && first.value.length === 0) first = await packed.next();
  if (first.done) return;
  const start = first.value;
  const all = (async function* () {
    yield start;
    yield* packed;
  })();
  const isGzip = start[0] === 0x1f && start[1] === 0x8b;
  const chunks = isGzip ? pipeline(all, createGunzip({ chunkSize: 256 * 1024 }), () => undefined) : all;
  try {
    for await (const chunk of chunks) {
      size += chunk.length;
      if (isGzip && (size > MOST_UNPACKED || (size > RATIO_FROM && size > came * RATIO))) {
        throw new GatewayError('upstream-too-large', `${name} unpacks to far more than a feed holds.`);
      }
      yield chunk as Buffer;
    }
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (typeof code === 'string' && code.startsWith('Z_')) throw malformed(name, `it can't be unpacked (${code})`);
    throw error;
  }
}

/** A line that is no JSON costs only itself, unless it is the last and was cut. */
async function* readLines(name: string, chunks: AsyncIterable<Buffer>): AsyncGenerator<Found[]> {
  let held: Buffer[] = [];
  let size = 0;
  let number = 0;
  const take = function* (part: Buffer, isWhole: boolean): Generator<Found> {
    number += 1;
    size += part.length;
    const bytes = size;
    const line =
      size > MOST_HELD
        ? null
        : Buffer.concat([...held, part])
            .toString()
            .trim();
    held = [];
    size = 0;
    if (line === '') return;
    if (line === null || hasTooManyValues(line)) {
      const detail = `line ${number} is longer than ${MOST_HELD} bytes, or holds more than ${MAX_JSON_VALUES} values`;
      return yield { rejection: { reason: 'too-long', detail, row: '' }, bytes: 0 };
    }
    const value = parse(line);
    if (value !== undefined) yield* unwrap(name, value, number === 1, bytes);
    else if (isWhole) {
      yield { rejection: { reason: 'bad-stix', detail: `line ${number} is no JSON`, row: rowText(line) }, bytes };
    } else throw malformed(name, 'its last line is cut');
  };
  const takeAll = function* (chunk: Buffer): Generator<Found> {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, from)) {
      yield* take(chunk.subarray(from, end), true);
      from = end + 1;
    }
    const rest = chunk.subarray(from);
    size += rest.length;
    if (size <= MOST_HELD) held.push(rest);
    else held = [];
  };
  for await (const chunk of chunks) {
    if (chunk.length === 0) yield [];
    else yield* together(takeAll(chunk));
  }
  yield* together(take(Buffer.alloc(0), false));
}

async function* readTexts(name: string, chunks: AsyncIterable<Buffer>): AsyncGenerator<Found[]> {
  let texts = 0;
  const foundIn = function* (parts: readonly Part[]): Generator<Found> {
    for (const part of parts) {
      if ('member' in part) yield { value: part.member, bytes: part.bytes };
      else {
        if (part.members === 0) yield* unwrap(name, part.root, texts === 0, part.bytes);
        texts += 1;
      }
    }
  };
  for await (const parts of readParts(name, chunks)) {
    if (parts.length === 0) yield [];
    else yield* together(foundIn(parts));
  }
}

/** An object, or what a bundle (STIX 2.1 section 8), an envelope (TAXII 2.1 section 3.7) or a list holds. */
function* unwrap(name: string, value: Json, isFirst: boolean, bytes: number): Generator<Found> {
  const each = function* (members: readonly Json[]): Generator<Found> {
    for (const member of members) yield { value: member, bytes: bytes / members.length };
  };
  if (Array.isArray(value)) return yield* each(value);
  if (
    isJsonObject(value) &&
    (value['type'] === 'bundle' || Array.isArray(value['objects']) || isEmptyEnvelope(value))
  ) {
    return yield* each(Array.isArray(value['objects']) ? value['objects'] : []);
  }
  // An error message in JSON must not pass for a feed with one odd row.
  if (isFirst && !(isJsonObject(value) && typeof value['type'] === 'string')) {
    throw malformed(name, 'it begins with no STIX object', rowText(value));
  }
  yield { value, bytes };
}
