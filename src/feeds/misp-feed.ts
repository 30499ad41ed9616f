import Type, { type Static } from 'typebox';
import type { Micros } from '../model/clock.ts';
import { GatewayError } from '../model/error.ts';
import type { JsonObject } from '../model/json.ts';
import type { Rejection, SourceObject } from '../model/observation.ts';
import { formatMicros } from '../model/timestamp.ts';
import { BATCH_ROWS, type FeedBatch, type FeedContext, type FeedFormat, type FeedRow } from './feed.ts';
import { checkKey, keyOptions } from './key.ts';
import { isTrue, objectId, secondsOf } from './misp/attribute.ts';
import { attributeVersion, readEvent } from './misp/event.ts';
import { type EventVersion, eventTime, eventUuid, KnownEvents } from './misp/known-events.ts';
import { LeftOut } from './misp/left-out.ts';
import { folderOf, isOfOneEvent, type ListedEvent, list } from './misp/listing.ts';
import { limitsOf, markedOption, onlyDelta, serverAddress } from './misp/options.ts';
import { checkSource, sourceDefaults, sourceOptions } from './source.ts';

const optionsSchema = Type.Object(
  {
    path: sourceOptions.path,
    url: Type.Optional(serverAddress('The folder that manifest.json and the events are in.')),
    ...keyOptions,
    to_ids: markedOption,
    per_minute: Type.Integer({ default: 120, minimum: 1, description: 'Requests a minute; each event is one.' }),
    mode: onlyDelta,
  },
  { additionalProperties: false },
);
type Options = Static<typeof optionsSchema>;

/**
 * A MISP feed: events as files, and a manifest with the time of each one's last change. Only events that are new or changed are
 * fetched. An event is one upstream object in versions (feed.ts, `FeedRow.version`): what a later version no longer holds is taken
 * back, and so is all of an event that left the manifest. Everything else ages out, counted from when its author last looked at it.
 */
export const mispFeed: FeedFormat<Options> = {
  name: 'misp-feed',
  title: 'MISP feed: a manifest and its events, from an address, or the events in a watched directory',
  options: optionsSchema,
  defaults(options) {
    checkSource(options);
    return { ...sourceDefaults(options), mode: 'delta', emptyAllowed: true };
  },
  account(options) {
    const { url, key, per_minute: requests } = options;
    if (url === undefined) return null;
    checkKey(options);
    return { origin: new URL(url).origin, key: key ?? null, limits: limitsOf(requests) };
  },
  async *read(feed) {
    const { options } = feed;
    const known = new KnownEvents(feed.cursor, identityOf(options));
    // Where events are to be read again, or nobody knows which were read, it must not count that the manifest is the same.
    const listing = await list(feed, (feed.cursor === null || known.isResumed) && !known.hasMissed);
    if (listing === null) return;
    const leftOut = new LeftOut();
    const { rejected } = listing;
    for (let at = 0; at < rejected.length; at += BATCH_ROWS) {
      yield batchOf([], rejected.slice(at, at + BATCH_ROWS));
    }
    const listed = yield* readEvents(feed, listing.events, known, leftOut);
    const { ended, note } = takeBackGone(known, listed, feed.now());
    yield { ...batchOf([], leftOut.notes('attributes')), ended, cursor: known.cursor(), last: true, note };
  },
};

/** Identifies what is read, and how: a cursor is only valid for the same. */
function identityOf({ url, path, to_ids }: Options): string {
  return JSON.stringify([url === undefined ? ['path', path] : folderOf(url).href, to_ids]);
}

/** Events after which what was read is kept in the cursor, so that a first pull of thousands goes on where it was cut off. */
const KEPT_EVERY = 20;
/** So many new events one behind the other that can't be read are no accident; the next pull goes on behind them. */
const MOST_FAILURES = 20;

interface Listed {
  uuids: Set<string>;
  /** Files whose events nobody knows, because they can't be read. */
  unknown: number;
}

