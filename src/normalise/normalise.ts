import type { FeedItem } from '../feeds/feed.ts';
import type { Micros } from '../model/clock.ts';
import type { FeedDefinition } from '../model/definition.ts';
import { isJsonObject } from '../model/json.ts';
import type { Observation, Rejection, StixObject } from '../model/observation.ts';
import { rowText } from '../stix/validate.ts';
import { normaliseRow } from './row.ts';
import { normaliseStix } from './stix-item.ts';

/**
 * What became of an item: the observations it holds, at least one and each of another observable; an object; or why neither.
 * Notes say what of it could not be read or is served only in part: the row counts as accepted, and they are kept beside the
 * rejections so that nothing is lost unsaid.
 */
export type Normalised =
  | { kind: 'observations'; observations: Observation[]; notes?: Rejection[] }
  | { kind: 'object'; object: StixObject; notes?: Rejection[] }
  | { kind: 'rejection'; rejection: Rejection };

/** One item of a feed, whatever it holds, to what the store keeps. Never throws. Pure but for `now`. */
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
