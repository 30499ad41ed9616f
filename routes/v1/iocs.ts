import type { FastifyInstance } from 'fastify';
import { mayRead } from '../../src/auth.ts';
import type { Micros } from '../../src/model/clock.ts';
import type { Claim, IndicatorEntry } from '../../src/model/entry.ts';
import { GatewayError } from '../../src/model/error.ts';
import { type ObservableType, observableTypes } from '../../src/model/observable.ts';
import { formatMillis, parseTimestamp } from '../../src/model/timestamp.ts';
import type { RouteParts } from '../index.ts';
import { addResource } from '../methods.ts';
import { readLimit, readQuery } from '../query.ts';

const STANDARD_LIMIT = 100;
const MAX_LIMIT = 10_000;
const MAX_OFFSET = 10_000;
const STANDARD_COLLECTION = 'all';

/** STIX 2.1 appendix A, Low/Med/High: the words SOC Defenders uses. */
const confidenceBounds: Record<string, [number, number]> = { high: [70, 100], medium: [30, 69], low: [1, 29] };

/** `GET /api/v1/iocs`: live indicators, newest entry first, in SOC Defenders' shape. */
export function addIocs(scope: FastifyInstance, { reader, collections, clock, touch }: RouteParts): void {
  addResource(scope, '/iocs', {
    GET: async (request, reply) => {
      const query = readQuery(request);
      const alias = query['collection'] ?? STANDARD_COLLECTION;
      const collection = collections.find((each) => each.alias === alias || each.id === alias);
      if (collection === undefined || !mayRead(request.client, collection)) {
        throw new GatewayError('not-found', 'There is no such collection.');
      }
      touch(collection.journal);
      const types = typesOf(query['type'], collection.types);
      const bounds = boundsOf(query['confidence']);
      const limit = readLimit(query['limit'], STANDARD_LIMIT, MAX_LIMIT);
      const offset = offsetOf(query['offset']);
      const since = sinceOf(query['since']);
      const { entries, more } =
        types !== null && types.length === 0
          ? { entries: [], more: false }
          : await reader.live({
              journal: collection.journal,
              observableTypes: types,
              minConfidence: bounds?.[0] ?? null,
              maxConfidence: bounds?.[1] ?? null,
              since,
              before: null,
              offset,
              limit,
            });
      const given = Object.entries(query).filter(([name]) => !['limit', 'offset'].includes(name));
      const linkTo = (at: number): string => {
        const parameters = new URLSearchParams({ limit: String(limit), offset: String(at) });
        for (const [name, value] of given) parameters.set(name, value ?? '');
        return `/api/v1/iocs?${parameters}`;
      };
      const hasNext = more && offset + limit <= MAX_OFFSET;
      const filters = Object.fromEntries(given);
      return reply.header('cache-control', 'private').send({
        meta: { count: entries.length, limit, offset, more, generated_at: formatMillis(clock.now()), filters },
        data: entries.map(iocOf),
        links: { self: linkTo(offset), next: hasNext ? linkTo(offset + limit) : null },
      });
    },
  });
}

function typesOf(text: string | undefined, view: ObservableType[] | null): ObservableType[] | null {
  if (text === undefined || text === '') return view;
  // SOC Defenders lists techniques as a type of their own; here they are properties of indicators.
  if (text === 'mitre_attack' || text === 'mitre-attack') return [];
  const type = observableTypes.find((known) => known === text);
  if (type === undefined) throw new GatewayError('bad-request', `type must be one of ${observableTypes.join(', ')}.`);
  return view === null || view.includes(type) ? [type] : [];
}

function boundsOf(text: string | undefined): [number, number] | null {
  if (text === undefined || text === '') return null;
  const bounds = Object.hasOwn(confidenceBounds, text) ? confidenceBounds[text] : undefined;
  if (bounds === undefined) throw new GatewayError('bad-request', 'confidence must be high, medium or low.');
  return bounds;
}

function offsetOf(text: string | undefined): number {
  if (text === undefined || text === '') return 0;
  if (!/^\d{1,15}$/.test(text) || Number(text) > MAX_OFFSET) {
    throw new GatewayError('bad-request', `offset must be a whole number up to ${MAX_OFFSET}.`);
  }
  return Number(text);
}

function sinceOf(text: string | undefined): Micros | null {
  if (text === undefined || text === '') return null;
  const micros = parseTimestamp(text);
  if (micros === undefined) throw new GatewayError('bad-request', 'since must be an RFC 3339 timestamp.');
  return micros;
}

function iocOf(entry: IndicatorEntry) {
  const sources = JSON.parse(entry.sources) as Claim[];
  const techniques = [...new Set(sources.flatMap((claim) => claim.techniques ?? []))];
  const word = wordOf(entry.confidence);
  return {
    id: entry.objectId.slice(entry.objectId.indexOf('--') + 2),
    type: entry.type,
    value: entry.value,
    ...(word === null ? {} : { confidence: word, confidence_score: entry.confidence }),
    ...(entry.firstSeen === null ? {} : { first_seen: formatMillis(entry.firstSeen) }),
    ...(entry.lastSeen === null ? {} : { last_seen: formatMillis(entry.lastSeen) }),
    ...(entry.validUntil === null ? {} : { valid_until: formatMillis(entry.validUntil) }),
    tlp: entry.tlp,
    source: sources[0] ?? {},
    sources,
    ...(entry.description === null ? {} : { context: entry.description }),
    tags: entry.labels === null ? [] : (JSON.parse(entry.labels) as string[]),
    mitre_techniques: techniques,
  };
}

function wordOf(confidence: number | null): string | null {
  if (confidence === null) return null;
  return Object.keys(confidenceBounds).find((word) => confidence >= (confidenceBounds[word]?.[0] ?? 0)) ?? 'none';
}
