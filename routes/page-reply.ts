import type { FastifyReply, FastifyRequest } from 'fastify';
import { acceptedCodings } from './coding.ts';
import type { PageCache, PageQuestion } from './page-cache.ts';

/**
 * Only for whoever brought the key, and asked about each time: what is kept is never shown stale, and an unchanged page costs
 * a 304 (RFC 9111 sections 5.2.2.4 and 5.2.2.7).
 */
const CACHE_CONTROL = 'private, no-cache';
/** What a page may differ by, among them every way to bring a key (RFC 9110 section 12.5.5). */
const VARY = 'Accept, Accept-Encoding, Authorization, X-API-Key';

/** Sends a page from the cache, or 304 to who has it. Throws `not-acceptable`, and what rendering throws. */
export async function replyWithPage(
  request: FastifyRequest,
  reply: FastifyReply,
  pages: PageCache,
  question: PageQuestion,
): Promise<FastifyReply> {
  const { body, headers, coding, etag } = await pages.read(
    question,
    acceptedCodings(request.headers['accept-encoding']),
  );
  reply.headers(headers).header('etag', etag).header('cache-control', CACHE_CONTROL).header('vary', VARY);
  if (isHeld(request.headers['if-none-match'], etag)) return reply.removeHeader('content-type').code(304).send();
  if (coding !== 'identity') reply.header('content-encoding', coding);
  return reply.send(body);
}

/** If-None-Match by weak comparison (RFC 9110 section 13.1.2): does the client have what would be sent? */
export function isHeld(field: string | undefined, etag: string): boolean {
  if (field === undefined) return false;
  if (field.trim() === '*') return true;
  // Our tags hold no comma, so cutting other servers' tags in two can't make one of ours.
  return field.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
}
