import { isJsonObject, type Json, type JsonObject } from '../../model/json.ts';
import type { Rejection } from '../../model/observation.ts';
import type { FeedRow } from '../feed.ts';
import {
  type EventParts,
  eventParts,
  isTrue,
  type Marked,
  objectId,
  objectParts,
  readAttribute,
  secondsOf,
} from './attribute.ts';
import type { LeftOut } from './left-out.ts';

/** What an event says. Each row with the attribute that it came from. */
export interface ReadEvent {
  found: { row: FeedRow; attribute: JsonObject }[];
  rejected: Rejection[];
}

/** Links to reports are references of all rows; more would repeat them too often. */
const MOST_LINKS = 8;

/** Reads the attributes of an event and of its objects. `url`: where the event is found. */
export function readEvent(event: JsonObject, url: string | null, marked: Marked, leftOut: LeftOut): ReadEvent {
  const { Attribute: attributes, Object: objects } = event;
  const own = Array.isArray(attributes) ? attributes : [];
  const parts = { ...eventParts(event, url), references: linksIn(own) };
  const read: ReadEvent = { found: [], rejected: [] };
  for (const attribute of own) add(read, attribute, readAttribute(attribute, parts, null, marked, leftOut));
  for (const object of Array.isArray(objects) ? objects : []) addObject(read, object, parts, marked, leftOut);
  return read;
}

function addObject(read: ReadEvent, object: Json, parts: EventParts, marked: Marked, leftOut: LeftOut): void {
  if (!isJsonObject(object) || isTrue(object['deleted'])) return;
  const { Attribute: attributes } = object;
  const shared = objectParts(object);
  for (const attribute of Array.isArray(attributes) ? attributes : []) {
    add(read, attribute, readAttribute(attribute, parts, shared, marked, leftOut));
  }
}

function add(read: ReadEvent, attribute: Json, result: FeedRow[] | Rejection): void {
  if (!Array.isArray(result)) read.rejected.push(result);
  else if (isJsonObject(attribute)) for (const row of result) read.found.push({ row, attribute });
}

/** The reports that an event is about. */
function linksIn(attributes: readonly Json[]): JsonObject[] {
  const links = attributes.filter(isJsonObject).filter(({ type, deleted }) => type === 'link' && !isTrue(deleted));
  return links.slice(0, MOST_LINKS).flatMap(({ value }) => (typeof value === 'string' ? [{ url: value }] : []));
}

/** An attribute as an upstream object of its own; nothing without a uuid. */
export function attributeVersion({ uuid, timestamp }: JsonObject): Pick<FeedRow, 'id' | 'version'> {
  return typeof uuid === 'string' ? { id: objectId('indicator', uuid), version: secondsOf(timestamp) } : {};
}
