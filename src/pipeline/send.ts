import type { Readable } from 'node:stream';
import { type Dispatcher, request as send } from 'undici';
import type { FeedRequest } from '../feeds/feed.ts';
import { GatewayError } from '../model/error.ts';
import { acceptEncoding } from './body.ts';
import { followRedirect, isRedirect, MAX_REDIRECTS, mayCarryKey } from './redirect.ts';
import { keepHints, type TurnParts, takeTurn } from './turn.ts';

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

/** Sends in turn and follows redirects, each a request of its own, which `onRequest` is told of. */
export async function sendFollowing(request: FeedRequest, parts: SendParts, onRequest: () => void): Promise<Answer> {
  let { url, method = 'GET' } = request;
  let body = request.body ?? null;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    await takeTurn(request.weight ?? 1, parts);
    onRequest();
    const keyWithheld =
      request.authorization !== undefined && !mayCarryKey(request.url, url, request.authorization.hosts);
    const dispatcher = dispatcherFor(request.url, url, parts);
    const { signal } = parts;
    const reply = await send(url, {
      method,
      headers: headersOf(request, keyWithheld, parts),
      body,
      dispatcher,
      signal,
    });
    // The body may break while nobody reads it yet; whoever reads it later still gets the error.
    reply.body.on('error', () => undefined);
    const status = reply.statusCode;
    const headers = flatten(reply.headers);
    const retryAfter = await keepHints(status, headers, parts);
    const { location } = headers;
    if (!isRedirect(status) || location === undefined) {
      return { url, status, headers, body: reply.body, keyWithheld, retryAfter };
    }
    reply.body.destroy();
    url = followRedirect(url, location);
    // RFC 9110 sections 15.4.2 to 15.4.4: as every browser does it.
    if (method === 'POST' && status <= 303) [method, body] = ['GET', null];
  }
  throw new GatewayError('upstream-malformed', `More than ${MAX_REDIRECTS} redirects from ${request.url.host}.`);
}

/** Where a key would not be sent, neither who we are nor whom we trust is that host's business. */
function dispatcherFor(meant: URL, url: URL, { account, dispatchers }: SendParts): Dispatcher {
  const isOwn = url.protocol === 'https:' && mayCarryKey(meant, url, account.tls?.hosts);
  return isOwn && dispatchers.certified !== null ? dispatchers.certified : dispatchers.usual;
}

export function headersOf(
  request: FeedRequest,
  keyWithheld: boolean,
  { validators, userAgent }: Pick<SendParts, 'validators' | 'userAgent'>,
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
  const { etag, lastModified } = validators;
  if (request.conditional && etag !== null && etag.length <= MAX_VALIDATOR) headers['if-none-match'] = etag;
  if (request.conditional && lastModified !== null && lastModified.length <= MAX_VALIDATOR) {
    headers['if-modified-since'] = lastModified;
  }
  return headers;
}

function flatten(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const pairs = Object.entries(headers).map(([name, value]) => [
    name.toLowerCase(),
    Array.isArray(value) ? value.join(', ') : (value ?? ''),
  ]);
  return Object.fromEntries(pairs);
}
