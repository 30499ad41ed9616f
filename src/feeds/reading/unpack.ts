import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { asBuffer, type ByteStream, malformed } from './stream.ts';
import { checkUnpackedSize } from './unpacked-size.ts';
import { unzip } from './unzip.ts';

/**
 * The documents that a file or an answer holds: itself, itself without gzip, or each file of a zip archive. The first bytes
 * decide, whatever the name says. Throws `upstream-malformed`, `upstream-too-large`, and the signal's reason.
 */
export async function* unpack({ name, body }: ByteStream, signal: AbortSignal): AsyncGenerator<ByteStream> {
  const chunks = buffersOf(body, signal);
  try {
    const start = await readStart(chunks);
    const whole = (async function* () {
      if (start.length > 0) yield start;
      yield* chunks;
    })();
    if (isZip(start)) yield* unzip(name, whole);
    else yield { name, body: isGzip(start) ? gunzip(name, whole) : whole };
  } finally {
    await chunks.return(undefined);
  }
}

async function* buffersOf(body: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Buffer, undefined> {
  for await (const chunk of body) {
    signal.throwIfAborted();
    yield asBuffer(chunk);
  }
}

const SIGNATURE_BYTES = 4;

/** The chunks that hold the first bytes, as one. */
async function readStart(chunks: AsyncGenerator<Buffer>): Promise<Buffer> {
  let start: Buffer = Buffer.alloc(0);
  while (start.length < SIGNATURE_BYTES) {
    const next = await chunks.next();
    if (next.done) break;
    start = start.length === 0 ? next.value : Buffer.concat([start, next.value]);
  }
  return start;
}

/** RFC 1952 section 2.3.1. */
function isGzip(start: Buffer): boolean {
  return start[0] === 0x1f && start[1] === 0x8b;
}

/** PKWARE APPNOTE sections 4.3.7 and 4.3.16: a local file header, or the end of an archive without files. */
function isZip(start: Buffer): boolean {
  if (start.length < SIGNATURE_BYTES) return false;
  const signature = start.readUInt32LE();
  return signature === 0x04034b50 || signature === 0x06054b50;
}

async function* gunzip(name: string, packed: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let packedSize = 0;
  let size = 0;
  const counted = (async function* () {
    for await (const chunk of packed) {
      packedSize += chunk.length;
      yield chunk;
    }
  })();
  try {
    const chunks: AsyncIterable<Buffer> = pipeline(counted, createGunzip({ chunkSize: 256 * 1024 }), () => undefined);
    for await (const chunk of chunks) {
      size += chunk.length;
      checkUnpackedSize(name, packedSize, size);
      yield chunk;
    }
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (typeof code === 'string' && code.startsWith('Z_'))
      throw malformed(name, 'gzip', `it can't be unpacked (${code})`);
    throw error;
  }
}
