import { MICROS_PER_DAY, type Micros } from '../model/clock.ts';
import type { IndicatorEntry } from '../model/entry.ts';

/**
 * Elastic's prebuilt indicator match rules read documents with `@timestamp >= now-30d/d`. An indicator that is live for longer
 * without a change needs a younger document, so its `@timestamp` moves on in steps of half of that.
 */
export const RENEWAL_PERIOD: Micros = 15 * MICROS_PER_DAY;

/**
 * `@timestamp` of an entry's document as of `now`, in microseconds: when its version was made, plus whole periods for one that
 * is live. Never later than `now`, unless the version is.
 */
export function documentTime(entry: Pick<IndicatorEntry, 'version' | 'revoked'>, now: Micros): Micros {
  if (entry.revoked || now <= entry.version) return entry.version;
  return now - ((now - entry.version) % RENEWAL_PERIOD);
}
