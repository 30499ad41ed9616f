import type { FeedRow } from '../feeds/feed.ts';
import type { Micros } from '../model/clock.ts';
import type { FeedDefinition } from '../model/definition.ts';
import { isJsonObject } from '../model/json.ts';
import { type Observable, observableKey } from '../model/observable.ts';
import type { Observation, Rejection, Source } from '../model/observation.ts';
import { stricter } from '../model/tlp.ts';
import { referenceUrl } from '../stix/external-reference.ts';
import { rowText } from '../stix/validate.ts';
import { canonical } from './canonical.ts';
import { readConfidence } from './confidence.ts';
import type { Refusal } from './parsed.ts';
import {
  type Complain,
  MAX_FAMILY,
  MAX_LABEL,
  MAX_LABELS,
  MAX_NAME,
  readBoolean,
  readDescription,
  readLabels,
  readPastTime,
  readPort,
  readProtocol,
  readReferences,
  readTechniques,
  readText,
  readTime,
  readTlp,
  shown,
} from './property.ts';
import { refuseReach } from './reach.ts';
import { typesOfWord } from './type-words.ts';

/**
 * The observations of one row or STIX object, nearly always one. Notes: one on all properties that can't be read, and one for
 * each reason for which other values were refused.
 */
export interface Noted {
  observations: Observation[];
  notes?: Rejection[];
}

/** Turns a row into an observation. Only the value must be readable; every other property is optional. */
export function normaliseRow(
  row: FeedRow,
  feed: Pick<FeedDefinition, 'title' | 'reach'>,
  now: Micros,
): Noted | Rejection {
  const read = readValue(row);
  if ('reason' in read) return { ...read, row: rowText(row) };
  const { observable, port } = read;
  const refusal = refuseReach(observable, feed.reach);
  if (refusal !== null) return { ...refusal, row: rowText(row) };
  const faults: string[] = [];
  const complain: Complain = (property, fault) => faults.push(`${property}: ${fault}`);

  const details = readDetails(row, port, complain);
  const source = Object.assign(withOriginal(readSource(row.source, feed, complain), observable, row.value), details);
  const { labels, tlp: labelled } = readLabels(row.labels, complain);
  const observation: Observation = {
    key: observableKey(observable),
    observable,
    confidence: confidenceOf(row.confidence, complain),
    tlp: tlpOf(row.tlp, labelled, complain),
    firstSeen: readPastTime(row.firstSeen, now, 'firstSeen', complain),
    lastSeen: readPastTime(row.lastSeen, now, 'lastSeen', complain),
    validFrom: readTime(row.validFrom, 'validFrom', complain),
    validUntil: readTime(row.expires, 'expires', complain),
    revoked: readBoolean(row.revoked, 'revoked', complain),
    sourceId: readText(row.id, MAX_NAME, 'id', complain),
    version: readTime(row.version, 'version', complain),
    others: [],
    reportedAt: now,
    source,
    name: readText(row.name, MAX_NAME, 'name', complain),
    description: readDescription(row.description, complain),
    labels: withDetailLabels(labels, details),
    references: readReferences(row.references, source.feed_name, complain),
    techniques: readTechniques(row.techniques, complain),
    kept: null,
  };
  dropContradictions(observation, complain);
  return noted([observation], faults, row);
}

/** Makes the notes: one for all faults of the row's properties, and one for each reason for which values were refused. */
export function noted(
  observations: Observation[],
  faults: readonly string[],
  row: unknown,
  refused: readonly Refusal[] = [],
): Noted {
  if (faults.length === 0 && refused.length === 0) return { observations };
  const notes = [...Map.groupBy(refused, ({ reason }) => reason)].map(([reason, all]) =>
    noteOf(
      reason,
      all.map(({ detail }) => detail),
      row,
    ),
  );
  if (faults.length > 0) notes.push(noteOf('bad-property', faults, row));
  return { observations, notes };
}

function noteOf(reason: Rejection['reason'], details: readonly string[], row: unknown): Rejection {
  return { reason, detail: joined(details), row: rowText(row) };
}

const MAX_DETAIL = 500;

export function joined(faults: readonly string[]): string {
  const detail = [...new Set(faults)].join('; ');
  return detail.length > MAX_DETAIL ? `${detail.slice(0, MAX_DETAIL).toWellFormed()}…` : detail;
}

/** Adds `url_original` to a source: the URL as the source wrote it, where the canonical form differs. */
export function withOriginal(source: Source, { type, value }: Observable, text: unknown): Source {
  const original = type === 'url' && typeof text === 'string' ? text.trim() : value;
  return original === value ? source : { ...source, url_original: original };
}

