import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Micros } from '../../src/model/clock.ts';
import type { CollectionDefinition } from '../../src/model/definition.ts';
import type { Entry } from '../../src/model/entry.ts';
import { GatewayError } from '../../src/model/error.ts';
import { formatMicros, formatMillis } from '../../src/model/timestamp.ts';
import { ListWriter } from '../../src/stix/render.ts';
import type { EntryFilter, PageValidity } from '../../src/store/store.ts';
import { sealCursor } from '../cursor.ts';
import type { RenderedPage } from '../page-cache.ts';
import { replyWithPage } from '../page-reply.ts';
import type { RouteParts } from '../parts.ts';
import { type Query, readQuery } from '../query.ts';
import { STIX_TYPE, TAXII_TYPE } from './error-message.ts';
import { type Filters, readFilters } from './filters.ts';
import { negotiate } from './negotiation.ts';

/** A walk through one resource of a collection: what is asked, and how its pages are told apart from others'. */
interface Walk {
  collection: CollectionDefinition;
  filters: Filters;
  filter: EntryFilter;
  resource: string;
  /** Everything that decides what its page says besides the journal. */
  key: string;
  /** Its pages depend on the whole journal, not only on what stands behind `after`. */
  isWide: boolean;
  /** What the list is called, and whether an empty one leaves an empty resource behind. */
  member: string;
  omitsEmpty: boolean;
}

/** The answer is on its way. */
type Sent = ReturnType<typeof replyWithPage>;

/** What a page holds, before it is put into its resource. */
interface Content {
  /** Dates of the first and the last entry; null on an empty page. */
  first: Micros | null;
  last: Micros | null;
  more: boolean;
  /** JSON of an array, one item per entry, between these texts. */
  enclose(opening: string, closing: string): Buffer;
  /** Up to where the journal decides what the page says, null: to its end; where that holds, null for wide walks. */
  range: { validity: PageValidity; until: Micros | null } | null;
}

/** TAXII 2.1 section 5.4. */
export function objects(
  request: FastifyRequest,
  reply: FastifyReply,
  collection: CollectionDefinition,
  parts: RouteParts,
): Sent {
  const walk = readWalk(request, collection, parts, 'objects');
  return sendPage(request, reply, walk, parts, () => readObjects(walk, parts));
}

/** TAXII 2.1 section 5.6. Unknown objects are 404; a known one that no filter admits is an empty page. */
export function object(
  request: FastifyRequest,
  reply: FastifyReply,
  collection: CollectionDefinition,
  parts: RouteParts,
): Sent {
  const walk = { ...readWalk(request, collection, parts, 'object', idOf(request)), isWide: true };
  return sendPage(request, reply, walk, parts, async () => {
    await requireObject(walk, parts);
    return readObjects(walk, parts);
  });
}

/** TAXII 2.1 section 5.3; `next` is sent because the OASIS client pages by it (the standard has only `more`). */
export function manifest(
  request: FastifyRequest,
  reply: FastifyReply,
  collection: CollectionDefinition,
  parts: RouteParts,
): Sent {
  const walk = { ...readWalk(request, collection, parts, 'manifest'), omitsEmpty: true };
  return sendPage(request, reply, walk, parts, async () => {
    const records: object[] = [];
    const page = await readPage(walk, parts, ({ objectId, dateAdded, version }) =>
      records.push({
        id: objectId,
        date_added: formatMicros(dateAdded),
        version: versionText(version),
        media_type: STIX_TYPE,
      }),
    );
    return { ...page, enclose: encloseJson(records) };
  });
}

/** TAXII 2.1 section 5.8. */
export function versions(
  request: FastifyRequest,
  reply: FastifyReply,
  collection: CollectionDefinition,
  parts: RouteParts,
): Sent {
  const walk = {
    ...readWalk(request, collection, parts, 'versions', idOf(request)),
    isWide: true,
    member: 'versions',
    omitsEmpty: true,
  };
  const { filters, filter } = walk;
  return sendPage(request, reply, walk, parts, async () => {
    await requireObject(walk, parts);
    const { entries, more } = filters.isEmpty
      ? { entries: [], more: false }
      : await parts.reader.versions(filter, filters.after, filters.limit);
    const texts = entries.map(({ version }) => versionText(version));
    const [first, last] = [entries[0]?.dateAdded ?? null, entries.at(-1)?.dateAdded ?? null];
    return { first, last, more, enclose: encloseJson(texts), range: null };
  });
}

