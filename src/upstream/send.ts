import type { Readable } from 'node:stream';
import { type Dispatcher, errors, request as send } from 'undici';
import type { FeedRequest } from '../feeds/feed.ts';
import type { Micros, Millis } from '../model/clock.ts';
import { GatewayError } from '../model/error.ts';
import { mayCarryKey } from '../model/key-hosts.ts';
import { isInFuture } from '../model/response-date.ts';
import { parseHttpDate } from '../model/timestamp.ts';
import { type AccountParts, admitRequest, saveRateLimit } from './admission.ts';
import type { CookieJar } from './cookies.ts';
import { acceptEncoding } from './decode-body.ts';
import type { Dispatchers } from './dispatcher.ts';
import { followRedirect, isRedirect, keyWithheld, MAX_REDIRECTS } from './redirect.ts';

/** What a whole pull leaves for the next one: RFC 9110 section 8.8, and the SHA-256 of the body of a one-request pull. */
export interface Validators {
  etag: string | null;
  lastModified: string | null;
  bodyHash: string | null;
}

export interface SendParts extends AccountParts {
  /** Of the last whole pull. */
  validators: Validators;
  userAgent: string;
  dispatchers: Dispatchers;
  /** Time from the first interim answer (1xx) to the final one. */
  interimTimeout?: Millis;
}

export interface Answer {
  url: URL;
  status: number;
  headers: Record<string, string>;
  body: Readable;
  /** A redirect led to a host that the key is not for. */
  isKeyWithheld: boolean;
  /** Seconds until the account may send again; null when the answer says nothing of it. */
  retryAfter: number | null;
}

const MAX_VALIDATOR_LENGTH = 1024;
const INTERIM_TIMEOUT: Millis = 60_000;
const MAX_INTERIM_ANSWERS = 100;

/** Sends a request and follows redirects. Each hop is a request of its own: admitted by the budget and told to `onRequest`. */
export async function sendRequest(
  request: FeedRequest,
  parts: SendParts,
  cookies: CookieJar,
  onRequest: () => void,
): Promise<Answer> {
  let { url, method = 'GET' } = request;
  let body = request.body ?? null;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    await admitRequest(request.weight ?? 1, parts);
    onRequest();
    const isKeyWithheld =
      request.authorization !== undefined && !mayCarryKey(request.url, url, request.authorization.hosts);
    if (isKeyWithheld && body !== null && request.authorization?.isInBody) throw keyWithheld(url.host);
    const dispatcher = dispatcherFor(request.url, url, parts);
    const cookie = cookies.headerFor(url);
    const sent = { ...headersOf(request, isKeyWithheld, parts), ...(cookie === null ? {} : { cookie }) };
    const reply = await readFinalAnswer(url, { method, headers: sent, body, dispatcher }, parts);
    cookies.save(url, reply.headers['set-cookie']);
    // The body may break before anybody reads it. Whoever reads it later still gets the error.
    reply.body.on('error', () => undefined);
    const status = reply.statusCode;
    const headers = flatten(reply.headers);
    const retryAfter = await saveRateLimit(status, headers, parts);
    const { location } = headers;
    if (!isRedirect(status) || location === undefined) {
      return { url, status, headers, body: reply.body, isKeyWithheld, retryAfter };
    }
    reply.body.destroy();
    url = followRedirect(url, location);
    // RFC 9110 sections 15.4.2 to 15.4.4, as browsers do it.
    if (method === 'POST' && status <= 303) [method, body] = ['GET', null];
  }
  throw new GatewayError('upstream-malformed', `More than ${MAX_REDIRECTS} redirects from ${request.url.host}.`);
}

/**
 * Waits for the final answer. Interim answers (RFC 9110 section 15.2) may come before it, and each of them restarts undici's
 * timeout: their number and their time are bounded here. Throws undici's errors when no answer comes.
 */
async function readFinalAnswer(
  url: URL,
  options: Parameters<typeof send>[1] & {},
  { signal, interimTimeout = INTERIM_TIMEOUT }: SendParts,
): ReturnType<typeof send> {
  const giveUp = new AbortController();
  const onStop = (): void => giveUp.abort(signal.reason);
  const onTimeout = (): void => giveUp.abort(new errors.HeadersTimeoutError());
  const interim: { answers: number; deadline: AbortSignal | null } = { answers: 0, deadline: null };
  const onInfo = (): void => {
    interim.answers += 1;
    if (interim.answers > MAX_INTERIM_ANSWERS) onTimeout();
    if (interim.deadline !== null) return;
    interim.deadline = AbortSignal.timeout(interimTimeout);
    interim.deadline.addEventListener('abort', onTimeout, { once: true });
  };
  signal.throwIfAborted();
  signal.addEventListener('abort', onStop, { once: true });
  try {
    const reply = await send(url, { ...options, signal: giveUp.signal, onInfo });
    reply.body.once('close', () => signal.removeEventListener('abort', onStop));
    return reply;
  } catch (error) {
    signal.removeEventListener('abort', onStop);
    throw error;
  } finally {
    interim.deadline?.removeEventListener('abort', onTimeout);
  }
}

/** The account's certificates are shown to those hosts only that may have its key. */
function dispatcherFor(requested: URL, url: URL, { account, dispatchers }: SendParts): Dispatcher {
  const isOwn = url.protocol === 'https:' && mayCarryKey(requested, url, account.tls?.hosts);
  return isOwn && dispatchers.certified !== null ? dispatchers.certified : dispatchers.plain;
}

export function headersOf(
  request: FeedRequest,
  isKeyWithheld: boolean,
  { validators, userAgent, clock }: Pick<SendParts, 'validators' | 'userAgent' | 'clock'>,
): Record<string, string> {
  // Some upstreams want a User-Agent of their own form.
  const headers: Record<string, string> = {
    'user-agent': userAgent,
    ...request.headers,
    'accept-encoding': acceptEncoding,
  };
  if (request.authorization !== undefined && !isKeyWithheld) {
    const { header, scheme, key, headers: others = {} } = request.authorization;
    if (header !== null && key !== null) {
      headers[header] = scheme === null ? key.reveal() : `${scheme} ${key.reveal()}`;
    }
    for (const [name, value] of Object.entries(others)) headers[name] = value.reveal();
  }
  // RFC 9110 section 13.1.2: with another method than GET they mean that nothing shall be done.
  if (request.method === 'POST') return headers;
  const { etag } = validators;
  const lastModified = pastDate(validators.lastModified, clock.now());
  if (request.conditional && etag !== null && etag.length <= MAX_VALIDATOR_LENGTH) headers['if-none-match'] = etag;
  if (request.conditional && lastModified !== null && lastModified.length <= MAX_VALIDATOR_LENGTH) {
    headers['if-modified-since'] = lastModified;
  }
  return headers;
}

/** RFC 9110 section 8.8.2.1: nothing was modified later than now. With such a date a server would answer 304 for ever. */
export function pastDate(date: string | null, now: Micros): string | null {
  const time = date === null ? undefined : parseHttpDate(date);
  return time !== undefined && isInFuture(time, now) ? null : date;
}

/** Lower-case names; repeated fields joined by ", ". */
function flatten(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const pairs = Object.entries(headers).map(([name, value]) => [
    name.toLowerCase(),
    Array.isArray(value) ? value.join(', ') : (value ?? ''),
  ]);
  return Object.fromEntries(pairs);
}