type Details = Pick<Source, 'port' | 'protocol' | 'malware_family'>;

/** What the row says of the service and the malware behind the value. `written`: the port that stands behind the value itself. */
function readDetails(row: FeedRow, written: number | undefined, complain: Complain): Details {
  const port = readPort(row.port, complain) ?? written;
  const protocol = readProtocol(row.protocol, complain);
  const family = readText(row.malwareFamily, MAX_FAMILY, 'malwareFamily', complain);
  const details: Details = {};
  if (port !== undefined) details.port = port;
  if (protocol !== null) details.protocol = protocol;
  if (family !== null) details.malware_family = family;
  return details;
}

/** STIX has no property for them: its readers find them as labels, like those of patterns (stix/pattern/split.ts). */
function withDetailLabels(labels: string[], { port, protocol, malware_family: family }: Details): string[] {
  const added: string[] = [];
  if (port !== undefined) added.push(`port:${port}`);
  if (protocol !== undefined) added.push(`protocol:${protocol}`);
  if (family !== undefined) added.push(`malware-family:${family}`);
  return added.length === 0 ? labels : [...new Set([...added, ...labels])].slice(0, MAX_LABELS).sort();
}

type Value = Exclude<ReturnType<typeof canonical>, { rejection: Refusal }>;

function readValue(row: FeedRow): Value | Refusal {
  const { value, type } = row;
  if (value === undefined || value === null || value === '')
    return { reason: 'no-value', detail: 'the row has no value' };
  if (typeof value !== 'string' && !(typeof value === 'number' && Number.isSafeInteger(value))) {
    return { reason: 'bad-value', detail: `${shown(value)} is no text` };
  }
  let types = null;
  if (type !== undefined && type !== null && type !== '') {
    types = typeof type === 'string' ? typesOfWord(type) : null;
    if (types === null) return { reason: 'unknown-type', detail: `type ${shown(type)}` };
  }
  const read = canonical(types, typeof value === 'string' ? value : String(value));
  return 'rejection' in read ? read.rejection : read;
}

function confidenceOf(value: unknown, complain: Complain): number | null {
  const confidence = readConfidence(value);
  if (confidence === undefined)
    complain('confidence', `${shown(value)} is neither 0 to 100 nor a word of STIX 2.1 appendix A`);
  return confidence ?? null;
}

/** The stricter of the row's marking and its labels. */
function tlpOf(value: unknown, labelled: Observation['tlp'], complain: Complain): Observation['tlp'] {
  return stricter(readTlp(value, complain), labelled);
}

/** Drops the earlier of two times that contradict each other: age and expiry count from the later one. */
export function dropContradictions(
  observation: Pick<Observation, 'firstSeen' | 'lastSeen' | 'validFrom' | 'validUntil'>,
  complain: Complain,
): void {
  const { firstSeen, lastSeen, validFrom, validUntil } = observation;
  if (firstSeen !== null && lastSeen !== null && firstSeen > lastSeen) {
    complain('firstSeen', 'after lastSeen');
    observation.firstSeen = null;
  }
  if (validFrom !== null && validUntil !== null && validFrom >= validUntil) {
    complain('validFrom', 'not before the end');
    observation.validFrom = null;
  }
}

function readSource(value: unknown, feed: Pick<FeedDefinition, 'title'>, complain: Complain): Source {
  if (value === undefined || value === null || value === '') return { feed_name: feed.title };
  if (typeof value === 'string') return { feed_name: readText(value, MAX_LABEL, 'source', complain) ?? feed.title };
  if (!isJsonObject(value)) {
    complain('source', `${shown(value)} is neither an object nor a name`);
    return { feed_name: feed.title };
  }
  const text = (name: keyof Source, longest: number): string | null =>
    readText(value[name], longest, `source.${name}`, complain);
  const source: Source = { feed_name: text('feed_name', MAX_LABEL) ?? feed.title };
  for (const name of ['category', 'origin', 'article_id'] as const) {
    const member = text(name, MAX_LABEL);
    if (member !== null) source[name] = member;
  }
  const title = text('article_title', MAX_NAME);
  if (title !== null) source.article_title = title;
  const link = value['article_url'];
  if (link === undefined || link === null || link === '') return source;
  const url = typeof link === 'string' ? referenceUrl(link) : null;
  if (url === null) complain('source.article_url', `${shown(link)} is no http(s) link`);
  else source.article_url = url;
  return source;
}
