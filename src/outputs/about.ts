import { claimsOf } from './ioc.ts';
import type { LineEntry } from './lines.ts';

/** What is known about an indicator, for formats with a field for it. Each is in one line, and null where nothing is known. */
export interface About {
  /** The name of the feed with the strongest claim. */
  source: string | null;
  description: string | null;
  /** Where it was reported. */
  url: string | null;
}

/** Longest text, in UTF-16 units: no sensor compares it. */
const LONGEST = 500;

export function aboutOf(entry: Pick<LineEntry, 'sources' | 'description'>): About {
  const [claim] = claimsOf(entry);
  return {
    source: inOneLine(claim?.feed_name),
    description: inOneLine(entry.description),
    url: inOneLine(claim?.article_url),
  };
}

function inOneLine(text: string | null | undefined): string | null {
  const line = (text ?? '').replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim();
  return line === '' ? null : line.slice(0, LONGEST).toWellFormed();
}
