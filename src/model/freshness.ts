import { MICROS_PER_MS, MICROS_PER_SECOND, type Micros, type Millis } from './clock.ts';
import type { FeedState } from './state.ts';

/**
 * How old the data of a feed may be. All rules compare the age of the last whole pull with the feed's interval, `every`. A feed that
 * was never read whole is late by all of them. No pull is due before the upstream's own word on how long the last one stays as it is.
 */
type Pulled = Pick<FeedState, 'succeededAt' | 'freshUntil'>;

/** A scheduled poll takes no longer than this, or than the feed's interval where that is shorter. */
const POLL_TIME: Micros = 60 * MICROS_PER_SECOND;

/** The interval has passed: a reader may have the next poll brought forward. */
export function isDue(pulled: Pulled, every: Millis, now: Micros): boolean {
  return isOlderThan(pulled, every, 0, now);
}

/** The interval and the time that a poll takes have passed: the next whole pull should be there, and is not. */
export function isOverdue(pulled: Pulled, every: Millis, now: Micros): boolean {
  const interval = every * MICROS_PER_MS;
  return isOlderThan(pulled, every, Math.min(interval, POLL_TIME), now);
}

/** Twice the interval has passed. This is what people are shown. */
export function isStale(pulled: Pulled, every: Millis, now: Micros): boolean {
  return isOlderThan(pulled, every, every * MICROS_PER_MS, now);
}

/**
 * Returns the time of the last whole pull of a feed that can't be read now: polls have failed since, or the next pull is overdue, as
 * after a time in which nothing ran. Returns null for a feed that can be read, and for one that never was.
 */
export function unreadSince(state: Pulled & Pick<FeedState, 'failures'>, every: Millis, now: Micros): Micros | null {
  return state.failures > 0 || isOverdue(state, every, now) ? state.succeededAt : null;
}

/**
 * The list has not changed for longer than its publisher promises. Judged at the last whole pull: of a feed that is not read, nobody
 * knows. `freshWithin`: absent for a feed without a promise.
 */
export function isStalled(
  { succeededAt, changedAt }: Pick<FeedState, 'succeededAt' | 'changedAt'>,
  freshWithin: Millis | undefined,
): boolean {
  if (freshWithin === undefined || succeededAt === null || changedAt === null) return false;
  return succeededAt - changedAt > freshWithin * MICROS_PER_MS;
}

/** The next pull was due more than `late` ago. */
function isOlderThan({ succeededAt, freshUntil }: Pulled, every: Millis, late: Micros, now: Micros): boolean {
  return succeededAt === null || now - Math.max(succeededAt + every * MICROS_PER_MS, freshUntil ?? 0) > late;
}
