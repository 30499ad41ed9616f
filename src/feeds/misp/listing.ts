import { GatewayError } from '../../model/error.ts';
import { isJsonObject, type Json, type JsonObject } from '../../model/json.ts';
import type { Rejection } from '../../model/observation.ts';
import { rowText } from '../../stix/validate.ts';
import type { FeedContext } from '../feed.ts';
import { authorizationOf, type KeyOptions } from '../key.ts';
import { type ByteStream, malformed } from '../reading/stream.ts';
import { unpack } from '../reading/unpack.ts';
import { secondsOf } from './attribute.ts';
import { readJson } from './json.ts';
import { eventTime, eventUuid } from './known-events.ts';
import { readManifest } from './manifest.ts';

export interface ListingOptions extends KeyOptions {
  path?: string;
  url?: string;
}

/** An event that can be read. */
export interface ListedEvent {
  /** As messages name it. */
  name: string;
  /** Null where only the event itself tells. */
  uuid: string | null;
  timestamp: number;
  /** Where others find it. */
  url: string | null;
  /** Throws `upstream-*`. */
  read(): Promise<JsonObject>;
}

export interface Listing {
  events: AsyncIterable<ListedEvent>;
  /** What of the manifest can't be read. */
  rejected: Rejection[];
}

/**
 * The events of a manifest, oldest first, or of a path. Null when nothing changed since the last whole pull. `isConditional`: it may
 * be asked whether it changed.
 */
export function list(feed: FeedContext<ListingOptions>, isConditional: boolean): Promise<Listing | null> {
  const { url } = feed.options;
  return url === undefined ? listFiles(feed) : listManifest(feed, folderOf(url), isConditional);
}

/** The address of the folder that the manifest is in. */
export function folderOf(address: string): URL {
  const url = new URL(address);
  url.pathname = url.pathname.replace(/manifest\.json$/, '').replace(/\/*$/, '/');
  return url;
}

async function listManifest(
  feed: FeedContext<ListingOptions>,
  folder: URL,
  isConditional: boolean,
): Promise<Listing | null> {
  const manifest = await open(feed, folder, 'manifest.json', isConditional);
  if (manifest === null) return null;
  const rejected: Rejection[] = [];
  const events: { uuid: string; timestamp: number; file: string }[] = [];
  for await (const entries of readManifest(manifest)) {
    for (const [key, entry] of entries) {
      const uuid = eventUuid(key);
      if (uuid !== null && isJsonObject(entry)) {
        events.push({ uuid, timestamp: eventTime(secondsOf(entry['timestamp'])), file: `${key}.json` });
      } else {
        const detail = uuid === null ? 'the manifest names an event by what is no uuid' : 'an event that is no object';
        rejected.push({ reason: 'not-an-object', detail, row: rowText({ [key]: entry }) });
      }
    }
  }
  // An error message in JSON must not pass for a manifest with one odd entry.
  const [odd] = rejected;
  if (odd !== undefined && events.length === 0)
    throw malformed(manifest.name, 'manifest of MISP events', 'it names none', odd.row);
  events.sort((a, b) => a.timestamp - b.timestamp || (a.uuid < b.uuid ? -1 : 1));
  const listed = async function* (): AsyncGenerator<ListedEvent> {
    for (const { uuid, timestamp, file } of events) {
      const name = `event ${uuid}`;
      const read = async (): Promise<JsonObject> => {
        const document = await open(feed, folder, file, false);
        if (document === null) throw malformed(name, 'MISP event', 'the answer was 304');
        return eventIn(await readJson(document), name);
      };
      yield { name, uuid, timestamp, url: new URL(file, folder).href, read };
    }
  };
  return { events: listed(), rejected };
}

async function open(
  { fetch, options }: FeedContext<ListingOptions>,
  folder: URL,
  file: string,
  isConditional: boolean,
): Promise<ByteStream | null> {
  const response = await fetch({
    url: new URL(file, folder),
    headers: { accept: 'application/json, */*;q=0.1' },
    ...authorizationOf(options),
    ...(isConditional ? { conditional: true } : {}),
    explain: (status) => explain(status, folder.host, file),
  });
  return response === null ? null : { name: `${file} of ${folder.host}`, body: response.body };
}

function explain(status: number, host: string, file: string): GatewayError | null {
  if (status !== 403 && status !== 404 && status !== 410) return null;
  const code = status === 403 ? 'upstream-forbidden' : 'upstream-failed';
  return new GatewayError(code, `${host} has no ${file}, or does not let it be read (${status}).`, {
    details: { status: String(status) },
  });
}

/** Is this the error for one event, rather than for the whole upstream? */
export function isOfOneEvent(error: unknown): error is GatewayError {
  if (!(error instanceof GatewayError)) return false;
  return (
    error.code === 'upstream-malformed' ||
    error.code === 'upstream-too-large' ||
    error.details?.['status'] !== undefined
  );
}

async function listFiles({ files, options, signal }: FeedContext<ListingOptions>): Promise<Listing | null> {
  const listed = await files(options.path ?? '.');
  if (listed === null) return null;
  const events = async function* (): AsyncGenerator<ListedEvent> {
    for (const { name, body, fault } of listed) {
      if (isNoEvent(name)) continue;
      if (fault !== null) {
        const error = new GatewayError('upstream-malformed', `${name} can't be read: ${fault}.`);
        yield { name, ...ofFile, read: () => Promise.reject(error) };
        continue;
      }
      for await (const document of unpack({ name, body }, signal)) {
        if (isNoEvent(document.name)) continue;
        const read = async (): Promise<JsonObject> => eventIn(await readJson(document), document.name);
        yield { name: document.name, ...ofFile, read };
      }
    }
  };
  return { events: events(), rejected: [] };
}

/** Only its content tells which event a file holds. */
const ofFile = { uuid: null, timestamp: 0, url: null };

/** A copied feed has these files beside its events. */
function isNoEvent(name: string): boolean {
  return /(?:^|\/)(?:manifest\.json|hashes\.csv|index\.html?|[^/]*\.asc)$/i.test(name);
}

/** An event stands in an object of its name; exports of MISP also put that into a list, or into `response`. */
function eventIn(document: Json, name: string): JsonObject {
  const outer = isJsonObject(document) && 'response' in document ? (document['response'] ?? null) : document;
  const first = Array.isArray(outer) && outer.length === 1 ? (outer[0] ?? null) : outer;
  const event = isJsonObject(first) ? (first['Event'] ?? null) : null;
  if (isJsonObject(event)) return event;
  const excerpt = rowText(document).slice(0, 80).toWellFormed();
  throw new GatewayError('upstream-malformed', `${name} is no MISP event.`, { excerpt });
}
