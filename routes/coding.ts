import { pipeline, Readable, type Transform } from 'node:stream';
import { promisify } from 'node:util';
import { constants, createGzip, createZstdCompress, gzip, zstdCompress } from 'node:zlib';
import type { FastifyInstance } from 'fastify';
import { LRUCache } from 'lru-cache';
import { GatewayError } from '../src/model/error.ts';
import { readRanges } from './accept.ts';

/** Content codings that are sent, best first: among those a client likes equally, the first is taken. */
export const codings = ['zstd', 'gzip'] as const;
export type Coding = (typeof codings)[number] | 'identity';

export interface AcceptedCodings {
  /** What a body is sent in. */
  best: Coding;
  /** A body may also be sent as it is. */
  isPlainFine: boolean;
}

/** Fields longer than this say nothing that a client means. */
const MAX_FIELD = 1024;

/**
 * Reads Accept-Encoding (RFC 9110 section 12.5.3). Without the field, or with an empty one, bodies go out as they are: clients
 * that can decode say so. Throws `not-acceptable` when nothing that is sent here is accepted.
 */
export function acceptedCodings(field: string | undefined): AcceptedCodings {
  if (field === undefined || field === '' || field.length > MAX_FIELD) return { best: 'identity', isPlainFine: true };
  return fields.memo(field);
}

/** Clients of a kind send the same with every request. */
const fields = new LRUCache<string, AcceptedCodings>({ max: 100, memoMethod: readField });

/** Other names of codings (RFC 9110 section 8.4.1.3). */
const aliases: Record<string, string> = { 'x-gzip': 'gzip' };

function readField(field: string): AcceptedCodings {
  // A `q` that is no weight counts as 0: it was meant to say less than everything.
  const weights = new Map(readRanges(field).map(({ name, weight }) => [aliases[name] ?? name, weight ?? 0]));
  const everything = weights.get('*');
  const weightOf = (coding: Coding, otherwise: number): number => weights.get(coding) ?? everything ?? otherwise;
  // Identity is acceptable unless it is ruled out, by its name or by a `*` beside which it isn't named.
  const plain = weightOf('identity', 0.001);
  let best: Coding = 'identity';
  let most = 0;
  for (const coding of codings) {
    const weight = weightOf(coding, 0);
    if (weight > most) [best, most] = [coding, weight];
  }
  if (plain > most) return { best: 'identity', isPlainFine: true };
  if (most === 0)
    throw new GatewayError('not-acceptable', `Accept-Encoding must allow ${codings.join(', ')} or identity.`);
  return { best, isPlainFine: plain > 0 };
}

const compressors = { gzip: promisify(gzip), zstd: promisify(zstdCompress) };
/** Off the serving thread; a page is compressed once and sent often. */
const options = { gzip: { level: 4 }, zstd: { params: { [constants.ZSTD_c_compressionLevel]: 3 } } };

export async function encodeBody(body: Buffer, coding: Coding): Promise<Buffer> {
  if (coding === 'identity') return body;
  return coding === 'gzip' ? compressors.gzip(body, options.gzip) : compressors.zstd(body, options.zstd);
}

/** Of a stream whose length nobody knows, zstd would hold the last 2 MB, and tables to match. */
const streamed = { params: { ...options.zstd.params, [constants.ZSTD_c_windowLog]: 17 } };

const encoders: Record<Exclude<Coding, 'identity'>, () => Transform> = {
  gzip: () => createGzip(options.gzip),
  zstd: () => createZstdCompress(streamed),
};

/** Whoever reads it hears of the source's errors, and its end ends the source. */
export function encodeStream(source: Readable, coding: Coding): Readable {
  return coding === 'identity' ? source : pipeline(source, encoders[coding](), () => undefined);
}

/** Shorter bodies are not worth a coding. */
export const SHORTEST_ENCODED = 1024;

/** Makes a scope send its good answers, ready or streamed, in the coding that the client likes best. */
export function encodeAnswers(scope: FastifyInstance): void {
  scope.addHook('preHandler', async ({ headers }) => void acceptedCodings(headers['accept-encoding']));
  scope.addHook('onSend', async ({ headers }, reply, payload) => {
    if (reply.statusCode !== 200) return payload;
    reply.header('vary', [reply.getHeader('vary'), 'Accept-Encoding'].filter(Boolean).join(', '));
    const { best, isPlainFine } = acceptedCodings(headers['accept-encoding']);
    if (best === 'identity') return payload;
    if (payload instanceof Readable) {
      reply.header('content-encoding', best);
      return encodeStream(payload, best);
    }
    const body = Buffer.isBuffer(payload) ? payload : Buffer.from(String(payload));
    if (body.length < SHORTEST_ENCODED && isPlainFine) return payload;
    reply.header('content-encoding', best).removeHeader('content-length');
    return encodeBody(body, best);
  });
}
