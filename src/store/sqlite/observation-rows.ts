import type { Micros } from '../../model/clock.ts';
import { type JsonObject, sortMembers } from '../../model/json.ts';
import type { ExternalReference, Observation, OtherSourceObject, Source, StixObject } from '../../model/observation.ts';
import { objectMarkings, otherMarkingsOf } from '../../stix/marking.ts';
import { relationshipEnds } from '../../stix/relationship.ts';
import { misuse } from '../misuse.ts';
import type { StoredObservation } from '../store.ts';
import { observableCodes, observableOfCode, tlpCode, tlpOfCode } from './codes.ts';
import type { Value } from './connection.ts';
import type { Incoming } from './feed-rows.ts';
import { fingerprintOf } from './fingerprint.ts';
import { rangeKeyOf } from './range-key.ts';

/** What nothing is ever selected by: one JSON text, empty parts left out. */
interface Detail {
  source: Source;
  name?: string | undefined;
  description?: string | undefined;
  labels?: string[] | undefined;
  references?: ExternalReference[] | undefined;
  techniques?: string[] | undefined;
  others?: Omit<OtherSourceObject, 'reportedAt'>[] | undefined;
  /** When each of `others` was heard. */
  heard?: Micros[] | undefined;
  kept?: JsonObject | undefined;
}

/** An unchanged re-poll is all fingerprints. */
export class IncomingObservation implements Incoming {
  readonly name: string;
  readonly fingerprint: number;
  readonly shared: readonly number[];
  readonly observation: Observation;
  readonly #type: number;
  readonly #tlp: number | null;
  readonly #detail: string;

  constructor(observation: Observation) {
    const { key, observable, confidence, firstSeen, lastSeen, validFrom, validUntil, revoked, sourceId, version } =
      observation;
    const type = observableCodes[observable.type];
    if (type === undefined) throw misuse(`"${observable.type}" is no observable type`);
    const tlp = observation.tlp === null ? null : tlpCode(observation.tlp);
    const { references } = observation;
    const detail = JSON.stringify(detailOf(observation));
    // Lengths keep the parts apart, whatever is in them.
    const text = `${type} ${confidence} ${tlp} ${firstSeen} ${lastSeen} ${validFrom} ${validUntil} ${revoked} ${version} ${
      observable.value.length
    } ${sourceId?.length} ${observable.value}${sourceId}${detail}${references.length === 0 ? '' : orderless(references)}`;
    this.name = key;
    this.fingerprint = fingerprintOf(text);
    this.observation = observation;
    this.shared = observation.others.flatMap(({ id }) => statementNumber(id) ?? []);
    this.#type = type;
    this.#tlp = tlp;
    this.#detail = detail;
  }

  values(id: number | null, feed: number): Value[] {
    const { observable, confidence, firstSeen, lastSeen, validFrom, validUntil, revoked, sourceId, references } =
      this.observation;
    const { version, reportedAt, others } = this.observation;
    // References come back as they were given, and are compared whatever the order of their members.
    let detail = this.#detail;
    if (references.length > 0) detail = withMember(detail, 'references', references);
    // No part of what is compared.
    if (others.length > 0)
      detail = withMember(
        detail,
        'heard',
        others.map((other) => other.reportedAt),
      );
    // biome-ignore format: in the order of OBSERVATIONS.columns
    return [
      id, feed, this.name, this.fingerprint,
      this.#type, observable.value, confidence, this.#tlp, firstSeen, lastSeen, validFrom, validUntil, revoked ? 1 : 0,
      sourceId, version, statementNumber(sourceId), reportedAt, markingsText(otherMarkingsOf(this.observation.kept)),
      rangeKeyOf(observable), detail,
    ];
  }
}

export function incomingObject(object: StixObject): Incoming {
  const fingerprint = fingerprintOf(JSON.stringify([object.type, object.version, sortMembers(object.raw)]));
  return {
    name: object.id,
    fingerprint,
    shared: [],
    values: (id, feed) => {
      const { type, version, raw } = object;
      const markings = markingsText(objectMarkings(raw).others);
      const [a = null, b = null] = relationshipEnds(object).map((end) => statementNumber(end.id));
      return [id, feed, object.id, fingerprint, type, version, markings, a, b, JSON.stringify(raw)];
    },
  };
}

/**
 * The last 48 bits of a STIX id's UUID: small in an index. Who selects by it compares the ids as well. Null for anything else:
 * ids of rows are asked for by nobody.
 */
export function statementNumber(id: string | null): number | null {
  if (id === null || id.slice(-38, -36) !== '--') return null;
  const number = Number.parseInt(id.slice(-12), 16);
  return Number.isNaN(number) ? null : number;
}

/** As the column `markings` keeps them. */
function markingsText(ids: readonly string[]): string | null {
  return ids.length === 0 ? null : ids.join(' ');
}

/** Appends a member to the text of an object that has some. */
function withMember(text: string, name: keyof Detail, value: unknown): string {
  return `${text.slice(0, -1)},"${name}":${JSON.stringify(value)}}`;
}

function orderless(references: readonly ExternalReference[]): string {
  return JSON.stringify(
    references.map(({ source_name, description, url, external_id }) => [source_name, description, url, external_id]),
  );
}

/** All but the references and when others were heard; members in one order, so that the same content has the same text however it was ordered. */
function detailOf(observation: Observation): Omit<Detail, 'references' | 'heard'> {
  const { source, name, description, labels, techniques, others, kept } = observation;
  return {
    source: {
      feed_name: source.feed_name,
      category: source.category,
      origin: source.origin,
      article_id: source.article_id,
      article_title: source.article_title,
      article_url: source.article_url,
      url_original: source.url_original,
      port: source.port,
      protocol: source.protocol,
      malware_family: source.malware_family,
    } satisfies Record<keyof Source, unknown> as Source,
    name: name ?? undefined,
    description: description ?? undefined,
    labels: labels.length > 0 ? labels : undefined,
    techniques: techniques.length > 0 ? techniques : undefined,
    others: others.length > 0 ? others.map(({ id, version, validUntil }) => ({ id, version, validUntil })) : undefined,
    kept: kept === null ? undefined : (sortMembers(kept) as JsonObject),
  };
}

/** In the order of ObservationRow. */
export const OBSERVATION_COLUMNS = `lower(hex(o.key)), o.type, o.value, o.confidence, o.tlp, o.first_seen, o.last_seen,
  o.valid_from, o.valid_until, o.revoked, o.source_id, o.version, o.heard_at, o.detail`;

// biome-ignore format: a line per group reads like the list above
export type ObservationRow = [
  key: string, type: number, value: string, confidence: number | null, tlp: number | null,
  firstSeen: number | null, lastSeen: number | null, validFrom: number | null, validUntil: number | null,
  revoked: number, sourceId: string | null, version: number | null, reportedAt: number, detail: string,
];

export function observationFromRow(feed: string, row: ObservationRow): StoredObservation {
  const detail = JSON.parse(row[13]) as Detail;
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
    version: row[11],
    others: (detail.others ?? []).map((other, i) => ({ ...other, reportedAt: detail.heard?.[i] ?? row[12] })),
    reportedAt: row[12],
    source: detail.source,
    name: detail.name ?? null,
    description: detail.description ?? null,
    labels: detail.labels ?? [],
    references: detail.references ?? [],
    techniques: detail.techniques ?? [],
    kept: detail.kept ?? null,
  };
}
