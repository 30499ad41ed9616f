import { MICROS_PER_MS, type Micros } from './clock.ts';

/** Length of `YYYY-MM-DDTHH:MM:SS.sssZ`, and the characters between its digits. */
const PLAIN_LENGTH = 24;
const SEPARATORS = (
  [
    [4, '-'],
    [7, '-'],
    [10, 'T'],
    [13, ':'],
    [16, ':'],
    [19, '.'],
    [23, 'Z'],
  ] as const
).map(([at, character]) => [at, character.charCodeAt(0)] as const);

/**
 * Parses `YYYY-MM-DDTHH:MM:SS.sssZ`, the form of STIX and SOC Defenders, without a regular expression; days are looked up, because
 * the rows of a feed lie on few of them (bench/render.ts). Undefined for other forms and for times that are not in this range;
 * `parseTimestamp` then reads them. test/model/timestamp.test.ts compares the two.
 */
export function parseStixTimestamp(text: string): Micros | undefined {
  if (text.length !== PLAIN_LENGTH) return undefined;
  for (const [at, code] of SEPARATORS) if (text.charCodeAt(at) !== code) return undefined;
  const day = startOfDay(text.slice(0, 10));
  const hour = number(text, 11, 13);
  const minute = number(text, 14, 16);
  const second = number(text, 17, 19);
  const ms = number(text, 20, 23);
  // NaN, from a character that is no digit, fails each comparison.
  if (!(day >= 0 && hour < 24 && minute < 60 && second < 60 && ms >= 0)) return undefined;
  const micros = day + (((hour * 60 + minute) * 60 + second) * 1000 + ms) * MICROS_PER_MS;
  // After the year 2255 parseTimestamp cuts the fraction.
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

/** Start of the day `YYYY-MM-DD`; NaN when that is no day from 1970 on. */
function startOfDay(text: string): Micros {
  let day = days.get(text);
  if (day === undefined) {
    day = firstMicros(text);
    if (days.size >= MAX_DAYS) days.clear();
    days.set(text, day);
  }
  return day;
}

function firstMicros(text: string): Micros {
  const [year, month, date] = [number(text, 0, 4), number(text, 5, 7), number(text, 8, 10)];
  const ms = Date.UTC(year, month - 1, date);
  const isDay = year >= 1970 && new Date(ms).getUTCMonth() + 1 === month && new Date(ms).getUTCDate() === date;
  return isDay ? ms * MICROS_PER_MS : Number.NaN;
}
