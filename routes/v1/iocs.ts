import Type from 'typebox';
import type { CollectionDefinition } from '../../src/model/definition.ts';
import { GatewayError } from '../../src/model/error.ts';
import { formatMillis } from '../../src/model/timestamp.ts';
import { isSelected, within } from '../../src/outputs/selection.ts';
import { newTally } from '../../src/outputs/tally.ts';
import { agrees, type Cursor, foreign, isHashed, openCursor, sealCursor } from '../cursor.ts';
import type { Operation } from '../methods.ts';
import { numberParameter, unitedParameters } from '../operation.ts';
import type { RouteContext } from '../parts.ts';
import { badParameter, type Query, readLimit, readQuery } from '../query.ts';
import { costOfPage, WHOLE_REQUEST } from '../rates.ts';
import { filterParameters, findCollection, readIocFilter } from './filter.ts';
import { formatsFor } from './formats.ts';
import { findBounds, type LivePage, type PageBounds, queryOf, readBetween, readWhole } from './live.ts';
import { STREAM_BYTES, sendOutput } from './reply.ts';
import { iocMembers, nullable, pageHeaders, restOperation, timestamp } from './schemas.ts';

const STANDARD_LIMIT = 100;
const MAX_LIMIT = 10_000;
const MAX_OFFSET = 10_000;
/** Filtered rows are counted up to here: as far as `offset` reaches. */
const MOST_COUNTED = MAX_OFFSET + MAX_LIMIT;
/** Parameters of a page. Without any of them, a format that nobody pages through holds everything. */
const paging = ['limit', 'offset', 'cursor'] as const;
/** Parameters that a cursor carries. */
const carried = ['type', 'confidence', 'category', 'since', 'until'] as const;

const pageSchema = Type.Object(
  {
    meta: Type.Object({
      total: Type.Integer({ minimum: 0, description: 'Matching rows: exactly so many, or at least.' }),
      total_relation: Type.Unsafe<string>({
        type: 'string',
        enum: ['eq', 'gte'],
        description:
          "gte: at least, where more can't be counted in passing. A walk by `total` still goes on to the end.",
      }),
      limit: Type.Integer(),
      offset: Type.Integer(),
      more: Type.Boolean(),
      generated_at: timestamp('When it was read.'),
      feed_version: Type.String(),
      source: Type.String({ description: 'The collection.' }),
      filters: Type.Record(Type.String(), Type.String()),
    }),
    links: Type.Object({ self: Type.String(), next: nullable(Type.String()) }),
    data: Type.Array(Type.Object(iocMembers)),
  },
  { title: 'Indicators' },
);

/** How rows are read for every format. */
const arrangement = { order: 'newest', prefixes: 'stated' } as const;
const formats = formatsFor({ expressesObjects: false, arrangement }, { json: pageSchema }, 'Decides over Accept.');

const ownParameters = {
  ...filterParameters,
  limit: numberParameter({
    minimum: 1,
    default: STANDARD_LIMIT,
    description: `Rows of a page; more than ${MAX_LIMIT} are cut to it. Tables and lists hold all rows where neither it nor \`offset\` is given.`,
  }),
  offset: numberParameter({
    minimum: 0,
    maximum: MAX_OFFSET,
    default: 0,
    description: 'Rows to pass over. To go further, follow `links.next`.',
  }),
  cursor: Type.Optional(Type.String({ description: 'From `links.next`; filters it carries need not be repeated.' })),
};

const querySchema = Type.Object(
  unitedParameters(ownParameters, formats.parameters),
  // A mistyped filter would otherwise be ignored, and the answer hold too much.
  { additionalProperties: false },
);

/** `GET /api/v1/iocs`: live indicators, newest entry first, in SOC Defenders' shape. */
export function getIocs(context: RouteContext): Operation {
  const { reader, collections, reads, inFlight, rates } = context;
  const text = {
    operationId: 'getIocs',
    summary: 'Live indicators, newest first',
    description: `Made for pollers: \`since\` asks for what was added or updated. A walk by \`links.next\` never skips what stood still;
what changes meanwhile is found by the next \`since\`. Withdrawals are told by TAXII and by /api/v1/iocs/stix.`,
    query: querySchema,
    reply: {
      description: 'A page.',
      headers: pageHeaders,
      content: formats.content,
    },
    errors: ['not-found'] as const,
  };
  return restOperation(text, async (request, reply) => {
    const query = readQuery(request);
    const collection = findCollection(query['collection'], request, collections);
    const { output, options } = formats.choose(request, query);
    const { asked, before } = readCursor(query, collection, context);
    const filter = readIocFilter(asked, request, collections);
    const limit = readLimit(query['limit'], STANDARD_LIMIT, MAX_LIMIT);
    const isWhole = output.isWhole === true && paging.every((name) => query[name] === undefined);
    const maximum = isWhole ? null : limit;
    const selection = within({ ...arrangement, types: filter.types, maximum }, output, options);
    const { identityId, clock } = context;
    const document = { collection, selection, options, at: clock.now(), identityId, tally: newTally() };
    if (isWhole) {
      reads.count(collection);
      const reservation = inFlight.reserve(reply.raw, request.client.name, STREAM_BYTES);
      return sendOutput(
        request,
        reply,
        output,
        { ...document, slices: readWhole(reader, filter), about: {} },
        reservation,
      );
    }
    const page: LivePage = {
      ...filter,
      before: before === null ? filter.before : Math.min(before, filter.before ?? before),
      limit: selection.maximum ?? limit,
      offset: readOffset(query),
    };
    reads.count(collection);
    const reservation = inFlight.reserve(reply.raw, request.client.name, STREAM_BYTES);
    if (before !== null) rates.charge(request, reply, costOfStep({ ...page, before: filter.before }));
    const bounds = await findBounds(reader, page, (entry) => isSelected(entry, selection));
    const links = linksOf(asked, query, page, bounds, context);
    if (links.next !== null) reply.header('link', `<${links.next}>; rel="next"`);
    if (bounds.leftOut > 0) reply.header('x-left-out', bounds.leftOut);
    const meta = await metaOf(asked, { ...page, before: filter.before }, bounds, before !== null, context);
    const slices = readBetween(reader, page, bounds);
    return sendOutput(request, reply, output, { ...document, slices, about: { meta, links } }, reservation);
  });
}

