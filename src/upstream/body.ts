import { createHash } from 'node:crypto';
import { pipeline, type Readable, type Transform } from 'node:stream';
import { constants, createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import { type Clock, MICROS_PER_MS } from '../model/clock.ts';
import { GatewayError } from '../model/error.ts';

/** Bounds of one answer's body. */
export interface BodyCaps {
  /** Bytes after decompression. */
  size: number;
  /** Bytes that are parsed as one JSON text: what must be held as a whole. */
  json: number;
  /** How many times larger than what was sent, once `ratioFrom` bytes came out. */
  ratio: number;
  ratioFrom: number;
  /** Milliseconds for which its bytes are waited for, all in all; what is done with them in between takes its own time. */
  total: number;
  /** Bytes, as they are sent, that must come in each `stretch` milliseconds of waiting. */
  least: number;
  stretch: number;
  /** Bytes read before the answer is handed on: so far a broken connection is retried and an equal body is noticed. */
  ahead: number;
}

const MB = 1024 * 1024;
export const bodyCaps: BodyCaps = {
  size: 1024 * MB,
  json: 32 * MB,
  ratio: 200,
  ratioFrom: 16 * MB,
  total: 30 * 60_000,
  least: 32 * 1024,
  stretch: 60_000,
  ahead: 8 * MB,
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
 * The body as its author wrote it, within the caps. Throws `upstream-too-large`, `upstream-timeout` and, for a coding that
 * is unknown or broken, `upstream-malformed`; errors of the connection pass as they are.
 */
export async function* decodeBody(raw: Readable, options: DecodeOptions): AsyncGenerator<Buffer> {
  const { host, caps, clock } = options;
  const encoding = options.encoding?.trim().toLowerCase() ?? '';
  const decoder = encoding === '' || encoding === 'identity' ? null : decoders[encoding]?.();
  if (decoder === undefined) {
    raw.destroy();
    throw new GatewayError('upstream-malformed', `${host} coded its answer in a way that was not asked for.`);
  }
  let came = 0;
  let size = 0;
  const timed = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    let waited = 0;
    let stretch = { waited: 0, came: 0 };
    let askedAt = clock.now();
    for await (const chunk of chunks) {
      const wait = Math.max(0, clock.now() - askedAt) / MICROS_PER_MS;
      waited += wait;
      came += chunk.length;
      stretch = { waited: stretch.waited + wait, came: stretch.came + chunk.length };
      if (waited > caps.total) throw tooSlow(host, `took more than ${caps.total / 1000} s for one answer`);
      if (stretch.waited >= caps.stretch) {
        if (stretch.came < caps.least) {
          throw tooSlow(host, `sent less than ${caps.least} bytes in ${caps.stretch / 1000} s`);
        }
        stretch = { waited: 0, came: 0 };
      }
      yield chunk;
      askedAt = clock.now();
    }
  };
  const chunks = decoder === null ? timed(raw) : pipeline(raw, timed, decoder, () => undefined);
  try {
    for await (const chunk of chunks as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > caps.size) throw new GatewayError('upstream-too-large', `${host} sent more than ${caps.size} bytes.`);
      if (decoder !== null && size > caps.ratioFrom && size > came * caps.ratio) {
        throw new GatewayError(
          'upstream-too-large',
          `${host} sent what unpacks to more than ${caps.ratio} times its size.`,
        );
      }
      yield chunk;
    }
  } catch (error) {
    // zlib's codes: Z_DATA_ERROR, ZSTD_error_prefix_unknown, ERR__ERROR_FORMAT_PADDING_1 (Brotli).
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (!/^(?:Z_|ZSTD_|ERR__)/.test(code)) throw error;
    throw new GatewayError('upstream-malformed', `${host} sent what can't be unpacked (${code}).`);
  }
}

function tooSlow(host: string, what: string): GatewayError {
  return new GatewayError('upstream-timeout', `${host} ${what}.`);
}

export interface HeldBody {
  /** From the first byte on; for one reading. */
  body: AsyncIterable<Uint8Array>;
  /** Hex SHA-256; null until the last byte was read. */
  hash(): string | null;
  /** The same for another reader, as long as nobody has begun to read; null for what did not end within `ahead`. */
  copy(): HeldBody | null;
}

/** Reads up to `ahead` bytes, so that what goes wrong by then goes wrong here; the rest streams. */
export async function holdBody(chunks: AsyncGenerator<Buffer>, ahead: number): Promise<HeldBody> {
  const sum = createHash('sha256');
  const held: Buffer[] = [];
  let digest: string | null = null;
  let size = 0;
  const next = async (): Promise<Buffer | null> => {
    const { value, done } = await chunks.next();
    if (done) {
      digest ??= sum.digest('hex');
      return null;
    }
    sum.update(value);
    return value;
  };
  while (size <= ahead) {
    const chunk = await next();
    if (chunk === null) break;
    held.push(chunk);
    size += chunk.length;
  }
  const rest = async function* (): AsyncGenerator<Uint8Array> {
    try {
      // Let go of as they are read: a slow reader must not hold them all.
      for (let chunk = held.shift(); chunk !== undefined; chunk = held.shift()) yield chunk;
      while (digest === null) {
        const chunk = await next();
        if (chunk !== null) yield chunk;
      }
    } finally {
      await chunks.return(undefined);
    }
  };
  return digest === null ? { body: rest(), hash: () => digest, copy: () => null } : wholeBody(held, digest);
}

function wholeBody(chunks: readonly Buffer[], digest: string): HeldBody {
  const left = [...chunks];
  let hasBegun = false;
  const body = async function* (): AsyncGenerator<Uint8Array> {
    hasBegun = true;
    for (let chunk = left.shift(); chunk !== undefined; chunk = left.shift()) yield chunk;
  };
  return { body: body(), hash: () => digest, copy: () => (hasBegun ? null : wholeBody(left, digest)) };
}

/** The whole of it as text, which may be no longer than `most` bytes; a byte order mark is dropped. */
export async function readText(body: AsyncIterable<Uint8Array>, most: number, host: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > most) throw new GatewayError('upstream-too-large', `${host} sent more than ${most} bytes of JSON.`);
    parts.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(parts));
}

/** The first bytes of a refusal, as text; the rest is not read. */
export async function readStart(body: AsyncIterable<Uint8Array>, most: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    parts.push(chunk);
    size += chunk.length;
    if (size >= most) break;
  }
  return new TextDecoder().decode(Buffer.concat(parts).subarray(0, most));
}
