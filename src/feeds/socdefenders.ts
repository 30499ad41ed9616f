import Type, { type Static } from 'typebox';
import { MICROS_PER_DAY, MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import { GatewayError } from '../model/error.ts';
import { isJsonObject, type JsonObject } from '../model/json.ts';
import { MAX_REJECTED_ROW, type Rejection } from '../model/observation.ts';
import { secretSchema } from '../model/secret.ts';
import { formatMillis, parseTimestamp } from '../model/timestamp.ts';
import type { FeedBatch, FeedContext, FeedFormat, FeedItem, FeedResponse } from './feed.ts';

/** What each plan allows: the lower of SOC Defenders' two documents wherever they differ. */
const plans = {
  free: { perMinute: 10, perDay: 1000, pageSize: 100, lookback: MICROS_PER_DAY, every: 15 * 60_000 },
  pro: { perMinute: 100, perDay: 50_000, pageSize: 1000, lookback: 30 * MICROS_PER_DAY, every: 60_000 },
} as const;

const optionsSchema = Type.Object(
  {
    plan: Type.Enum(['free', 'pro'], {
      default: 'free',
      description: 'Your subscription: sets pace, page size and look-back.',
    }),
    key: secretSchema,
    url: Type.String({
      default: 'https://socdefenders.ai',
      pattern: '^https?://[^/@?#]+/?$',
      description: 'Scheme and host.',
    }),
    per_minute: Type.Optional(Type.Integer({ minimum: 1, description: "Requests a minute. Default: the plan's." })),
    per_day: Type.Optional(Type.Integer({ minimum: 1, description: "Requests a day. Default: the plan's." })),
    page_size: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 10_000, description: "Rows a request. Default: the plan's." }),
    ),
    max_offset: Type.Integer({
      default: 1000,
      minimum: 100,
      maximum: 10_000,
      description: 'A walk that would go deeper narrows its time window.',
    }),
  },
  { additionalProperties: false },
);
type Options = Static<typeof optionsSchema>;

/** Clocks differ, and rows appear late: each poll goes back a little behind the last one. Repeated rows change nothing. */
const OVERLAP = 300 * MICROS_PER_SECOND;
/** A window is never narrowed below this; deeper offsets are used instead. */
const NARROWEST = 2 * MICROS_PER_SECOND;
const DEEPEST_OFFSET = 10_000;

interface Window {
  since: Micros;
  /** Null: open, up to the newest. */
  until: Micros | null;
}

interface Page {
  rows: unknown[];
  total: number | null;
  generatedAt: Micros | null;
}

/** SOC Defenders' `GET /api/v1/iocs`: what was added or updated since the last poll, oldest window first. */
export const socdefenders: FeedFormat<Options> = {
  name: 'socdefenders',
  title: 'SOC Defenders REST API',
  options: optionsSchema,
  defaults: ({ plan }) => ({
    title: 'SOC Defenders',
    mode: 'delta',
    every: plans[plan].every,
    minEvery: plans[plan].every,
    emptyAllowed: true,
  }),
  account: ({ plan, url, key, per_minute, per_day }) => ({
    origin: new URL(url).origin,
    key,
    limits: {
      minInterval: 0,
      windows: [
        { seconds: 60, requests: per_minute ?? plans[plan].perMinute },
        { seconds: 86_400, requests: per_day ?? plans[plan].perDay },
      ],
    },
  }),
  async *read(feed) {
    const { options } = feed;
    const limit = options.page_size ?? plans[options.plan].pageSize;
    const { since, gap } = startOf(feed);
    let startedAt: Micros | null = null;
    if (gap !== null) yield { items: [], rejected: [gap], cursor: null, last: false };
    const windows: Window[] = [{ since, until: null }];
    for (let window = windows.pop(); window !== undefined; window = windows.pop()) {
      let offset = 0;
      for (;;) {
        const page = await readPage(feed, window, limit, offset);
        startedAt ??= page.generatedAt ?? feed.now();
        const batch = batchOf(page.rows);
        offset += limit;
        const isMore = page.total === null ? page.rows.length >= limit : offset < page.total && page.rows.length > 0;
        const end = window.until ?? feed.now();
        const isDeep = page.total === null ? offset > options.max_offset : page.total > options.max_offset + limit;
        if (isMore && isDeep && end - window.since > NARROWEST) {
          // The rows in hand count; both halves are asked for anew, the older one first.
          yield batch;
          const middle = Math.floor((window.since + end) / 2);
          windows.push({ since: middle, until: window.until }, { since: window.since, until: middle });
          break;
        }
        if (isMore && offset > DEEPEST_OFFSET) {
          batch.rejected.push(beyondReach(window, page.total));
        } else if (isMore) {
          yield batch;
          continue;
        }
        const isLast = windows.length === 0;
        const reached = isLast ? Math.max(since, startedAt - OVERLAP) : window.until;
        yield {
          ...batch,
          cursor: reached === null ? null : JSON.stringify({ since: formatMillis(reached) }),
          last: isLast,
        };
        break;
      }
    }
  },
};