/** The cost of a further page, in parts of a request (rates.ts). Counting filtered rows costs more than the page, and categories have no index. */
function costOfStep({ limit, confidence, category, since, before }: LivePage): number {
  if (category !== null) return WHOLE_REQUEST;
  const isCounted = confidence !== null || since !== null || before !== null;
  return Math.max(costOfPage(limit), isCounted ? WHOLE_REQUEST / 4 : 0);
}

function readOffset(query: Query): number {
  const offset = Number(query['offset'] ?? 0);
  if (offset > MAX_OFFSET)
    throw badParameter('offset', `a whole number up to ${MAX_OFFSET}; to go on, follow links.next`);
  if (offset > 0 && query['cursor'] !== undefined) throw badParameter('offset', 'left out beside cursor');
  return offset;
}

const resourceOf = ({ id }: CollectionDefinition): string => `iocs ${id}`;

/** Returns the query with the cursor's parameters, and its position. Throws `bad-request` when they contradict each other. */
function readCursor(
  query: Query,
  collection: CollectionDefinition,
  { cursorSecret }: RouteContext,
): { asked: Query; before: number | null } {
  const token = query['cursor'];
  if (token === undefined) return { asked: query, before: null };
  const cursor = openCursor(cursorSecret, token, resourceOf(collection), collection.journal, 'cursor');
  // The cursor came in a link that names its collection, so this is a mistake.
  if (cursor === null) throw foreign('cursor');
  const asked: Query = { ...query };
  for (const name of carried) asked[name] = carriedValue(name, query[name], cursor);
  return { asked, before: cursor.dateAdded };
}

function carriedValue(name: string, given: string | undefined, { match }: Cursor): string | undefined {
  const value = match[name];
  if (given === undefined && value !== undefined && isHashed(value)) throw badParameter(name, 'repeated beside cursor');
  if (given !== undefined && !agrees(value, given)) {
    throw new GatewayError('bad-request', `${name} differs from the one that cursor belongs to.`, {
      details: { parameter: name },
    });
  }
  return given ?? value;
}

function linksOf(asked: Query, query: Query, page: LivePage, { next }: PageBounds, { cursorSecret }: RouteContext) {
  const { collection, limit } = page;
  const linkTo = (parameters: Query): string => {
    const given = Object.entries(parameters).filter((pair): pair is [string, string] => pair[1] !== undefined);
    return `/api/v1/iocs?${new URLSearchParams(given)}`;
  };
  const self = linkTo({ ...query, limit: String(limit) });
  if (next === null) return { self, next: null };
  const match = Object.fromEntries(carried.flatMap((name) => (asked[name] === undefined ? [] : [[name, asked[name]]])));
  const at = {
    resource: resourceOf(collection),
    journal: collection.journal,
    dateAdded: next,
    addedAfter: null,
    match,
  };
  const { offset: _, ...rest } = query;
  return { self, next: linkTo({ ...rest, limit: String(limit), cursor: sealCursor(cursorSecret, at) }) };
}

/** `page`: without what the cursor adds. */
async function metaOf(
  asked: Query,
  page: LivePage,
  bounds: PageBounds,
  isContinued: boolean,
  { reader, clock, version }: RouteContext,
) {
  const { collection, limit, offset } = page;
  const filters = carried.flatMap((name) => (asked[name] === undefined ? [] : [[name, asked[name]] as const]));
  return {
    ...(await totalOf(page, bounds, isContinued, reader)),
    limit,
    offset,
    more: bounds.next !== null,
    generated_at: formatMillis(clock.now()),
    feed_version: version,
    source: collection.alias,
    filters: Object.fromEntries(filters),
  };
}

/** Always a number: clients that read until `offset` reaches it would stop at once without it, or fail. */
async function totalOf(page: LivePage, bounds: PageBounds, isContinued: boolean, reader: RouteContext['reader']) {
  const { confidence, category, since, before, offset, types } = page;
  const eq = (total: number) => ({ total, total_relation: 'eq' });
  const gte = (total: number) => ({ total, total_relation: 'gte' });
  if (confidence === null && category === null && since === null && before === null)
    return eq(await countOf(page, reader));
  const reached = (isContinued ? 0 : offset) + bounds.count;
  const isWhole = bounds.next === null && !isContinued && (bounds.count > 0 || offset === 0);
  if (isWhole || types?.length === 0) return eq(reached);
  // Categories have no index: at least this page's rows, and one more if there is a next page.
  if (category !== null) return gte(bounds.count === 0 ? 0 : reached + (bounds.next === null ? 0 : 1));
  const counted = await reader.countMatching({ ...queryOf(page), offset: 0, limit: MOST_COUNTED });
  return counted < MOST_COUNTED ? eq(counted) : gte(Math.max(counted, reached + (bounds.next === null ? 0 : 1)));
}

async function countOf({ collection, types }: LivePage, reader: RouteContext['reader']): Promise<number> {
  const counts = await reader.countLive(collection.journal);
  return Object.entries(counts).reduce(
    (sum, [type, count]) => (types === null || types.some((each) => each === type) ? sum + count : sum),
    0,
  );
}
