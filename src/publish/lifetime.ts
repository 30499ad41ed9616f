import { MICROS_PER_DAY, MICROS_PER_MS, MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import { trustedConfidenceOf } from '../model/confidence.ts';
import type { FeedDefinition, JournalPolicy, Profile } from '../model/definition.ts';
import type { IndicatorEntry } from '../model/entry.ts';
import { leastOf } from '../model/extremes.ts';
import type { Observation, OtherSourceObject } from '../model/observation.ts';
import { floorToMillis } from '../model/timestamp.ts';
import { ageAtScore, type Decay, scoreAt } from './decay.ts';
import type { FeedFreshness } from './journals.ts';

/** Elastic's prebuilt rules look back 30 days by `created`: living indicators are issued anew well before. */
const REISSUE_AFTER = 20 * MICROS_PER_DAY;
/** In as many steps as a byte has: due times that lie together are found, and written, together. */
const REISSUE_STEP = (5 * MICROS_PER_DAY) / 256;
/** Elastic needs an end; where nobody sets one, a year that renewals keep moving. */
const ELASTIC_LONGEST = 365 * MICROS_PER_DAY;
/** With less than this left, an entry is looked at next when it ends. */
const LAST_LOOK = 120 * MICROS_PER_SECOND;

/**
 * A lifetime is held, and `valid_until` moved on, this long before it ends, or a quarter of it where that is less: readers go by the
 * `valid_until` that they have. Never later than the last look, the last time before the end that the entry is looked at.
 */
const HOLD_AHEAD = 3600 * MICROS_PER_SECOND;

type Dated = Pick<IndicatorEntry, 'objectId' | 'created' | 'version' | 'validUntil'>;

/** The dates of one source object that its end depends on. */
type Dates = Pick<OtherSourceObject, 'validUntil' | 'reportedAt'>;

/** What a journal says of age itself. `bar`: the score that what decays must have. */
type AgePolicy = Pick<JournalPolicy, 'maxAge'> & { bar?: number };
const NO_POLICY: AgePolicy = {};

/**
 * Returns when an observation expires: with the last of the source objects that say it. Null: never.
 *
 * The source's own `valid_until` counts first (STIX 2.1 section 4.7; without one an indicator has no end). Else the configured
 * lifetime counts from the last sighting that the feed dates or the last confirmation of a snapshot, whichever is later, and
 * without either from when the feed first reported it. A journal's `max_age` counts in the same way, and so does the time until a
 * decaying score falls under the bar, whatever the source says. What ends by age while the feed can't be read is held until the
 * feed's outage limit.
 */
export function expiryOf(
  observation: Observation,
  feed: FeedFreshness,
  now: Micros,
  policy: AgePolicy = NO_POLICY,
): Micros | null {
  let last = endOf(observation, observation, feed, now, policy);
  for (const other of observation.others) {
    if (last === null) return null;
    const end = endOf(observation, other, feed, now, policy);
    last = end === null ? null : Math.max(last, end);
  }
  return last;
}

function endOf(
  observation: Observation,
  said: Dates,
  feed: FeedFreshness,
  now: Micros,
  policy: AgePolicy,
): Micros | null {
  const span = spanOf(observation, said, feed, policy);
  if (span === null) return said.validUntil;
  const end = sinceOf(observation, said, feed) + span;
  return leastOf(said.validUntil, isHeld(end, span, feed, now) ? heldUntil(end, feed) : end);
}

/** Has its age ended it, or is it held, so that it is to be reviewed after the feed's next good poll? */
export function hasLapsed(
  observation: Observation,
  feed: FeedFreshness,
  now: Micros,
  policy: AgePolicy = NO_POLICY,
): boolean {
  return (
    mayBeSaidAgain(observation, observation, feed, now, policy) ||
    observation.others.some((other) => mayBeSaidAgain(observation, other, feed, now, policy))
  );
}

function mayBeSaidAgain(
  observation: Observation,
  said: Dates,
  feed: FeedFreshness,
  now: Micros,
  policy: AgePolicy,
): boolean {
  const span = spanOf(observation, said, feed, policy);
  // What the source ended itself no poll confirms.
  if (span === null || (said.validUntil !== null && said.validUntil <= now)) return false;
  const end = sinceOf(observation, said, feed) + span;
  if (feed.definition.mode === 'snapshot' && end <= now) return true;
  // What a delta feed let go is not said again by a poll that says nothing of it: only what is held waits for one.
  return isHeld(end, span, feed, now) && heldUntil(end, feed) > now;
}

/** For how long it counts after it was last seen. Null: its age alone never ends it. */
function spanOf(
  observation: Observation,
  { validUntil }: Dates,
  { definition }: FeedFreshness,
  { maxAge, bar = 0 }: AgePolicy,
): Micros | null {
  const own = validUntil === null ? lifetimeOf(observation, definition) : null;
  const span = leastOf(own, maxAge === undefined ? null : maxAge * MICROS_PER_MS);
  return definition.decay === undefined ? span : leastOf(span, decaySpanOf(observation, definition, bar));
}

function lifetimeOf({ observable: { type } }: Observation, { lifetime }: FeedDefinition): Micros | null {
  const milliseconds = lifetime[type] ?? lifetime.default;
  return milliseconds === undefined ? null : milliseconds * MICROS_PER_MS;
}

/** Until its score falls under the bar or the feed's threshold. Null: it never does, or has no score. */
function decaySpanOf(observation: Observation, definition: FeedDefinition, bar: number): Micros | null {
  const least = Math.max(bar, definition.decay?.threshold ?? 0);
  const decay = decayOf(observation, definition);
  const base = trustedConfidenceOf(observation, definition);
  return decay === null || base === null || least === 0 ? null : ageAtScore(base, decay, least);
}

/** How its score decays. Null: it doesn't. */
function decayOf(observation: Observation, definition: FeedDefinition): Decay | null {
  const lifetime = lifetimeOf(observation, definition);
  const speed = definition.decay?.speed[observation.observable.type] ?? definition.decay?.speed.default;
  return lifetime === null || speed === undefined ? null : { lifetime, speed };
}

/** What decay has left of its confidence. Null: it has none. */
export function scoreOf(observation: Observation, feed: FeedFreshness, now: Micros): number | null {
  const base = trustedConfidenceOf(observation, feed.definition);
  const decay = decayOf(observation, feed.definition);
  if (base === null || decay === null) return base;
  const since = [observation, ...observation.others].map((said) => sinceOf(observation, said, feed));
  return scoreAt(base, decay, now - Math.max(...since));
}

/** The observation as if its feed had seen it when an analyst did; as it is where the feed saw it, or first said it, later than that. */
export function seenBy(observation: Observation, at: Micros): Observation {
  const { lastSeen, reportedAt, others } = observation;
  const known = lastSeen ?? Math.max(reportedAt, ...others.map((other) => other.reportedAt));
  return at <= known ? observation : { ...observation, lastSeen: at };
}

function sinceOf({ lastSeen }: Observation, { reportedAt }: Dates, { confirmedAt }: FeedFreshness): Micros {
  return lastSeen === null ? (confirmedAt ?? reportedAt) : Math.max(lastSeen, confirmedAt ?? 0);
}

/** Only what ends after the feed was last read is held. */
function isHeld(end: Micros, span: Micros, { unreadSince }: FeedFreshness, now: Micros): boolean {
  if (unreadSince === null || end <= unreadSince) return false;
  return end <= now + Math.max(LAST_LOOK, Math.min(HOLD_AHEAD, span / 4));
}

function heldUntil(end: Micros, { unreadSince, definition }: FeedFreshness): Micros {
  return Math.max(end, (unreadSince ?? 0) + definition.outageLimit * MICROS_PER_MS);
}

/** `valid_until` as a journal issues it. */
export function validUntilOf(profile: Profile, merged: Micros | null, now: Micros): Micros | null {
  const until = merged === null && profile === 'elastic-agent' ? now + ELASTIC_LONGEST : merged;
  return until === null ? null : floorToMillis(until);
}

/** When an `elastic-agent` indicator gets a new generation: spread over five days by its id, which is a hash already. */
export function reissueAt({ objectId, created }: Pick<Dated, 'objectId' | 'created'>): Micros {
  return created + REISSUE_AFTER + Number.parseInt(objectId.slice(-2), 16) * REISSUE_STEP;
}

/** Is a new version due? The end has moved on, and less than half of the lifetime that readers know of is left. */
export function needsRenewal(live: Dated, validUntil: Micros | null, now: Micros): boolean {
  if (live.validUntil === null) return false;
  if (validUntil !== null && validUntil < live.validUntil + MICROS_PER_SECOND) return false;
  return now >= halfLifeOf(live, live.validUntil);
}

/** Half of the lifetime of a version. It never lies behind the end, as a version from before the clock was set back may. */
function halfLifeOf({ version }: Dated, end: Micros): Micros {
  return Math.min(end, version + (end - version) / 2);
}

/** When an indicator expires, as it would be issued now, and when the first of its sources does. */
export interface Ends {
  validUntil: Micros | null;
  changesAt: Micros | null;
}

/**
 * When the writer must look again: at half of the life that is left, then at half of the rest and so on, so that a
 * confirmation that touched no row is noticed in time; in the end at the end. And whenever one of several sources stops
 * speaking for it, which changes what the others say together. Null: never by itself.
 */
export function dueOf(profile: Profile, entry: Dated, { validUntil, changesAt }: Ends, now: Micros): Micros | null {
  const end = leastOf(entry.validUntil, validUntil);
  let due: Micros | null = null;
  if (end !== null) {
    const half = halfLifeOf(entry, end);
    due = now < half ? half : end - now > LAST_LOOK ? now + (end - now) / 2 : end;
  }
  due = leastOf(due, changesAt);
  if (profile === 'elastic-agent') due = leastOf(due, reissueAt(entry));
  return due === null ? null : Math.floor(due);
}
