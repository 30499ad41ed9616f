import { MICROS_PER_DAY, MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import type { Profile } from '../model/definition.ts';
import type { IndicatorEntry } from '../model/entry.ts';
import { floorToMillis } from '../model/timestamp.ts';

/** Elastic's prebuilt rules look back 30 days by `created`: living indicators are issued anew well before. */
const REISSUE_AFTER = 20 * MICROS_PER_DAY;
/** In as many steps as a byte has: due times that lie together are found, and written, together. */
const REISSUE_STEP = (5 * MICROS_PER_DAY) / 256;
/** Elastic needs an end; where nobody sets one, a year that renewals keep moving. */
const ELASTIC_LONGEST = 365 * MICROS_PER_DAY;
/** With less than this left, the next look is at the end itself. */
const LAST_LOOK = 120 * MICROS_PER_SECOND;

type Dated = Pick<IndicatorEntry, 'objectId' | 'created' | 'version' | 'validUntil'>;

/** `valid_until` as a journal issues it. */
export function validUntilOf(profile: Profile, merged: Micros | null, now: Micros): Micros | null {
  const until = merged === null && profile === 'elastic-agent' ? now + ELASTIC_LONGEST : merged;
  return until === null ? null : floorToMillis(until);
}

/** When an `elastic-agent` indicator gets a new generation: spread over five days by its id, which is a hash already. */
export function reissueAt({ objectId, created }: Pick<Dated, 'objectId' | 'created'>): Micros {
  return created + REISSUE_AFTER + Number.parseInt(objectId.slice(-2), 16) * REISSUE_STEP;
}

/** The end has moved on and less than half of what was promised is left. */
export function needsRenewal(live: Dated, validUntil: Micros | null, now: Micros): boolean {
  if (live.validUntil === null) return false;
  if (validUntil !== null && validUntil < live.validUntil + MICROS_PER_SECOND) return false;
  return now >= live.version + (live.validUntil - live.version) / 2;
}

/**
 * When the writer must look again: at half of the life that is left, then at half of the rest and so on, so that a
 * confirmation that touched no row is noticed in time; in the end at the end. Null: never by itself.
 */
export function dueOf(profile: Profile, entry: Dated, validUntil: Micros | null, now: Micros): Micros | null {
  const end = leastOf(entry.validUntil, validUntil);
  let due: Micros | null = null;
  if (end !== null) {
    const half = entry.version + (end - entry.version) / 2;
    due = now < half ? half : end - now > LAST_LOOK ? now + (end - now) / 2 : end;
  }
  if (profile === 'elastic-agent') due = leastOf(due, reissueAt(entry));
  return due === null ? null : Math.floor(due);
}

function leastOf(a: Micros | null, b: Micros | null): Micros | null {
  return a === null ? b : b === null ? a : Math.min(a, b);
}
