import { createHash } from 'node:crypto';
import type { Micros } from '../../model/clock.ts';
import { GatewayError } from '../../model/error.ts';
import { isJsonObject, type Json } from '../../model/json.ts';
import { isInFuture, responseDate } from '../../model/response-date.ts';
import { parseTimestamp } from '../../model/timestamp.ts';
import { wholeText } from '../../stix/validate.ts';
import { BATCH_BYTES, BATCH_ROWS, type FeedResponse } from '../feed.ts';
import { isEmptyEnvelope } from '../reading/envelope.ts';
import { type JsonStreamPart, readJsonStream } from '../reading/json-stream.ts';

/** One answer of `GET .../objects/`, read to its end. */
export interface Page {
  /** Those that were not given in pieces before. */
  objects: Json[];
  /** All objects of the page. */
  count: number;
  /** What tells the page from any other: its objects and their versions. */
  print: string;
  /** Null: not said. The standard means false by it (TAXII 2.1 section 3.7); servers in the field mean nothing. */
  more: boolean | null;
  next: string | null;
  /** X-TAXII-Date-Added-First and -Last, verbatim (section 3.2); null when absent, no time, or ahead of the answer's clock. */
  first: string | null;
  last: string | null;
  /** The date that was ahead of the answer's clock. */
  ahead: string | null;
  /** When the page was made, by the server's clock. */
  at: Micros;
  /** A STIX bundle came in the envelope's place. */
  isBundle: boolean;
}

/** A page's notes, of which there are at most two, go with its last rows. */
const MOST_ROWS = BATCH_ROWS - 2;
const MAX_NEXT = 4096;

/**
 * Reads an envelope, a bundle or a bare list of any length. Yields the objects of a page that is longer than a batch in
 * pieces, and what has come when the server pauses; returns the page with the rest of them. What the page says of itself may
 * stand before or behind its objects, so it is known at the end only.
 * Throws `upstream-malformed`.
 */
export async function* readPage(
  { status, headers, body }: Pick<FeedResponse, 'status' | 'headers' | 'body'>,
  host: string,
  subject: string,
  now: Micros,
): AsyncGenerator<Json[], Page> {
  const print = createHash('sha1');
  let count = 0;
  let bytes = 0;
  let objects: Json[] = [];
  const add = (object: Json, size: number): void => {
    objects.push(object);
    bytes += size;
    count += 1;
    print.update(`${wholeText(isJsonObject(object) ? [object['id'], object['modified']] : object)}\n`);
  };
  const takeAll = (): Json[] => {
    const all = objects;
    [objects, bytes] = [[], 0];
    return all;
  };
  let root: Json | undefined;
  for await (const parts of partsOf(body, host, subject)) {
    if (parts.length === 0) yield takeAll();
    for (const part of parts) {
      if (root !== undefined) throw noWholeJson(host, subject);
      if ('root' in part) root = part.root;
      const found = 'member' in part ? [part.member] : part.members === 0 ? listIn(part.root) : [];
      for (const object of found) {
        add(object, part.bytes / found.length);
        if (objects.length >= MOST_ROWS || bytes >= BATCH_BYTES) yield takeAll();
      }
    }
  }
  // RFC 9110 section 15.3.5: 204 has no body.
  if (root === undefined && status === 204) root = {};
  const envelope = Array.isArray(root) ? { objects: root } : root;
  if (!isJsonObject(envelope) || !(Array.isArray(envelope['objects']) || isEmptyEnvelope(envelope))) {
    throw new GatewayError('upstream-malformed', `The answer for ${subject} is neither an envelope nor a bundle.`);
  }
  const { more, next } = envelope;
  return {
    objects,
    count,
    print: print.digest('hex'),
    more: typeof more === 'boolean' ? more : null,
    next: nextOf(next),
    ...datesOf(headers, now),
    isBundle: envelope['type'] === 'bundle' || Array.isArray(root),
  };
}

async function* partsOf(
  body: AsyncIterable<Uint8Array>,
  host: string,
  subject: string,
): AsyncGenerator<JsonStreamPart[]> {
  const chunks = (async function* () {
    for await (const chunk of body) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
  })();
  try {
    yield* readJsonStream(`The answer of ${host} for ${subject}`, chunks, { list: 'objects', format: 'TAXII' });
  } catch (error) {
    if (!(error instanceof GatewayError) || error.code !== 'upstream-malformed') throw error;
    throw noWholeJson(host, subject);
  }
}

/** Nothing of what came is quoted: a page that repeats the request repeats the password in it. */
export function noWholeJson(host: string, subject: string): GatewayError {
  return new GatewayError('upstream-malformed', `${host} sent no whole JSON for ${subject}.`);
}

/** The objects of a root in which they were not found on the way: `objects` may be written with escapes. */
function listIn(root: Json): Json[] {
  const list = isJsonObject(root) ? root['objects'] : root;
  return Array.isArray(list) ? list : [];
}

/** Some servers send it as a number. */
function nextOf(next: Json | undefined): string | null {
  const text = typeof next === 'number' ? String(next) : next;
  return typeof text === 'string' && text !== '' && text.length <= MAX_NEXT ? text : null;
}

/**
 * Nothing can have been added after the answer was made. A date that says so would be asked for ever after, and nothing new
 * would come; the date of the page's first row then stands for it, which is never too late.
 */
function datesOf(headers: Record<string, string>, now: Micros): Pick<Page, 'first' | 'last' | 'ahead' | 'at'> {
  const at = responseDate(headers['date'], now);
  let ahead: string | null = null;
  const [first, last] = ['first', 'last'].map((name) => {
    const date = timestampOf(headers[`x-taxii-date-added-${name}`]?.trim() ?? '');
    const time = parseTimestamp(date);
    // Servers send `undefined`, `null` and the like.
    if (time === undefined) return null;
    if (!isInFuture(time, at)) return date;
    ahead = date;
    return null;
  }) as [string | null, string | null];
  // The OASIS server tells a page of one object by its first date alone; as a last date it is never too late.
  return { first, last: last ?? first, ahead, at };
}

/** `Thu Feb 20 2020 22:10:20 GMT+0000 (…)` as JavaScript writes a Date, and an HTTP-date: both to the second. */
const SPOKEN =
  /^[A-Z][a-z]{2},? (?:(\d{2}) )?([A-Z][a-z]{2}) (?:(\d{2}) )?(\d{4}) (\d\d:\d\d:\d\d) GMT([+-]\d{4})?(?: \(.*\))?$/;
const MONTHS = 'JanFebMarAprMayJunJulAugSepOctNovDec';

/**
 * What servers write in place of a timestamp (TAXII 2.1 section 2), as one: without the offset, which then is that of UTC, or
 * as a language prints a date. Any other text comes back as it is.
 */
function timestampOf(text: string): string {
  if (/^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?$/.test(text)) return `${text}Z`;
  const spoken = SPOKEN.exec(text);
  if (spoken === null) return text;
  const [, before, name = '', behind, year, time, offset = '+0000'] = spoken;
  const month = String(MONTHS.indexOf(name) / 3 + 1).padStart(2, '0');
  const zone = Number(offset) === 0 ? 'Z' : `${offset.slice(0, 3)}:${offset.slice(3)}`;
  return `${year}-${month}-${before ?? behind}T${time}${zone}`;
}
