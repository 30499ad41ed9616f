import { MICROS_PER_MS, MICROS_PER_SECOND, type Micros } from '../../model/clock.ts';
import { isJsonObject } from '../../model/json.ts';
import { formatMicros, parseTimestamp } from '../../model/timestamp.ts';

/** What a feed remembers between pulls; committed with the rows that it stands for. */
export interface Bookmark {
  /** The spelling of the media type that the server takes. */
  accept: string | null;
  /** By the collection's name in the configuration. */
  places: Map<string, Place>;
}

export interface Place {
  /** The collection's own address, ending in a slash. */
  url: string;
  /** X-TAXII-Date-Added-Last of the last page that was kept, verbatim: never our clock. */
  after: string | null;
  /** The server was seen to tell microseconds, so nothing is asked for twice. */
  isPrecise: boolean;
  /** Objects a page that the server takes, where it refuses as many as the configuration says; else null. */
  limit: number | null;
}

/** Never throws: a bookmark that can't be read, or that was made for another question, costs time and no row. */
export function readBookmark(cursor: string | null, of: string): Bookmark {
  const none: Bookmark = { accept: null, places: new Map() };
  if (cursor === null) return none;
  try {
    const stored: unknown = JSON.parse(cursor);
    if (!isJsonObject(stored) || stored['of'] !== of || !isJsonObject(stored['places'])) return none;
    const places = Object.entries(stored['places']).flatMap(([name, place]) => {
      if (!isJsonObject(place) || typeof place['url'] !== 'string' || !URL.canParse(place['url'])) return [];
      const { after, limit } = place;
      const date = typeof after === 'string' && parseTimestamp(after) !== undefined ? after : null;
      const taken = typeof limit === 'number' && Number.isSafeInteger(limit) && limit > 0 ? limit : null;
      const isPrecise = place['isPrecise'] === true;
      return [[name, { url: place['url'], after: date, isPrecise, limit: taken }] as const];
    });
    const { accept } = stored;
    return { accept: typeof accept === 'string' ? accept : null, places: new Map(places) };
  } catch {
    return none;
  }
}

export function writeBookmark({ accept, places }: Bookmark, of: string): string {
  return JSON.stringify({ of, accept, places: Object.fromEntries(places) });
}

/**
 * Where reading may go on behind a date, the safest first, the date itself last. `added_after` is exclusive: a server that
 * cuts its dates to seconds or milliseconds has more rows of that date than it has shown, so what is asked for begins at
 * the last full second before.
 */
export function restartsBehind(date: string, isPrecise: boolean): string[] {
  const micros = parseTimestamp(date);
  if (micros === undefined || isPrecise || !isCut(date)) return [date];
  const digits = fractionOf(date).length;
  const unit = micros % MICROS_PER_SECOND === 0 ? MICROS_PER_SECOND : MICROS_PER_MS;
  const second = micros - 1 - ((micros - 1) % MICROS_PER_SECOND);
  const earlier = [second, micros - unit].filter((time) => time >= 0).map((time) => withDigits(time, digits));
  return [...new Set([...earlier, date])];
}

/** A date that shows no microseconds: of one in a thousand servers that have them, and of every one that hasn't. */
export function isCut(date: string): boolean {
  return /^\d{0,3}0*$/.test(fractionOf(date));
}

function fractionOf(date: string): string {
  return /\.(\d+)/.exec(date)?.[1] ?? '';
}

function withDigits(time: Micros, digits: number): string {
  const text = formatMicros(time);
  return digits === 0 ? `${text.slice(0, -8)}Z` : `${text.slice(0, -7)}${text.slice(-7, -1).slice(0, digits)}Z`;
}
