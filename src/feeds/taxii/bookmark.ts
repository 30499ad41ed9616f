import { MICROS_PER_MS, MICROS_PER_SECOND, type Micros } from '../../model/clock.ts';
import { isJsonObject } from '../../model/json.ts';
import { formatMicros, parseTimestamp } from '../../model/timestamp.ts';

/** The cursor of a TAXII feed, read: where each collection's reading goes on. It is committed with the rows before it. */
export interface Bookmark {
  /** The spelling of the media type that the server accepts. */
  accept: string | null;
  /** By the collection's name in the configuration. */
  positions: Map<string, Position>;
}

export interface Position {
  /** The collection's own address, ending in a slash. */
  url: string;
  /** X-TAXII-Date-Added-Last of the last committed page, verbatim. It is never made from our clock. */
  after: string | null;
  /** The server was seen to send dates with microseconds, so no stretch has to be read twice. */
  isPrecise: boolean;
  /** The page size that the server accepts, where it refuses the configured one; else null. */
  limit: number | null;
}

/** Never throws: a cursor that can't be read, or that belongs to another query, begins anew, which costs time and no row. */
export function readBookmark(cursor: string | null, query: string): Bookmark {
  const none: Bookmark = { accept: null, positions: new Map() };
  if (cursor === null) return none;
  try {
    const stored: unknown = JSON.parse(cursor);
    if (!isJsonObject(stored) || stored['of'] !== query || !isJsonObject(stored['places'])) return none;
    const positions = Object.entries(stored['places']).flatMap(([name, position]) => {
      if (!isJsonObject(position) || typeof position['url'] !== 'string' || !URL.canParse(position['url'])) return [];
      const { after, limit } = position;
      const date = typeof after === 'string' && parseTimestamp(after) !== undefined ? after : null;
      const taken = typeof limit === 'number' && Number.isSafeInteger(limit) && limit > 0 ? limit : null;
      const isPrecise = position['isPrecise'] === true;
      return [[name, { url: position['url'], after: date, isPrecise, limit: taken }] as const];
    });
    const { accept } = stored;
    return { accept: typeof accept === 'string' ? accept : null, positions: new Map(positions) };
  } catch {
    return none;
  }
}

export function writeBookmark({ accept, positions }: Bookmark, query: string): string {
  return JSON.stringify({ of: query, accept, places: Object.fromEntries(positions) });
}

/**
 * Values of `added_after` to go on behind a date, the safest first, the date itself last. `added_after` is exclusive, and a server
 * that cuts its dates to seconds or milliseconds may have more rows of that date than it has sent. So reading goes on at the last
 * full second before.
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

/** Has the date no microseconds? Dates of servers that cut them never have; dates of others rarely end in zeros. */
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
