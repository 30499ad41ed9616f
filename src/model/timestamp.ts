import { MICROS_PER_MS, type Micros } from './clock.ts';
import { formatMillis } from './format-millis.ts';
import { parseStixTimestamp } from './parse-stix-timestamp.ts';

export { formatMillis };

const RFC3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})$/;

/**
 * Parses RFC 3339 text with 0 to 9 fraction digits. Digits finer than microseconds are cut, and after the year 2255, where a number
 * no longer holds every microsecond, the whole fraction. Undefined for other texts, for impossible dates (30 February) and for years
 * before 1970.
 */
export function parseTimestamp(text: string): Micros | undefined {
  return parseStixTimestamp(text) ?? parseAny(text);
}

/** As `parseTimestamp`, but 0 for a date before 1970: Go and .NET write a date that was not set as 0001-01-01T00:00:00Z. */
export function parseBound(text: string): Micros | undefined {
  const micros = readAny(text);
  return micros === undefined ? undefined : Math.max(0, micros);
}

function parseAny(text: string): Micros | undefined {
  const micros = readAny(text);
  return micros === undefined || micros < 0 ? undefined : micros;
}

/** The time, negative before 1970; undefined for other texts. */
function readAny(text: string): Micros | undefined {
  const match = RFC3339.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction = '', zone = 'Z'] = match;
  // A leap second (RFC 3339 5.6) is read as the second before it.
  const seconds = second === '60' ? 59 : Number(second);
  if (Number(hour) > 23 || Number(minute) > 59 || seconds > 59) return undefined;
  const check = new Date(0);
  // Date.UTC would read the years 0 to 99 as 1900 to 1999.
  check.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  const ms = check.getTime() + ((Number(hour) * 60 + Number(minute)) * 60 + seconds) * 1000;
  if (check.getUTCMonth() + 1 !== Number(month) || check.getUTCDate() !== Number(day)) return undefined;
  const offset = zoneMinutes(zone);
  if (offset === undefined) return undefined;
  const whole = (ms - offset * 60_000) * MICROS_PER_MS;
  const micros = whole + Number(fraction.slice(0, 6).padEnd(6, '0'));
  if (whole > LATEST) return undefined;
  return Number.isSafeInteger(micros) ? micros : whole;
}

/** The last second of a year with four digits, which RFC 3339 can write. */
const LATEST = Date.UTC(9999, 11, 31, 23, 59, 59) * MICROS_PER_MS;

function zoneMinutes(zone: string): number | undefined {
  if (zone === 'Z' || zone === 'z') return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(4, 6));
  if (hours > 23 || minutes > 59) return undefined;
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes);
}

/** `YYYY-MM-DDTHH:MM:SS.ssssssZ`: the only form TAXII 2.1 section 2 allows in its own fields and headers. */
export function formatMicros(micros: Micros): string {
  const text = formatMillis(micros);
  return `${text.slice(0, -1)}${String(micros % MICROS_PER_MS).padStart(3, '0')}Z`;
}

/** A version as STIX spells it: 3 digits of a second, or 6. */
export function formatVersion(version: Micros): string {
  return version % MICROS_PER_MS === 0 ? formatMillis(version) : formatMicros(version);
}

/** Cuts a time to whole milliseconds, in microseconds. */
export function floorToMillis(micros: Micros): Micros {
  return micros - (micros % MICROS_PER_MS);
}

/** RFC 9110 section 5.6.7: the current form, and the two obsolete forms that have to be accepted. */
const HTTP_DATES = [
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/,
  /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/,
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/,
];

/** An HTTP-date (RFC 9110 section 5.6.7), cut to the second. */
export function formatHttpDate(micros: Micros): string {
  return new Date(micros / MICROS_PER_MS).toUTCString();
}

/** Parses an HTTP-date (RFC 9110 section 5.6.7). Undefined for other texts and for years before 1970. */
export function parseHttpDate(text: string): Micros | undefined {
  if (!HTTP_DATES.some((form) => form.test(text))) return undefined;
  const ms = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`);
  return ms >= 0 ? ms * MICROS_PER_MS : undefined;
}
