import { pipeline, Readable, type Transform } from 'node:stream';
import { promisify } from 'node:util';
import { constants, createGzip, createZstdCompress, gzip, zstdCompress } from 'node:zlib';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import { GatewayError } from '../src/model/error.ts';
import { readRanges } from './accept.ts';

/** Content codings that are sent. Among those of equal weight in Accept-Encoding, the first is taken. */
export const codings = ['zstd', 'gzip'] as const;
export type Coding = (typeof codings)[number] | 'identity';

export interface AcceptedCodings {
  /** The coding to send. */
  best: Coding;
  /** Is a body without a coding acceptable too? */
  isPlainFine: boolean;
}

/** A longer field is ignored. */
const MAX_FIELD = 1024;

/**
 * Reads Accept-Encoding (RFC 9110 section 12.5.3). Without the field, or with an empty one, bodies are sent without a
 * coding. Throws `not-acceptable` when it accepts none of `codings` and no body without one.
 */
export function acceptedCodings(field: string | undefined): AcceptedCodings {
  if (field === undefined || field === '' || field.length > MAX_FIELD) return { best: 'identity', isPlainFine: true };
  return fields.memo(field);
}

/** Clients send the same field with every request. */
const fields = new LRUCache<string, AcceptedCodings>({ max: 100, memoMethod: readField });

/** Other names of codings (RFC 9110 section 8.4.1.3). */
const aliases: Record<string, string> = { 'x-gzip': 'gzip' };

function readField(field: string): AcceptedCodings {
  // A malformed `q` counts as 0.
  const weights = new Map(readRanges(field).map(({ name, weight }) => [aliases[name] ?? name, weight ?? 0]));
  const everything = weights.get('*');
  const weightOf = (coding: Coding, otherwise: number): number => weights.get(coding) ?? everything ?? otherwise;
  // Identity is acceptable unless it has the weight 0, by its name or by `*`.
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

/** May a body be sent with this coding? */
export function acceptsCoding(field: string | undefined, coding: Coding): boolean {
  const ranges = readRanges(field).map(({ name, weight }) => [aliases[name] ?? name, weight ?? 0] as const);
  const weights = new Map(ranges);
  return (weights.get(coding) ?? weights.get('*') ?? 0) > 0;
}

const compressors = { gzip: promisify(gzip), zstd: promisify(zstdCompress) };
/** They run in the thread pool. A page is compressed once and sent often. */
const options = { gzip: { level: 4 }, zstd: { params: { [constants.ZSTD_c_compressionLevel]: 3 } } };

export async function encodeBody(body: Buffer, coding: Coding): Promise<Buffer> {
  if (coding === 'identity') return body;
  return coding === 'gzip' ? compressors.gzip(body, options.gzip) : compressors.zstd(body, options.zstd);
}

/** A smaller window for streams: of unknown length, zstd would otherwise keep the last 2 MB, and tables to match. */
const streamed = { params: { ...options.zstd.params, [constants.ZSTD_c_windowLog]: 17 } };

const encoders: Record<Exclude<Coding, 'identity'>, () => Transform> = {
  gzip: () => createGzip(options.gzip),
  zstd: () => createZstdCompress(streamed),
};

/** Encodes a stream. Errors of the source reach the reader; when the reader stops, the source is closed. */
export function encodeStream(source: Readable, coding: Coding): Readable {
  return coding === 'identity' ? source : pipeline(source, encoders[coding](), () => undefined);
}

/** Shorter bodies are sent without a coding. */
export const SHORTEST_ENCODED = 1024;

/** Makes a scope send answers of status 200, whole or streamed, in the coding that the client prefers. */
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

/** Refuses a body with a content coding by 415, which names the accepted codings (RFC 9110 section 15.5.16). */
export function refuseCodings({ headers }: FastifyRequest, reply: FastifyReply): void {
  const coding = headers['content-encoding']?.trim().toLowerCase() ?? '';
  if (coding === '' || coding === 'identity') return;
  reply.header('accept-encoding', 'identity');
  throw new GatewayError('unsupported-media-type', 'Send the body without Content-Encoding.');
}
