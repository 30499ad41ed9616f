import type { Micros } from '../../src/model/clock.ts';
import type { VersionFilter } from '../../src/model/entry-filter.ts';
import { GatewayError } from '../../src/model/error.ts';
import { parseBound, parseTimestamp } from '../../src/model/timestamp.ts';
import { agrees, type Cursor, isHashed, openCursor } from '../cursor.ts';
import { badParameter, isEmptyParameter, type Query, readLimit } from '../query.ts';

/** The parameters of TAXII 2.1 section 3.4, read and checked. */
export interface Filters {
  /** Only entries strictly after it. */
  after: Micros;
  addedAfter: Micros | null;
  limit: number;
  stixTypes: string[] | null;
  objectIds: string[] | null;
  versions: VersionFilter;
  /** Nothing can match: the spec version is not served. */
  isEmpty: boolean;
  /** As a cursor carries them. */
  match: Record<string, string>;
}

export interface FilterContext {
  secret: string;
  resource: string;
  journal: string;
  pageSize: number;
  maxPage: number;
}

const fields = ['type', 'id', 'version', 'spec_version'] as const;
const known = ['added_after', 'limit', 'next', ...fields.map((field) => `match[${field}]`)];
/** Most values in one match field. */
const MAX_VALUES = 1000;

/** Throws `bad-request` for what is malformed; unknown parameters and match fields are ignored. */
export function readFilters(query: Query, context: FilterContext): Filters {
  const { secret, resource, journal, pageSize, maxPage } = context;
  refuseEmpty(query);
  const token = query['next'];
  const cursor = token === undefined ? null : openCursor(secret, token, resource, journal);
  const addedAfter = readAddedAfter(query['added_after']);
  const match = readMatch(query, cursor);
  const specVersions = listOf('spec_version', match);
  return {
    // With `next`, the later of the two: some clients advance added_after while they page.
    after: Math.max(addedAfter ?? 0, cursor?.dateAdded ?? 0),
    addedAfter: addedAfter ?? cursor?.addedAfter ?? null,
    limit: readLimit(query['limit'], pageSize, maxPage),
    stixTypes: listOf('type', match),
    objectIds: listOf('id', match),
    versions: readVersions(listOf('version', match)),
    isEmpty: specVersions !== null && !specVersions.includes('2.1'),
    match,
  };
}

/** The versions that a DELETE names (section 5.7), all unless it says so; null: none, of another spec version. */
export function readDeleted(query: Query): VersionFilter | null {
  refuseEmpty(query);
  const match = readMatch(query, null);
  const specVersions = listOf('spec_version', match);
  if (specVersions !== null && !specVersions.includes('2.1')) return null;
  const versions = listOf('version', match);
  return versions === null ? { last: false, first: false, all: true, exact: [] } : readVersions(versions);
}

/**
 * Refuses empty parameters (section 3.4). Elastic's older client sends an empty `added_after` only after an empty date header, which is
 * never sent here.
 */
function refuseEmpty(query: Query): void {
  const empty = known.find((name) => isEmptyParameter(query, name));
  if (empty !== undefined) throw badParameter(empty, 'left out or given a value');
}

/** Reads a TAXII timestamp (section 2): in UTC, ending in `Z`, with any number of digits of a second. Before 1970: everything. */
function readAddedAfter(text: string | undefined): Micros | null {
  if (text === undefined) return null;
  const micros = /z$/i.test(text) ? parseBound(text) : undefined;
  if (micros === undefined) throw badParameter('added_after', 'an RFC 3339 timestamp in UTC that ends in Z');
  return micros;
}

/** Reads the match parameters. With `next`, absent ones come from the token, and different ones are an error. */
function readMatch(query: Query, cursor: Cursor | null): Record<string, string> {
  const match: Record<string, string> = {};
  for (const field of fields) {
    const given = query[`match[${field}]`];
    const carried = cursor?.match[field];
    if (given !== undefined) {
      if (cursor !== null && !agrees(carried, given)) {
        throw new GatewayError('bad-request', `match[${field}] differs from the one that next belongs to.`);
      }
      match[field] = given;
    } else if (carried !== undefined) {
      if (isHashed(carried)) throw new GatewayError('bad-request', `Repeat match[${field}] beside next.`);
      match[field] = carried;
    }
  }
  return match;
}

function listOf(field: (typeof fields)[number], match: Record<string, string>): string[] | null {
  const text = match[field];
  if (text === undefined) return null;
  const values = [...new Set(text.split(',').map((value) => value.trim()))];
  if (values.includes('')) throw badParameter(`match[${field}]`, 'values with one comma between them');
  if (values.length > MAX_VALUES) throw new GatewayError('bad-request', `A match field takes ${MAX_VALUES} values.`);
  return values;
}

function readVersions(values: string[] | null): VersionFilter {
  const versions: VersionFilter = { last: values === null, first: false, all: false, exact: [] };
  for (const value of values ?? []) {
    if (value === 'last' || value === 'first' || value === 'all') versions[value] = true;
    else {
      const micros = parseTimestamp(value);
      if (micros === undefined)
        throw new GatewayError('bad-request', 'match[version] takes last, first, all or timestamps.');
      versions.exact.push(micros);
    }
  }
  if (versions.all && (values?.length ?? 0) > 1) {
    throw new GatewayError('bad-request', 'match[version]=all stands alone.');
  }
  return versions;
}
