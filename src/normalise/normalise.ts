import type { FeedItem } from '../feeds/feed.ts';
import type { Micros } from '../model/clock.ts';
import type { FeedDefinition } from '../model/definition.ts';
import { isJsonObject } from '../model/json.ts';
import type { Observation, Rejection, StixObject } from '../model/observation.ts';
import { rowText } from '../stix/validate.ts';
import { normaliseRow } from './row.ts';
import { normaliseStix } from './stix-item.ts';

/**
 * The outcome for an item: its observations, at least one and each of another observable; a STIX object that passes verbatim; or
 * the rejection. Notes say what of an accepted item could not be read or is served only in part; they are kept with the rejections.
 */
export type Normalised =
  | { kind: 'observations'; observations: Observation[]; notes?: Rejection[] }
  | { kind: 'object'; object: StixObject; notes?: Rejection[] }
  | { kind: 'rejection'; rejection: Rejection };

/** Turns an item of a feed into what the store keeps. Never throws. Pure: the time comes as `now`. */
export function normalise(item: FeedItem, feed: FeedDefinition, now: Micros): Normalised {
  if (!isJsonObject(item)) {
    return {
      kind: 'rejection',
      rejection: { reason: 'not-an-object', detail: 'the row is no object', row: rowText(item) },
    };
  }
  const result = 'stix' in item ? stixOf(item.stix, feed, now) : normaliseRow(item, feed, now);
  if ('observations' in result) return { kind: 'observations', ...result };
  if ('reason' in result) return { kind: 'rejection', rejection: result };
  return { kind: 'object', ...result };
}

function stixOf(object: unknown, feed: FeedDefinition, now: Micros) {
  if (isJsonObject(object)) return normaliseStix(object, feed, now);
  return { reason: 'not-an-object', detail: 'the STIX object is no object', row: rowText(object) } as const;
}
