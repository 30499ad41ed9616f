import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { asBuffer, type ByteStream, malformed } from './stream.ts';
import { checkUnpackedSize } from './unpacked-size.ts';
import { isTar, untar } from './untar.ts';
import { unzip } from './unzip.ts';

/**
 * The documents that a file or an answer holds: itself, or each file of a zip or tar archive, or those whose names end with `member`;
 * gzip is taken off first. The first bytes decide, whatever the name says. Throws `upstream-malformed`, also for an archive without
 * such a file, `upstream-too-large`, and the signal's reason.
 */
export async function* unpack(
  { name, body }: ByteStream,
  signal: AbortSignal,
  member?: string,
): AsyncGenerator<ByteStream> {
  const chunks = buffersOf(body, signal);
  let plain = chunks;
  try {
    const outer = await peek(chunks);
    if (isZip(outer.start)) {
      yield* membersOf(name, unzip(name, outer.whole), member);
      return;
    }
    plain = isGzip(outer.start) ? gunzip(name, outer.whole) : outer.whole;
    const { start, whole } = await peek(plain);
    if (isTar(start)) yield* membersOf(name, untar(name, whole), member);
    else yield { name, body: whole };
  } finally {
    await plain.return(undefined);
    await chunks.return(undefined);
  }
}

async function* membersOf(
  name: string,
  documents: AsyncIterable<ByteStream>,
  member: string | undefined,
): AsyncGenerator<ByteStream> {
  let isFound = false;
  for await (const document of documents) {
    if (!document.name.slice(name.length + 1).endsWith(member ?? '')) continue;
    isFound = true;
    yield document;
  }
  if (member !== undefined && !isFound) throw malformed(name, 'archive', `it holds no file named ${member}`);
}

async function* buffersOf(body: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Buffer, undefined> {
  for await (const chunk of body) {
    signal.throwIfAborted();
    yield asBuffer(chunk);
  }
}

/** Bytes that decide what it is: a block of a tar archive. */
const START_BYTES = 512;

/** The first bytes, and all of it with them. */
async function peek(
  chunks: AsyncGenerator<Buffer, undefined>,
): Promise<{ start: Buffer; whole: AsyncGenerator<Buffer, undefined> }> {
  let start: Buffer = Buffer.alloc(0);
  while (start.length < START_BYTES) {
    const next = await chunks.next();
    if (next.done) break;
    start = start.length === 0 ? next.value : Buffer.concat([start, next.value]);
  }
  const whole = async function* (): AsyncGenerator<Buffer, undefined> {
    if (start.length > 0) yield start;
    yield* chunks;
  };
  return { start, whole: whole() };
}

/** RFC 1952 section 2.3.1. */
function isGzip(start: Buffer): boolean {
  return start[0] === 0x1f && start[1] === 0x8b;
}

/** PKWARE APPNOTE sections 4.3.7 and 4.3.16: a local file header, or the end of an archive without files. */
function isZip(start: Buffer): boolean {
  if (start.length < 4) return false;
  const signature = start.readUInt32LE();
  return signature === 0x04034b50 || signature === 0x06054b50;
}

async function* gunzip(name: string, packed: AsyncIterable<Buffer>): AsyncGenerator<Buffer, undefined> {
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
