import { MICROS_PER_SECOND, type Micros } from '../../model/clock.ts';
import { GatewayError } from '../../model/error.ts';
import { isJsonObject, type Json, type JsonObject } from '../../model/json.ts';
import type { Rejection, SourceObject } from '../../model/observation.ts';
import { parseHttpDate } from '../../model/timestamp.ts';
import { rowText } from '../../stix/validate.ts';
import type { FeedResponse, FeedRow } from '../feed.ts';
import {
  type EventParts,
  eventParts,
  isMarked,
  isTrue,
  type Marked,
  objectId,
  readAttribute,
  secondsOf,
} from './attribute.ts';
import { attributeVersion } from './event.ts';
import type { LeftOut } from './left-out.ts';
import { readerOf } from './types.ts';

/** One answer of `POST /attributes/restSearch`. */
export interface AttributePage {
  attributes: Json[];
  /** The same for pages of the same attributes. */
  fingerprint: string;
  /** The server's own time. */
  at: Micros | null;
}

/** Throws `upstream-malformed`. */
export async function readPage(response: FeedResponse, host: string): Promise<AttributePage> {
  const body = await response.json();
  const attributes = attributesIn(body);
  if (attributes === null) {
    const excerpt = rowText(body).slice(0, 80).toWellFormed();
    throw new GatewayError('upstream-malformed', `${host} answered without a list of attributes.`, { excerpt });
  }
  const fingerprint = attributes.map((one) => rowText(isJsonObject(one) ? one['uuid'] : one)).join();
  return { attributes, fingerprint, at: parseHttpDate(response.headers['date'] ?? '') ?? null };
}

/** `{response: {Attribute: []}}`, of older servers without `response`. PHP writes an empty list where nothing was found. */
function attributesIn(body: unknown): Json[] | null {
  const inner = isJsonObject(body) && 'response' in body ? body['response'] : body;
  if (Array.isArray(inner)) return inner.length === 0 ? [] : null;
  if (!isJsonObject(inner)) return null;
  const { Attribute: attributes } = inner;
  return Array.isArray(attributes) ? attributes : null;
}

export interface ReadAttributes {
  items: FeedRow[];
  rejected: Rejection[];
  /** Attributes that are deleted, or not marked for detection: what they said before ends. */
  ended: SourceObject[];
}

/** Reads attributes of any events. `base`: the address of the MISP. */
export function readAttributes(
  attributes: readonly Json[],
  base: string,
  marked: Marked,
  leftOut: LeftOut,
): ReadAttributes {
  const events = new Map<Json, EventParts>();
  const read: ReadAttributes = { items: [], rejected: [], ended: [] };
  for (const attribute of attributes) {
    const rows = readAttribute(attribute, partsOf(attribute, base, events), null, marked, leftOut);
    if (!Array.isArray(rows)) read.rejected.push(rows);
    else if (isJsonObject(attribute)) {
      const version = attributeVersion(attribute);
      for (const row of rows) read.items.push({ ...row, ...version });
      if (rows.length === 0) read.ended.push(...endOf(attribute, marked));
    }
  }
  return read;
}

/** Of attributes that never said anything there is nothing to end. */
function endOf(attribute: JsonObject, marked: Marked): SourceObject[] {
  const { uuid, type, timestamp } = attribute;
  if (typeof uuid !== 'string' || typeof type !== 'string' || readerOf(type) === null) return [];
  if (!isTrue(attribute['deleted']) && (marked === 'all' || isMarked(attribute))) return [];
  const seconds = secondsOf(timestamp);
  return [{ id: objectId('indicator', uuid), version: seconds === null ? null : seconds * MICROS_PER_SECOND }];
}

const NO_EVENT = eventParts({}, null);

function partsOf(attribute: Json, base: string, events: Map<Json, EventParts>): EventParts {
  const event = isJsonObject(attribute) ? (attribute['Event'] ?? null) : null;
  if (!isJsonObject(event)) return NO_EVENT;
  const id = event['uuid'] ?? event['id'] ?? null;
  const known = id === null ? undefined : events.get(id);
  if (known !== undefined) return known;
  const isWord = typeof id === 'string' && /^[\w-]{1,64}$/.test(id);
  const parts = eventParts(event, isWord ? `${base.replace(/\/*$/, '')}/events/view/${id}` : null);
  if (id !== null) events.set(id, parts);
  return parts;
}
