import { createHmac, hash, timingSafeEqual } from 'node:crypto';
import type { Micros } from '../src/model/clock.ts';
import { GatewayError } from '../src/model/error.ts';

/** Where a walk stands: everything needed to go on with it, so the server remembers nothing. */
export interface Cursor {
  /** Which resource of which collection is walked. */
  resource: string;
  journal: string;
  dateAdded: Micros;
  addedAfter: Micros | null;
  /** The `match` parameters of the first page, by name; `#…` in place of one that is too long to carry. */
  match: Record<string, string>;
}

const TAG_BYTES = 16;
/** A longer `match` value travels as its hash: the client must then repeat it, as TAXII 2.1 section 3.5 has it anyway. */
const MAX_CARRIED = 512;

/** `next` (TAXII 2.1 section 3.5): no upper bound, no row number, good for as long as the store's secret is. */
export function sealCursor(secret: string, cursor: Cursor): string {
  const { resource, journal, dateAdded, addedAfter, match } = cursor;
  const carried = Object.entries(match).map(([name, value]) => [name, carry(value)]);
  const body = Buffer.from(JSON.stringify([resource, journal, dateAdded, addedAfter, Object.fromEntries(carried)]));
  return Buffer.concat([tagOf(secret, body), body]).toString('base64url');
}

/**
 * Null for a token of another resource: some clients carry the last one of one collection into the next, which then begins anew
 * (OpenCTI's taxii2 connector). Throws `bad-request` for anything that sealCursor did not make.
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
  // A canonical re-encoding: base64url readers forgive stray characters, a seal doesn't.
  if (!isOurs || bytes.toString('base64url') !== token) throw foreign(parameter);
  const [sealedResource, sealedJournal, dateAdded, addedAfter, match] = JSON.parse(body.toString());
  if (sealedResource !== resource || sealedJournal !== journal) return null;
  return { resource, journal, dateAdded, addedAfter, match };
}

/** Does a `match` value beside a token say what the token says? */
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

/** For a token that was made elsewhere, was changed, or belongs to another question. */
export function foreign(parameter: string): GatewayError {
  return new GatewayError('bad-request', `${parameter} is not a token of this resource; start again without it.`, {
    details: { parameter },
  });
}
