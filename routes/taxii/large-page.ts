import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Micros } from '../../src/model/clock.ts';
import type { Entry } from '../../src/model/entry.ts';
import { eventLoop } from '../../src/model/turns.ts';
import { acceptedCodings, encodeStream } from '../coding.ts';
import type { Held } from '../in-flight.ts';
import { PAGE_CACHE_CONTROL, PAGE_VARY } from '../page-cache.ts';
import type { RouteContext } from '../parts.ts';
import { costOfPage } from '../rates.ts';
import { headOf, LARGEST_KEPT, type PageBounds, type PageHead, type Walk } from './walk.ts';

/** Entries read and rendered at once, in about 3 ms: what a page under way holds in memory, however slowly it is taken. */
const SLICE = 1000;
/** What that is, made of it twice over, and its coding, in bytes. */
const HELD_BYTES = 4 * 1024 * 1024;

/** Is it to be written as it is read, and not kept? */
export function isLarge({ filters }: Walk): boolean {
  return filters.limit > LARGEST_KEPT;
}

/**
 * Sends a page slice by slice, as fast as its reader takes it. Each slice is a view of its own: what is superseded meanwhile comes
 * again behind the page's last date, so a walk misses nothing. Throws what reading throws, and what in-flight.ts says to who must
 * wait, before anything is sent.
 */
export async function streamPage(
  request: FastifyRequest,
  reply: FastifyReply,
  walk: Walk,
  parts: RouteContext,
  render: (entry: Entry) => string,
): Promise<FastifyReply> {
  const { best } = acceptedCodings(request.headers['accept-encoding']);
  const client = request.client.name;
  await parts.inFlight.enter(client);
  const held = parts.inFlight.hold(reply.raw, client, HELD_BYTES);
  const bounds = await findBounds(walk, parts);
  const head = await headOf(walk, parts, bounds);
  parts.rates.settle(request, reply, costOfPage(walk.filters.limit));
  reply.headers({ ...head.headers, 'cache-control': PAGE_CACHE_CONTROL, vary: PAGE_VARY });
  if (best !== 'identity') reply.header('content-encoding', best);
  // A stream, if an empty one: nothing in its place would be told as a length of 0, which is not what GET sends.
  if (request.method === 'HEAD') return reply.send(Readable.from([]));
  const body = Readable.from(writePage(walk, parts, bounds, head, render, held), { objectMode: false });
  return reply.send(encodeStream(body, best));
}

/** The page's dates, which its header fields and `next` say before its first entry is written. */
async function findBounds({ filter, filters }: Walk, { reader }: RouteContext): Promise<PageBounds> {
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
  { filter, filters }: Walk,
  { reader }: RouteContext,
  { last }: PageBounds,
  { frame }: PageHead,
  render: (entry: Entry) => string,
  held: Held,
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
    // It was taken: whoever takes nothing for long loses the connection.
    held.progress();
    text = '';
    if (!more) break;
    after = reached;
    await eventLoop.next();
  }
  yield Buffer.from(text + frame.closing);
}
