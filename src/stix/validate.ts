import { isJsonObject, type Json, type JsonObject } from '../model/json.ts';
import { MAX_REJECTED_ROW, type Rejection, type RejectionReason, type StixObject } from '../model/observation.ts';
import { parseTimestamp } from '../model/timestamp.ts';
import { isStixId } from './id.ts';

/**
 * Is this STIX that readers of TAXII can take? Structure only: ids, types, versions, times, sizes. What the properties of
 * each type mean is the upstream's word.
 */

/** Serialised size in characters; a report that refers to tens of thousands of objects is the largest known. */
export const MAX_STIX_OBJECT = 1_000_000;
const MAX_DEPTH = 32;

const TYPE = /^[a-z][a-z0-9-]{1,248}[a-z0-9]$/;
/** STIX 2.1 section 2.15, as `created` and `modified` need it: at least three digits (section 3.2), UTC. */
const STIX_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3,9}Z$/;
const PROPERTY = /^[a-z0-9_]{1,250}$/;

/** Cyber-observable objects (STIX 2.1 section 6): `spec_version` is optional, and they have no `created`. */
const observables = new Set([
  'artifact',
  'autonomous-system',
  'directory',
  'domain-name',
  'email-addr',
  'email-message',
  'file',
  'ipv4-addr',
  'ipv6-addr',
  'mac-addr',
  'mutex',
  'network-traffic',
  'process',
  'software',
  'url',
  'user-account',
  'windows-registry-key',
  'x509-certificate',
]);

/**
 * A STIX 2.1 object as it may pass verbatim, or why not. Nulls and empty lists, which STIX forbids (section 2) and many
 * tools write for "nothing", are taken out; so is a `created_by_ref` that is no id. Nothing else is touched.
 */
export function checkStixObject(object: JsonObject): StixObject | Rejection {
  const reject = (reason: RejectionReason, detail: string): Rejection => ({ reason, detail, row: rowText(object) });
  const raw = withoutNothing(object, 0);
  if (raw === undefined) return reject('bad-stix', `nested deeper than ${MAX_DEPTH}`);
  if (!isJsonObject(raw)) return reject('bad-stix', 'an object without properties');
  if (raw['created_by_ref'] !== undefined && !isStixId(raw['created_by_ref'])) delete raw['created_by_ref'];
  const { type, id } = raw;
  const fault = faultOf(raw);
  if (fault !== null || typeof type !== 'string' || typeof id !== 'string')
    return reject('bad-stix', fault ?? 'no type');
  const size = JSON.stringify(raw).length;
  if (size > MAX_STIX_OBJECT) return reject('too-long', `${size} characters, more than ${MAX_STIX_OBJECT}`);
  return { id, type, version: textOf(raw['modified']) ?? textOf(raw['created']), raw };
}

/** What is wrong with the object, in one line; null when nothing is. */
function faultOf(raw: JsonObject): string | null {
  const { type, id } = raw;
  if (typeof type !== 'string' || !TYPE.test(type)) return 'no valid type';
  if (type === 'bundle') return 'a bundle inside of what should be objects';
  if (!isStixId(id, type)) return `id ${shorten(id)} is not ${type}-- and a UUID`;
  const isObservable = observables.has(type);
  const specVersion = raw['spec_version'];
  if (specVersion !== '2.1' && !(isObservable && specVersion === undefined)) {
    return `spec_version ${shorten(specVersion)} is not 2.1`;
  }
  const badName = Object.keys(raw).find((name) => !PROPERTY.test(name));
  if (badName !== undefined) return `property name ${shorten(badName)}`;
  return faultOfTimes(raw, type, isObservable) ?? faultOfRefs(raw);
}

function faultOfTimes(raw: JsonObject, type: string, isObservable: boolean): string | null {
  const { created, modified } = raw;
  // A custom type may be an observable, which has neither.
  const optional = isObservable || type.startsWith('x-') || raw['extensions'] !== undefined;
  if (created === undefined && !optional) return 'no created';
  if (modified === undefined && !optional && type !== 'marking-definition') return 'no modified';
  for (const [name, value] of [
    ['created', created],
    ['modified', modified],
  ] as const) {
    if (value !== undefined && !isStixTime(value)) return `${name} ${shorten(value)} is no STIX timestamp`;
  }
  if (typeof created === 'string' && typeof modified === 'string') {
    if ((parseTimestamp(modified) ?? 0) < (parseTimestamp(created) ?? 0)) return 'modified before created';
  }
  return null;
}

function isStixTime(value: Json): boolean {
  return typeof value === 'string' && STIX_TIME.test(value) && parseTimestamp(value) !== undefined;
}

/** Properties named `_ref` and `_refs` hold ids (STIX 2.1 section 2.9). */
function faultOfRefs(raw: JsonObject): string | null {
  for (const [name, value] of Object.entries(raw)) {
    if (name.endsWith('_ref') && !isStixId(value)) return `${name} ${shorten(value)} is no STIX id`;
    if (name.endsWith('_refs')) {
      const bad = Array.isArray(value) ? value.find((ref) => !isStixId(ref)) : value;
      if (bad !== undefined) return `${name} ${shorten(bad)} is no STIX id`;
    }
  }
  return null;
}

/** The value without nulls and empty lists at any depth; null for one that is nothing; undefined when it is too deep. */
function withoutNothing(value: Json, depth: number): Json | undefined {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > MAX_DEPTH) return undefined;
  if (Array.isArray(value)) {
    const items: Json[] = [];
    for (const item of value) {
      const kept = withoutNothing(item, depth + 1);
      if (kept === undefined) return undefined;
      if (kept !== null) items.push(kept);
    }
    return items.length === 0 ? null : items;
  }
  const object: JsonObject = {};
  for (const [name, member] of Object.entries(value)) {
    const kept = withoutNothing(member, depth + 1);
    if (kept === undefined) return undefined;
    // defineProperty's meaning, not an assignment's: `__proto__` is a name like any other.
    if (kept !== null)
      Object.defineProperty(object, name, { value: kept, enumerable: true, writable: true, configurable: true });
  }
  return object;
}

/** A row as a rejection keeps it. */
export function rowText(row: unknown): string {
  const text = typeof row === 'string' ? row : wholeText(row);
  return text.slice(0, MAX_REJECTED_ROW).toWellFormed();
}

/** The JSON of anything that a feed may hold, uncut; never throws, however deep it is. */
export function wholeText(row: unknown): string {
  try {
    return JSON.stringify(row) ?? String(row);
  } catch {
    // Too deep for the stack, or a bigint: nothing that JSON can hold.
    return '(not JSON)';
  }
}

function shorten(value: unknown): string {
  const text = rowText(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function textOf(value: Json | undefined): string | null {
  return typeof value === 'string' ? value : null;
}
