import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Micros } from '../../src/model/clock.ts';
import type { CollectionDefinition } from '../../src/model/definition.ts';
import type { Entry } from '../../src/model/entry.ts';
import { GatewayError } from '../../src/model/error.ts';
import type { ListFrame } from '../../src/model/json-frame.ts';
import { formatMicros, formatVersion } from '../../src/model/timestamp.ts';
import { ListWriter } from '../../src/stix/list-writer.ts';
import { renderEntry } from '../../src/stix/render.ts';
import type { PageValidity } from '../../src/store/store.ts';
import { readParams } from '../operation.ts';
import { replyWithPage } from '../page-reply.ts';
import type { RouteContext } from '../parts.ts';
import { costOfPage, WHOLE_REQUEST } from '../rates.ts';
import { STIX_TYPE } from './error-message.ts';
import { isLarge, streamPage } from './large-page.ts';
import { type PageBounds, type PageQuery, pageHead, readPageQuery } from './page-query.ts';
import { objectParams } from './schemas.ts';

/** The answer is being sent. */
type Sent = ReturnType<typeof replyWithPage> | Promise<FastifyReply>;

/** The content of a page, before it is put into its resource. */
interface Content extends PageBounds {
  /** The resource: the items, one per entry, in their frame. */
  enclose(frame: ListFrame): Buffer;
  /** The range of the journal that the page depends on (`until` null: to its end), with its validity. Null: the whole journal. */
  range: { validity: PageValidity; until: Micros | null } | null;
}

/** TAXII 2.1 section 5.4. */
export function objects(
  request: FastifyRequest,
  reply: FastifyReply,
  collection: CollectionDefinition,
  parts: RouteContext,
): Sent {
  const asked = readPageQuery(request, collection, parts, 'objects');
  if (isLarge(asked)) {
    const context = { identityId: parts.identityId, tlpVersion: collection.tlpVersion };
    return streamPage(request, reply, asked, parts, (entry) => renderEntry(entry, context));
  }
  return sendPage(request, reply, asked, parts, () => readObjects(asked, parts));
}

/** TAXII 2.1 section 5.6. Unknown objects are 404; a known one that the filters leave out is an empty page. */
export function object(
  request: FastifyRequest,
  reply: FastifyReply,
  collection: CollectionDefinition,
  parts: RouteContext,
): Sent {
  const asked = { ...readPageQuery(request, collection, parts, 'object', idOf(request)), dependsOnWholeJournal: true };
  return sendPage(request, reply, asked, parts, async () => {
    await requireObject(asked, parts);
    return readObjects(asked, parts);
  });
}

/** TAXII 2.1 section 5.3; `next` is sent because the OASIS client pages by it (the standard has only `more`). */
export function manifest(
  request: FastifyRequest,
  reply: FastifyReply,
  collection: CollectionDefinition,
  parts: RouteContext,
): Sent {
  const asked = { ...readPageQuery(request, collection, parts, 'manifest'), omitsEmpty: true };
  const record = ({ objectId, dateAdded, version }: Entry) => ({
    id: objectId,
    date_added: formatMicros(dateAdded),
    version: formatVersion(version),
    media_type: STIX_TYPE,
  });
  if (isLarge(asked)) return streamPage(request, reply, asked, parts, (entry) => JSON.stringify(record(entry)));
  return sendPage(request, reply, asked, parts, async () => {
    const records: object[] = [];
    const page = await readPage(asked, parts, (entry) => records.push(record(entry)));
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
  const asked = {
    ...readPageQuery(request, collection, parts, 'versions', idOf(request)),
    dependsOnWholeJournal: true,
    member: 'versions',
    omitsEmpty: true,
  };
  const { filters, filter } = asked;
  return sendPage(request, reply, asked, parts, async () => {
    await requireObject(asked, parts);
    const { entries, more } = filters.isEmpty
      ? { entries: [], more: false }
      : await parts.reader.versions(filter, filters.after, filters.limit);
    const texts = entries.map(({ version }) => formatVersion(version));
    const [first, last] = [entries[0]?.dateAdded ?? null, entries.at(-1)?.dateAdded ?? null];
    return { first, last, more, enclose: encloseJson(texts), range: null };
  });
}

function idOf(request: FastifyRequest): string {
  return readParams(request, objectParams).object;
}

async function requireObject({ filter }: PageQuery, { reader }: RouteContext): Promise<void> {
  const any = { last: false, first: false, all: true, exact: [] };
  if (!(await reader.holds({ ...filter, stixTypes: null, versions: any }))) {
    throw new GatewayError('not-found', 'There is no such object in this collection.');
  }
}

/** Calls `visit` with the page's entries. One more is read, because `more` depends on it: the page is valid as long as that entry is. */
async function readPage(
  { filter, filters }: PageQuery,
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

async function readObjects(asked: PageQuery, parts: RouteContext): Promise<Content> {
  const list = new ListWriter({ identityId: parts.identityId, tlpVersion: asked.collection.tlpVersion });
  const page = await readPage(asked, parts, (entry) => list.add(entry));
  return { ...page, enclose: ({ opening, closing }) => list.take(opening, closing) };
}

function encloseJson(list: unknown[]): Content['enclose'] {
  return ({ opening, closing }) => Buffer.from(opening + list.map((item) => JSON.stringify(item)).join(',') + closing);
}

/** Sends the cached page, or the one that `read` reads. */
function sendPage(
  request: FastifyRequest,
  reply: FastifyReply,
  asked: PageQuery,
  parts: RouteContext,
  read: () => Promise<Content>,
): Sent {
  const { filters, filter, key, dependsOnWholeJournal, isSearch } = asked;
  const page = {
    key,
    journal: filter.journal,
    after: dependsOnWholeJournal ? 0 : filters.after,
    async render() {
      // Read before the rows: after a change in between, the page counts as older than it is, never as newer.
      const whole = { validity: await parts.reader.validity(filter.journal, 0, null), until: null };
      const content = await read();
      const { headers, frame } = await pageHead(asked, parts, content);
      const body = frame === null ? Buffer.from('{}') : content.enclose(frame);
      return { body, headers, ...((dependsOnWholeJournal ? null : content.range) ?? whole) };
    },
  };
  return replyWithPage(request, reply, parts, page, isSearch ? WHOLE_REQUEST : costOfPage(filters.limit));
}
