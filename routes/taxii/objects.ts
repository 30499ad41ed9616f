import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Micros } from '../../src/model/clock.ts';
import type { CollectionDefinition } from '../../src/model/definition.ts';
import type { Entry } from '../../src/model/entry.ts';
import { GatewayError } from '../../src/model/error.ts';
import { formatMicros, formatMillis } from '../../src/model/timestamp.ts';
import { renderEntry } from '../../src/stix/render.ts';
import type { EntryFilter } from '../../src/store/store.ts';
import type { RouteParts } from '../index.ts';
import { readQuery } from '../query.ts';
import { sealCursor } from './cursor.ts';
import { STIX_TYPE, TAXII_TYPE } from './error-message.ts';
import { type Filters, readFilters } from './filters.ts';
import { negotiate } from './negotiation.ts';

/** Objects rendered before other requests get their turn. */
const SLICE = 500;

/** A walk through one resource of a collection: what is asked, and how its pages are told apart from others'. */
interface Walk {
  collection: CollectionDefinition;
  filters: Filters;
  filter: EntryFilter;
  resource: string;
}

/** TAXII 2.1 section 5.4. */
export async function objects(
  request: FastifyRequest,
  reply: FastifyReply,
  collection: CollectionDefinition,
  parts: RouteParts,
) {
  return sendEnvelope(reply, readWalk(request, collection, parts, 'objects'), parts);
}

/** TAXII 2.1 section 5.6. Unknown objects are 404; a known one that no filter admits is an empty page. */
export async function object(
  request: FastifyRequest,
  reply: FastifyReply,
  collection: CollectionDefinition,
  parts: RouteParts,
) {
  const walk = readWalk(request, collection, parts, 'object', idOf(request));
  await requireObject(walk, parts);
  return sendEnvelope(reply, walk, parts);
}

/** TAXII 2.1 section 5.3; `next` is sent because the OASIS client pages by it (the standard has only `more`). */
export async function manifest(
  request: FastifyRequest,
  reply: FastifyReply,
  collection: CollectionDefinition,
  parts: RouteParts,
) {
  const walk = readWalk(request, collection, parts, 'manifest');
  const { entries, more } = await readPage(walk, parts);
  const records = entries.map(({ objectId, dateAdded, version }) => ({
    id: objectId,
    date_added: formatMicros(dateAdded),
    version: versionText(version),
    media_type: STIX_TYPE,
  }));
  return sendPage(reply, walk, parts, entries, more, JSON.stringify(records));
}

/** TAXII 2.1 section 5.8. */
export async function versions(
  request: FastifyRequest,
  reply: FastifyReply,
  collection: CollectionDefinition,
  parts: RouteParts,
) {
  const walk = readWalk(request, collection, parts, 'versions', idOf(request));
  await requireObject(walk, parts);
  const { filters, filter } = walk;
  const { entries, more } = filters.isEmpty
    ? { entries: [], more: false }
    : await parts.reader.versions(filter, filters.after, filters.limit);
  const texts = entries.map(({ version }) => versionText(version));
  return sendPage(reply, walk, parts, entries, more, JSON.stringify(texts), 'versions');
}

function readWalk(
  request: FastifyRequest,
  collection: CollectionDefinition,
  { taxii, cursorSecret, touch }: RouteParts,
  kind: string,
  objectId?: string,
): Walk {
  negotiate(request, collection.strict);
  const { journal, types, id } = collection;
  touch(journal);
  const resource = [kind, id, ...(objectId === undefined ? [] : [objectId])].join(' ');
  const { pageSize, maxPage } = taxii;
  const filters = readFilters(readQuery(request), { secret: cursorSecret, resource, journal, pageSize, maxPage });
  const { stixTypes, versions } = filters;
  const objectIds = objectId === undefined ? filters.objectIds : [objectId];
  return { collection, filters, resource, filter: { journal, observableTypes: types, stixTypes, objectIds, versions } };
}

function idOf({ params }: FastifyRequest): string {
  return (params as { object: string }).object;
}

async function requireObject({ filter }: Walk, { reader }: RouteParts): Promise<void> {
  const any = { last: false, first: false, all: true, exact: [] };
  if (!(await reader.holds({ ...filter, stixTypes: null, versions: any }))) {
    throw new GatewayError('not-found', 'There is no such object in this collection.');
  }
}

async function readPage(
  { filter, filters }: Walk,
  { reader }: RouteParts,
): Promise<{ entries: Entry[]; more: boolean }> {
  if (filters.isEmpty) return { entries: [], more: false };
  return reader.page({ ...filter, after: filters.after, limit: filters.limit });
}

async function sendEnvelope(reply: FastifyReply, walk: Walk, parts: RouteParts): Promise<FastifyReply> {
  const { entries, more } = await readPage(walk, parts);
  const context = { identityId: parts.identityId };
  const texts: string[] = [];
  for (let start = 0; start < entries.length; start += SLICE) {
    if (start > 0) await nextTurn();
    for (const entry of entries.slice(start, start + SLICE)) texts.push(renderEntry(entry, context));
  }
  return sendPage(reply, walk, parts, entries, more, `[${texts.join(',')}]`);
}

/**
 * A page with its headers (TAXII 2.1 sections 3.2 and 3.7). `items` is JSON text of an array. Elastic's client needs the array
 * and the date headers on empty pages too; only a strict collection leaves an empty list out, as section 2 has it.
 */
async function sendPage(
  reply: FastifyReply,
  walk: Walk,
  parts: RouteParts,
  entries: readonly { dateAdded: Micros }[],
  more: boolean,
  items: string,
  member = 'objects',
): Promise<FastifyReply> {
  const { filters, collection, resource } = walk;
  const first = entries[0]?.dateAdded ?? null;
  const last = entries.at(-1)?.dateAdded ?? null;
  const empty = last === null ? await dateOfEmptyPage(walk, parts) : null;
  for (const [name, date] of [
    ['first', first ?? empty],
    ['last', last ?? empty],
  ] as const) {
    if (date !== null) reply.header(`x-taxii-date-added-${name}`, formatMicros(date));
  }
  const next =
    more && last !== null
      ? sealCursor(parts.cursorSecret, {
          resource,
          journal: collection.journal,
          dateAdded: last,
          addedAfter: filters.addedAfter,
          match: filters.match,
        })
      : null;
  const head = next === null ? '"more":false' : `"more":true,"next":"${next}"`;
  const isOmitted = entries.length === 0 && (collection.strict || member === 'versions');
  const body = isOmitted ? `{${head}}` : `{${head},"${member}":${items}}`;
  return reply.header('content-type', TAXII_TYPE).send(Buffer.from(body));
}

/** What was asked after, else the newest there is: a client that keeps the header never falls back to the beginning. */
async function dateOfEmptyPage({ filters, filter }: Walk, { reader }: RouteParts): Promise<Micros | null> {
  if (filters.addedAfter !== null) return Math.max(filters.addedAfter, filters.after);
  if (filters.after > 0) return filters.after;
  return reader.newest({ ...filter, stixTypes: null, objectIds: null });
}

/** STIX writes 3 or 6 digits; so does the version that is named after it. */
function versionText(version: Micros): string {
  return version % 1000 === 0 ? formatMillis(version) : formatMicros(version);
}
