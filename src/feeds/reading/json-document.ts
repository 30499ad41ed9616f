import { hasTooManyValues, isJsonObject, type Json, MAX_JSON_VALUES } from '../../model/json.ts';
import { type JsonShape, parseJson, readJsonStream } from './json-stream.ts';
import { MAX_LINE, readLines } from './lines.ts';
import { asBuffer, type ByteStream, malformed } from './stream.ts';

/**
 * What a JSON document holds. `member`: of the root list, or of the list that the shape names. `root`: a JSON text, without
 * its `members` that were given before; `index` counts the roots from 0. `badLine`: a line that can't be read.
 */
export type JsonPart = (
  | { member: Json }
  | { root: Json; index: number; members: number }
  | { badLine: 'no-json' | 'too-long'; detail: string; text: string }
) & { bytes: number };

/** A first line longer than this is no line of its own. */
const MAX_FIRST_LINE = 2 * 1024 * 1024;

/**
 * Reads a document of any size in bounded memory. One whose first line is a JSON object of its own is read line by line (JSON
 * lines); any other as JSON texts, one behind the other. An empty chunk is passed on as an empty list.
 * Throws `upstream-malformed` for what is no JSON or stops in its middle, after everything before was given;
 * `upstream-too-large` for a value that can't be held.
 */
export async function* readJsonDocument({ name, body }: ByteStream, shape: JsonShape): AsyncGenerator<JsonPart[]> {
  const { line, whole } = await beginJson({ name, body }, shape.format);
  const isLines = line !== null && isJsonObject(parseJson(line));
  yield* isLines ? readJsonLines(name, whole, shape) : readJsonTexts(name, whole, shape);
}

/**
 * Looks at the beginning of a document. Returns the document without its byte order mark, and its first line that is not empty; null
 * when that is too long. Throws `upstream-malformed` for what is empty or does not begin as JSON does.
 */
export async function beginJson(
  { name, body }: ByteStream,
  format: string,
): Promise<{ line: string | null; whole: AsyncGenerator<Buffer> }> {
  const chunks = buffersOf(body);
  try {
    const { start, line } = await peek(chunks);
    if (line?.trim() === '') {
      throw malformed(name, format, 'it is empty, and a document without rows would say that there are none');
    }
    const from = start.findIndex((byte) => byte > 0x20);
    // Most often it is a page for people: the operator is shown its beginning.
    if (from !== -1 && start[from] !== 0x7b && start[from] !== 0x5b) {
      throw malformed(name, format, 'it does not begin as JSON does', start.toString('utf8', from, from + 1000));
    }
    const whole = (async function* () {
      try {
        yield start;
        yield* chunks;
      } finally {
        await chunks.return(undefined);
      }
    })();
    return { line, whole };
  } catch (error) {
    await chunks.return(undefined);
    throw error;
  }
}

async function* buffersOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, undefined> {
  for await (const chunk of body) yield asBuffer(chunk);
}

/** The beginning without its byte order mark, and the first line that is not empty; null when that is too long. */
async function peek(chunks: AsyncGenerator<Buffer>): Promise<{ start: Buffer; line: string | null }> {
  let start: Buffer = Buffer.alloc(0);
  let isEnd = false;
  while (firstLine(start) === null && start.length < MAX_FIRST_LINE && !isEnd) {
    const next = await chunks.next();
    isEnd = next.done === true;
    if (!next.done) start = Buffer.concat([start, next.value]);
  }
  if (start[0] === 0xef && start[1] === 0xbb && start[2] === 0xbf) start = start.subarray(3);
  return { start, line: (firstLine(start) ?? (isEnd ? start : null))?.toString() ?? null };
}

/** Up to the first line break behind something; null when there is none. */
function firstLine(start: Buffer): Buffer | null {
  const from = start.findIndex((byte) => byte > 0x20);
  const end = from === -1 ? -1 : start.indexOf(0x0a, from);
  return end === -1 ? null : start.subarray(0, end);
}

/**
 * Reads a JSON text a line. A line that is no JSON costs only itself, unless it is the last and was cut, which throws
 * `upstream-malformed` after everything before was given. An empty chunk is passed on as an empty list.
 */
export async function* readJsonLines(
  name: string,
  chunks: AsyncIterable<Buffer>,
  { format }: Pick<JsonShape, 'format'>,
): AsyncGenerator<JsonPart[]> {
  let roots = 0;
  for await (const lines of readLines(chunks)) {
    const parts: JsonPart[] = [];
    for (const { number, text, bytes, isEnded } of lines) {
      const line = text?.trim() ?? null;
      if (line === '') continue;
      if (line === null || hasTooManyValues(line)) {
        const detail = `line ${number} is longer than ${MAX_LINE} bytes, or holds more than ${MAX_JSON_VALUES} values`;
        parts.push({ badLine: 'too-long', detail, text: '', bytes: 0 });
        continue;
      }
      const root = parseJson(line);
      if (root !== undefined) parts.push({ root, index: roots++, members: 0, bytes });
      else if (isEnded) parts.push({ badLine: 'no-json', detail: `line ${number} is no JSON`, text: line, bytes });
      else {
        yield parts;
        throw malformed(name, format, 'its last line is cut');
      }
    }
    if (parts.length > 0 || lines.length === 0) yield parts;
  }
}

async function* readJsonTexts(
  name: string,
  chunks: AsyncIterable<Buffer>,
  shape: JsonShape,
): AsyncGenerator<JsonPart[]> {
  let roots = 0;
  for await (const parts of readJsonStream(name, chunks, shape)) {
    const found: JsonPart[] = [];
    for (const part of parts) {
      if ('member' in part) found.push(part);
      else found.push({ ...part, index: roots++ });
    }
    if (found.length > 0 || parts.length === 0) yield found;
  }
}
