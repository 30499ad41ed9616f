import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { Micros } from '../../src/model/clock.ts';
import type { Entry } from '../../src/model/entry.ts';
import { type EntryFilter, lastVersions } from '../../src/model/entry-filter.ts';
import { frameList } from '../../src/model/json-frame.ts';
import { formatMicros } from '../../src/model/timestamp.ts';
import { eventLoop } from '../../src/model/turns.ts';
import { within } from '../../src/outputs/selection.ts';
import { newTally } from '../../src/outputs/tally.ts';
import { ListWriter } from '../../src/stix/list-writer.ts';
import { openCursor, sealCursor } from '../cursor.ts';
import type { Operation } from '../methods.ts';
import { numberParameter, readBody, unitedParameters } from '../operation.ts';
import type { RouteContext } from '../parts.ts';
import { badParameter, type Query, readLimit, readQuery } from '../query.ts';
import { costOfPage } from '../rates.ts';
import { filterMembers, filterParameters, findCollection, type IocFilter, readIocFilter } from './filter.ts';
import { formatsFor } from './formats.ts';
import { hasCategory, SLICE } from './live.ts';
import { STREAM_BYTES, sendOutput } from './reply.ts';
import { restOperation } from './schemas.ts';

/** Typical size of an object. */
const OBJECT_BYTES = 1024;
const limit = numberParameter({ minimum: 1, description: 'Asks for pages of so many; capped by the server.' });
const objects = Type.Array(Type.Object({ type: Type.String(), id: Type.String() }));
const bundleSchema = Type.Object(
  { type: Type.Literal('bundle'), id: Type.String(), objects },
  { title: 'Bundle', description: 'STIX 2.1 section 8.' },
);
const envelopeSchema = Type.Object(
  { more: Type.Boolean(), next: Type.Optional(Type.String({ minLength: 1 })), objects },
  { title: 'Page' },
);

/** How objects are read for every format. */
const arrangement = { order: 'journal', prefixes: 'stated' } as const;
const formats = formatsFor(
  { expressesObjects: true, arrangement },
  { stix: bundleSchema },
  'A bundle or a line per object; decides over Accept.',
);
const next = Type.Optional(Type.String({ description: 'From the page before.' }));
const closed = { additionalProperties: false };
const querySchema = Type.Object(unitedParameters({ ...filterParameters, limit, next }, formats.parameters), closed);
const bodySchema = Type.Object({ ...filterMembers, ...formats.members, next }, closed);

const description = `Without \`limit\` and \`next\`: what the collection holds now, as one document of any length, with its producing identity and
markings; withdrawn objects are not in it.

With one of them: the collection's journal from its beginning, or from \`since\`, page by page in the order in which things
happened, withdrawals (\`revoked: true\`) among them. \`next\` leads on and is absent on the last page; the next poll asks with
\`since\` set to \`X-TAXII-Date-Added-Last\`. \`confidence\`, \`category\` and \`until\` have no meaning there, because what leaves
such a filter would leave without a word: a collection with a policy of its own does what they would.`;

const text = {
  description,
  reply: {
    description: 'A bundle, lines, or a page.',
    headers: { 'X-TAXII-Date-Added-Last': Type.String({ description: 'On pages: the next `since`.' }) },
    content: { ...formats.content, 'application/json': envelopeSchema },
  },
  errors: ['not-found'] as const,
};

/** `GET /api/v1/iocs/stix`: a collection as STIX for clients without TAXII, such as Elastic's plain REST mode. */
export function getStix(context: RouteContext): Operation {
  return restOperation(
    { ...text, operationId: 'getStix', summary: 'Indicators as STIX 2.1', query: querySchema },
    (request, reply) => answer(readQuery(request), request, reply, context),
  );
}

/** `POST /api/v1/iocs/stix`: the same, with the parameters in a body. */
export function postStix(context: RouteContext): Operation {
  return restOperation(
    { ...text, operationId: 'postStix', summary: 'The same, asked in a body', body: bodySchema },
    (request, reply) => answer(queryOfBody(readBody(request, bodySchema)), request, reply, context),
  );
}

/** The members of a body as query parameters of the same names. */
function queryOfBody(body: object): Query {
  const given = Object.entries(body).filter(([, value]) => value !== '');
  return Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
}

