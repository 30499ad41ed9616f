import { MICROS_PER_MS, type Micros } from '../model/clock.ts';
import { GatewayError } from '../model/error.ts';
import { isJsonObject, type Json } from '../model/json.ts';
import type { Rejection } from '../model/observation.ts';
import { formatMicros, parseTimestamp } from '../model/timestamp.ts';
import { rowText } from '../stix/validate.ts';
import type { FeedBatch, FeedContext, FeedFormat, FeedItem } from './feed.ts';
import { type Bookmark, type Position, readBookmark, writeBookmark } from './taxii/bookmark.ts';
import { findCollections, wantedNames, withOtherCollections } from './taxii/discovery.ts';
import { accountOf, checkOptions, type Options, optionsSchema } from './taxii/options.ts';
import { readPage } from './taxii/page.ts';
import { isMissing, openServer, type Server } from './taxii/server.ts';
import { type PageRequest, type Step, walk } from './taxii/walk.ts';

const HOUR_MS = 3_600_000;

type Found = Map<string, string | GatewayError>;
type Batch = Omit<FeedBatch, 'cursor'>;

/** Collections of a TAXII 2.1 server: the objects added since the last poll (delta), or all objects (snapshot). */
export const taxii: FeedFormat<Options> = {
  name: 'taxii',
  title: 'Collections of a TAXII 2.1 server',
  options: optionsSchema,
  defaults(options) {
    checkOptions(options);
    const mode = options.mode ?? 'delta';
    return { mode, every: HOUR_MS, emptyAllowed: mode !== 'snapshot', lifetime: {} };
  },
  account: accountOf,
  async *read(feed) {
    const { options } = feed;
    const query = queryOf(options);
    const bookmark = readBookmark(feed.cursor, query);
    const server = openServer(feed, bookmark.accept);
    // A collection that can't be read must not keep the others from being read.
    let failure: GatewayError | null = null;
    // The server is asked at most once a pull, whether that fails or not.
    let finding: Promise<Found> | null = null;
    const find = (): Promise<Found> => {
      finding ??= findCollections(server, options);
      return finding;
    };
    const remembered = [...bookmark.positions.keys()];
    for (const name of wantedNames(options) ?? (await namesOf(bookmark, find))) {
      try {
        for await (const batch of readCollection(name, feed, server, bookmark, find)) {
          yield { ...batch, cursor: writeBookmark({ ...bookmark, accept: server.accept() }, query) };
        }
      } catch (error) {
        if (!isOfOneCollection(error)) throw error;
        failure ??= isMissing(error) ? await withOtherCollections(server, options, error) : error;
      }
    }
    const cursor = writeBookmark({ ...bookmark, accept: server.accept() }, query);
    if (failure !== null) {
      // The address of a collection that has moved is forgotten.
      if (remembered.some((name) => !bookmark.positions.has(name)))
        yield { items: [], rejected: [], cursor, last: false };
      throw failure;
    }
    yield { items: [], rejected: [], cursor, last: true };
  },
};

/** Identifies the query without its time and collection: a cursor is only valid for the same query. */
function queryOf({ url, api_root, match = {} }: Options): string {
  const { host, pathname } = new URL(url);
  return JSON.stringify([host, pathname, api_root ?? null, ...Object.entries(match).sort()]);
}

/** Where the configuration names no collection: the one that was found before, else the only one of the server. */
async function namesOf({ positions }: Bookmark, find: () => Promise<Found>): Promise<string[]> {
  return positions.size > 0 ? [...positions.keys()] : [...(await find()).keys()];
}

function isOfOneCollection(error: unknown): error is GatewayError {
  if (!(error instanceof GatewayError)) return false;
  return isMissing(error) || /^upstream-(?:forbidden|malformed|too-large)$/.test(error.code);
}

/** Yields the batches of a collection; each moves `bookmark` on. */
async function* readCollection(
  name: string,
  feed: FeedContext<Options>,
  server: Server,
  bookmark: Bookmark,
  find: () => Promise<Found>,
): AsyncGenerator<Batch> {
  const known = bookmark.positions.get(name);
  if (known !== undefined) {
    try {
      yield* readFrom(name, known, feed, server, bookmark);
      return;
    } catch (error) {
      // The server was set up anew: the collection is looked up again.
      if (!isMissing(error)) throw error;
      bookmark.positions.delete(name);
    }
  }
  const url = (await find()).get(name);
  if (url instanceof GatewayError) throw url;
  if (url === undefined) {
    const message = `Collection ${server.quote(name)}, the only one before, is no longer there.`;
    throw new GatewayError('upstream-failed', message, { details: { status: '404' } });
  }
  const after = known?.url === url ? known.after : null;
  yield* readFrom(name, { url, after, isPrecise: false, limit: null }, feed, server, bookmark);
}

