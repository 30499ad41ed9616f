import { MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import { responseDate } from '../model/response-date.ts';
import { parseHttpDate } from '../model/timestamp.ts';

/** Longest time that is read; what is done with it is bounded elsewhere. */
const LONGEST_SECONDS = 10 * 366 * 86_400;

/**
 * Returns until when an answer may be kept by its own word (RFC 9111 section 4.2): `max-age`, else `Expires`, without the time that
 * it lay in a cache on the way. Null: it says nothing, or that it may not be kept, or what it says can't be read.
 */
export function freshUntil(headers: Readonly<Record<string, string>>, now: Micros): Micros | null {
  const directives = (headers['cache-control'] ?? '')
    .toLowerCase()
    .split(',')
    .map((each) => each.trim());
  if (directives.some((each) => /^no-(?:cache|store)(?:=|$)/.test(each))) return null;
  const maxAge = directives.find((each) => each.startsWith('max-age='));
  const kept = maxAge === undefined ? expiry(headers, now) : secondsOf(/^max-age="?(\d+)"?$/.exec(maxAge)?.[1]);
  if (kept === null) return null;
  const left = kept - (secondsOf(headers['age']?.trim()) ?? 0);
  return left > 0 ? now + left * MICROS_PER_SECOND : null;
}

/** Seconds between an answer's `Date` and its `Expires`: both are by the server's clock. */
function expiry(headers: Readonly<Record<string, string>>, now: Micros): number | null {
  const at = parseHttpDate(headers['expires']?.trim() ?? '');
  return at === undefined ? null : (at - responseDate(headers['date'], now)) / MICROS_PER_SECOND;
}

function secondsOf(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,20}$/.test(text) ? Math.min(Number(text), LONGEST_SECONDS) : null;
}
