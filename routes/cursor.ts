import { createHmac, hash, timingSafeEqual } from 'node:crypto';
import type { Micros } from '../src/model/clock.ts';
import { GatewayError } from '../src/model/error.ts';

/** The position of a client that reads page by page: all that is needed to go on, so the server keeps no state. */
export interface Cursor {
  /** Which resource of which collection is read. */
  resource: string;
  journal: string;
  dateAdded: Micros;
  addedAfter: Micros | null;
  /** The `match` parameters of the first page, by name. A long value is replaced by `#` and its hash. */
  match: Record<string, string>;
}

const TAG_BYTES = 16;
/** A longer `match` value is carried as its hash; the client must repeat it, as TAXII 2.1 section 3.5 says anyway. */
const MAX_CARRIED = 512;

/** Makes `next` (TAXII 2.1 section 3.5). It is valid as long as the store's secret. */
export function sealCursor(secret: string, cursor: Cursor): string {
  const { resource, journal, dateAdded, addedAfter, match } = cursor;
  const carried = Object.entries(match).map(([name, value]) => [name, carry(value)]);
  const body = Buffer.from(JSON.stringify([resource, journal, dateAdded, addedAfter, Object.fromEntries(carried)]));
  return Buffer.concat([tagOf(secret, body), body]).toString('base64url');
}

/**
 * Returns null for a token of another resource: OpenCTI's taxii2 connector sends the last one of a collection to the next one. Throws
 * `bad-request` for anything that sealCursor did not make.
 */
export function openCursor(
  secret: string,
  token: string,
  resource: string,
  journal: string,
  parameter = 'next',
): Cursor | null {
  const bytes = Buffer.from(token, 'base64url');
  const body = bytes.subarray(TAG_BYTES);
  const isOurs = bytes.length > TAG_BYTES && timingSafeEqual(bytes.subarray(0, TAG_BYTES), tagOf(secret, body));
  // Encoded again and compared, because Buffer.from ignores characters that are not base64url.
  if (!isOurs || bytes.toString('base64url') !== token) throw foreign(parameter);
  const [sealedResource, sealedJournal, dateAdded, addedAfter, match] = JSON.parse(body.toString());
  if (sealedResource !== resource || sealedJournal !== journal) return null;
  return { resource, journal, dateAdded, addedAfter, match };
}

/** Is a `match` value the same as the one in the token? */
export function agrees(carried: string | undefined, given: string): boolean {
  return carried !== undefined && carried === carry(given);
}

export function isHashed(carried: string): boolean {
  return carried.startsWith('#');
}

function carry(value: string): string {
  return value.length > MAX_CARRIED || value.startsWith('#') ? `#${hash('sha256', value, 'base64url')}` : value;
}

function tagOf(secret: string, body: Buffer): Buffer {
  return createHmac('sha256', Buffer.from(secret, 'hex')).update(body).digest().subarray(0, TAG_BYTES);
}

/** The error for a token that was not made here, was changed, or belongs to another request. */
export function foreign(parameter: string): GatewayError {
  return new GatewayError('bad-request', `${parameter} is not a token of this resource; start again without it.`, {
    details: { parameter },
  });
}
