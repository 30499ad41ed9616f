import { MICROS_PER_DAY, MICROS_PER_MS, type Micros } from './clock.ts';

const RFC3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})$/;

/**
 * RFC 3339 text with 0 to 9 fraction digits to microseconds; finer digits are cut, and past the year 2255, where a number
 * no longer holds every microsecond, all of them: what is written again must be the date that was read or one before.
 * Undefined for anything else, impossible dates (30 February) and years before 1970 among it.
 */
export function parseTimestamp(text: string): Micros | undefined {
  return parsePlain(text) ?? parseAny(text);
}

/**
 * As `parseTimestamp`, for a bound that readers set: a date before 1970 is 0. Go and .NET write the date that nobody set as
 * 0001-01-01T00:00:00Z.
 */
export function parseBound(text: string): Micros | undefined {
  const micros = readAny(text);
  return micros === undefined ? undefined : Math.max(0, micros);
}

/** Where the digits of `YYYY-MM-DDTHH:MM:SS.sssZ` stand, and what stands between them. */
const PLAIN_LENGTH = 24;
const SEPARATORS = [
  [4, '-'],
  [7, '-'],
  [10, 'T'],
  [13, ':'],
  [16, ':'],
  [19, '.'],
  [23, 'Z'],
].map(([at, character]) => [at as number, (character as string).charCodeAt(0)] as const);

/** The one form that STIX and SOC Defenders write, read without a match; a feed's rows lie on few days. */
function parsePlain(text: string): Micros | undefined {
  if (text.length !== PLAIN_LENGTH) return undefined;
  for (const [at, code] of SEPARATORS) if (text.charCodeAt(at) !== code) return undefined;
  const day = startOfDay(text.slice(0, 10));
  const hour = number(text, 11, 13);
  const minute = number(text, 14, 16);
  const second = number(text, 17, 19);
  const ms = number(text, 20, 23);
  // NaN, where something is no digit, fails each of these as well.
  if (!(day >= 0 && hour < 24 && minute < 60 && second < 60 && ms >= 0)) return undefined;
  const micros = day + (((hour * 60 + minute) * 60 + second) * 1000 + ms) * MICROS_PER_MS;
  // Past what a number holds, the other way knows what to cut.
  return micros <= Number.MAX_SAFE_INTEGER ? micros : undefined;
}

function number(text: string, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at += 1) {
    const digit = text.charCodeAt(at) - 0x30;
    value = digit >= 0 && digit <= 9 ? value * 10 + digit : Number.NaN;
  }
  return value;
}

const days = new Map<string, Micros>();
const MAX_DAYS = 1000;

/** Of `YYYY-MM-DD`; NaN when that is no day from 1970 on. */
function startOfDay(text: string): Micros {
  let day = days.get(text);
  if (day === undefined) {
    day = parseAny(`${text}T00:00:00Z`) ?? Number.NaN;
    if (days.size >= MAX_DAYS) days.clear();
    days.set(text, day);
  }
  return day;
}

function parseAny(text: string): Micros | undefined {
  const micros = readAny(text);
  return micros === undefined || micros < 0 ? undefined : micros;
}

/** Negative before 1970. */
function readAny(text: string): Micros | undefined {
  const match = RFC3339.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction = '', zone = 'Z'] = match;
  // A leap second (RFC 3339 5.6) is read as the second before it.
  const seconds = second === '60' ? 59 : Number(second);
  if (Number(hour) > 23 || Number(minute) > 59 || seconds > 59) return undefined;
  const check = new Date(0);
  // Not Date.UTC, to which the years 0 to 99 are those from 1900.
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

/** Behind it years have five digits, which RFC 3339 cannot write. */
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

/**
 * `YYYY-MM-DDTHH:MM:SS.sssZ`: STIX timestamps as Sluice writes them (STIX 2.1 section 2.15 allows 3 to 6 digits). Several
 * times as fast as Date, and four are written per indicator: what is written together lies on few days.
 */
export function formatMillis(micros: Micros): string {
  // An indicator's first version was modified when it was created.
  if (micros !== latest) {
    latest = micros;
    latestText = textOf(micros);
  }
  return latestText;
}

let latest = Number.NaN;
let latestText = '';

/** In two halves of twelve characters: V8 writes shorter strings out at once and only ties longer ones together. */
function textOf(micros: Micros): string {
  const day = Math.floor(micros / MICROS_PER_DAY);
  const inDay = micros - day * MICROS_PER_DAY;
  const minute = Math.floor(inDay / MICROS_PER_MINUTE);
  const ms = Math.floor((inDay - minute * MICROS_PER_MINUTE) / MICROS_PER_MS);
  const second = Math.floor(ms / 1000);
  const tens = Math.floor(minute / 600);
  return (
    (headTexts.get(3 * day + tens) ?? headText(day, tens)) +
    ((minuteTexts[minute - 600 * tens] as string) + secondTexts[second] + milliTexts[ms - second * 1000])
  );
}

const MICROS_PER_MINUTE = 60_000_000;
const two = (n: number): string => String(n).padStart(2, '0');
const minuteTexts = Array.from({ length: 600 }, (_, n) => `${Math.floor(n / 60)}:${two(n % 60)}:`);
const secondTexts = Array.from({ length: 60 }, (_, n) => `${two(n)}.`);
const milliTexts = Array.from({ length: 1000 }, (_, n) => `${String(n).padStart(3, '0')}Z`);
const headTexts = new Map<number, string>();

/** `YYYY-MM-DDTH`: up to the tens of the hour. */
function headText(day: number, tens: number): string {
  const text = new Date(day * (MICROS_PER_DAY / MICROS_PER_MS)).toISOString();
  const head = text.slice(0, text.indexOf('T') + 1) + tens;
  if (headTexts.size >= 3 * MAX_DAYS) headTexts.clear();
  headTexts.set(3 * day + tens, head);
  return head;
}

/** The whole millisecond that holds this instant, in microseconds. */
export function floorToMillis(micros: Micros): Micros {
  return micros - (micros % MICROS_PER_MS);
}

/** RFC 9110 section 5.6.7: the form that is written, and the two old ones that must still be read. */
const HTTP_DATES = [
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/,
  /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/,
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/,
];

/** An HTTP-date (RFC 9110 section 5.6.7) to microseconds; undefined for anything else and for years before 1970. */
export function parseHttpDate(text: string): Micros | undefined {
  if (!HTTP_DATES.some((form) => form.test(text))) return undefined;
  const ms = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`);
  return ms >= 0 ? ms * MICROS_PER_MS : undefined;
}
