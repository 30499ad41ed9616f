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
import { asBuffer } from '../reading/stream.ts';

/** One answer of `GET .../objects/`, read to its end. */
export interface Page {
  /** The objects that were not yielded in pieces before. */
  objects: Json[];
  /** All objects of the page. */
  count: number;
  /** A hash of the ids and versions of its objects: tells the page from any other. */
  fingerprint: string;
  /** Null: absent, which the standard defines as false (TAXII 2.1 section 3.7) and many servers do not mean as such. */
  more: boolean | null;
  next: string | null;
  /** X-TAXII-Date-Added-First and -Last, verbatim (section 3.2); null when absent, no time, or ahead of the server's clock. */
  first: string | null;
  last: string | null;
  /** The date that was ahead of the server's clock. */
  ahead: string | null;
  /** When the page was made, by the server's clock. */
  at: Micros;
  /** The answer is a STIX bundle or a bare list, not an envelope. */
  isBundle: boolean;
}

/** Leaves room in a batch for the page's notes, at most two. */
const MOST_ROWS = BATCH_ROWS - 2;
const MAX_NEXT = 4096;

/**
 * Reads an envelope, a bundle or a bare list of any length. Yields the objects of a page that is longer than a batch in pieces,
 * and what has come when the server pauses; returns the page with the remaining objects. `more` and `next` may stand behind the
 * objects, so they are known at the end only.
 * Throws `upstream-malformed`.
 */
export async function* readPage(
  { status, headers, body }: Pick<FeedResponse, 'status' | 'headers' | 'body'>,
  host: string,
  subject: string,
  now: Micros,
): AsyncGenerator<Json[], Page> {
  const fingerprint = createHash('sha1');
  let count = 0;
  let bytes = 0;
  let objects: Json[] = [];
  const add = (object: Json, size: number): void => {
    objects.push(object);
    bytes += size;
    count += 1;
    fingerprint.update(`${wholeText(isJsonObject(object) ? [object['id'], object['modified']] : object)}\n`);
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
    fingerprint: fingerprint.digest('hex'),
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
    for await (const chunk of body) yield asBuffer(chunk);
  })();
  try {
    yield* readJsonStream(`The answer of ${host} for ${subject}`, chunks, { list: ['objects'], format: 'TAXII' });
  } catch (error) {
    if (!(error instanceof GatewayError) || error.code !== 'upstream-malformed') throw error;
    throw noWholeJson(host, subject);
  }
}

/** The answer is not quoted: an error page may repeat the request, with the password in it. */
export function noWholeJson(host: string, subject: string): GatewayError {
  return new GatewayError('upstream-malformed', `${host} sent no whole JSON for ${subject}.`);
}

/** The objects of a root in which the stream reader found no list: the name `objects` may be written with escapes. */
function listIn(root: Json): Json[] {
  const list = isJsonObject(root) ? root['objects'] : root;
  return Array.isArray(list) ? list : [];
}

/** `next` as text: some servers send a number. */
function nextOf(next: Json | undefined): string | null {
  const text = typeof next === 'number' ? String(next) : next;
  return typeof text === 'string' && text !== '' && text.length <= MAX_NEXT ? text : null;
}

/**
 * Reads the dates of a page. A date after the answer was made is not believed: with it as `added_after` nothing new would ever
 * come.
 */
function datesOf(headers: Record<string, string>, now: Micros): Pick<Page, 'first' | 'last' | 'ahead' | 'at'> {
  const at = responseDate(headers['date'], now);
  let ahead: string | null = null;
  const [first, last] = ['first', 'last'].map((name) => {
    const date = timestampOf(headers[`x-taxii-date-added-${name}`]?.trim() ?? '');
    const time = parseTimestamp(date);
    // Some servers send `undefined` or `null` as text.
    if (time === undefined) return null;
    if (!isInFuture(time, at)) return date;
    ahead = date;
    return null;
  }) as [string | null, string | null];
  // The OASIS server sends the first date alone for a page of one object; as the last date it is never too late.
  return { first, last: last ?? first, ahead, at };
}

/** `Thu Feb 20 2020 22:10:20 GMT+0000 (…)` as JavaScript prints a date, and an HTTP-date; both to the second. */
const PRINTED_DATE =
  /^[A-Z][a-z]{2},? (?:(\d{2}) )?([A-Z][a-z]{2}) (?:(\d{2}) )?(\d{4}) (\d\d:\d\d:\d\d) GMT([+-]\d{4})?(?: \(.*\))?$/;
const MONTHS = 'JanFebMarAprMayJunJulAugSepOctNovDec';

/**
 * Makes a timestamp (TAXII 2.1 section 2) of what some servers send instead: one without offset, which then is UTC, or a date as a
 * programming language prints it. Any other text is returned as it is.
 */
function timestampOf(text: string): string {
  if (/^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?$/.test(text)) return `${text}Z`;
  const printed = PRINTED_DATE.exec(text);
  if (printed === null) return text;
  const [, before, name = '', behind, year, time, offset = '+0000'] = printed;
  const month = String(MONTHS.indexOf(name) / 3 + 1).padStart(2, '0');
  const zone = Number(offset) === 0 ? 'Z' : `${offset.slice(0, 3)}:${offset.slice(3)}`;
  return `${year}-${month}-${before ?? behind}T${time}${zone}`;
}
