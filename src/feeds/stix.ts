import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { JSONParser } from '@streamparser/json';
import Type, { type Static } from 'typebox';
import { GatewayError } from '../model/error.ts';
import { isJsonObject, type Json } from '../model/json.ts';
import { MAX_REJECTED_ROW, type Rejection } from '../model/observation.ts';
import { BATCH_ROWS, type FeedBatch, type FeedFile, type FeedFormat, type FeedItem } from './feed.ts';

const optionsSchema = Type.Object(
  {
    path: Type.String({
      minLength: 1,
      maxLength: 4096,
      description: 'A file, or a directory whose files are read by name.',
    }),
  },
  { additionalProperties: false },
);
type Options = Static<typeof optionsSchema>;

const MINUTE_MS = 60_000;
/** Bytes between two objects: more is no STIX object that anybody serves. */
const MAX_OBJECT = 8 * 1024 * 1024;

/**
 * STIX 2.1 from a file or a watched directory: a bundle, an object with `objects` (a TAXII envelope), or one object a line.
 * Gzip is told by the name's `.gz`. All files together are the snapshot.
 */
export const stix: FeedFormat<Options> = {
  name: 'stix',
  title: 'STIX 2.1 bundle or lines, from a file or a watched directory',
  options: optionsSchema,
  defaults: () => ({ title: 'STIX file', mode: 'snapshot', every: MINUTE_MS, emptyAllowed: true }),
  account: () => null,
  async *read({ options, files, signal }) {
    const listed = await files(options.path);
    if (listed === null) return;
    let batch: FeedBatch = { items: [], rejected: [], cursor: null, last: false };
    for (const file of listed) {
      for await (const value of readObjects(file, signal)) {
        add(batch, value);
        if (batch.items.length + batch.rejected.length >= BATCH_ROWS) {
          yield batch;
          batch = { items: [], rejected: [], cursor: null, last: false };
        }
      }
    }
    yield { ...batch, last: true };
  },
};

function add({ items, rejected }: { items: FeedItem[]; rejected: Rejection[] }, value: Json): void {
  if (isJsonObject(value)) items.push({ stix: value });
  else {
    const row = JSON.stringify(value).slice(0, MAX_REJECTED_ROW);
    rejected.push({ reason: 'not-an-object', detail: 'Among the STIX objects stands something that is none.', row });
  }
}

/** Every object of a file, one by one, in bounded memory. Throws `upstream-malformed` naming the file. */
async function* readObjects(file: FeedFile, signal: AbortSignal): AsyncGenerator<Json> {
  const found: { value: Json; depth: number }[] = [];
  const parser = new JSONParser({ paths: ['$', '$.objects.*'], keepStack: false, separator: '' });
  let wrapped = false;
  let since = 0;
  let seen = 0;
  parser.onValue = ({ value, stack }) => {
    since = 0;
    found.push({ value: value as Json, depth: stack.length });
  };
  let failure: Error | null = null;
  parser.onError = (error) => {
    failure = error;
  };
  const body = file.name.endsWith('.gz') ? Readable.from(file.body).pipe(createGunzip()) : file.body;
  try {
    for await (const chunk of body) {
      signal.throwIfAborted();
      since += chunk.length;
      seen += chunk.length;
      parser.write(chunk);
      if (failure !== null) throw failure;
      if (since > MAX_OBJECT) throw new Error(`an object of more than ${MAX_OBJECT} bytes`);
      for (const { value, depth } of found.splice(0)) {
        if (depth > 0) {
          wrapped = true;
          yield value;
        } else if (!wrapped && !isWrapper(value)) yield value;
        else wrapped = false;
      }
    }
    if (seen > 0 && !parser.isEnded) parser.end();
    if (failure !== null) throw failure;
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    throw new GatewayError(
      'upstream-malformed',
      `${file.name} is no whole STIX: ${(cause as Error).message.slice(0, 200)}`,
      { cause },
    );
  }
}

/** A bundle or an envelope whose objects, if any, were given one by one. */
function isWrapper(value: Json): boolean {
  return isJsonObject(value) && (value['type'] === 'bundle' || 'objects' in value || 'more' in value);
}
