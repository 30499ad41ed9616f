import { hash } from 'node:crypto';
import { GatewayError } from '../../model/error.ts';
import { isJsonObject, type Json } from '../../model/json.ts';
import { parseTimestamp } from '../../model/timestamp.ts';
import { wholeText } from '../../stix/validate.ts';
import type { Reply } from './server.ts';

/** One answer of `GET .../objects/`. */
export interface Page {
  objects: Json[];
  /** Null: not said. The standard means false by it (TAXII 2.1 section 3.7); servers in the field mean nothing. */
  more: boolean | null;
  next: string | null;
  /** X-TAXII-Date-Added-First and -Last, verbatim (section 3.2); null when absent or no time. */
  first: string | null;
  last: string | null;
  /** A STIX bundle came in the envelope's place. */
  isBundle: boolean;
}

const MAX_NEXT = 4096;

/** Reads an envelope, a bundle or a bare list. Throws `upstream-malformed`. */
export function readPage({ body, headers }: Reply, subject: string): Page {
  const envelope = Array.isArray(body) ? { objects: body } : body;
  if (!isJsonObject(envelope) || !isPageLike(envelope)) {
    throw new GatewayError('upstream-malformed', `The answer for ${subject} is neither an envelope nor a bundle.`);
  }
  const { objects, more, next } = envelope;
  const first = dateOf(headers['x-taxii-date-added-first']);
  return {
    objects: Array.isArray(objects) ? objects : [],
    more: typeof more === 'boolean' ? more : null,
    next: nextOf(next),
    first,
    // The OASIS server tells a page of one object by its first date alone; as a last date it is never too late.
    last: dateOf(headers['x-taxii-date-added-last']) ?? first,
    isBundle: envelope['type'] === 'bundle' || Array.isArray(body),
  };
}

/** An empty envelope is `{}`; an error message that comes with 200 has other members. */
function isPageLike(envelope: Record<string, Json>): boolean {
  const { objects } = envelope;
  if (objects !== undefined && objects !== null) return Array.isArray(objects);
  return envelope['type'] === 'bundle' || Object.keys(envelope).every((key) => /^(?:more|next|objects)$/.test(key));
}

/** Some servers send it as a number. */
function nextOf(next: Json | undefined): string | null {
  const text = typeof next === 'number' ? String(next) : next;
  return typeof text === 'string' && text !== '' && text.length <= MAX_NEXT ? text : null;
}

/** Servers send `undefined`, `null` and the like. */
function dateOf(header: string | undefined): string | null {
  const date = header?.trim();
  return date !== undefined && parseTimestamp(date) !== undefined ? date : null;
}

/** What tells a page from any other: the objects and their versions. */
export function printOf({ objects }: Page): string {
  const names = objects.map((object) => wholeText(isJsonObject(object) ? [object['id'], object['modified']] : object));
  return hash('sha1', names.join('\n'), 'hex');
}
