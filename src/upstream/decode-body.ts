import { pipeline, type Readable, type Transform } from 'node:stream';
import { constants, createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import { type Clock, MICROS_PER_MS, type Millis } from '../model/clock.ts';
import { GatewayError, systemErrorCode } from '../model/error.ts';

/** Bounds of the body of one answer. */
export interface BodyCaps {
  /** Bytes after decompression. */
  maxBytes: number;
  /** Bytes of one JSON text, which is parsed as a whole. */
  maxJsonBytes: number;
  /** Bytes after decompression per byte sent, once `ratioFromBytes` came out. */
  maxRatio: number;
  ratioFromBytes: number;
  /** Time waited for bytes of the answer, all together. The time that their reader takes in between does not count. */
  maxWait: Millis;
  /** Bytes, as they are sent, that must come in each `slowWait` of waiting. */
  minBytes: number;
  slowWait: Millis;
  /** Bytes buffered before the answer is handed on: until then a broken connection is retried and an equal body is noticed. */
  bufferBytes: number;
}

const MB = 1024 * 1024;
export const bodyCaps: BodyCaps = {
  maxBytes: 1024 * MB,
  maxJsonBytes: 32 * MB,
  maxRatio: 200,
  ratioFromBytes: 16 * MB,
  maxWait: 30 * 60_000,
  minBytes: 32 * 1024,
  slowWait: 60_000,
  bufferBytes: 8 * MB,
};

/** RFC 9659: content coded with zstd needs no window of more than 8 MB. */
const ZSTD_WINDOW_LOG = 23;
const decoders: Record<string, () => Transform> = {
  gzip: () => createGunzip(),
  'x-gzip': () => createGunzip(),
  deflate: () => createInflate(),
  br: () => createBrotliDecompress(),
  zstd: () => createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG } }),
};
export const acceptEncoding = 'gzip, br, zstd';

export interface DecodeOptions {
  /** The Content-Encoding header. */
  encoding: string | undefined;
  host: string;
  caps: BodyCaps;
  clock: Clock;
}

/**
 * Yields the decompressed body within the caps. Throws `upstream-too-large`, `upstream-timeout` and, for a coding that is unknown or
 * broken, `upstream-malformed`. Errors of the connection pass as they are.
 */
export async function* decodeBody(raw: Readable, options: DecodeOptions): AsyncGenerator<Buffer> {
  const { host, caps } = options;
  const encoding = options.encoding?.trim().toLowerCase() ?? '';
  const decoder = encoding === '' || encoding === 'identity' ? null : decoders[encoding]?.();
  if (decoder === undefined) {
    raw.destroy();
    throw new GatewayError('upstream-malformed', `${host} coded its answer in a way that was not asked for.`);
  }
  const sent = { bytes: 0 };
  const timed = (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> => limitWait(chunks, sent, options);
  const chunks: AsyncIterable<Buffer> = decoder === null ? timed(raw) : pipeline(raw, timed, decoder, () => undefined);
  let bytes = 0;
  try {
    for await (const chunk of chunks) {
      bytes += chunk.length;
      if (bytes > caps.maxBytes) throw tooLarge(`${host} sent more than ${caps.maxBytes} bytes.`);
      if (decoder !== null && bytes > caps.ratioFromBytes && bytes > sent.bytes * caps.maxRatio) {
        throw tooLarge(`${host} sent what unpacks to more than ${caps.maxRatio} times its size.`);
      }
      yield chunk;
    }
  } catch (error) {
    // Codes of zlib: Z_DATA_ERROR, ZSTD_error_prefix_unknown, ERR__ERROR_FORMAT_PADDING_1 (Brotli).
    const code = systemErrorCode(error) ?? '';
    if (!/^(?:Z_|ZSTD_|ERR__)/.test(code)) throw error;
    throw new GatewayError('upstream-malformed', `${host} sent what can't be unpacked (${code}).`);
  }
}

/** Counts the bytes sent, and throws `upstream-timeout` when they come too slowly. */
async function* limitWait(
  chunks: AsyncIterable<Buffer>,
  sent: { bytes: number },
  { host, caps, clock }: DecodeOptions,
): AsyncGenerator<Buffer> {
  let waited: Millis = 0;
  let slow: { waited: Millis; bytes: number } = { waited: 0, bytes: 0 };
  let askedAt = clock.now();
  for await (const chunk of chunks) {
    const wait: Millis = Math.max(0, clock.now() - askedAt) / MICROS_PER_MS;
    waited += wait;
    sent.bytes += chunk.length;
    slow = { waited: slow.waited + wait, bytes: slow.bytes + chunk.length };
    if (waited > caps.maxWait) throw tooSlow(`${host} took more than ${caps.maxWait / 1000} s for one answer.`);
    if (slow.waited >= caps.slowWait) {
      if (slow.bytes < caps.minBytes) {
        throw tooSlow(`${host} sent less than ${caps.minBytes} bytes in ${caps.slowWait / 1000} s.`);
      }
      slow = { waited: 0, bytes: 0 };
    }
    yield chunk;
    askedAt = clock.now();
  }
}

function tooLarge(message: string): GatewayError {
  return new GatewayError('upstream-too-large', message);
}

function tooSlow(message: string): GatewayError {
  return new GatewayError('upstream-timeout', message);
}
