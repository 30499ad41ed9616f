import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Output, OutputRequest } from '../../src/outputs/output.ts';
import { selectAll } from '../../src/outputs/selection.ts';
import type { Reservation } from '../in-flight.ts';

/** Memory that a document takes while it is sent, whatever its length: a slice, its text twice, and the buffers of its coding. */
export const STREAM_BYTES = 1024 * 1024;

/**
 * Streams the document as fast as its reader takes it; a reader who stops loses the connection (in-flight.ts). Text and tables can't
 * carry markings, so X-TLP says the collection's ceiling.
 */
export async function sendOutput(
  request: FastifyRequest,
  reply: FastifyReply,
  output: Output,
  asked: OutputRequest,
  reservation: Reservation,
): Promise<FastifyReply> {
  const slices = request.method === 'HEAD' ? null : await readFirst(selectAll(asked.slices, asked.selection));
  reply
    .header('content-type', output.mediaType)
    .header('cache-control', 'private')
    .header('vary', 'Accept, Authorization, X-API-Key')
    .header('x-tlp', `TLP:${asked.collection.tlp.toUpperCase()}`);
  // An empty stream: an empty body would be sent with Content-Length: 0, which is not what GET sends.
  if (slices === null) return reply.send(Readable.from([]));
  return reply.send(
    Readable.from(withProgress(output.write({ ...asked, slices }), reservation), { objectMode: false }),
  );
}

/** When a piece is asked for, the reader has taken those before it. */
async function* withProgress<T>(pieces: AsyncIterable<T>, reservation: Reservation): AsyncGenerator<T> {
  for await (const piece of pieces) {
    yield piece;
    reservation.progress();
  }
}

/** The same slices, the first of them read already, so that a failing store is answered with an error status. */
async function readFirst<T>(slices: AsyncIterable<T>): Promise<AsyncIterable<T>> {
  const iterator = slices[Symbol.asyncIterator]();
  const first = await iterator.next();
  return (async function* () {
    if (first.done) return;
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => iterator };
  })();
}
