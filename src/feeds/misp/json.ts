import { GatewayError } from '../../model/error.ts';
import { hasTooManyValues, type Json, MAX_JSON_VALUES } from '../../model/json.ts';
import { parseJson } from '../reading/json-stream.ts';
import { asBuffer, type ByteStream, malformed, textOf } from '../reading/stream.ts';

/** Most bytes of an event, of a manifest and of a page: each is parsed as a whole. */
const MAX_BYTES = 32 * 1024 * 1024;

/** Reads a document as one JSON text. Throws `upstream-malformed` with its beginning, and `upstream-too-large`. */
export async function readJson({ name, body }: ByteStream): Promise<Json> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_BYTES) throw new GatewayError('upstream-too-large', `${name} has more than ${MAX_BYTES} bytes.`);
    pieces.push(asBuffer(chunk));
  }
  const text = textOf(pieces).replace(/^\ufeff/, '');
  if (hasTooManyValues(text)) {
    throw new GatewayError('upstream-too-large', `${name} holds more than ${MAX_JSON_VALUES} values.`);
  }
  const value = parseJson(text);
  if (value === undefined) throw malformed(name, 'JSON', 'it stops in its middle, or it is no JSON', text);
  return value;
}
