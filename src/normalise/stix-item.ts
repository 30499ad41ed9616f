import type { FeedItem } from '../feeds/feed.ts';
import type { Micros } from '../model/clock.ts';
import type { FeedDefinition } from '../model/definition.ts';
import { isJsonObject, type Json, type JsonObject, sortMembers } from '../model/json.ts';
import { isCve, observableKey } from '../model/observable.ts';
import type { ExternalReference, Observation, Rejection, SourceObject, StixObject } from '../model/observation.ts';
import { stricter } from '../model/tlp.ts';
import { normaliseReference } from '../stix/external-reference.ts';
import { isStixId } from '../stix/id.ts';
import { type ObjectMarkings, objectMarkings } from '../stix/marking.ts';
import type { PatternValue } from '../stix/pattern/split.ts';
import { readPattern } from '../stix/pattern/values.ts';
import { ownProperties } from '../stix/properties.ts';
import { isPropertySound, languages } from '../stix/schema.ts';
import { checkStixObject, rowText } from '../stix/validate.ts';
import { canonical } from './canonical.ts';
import { readConfidence } from './confidence.ts';
import type { Canonical, Refusal } from './parsed.ts';
import {
  type Complain,
  isNothing,
  MAX_LABELS,
  MAX_NAME,
  readBoolean,
  readDescription,
  readLabels,
  readPastTime,
  readReferences,
  readText,
  readTime,
  shown,
} from './property.ts';
import { refuseReach } from './reach.ts';
import { dropContradictions, joined, type Noted, noted, withOriginal } from './row.ts';
import { soundReference, withSoundIds } from './stix-id.ts';

/** An object that passes verbatim. Notes: what was repaired or left out, and why its pattern was not split into values. */
export interface Passed {
  object: StixObject;
  notes?: Rejection[];
}

/** The id and version of an object that may be an observation in this or another version; null for all other items. */
export function sourceObjectOf(item: FeedItem): SourceObject | null {
  const object = isJsonObject(item) && 'stix' in item ? item.stix : null;
  if (!isJsonObject(object) || (object['type'] !== 'indicator' && object['type'] !== 'vulnerability')) return null;
  const { id } = object;
  return isStixId(id) ? { id, version: versionOf(object, () => undefined) } : null;
}

/**
 * Turns a STIX object into observations or passes it verbatim. An indicator whose pattern can be split into values
 * (stix/pattern/split.ts) and a vulnerability with a CVE become observations, which merge with those of other feeds; their own
 * ids become references. Everything else passes with its ids made valid (stix-id.ts). Only collections with `objects: all` serve
 * that, so there is a note on an indicator that is not split.
 */
export function normaliseStix(object: JsonObject, feed: FeedDefinition, now: Micros): Noted | Passed | Rejection {
  const reject = (reason: Rejection['reason'], detail: string): Rejection => ({ reason, detail, row: rowText(object) });
  const { type, pattern } = object;
  if (type === 'indicator') {
    const language = object['pattern_type'] ?? 'stix';
    if (typeof pattern !== 'string') return reject('bad-stix', 'an indicator without a pattern');
    if (language !== 'stix') return passUnsplit(object, `pattern_type ${shown(language)}`, feed);
    const reading = readPattern(pattern);
    if ('values' in reading) return observe(reading.values, object, feed, now);
    return reading.isStix ? passUnsplit(object, reading.fault, feed) : reject('unsupported-pattern', reading.fault);
  }
  const cve = type === 'vulnerability' ? cveOf(object) : null;
  if (cve !== null) return observe([{ types: ['cve'], value: cve, labels: [] }], object, feed, now);
  return pass(object, feed);
}

function pass(object: JsonObject, feed: FeedDefinition): Passed | Rejection {
  const faults: string[] = [];
  const checked = checkStixObject(withSoundIds(object, feed.name), (fault) => faults.push(fault));
  if ('reason' in checked) return { ...checked, row: rowText(object) };
  if (object['id'] !== checked.id)
    faults.unshift(`id: ${shown(object['id'])} is no ${checked.type}-- with a UUID; served as ${checked.id}`);
  if (faults.length === 0) return { object: checked };
  return { object: checked, notes: [{ reason: 'bad-property', detail: joined(faults), row: rowText(object) }] };
}

