import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { CollectionDefinition } from '../../src/model/definition.ts';
import { GatewayError } from '../../src/model/error.ts';
import type { Output, OutputPage } from '../../src/outputs/output.ts';
import { outputs } from '../../src/outputs/registry.ts';
import type { Held } from '../in-flight.ts';

export type OutputName = keyof typeof outputs;

/**
 * The output that is asked for: `format` decides, else Accept (RFC 9110 section 12.5.1), else the first. Throws
 * `not-acceptable` when Accept rules all of them out.
 */
export function chooseOutput(
  request: FastifyRequest,
  format: string | undefined,
  names: readonly OutputName[],
): Output {
  const offered = names.map((name) => outputs[name]);
  const named = offered.find(({ name }) => name === format);
  const [standard] = offered;
  const accept = request.headers.accept?.trim() ?? '';
  const chosen = named ?? (accept === '' ? standard : best(accept, offered));
  if (chosen === undefined) {
    const types = offered.map((output) => essenceOf(output.mediaType)).join(', ');
    throw new GatewayError('not-acceptable', `There is ${types}; say which by Accept or format.`);
  }
  return chosen;
}

function best(accept: string, offered: readonly Output[]): Output | undefined {
  const ranges = accept.split(',').map(readRange);
  const weigh = (output: Output): number => {
    const types = [essenceOf(output.mediaType), ...output.aliases];
    // The most specific range that names it decides.
    const fitting = ranges.filter(({ type }) => types.some((own) => admits(type, own)));
    return fitting.sort((a, b) => specificity(b.type) - specificity(a.type))[0]?.weight ?? 0;
  };
  const weighed = offered.map((output) => ({ output, weight: weigh(output) }));
  return weighed.filter(({ weight }) => weight > 0).sort((a, b) => b.weight - a.weight)[0]?.output;
}

function readRange(text: string): { type: string; weight: number } {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const weight = parameters
    .map((parameter) => /^q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.exec(parameter)?.[1])
    .find(Boolean);
  return { type, weight: weight === undefined ? 1 : Number(weight) };
}

function admits(range: string, type: string): boolean {
  return range === type || range === '*/*' || range === `${type.split('/')[0]}/*`;
}

function specificity(range: string): number {
  return range === '*/*' ? 0 : range.endsWith('/*') ? 1 : 2;
}

function essenceOf(mediaType: string): string {
  return mediaType.split(';')[0] ?? mediaType;
}

/** What a document holds while it is written, whatever its length: a slice, what is made of it twice over, and its coding. */
export const STREAM_BYTES = 1024 * 1024;

/**
 * Writes the page as its reader takes it; one who takes nothing for long loses the connection (`held`). Text and tables can't carry
 * markings, so the ceiling is told beside them.
 */
export async function sendOutput(
  request: FastifyRequest,
  reply: FastifyReply,
  collection: CollectionDefinition,
  output: Output,
  page: OutputPage,
  held: Held,
): Promise<FastifyReply> {
  const slices = request.method === 'HEAD' ? null : await begin(page.slices);
  reply
    .header('content-type', output.mediaType)
    .header('cache-control', 'private')
    .header('vary', 'Accept, Authorization, X-API-Key')
    .header('x-tlp', `TLP:${collection.tlp.toUpperCase()}`);
  // A stream, if an empty one: nothing in its place would be told as a length of 0, which is not what GET sends.
  if (slices === null) return reply.send(Readable.from([]));
  return reply.send(Readable.from(watched(output.write({ ...page, slices }), held), { objectMode: false }));
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