/** The last walk that was read from a query: the same text is the same object (routes/query.ts), and nothing else decides. */
const walks = new WeakMap<Query, Walk>();

function readWalk(
  request: FastifyRequest,
  collection: CollectionDefinition,
  { taxii, cursorSecret }: RouteParts,
  kind: string,
  objectId?: string,
): Walk {
  negotiate(request, collection.strict);
  const { journal, types, id } = collection;
  const resource = objectId === undefined ? `${kind} ${id}` : `${kind} ${id} ${objectId}`;
  const query = readQuery(request);
  const known = walks.get(query);
  if (known?.collection === collection && known.resource === resource) return known;
  const { pageSize, maxPage } = taxii;
  const filters = readFilters(query, { secret: cursorSecret, resource, journal, pageSize, maxPage });
  const { stixTypes, versions } = filters;
  const objectIds = objectId === undefined ? filters.objectIds : [objectId];
  const filter = { journal, observableTypes: types, stixTypes, objectIds, versions };
  const key = JSON.stringify([resource, filters.after, filters.addedAfter, filters.limit, filters.match]);
  // Which version is an object's first is decided by entries that may stand anywhere.
  const isWide = versions.first || filters.isEmpty;
  const walk = { collection, filters, filter, resource, key, isWide, member: 'objects', omitsEmpty: collection.strict };
  walks.set(query, walk);
  return walk;
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

/**
 * Hands the page's entries to `visit`. One more is read: `more` depends on it, so the page stands only as long as that entry
 * does.
 */
async function readPage(
  { filter, filters }: Walk,
  { reader }: RouteParts,
  visit: (entry: Entry) => void,
): Promise<Omit<Content, 'enclose'>> {
  const dates: Micros[] = [];
  const { limit, after } = filters;
  if (filters.isEmpty) return { first: null, last: null, more: false, range: null };
  const { more, validity } = await reader.visitPage({ ...filter, after, limit: limit + 1 }, (entry) => {
    if (dates.push(entry.dateAdded) <= limit) visit(entry);
  });
  return {
    first: dates[0] ?? null,
    last: dates[Math.min(dates.length, limit) - 1] ?? null,
    more: dates.length > limit,
    range: { validity, until: more ? (dates.at(-1) ?? null) : null },
  };
}

async function readObjects(walk: Walk, parts: RouteParts): Promise<Content> {
  const list = new ListWriter({ identityId: parts.identityId });
  const page = await readPage(walk, parts, (entry) => list.add(entry));
  return { ...page, enclose: (opening, closing) => list.take(`${opening}[`, `]${closing}`) };
}

function encloseJson(list: unknown[]): Content['enclose'] {
  return (opening, closing) => Buffer.from(opening + JSON.stringify(list) + closing);
}

/** Sends the page that `read` reads, or one that says the same and was kept. */
function sendPage(
  request: FastifyRequest,
  reply: FastifyReply,
  walk: Walk,
  parts: RouteParts,
  read: () => Promise<Content>,
): Sent {
  const { filters, filter, key, isWide } = walk;
  return replyWithPage(request, reply, parts, {
    key,
    journal: filter.journal,
    after: isWide ? 0 : filters.after,
    async render() {
      // Before the rows: should anything change in between, the page is taken for older than it is, never for newer.
      const whole = { validity: await parts.reader.validity(filter.journal, 0, null), until: null };
      const content = await read();
      const { body, headers } = await renderPage(walk, parts, content);
      return { body, headers, ...((isWide ? null : content.range) ?? whole) };
    },
  });
}

/**
 * A page with its headers (TAXII 2.1 section 3.2). A page without anything is `{}` (sections 3.7, 5.3 and 5.8), but Elastic's
 * client needs the array of objects there too, unless the collection is strict.
 */
async function renderPage(
  walk: Walk,
  parts: RouteParts,
  content: Content,
): Promise<Pick<RenderedPage, 'body' | 'headers'>> {
  const { filters, collection, resource, member, omitsEmpty } = walk;
  const { first, last, more, enclose } = content;
  const headers: Record<string, string> = { 'content-type': TAXII_TYPE };
  const empty = last === null ? await dateOfEmptyPage(walk, parts) : null;
  for (const [name, date] of [
    ['first', first ?? empty],
    ['last', last ?? empty],
  ] as const) {
    if (date !== null) headers[`x-taxii-date-added-${name}`] = formatMicros(date);
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
  const isOmitted = first === null && omitsEmpty;
  const body = isOmitted ? Buffer.from('{}') : enclose(`{${head},"${member}":`, '}');
  return { body, headers };
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
