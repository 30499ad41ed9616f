import { asBuffer, type ByteStream, malformed } from './stream.ts';

/** Bytes that decide on the encoding, and whether a page for people came. */
const START_BYTES = 1024;

/**
 * The bytes of a text in UTF-8 without a byte order mark; UTF-16 is read where a mark says so. `format` is what it should be.
 * Throws `upstream-malformed` where a page for people or an error document in XML came in its place.
 */
export async function* plainText({ name, body }: ByteStream, format: string): AsyncGenerator<Uint8Array> {
  let start = Buffer.alloc(0);
  let decode: Decode | null = null;
  const begin = (): Uint8Array => {
    decode = decoderFor(start);
    const bytes = decode(start);
    const beginning = asBuffer(bytes).toString('utf8', 0, START_BYTES);
    if (isMarkup(beginning)) throw malformed(name, format, 'it is a web page or an error in XML', beginning);
    return bytes;
  };
  for await (const chunk of body) {
    // An empty chunk is a pause, and must be nothing else.
    if (chunk.length === 0) yield chunk;
    else if (decode !== null) yield* notEmpty((decode as Decode)(chunk));
    else {
      start = Buffer.concat([start, chunk]);
      if (start.length >= START_BYTES) yield* notEmpty(begin());
    }
  }
  if (decode === null) yield* notEmpty(begin());
}

function notEmpty(bytes: Uint8Array): Uint8Array[] {
  return bytes.length === 0 ? [] : [bytes];
}

/** Gives the text of the next bytes in UTF-8. Of a text that stops in a character, that character is left out. */
type Decode = (bytes: Uint8Array) => Uint8Array;

/** By the byte order mark (RFC 2781 section 3.2, RFC 3629 section 6); without one it is UTF-8. */
function decoderFor(start: Buffer): Decode {
  const mark = start.toString('latin1', 0, 3);
  if (mark.startsWith('\xff\xfe') || mark.startsWith('\xfe\xff')) {
    const decoder = new TextDecoder(mark.startsWith('\xff') ? 'utf-16le' : 'utf-16be');
    return (bytes) => Buffer.from(decoder.decode(bytes, { stream: true }));
  }
  if (mark !== '\xef\xbb\xbf') return (bytes) => bytes;
  return (bytes) => (bytes === start ? start.subarray(mark.length) : bytes);
}

/** No line of a list or a table begins so. */
function isMarkup(beginning: string): boolean {
  return /^\s*<(?:!doctype\b|!--|\?xml\b|(?:html|head|body|script|title|meta)\b)/i.test(beginning);
}
