import type { Readable } from 'node:stream';
import { type Dispatcher, errors, request as send } from 'undici';
import type { FeedRequest } from '../feeds/feed.ts';
import type { Micros } from '../model/clock.ts';
import { GatewayError } from '../model/error.ts';
import { isAhead } from '../model/response-date.ts';
import { parseHttpDate } from '../model/timestamp.ts';
import { keepHints, type TurnParts, takeTurn } from './admission.ts';
import { acceptEncoding } from './body.ts';
import type { Cookies } from './cookies.ts';
import { followRedirect, isRedirect, MAX_REDIRECTS, mayCarryKey } from './redirect.ts';

/** What a whole pull leaves for the next: RFC 9110 section 8.8, and the SHA-256 of a one-request pull's body. */
export interface Validators {
  etag: string | null;
  lastModified: string | null;
  bodyHash: string | null;
}

export interface SendParts extends TurnParts {
  /** Of the last whole pull. */
  validators: Validators;
  userAgent: string;
  /** How connections are made (guard.ts): `certified` for hosts that the account's own certificates are for. */
  dispatchers: Dispatchers;
  /** Milliseconds from the first interim answer (1xx) to the final one. */
  interim?: number;
}

export interface Dispatchers {
  /** Tells this way of reaching upstreams from any other: proxy, certificates, what may be inside. */
  way: string;
  usual: Dispatcher;
  certified: Dispatcher | null;
}

export interface Answer {
  url: URL;
  status: number;
  headers: Record<string, string>;
  body: Readable;
  /** A redirect led to a host that the key is not for. */
  keyWithheld: boolean;
  /** Seconds until the account may ask again; null when the answer said nothing of it. */
  retryAfter: number | null;
}

const MAX_VALIDATOR = 1024;
const INTERIM_MS = 60_000;
const MOST_INTERIMS = 100;

/** Sends in turn and follows redirects, each a request of its own, which `onRequest` is told of. */
export async function sendFollowing(
  request: FeedRequest,
  parts: SendParts,
  cookies: Cookies,
  onRequest: () => void,
): Promise<Answer> {
  let { url, method = 'GET' } = request;
  let body = request.body ?? null;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    await takeTurn(request.weight ?? 1, parts);
    onRequest();
    const keyWithheld =
      request.authorization !== undefined && !mayCarryKey(request.url, url, request.authorization.hosts);
    const dispatcher = dispatcherFor(request.url, url, parts);
    const cookie = cookies.headerFor(url);
    const headers = { ...headersOf(request, keyWithheld, parts), ...(cookie === null ? {} : { cookie }) };
    const reply = await answerTo(url, { method, headers, body, dispatcher }, parts);
    cookies.keep(url, reply.headers['set-cookie']);
    // The body may break while nobody reads it yet; whoever reads it later still gets the error.
    reply.body.on('error', () => undefined);
    const status = reply.statusCode;
    const told = flatten(reply.headers);
    const retryAfter = await keepHints(status, told, parts);
    const { location } = told;
    if (!isRedirect(status) || location === undefined) {
      return { url, status, headers: told, body: reply.body, keyWithheld, retryAfter };
    }
    reply.body.destroy();
    url = followRedirect(url, location);
    // RFC 9110 sections 15.4.2 to 15.4.4: as every browser does it.
    if (method === 'POST' && status <= 303) [method, body] = ['GET', null];
  }
  throw new GatewayError('upstream-malformed', `More than ${MAX_REDIRECTS} redirects from ${request.url.host}.`);
}

/**
 * The final answer. Interim ones (RFC 9110 section 15.2) may come before it, and with each of them undici begins to wait
 * anew: their number and their time are bounded here. Throws as undici does when no answer comes.
 */
async function answerTo(
  url: URL,
  options: Parameters<typeof send>[1] & {},
  { signal, interim = INTERIM_MS }: SendParts,
): ReturnType<typeof send> {
  const giveUp = new AbortController();
  const stop = (): void => giveUp.abort(signal.reason);
  const late = (): void => giveUp.abort(new errors.HeadersTimeoutError());
  let interims = 0;
  let deadline: AbortSignal | null = null;
  const onInfo = (): void => {
    interims += 1;
    if (interims > MOST_INTERIMS) late();
    if (deadline !== null) return;
    deadline = AbortSignal.timeout(interim);
    deadline.addEventListener('abort', late, { once: true });
  };
  signal.throwIfAborted();
  signal.addEventListener('abort', stop, { once: true });
  try {
    const reply = await send(url, { ...options, signal: giveUp.signal, onInfo });
    reply.body.once('close', () => signal.removeEventListener('abort', stop));
    return reply;
  } catch (error) {
    signal.removeEventListener('abort', stop);
    throw error;
  } finally {
    (deadline as AbortSignal | null)?.removeEventListener('abort', late);
  }
}

/** Where a key would not be sent, neither who we are nor whom we trust is that host's business. */
function dispatcherFor(meant: URL, url: URL, { account, dispatchers }: SendParts): Dispatcher {
  const isOwn = url.protocol === 'https:' && mayCarryKey(meant, url, account.tls?.hosts);
  return isOwn && dispatchers.certified !== null ? dispatchers.certified : dispatchers.usual;
}

export function headersOf(
  request: FeedRequest,
  keyWithheld: boolean,
  { validators, userAgent, clock }: Pick<SendParts, 'validators' | 'userAgent' | 'clock'>,
): Record<string, string> {
  const headers: Record<string, string> = {
    ...request.headers,
    'user-agent': userAgent,
    'accept-encoding': acceptEncoding,
  };
  if (request.authorization !== undefined && !keyWithheld) {
    const { header, scheme, key } = request.authorization;
    headers[header] = scheme === null ? key.reveal() : `${scheme} ${key.reveal()}`;
  }
  const { etag } = validators;
  const lastModified = pastDate(validators.lastModified, clock.now());
  if (request.conditional && etag !== null && etag.length <= MAX_VALIDATOR) headers['if-none-match'] = etag;
  if (request.conditional && lastModified !== null && lastModified.length <= MAX_VALIDATOR) {
    headers['if-modified-since'] = lastModified;
  }
  return headers;
}

/** RFC 9110 section 8.8.2.1: nothing was modified later than now. A server that compares such a date says 304 for ever. */
export function pastDate(date: string | null, now: Micros): string | null {
  const time = date === null ? undefined : parseHttpDate(date);
  return time !== undefined && isAhead(time, now) ? null : date;
}

function flatten(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const pairs = Object.entries(headers).map(([name, value]) => [
    name.toLowerCase(),
    Array.isArray(value) ? value.join(', ') : (value ?? ''),
  ]);
  return Object.fromEntries(pairs);
}
