import { createHash } from 'node:crypto';
import { GatewayError } from '../model/error.ts';

/** A decoded body whose first bytes are buffered. */
export interface BufferedBody {
  /** From the first byte on. It can be read once. */
  body: AsyncIterable<Uint8Array>;
  /** Hex SHA-256; null until the last byte was read. */
  hash(): string | null;
  /** The same body for another reader, until the first one begins. Null for a body that is larger than the buffer. */
  copy(): BufferedBody | null;
}

/** Reads up to `bufferBytes`, and throws what goes wrong until then. The rest is streamed. */
export async function bufferBody(chunks: AsyncGenerator<Buffer>, bufferBytes: number): Promise<BufferedBody> {
  const sum = createHash('sha256');
  const buffered: Buffer[] = [];
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
  while (size <= bufferBytes) {
    const chunk = await next();
    if (chunk === null) break;
    buffered.push(chunk);
    size += chunk.length;
  }
  const stream = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* drain(buffered);
      while (digest === null) {
        const chunk = await next();
        if (chunk !== null) yield chunk;
      }
    } finally {
      await chunks.return(undefined);
    }
  };
  return digest === null ? { body: stream(), hash: () => digest, copy: () => null } : wholeBody(buffered, digest);
}

function wholeBody(chunks: readonly Buffer[], digest: string): BufferedBody {
  const left = [...chunks];
  let hasBegun = false;
  const body = async function* (): AsyncGenerator<Uint8Array> {
    hasBegun = true;
    yield* drain(left);
  };
  return { body: body(), hash: () => digest, copy: () => (hasBegun ? null : wholeBody(left, digest)) };
}

/** Yields each chunk and lets go of it: a slow reader must not keep all of them in memory. */
function* drain(chunks: Buffer[]): Generator<Buffer> {
  for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) yield chunk;
}

/** Returns the whole body as text, without a byte order mark. Throws `upstream-too-large` beyond `maxBytes`. */
export async function readText(body: AsyncIterable<Uint8Array>, maxBytes: number, host: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxBytes)
      throw new GatewayError('upstream-too-large', `${host} sent more than ${maxBytes} bytes of JSON.`);
    parts.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(parts));
}

/** Returns the first bytes of a body as text. The rest is not read. */
export async function readStart(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    parts.push(chunk);
    size += chunk.length;
    if (size >= maxBytes) break;
  }
  return new TextDecoder().decode(Buffer.concat(parts).subarray(0, maxBytes));
}