async function answer(query: Query, request: FastifyRequest, reply: FastifyReply, context: RouteContext) {
  const { collections } = context;
  if (query['limit'] !== undefined || query['next'] !== undefined) return sendPage(query, request, reply, context);
  const filter = readIocFilter(query, request, collections);
  const { collection, types } = filter;
  const { output, options } = formats.choose(request, query);
  context.reads.count(collection);
  const reservation = context.inFlight.reserve(reply.raw, request.client.name, STREAM_BYTES);
  const { identityId, clock } = context;
  const selection = within({ ...arrangement, types, maximum: null }, output, options);
  const slices = readLiveObjects(filter, context);
  const document = {
    collection,
    selection,
    options,
    slices,
    at: clock.now(),
    identityId,
    about: {},
    tally: newTally(),
  };
  return sendOutput(request, reply, output, document, reservation);
}

/** Reads all live entries in the order of the journal, so that what changes meanwhile comes again behind it. */
async function* readLiveObjects(asked: IocFilter, { reader }: RouteContext): AsyncGenerator<Entry[]> {
  const filter = filterOf(asked);
  const head = (await reader.journals()).find(({ name }) => name === filter.journal)?.head ?? 0;
  let after: Micros = 0;
  for (;;) {
    const { entries, more } = await reader.page({ ...filter, after, limit: SLICE });
    const last = entries.at(-1);
    if (last === undefined) return;
    // A withdrawal that happened meanwhile is included: its object may have been written already.
    yield entries.filter((entry) => admits(entry, asked, entry.dateAdded > head));
    if (!more) return;
    after = last.dateAdded;
    await eventLoop.next();
  }
}

function filterOf({ collection, types }: IocFilter): EntryFilter {
  return lastVersions(collection.journal, types);
}

function admits(entry: Entry, { confidence, category, since, before }: IocFilter, mayBeRevoked: boolean): boolean {
  if (entry.kind === 'object') {
    // Filters on indicators exclude other objects, but not the producer objects.
    return entry.isProducerObject || (confidence === null && category === null && isWithin(entry, since, before));
  }
  if (entry.revoked && !mayBeRevoked) return false;
  if (confidence !== null) {
    const number = entry.confidence ?? 0;
    if (number < confidence[0] || number > confidence[1]) return false;
  }
  if (category !== null && !hasCategory(entry, category)) return false;
  return isWithin(entry, since, before);
}

function isWithin({ dateAdded }: Entry, since: Micros | null, before: Micros | null): boolean {
  return dateAdded > (since ?? 0) && dateAdded < (before ?? Number.MAX_SAFE_INTEGER);
}

/** Sends a page like TAXII's envelope (TAXII 2.1 section 3.7). */
async function sendPage(query: Query, request: FastifyRequest, reply: FastifyReply, context: RouteContext) {
  const { reader, taxii, cursorSecret, identityId, reads, rates, collections, inFlight } = context;
  for (const name of ['confidence', 'category', 'until', 'format']) {
    if (query[name] !== undefined) throw badParameter(name, 'left out beside limit and next');
  }
  const collection = findCollection(query['collection'], request, collections);
  const resource = `rest-stix ${collection.id}`;
  const token = query['next'];
  const cursor = token === undefined ? null : openCursor(cursorSecret, token, resource, collection.journal);
  if (cursor !== null && query['type'] !== undefined && cursor.match['type'] !== query['type']) {
    throw badParameter('type', 'the one that next belongs to');
  }
  const type = cursor?.match['type'] ?? query['type'];
  const asked = readIocFilter({ ...query, type }, request, collections);
  const after = Math.max(asked.since ?? 0, cursor?.dateAdded ?? 0);
  const size = readLimit(query['limit'], taxii.pageSize, taxii.maxPage);
  reads.count(collection);
  inFlight.reserve(reply.raw, request.client.name, size * OBJECT_BYTES);
  rates.charge(request, reply, costOfPage(size));
  const filter = filterOf(asked);
  const list = new ListWriter({ identityId, tlpVersion: collection.tlpVersion });
  const dates: Micros[] = [];
  const { more } = await reader.visitPage({ ...filter, after, limit: size }, (entry) => {
    dates.push(entry.dateAdded);
    list.add(entry);
  });
  const last = dates.at(-1) ?? null;
  const reached = last ?? (after > 0 ? after : await reader.newest(filter));
  if (reached !== null) reply.header('x-taxii-date-added-last', formatMicros(reached));
  const next =
    more && last !== null
      ? sealCursor(cursorSecret, {
          resource,
          journal: collection.journal,
          dateAdded: last,
          addedAfter: null,
          match: type === undefined ? {} : { type },
        })
      : null;
  const { opening, closing } = frameList(next === null ? { more: false } : { more: true, next }, 'objects');
  return reply
    .header('content-type', 'application/json; charset=utf-8')
    .header('cache-control', 'private')
    .send(list.take(opening, closing));
}
