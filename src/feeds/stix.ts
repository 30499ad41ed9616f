import Type, { type Static } from 'typebox';
import { GatewayError } from '../model/error.ts';
import { isJsonObject, type Json } from '../model/json.ts';
import type { Rejection } from '../model/observation.ts';
import { secretSchema } from '../model/secret.ts';
import { rowText } from '../stix/validate.ts';
import { BATCH_BYTES, BATCH_ROWS, type FeedBatch, type FeedContext, type FeedFormat, type FeedItem } from './feed.ts';
import { readObjects } from './reading/json-document.ts';

const optionsSchema = Type.Object(
  {
    path: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 4096,
        description: 'A file, or a directory whose files are read by name. Either path or url.',
      }),
    ),
    url: Type.Optional(
      Type.String({
        maxLength: 4096,
        pattern: '^https?://[^/@\\s]+(?:/\\S*)?$',
        'x-expects': 'an http(s) address without user and password',
        description: 'Where it is fetched from.',
      }),
    ),
    key: Type.Optional(secretSchema('Sent to the host of url as a Bearer token.')),
  },
  { additionalProperties: false },
);
type Options = Static<typeof optionsSchema>;

const MINUTE_MS = 60_000;

/**
 * STIX 2.1 from a file, a watched directory or an address: a bundle, an object with `objects` (a TAXII envelope), or one
 * object a line; plain or gzip. All files together are the snapshot.
 */
export const stix: FeedFormat<Options> = {
  name: 'stix',
  title: 'STIX 2.1 bundle or lines, from a file, a watched directory or an address',
  options: optionsSchema,
  defaults({ path, url, key }) {
    if ((path === undefined) === (url === undefined))
      throw new GatewayError('config-invalid', 'needs either path or url');
    if (key !== undefined && url === undefined) throw new GatewayError('config-invalid', 'key goes with url');
    return {
      mode: 'snapshot',
      every: path === undefined ? 60 * MINUTE_MS : MINUTE_MS,
      // A directory may have no file yet; an address that suddenly holds nothing is more likely broken.
      emptyAllowed: path !== undefined,
      lifetime: {},
    };
  },
  account({ url, key }) {
    if (url === undefined) return null;
    if (key !== undefined && !/^[\x21-\x7e]+$/.test(key.reveal())) {
      throw new GatewayError('config-invalid', 'key holds a space, a line break or another character no key has');
    }
    return { origin: new URL(url).origin, key: key ?? null, limits: { minInterval: 1000, windows: [] } };
  },
  async *read(feed) {
    const documents = await open(feed);
    if (documents === null) return;
    let [batch, bytes] = [emptyBatch(), 0];
    for (const { name, body, fault } of documents) {
      if (fault !== null) {
        batch.rejected.push({ reason: 'unreadable-file', detail: fault, row: name });
        continue;
      }
      for await (const objects of readObjects(name, body, feed.signal)) {
        if (objects.length === 0) {
          yield batch;
          [batch, bytes] = [emptyBatch(), 0];
        }
        for (const found of objects) {
          if ('rejection' in found) batch.rejected.push(found.rejection);
          else add(batch, found.value);
          bytes += found.bytes;
          if (batch.items.length + batch.rejected.length < BATCH_ROWS && bytes < BATCH_BYTES) continue;
          yield batch;
          [batch, bytes] = [emptyBatch(), 0];
        }
      }
    }
    yield { ...batch, last: true };
  },
};

/** What there is to read; null when nothing changed since the last whole pull. */
async function open({ options, files, fetch }: FeedContext<Options>) {
  const { path, url, key } = options;
  if (url === undefined) return files(path ?? '.');
  const target = new URL(url);
  const response = await fetch({
    url: target,
    headers: {
      accept: 'application/stix+json;version=2.1, application/taxii+json;version=2.1, application/json, */*;q=0.1',
    },
    ...(key === undefined ? {} : { authorization: { header: 'authorization', scheme: 'Bearer', key } }),
    conditional: true,
  });
  // The host alone: paths may hold keys.
  return response === null ? null : [{ name: `the answer of ${target.host}`, body: response.body, fault: null }];
}

function emptyBatch(): FeedBatch {
  return { items: [], rejected: [], cursor: null, last: false };
}

function add({ items, rejected }: { items: FeedItem[]; rejected: Rejection[] }, value: Json): void {
  if (isJsonObject(value)) items.push({ stix: value });
  else
    rejected.push({
      reason: 'not-an-object',
      detail: 'among the STIX objects stands something that is none',
      row: rowText(value),
    });
}
