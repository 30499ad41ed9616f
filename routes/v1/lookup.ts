import type { ServerResponse } from 'node:http';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import { mayRead } from '../../src/auth/clients.ts';
import type { IndicatorEntry } from '../../src/model/entry.ts';
import { type Observable, type ObservableKey, type ObservableType, observableKey } from '../../src/model/observable.ts';
import { formatMillis } from '../../src/model/timestamp.ts';
import { eventLoop } from '../../src/model/turns.ts';
import { iocOf } from '../../src/outputs/ioc.ts';
import type { Operation } from '../methods.ts';
import { readBody } from '../operation.ts';
import type { RouteContext } from '../parts.ts';
import { readQuery } from '../query.ts';
import { askedParameters, iocMembers, restOperation, timestamp } from './schemas.ts';

const MAX_VALUES = 1000;
/** Values that are looked up in one turn: an IPv6 address may be in 127 networks, which takes 1.6 ms. */
const SLICE = 10;
/** Typical memory of the answer to one value: a match, twice. */
const ANSWER_BYTES = 2048;

const { ioc: value, type } = askedParameters;
const querySchema = Type.Object(askedParameters, { additionalProperties: false });
const bodySchema = Type.Object(
  { iocs: Type.Array(value, { minItems: 1, maxItems: MAX_VALUES, 'x-expects': `1 to ${MAX_VALUES} values` }), type },
  { additionalProperties: false },
);

const matchSchema = Type.Object({
  ...iocMembers,
  match: Type.Unsafe<string>({
    type: 'string',
    enum: ['exact', 'network'],
    description: 'network: it holds the address.',
  }),
  status: Type.Unsafe<string>({ type: 'string', enum: ['live', 'withdrawn'] }),
  withdrawn: Type.Optional(Type.Object({ at: timestamp('When it was withdrawn.'), reason: Type.String() })),
  collections: Type.Array(Type.String(), { minItems: 1 }),
});
const answerSchema = Type.Object(
  {
    meta: Type.Object({ asked: Type.Integer(), found: Type.Integer(), generated_at: timestamp('When it was read.') }),
    data: Type.Array(
      Type.Object({
        ioc: Type.String({ description: 'As it was asked.' }),
        type: Type.Optional(Type.String()),
        value: Type.Optional(Type.String({ description: 'What it was read as; absent when it shows no type.' })),
        found: Type.Boolean(),
        matches: Type.Array(matchSchema),
      }),
    ),
  },
  { title: 'Lookup' },
);

const reply = { description: 'An answer per value, in order.', content: { 'application/json': answerSchema } };

/**
 * `GET /api/v1/lookup`: is this value, or was it, in a collection that the caller may read? A value that is only in others is answered
 * like an unknown one.
 */
export function lookupIoc(context: RouteContext): Operation {
  return restOperation(
    { operationId: 'lookupIoc', summary: 'Is a value known?', query: querySchema, reply },
    async (request, { raw }) => {
      const query = readQuery(request) as { ioc: string; type?: ObservableType };
      return lookUp([query.ioc], query.type ?? null, request, raw, context);
    },
  );
}

/** `POST /api/v1/lookup`: the same for many values. */
export function lookupIocs(context: RouteContext): Operation {
  return restOperation(
    { operationId: 'lookupIocs', summary: `Which of up to ${MAX_VALUES} values are known?`, body: bodySchema, reply },
    async (request, { raw }) => {
      const body = readBody(request, bodySchema);
      return lookUp(body.iocs, body.type ?? null, request, raw, context);
    },
  );
}

async function lookUp(
  values: string[],
  claim: ObservableType | null,
  request: FastifyRequest,
  response: ServerResponse,
  context: RouteContext,
) {
  context.inFlight.reserve(response, request.client.name, values.length * ANSWER_BYTES);
  // A lookup is a read: overdue feeds are polled again.
  const { client } = request;
  for (const collection of context.collections)
    if (mayRead(client, collection)) context.refreshOnRead(collection.journal);
  const data: Awaited<ReturnType<typeof answerSlice>> = [];
  for (let start = 0; start < values.length; start += SLICE) {
    if (start > 0) await eventLoop.next();
    data.push(...(await answerSlice(values.slice(start, start + SLICE), claim, request, context)));
  }
  const found = data.filter((answer) => answer.found).length;
  return { meta: { asked: values.length, found, generated_at: formatMillis(context.clock.now()) }, data };
}

async function answerSlice(
  values: string[],
  claim: ObservableType | null,
  request: FastifyRequest,
  context: RouteContext,
) {
  const asked = values.map((ioc) => context.readAsked(ioc, claim));
  const keys = new Set(asked.flatMap(({ exact, networks }) => [...exact, ...networks]).map(observableKey));
  const known = await findEntries([...keys], request, context);
  const matchesOf = (observables: Observable[], match: 'exact' | 'network') =>
    observables.flatMap((one) => (known.get(observableKey(one)) ?? []).map((found) => matchOf(found, match)));
  return asked.map(({ ioc, observable, exact, networks }) => {
    const matches = [...matchesOf(exact, 'exact'), ...matchesOf(networks, 'network')];
    return { ioc, ...(observable ?? {}), found: matches.length > 0, matches };
  });
}

interface Found {
  entry: IndicatorEntry;
  collections: string[];
}

/** Finds the entries of these keys in collections that the caller may read, with the names of those collections. */
async function findEntries(
  keys: ObservableKey[],
  { client }: FastifyRequest,
  { collections, reader }: RouteContext,
): Promise<Map<ObservableKey, Found[]>> {
  const readable = collections.filter((collection) => mayRead(client, collection));
  const found = new Map<ObservableKey, Found[]>();
  for (const journal of new Set(readable.map((collection) => collection.journal))) {
    const views = readable.filter((collection) => collection.journal === journal);
    for (const entry of await reader.lookup(journal, keys)) {
      const holding = views.filter(({ types }) => types === null || types.includes(entry.type));
      if (holding.length === 0) continue;
      found.set(entry.key, [
        ...(found.get(entry.key) ?? []),
        { entry, collections: holding.map(({ alias }) => alias) },
      ]);
    }
  }
  // Live entries before withdrawn ones, the latest first.
  for (const list of found.values()) {
    list.sort((a, b) => Number(a.entry.revoked) - Number(b.entry.revoked) || b.entry.dateAdded - a.entry.dateAdded);
  }
  return found;
}

function matchOf({ entry, collections }: Found, match: 'exact' | 'network') {
  return {
    ...iocOf(entry),
    match,
    status: entry.revoked ? 'withdrawn' : 'live',
    ...(entry.revoked ? { withdrawn: { at: formatMillis(entry.dateAdded), reason: entry.reason ?? 'unknown' } } : {}),
    collections,
  };
}
