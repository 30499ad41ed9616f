import Type, { type Static } from 'typebox';
import { MICROS_PER_DAY, MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import { GatewayError } from '../model/error.ts';
import { isJsonObject } from '../model/json.ts';
import { secretSchema } from '../model/secret.ts';
import { formatMillis, parseTimestamp } from '../model/timestamp.ts';
import { BATCH_ROWS, type FeedBatch, type FeedContext, type FeedFormat } from './feed.ts';
import { checkKey } from './key.ts';
import { type Page, readPage, readRows } from './socdefenders/page.ts';
import { type Window, walk } from './socdefenders/walk.ts';

/** Limits of each plan. Where SOC Defenders' two documents (rate limits, openapi.json) differ, the lower one. */
const plans = {
  free: { perMinute: 10, perDay: 1000, pageSize: 100, maxPage: 100, lookback: MICROS_PER_DAY, every: 15 * 60_000 },
  pro: {
    perMinute: 100,
    perDay: 50_000,
    pageSize: 1000,
    maxPage: 10_000,
    lookback: 30 * MICROS_PER_DAY,
    every: 60_000,
  },
} as const;

/** Both hosts appear in the documents, and one may redirect to the other. */
const HOSTS = ['socdefenders.ai', 'www.socdefenders.ai'];

const word = (description: string) =>
  Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$', 'x-expects': 'one word', description }));

const optionsSchema = Type.Object(
  {
    plan: Type.Enum(['free', 'pro'], {
      default: 'free',
      description: 'Your subscription: sets pace, page size and look-back.',
    }),
    key: secretSchema('Your API key. It goes to SOC Defenders only.'),
    url: Type.String({
      default: 'https://socdefenders.ai',
      pattern: '^https?://[^/@?#\\s]+/?$',
      'x-expects': 'scheme and host',
      description: 'Scheme and host.',
    }),
    filter: Type.Optional(
      Type.Object(
        {
          type: word('ipv4, ipv6, domain, url, md5, sha1, sha256, sha512, email or cve.'),
          confidence: word('high, medium or low.'),
          category: word('government, commercial, community or news.'),
          industry: word('A CISA sector.'),
        },
        { additionalProperties: false, description: 'Asks upstream for these rows only. A change begins anew.' },
      ),
    ),
    per_minute: Type.Optional(Type.Integer({ minimum: 1, description: "Requests a minute. Default: the plan's." })),
    per_day: Type.Optional(Type.Integer({ minimum: 1, description: "Requests a day. Default: the plan's." })),
    page_size: Type.Optional(
      Type.Integer({ minimum: 2, maximum: 10_000, description: 'Rows a request. Default: 100 on free, 1000 on pro.' }),
    ),
    lookback_days: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 365, description: "Days the plan looks back. Default: the plan's." }),
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

/** Each poll begins a little before the end of the last one: clocks differ, and rows appear late. Repeated rows change nothing. */
const OVERLAP = 300 * MICROS_PER_SECOND;
/** Kept from the limit of the look-back, which moves on before the request arrives. */
const MARGIN = 60 * MICROS_PER_SECOND;

/** SOC Defenders' `GET /api/v1/iocs`: what was added or updated since the last poll, oldest first. */
export const socdefenders: FeedFormat<Options> = {
  name: 'socdefenders',
  title: 'SOC Defenders REST API',
  options: optionsSchema,
  defaults({ plan, page_size = 2 }) {
    const { every, maxPage } = plans[plan];
    if (page_size > maxPage) {
      throw new GatewayError('config-invalid', `page_size is at most ${maxPage} on the ${plan} plan`);
    }
    return { title: 'SOC Defenders', mode: 'delta', every, minEvery: every, emptyAllowed: true };
  },
  account({ plan, url, key, per_minute, per_day }) {
    checkKey({ key });
    const { perMinute, perDay } = plans[plan];
    const windows = [
      { seconds: 60, requests: per_minute ?? perMinute },
      { seconds: 86_400, requests: per_day ?? perDay },
    ];
    return { origin: new URL(url).origin, key, limits: { minInterval: 0, windows } };
  },
  async *read(feed) {
    const { options, now } = feed;
    const query = queryOf(options);
    const { since, lost, note } = startOf(feed, query);
    const bookmark = (time: Micros): string =>
      JSON.stringify({ since: formatMillis(Math.max(time, since)), of: query });
    let began: Micros | null = null;
    let isGapReported = lost === null;
    const steps = walk({
      since,
      limit: options.page_size ?? plans[options.plan].pageSize,
      maxOffset: options.max_offset,
      now,
      async read(window, offset) {
        const before = now();
        const page = await ask(feed, window, offset);
        // The earliest of both clocks: the next poll repeats rows rather than misses one.
        began ??= Math.min(page.at ?? before, before);
        return page;
      },
    });
    for await (const { rows, notes, done } of steps) {
      // Only now it is certain that the upstream answers again. The cursor moves behind the gap with it, so it is reported once.
      const gap = isGapReported ? null : lost;
      const cursor = done === null ? (gap === null ? null : bookmark(since)) : bookmark(done);
      isGapReported = true;
      if (notes.length > 0 || cursor !== null) yield { items: [], rejected: notes, cursor, last: false, gap };
      // An upstream that ignores `limit` may send more rows than a batch may hold.
      for (let i = 0; i < rows.length; i += BATCH_ROWS) {
        yield { ...readRows(rows.slice(i, i + BATCH_ROWS)), cursor: null, last: false };
      }
    }
    yield { items: [], rejected: [], cursor: bookmark((began ?? now()) - OVERLAP), last: true, note };
  },
};

/** Identifies the query without its time: a cursor is only valid for the same query. */
function queryOf({ url, filter = {} }: Options): string {
  return JSON.stringify([new URL(url).host.replace(/^www\./, ''), ...Object.entries(filter).sort()]);
}

/** Returns where to go on, and the gap that is lost where the plan no longer looks back that far. */
function startOf(
  { cursor, now, options }: FeedContext<Options>,
  query: string,
): { since: Micros; lost: NonNullable<FeedBatch['gap']> | null; note: string | null } {
  const { lookback_days: days, plan } = options;
  const horizon = now() - (days === undefined ? plans[plan].lookback : days * MICROS_PER_DAY);
  const earliest = horizon + MARGIN;
  const stored = storedSince(cursor, query);
  if (stored === null) return { since: earliest, lost: null, note: null };
  if (stored > now()) {
    // A clock was wrong when it was stored. Nothing new would come behind it.
    const note = `The bookmark ${formatMillis(stored)} lay ahead of our clock; all that the plan looks back to was read again.`;
    return { since: earliest, lost: null, note };
  }
  if (stored >= horizon) return { since: stored, lost: null, note: null };
  return { since: earliest, lost: { from: stored, to: earliest }, note: null };
}

function storedSince(cursor: string | null, query: string): Micros | null {
  if (cursor === null) return null;
  try {
    const stored: unknown = JSON.parse(cursor);
    if (!isJsonObject(stored) || stored['of'] !== query || typeof stored['since'] !== 'string') return null;
    return parseTimestamp(stored['since']) ?? null;
  } catch {
    return null;
  }
}

async function ask({ options, fetch }: FeedContext<Options>, window: Window, offset: number): Promise<Page> {
  const url = new URL('/api/v1/iocs', options.url);
  for (const [name, value] of Object.entries(options.filter ?? {})) url.searchParams.set(name, value);
  url.searchParams.set('limit', String(options.page_size ?? plans[options.plan].pageSize));
  url.searchParams.set('offset', String(offset));
  url.searchParams.set('since', formatMillis(window.since));
  if (window.until !== null) url.searchParams.set('until', formatMillis(window.until));
  const hosts = HOSTS.includes(url.hostname) ? HOSTS : [];
  const response = await fetch({
    url,
    headers: { accept: 'application/json' },
    authorization: { header: 'authorization', scheme: 'Bearer', key: options.key, hosts },
    explain,
  });
  if (response === null) {
    throw new GatewayError('upstream-malformed', 'SOC Defenders answered 304 to an unconditional request.');
  }
  return readPage(response);
}

/** The documented codes of a 401. The upstream's own text is not repeated, since it may hold the key. */
const unauthorized = new Map([
  ['missing_api_key', 'SOC Defenders got no key: is a proxy between that takes the Authorization header away?'],
  ['invalid_api_key', 'SOC Defenders does not know the key: check it for a cut, and that it was not deleted.'],
  ['expired_api_key', 'The key has expired: make a new one in the SOC Defenders dashboard.'],
]);

function explain(status: number, body: string): GatewayError | null {
  if (status === 401) {
    const code = [...unauthorized.keys()].find((code) => body.includes(`"${code}"`));
    return new GatewayError('upstream-unauthorized', unauthorized.get(code ?? '') ?? 'SOC Defenders refused the key.');
  }
  if (status === 403) {
    const message =
      'SOC Defenders does not allow this with the key: is plan what you subscribe to, and its scope read:iocs?';
    return new GatewayError('upstream-forbidden', message);
  }
  return null;
}
