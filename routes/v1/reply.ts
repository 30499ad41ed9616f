import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Output, OutputRequest } from '../../src/outputs/output.ts';
import { selectAll } from '../../src/outputs/selection.ts';
import type { Held } from '../in-flight.ts';

/** What a document holds while it is written, whatever its length: a slice, what is made of it twice over, and its coding. */
export const STREAM_BYTES = 1024 * 1024;

/**
 * Writes the document as its reader takes it; one who takes nothing for long loses the connection (`held`). Text and tables can't
 * carry markings, so the ceiling is told beside them.
 */
export async function sendOutput(
  request: FastifyRequest,
  reply: FastifyReply,
  output: Output,
  asked: OutputRequest,
  held: Held,
): Promise<FastifyReply> {
  const slices = request.method === 'HEAD' ? null : await begin(selectAll(asked.slices, asked.selection));
  reply
    .header('content-type', output.mediaType)
    .header('cache-control', 'private')
    .header('vary', 'Accept, Authorization, X-API-Key')
    .header('x-tlp', `TLP:${asked.collection.tlp.toUpperCase()}`);
  // A stream, if an empty one: nothing in its place would be told as a length of 0, which is not what GET sends.
  if (slices === null) return reply.send(Readable.from([]));
  return reply.send(Readable.from(watched(output.write({ ...asked, slices }), held), { objectMode: false }));
}

/** Each piece that is asked for says that the ones before it were taken. */
async function* watched<T>(pieces: AsyncIterable<T>, held: Held): AsyncGenerator<T> {
  for await (const piece of pieces) {
    yield piece;
    held.progress();
  }
}

/** The same slices with the first one read: a store that fails is still told by a status. */
async function begin<T>(slices: AsyncIterable<T>): Promise<AsyncIterable<T>> {
  const iterator = slices[Symbol.asyncIterator]();
  const first = await iterator.next();
  return (async function* () {
    if (first.done) return;
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => iterator };
  })();
}
