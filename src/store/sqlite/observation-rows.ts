import { hash } from 'node:crypto';
import type { JsonObject } from '../../model/json.ts';
import type { ExternalReference, Observation, Source, StixObject } from '../../model/observation.ts';
import type { StoredObservation } from '../store.ts';
import { misuse, type Value } from './connection.ts';
import { observableCodes, observableOfCode, tlpCode, tlpOfCode } from './rows.ts';

/** The two tables of what feeds said have the same life: found by (feed, name), compared by fingerprint, marked by id. */
export interface Kind {
  table: 'observations' | 'feed_objects';
  index: string;
  /** The column that names a row within its feed, that column as text, and text as that column. */
  name: string;
  asText: string;
  fromText(parameter: string): string;
  /** What `Incoming.values` gives, in its order. */
  columns: readonly string[];
  /** Rows of one name in one pull are one thing said in several rows; else the last of them stands. */
  amended: boolean;
  /** The column of `feeds` that counts them. */
  count: 'observations' | 'objects';
}

export const OBSERVATIONS: Kind = {
  table: 'observations',
  index: 'observations_by_key',
  name: 'key',
  asText: 'lower(hex(o.key))',
  fromText: (parameter) => `unhex(${parameter})`,
  columns: [
    'type',
    'value',
    'confidence',
    'tlp',
    'first_seen',
    'last_seen',
    'valid_from',
    'valid_until',
    'revoked',
    'source_id',
    'detail',
  ],
  amended: true,
  count: 'observations',
};

export const OBJECTS: Kind = {
  table: 'feed_objects',
  index: 'feed_objects_by_id',
  name: 'object_id',
  asText: 'o.object_id',
  fromText: (parameter) => parameter,
  columns: ['type', 'version', 'raw'],
  amended: false,
  count: 'objects',
};

/** A row on its way in: its name in the feed, a hash over all that it says, and its columns behind these. */
export interface Incoming {
  name: string;
  fingerprint: number;
  values(): Value[];
}

/** What nothing is ever selected by: one JSON text, empty parts left out. */
interface Detail {
  source: Source;
  name?: string | undefined;
  description?: string | undefined;
  labels?: string[] | undefined;
  references?: ExternalReference[] | undefined;
  techniques?: string[] | undefined;
  kept?: JsonObject | undefined;
}

/** Columns are made only for rows that are written: an unchanged re-poll is all fingerprints. */
export function incomingObservation(observation: Observation): Incoming {
  const { key, observable, confidence, firstSeen, lastSeen, validFrom, validUntil, sourceId } = observation;
  const type = observableCodes[observable.type];
  if (type === undefined) throw misuse(`"${observable.type}" is no observable type`);
  const tlp = observation.tlp === null ? null : tlpCode(observation.tlp);
  const revoked = observation.revoked ? 1 : 0;
  const detail = JSON.stringify(detailOf(observation));
  // Lengths keep the parts apart, whatever is in them.
  const text = `${type} ${confidence} ${tlp} ${firstSeen} ${lastSeen} ${validFrom} ${validUntil} ${revoked} ${
    observable.value.length
  } ${sourceId?.length} ${observable.value}${sourceId}${detail}`;
  return {
    name: key,
    fingerprint: fingerprintOf(text),
    values: () => [
      type,
      observable.value,
      confidence,
      tlp,
      firstSeen,
      lastSeen,
      validFrom,
      validUntil,
      revoked,
      sourceId,
      detail,
    ],
  };
}

export function incomingObject(object: StixObject): Incoming {
  return {
    name: object.id,
    fingerprint: fingerprintOf(JSON.stringify([object.type, object.version, sortMembers(object.raw)])),
    values: () => [object.type, object.version, JSON.stringify(object.raw)],
  };
}

/** 48 bits, compared only with the fingerprint that the same row had before: a change is missed once in 2^48. */
function fingerprintOf(text: string): number {
  return Number.parseInt(hash('sha1', text, 'hex').slice(0, 12), 16);
}

/** Members in one order, so that the same content has the same fingerprint however the upstream ordered it. */
function detailOf(observation: Observation): Detail {
  const { source, name, description, labels, references, techniques, kept } = observation;
  return {
    source: {
      feed_name: source.feed_name,
      category: source.category,
      origin: source.origin,
      article_id: source.article_id,
      article_title: source.article_title,
      article_url: source.article_url,
    } satisfies Record<keyof Source, unknown> as Source,
    name: name ?? undefined,
    description: description ?? undefined,
    labels: labels.length > 0 ? labels : undefined,
    references: references.length > 0 ? (sortMembers(references) as ExternalReference[]) : undefined,
    techniques: techniques.length > 0 ? techniques : undefined,
    kept: kept === null ? undefined : (sortMembers(kept) as JsonObject),
  };
}

function sortMembers(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sortMembers);
  const members = value as Record<string, unknown>;
  // fromEntries defines its members: one named __proto__ is content like any other.
  return Object.fromEntries(
    Object.keys(members)
      .sort()
      .map((name) => [name, sortMembers(members[name])]),
  );
}

/** In the order of ObservationRow. */
export const OBSERVATION_COLUMNS = `lower(hex(o.key)), o.type, o.value, o.confidence, o.tlp, o.first_seen, o.last_seen,
  o.valid_from, o.valid_until, o.revoked, o.source_id, o.detail`;

// biome-ignore format: a line per group reads like the list above
export type ObservationRow = [
  key: string, type: number, value: string, confidence: number | null, tlp: number | null,
  firstSeen: number | null, lastSeen: number | null, validFrom: number | null, validUntil: number | null,
  revoked: number, sourceId: string | null, detail: string,
];

export function observationFromRow(feed: string, row: ObservationRow): StoredObservation {
  const detail = JSON.parse(row[11]) as Detail;
  return {
    feed,
    key: row[0],
    observable: { type: observableOfCode(row[1]), value: row[2] },
    confidence: row[3],
    tlp: row[4] === null ? null : tlpOfCode(row[4]),
    firstSeen: row[5],
    lastSeen: row[6],
    validFrom: row[7],
    validUntil: row[8],
    revoked: row[9] === 1,
    sourceId: row[10],
    source: detail.source,
    name: detail.name ?? null,
    description: detail.description ?? null,
    labels: detail.labels ?? [],
    references: detail.references ?? [],
    techniques: detail.techniques ?? [],
    kept: detail.kept ?? null,
  };
}
