import type { FastifyRequest } from 'fastify';
import type { Micros } from '../../src/model/clock.ts';
import type { CollectionDefinition } from '../../src/model/definition.ts';
import type { EntryFilter } from '../../src/model/entry-filter.ts';
import { frameList, type ListFrame } from '../../src/model/json-frame.ts';
import { formatMicros } from '../../src/model/timestamp.ts';
import { sealCursor } from '../cursor.ts';
import type { RouteContext } from '../parts.ts';
import { pageSizesOf, type Query, readQuery } from '../query.ts';
import { TAXII_TYPE } from './error-message.ts';
import { type Filters, readFilters } from './filters.ts';
import { negotiate } from './negotiation.ts';

/** Most entries of a page that is rendered whole and cached: so many are 4 MB and take the thread 15 ms. */
export const MAX_CACHED_ENTRIES = 5000;

/** A request for a page of one resource of a collection, read and checked. */
export interface PageQuery {
  collection: CollectionDefinition;
  filters: Filters;
  filter: EntryFilter;
  resource: string;
  /** The key in the page cache: everything that decides the page besides the journal. */
  key: string;
  /** Else the page depends only on entries after `filters.after`. */
  dependsOnWholeJournal: boolean;
  /** It searches the whole journal, so it costs a whole request (rates.ts). */
  isSearch: boolean;
  /** The name of the list in the resource. */
  member: string;
  /** A page without entries is `{}`. */
  omitsEmpty: boolean;
}

/** Where a page lies. */
export interface PageBounds {
  /** Dates of the first and the last entry; null on an empty page. */
  first: Micros | null;
  last: Micros | null;
  more: boolean;
}

/** The page query that was last read from a query. The same text is the same object (routes/query.ts). */
const lastRead = new WeakMap<Query, PageQuery>();

export function readPageQuery(
  request: FastifyRequest,
  collection: CollectionDefinition,
  { taxii, cursorSecret }: RouteContext,
  kind: string,
  objectId?: string,
): PageQuery {
  negotiate(request, collection.strict);
  const { journal, types, id } = collection;
  const resource = objectId === undefined ? `${kind} ${id}` : `${kind} ${id} ${objectId}`;
  const query = readQuery(request);
  const known = lastRead.get(query);
  if (known?.collection === collection && known.resource === resource) return known;
  const sizes = pageSizesOf(collection, taxii);
  const maxPage = objectId === undefined ? sizes.maxPage : Math.min(sizes.maxPage, MAX_CACHED_ENTRIES);
  const pageSize = Math.min(sizes.pageSize, maxPage);
  const filters = readFilters(query, { secret: cursorSecret, resource, journal, pageSize, maxPage });
  const { stixTypes, versions } = filters;
  const objectIds = objectId === undefined ? filters.objectIds : [objectId];
  const filter = { journal, observableTypes: types, stixTypes, objectIds, versions };
  const key = JSON.stringify([resource, filters.after, filters.addedAfter, filters.limit, filters.match]);
  // The first version of an object may stand anywhere in the journal.
  const dependsOnWholeJournal = versions.first || filters.isEmpty;
  const isSearch = dependsOnWholeJournal || objectIds !== null || versions.exact.length > 0;
  const page = {
    collection,
    filters,
    filter,
    resource,
    key,
    dependsOnWholeJournal,
    isSearch,
    member: 'objects',
    omitsEmpty: collection.strict,
  };
  lastRead.set(query, page);
  return page;
}

/** A page without the items of its list. */
export interface PageHead {
  /** Content-Type and the dates (TAXII 2.1 section 3.2). */
  headers: Record<string, string>;
  /** The resource around the items of its list; null: the resource is `{}`, without a list. */
  frame: ListFrame | null;
}

/**
 * Returns header fields and frame of a page. An empty page is `{}` (sections 3.7, 5.3 and 5.8) if the collection is strict; Elastic's
 * client needs the empty list, and the dates, on empty pages too.
 */
export async function pageHead(
  page: PageQuery,
  parts: RouteContext,
  { first, last, more }: PageBounds,
): Promise<PageHead> {
  const { filters, collection, resource, member, omitsEmpty } = page;
  const headers: Record<string, string> = { 'content-type': TAXII_TYPE };
  const empty = last === null ? await dateOfEmptyPage(page, parts) : null;
  for (const [name, date] of [
    ['first', first ?? empty],
    ['last', last ?? empty],
  ] as const) {
    if (date !== null) headers[`x-taxii-date-added-${name}`] = formatMicros(date);
  }
  if (first === null && omitsEmpty) return { headers, frame: null };
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
  return { headers, frame: frameList(next === null ? { more: false } : { more: true, next }, member) };
}

/** Returns the date that was asked for, else the newest of the journal: a client that stores it never starts again from the beginning. */
async function dateOfEmptyPage({ filters, filter }: PageQuery, { reader }: RouteContext): Promise<Micros | null> {
  if (filters.addedAfter !== null) return Math.max(filters.addedAfter, filters.after);
  if (filters.after > 0) return filters.after;
  return reader.newest({ ...filter, stixTypes: null, objectIds: null });
}
