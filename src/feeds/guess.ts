import Type from 'typebox';
import { GatewayError } from '../model/error.ts';
import type { ConfiguredFeed, FeedContext, FeedFetch, FeedFormat, FeedResponse } from './feed.ts';
import type { Guess, Meaning } from './guess/columns.ts';
import { guessDocument } from './guess/document.ts';
import { plainText } from './reading/plain-text.ts';
import type { ByteStream } from './reading/stream.ts';
import { openSource, type SourceOptions, sourceAccount, sourceOptions } from './source.ts';

/** Bytes that a guess is made from. */
const START_BYTES = 65_536;
const ACCEPT =
  'application/taxii+json;version=2.1, application/stix+json;version=2.1, application/json, text/csv, text/plain, */*;q=0.1';

/**
 * Reads a source whose format nobody has said: guesses it from the beginning, then lets the format itself read the same answer, so
 * that nothing is fetched twice. `configure` makes a feed of the guess. It is no format of the configuration.
 */
export function guessing(meaning: Meaning, configure: (guess: Guess) => ConfiguredFeed): FeedFormat<SourceOptions> {
  return {
    name: 'guess',
    title: 'Guessed from what comes',
    options: Type.Object(sourceOptions, { additionalProperties: false }),
    defaults: () => ({ mode: 'snapshot', every: 3_600_000, emptyAllowed: true }),
    account: sourceAccount,
    async *read(feed) {
      const answer = replaying(feed.fetch);
      const { start, isWhole } = await beginningOf({ ...feed, fetch: answer.fetch });
      const { format, options } = configure(guessDocument(start, isWhole, answer.mediaType(), meaning));
      // These ask for documents of their own.
      const isOther = format.name === 'taxii' || format.name === 'misp-feed';
      yield* format.read({ ...feed, options, fetch: isOther ? feed.fetch : answer.again });
    },
  };
}

async function beginningOf(feed: FeedContext<SourceOptions>): Promise<{ start: string; isWhole: boolean }> {
  const source = await openSource(feed, ACCEPT);
  for await (const document of source?.documents ?? []) {
    if ('fault' in document) continue;
    // Leaving the loop closes the document.
    return await readBeginning(document);
  }
  throw new GatewayError('upstream-malformed', 'There is no document in it.');
}

async function readBeginning(document: ByteStream): Promise<{ start: string; isWhole: boolean }> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of plainText(document, 'list')) {
    pieces.push(piece);
    size += piece.length;
    if (size >= START_BYTES) break;
  }
  const bytes = Buffer.concat(pieces).subarray(0, START_BYTES);
  return { start: new TextDecoder().decode(bytes), isWhole: size < START_BYTES };
}

/** Keeps the first answer, so that it can be read twice: its beginning, and then all of it. */
function replaying(fetch: FeedFetch): { fetch: FeedFetch; again: FeedFetch; mediaType(): string } {
  let kept: { response: FeedResponse; pieceAt(i: number): Promise<IteratorResult<Uint8Array>> } | null = null;
  return {
    mediaType: () => kept?.response.headers['content-type'] ?? '',
    async fetch(request) {
      const response = await fetch(request);
      if (response === null) return null;
      const pieces = response.body[Symbol.asyncIterator]();
      const pulled: Promise<IteratorResult<Uint8Array>>[] = [];
      const pieceAt = (i: number) => {
        pulled[i] ??= pieces.next();
        return pulled[i];
      };
      kept = { response, pieceAt };
      return { ...response, body: piecesOf(pieceAt) };
    },
    async again(request) {
      if (kept === null) return fetch(request);
      const { response, pieceAt } = kept;
      kept = null;
      return { ...response, body: piecesOf(pieceAt) };
    },
  };
}

async function* piecesOf(pieceAt: (i: number) => Promise<IteratorResult<Uint8Array>>): AsyncGenerator<Uint8Array> {
  for (let i = 0; ; i += 1) {
    const piece = await pieceAt(i);
    if (piece.done) return;
    yield piece.value;
  }
}
