import { hash } from 'node:crypto';
import type { JsonObject } from '../../model/json.ts';
import type { ExternalReference, Observation, Source, StixObject } from '../../model/observation.ts';
import type { StoredObservation } from '../store.ts';
import { misuse, type Value } from './connection.ts';
import { observableCodes, observableOfCode, tlpCode, tlpOfCode } from './rows.ts';

/** What nothing is ever selected by: one JSON text, empty parts left out. */
interface Detail {
  source: Source;
  name?: string;
  description?: string;
  labels?: string[];
  references?: ExternalReference[];
  techniques?: string[];
  kept?: JsonObject;
}

/** The values of an observation's columns behind `fingerprint`, and the fingerprint over all of them. */
export function observationValues(observation: Observation): { fingerprint: number; values: Value[] } {
  const type = observableCodes[observation.observable.type];
  if (type === undefined) throw misuse(`"${observation.observable.type}" is no observable type`);
  const values: Value[] = [
    type,
    observation.observable.value,
    observation.confidence,
    tlpCode(observation.tlp),
    observation.firstSeen,
    observation.lastSeen,
    observation.validFrom,
    observation.validUntil,
    observation.revoked ? 1 : 0,
    observation.sourceId,
    JSON.stringify(detailOf(observation)),
  ];
  return { fingerprint: fingerprintOf(JSON.stringify(values)), values };
}

export function objectValues(object: StixObject): { fingerprint: number; values: Value[] } {
  const raw = JSON.stringify(object.raw);
  const content = JSON.stringify([object.type, object.version, sortMembers(object.raw)]);
  return { fingerprint: fingerprintOf(content), values: [object.type, object.version, raw] };
}

/** 48 bits, compared only with the fingerprint that the same row had before: a change is missed once in 2^48. */
function fingerprintOf(text: string): number {
  return Number.parseInt(hash('sha1', text, 'hex').slice(0, 12), 16);
}

/** Members in one order, so that the same content has the same fingerprint however the upstream ordered it. */
function detailOf(observation: Observation): Detail {
  const { name, description, labels, references, techniques, kept } = observation;
  const detail: Detail = { source: sortMembers(observation.source) as Source };
  if (name !== null) detail.name = name;
  if (description !== null) detail.description = description;
  if (labels.length > 0) detail.labels = labels;
  if (references.length > 0) detail.references = sortMembers(references) as ExternalReference[];
  if (techniques.length > 0) detail.techniques = techniques;
  if (kept !== null) detail.kept = sortMembers(kept) as JsonObject;
  return detail;
}

function sortMembers(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sortMembers);
  const members = value as Record<string, unknown>;
  // defineProperty semantics: a member named __proto__ is content like any other.
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
  key: string, type: number, value: string, confidence: number | null, tlp: number,
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
    tlp: tlpOfCode(row[4]),
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
