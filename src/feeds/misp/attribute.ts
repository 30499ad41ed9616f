import { isJsonObject, type Json, type JsonObject } from '../../model/json.ts';
import type { Rejection } from '../../model/observation.ts';
import { isUuid, uuidV5 } from '../../stix/id.ts';
import { rowText } from '../../stix/validate.ts';
import type { FeedRow } from '../feed.ts';
import type { LeftOut } from './left-out.ts';
import { objectsIn, readTags, tagNames } from './tags.ts';
import { readerOf } from './types.ts';

/** Which attributes are read: those that their author marked for detection, or all. */
export type Marked = 'only' | 'all';

/** What the attributes of an event have in common. */
export interface EventParts {
  tags: string[];
  /** The title of the event. */
  info: string | null;
  references: JsonObject[];
  source: JsonObject;
}

/** `url`: where people, or programs, find the event. */
export function eventParts(event: JsonObject, url: string | null): EventParts {
  const info = textOf(event['info']);
  const { Orgc: creator, Org: owner } = event;
  const organisation = [creator, owner].map((one) => (isJsonObject(one) ? textOf(one['name']) : null));
  const name = organisation.find((one) => one !== null) ?? null;
  return {
    tags: tagNames(event),
    info,
    references: [],
    source: {
      ...(name === null ? {} : { feed_name: name }),
      ...(info === null ? {} : { article_title: info }),
      ...(url === null ? {} : { article_url: url }),
    },
  };
}

/** What an attribute takes from the object that it is a part of. */
export interface ObjectParts {
  tags: string[];
  port: Json;
  name: string | null;
  firstSeen: Json;
  lastSeen: Json;
}

/** A file's name belongs to its hashes, and a port to the address and the name beside it, where the object has one only. */
export function objectParts(object: JsonObject): ObjectParts {
  const attributes = objectsIn(object['Attribute']).filter((one) => !isTrue(one['deleted']));
  const only = (isMeant: (attribute: JsonObject) => boolean): Json => {
    const [first, ...others] = attributes.filter(isMeant);
    return first === undefined || others.length > 0 ? null : (first['value'] ?? null);
  };
  const named = only(({ type, object_relation: relation }) => type === 'filename' && relation === 'filename');
  return {
    tags: tagNames(object),
    port: only(({ type, object_relation: relation }) => type === 'port' && relation === 'dst-port'),
    name: object['name'] === 'file' ? textOf(named) : null,
    firstSeen: object['first_seen'] ?? null,
    lastSeen: object['last_seen'] ?? null,
  };
}

const hashes = new Set<unknown>(['md5', 'sha1', 'sha256', 'sha512']);
const hosts = new Set<unknown>(['ip', 'domain']);

/**
 * Reads an attribute as rows, mostly one. Returns none for what is left out, which is counted, and a rejection for what is no
 * attribute. The rows have no id and version yet.
 */
export function readAttribute(
  attribute: Json,
  event: EventParts,
  object: ObjectParts | null,
  marked: Marked,
  leftOut: LeftOut,
): FeedRow[] | Rejection {
  if (!isJsonObject(attribute)) {
    return { reason: 'not-an-object', detail: 'an attribute is no object', row: rowText(attribute) };
  }
  const { type, value } = attribute;
  if (isTrue(attribute['deleted'])) return [];
  if (typeof type !== 'string' || typeof value !== 'string' || value === '') {
    return { reason: 'no-value', detail: 'an attribute without type or value', row: rowText(attribute) };
  }
  if (marked === 'only' && !isMarked(attribute)) {
    leftOut.add('not marked for detection (to_ids)', type);
    return [];
  }
  const read = readerOf(type);
  if (read === null) {
    leftOut.add('of a type that is no indicator here', type);
    return [];
  }
  const common = commonParts(attribute, event, object);
  return read(value).map((row) => ({
    ...common,
    ...(hashes.has(row.type) ? { name: object?.name } : {}),
    ...(hosts.has(row.type) ? { port: object?.port } : {}),
    ...Object.fromEntries(Object.entries(row).filter(([, part]) => part !== null)),
    value: row.value,
  }));
}

function commonParts(attribute: JsonObject, event: EventParts, object: ObjectParts | null): Partial<FeedRow> {
  const own = [...tagNames(attribute), ...(object?.tags ?? [])];
  const { labels, techniques, confidence, malwareFamily } = readTags([...new Set([...own, ...event.tags])]);
  const { seen, ended } = sightings(attribute);
  // Analysts date their sightings seldom. What they changed last they have looked at, which is as much as a feed of news says.
  const dated = attribute['last_seen'] ?? object?.lastSeen ?? secondsOf(attribute['timestamp']);
  return {
    confidence,
    firstSeen: attribute['first_seen'] ?? object?.firstSeen,
    lastSeen: seen ?? dated,
    expires: ended,
    description: textOf(attribute['comment']) ?? event.info,
    labels,
    techniques,
    malwareFamily,
    references: event.references,
    source: event.source,
  };
}

/** The last sighting (type 0), and when the value was said to have expired (type 2). False positives (type 1) are one reader's word. */
function sightings(attribute: JsonObject): { seen: number | null; ended: number | null } {
  const times: Record<string, number> = {};
  for (const { type, date_sighting: date } of objectsIn(attribute['Sighting'])) {
    const at = secondsOf(date);
    const kind = String(type ?? '0');
    if (at !== null) times[kind] = Math.max(at, times[kind] ?? 0);
  }
  return { seen: times['0'] ?? null, ended: times['2'] ?? null };
}

export function isMarked({ to_ids: marked }: JsonObject): boolean {
  return marked === undefined || marked === null || isTrue(marked);
}

export function isTrue(value: Json | undefined): boolean {
  return value === true || value === 1 || value === '1' || value === 'true';
}

function textOf(value: Json | undefined): string | null {
  return typeof value === 'string' && value.trim() !== '' ? value : null;
}

/** Unix seconds, which MISP writes as text; null for none, and for 0. */
export function secondsOf(value: Json | undefined): number | null {
  const seconds = typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : value;
  return typeof seconds === 'number' && Number.isSafeInteger(seconds) && seconds > 0 ? seconds : null;
}

const NAMESPACE = '2d0e7a1c-5d0b-4f2e-9c39-0c3a5a7e51a4';

/** The id of an event or attribute as an upstream object. MISP's own exports to STIX give them the same. */
export function objectId(type: 'report' | 'indicator', uuid: string): string {
  return `${type}--${isUuid(uuid) ? uuid.toLowerCase() : uuidV5(NAMESPACE, uuid)}`;
}
