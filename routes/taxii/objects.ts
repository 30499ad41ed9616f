import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Micros } from '../../src/model/clock.ts';
import type { CollectionDefinition } from '../../src/model/definition.ts';
import type { Entry } from '../../src/model/entry.ts';
import { GatewayError } from '../../src/model/error.ts';
import type { ListFrame } from '../../src/model/json-frame.ts';
import { formatMicros, formatMillis } from '../../src/model/timestamp.ts';
import { ListWriter } from '../../src/stix/list-writer.ts';
import { renderEntry } from '../../src/stix/render.ts';
import type { PageValidity } from '../../src/store/store.ts';
import { replyWithPage } from '../page-reply.ts';
import type { RouteContext } from '../parts.ts';
import { costOfPage, WHOLE_REQUEST } from '../rates.ts';
import { STIX_TYPE } from './error-message.ts';
import { isLarge, streamPage } from './large-page.ts';
import { headOf, type PageBounds, readWalk, type Walk } from './walk.ts';

/** The answer is on its way. */
type Sent = ReturnType<typeof replyWithPage> | Promise<FastifyReply>;

/** What a page holds, before it is put into its resource. */
interface Content extends PageBounds {
  /** The resource: the items, one per entry, in their frame. */
  enclose(frame: ListFrame): Buffer;
  /** Up to where the journal decides what the page says, null: to its end; where that holds, null for wide walks. */
  range: { validity: PageValidity; until: Micros | null } | null;
}

/** TAXII 2.1 section 5.4. */
export function objects(
  request: FastifyRequest,
  reply: FastifyReply,
  collection: CollectionDefinition,
  parts: RouteContext,
): Sent {
  const walk = readWalk(request, collection, parts, 'objects');
  if (isLarge(walk)) {
    const context = { identityId: parts.identityId, tlpVersion: collection.tlpVersion };
    return streamPage(request, reply, walk, parts, (entry) => renderEntry(entry, context));
  }
  return sendPage(request, reply, walk, parts, () => readObjects(walk, parts));
}

/** TAXII 2.1 section 5.6. Unknown objects are 404; a known one that no filter admits is an empty page. */
export function object(
  request: FastifyRequest,
  reply: FastifyReply,
  collection: CollectionDefinition,
  parts: RouteContext,
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
  parts: RouteContext,
): Sent {
  const walk = { ...readWalk(request, collection, parts, 'manifest'), omitsEmpty: true };
  const record = ({ objectId, dateAdded, version }: Entry) => ({
    id: objectId,
    date_added: formatMicros(dateAdded),
    version: versionText(version),
    media_type: STIX_TYPE,
  });
  if (isLarge(walk)) return streamPage(request, reply, walk, parts, (entry) => JSON.stringify(record(entry)));
  return sendPage(request, reply, walk, parts, async () => {
    const records: object[] = [];
    const page = await readPage(walk, parts, (entry) => records.push(record(entry)));
    return { ...page, enclose: encloseJson(records) };
  });
}

/** TAXII 2.1 section 5.8. */
export function versions(
  request: FastifyRequest,
  reply: FastifyReply,
  collection: CollectionDefinition,
  parts: RouteContext,
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

function idOf({ params }: FastifyRequest): string {
  return (params as { object: string }).object;
}

async function requireObject({ filter }: Walk, { reader }: RouteContext): Promise<void> {
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
  { reader }: RouteContext,
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

async function readObjects(walk: Walk, parts: RouteContext): Promise<Content> {
  const list = new ListWriter({ identityId: parts.identityId, tlpVersion: walk.collection.tlpVersion });
  const page = await readPage(walk, parts, (entry) => list.add(entry));
  return { ...page, enclose: ({ opening, closing }) => list.take(opening, closing) };
}

function encloseJson(list: unknown[]): Content['enclose'] {
  return ({ opening, closing }) => Buffer.from(opening + list.map((item) => JSON.stringify(item)).join(',') + closing);
}

/** Sends the page that `read` reads, or one that says the same and was kept. */
function sendPage(
  request: FastifyRequest,
  reply: FastifyReply,
  walk: Walk,
  parts: RouteContext,
  read: () => Promise<Content>,
): Sent {
  const { filters, filter, key, isWide, isSearch } = walk;
  const page = {
    key,
    journal: filter.journal,
    after: isWide ? 0 : filters.after,
    async render() {
      // Before the rows: should anything change in between, the page is taken for older than it is, never for newer.
      const whole = { validity: await parts.reader.validity(filter.journal, 0, null), until: null };
      const content = await read();
      const { headers, frame } = await headOf(walk, parts, content);
      const body = frame === null ? Buffer.from('{}') : content.enclose(frame);
      return { body, headers, ...((isWide ? null : content.range) ?? whole) };
    },
  };
  return replyWithPage(request, reply, parts, page, isSearch ? WHOLE_REQUEST : costOfPage(filters.limit));
}

/** STIX writes 3 or 6 digits; so does the version that is named after it. */
function versionText(version: Micros): string {
  return version % 1000 === 0 ? formatMillis(version) : formatMicros(version);
}
