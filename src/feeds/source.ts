import Type, { type Static } from 'typebox';
import type { Millis } from '../model/clock.ts';
import { GatewayError } from '../model/error.ts';
import type { FeedAccount, FeedBatch, FeedContext, FeedDefaults } from './feed.ts';
import { checkKey, checkKeyOptions } from './key.ts';
import { type Found, inBatches } from './reading/batches.ts';
import type { ByteStream } from './reading/stream.ts';
import { unpack } from './reading/unpack.ts';
import { askAny } from './source/fallback.ts';
import { type Asked, addressSchema, checkRequest, checkSecrets, requestOptions, secretsOf } from './source/request.ts';

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
    addressSchema(
      'Where it is fetched from. {key} in it is replaced by the key, and {secret:NAME} by a secret, for servers that take it in the address.',
    ),
  ),
  member: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 256,
      description: 'Of a zip or tar archive, only files whose names end with this are read. Without it, all.',
    }),
  ),
  ...requestOptions,
};
const sourceSchema = Type.Object(sourceOptions);
export type SourceOptions = Static<typeof sourceSchema>;

/** Throws `config-invalid` for what the schema can't say. */
export function checkSource(options: SourceOptions): void {
  const { path, url, key } = options;
  const refuse = (message: string): never => {
    throw new GatewayError('config-invalid', message);
  };
  if ((path === undefined) === (url === undefined)) refuse('needs either path or url');
  checkKeyOptions(options);
  if (key !== undefined && url === undefined) refuse('key goes with url');
  checkRequest(options);
}

/** How a source is polled, when the configuration doesn't say. All its documents together are one snapshot. */
export function sourceDefaults({ path }: SourceOptions): FeedDefaults {
  const isLocal = path !== undefined;
  // A directory may have no file yet; an address that suddenly holds nothing is more likely broken.
  return { mode: 'snapshot', every: isLocal ? MINUTE : 60 * MINUTE, emptyAllowed: isLocal };
}

const MINUTE: Millis = 60_000;

/** Throws `config-invalid` for a key or secret of no use; null for files. */
export function sourceAccount(options: SourceOptions): FeedAccount | null {
  const { url } = options;
  if (url === undefined) return null;
  checkKey(options);
  checkSecrets(options);
  const secrets = secretsOf(options);
  const [key = null] = secrets;
  return { origin: new URL(url).origin, key, secrets, limits: { minInterval: 1000, windows: [] } };
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
  asked: Partial<Asked> = {},
): AsyncGenerator<FeedBatch> {
  const source = await openSource(feed, accept, asked);
  if (source === null) return;
  const { documents, note } = source;
  const found = async function* (): AsyncGenerator<readonly Found[]> {
    for await (const document of documents) {
      if ('fault' in document) {
        yield [{ rejection: { reason: 'unreadable-file', detail: document.fault, row: document.name }, bytes: 0 }];
      } else yield* readDocument(document);
    }
  };
  for await (const batch of inBatches(found())) {
    // Several batches may come of one chunk.
    feed.signal.throwIfAborted();
    yield note === null ? batch : { ...batch, note };
  }
}

/** A file that is listed and has no content to read, and why. */
interface UnreadableFile {
  name: string;
  fault: string;
}

/**
 * Opens a source: one stream for the answer of an address, one for each file of a path, and one for each file of an
 * archive. Null when nothing changed since the last whole pull. `accept` is the header of that name. `note` says that a copy
 * answered in place of the address.
 */
export async function openSource(
  feed: FeedContext<SourceOptions>,
  accept: string,
  asked: Partial<Asked> = {},
): Promise<{ documents: AsyncIterable<ByteStream | UnreadableFile>; note: string | null } | null> {
  const { options, files, signal } = feed;
  if (options.url !== undefined) {
    const answer = await askAny(feed, { accept, conditional: true, ...asked });
    if (answer === null) return null;
    const { host, response, note } = answer;
    // Messages name the host alone: the address may hold a key.
    const body = { name: `the answer of ${host}`, body: response.body };
    return { documents: unpack(body, signal, options.member), note };
  }
  const listed = await files(options.path ?? '.');
  if (listed === null) return null;
  const documents = async function* (): AsyncGenerator<ByteStream | UnreadableFile> {
    for (const { name, body, fault } of listed) {
      if (fault === null) yield* unpack({ name, body }, signal, options.member);
      else yield { name, fault };
    }
  };
  return { documents: documents(), note: null };
}
