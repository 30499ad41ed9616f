import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import { mayRead } from '../../src/auth/clients.ts';
import type { Micros } from '../../src/model/clock.ts';
import { type ConfidenceWord, confidenceBounds } from '../../src/model/confidence.ts';
import type { CollectionDefinition } from '../../src/model/definition.ts';
import { GatewayError } from '../../src/model/error.ts';
import { type ObservableType, observableTypes } from '../../src/model/observable.ts';
import { parseBound } from '../../src/model/timestamp.ts';
import { textParameter, timeParameter, wordParameter, wordsParameter } from '../operation.ts';
import { badParameter, type Query } from '../query.ts';

const STANDARD_COLLECTION = 'all';
/** SOC Defenders lists techniques as a type of their own; here they are properties of indicators, so none is found. */
const TECHNIQUES = ['mitre_attack', 'mitre-attack'];

/** The filters of SOC Defenders' `GET /api/v1/iocs`, and `collection`. */
export const filterParameters = {
  collection: textParameter({ maxLength: 64, description: `By alias or id; \`${STANDARD_COLLECTION}\` unless given.` }),
  type: wordsParameter([...observableTypes, ...TECHNIQUES], {
    description: 'A type of indicator, or several with commas between.',
  }),
  confidence: wordParameter(Object.keys(confidenceBounds), {
    description: 'high is 70 to 100, medium 30 to 69, low 1 to 29 (STIX 2.1 appendix A).',
  }),
  category: textParameter({
    maxLength: 64,
    description: 'Of any source, in whatever case: government, commercial, community, news, or what a feed says.',
  }),
  since: timeParameter({ description: 'Added or updated after it.' }),
  until: timeParameter({
    description: 'Added or updated at or before it, so that windows join without gap or overlap.',
  }),
};

/** The same in a JSON body, where limits are numbers. */
export const filterMembers = {
  ...filterParameters,
  limit: Type.Optional(Type.Integer({ minimum: 1 })),
};

/** Which indicators are asked for, of which collection. */
export interface IocFilter {
  collection: CollectionDefinition;
  /** Null: all; empty: nothing can match. */
  types: readonly ObservableType[] | null;
  confidence: readonly [number, number] | null;
  /** Lower case. */
  category: string | null;
  /** Strictly after. */
  since: Micros | null;
  /** Strictly before. */
  before: Micros | null;
}

/** Throws `not-found` for a collection the client may not read, and `bad-request` for what no schema can judge. */
export function readIocFilter(query: Query, request: FastifyRequest, collections: CollectionDefinition[]): IocFilter {
  const collection = findCollection(query['collection'], request, collections);
  const until = readTime('until', query);
  const word = query['confidence'] as ConfidenceWord | undefined;
  return {
    collection,
    types: typesOf(query['type'], collection.types),
    confidence: word === undefined ? null : confidenceBounds[word],
    category: query['category']?.toLowerCase() ?? null,
    since: readTime('since', query),
    before: until === null ? null : until + 1,
  };
}

export function findCollection(
  name = STANDARD_COLLECTION,
  { client }: FastifyRequest,
  collections: CollectionDefinition[],
): CollectionDefinition {
  const found = collections.find(({ alias, id }) => alias === name || id === name.toLowerCase());
  if (found === undefined || !mayRead(client, found)) {
    throw new GatewayError('not-found', 'There is no such collection.', { details: { parameter: 'collection' } });
  }
  return found;
}

function typesOf(words: string | undefined, view: ObservableType[] | null): readonly ObservableType[] | null {
  if (words === undefined) return view;
  const asked = words.split(',');
  return observableTypes.filter((type) => asked.includes(type) && (view === null || view.includes(type)));
}

function readTime(name: 'since' | 'until', query: Query): Micros | null {
  const text = query[name];
  if (text === undefined) return null;
  // A `+` that was not escaped arrives as a space.
  const micros = parseBound(text.trim().replace(/ (\d{2}:\d{2})$/, '+$1'));
  if (micros === undefined) throw badParameter(name, 'an RFC 3339 timestamp with a zone, such as 2026-11-24T00:00:00Z');
  return micros;
}
