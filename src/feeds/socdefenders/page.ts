import type { Micros } from '../../model/clock.ts';
import { GatewayError } from '../../model/error.ts';
import { isJsonObject, type JsonObject } from '../../model/json.ts';
import type { Rejection } from '../../model/observation.ts';
import { parseHttpDate, parseTimestamp } from '../../model/timestamp.ts';
import { rowText, wholeText } from '../../stix/validate.ts';
import type { FeedItem, FeedResponse } from '../feed.ts';

/** One answer of `GET /api/v1/iocs`. `meta`, `links` and all of their members are optional. */
export interface Page {
  rows: unknown[];
  total: number | null;
  /** The page size that the upstream used, which may be smaller than the one asked for. */
  limit: number | null;
  /** `links.next` is set: there is more. It is not followed. */
  hasNext: boolean;
  /** The upstream's own time: the earlier of `meta.generated_at` and the Date header. */
  at: Micros | null;
}

/** Throws `upstream-malformed`. */
export async function readPage(response: FeedResponse): Promise<Page> {
  const body = await response.json();
  if (!isJsonObject(body) || !Array.isArray(body['data'])) {
    throw new GatewayError('upstream-malformed', 'SOC Defenders answered without a data list.');
  }
  const meta = isJsonObject(body['meta']) ? body['meta'] : {};
  const links = isJsonObject(body['links']) ? body['links'] : {};
  const generated = meta['generated_at'];
  const times = [
    typeof generated === 'string' ? parseTimestamp(generated) : undefined,
    parseHttpDate(response.headers['date'] ?? ''),
  ].filter((time) => time !== undefined);
  return {
    rows: body['data'],
    total: countOf(meta['total']),
    limit: countOf(meta['limit']) || null,
    hasNext: typeof links['next'] === 'string' && links['next'] !== '',
    at: times.length === 0 ? null : Math.min(...times),
  };
}

function countOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** Turns each row into an item or a rejection. */
export function readRows(rows: readonly unknown[]): { items: FeedItem[]; rejected: Rejection[] } {
  const items: FeedItem[] = [];
  const rejected: Rejection[] = [];
  for (const row of rows) {
    if (isJsonObject(row)) items.push(itemOf(row));
    else rejected.push({ reason: 'not-an-object', detail: 'a row of data is no object', row: rowText(row) });
  }
  return { items, rejected };
}

/** Everything but type and value is optional: the documents show two shapes of a row. */
function itemOf(row: JsonObject): FeedItem {
  const source = isJsonObject(row['source']) ? row['source'] : {};
  const { article_url: url, article_title: title, feed_name: name } = source;
  const reference = {
    ...(typeof name === 'string' && name !== '' ? { source_name: name } : {}),
    ...(typeof title === 'string' && title !== '' ? { description: title } : {}),
    url,
  };
  return {
    value: row['value'],
    type: row['type'],
    confidence: row['confidence'],
    firstSeen: row['first_seen'],
    lastSeen: row['last_seen'],
    id: row['id'],
    description: row['context'],
    labels: row['tags'],
    techniques: row['mitre_techniques'],
    references: typeof url === 'string' && url !== '' ? [reference] : null,
    source: row['source'],
  };
}

/** Identifies a row among others of a list. */
export function identityOf(row: unknown): string {
  if (!isJsonObject(row)) return rowText(row);
  return typeof row['id'] === 'string' ? row['id'] : wholeText([row['type'], row['value'], row['source']]);
}