function passUnsplit(object: JsonObject, fault: string, feed: FeedDefinition): Passed | Rejection {
  const passed = pass(object, feed);
  if ('reason' in passed) return passed;
  const detail = `${fault}; served only as it came, where a collection has objects: all`;
  const unsplit: Rejection = { reason: 'unsupported-pattern', detail, row: rowText(object) };
  return { ...passed, notes: [unsplit, ...(passed.notes ?? [])] };
}

/** The CVE that a vulnerability is about, by its name or its references; null for none and for several. */
function cveOf(object: JsonObject): string | null {
  const { name, external_references: references } = object;
  if (typeof name === 'string' && isCve(name.trim().toUpperCase())) return name.trim();
  const ids = (Array.isArray(references) ? references : []).flatMap((reference) => {
    const id = isJsonObject(reference) && reference['source_name'] === 'cve' ? reference['external_id'] : null;
    return typeof id === 'string' && isCve(id.toUpperCase()) ? [id.toUpperCase()] : [];
  });
  return new Set(ids).size === 1 ? (ids[0] ?? null) : null;
}

/** Makes one observation for each value. A value that can't be read becomes a note if others can. */
function observe(
  values: readonly PatternValue[],
  object: JsonObject,
  feed: FeedDefinition,
  now: Micros,
): Noted | Rejection {
  const found: (Canonical & Pick<PatternValue, 'labels' | 'value'>)[] = [];
  const refused: Refusal[] = [];
  for (const { types, value, labels } of values) {
    const read = canonical(types, value);
    const refusal = 'rejection' in read ? read.rejection : refuseReach(read.observable, feed.reach);
    if (refusal !== null) refused.push(refusal);
    else found.push({ ...(read as Canonical), labels, value });
  }
  const [first] = refused;
  if (found.length === 0 && first !== undefined) return { ...first, row: rowText(object) };
  const faults: string[] = [];
  const common = readObject(object, feed, now, (property, fault) => faults.push(`${property}: ${fault}`));
  const observations = new Map<string, Observation>();
  for (const one of found) {
    const observation = observationOf(one, common, (property, fault) => faults.push(`${property}: ${fault}`));
    const same = observations.get(observation.key);
    if (same === undefined) observations.set(observation.key, observation);
    else same.labels = [...new Set([...same.labels, ...observation.labels])].sort().slice(0, MAX_LABELS);
  }
  return noted([...observations.values()], faults, object, refused);
}

type CommonParts = Omit<Observation, 'key' | 'observable'>;

/** An observation of one value. The pattern's own labels and a port behind the address are added to the object's labels. */
function observationOf(
  { observable, port, labels: own, value }: Canonical & Pick<PatternValue, 'labels' | 'value'>,
  common: CommonParts,
  complain: Complain,
): Observation {
  const key = observableKey(observable);
  // A name that is only the value is dropped: the value is served as the name where there is none.
  const name = common.name === observable.value ? null : common.name;
  const source = withOriginal(common.source, observable, value);
  if (own.length === 0 && port === undefined) return { ...common, key, observable, name, source };
  const added = port === undefined ? own : [...own, `port:${port}`];
  const labels = [...new Set([...readLabels(added, complain).labels, ...common.labels])].slice(0, MAX_LABELS).sort();
  return { ...common, key, observable, name, labels, source };
}

/** What all observations of an object have in common. */
function readObject(object: JsonObject, feed: FeedDefinition, now: Micros, complain: Complain): CommonParts {
  const { labels, tlp: labelled } = readLabels(object['labels'], complain);
  const marked = readMarkings(object, feed, complain);
  const confidence = readConfidence(object['confidence']);
  if (confidence === undefined) complain('confidence', `${shown(object['confidence'])} is not 0 to 100`);
  const sourceId = readText(object['id'], MAX_NAME, 'id', complain);
  const references = referencesOf(object, sourceId, feed, complain);
  const common: CommonParts = {
    confidence: confidence ?? null,
    tlp: stricter(marked.tlp, labelled),
    firstSeen: readPastTime(object['created'], now, 'created', complain),
    lastSeen: null,
    validFrom: readTime(object['valid_from'], 'valid_from', complain),
    validUntil: readTime(object['valid_until'], 'valid_until', complain),
    revoked: readBoolean(object['revoked'], 'revoked', complain),
    sourceId,
    version: versionOf(object, complain),
    others: [],
    reportedAt: now,
    source: { feed_name: feed.title },
    name: readText(object['name'], MAX_NAME, 'name', complain),
    description: readDescription(object['description'], complain),
    labels,
    references: references.filter((reference) => techniqueOf(reference) === null),
    techniques: techniquesOf(references),
    kept: keptOf(object, marked.others, complain),
  };
  dropContradictions(common, complain);
  return common;
}

