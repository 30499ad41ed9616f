import { crc32 } from 'node:zlib';
import { type Entry, fromBufferPromise, type ZipFile } from 'yauzl';
import { GatewayError, messageOf } from '../../model/error.ts';
import { isContent, MAX_ENTRIES } from './archive.ts';
import { type ByteStream, malformed } from './stream.ts';
import { checkUnpackedSize } from './unpacked-size.ts';

/** An archive is read by the directory at its end (PKWARE APPNOTE section 4.3.12), so it is held as a whole. */
const MAX_ARCHIVE = 128 * 1024 * 1024;

/**
 * The files of a zip archive in the order of its directory, named `archive/file`; folders and hidden files are left out.
 * Each must be read before the next is asked for.
 * Throws `upstream-malformed` for what is damaged, cut or encrypted, and `upstream-too-large`.
 */
export async function* unzip(name: string, chunks: AsyncIterable<Buffer>): AsyncGenerator<ByteStream> {
  const archive = await readArchive(name, chunks);
  const zip = await inOurWords(name, fromBufferPromise(archive));
  if (zip.entryCount > MAX_ENTRIES) {
    throw new GatewayError('upstream-too-large', `${name} holds more than ${MAX_ENTRIES} files.`);
  }
  let unpacked = 0;
  const count = (bytes: number): void => {
    unpacked += bytes;
    checkUnpackedSize(name, archive.length, unpacked);
  };
  const entries = zip.eachEntry();
  for (;;) {
    const next = await inOurWords(name, entries.next());
    if (next.done) return;
    if (isContent(next.value.fileName)) {
      yield { name: `${name}/${next.value.fileName}`, body: readEntry(name, zip, next.value, count) };
    }
  }
}

async function readArchive(name: string, chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const held: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > MAX_ARCHIVE) {
      throw new GatewayError('upstream-too-large', `${name} is an archive of more than ${MAX_ARCHIVE} bytes.`);
    }
    held.push(chunk);
  }
  return Buffer.concat(held);
}

async function* readEntry(
  name: string,
  zip: ZipFile,
  entry: Entry,
  count: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  if (entry.isEncrypted()) throw malformed(name, 'zip', 'it is encrypted');
  const chunks = (await inOurWords(name, zip.openReadStreamPromise(entry)))[Symbol.asyncIterator]();
  let checksum = 0;
  try {
    for (;;) {
      const next = await inOurWords(name, chunks.next());
      if (next.done) break;
      count(next.value.length);
      checksum = crc32(next.value, checksum);
      yield next.value;
    }
  } finally {
    await chunks.return?.();
  }
  if (checksum !== entry.crc32) throw malformed(name, 'zip', 'a file in it differs from its checksum');
}

/** The library's messages describe the archive's own numbers; they quote no content. */
async function inOurWords<T>(name: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw malformed(name, 'zip', messageOf(error));
  }
}