/** Where to go on; when the plan no longer looks back that far, what was lost between is said. */
function startOf({ cursor, now, options }: FeedContext<Options>): { since: Micros; gap: Rejection | null } {
  const earliest = now() - plans[options.plan].lookback;
  const stored = cursor === null ? undefined : parseTimestamp(String((JSON.parse(cursor) as { since: unknown }).since));
  if (stored === undefined) return { since: earliest, gap: null };
  if (stored >= earliest) return { since: stored, gap: null };
  const span = `${formatMillis(stored)} to ${formatMillis(earliest)}`;
  const detail = `The plan looks back no further: what was updated from ${span} can't be asked for any more.`;
  return { since: earliest, gap: { reason: 'not-served', detail, row: span } };
}

function beyondReach({ since, until }: Window, total: number | null): Rejection {
  const span = `${formatMillis(since)} to ${until === null ? 'now' : formatMillis(until)}`;
  const detail = `More rows than offsets reach (${DEEPEST_OFFSET}) were updated from ${span}; total ${total ?? 'unknown'}.`;
  return { reason: 'not-served', detail, row: span };
}

async function readPage(
  { options, fetch }: FeedContext<Options>,
  window: Window,
  limit: number,
  offset: number,
): Promise<Page> {
  const url = new URL('/api/v1/iocs', options.url);
  url.searchParams.set('limit', String(limit));
  url.searchParams.set('offset', String(offset));
  url.searchParams.set('since', formatMillis(window.since));
  if (window.until !== null) url.searchParams.set('until', formatMillis(window.until));
  const response = await fetch({
    url,
    headers: { accept: 'application/json' },
    authorization: { header: 'authorization', scheme: 'Bearer', key: options.key },
    explain,
  });
  if (response === null)
    throw new GatewayError('upstream-malformed', 'SOC Defenders answered 304 to an unconditional request.');
  return pageOf(response);
}

async function pageOf(response: FeedResponse): Promise<Page> {
  const body = await response.json();
  if (!isJsonObject(body) || !Array.isArray(body['data'])) {
    throw new GatewayError('upstream-malformed', 'SOC Defenders answered without a data list.');
  }
  const meta = isJsonObject(body['meta']) ? body['meta'] : {};
  const total = meta['total'];
  const generated = meta['generated_at'];
  return {
    rows: body['data'],
    total: typeof total === 'number' && Number.isInteger(total) && total >= 0 ? total : null,
    generatedAt: typeof generated === 'string' ? (parseTimestamp(generated) ?? null) : null,
  };
}

const unauthorized: Record<string, string> = {
  missing_api_key: 'SOC Defenders got no key.',
  invalid_api_key: 'SOC Defenders does not know the key; check it for a cut or a space.',
  expired_api_key: 'The key has expired; make a new one in the SOC Defenders dashboard.',
};

function explain(status: number, body: string): GatewayError | null {
  if (status === 403) {
    return new GatewayError(
      'upstream-forbidden',
      'SOC Defenders does not allow this with the key: is plan set to what you subscribe to?',
    );
  }
  if (status !== 401) return null;
  const code = Object.keys(unauthorized).find((word) => body.includes(word));
  return new GatewayError(
    'upstream-unauthorized',
    code === undefined ? 'SOC Defenders refused the key.' : (unauthorized[code] as string),
  );
}

function batchOf(rows: unknown[]): FeedBatch {
  const items: FeedItem[] = [];
  const rejected: Rejection[] = [];
  for (const row of rows) {
    if (isJsonObject(row)) items.push(rowOf(row));
    else
      rejected.push({
        reason: 'not-an-object',
        detail: 'A row of data is no object.',
        row: JSON.stringify(row).slice(0, MAX_REJECTED_ROW),
      });
  }
  return { items, rejected, cursor: null, last: false };
}

/** Everything but type and value is optional (the documents show two shapes). */
function rowOf(row: JsonObject): FeedItem {
  const source = isJsonObject(row['source']) ? row['source'] : {};
  const { article_url: url, article_title: title } = source;
  const reference =
    typeof url === 'string' && url !== ''
      ? [{ source_name: 'article', url, ...(typeof title === 'string' ? { description: title } : {}) }]
      : [];
  return {
    value: row['value'],
    type: row['type'],
    confidence: row['confidence'],
    firstSeen: row['first_seen'],
    lastSeen: row['last_seen'],
    id: row['id'],
    description: typeof row['context'] === 'string' ? row['context'] : undefined,
    labels: row['tags'],
    techniques: row['mitre_techniques'],
    references: reference,
    source: row['source'],
  };
}
