import { isUtf8 } from 'node:buffer';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { readJsonStream } from '../feeds/reading/json-stream.ts';
import { GatewayError } from '../model/error.ts';
import { isJsonObject, type Json } from '../model/json.ts';

/** Objects that may be sent at once. */
export const MAX_OBJECTS = 10_000;
/** Bytes read in one turn of the event loop. */
const CHUNK = 64 * 1024;

/**
 * The objects of an envelope (TAXII 2.1 section 3.7), or of a bundle, which some clients send in its place. Throws `unprocessable` for
 * anything else, an envelope without objects included.
 */
export async function readEnvelope(body: Uint8Array): Promise<Json[]> {
  const refuse = (why: string): never => {
    throw new GatewayError('unprocessable', `The body is no envelope {"objects": [...]}: ${why}.`);
  };
  if (!isUtf8(body)) refuse('it is no UTF-8');
  const objects: Json[] = [];
  const roots: Json[] = [];
  try {
    for await (const parts of readJsonStream('it', chunksOf(body), { list: ['objects'], format: 'envelope' })) {
      for (const part of parts) {
        if ('member' in part) objects.push(part.member);
        else roots.push(part.root);
      }
      if (objects.length > MAX_OBJECTS) refuse(`it holds more than ${MAX_OBJECTS} objects`);
    }
  } catch (error) {
    if (error instanceof GatewayError && error.code.startsWith('upstream-')) refuse(error.message.replace(/\.$/, ''));
    throw error;
  }
  const [root] = roots;
  if (root === undefined) refuse('it is empty');
  if (roots.length > 1) refuse('something stands behind it');
  if (!isJsonObject(root) || !Array.isArray(root['objects'])) refuse('it has no list of objects');
  if (objects.length === 0) refuse('its list of objects is empty');
  return objects;
}

async function* chunksOf(body: Uint8Array): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
  for (let start = 0; start < bytes.length; start += CHUNK) {
    yield bytes.subarray(start, start + CHUNK);
    await nextTurn();
  }
}
