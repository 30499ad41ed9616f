import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Micros } from '../../src/model/clock.ts';
import type { Entry } from '../../src/model/entry.ts';
import { eventLoop } from '../../src/model/turns.ts';
import { acceptedCodings, encodeStream } from '../coding.ts';
import type { Reservation } from '../in-flight.ts';
import { PAGE_CACHE_CONTROL, PAGE_VARY } from '../page-cache.ts';
import type { RouteContext } from '../parts.ts';
import { costOfPage } from '../rates.ts';
import { MAX_CACHED_ENTRIES, type PageBounds, type PageHead, type PageQuery, pageHead } from './page-query.ts';

/** Entries that are read and rendered at once, in about 3 ms. A page under way keeps no more in memory, however slow its reader is. */
const SLICE = 1000;
/** Memory of a page under way: a slice, its text twice, and the buffers of its coding. */
const STREAM_BYTES = 4 * 1024 * 1024;

/** Is the page streamed, and not cached? */
export function isLarge({ filters }: PageQuery): boolean {
  return filters.limit > MAX_CACHED_ENTRIES;
}

/**
 * Streams a page slice by slice, as fast as its reader takes it. Each slice is read from its own snapshot of the store: an entry that is
 * superseded meanwhile comes again behind the page's last date, so a client that pages on misses nothing. Before anything is sent it
 * throws what reading throws, and `unavailable` or `rate-limited` (in-flight.ts).
 */
export async function streamPage(
  request: FastifyRequest,
  reply: FastifyReply,
  asked: PageQuery,
  parts: RouteContext,
  render: (entry: Entry) => string,
): Promise<FastifyReply> {
  const { best } = acceptedCodings(request.headers['accept-encoding']);
  const client = request.client.name;
  await parts.inFlight.admitInTurn(client);
  const reservation = parts.inFlight.reserve(reply.raw, client, STREAM_BYTES);
  const bounds = await findBounds(asked, parts);
  const head = await pageHead(asked, parts, bounds);
  parts.rates.charge(request, reply, costOfPage(asked.filters.limit));
  reply.headers({ ...head.headers, 'cache-control': PAGE_CACHE_CONTROL, vary: PAGE_VARY });
  if (best !== 'identity') reply.header('content-encoding', best);
  // An empty stream: an empty body would be sent with Content-Length: 0, which is not what GET sends.
  if (request.method === 'HEAD') return reply.send(Readable.from([]));
  const body = Readable.from(writePage(asked, parts, bounds, head, render, reservation), { objectMode: false });
  return reply.send(encodeStream(body, best));
}

/** Finds the page's first and last date, which stand in header fields and `next`, before its first entry is written. */
async function findBounds({ filter, filters }: PageQuery, { reader }: RouteContext): Promise<PageBounds> {
  const bounds: PageBounds = { first: null, last: null, more: false };
  if (filters.isEmpty) return bounds;
  let left = filters.limit;
  for (let after = filters.after; left > 0; after = bounds.last ?? after) {
    const { more } = await reader.visitPage({ ...filter, after, limit: Math.min(SLICE, left) }, ({ dateAdded }) => {
      bounds.first ??= dateAdded;
      bounds.last = dateAdded;
      left -= 1;
    });
    bounds.more = more;
    if (!more) return bounds;
    await eventLoop.next();
  }
  return bounds;
}

async function* writePage(
  { filter, filters }: PageQuery,
  { reader }: RouteContext,
  { last }: PageBounds,
  { frame }: PageHead,
  render: (entry: Entry) => string,
  reservation: Reservation,
): AsyncGenerator<Buffer> {
  if (frame === null) return yield Buffer.from('{}');
  let text = frame.opening;
  let separator = '';
  for (let after: Micros = filters.after; last !== null && after < last; ) {
    let reached = last;
    const { more } = await reader.visitPage({ ...filter, after, limit: SLICE }, (entry) => {
      reached = entry.dateAdded;
      if (reached > last) return;
      text += separator + render(entry);
      separator = ',';
    });
    if (text !== '') yield Buffer.from(text);
    // The reader has taken it.
    reservation.progress();
    text = '';
    if (!more) break;
    after = reached;
    await eventLoop.next();
  }
  yield Buffer.from(text + frame.closing);
}
