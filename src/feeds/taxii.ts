import { MICROS_PER_MS, type Micros } from '../model/clock.ts';
import { GatewayError } from '../model/error.ts';
import { isJsonObject, type Json } from '../model/json.ts';
import type { Rejection } from '../model/observation.ts';
import { formatMicros, parseTimestamp } from '../model/timestamp.ts';
import { rowText } from '../stix/validate.ts';
import type { FeedBatch, FeedContext, FeedFormat, FeedItem } from './feed.ts';
import { type Bookmark, type Place, readBookmark, writeBookmark } from './taxii/bookmark.ts';
import { findCollections, tellNeighbours, wantedNames } from './taxii/discovery.ts';
import { accountOf, checkOptions, type Options, optionsSchema } from './taxii/options.ts';
import { readPage } from './taxii/page.ts';
import { isMissing, openServer, type Server } from './taxii/server.ts';
import { type Question, type Step, walk } from './taxii/walk.ts';

const HOUR_MS = 3_600_000;

type Found = Map<string, string | GatewayError>;
type Batch = Omit<FeedBatch, 'cursor'>;

/** Collections of a TAXII 2.1 server: what was added since the last poll, or all of it. */
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
    const of = questionOf(options);
    const bookmark = readBookmark(feed.cursor, of);
    const server = openServer(feed, bookmark.accept);
    // A collection that can't be read must not keep the others from being read.
    let failure: GatewayError | null = null;
    // Looked up at most once a pull, failed or not.
    let finding: Promise<Found> | null = null;
    const find = (): Promise<Found> => {
      finding ??= findCollections(server, options);
      return finding;
    };
    const remembered = [...bookmark.places.keys()];
    for (const name of wantedNames(options) ?? (await namesOf(bookmark, find))) {
      try {
        for await (const batch of readCollection(name, feed, server, bookmark, find)) {
          yield { ...batch, cursor: writeBookmark({ ...bookmark, accept: server.accept() }, of) };
        }
      } catch (error) {
        if (!isOfOneCollection(error)) throw error;
        failure ??= isMissing(error) ? await tellNeighbours(server, options, error) : error;
      }
    }
    const cursor = writeBookmark({ ...bookmark, accept: server.accept() }, of);
    if (failure !== null) {
      // What is no longer where it was is not looked for there again.
      if (remembered.some((name) => !bookmark.places.has(name))) yield { items: [], rejected: [], cursor, last: false };
      throw failure;
    }
    yield { items: [], rejected: [], cursor, last: true };
  },
};

/** What is asked for, but for the time and the place: a bookmark is worth nothing for another question. */
function questionOf({ url, api_root, match = {} }: Options): string {
  const { host, pathname } = new URL(url);
  return JSON.stringify([host, pathname, api_root ?? null, ...Object.entries(match).sort()]);
}

/** Where the configuration names none, the only collection that there is, asked for when it isn't remembered. */
async function namesOf({ places }: Bookmark, find: () => Promise<Found>): Promise<string[]> {
  return places.size > 0 ? [...places.keys()] : [...(await find()).keys()];
}

function isOfOneCollection(error: unknown): error is GatewayError {
  if (!(error instanceof GatewayError)) return false;
  return isMissing(error) || /^upstream-(?:forbidden|malformed|too-large)$/.test(error.code);
}

/** Batches with `bookmark` moved on by what they hold. */
async function* readCollection(
  name: string,
  feed: FeedContext<Options>,
  server: Server,
  bookmark: Bookmark,
  find: () => Promise<Found>,
): AsyncGenerator<Batch> {
  const known = bookmark.places.get(name);
  if (known !== undefined) {
    try {
      yield* readPlace(name, known, feed, server, bookmark);
      return;
    } catch (error) {
      // The server was set up anew: look where the collection is now.
      if (!isMissing(error)) throw error;
      bookmark.places.delete(name);
    }
  }
  const url = (await find()).get(name);
  if (url instanceof GatewayError) throw url;
  if (url === undefined) {
    const message = `Collection ${server.quote(name)}, the only one before, is no longer there.`;
    throw new GatewayError('upstream-failed', message, { details: { status: '404' } });
  }
  const after = known?.url === url ? known.after : null;
  yield* readPlace(name, { url, after, isPrecise: false, limit: null }, feed, server, bookmark);
}

async function* readPlace(
  name: string,
  start: Place,
  { options, now, signal }: FeedContext<Options>,
  server: Server,
  { places }: Bookmark,
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
    async *read(question) {
      signal.throwIfAborted();
      const response = await server.open(addressOf(start.url, question, options), subject);
      return yield* readPage(response, host, subject.name, now());
    },
  });
  let { after } = start;
  for await (const step of steps) {
    const { objects, done, isPrecise, gap, isAnew } = step;
    if (gap !== null && isSnapshot) {
      // What was not seen is not what vanished.
      throw new GatewayError('upstream-malformed', `${host} can't be read as a whole: ${gap} (${subject.name}).`);
    }
    const notes: Rejection[] =
      gap === null ? [] : [{ reason: 'not-served', detail: gap, row: subject.name, isNote: true }];
    after = isSnapshot ? null : (done ?? (isAnew ? null : after));
    const limit = step.limit < options.page_size ? step.limit : null;
    places.set(name, { url: start.url, after, isPrecise, limit });
    const batch = batchOf(objects);
    yield { ...batch, rejected: [...batch.rejected, ...notes], gap: lost, note: noteOf(step, after, subject.name) };
    lost = null;
  }
}

/** What is wrong with a collection that is read all the same. */
function noteOf({ ahead, gap, isAnew }: Step, after: string | null, subject: string): string | null {
  if (gap !== null) return `Of ${subject} something may be missing: ${gap}.`;
  if (ahead === null) return null;
  const date = ahead.slice(0, 40);
  if (isAnew) return `The bookmark ${date} of ${subject} lay ahead of the server's own clock; all was read again.`;
  const since = after === null ? 'everything' : `what was added since ${after}`;
  return `The server dates rows of ${subject} ahead of its own clock (${date}), which is not believed: ${since} is read each time.`;
}

/** An absence longer than the server looks back, told once it answers again. */
function lostSince(after: string | null, horizon: Micros | null): NonNullable<FeedBatch['gap']> | null {
  const since = after === null ? undefined : parseTimestamp(after);
  if (since === undefined || horizon === null || since >= horizon) return null;
  return { from: since, to: horizon };
}

/** TAXII 2.1 section 3.4: `next` goes with the filters of the question it came from. */
function addressOf(collection: string, { after, next, limit }: Question, { match = {} }: Options): URL {
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
