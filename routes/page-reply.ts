import { TLSSocket } from 'node:tls';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { acceptedCodings } from './coding.ts';
import type { Page, PageQuestion } from './page-cache.ts';
import type { RouteContext } from './parts.ts';

/** What @fastify/rate-limit said of this request: all that differs between two answers with one page. */
const OWN_FIELDS = ['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset'] as const;

/** Bytes that push everything else out of a processor's caches when they are copied to the kernel (measured: 12% of an 800 kB page). */
const LARGE = 128 * 1024;

/**
 * Sends a page from the cache, or 304 to who has it; it costs its client so many parts of a request (rates.ts). Throws
 * `not-acceptable`, what rendering throws, and what in-flight.ts says to who must wait.
 */
export function replyWithPage(
  request: FastifyRequest,
  reply: FastifyReply,
  parts: Pick<RouteContext, 'pages' | 'isClosing' | 'inFlight' | 'rates'>,
  question: PageQuestion,
  cost: number,
): undefined | Promise<undefined> {
  parts.inFlight.admit(request.client.name);
  const page = parts.pages.read(question, acceptedCodings(request.headers['accept-encoding']));
  if (page instanceof Promise) {
    return page.then((made) => {
      parts.rates.settle(request, reply, cost);
      return sendPage(request, reply, made, parts);
    });
  }
  parts.rates.settle(request, reply, cost);
  return sendPage(request, reply, page, parts);
}

/** Past Fastify's own sending, which would go through header fields that are ready. Its hooks after the answer run as ever. */
function sendPage(
  { headers, client, raw }: FastifyRequest,
  reply: FastifyReply,
  { body, fields, etag }: Page,
  { isClosing, inFlight }: Pick<RouteContext, 'isClosing' | 'inFlight'>,
): undefined {
  const isUnchanged = isHeld(headers['if-none-match'], etag);
  // Under TLS each connection has the page in its own cipher, as soon as it is written.
  const isCopied = raw.socket instanceof TLSSocket;
  if (isCopied && !isUnchanged) inFlight.hold(reply.raw, client.name, body.length);
  reply.hijack();
  const send = (): void => {
    const own: (string | number)[] = [...(isUnchanged ? fields.unchanged : fields.whole)];
    for (const name of OWN_FIELDS) {
      const value = reply.getHeader(name) as number | undefined;
      if (value !== undefined) own.push(name, value);
    }
    if (isClosing()) own.push('connection', 'close');
    reply.raw.writeHead(isUnchanged ? 304 : 200, own as string[]);
    reply.raw.end(isUnchanged ? undefined : body);
    // What the kernel has taken is not held here any more; without a copy the page is held once for all that wait for it.
    if (!isCopied && !isUnchanged && reply.raw.writableLength > 0)
      inFlight.hold(reply.raw, client.name, body.length, body);
  };
  // What asked in the same turn is read first: it would find nothing of the code in the processor's caches afterwards.
  if (!isUnchanged && body.length >= LARGE) setImmediate(send);
  else send();
}

/** If-None-Match by weak comparison (RFC 9110 section 13.1.2): does the client have what would be sent? */
export function isHeld(field: string | undefined, etag: string): boolean {
  if (field === undefined) return false;
  if (field === etag || field.trim() === '*') return true;
  // Our tags hold no comma, so cutting other servers' tags in two can't make one of ours.
  return field.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
}
