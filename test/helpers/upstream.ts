import { hash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { type Clock, MICROS_PER_DAY, MICROS_PER_SECOND, type Micros, systemClock } from '../../src/model/clock.ts';
import type { Json, JsonObject } from '../../src/model/json.ts';
import { formatMillis, parseTimestamp } from '../../src/model/timestamp.ts';

/**
 * An upstream on loopback that answers as SOC Defenders' documents say, and, when told to, as upstreams do on a bad day.
 */
export interface UpstreamRow {
  /** What `since` and `until` filter by; not part of the answer. */
  updated: Micros;
  row: Json;
}

export type Fault =
  | ((request: IncomingMessage, response: ServerResponse) => void)
  /** A page for people, with status 200. */
  | 'html'
  /** A JSON text that stops in its middle, in a complete HTTP message. */
  | 'half'
  /** Bytes for ever. */
  | 'endless'
  /** The connection is cut inside the body. */
  | 'reset'
  /** The connection is cut before a byte of answer. */
  | 'drop'
  /** Headers and a first byte, then nothing until the test ends. */
  | 'slow'
  | { status: number; headers?: Record<string, string>; body?: string };

export interface UpstreamRequest {
  at: Micros;
  url: URL;
  authorization: string | undefined;
  headers: Record<string, string>;
  /** What it was answered with; 0 when it was not. */
  status: number;
}

export interface UpstreamOptions {
  rows?: UpstreamRow[];
  plan?: 'free' | 'pro';
  key?: string;
  expiredKey?: string;
  clock?: Clock;
  /** How rows are sorted. `shuffled`: anew for each request. */
  order?: 'newest' | 'oldest' | 'shuffled';
  /** `absent`: no meta.total. `everything`: the total of all rows, whatever the filter. `page`: of this page. */
  total?: 'right' | 'absent' | 'everything' | 'page';
  /** False: an answer without `meta` and `links`. */
  meta?: boolean;
  /** False: `since` and `until` are ignored. */
  timeFilter?: boolean;
  /** Caps `limit` below what the plan allows. */
  maxLimit?: number;
  /** Answers so many rows whatever `limit` is. */
  pageSize?: number;
  /** Answered with 400 beyond it. */
  maxOffset?: number;
  /** Requests a minute and a day, counted in windows that begin with the minute and the day. Null: unlimited. */
  limits?: { minute: number; day: number } | null;
}

export interface Upstream {
  url: string;
  rows: UpstreamRow[];
  options: UpstreamOptions;
  /** Everything that came, refused or not. */
  requests: UpstreamRequest[];
  /** Answers the next requests, one each, in place of the feed. */
  faults: Fault[];
  /** Answers every request while it is set. */
  down: Fault | null;
  /** Called when a request comes, before it is answered: the place to change rows under a walk. */
  onRequest: ((request: UpstreamRequest) => void) | null;
}

export const UPSTREAM_KEY = 'sk_live_canary0123456789abcdef';

const planLimits = { free: 100, pro: 10_000 };

/** Listens on a free port of 127.0.0.1 and ends, with all its connections, when the test does. */
export async function startUpstream(t: Test, options: UpstreamOptions = {}): Promise<Upstream> {
  const clock = options.clock ?? systemClock;
  const counts = { minute: new Map<number, number>(), day: new Map<number, number>() };
  const upstream: Upstream = {
    url: '',
    rows: options.rows ?? [],
    options,
    requests: [],
    faults: [],
    down: null,
    onRequest: null,
  };

  const server = createServer((message, reply) => {
    const request: UpstreamRequest = {
      at: clock.now(),
      url: new URL(message.url ?? '/', upstream.url),
      authorization: message.headers.authorization,
      headers: Object.fromEntries(Object.entries(message.headers).map(([name, value]) => [name, String(value)])),
      status: 0,
    };
    upstream.requests.push(request);
    reply.on('finish', () => {
      request.status = reply.statusCode;
    });
    upstream.onRequest?.(request);
    reply.setHeader('date', httpDate(clock.now()));
    const fault = upstream.down ?? upstream.faults.shift();
    if (fault !== undefined) return misbehave(fault, message, reply);
    const refused = refuse(request, options, counts, clock.now(), reply);
    if (refused !== null) return answer(reply, refused.status, refused.body);
    answer(reply, 200, list(request, upstream, clock.now()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  upstream.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.teardown(
    () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  );
  return upstream;
}

/** The longer of the two documented shapes. `n` makes value, id and everything else. */
export function fullRow(n: number, updated: Micros, overrides: JsonObject = {}): UpstreamRow {
  const id = `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
  return {
    updated,
    row: {
      id,
      type: 'domain',
      value: `host-${n}.example.com`,
      confidence: 'high',
      first_seen: formatMillis(updated - MICROS_PER_DAY),
      last_seen: formatMillis(updated),
      source: {
        article_id: id,
        article_title: `Campaign ${n}`,
        article_url: `https://news.example/articles/${n}`,
        feed_name: 'Example News',
        category: 'community',
        origin: 'article',
      },
      context: `Seen in campaign ${n}.`,
      tags: ['phishing', `group-${n % 7}`],
      mitre_techniques: ['T1566.001'],
      ...overrides,
    },
  };
}

/** The shorter shape, of the Elastic guide. */
export function shortRow(n: number, updated: Micros, overrides: JsonObject = {}): UpstreamRow {
  return {
    updated,
    row: {
      type: 'ipv4',
      value: `198.51.${(n >> 8) & 255}.${n & 255}`,
      confidence: 'medium',
      source: { feed_name: 'URLhaus', category: 'community' },
      ...overrides,
    },
  };
}

export function answer(
  reply: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  reply.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

function failure(status: number, code: string, message: string) {
  return { status, body: { error: { code, message, request_id: 'req_0123456789' } } };
}

type Counts = Record<'minute' | 'day', Map<number, number>>;

function refuse(
  { headers, url }: UpstreamRequest,
  options: UpstreamOptions,
  counts: Counts,
  now: Micros,
  reply: ServerResponse,
) {
  const { key = UPSTREAM_KEY, expiredKey, limits = null, plan = 'pro', maxOffset } = options;
  const given = headers['authorization']?.replace(/^Bearer /, '') ?? headers['x-api-key'];
  if (given === undefined) return failure(401, 'missing_api_key', 'An API key is required.');
  if (given === expiredKey) return failure(401, 'expired_api_key', `The key ${given} has expired.`);
  if (given !== key) return failure(401, 'invalid_api_key', `The key ${given} is not valid.`);
  if (limits !== null && isOver(limits, counts, now, reply)) {
    return failure(429, 'rate_limit_exceeded', 'Rate limit exceeded.');
  }
  if (url.pathname === '/api/v1/iocs/stix' && plan === 'free') return failure(403, 'plan_required', 'This needs Pro.');
  if (url.pathname !== '/api/v1/iocs') return failure(404, 'not_found', 'No such endpoint.');
  if (maxOffset !== undefined && Number(url.searchParams.get('offset') ?? 0) > maxOffset) {
    return failure(400, 'invalid_offset', 'Narrow the time window.');
  }
  return null;
}

/** Counts the request, tells what is left as SOC Defenders does (no Retry-After), and says whether it was too many. */
function isOver(limits: { minute: number; day: number }, counts: Counts, now: Micros, reply: ServerResponse): boolean {
  const states = (['minute', 'day'] as const).map((unit) => {
    const length = (unit === 'minute' ? 60 : 86_400) * MICROS_PER_SECOND;
    const window = Math.floor(now / length);
    const used = (counts[unit].get(window) ?? 0) + 1;
    counts[unit].set(window, used);
    return { limit: limits[unit], left: limits[unit] - used, reset: ((window + 1) * length) / MICROS_PER_SECOND };
  });
  const tightest = states.reduce((a, b) => (b.left < 0 && a.left >= 0 ? b : a));
  reply.setHeader('x-ratelimit-limit', tightest.limit);
  reply.setHeader('x-ratelimit-remaining', Math.max(0, tightest.left));
  reply.setHeader('x-ratelimit-reset', tightest.reset);
  return tightest.left < 0;
}

function list({ url }: UpstreamRequest, { rows, options, requests }: Upstream, now: Micros): JsonObject {
  const { plan = 'pro', order = 'newest', total: totals = 'right', timeFilter = true, maxLimit, meta = true } = options;
  const most = Math.min(maxLimit ?? planLimits[plan], planLimits[plan]);
  const query = Object.fromEntries(url.searchParams);
  const limit = options.pageSize ?? Math.min(Number(query['limit'] ?? 100), most);
  const offset = Number(query['offset'] ?? 0);
  const since = parseTimestamp(query['since'] ?? '') ?? 0;
  const until = parseTimestamp(query['until'] ?? '') ?? Number.MAX_SAFE_INTEGER;
  const sign = order === 'oldest' ? 1 : -1;
  // `since` is "added or updated after", so exclusive; the meanest reading of `until` is exclusive too.
  const chosen = rows
    .filter(({ updated }) => !timeFilter || (updated > since && updated < until))
    .filter(({ row }) => query['type'] === undefined || (row as JsonObject | null)?.['type'] === query['type']);
  if (order === 'shuffled') shuffle(chosen, requests.length);
  else chosen.sort((a, b) => sign * (a.updated - b.updated));
  const data = chosen.slice(offset, offset + limit).map(({ row }) => row);
  if (!meta) return { data };
  const total = { right: chosen.length, everything: rows.length, page: data.length, absent: null }[totals];
  return {
    meta: {
      ...(total === null ? {} : { total }),
      limit,
      offset,
      generated_at: formatMillis(now),
      feed_version: '1.0',
      source: 'SOC Defenders',
      filters: {},
    },
    data,
    links: { self: '/api/v1/iocs', next: offset + data.length < chosen.length ? '/api/v1/iocs?offset=…' : null },
  };
}

/** Another order for each seed, the same in every run. */
function shuffle(rows: UpstreamRow[], seed: number): void {
  const places = new Map(rows.map((row, i) => [row, hash('sha1', `${seed} ${i}`, 'hex')]));
  rows.sort((a, b) => ((places.get(a) as string) < (places.get(b) as string) ? -1 : 1));
}

/** Answers with a fault; `slow` and `endless` last as long as the connection. */
export function misbehave(fault: Fault, message: IncomingMessage, reply: ServerResponse): void {
  if (typeof fault === 'function') {
    fault(message, reply);
    return;
  }
  if (typeof fault === 'object') {
    reply.writeHead(fault.status, fault.headers ?? {});
    reply.end(fault.body ?? '');
    return;
  }
  if (fault === 'drop') {
    message.socket.destroy();
    return;
  }
  if (fault === 'html') {
    reply.writeHead(200, { 'content-type': 'text/html' });
    reply.end(`<!doctype html>\n<title>Just a moment...</title><p>${message.headers.authorization ?? ''}</p>`);
    return;
  }
  const half = '{"meta":{"total":3},"data":[{"type":"domain","value":"half.example"},{"type":"dom';
  if (fault === 'half') {
    reply.writeHead(200, { 'content-type': 'application/json' });
    reply.end(half);
    return;
  }
  if (fault === 'reset') {
    reply.writeHead(200, { 'content-type': 'application/json', 'content-length': 10_000 });
    reply.write(half, () => message.socket.destroy());
    return;
  }
  reply.writeHead(200, { 'content-type': 'application/json' });
  if (fault === 'slow') {
    reply.write('{');
    return;
  }
  const chunk = Buffer.alloc(256 * 1024, ' ');
  const pour = (): void => {
    while (!reply.destroyed && reply.write(chunk));
    if (!reply.destroyed) reply.once('drain', pour);
  };
  pour();
}

function httpDate(micros: Micros): string {
  return new Date(micros / 1000).toUTCString();
}
