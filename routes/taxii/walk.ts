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

/** Entries of a page that is rendered whole and kept: so many are 4 MB and hold the thread for 15 ms. */
export const LARGEST_KEPT = 5000;

/** A walk through one resource of a collection: what is asked, and how its pages are told apart from others'. */
export interface Walk {
  collection: CollectionDefinition;
  filters: Filters;
  filter: EntryFilter;
  resource: string;
  /** Everything that decides what its page says besides the journal. */
  key: string;
  /** Its pages depend on the whole journal, not only on what stands behind `after`. */
  isWide: boolean;
  /** It looks through the journal for what may stand anywhere: not one of many steps through a collection. */
  isSearch: boolean;
  /** What the list is called, and whether an empty one leaves an empty resource behind. */
  member: string;
  omitsEmpty: boolean;
}

/** Where a page lies. */
export interface PageBounds {
  /** Dates of the first and the last entry; null on an empty page. */
  first: Micros | null;
  last: Micros | null;
  more: boolean;
}

/** The last walk that was read from a query: the same text is the same object (routes/query.ts), and nothing else decides. */
const walks = new WeakMap<Query, Walk>();

export function readWalk(
  request: FastifyRequest,
  collection: CollectionDefinition,
  { taxii, cursorSecret }: RouteContext,
  kind: string,
  objectId?: string,
): Walk {
  negotiate(request, collection.strict);
  const { journal, types, id } = collection;
  const resource = objectId === undefined ? `${kind} ${id}` : `${kind} ${id} ${objectId}`;
  const query = readQuery(request);
  const known = walks.get(query);
  if (known?.collection === collection && known.resource === resource) return known;
  const sizes = pageSizesOf(collection, taxii);
  const maxPage = objectId === undefined ? sizes.maxPage : Math.min(sizes.maxPage, LARGEST_KEPT);
  const pageSize = Math.min(sizes.pageSize, maxPage);
  const filters = readFilters(query, { secret: cursorSecret, resource, journal, pageSize, maxPage });
  const { stixTypes, versions } = filters;
  const objectIds = objectId === undefined ? filters.objectIds : [objectId];
  const filter = { journal, observableTypes: types, stixTypes, objectIds, versions };
  const key = JSON.stringify([resource, filters.after, filters.addedAfter, filters.limit, filters.match]);
  // Which version is an object's first is decided by entries that may stand anywhere.
  const isWide = versions.first || filters.isEmpty;
  const isSearch = isWide || objectIds !== null || versions.exact.length > 0;
  const walk = {
    collection,
    filters,
    filter,
    resource,
    key,
    isWide,
    isSearch,
    member: 'objects',
    omitsEmpty: collection.strict,
  };
  walks.set(query, walk);
  return walk;
}

/** What an answer says besides its list. */
export interface PageHead {
  /** Content-Type and the dates (TAXII 2.1 section 3.2). */
  headers: Record<string, string>;
  /** The resource around the items of its list; null: the resource is `{}`, without a list. */
  frame: ListFrame | null;
}

/**
 * A page without anything is `{}` (sections 3.7, 5.3 and 5.8), but Elastic's client needs the array of objects there too, unless the
 * collection is strict. It needs the dates on empty pages as well.
 */
export async function headOf(walk: Walk, parts: RouteContext, { first, last, more }: PageBounds): Promise<PageHead> {
  const { filters, collection, resource, member, omitsEmpty } = walk;
  const headers: Record<string, string> = { 'content-type': TAXII_TYPE };
  const empty = last === null ? await dateOfEmptyPage(walk, parts) : null;
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

/** What was asked after, else the newest there is: a client that keeps the header never falls back to the beginning. */
async function dateOfEmptyPage({ filters, filter }: Walk, { reader }: RouteContext): Promise<Micros | null> {
  if (filters.addedAfter !== null) return Math.max(filters.addedAfter, filters.after);
  if (filters.after > 0) return filters.after;
  return reader.newest({ ...filter, stixTypes: null, objectIds: null });
}
