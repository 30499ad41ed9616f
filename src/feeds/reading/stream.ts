import { GatewayError } from '../../model/error.ts';

/** The bytes of one document: a file, a file of an archive, or the answer to a request. */
export interface ByteStream {
  /** As messages name it. */
  name: string;
  /** An empty chunk says that the sender pauses (feed.ts); it is passed on. */
  body: AsyncIterable<Uint8Array>;
}

/** The same bytes, not a copy. */
export function asBuffer(chunk: Uint8Array): Buffer {
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
}

/**
 * The error for a document that can't be read to its end. `format` is what it should be ("STIX"); `text` is what came
 * instead, of which the operator is shown the beginning.
 */
export function malformed(name: string, format: string, why: string, text?: string): GatewayError {
  const excerpt = text === undefined ? {} : { excerpt: excerptOf(text) };
  return new GatewayError('upstream-malformed', `${name} is no whole ${format}: ${why}.`, excerpt);
}

const MAX_EXCERPT = 80;

/** The beginning of a text in one line. */
function excerptOf(text: string): string {
  const line = text
    .slice(0, 4 * MAX_EXCERPT)
    .replace(/[\p{C}\s]+/gu, ' ')
    .trim();
  return line.slice(0, MAX_EXCERPT).toWellFormed();
}

/** The text in UTF-8 of bytes that came in pieces. */
export function textOf(pieces: readonly Buffer[]): string {
  const [first] = pieces;
  return (first !== undefined && pieces.length === 1 ? first : Buffer.concat(pieces)).toString();
}

/**
 * Collects all that a chunk holds into one list: a promise for each item would cost as much as reading it. When reading
 * throws, what was found before is given first.
 */
export function* inOneList<T>(items: Iterable<T>): Generator<T[]> {
  const found: T[] = [];
  try {
    for (const item of items) found.push(item);
  } catch (error) {
    yield found;
    throw error;
  }
  if (found.length > 0) yield found;
}
