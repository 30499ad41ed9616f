import { hash } from 'node:crypto';
import Type, { type Static } from 'typebox';
import { MICROS_PER_DAY, MICROS_PER_MS, MICROS_PER_SECOND, type Micros } from '../../model/clock.ts';
import { durationSchema } from '../../model/duration.ts';
import { isJsonObject } from '../../model/json.ts';
import { formatMillis, parseTimestamp } from '../../model/timestamp.ts';
import type { FeedBatch } from '../feed.ts';

/** A feed that is asked for what is new: `{since}` stands for the time from which on. */
export const sinceSchema = Type.Object(
  {
    format: Type.Enum(['rfc3339', 'date', 'unix', 'unix-ms', 'days'], {
      default: 'rfc3339',
      description: 'How {since} is written; days is how many days ago, at least 1.',
    }),
    lookback: durationSchema({
      default: '7d',
      minimum: '1m',
      description:
        'How far back the first pull asks, and every pull at most. A longer outage leaves a gap, which is reported.',
    }),
    overlap: durationSchema({
      default: '10m',
      maximum: '30d',
      description: 'Each pull asks so much further back than where the last began: rows appear late.',
    }),
  },
  {
    additionalProperties: false,
    description: 'url, headers or body hold {since}, the time from which on rows are wanted. mode is then delta.',
  },
);
export type SinceOptions = Static<typeof sinceSchema>;

export interface Start {
  /** What {since} stands for. */
  text: string;
  gap: NonNullable<FeedBatch['gap']> | null;
  note: string | null;
  /** Of a whole pull that began now. */
  cursor: string;
}

/** `query`: what is asked without its time. A cursor of another query means nothing. */
export function startFrom(cursor: string | null, now: Micros, options: SinceOptions, query: unknown): Start {
  const of = hash('sha256', JSON.stringify(query), 'hex').slice(0, 16);
  const earliest = now - options.lookback * MICROS_PER_MS;
  const stored = storedIn(cursor, of);
  const isAhead = stored !== null && stored > now;
  const since = stored === null || isAhead ? earliest : Math.max(earliest, stored - options.overlap * MICROS_PER_MS);
  return {
    text: write(since, now, options.format),
    gap: stored !== null && stored < earliest ? { from: stored, to: earliest } : null,
    note: isAhead
      ? `The bookmark ${formatMillis(stored)} lay ahead of our clock; all that lookback allows was read again.`
      : null,
    cursor: JSON.stringify({ since: formatMillis(now), of }),
  };
}

function storedIn(cursor: string | null, of: string): Micros | null {
  try {
    const stored: unknown = JSON.parse(cursor ?? 'null');
    if (!isJsonObject(stored) || stored['of'] !== of || typeof stored['since'] !== 'string') return null;
    return parseTimestamp(stored['since']) ?? null;
  } catch {
    return null;
  }
}

/** Rounded down, so that nothing is missed. */
function write(since: Micros, now: Micros, format: SinceOptions['format']): string {
  switch (format) {
    case 'rfc3339':
      return formatMillis(since);
    case 'date':
      return formatMillis(since).slice(0, 10);
    case 'unix':
      return String(Math.floor(since / MICROS_PER_SECOND));
    case 'unix-ms':
      return String(Math.floor(since / MICROS_PER_MS));
    case 'days':
      return String(Math.max(1, Math.ceil((now - since) / MICROS_PER_DAY)));
  }
}
