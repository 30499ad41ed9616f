import { pipeline } from 'node:stream';
import { extract } from 'tar-stream';
import { GatewayError, messageOf } from '../../model/error.ts';
import { isContent, MAX_ENTRIES } from './archive.ts';
import { asBuffer, type ByteStream, malformed } from './stream.ts';
import { checkUnpackedSize } from './unpacked-size.ts';

/** A tar archive is a row of blocks. It ends with two of zeros (POSIX.1-2017, pax, "ustar Interchange Format"). */
const BLOCK = 512;

/** Does it begin as a tar archive, with a header block of POSIX' or GNU's kind? */
export function isTar(start: Buffer): boolean {
  return start.length >= BLOCK && start.toString('latin1', 257, 262) === 'ustar';
}

/**
 * The files of a tar archive in their order, named `archive/file`; folders, links and hidden files are left out. Names are for
 * messages only. Each file must be read before the next is asked for.
 * Throws `upstream-malformed` for what is damaged or cut, and `upstream-too-large`.
 */
export async function* untar(name: string, chunks: AsyncIterable<Buffer>): AsyncGenerator<ByteStream> {
  const source = new Blocks(name, chunks);
  const archive = extract();
  // Its errors come out of the archive.
  pipeline(source.read(), archive, () => undefined);
  let entries = 0;
  try {
    for await (const entry of archive) {
      entries += 1;
      if (entries > MAX_ENTRIES) {
        throw new GatewayError('upstream-too-large', `${name} holds more than ${MAX_ENTRIES} files.`);
      }
      const { type, name: path } = entry.header;
      if ((type === 'file' || type === 'contiguous-file') && isContent(path)) {
        yield { name: `${name}/${path}`, body: bytesOf(entry, source) };
      }
      entry.resume();
    }
  } catch (error) {
    throw source.explain(error);
  } finally {
    archive.destroy();
  }
  if (!source.isEnded) throw malformed(name, 'tar', 'its end is missing');
}

async function* bytesOf(entry: AsyncIterable<unknown>, source: Blocks): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of entry) if (chunk instanceof Uint8Array) yield asBuffer(chunk);
  } catch (error) {
    throw source.explain(error);
  }
}

/** The bytes of an archive as they come, and what is to be known of them afterwards. */
class Blocks {
  readonly #name: string;
  readonly #chunks: AsyncIterable<Buffer>;
  #tail: Buffer = Buffer.alloc(0);
  #error: unknown = null;

  constructor(name: string, chunks: AsyncIterable<Buffer>) {
    this.#name = name;
    this.#chunks = chunks;
  }

  async *read(): AsyncGenerator<Buffer> {
    let size = 0;
    try {
      for await (const chunk of this.#chunks) {
        size += chunk.length;
        checkUnpackedSize(this.#name, size, size);
        this.#tail = Buffer.concat([this.#tail, chunk.subarray(-BLOCK)]).subarray(-BLOCK);
        if (chunk.length > 0) yield chunk;
      }
    } catch (error) {
      this.#error = error;
      throw error;
    }
  }

  /** The last block is one of zeros. */
  get isEnded(): boolean {
    return this.#tail.length === BLOCK && this.#tail.every((byte) => byte === 0);
  }

  /** The error that the source threw, else what the library found, in our words. */
  explain(error: unknown): unknown {
    if (this.#error !== null) return this.#error;
    return error instanceof GatewayError ? error : malformed(this.#name, 'tar', messageOf(error));
  }
}