/** Reads the events that are not known in their version. Returns the uuids of all that are listed. */
async function* readEvents(
  feed: FeedContext<Options>,
  events: AsyncIterable<ListedEvent>,
  known: KnownEvents,
  leftOut: LeftOut,
): AsyncGenerator<FeedBatch, Listed> {
  const listed = new Set<string>();
  let [read, failures, unknown] = [0, 0, 0];
  let lastError: GatewayError | null = null;
  for await (const event of events) {
    feed.signal.throwIfAborted();
    const { uuid, timestamp } = event;
    if (uuid !== null) listed.add(uuid);
    if (uuid !== null && known.isRead({ uuid, timestamp })) continue;
    try {
      const content = await event.read();
      const version = identify(content, event);
      if (uuid === null && listed.has(version.uuid)) throw twice(event.name);
      listed.add(version.uuid);
      if (uuid === null && known.isRead(version)) continue;
      for (const batch of batchesOf(content, version, event, feed, known, leftOut)) {
        feed.signal.throwIfAborted();
        yield batch;
      }
      // Its own timestamp may differ from the manifest's, by which it is looked up.
      known.add(uuid === null ? version : { uuid, timestamp });
      [read, failures] = [read + 1, 0];
      if (uuid !== null && read % KEPT_EVERY === 0) yield { ...batchOf([], []), cursor: known.cursor() };
    } catch (error) {
      if (!isOfOneEvent(error)) throw error;
      lastError = error;
      // One that was missed before says nothing new about the upstream, and is counted once.
      const isAgain = uuid !== null && known.isMissed(uuid);
      if (uuid === null) unknown += 1;
      else if (!isAgain) failures += 1;
      // One that is too large stays so until it is changed; all others are tried again.
      if (uuid !== null && error.code === 'upstream-too-large') known.add({ uuid, timestamp });
      else if (uuid !== null) known.miss(uuid);
      const reason = error.code === 'upstream-too-large' ? 'too-long' : 'unreadable-file';
      yield batchOf([], [{ reason, detail: error.message, row: event.name, ...(isAgain ? { isNote: true } : {}) }]);
      if (failures < MOST_FAILURES) continue;
      yield { ...batchOf([], []), cursor: known.cursor() };
      throw error;
    }
  }
  // Nothing but failures, from the first pull on: the address is wrong, not an event.
  if (lastError !== null && read === 0 && unknown === 0 && known.size === 0) throw lastError;
  return { uuids: listed, unknown };
}

function twice(name: string): GatewayError {
  return new GatewayError('upstream-malformed', `${name} is an event that stood in another file already.`);
}

function identify(content: JsonObject, { name, uuid, timestamp }: ListedEvent): EventVersion {
  const own = eventUuid(content['uuid']);
  if (own === null || (uuid !== null && own !== uuid)) {
    throw new GatewayError('upstream-malformed', `${name} holds an event of another uuid, or of none.`);
  }
  return { uuid: own, timestamp: eventTime(secondsOf(content['timestamp'])) || timestamp };
}

/** The rows of one event. They come in one batch, so that the store knows what the event no longer says. */
function* batchesOf(
  content: JsonObject,
  { uuid }: EventVersion,
  { url }: ListedEvent,
  { options: { to_ids: marked }, now: clock }: FeedContext<Options>,
  known: KnownEvents,
  leftOut: LeftOut,
): Generator<FeedBatch> {
  const id = objectId('report', uuid);
  // What was read last is what the event says, also where a publisher's own time stands still or goes back.
  const now = clock();
  const isPublished = content['published'] === undefined || isTrue(content['published']);
  const { found, rejected } = isPublished ? readEvent(content, url, marked, leftOut) : { found: [], rejected: [] };
  if (!isPublished) leftOut.add('of an event that is not published', 'events');
  const ended = known.isResumed ? [{ id, version: now }] : [];
  for (let at = 0; at < rejected.length; at += BATCH_ROWS) yield batchOf([], rejected.slice(at, at + BATCH_ROWS));
  if (found.length === 0) {
    yield { ...batchOf([], []), ended };
    return;
  }
  if (found.length <= BATCH_ROWS) {
    yield batchOf(
      found.map(({ row }) => ({ ...row, id, version: formatMicros(now) })),
      [],
    );
    return;
  }
  // Too large for one batch: each attribute is an upstream object of its own, and one that leaves the event ages out.
  for (let at = 0; at < found.length; at += BATCH_ROWS) {
    const rows = found
      .slice(at, at + BATCH_ROWS)
      .map(({ row, attribute }) => ({ ...row, ...attributeVersion(attribute) }));
    yield { ...batchOf(rows, []), ...(at === 0 ? { ended } : {}) };
  }
}

function batchOf(items: FeedRow[], rejected: Rejection[]): FeedBatch {
  return { items, rejected, cursor: null, last: false };
}

/** A manifest that lost more than this share of at least so many events is not believed. */
const MOST_GONE = 0.5;
const GUARD_FROM = 20;

/** What events said that are no longer listed ends. */
function takeBackGone(
  known: KnownEvents,
  { uuids, unknown }: Listed,
  now: Micros,
): { ended: SourceObject[]; note: string | null } {
  const before = known.size;
  const gone = known.goneFrom(uuids);
  if (before >= GUARD_FROM && gone.length > before * MOST_GONE) {
    const note = `${gone.length} of ${before} known events are no longer listed; that is not believed, and what they say stands.`;
    return { ended: [], note };
  }
  // The events of files that can't be read may be among them.
  if (unknown > 0 && gone.length > 0) {
    return {
      ended: [],
      note: `${unknown} files can't be read; what ${gone.length} events said that are in no other stands.`,
    };
  }
  for (const uuid of gone) known.forget(uuid);
  const ended = gone.map((uuid) => ({ id: objectId('report', uuid), version: now }));
  return { ended, note: null };
}
