import { MICROS_PER_DAY, MICROS_PER_SECOND, type Micros } from './clock.ts';
import { parseHttpDate } from './timestamp.ts';

/** Machines behind one address don't agree on the second: a date that lies no further ahead may be right. */
const APART = 300 * MICROS_PER_SECOND;

/**
 * When an answer was made, by its own clock: its Date header (RFC 9110 section 6.6.1), or `now` where it has none. A Date
 * more than a day ahead of our clock counts as a day ahead, so that no header makes dates in a far future believable.
 */
export function responseDate(date: string | undefined, now: Micros): Micros {
  return Math.min(parseHttpDate(date ?? '') ?? now, now + MICROS_PER_DAY);
}

/** Does a time that must have passed when the answer was made lie ahead of it? */
export function isInFuture(time: Micros, at: Micros): boolean {
  return time > at + APART;
}