/** The version of an object (STIX 2.1 section 3.6). A `modified` that means "for ever" gives none; `created` does not replace it. */
export function versionOf({ modified, created }: JsonObject, complain: Complain): Micros | null {
  return isNothing(modified) ? readTime(created, 'created', () => undefined) : readTime(modified, 'modified', complain);
}

/** The upstream's own id first, then its references. */
function referencesOf(
  object: JsonObject,
  id: string | null,
  feed: FeedDefinition,
  complain: Complain,
): ExternalReference[] {
  const own = id === null ? null : normaliseReference({ source_name: feed.title, external_id: id });
  const references = readReferences(object['external_references'], feed.title, complain);
  return own === null ? references : [own, ...references];
}

/** The ATT&CK techniques among the references. The renderer makes references from them, so that those of two feeds merge. */
function techniquesOf(references: readonly ExternalReference[]): string[] {
  return [...new Set(references.flatMap((reference) => techniqueOf(reference) ?? []))].sort();
}

function techniqueOf({ source_name: source, external_id: id }: ExternalReference): string | null {
  return source === 'mitre-attack' && id !== undefined && /^T\d{4}(?:\.\d{3})?$/.test(id) ? id : null;
}

/** The markings of an object and of its parts. A TLP marking that can't be read counts as red. */
function readMarkings(
  object: JsonObject,
  feed: FeedDefinition,
  complain: Complain,
): Pick<ObjectMarkings, 'tlp' | 'others'> {
  const { tlp, others, unreadable } = objectMarkings(object);
  if (unreadable.length > 0)
    complain('object_marking_refs', `${shown(unreadable[0])} is not read and is taken for red`);
  if (others.length === 0) return { tlp, others };
  const sound = others.map((ref) => soundReference(ref, feed.name) as string);
  if (sound.some((ref, i) => ref !== others[i])) complain('object_marking_refs', 'a marking that is no STIX id');
  return { tlp, others: sound };
}

const MAX_KEPT = 16_000;
/** Names that STIX 2.1 sections 3.2 and 11.1 reserve, and markings of parts, whose targets are not kept. */
const neverKept = new Set(['granular_markings', 'severity', 'action', 'username', 'phone_numbers']);

/**
 * Properties that Sluice doesn't model and that are valid in any STIX object; null when there are none. Markings that are not
 * TLP come first, where the renderer looks for them; all others are sorted.
 */
function keptOf(object: JsonObject, statements: string[], complain: Complain): JsonObject | null {
  const kept: JsonObject = {};
  if (statements.length > 0) kept['object_marking_refs'] = statements;
  const names = Object.keys(object).filter((name) => !ownProperties.has(name) && !neverKept.has(name));
  for (const name of names.sort()) {
    const value = object[name] as Json;
    if (name === 'object_marking_refs' || isEmpty(value)) continue;
    if (isKeepable(name, value)) kept[name] = sortMembers(value) as Json;
    else complain(name, `${shown(value)} is not valid there`);
  }
  if (Object.keys(kept).length === 0) return null;
  const size = JSON.stringify(kept).length;
  if (size <= MAX_KEPT) return kept;
  complain('kept properties', `${size} characters, more than ${MAX_KEPT}`);
  return statements.length > 0 ? { object_marking_refs: statements } : null;
}

function isEmpty(value: Json): boolean {
  return value === null || value === '' || (Array.isArray(value) && value.length === 0);
}

/** Properties that would make readers refuse the indicator are not kept. */
function isKeepable(name: string, value: Json): boolean {
  if (!isWhole(value, 0)) return false;
  // The most frequent by far.
  if (name === 'indicator_types') return isTexts(value);
  if (name === 'lang') return typeof value === 'string' && languages.has(value);
  return /^[a-z][a-z0-9_]{2,249}$/.test(name) && isPropertySound(name, value);
}

function isTexts(value: Json): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '');
}

/** Is it without nulls, empty lists and lone surrogates (STIX 2.1 section 2), and at most 8 levels deep? */
function isWhole(value: Json, depth: number): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value !== 'object') return true;
  if (value === null || depth > 8) return false;
  if (!Array.isArray(value) && !Object.keys(value).every((name) => name.isWellFormed())) return false;
  const members = Array.isArray(value) ? value : Object.values(value);
  return members.length > 0 && members.every((member) => isWhole(member, depth + 1));
}
