import Type, { type Static } from 'typebox';
import { GatewayError } from '../model/error.ts';
import type { FeedAccount, FeedBatch, FeedContext } from './feed.ts';
import { authorizationOf, checkKey, checkKeyOptions, keyOptions } from './key.ts';
import { type Found, inBatches } from './reading/batches.ts';
import type { ByteStream } from './reading/stream.ts';
import { unpack } from './reading/unpack.ts';

/**
 * What all formats have in common that read documents from an address, a file or a watched directory: their options, their
 * account, and how the documents are opened. All documents together are one snapshot.
 */
export const sourceOptions = {
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
      pattern: '^https?://[^/@\\s{}]+(?:/\\S*)?$',
      'x-expects': 'an http(s) address without user and password',
      description:
        'Where it is fetched from. {key} in it is replaced by the key, for servers that take it in the address.',
    }),
  ),
  ...keyOptions,
};
const sourceSchema = Type.Object(sourceOptions);
export type SourceOptions = Static<typeof sourceSchema>;

const KEY_PLACEHOLDER = '{key}';

/** Throws `config-invalid` for what the schema can't say. */
export function checkSource(options: SourceOptions): void {
  const { path, url, key, user, header, scheme } = options;
  const refuse = (message: string): never => {
    throw new GatewayError('config-invalid', message);
  };
  if ((path === undefined) === (url === undefined)) refuse('needs either path or url');
  checkKeyOptions(options);
  if (key !== undefined && url === undefined) refuse('key goes with url');
  if (!url?.includes(KEY_PLACEHOLDER)) return;
  if (key === undefined) refuse('url holds {key}: it needs a key');
  if ((user ?? header ?? scheme) !== undefined) refuse('url holds {key}: it goes without user, header and scheme');
}

/** Throws `config-invalid` for a key of no use; null for files. */
export function sourceAccount(options: SourceOptions): FeedAccount | null {
  const { url, key } = options;
  if (url === undefined) return null;
  checkKey(options);
  return { origin: new URL(url).origin, key: key ?? null, limits: { minInterval: 1000, windows: [] } };
}

/**
 * Reads a source as a whole pull: every document by `readDocument`, one after the other. Yields nothing when nothing changed
 * since the last whole pull. A file that has no content to read is rejected by itself. Throws what the runner and
 * `readDocument` throw.
 */
export async function* readSource(
  feed: FeedContext<SourceOptions>,
  accept: string,
  readDocument: (document: ByteStream) => AsyncIterable<readonly Found[]>,
): AsyncGenerator<FeedBatch> {
  const streams = await openSource(feed, accept);
  if (streams === null) return;
  const found = async function* (): AsyncGenerator<readonly Found[]> {
    for await (const stream of streams) {
      if ('fault' in stream) {
        yield [{ rejection: { reason: 'unreadable-file', detail: stream.fault, row: stream.name }, bytes: 0 }];
      } else yield* readDocument(stream);
    }
  };
  yield* inBatches(found());
}

/** A file that is listed and has no content to read, and why. */
interface UnreadableFile {
  name: string;
  fault: string;
}

/**
 * Opens a source: one stream for the answer of an address, one for each file of a path, and one for each file of an
 * archive. Null when nothing changed since the last whole pull. `accept` is the header of that name.
 */
export async function openSource(
  feed: FeedContext<SourceOptions>,
  accept: string,
): Promise<AsyncIterable<ByteStream | UnreadableFile> | null> {
  const { options, files, signal } = feed;
  if (options.url !== undefined) {
    const answer = await fetchSource(feed, options.url, accept);
    return answer === null ? null : unpack(answer, signal);
  }
  const listed = await files(options.path ?? '.');
  if (listed === null) return null;
  return (async function* () {
    for (const { name, body, fault } of listed) {
      if (fault === null) yield* unpack({ name, body }, signal);
      else yield { name, fault };
    }
  })();
}

async function fetchSource(
  { options, fetch }: FeedContext<SourceOptions>,
  address: string,
  accept: string,
): Promise<ByteStream | null> {
  const { key, hosts = [] } = options;
  const isInAddress = key !== undefined && address.includes(KEY_PLACEHOLDER);
  const url = new URL(isInAddress ? address.replaceAll(KEY_PLACEHOLDER, encodeURIComponent(key.reveal())) : address);
  const response = await fetch({
    url,
    headers: { accept },
    ...(isInAddress ? { authorization: { header: null, scheme: null, key, hosts } } : authorizationOf(options)),
    conditional: true,
  });
  // Messages name the host alone: the address may hold a key.
  return response === null ? null : { name: `the answer of ${url.host}`, body: response.body };
}
