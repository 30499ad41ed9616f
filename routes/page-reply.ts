import type { OutgoingHttpHeader } from 'node:http';
import { TLSSocket } from 'node:tls';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { acceptedCodings } from './coding.ts';
import type { Page, PageRequest } from './page-cache.ts';
import type { RouteContext } from './parts.ts';

/** Header fields of @fastify/rate-limit: all that differs between two answers with one page. */
const RATE_FIELDS = ['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset'] as const;

/** Copying so many bytes to the kernel empties the processor's caches (measured: 12% of the time of an 800 kB page). */
const LARGE = 128 * 1024;

/**
 * Sends a page from the cache, or 304 when the client has it. `cost`: parts of a request (rates.ts). Throws `not-acceptable`, what
 * rendering throws, and `unavailable` or `rate-limited` (in-flight.ts).
 */
export function replyWithPage(
  request: FastifyRequest,
  reply: FastifyReply,
  parts: Pick<RouteContext, 'pages' | 'isClosing' | 'inFlight' | 'rates'>,
  wanted: PageRequest,
  cost: number,
): undefined | Promise<undefined> {
  parts.inFlight.admit(request.client.name);
  const page = parts.pages.read(wanted, acceptedCodings(request.headers['accept-encoding']));
  if (page instanceof Promise) {
    return page.then((made) => {
      parts.rates.charge(request, reply, cost);
      return sendPage(request, reply, made, parts);
    });
  }
  parts.rates.charge(request, reply, cost);
  return sendPage(request, reply, page, parts);
}

/** Writes to the response itself: Fastify's `send` would go through all header fields again. `onResponse` hooks run as ever. */
function sendPage(
  { headers, client, raw }: FastifyRequest,
  reply: FastifyReply,
  { body, fields, etag }: Page,
  { isClosing, inFlight }: Pick<RouteContext, 'isClosing' | 'inFlight'>,
): undefined {
  const isUnchanged = matchesEtag(headers['if-none-match'], etag);
  // Under TLS each connection keeps an encrypted copy of the page from the moment it is written.
  const isCopied = raw.socket instanceof TLSSocket;
  if (isCopied && !isUnchanged) inFlight.reserve(reply.raw, client.name, body.length);
  reply.hijack();
  const send = (): void => {
    const own: OutgoingHttpHeader[] = [...(isUnchanged ? fields.unchanged : fields.whole)];
    for (const name of RATE_FIELDS) {
      const value = reply.getHeader(name);
      if (value !== undefined) own.push(name, value);
    }
    if (isClosing()) own.push('connection', 'close');
    reply.raw.writeHead(isUnchanged ? 304 : 200, own);
    reply.raw.end(isUnchanged ? undefined : body);
    // Only what the kernel has not taken yet is still in memory; without TLS it is one buffer for all connections.
    if (!isCopied && !isUnchanged && reply.raw.writableLength > 0)
      inFlight.reserve(reply.raw, client.name, body.length, body);
  };
  // Requests of the same turn of the event loop are read first: afterwards the processor's caches are empty.
  if (!isUnchanged && body.length >= LARGE) setImmediate(send);
  else send();
}

/** If-None-Match by weak comparison (RFC 9110 section 13.1.2): does the client have the current version? */
export function matchesEtag(field: string | undefined, etag: string): boolean {
  if (field === undefined) return false;
  if (field === etag || field.trim() === '*') return true;
  // Our tags hold no comma, so splitting other servers' tags can't make one of ours.
  return field.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
}
