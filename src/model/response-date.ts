import { MICROS_PER_DAY, MICROS_PER_SECOND, type Micros } from './clock.ts';
import { parseHttpDate } from './timestamp.ts';

/** Clocks of the machines behind one address differ: a date this much later is still taken for the past. */
const TOLERANCE: Micros = 300 * MICROS_PER_SECOND;

/**
 * Returns when a response was made by the server's clock: its Date header (RFC 9110 section 6.6.1), or `now` without one. At most a
 * day after `now`, so that no header makes dates in a far future plausible.
 */
export function responseDate(date: string | undefined, now: Micros): Micros {
  return Math.min(parseHttpDate(date ?? '') ?? now, now + MICROS_PER_DAY);
}

/** True when a time lies after the response that reports it. */
export function isInFuture(time: Micros, at: Micros): boolean {
  return time > at + TOLERANCE;
}
