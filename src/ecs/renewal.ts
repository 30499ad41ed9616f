import { MICROS_PER_DAY, type Micros } from '../model/clock.ts';
import type { IndicatorEntry } from '../model/entry.ts';

/**
 * Elastic's prebuilt indicator match rules read documents with `@timestamp >= now-30d/d`. The document of an indicator that lives
 * longer without a change is therefore written again with a later `@timestamp`, after each half of that time.
 */
export const RENEWAL_PERIOD: Micros = 15 * MICROS_PER_DAY;

/**
 * `@timestamp` of an entry's document at `now`: when its version was made, plus whole periods while it is live. Not later than
 * `now`, unless the version is.
 */
export function documentTime(entry: Pick<IndicatorEntry, 'version' | 'revoked'>, now: Micros): Micros {
  if (entry.revoked || now <= entry.version) return entry.version;
  return now - ((now - entry.version) % RENEWAL_PERIOD);
}