async function* readFrom(
  name: string,
  start: Position,
  { options, now, signal }: FeedContext<Options>,
  server: Server,
  { positions }: Bookmark,
): AsyncGenerator<Batch> {
  const isSnapshot = options.mode === 'snapshot';
  const host = new URL(start.url).host;
  const subject = { name: `collection ${server.quote(name)}`, weight: options.weight };
  const horizon = options.lookback === undefined ? null : Math.max(0, now() - options.lookback * MICROS_PER_MS);
  const earliest = horizon === null ? null : formatMicros(horizon);
  let lost = isSnapshot ? null : lostSince(start.after, horizon);
  const steps = walk({
    after: isSnapshot ? null : (start.after ?? earliest),
    earliest,
    isPrecise: start.isPrecise,
    limit: Math.min(options.page_size, start.limit ?? options.page_size),
    isCapped: start.limit !== null,
    now,
    async *read(request) {
      signal.throwIfAborted();
      const response = await server.open(addressOf(start.url, request, options), subject);
      return yield* readPage(response, host, subject.name, now());
    },
  });
  let { after } = start;
  for await (const step of steps) {
    const { objects, done, isPrecise, gap, isAnew } = step;
    if (gap !== null && isSnapshot) {
      // Objects that were not read have not vanished.
      throw new GatewayError('upstream-malformed', `${host} can't be read as a whole: ${gap} (${subject.name}).`);
    }
    const notes: Rejection[] =
      gap === null ? [] : [{ reason: 'not-served', detail: gap, row: subject.name, isNote: true }];
    after = isSnapshot ? null : (done ?? (isAnew ? null : after));
    const limit = step.limit < options.page_size ? step.limit : null;
    positions.set(name, { url: start.url, after, isPrecise, limit });
    const batch = batchOf(objects);
    yield { ...batch, rejected: [...batch.rejected, ...notes], gap: lost, note: noteOf(step, after, subject.name) };
    lost = null;
  }
}

/** The note on a collection that is read all the same. */
function noteOf({ ahead, gap, isAnew }: Step, after: string | null, subject: string): string | null {
  if (gap !== null) return `Of ${subject} something may be missing: ${gap}.`;
  if (ahead === null) return null;
  const date = ahead.slice(0, 40);
  if (isAnew) return `The bookmark ${date} of ${subject} lay ahead of the server's own clock; all was read again.`;
  const since = after === null ? 'everything' : `what was added since ${after}`;
  return `The server dates rows of ${subject} ahead of its own clock (${date}), which is not believed: ${since} is read each time.`;
}

/** The gap of an outage that was longer than the look-back. */
function lostSince(after: string | null, horizon: Micros | null): NonNullable<FeedBatch['gap']> | null {
  const since = after === null ? undefined : parseTimestamp(after);
  if (since === undefined || horizon === null || since >= horizon) return null;
  return { from: since, to: horizon };
}

/** TAXII 2.1 section 3.4: `next` is sent with the filters of the request that it came from. */
function addressOf(collection: string, { after, next, limit }: PageRequest, { match = {} }: Options): URL {
  const url = new URL('objects/', collection);
  url.searchParams.set('limit', String(limit));
  for (const [field, values] of Object.entries(match)) url.searchParams.set(`match[${field}]`, values.join(','));
  if (after !== null) url.searchParams.set('added_after', after);
  if (next !== null) url.searchParams.set('next', next);
  return url;
}

function batchOf(objects: readonly Json[]): Batch {
  const items: FeedItem[] = [];
  const rejected: Rejection[] = [];
  for (const object of objects) {
    if (isJsonObject(object)) items.push({ stix: object });
    else {
      const detail = 'among the STIX objects stands something that is none';
      rejected.push({ reason: 'not-an-object', detail, row: rowText(object) });
    }
  }
  return { items, rejected, last: false };
}
