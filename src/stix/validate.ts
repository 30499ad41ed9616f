import type { Json, JsonObject } from '../model/json.ts';
import { MAX_REJECTED_ROW, type Rejection, type RejectionReason, type StixObject } from '../model/observation.ts';
import { isStixId } from './id.ts';
import { objectMarkings, tlpOfLabels } from './marking.ts';
import { tlpOfDefinition } from './marking-definition.ts';
import { repair, type Tell } from './repair.ts';
import { ruleFault } from './rules.ts';
import { type SchemaFault, schemaFault } from './schema.ts';

/**
 * Checks that strict readers take a STIX object. First it is repaired where that needs no guess (repair.ts). Then invalid properties are
 * left out if the object is valid without them. Any other invalid object is refused.
 */

/** Largest object in characters of JSON: the largest that are known are reports that refer to tens of thousands of objects. */
export const MAX_STIX_OBJECT = 1_000_000;
/** Invalid parts that are left out of one object. An object with more is refused. */
const MOST_LEFT_OUT = 32;

const TYPE = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/;

/** Properties that are never left out: without them the object would mean something else, or reach other readers. */
const decisive: ReadonlySet<string> = new Set([
  'type',
  'id',
  'spec_version',
  'created',
  'modified',
  'revoked',
  'valid_until',
  'object_marking_refs',
  'granular_markings',
]);

/** Returns the object as it may be passed on, or why it is refused. `tell` is called for each change. */
export function checkStixObject(object: JsonObject, tell: Tell = () => undefined): StixObject | Rejection {
  const reject = (reason: RejectionReason, detail: string): Rejection => ({ reason, detail, row: rowText(object) });
  const raw = repair(object, tell);
  if (raw === undefined) return reject('bad-stix', 'nested too deep');
  const size = JSON.stringify(raw).length;
  if (size > MAX_STIX_OBJECT) return reject('too-long', `${size} characters, more than ${MAX_STIX_OBJECT}`);
  const [unread] = objectMarkings(raw).unreadable;
  if (unread !== undefined) tell(`object_marking_refs: ${shorten(unread)} is not read and is taken for red`);
  const level = levelsOf(raw);
  const unnamed = identityFault(raw);
  // STIX has no other TLP definitions than OASIS' own. Those of publishers are read, whatever their form, and never passed on.
  const isRead = raw['type'] === 'marking-definition' && tlpOfDefinition(raw) !== null;
  const fault = unnamed ?? (isRead ? null : leaveOutFaults(raw, tell));
  if (fault === null && levelsOf(raw) !== level) return reject('bad-stix', 'what tells its TLP level is at fault');
  const { type, id, modified, created } = raw;
  if (fault !== null || typeof type !== 'string' || typeof id !== 'string')
    return reject('bad-stix', fault ?? 'no type');
  return { id, type, version: textOf(modified) ?? textOf(created), raw };
}

/** What the object's labels or definition say of its TLP level, to see whether a repair changed it. */
function levelsOf(raw: JsonObject): string {
  const ofDefinition = raw['type'] === 'marking-definition' ? tlpOfDefinition(raw) : null;
  return JSON.stringify([tlpOfLabels(raw['labels']), ofDefinition]);
}

/** A fault in the object's type, id or version of STIX; null for none. */
function identityFault({ type, id, spec_version: version }: JsonObject): string | null {
  if (typeof type !== 'string' || !TYPE.test(type) || type.length < 3 || type.length > 250) return 'no valid type';
  if (type === 'bundle') return 'a bundle inside of what should be objects';
  if (!isStixId(id, type)) return `id ${shorten(id)} is not ${type}-- and a UUID`;
  if (version !== undefined && version !== '2.1') return `spec_version ${shorten(version)} is not 2.1`;
  return null;
}

/** Leaves out invalid properties while the object is valid without them. Returns the first fault that remains; null for none. */
function leaveOutFaults(raw: JsonObject, tell: Tell): string | null {
  for (let left = MOST_LEFT_OUT; ; left -= 1) {
    const found = schemaFault(raw) ?? refFault(raw) ?? ruleFault(raw);
    if (found === null) return null;
    const [property, item] = found.path;
    if (left === 0 || property === undefined || decisive.has(property) || !Object.hasOwn(raw, property))
      return found.fault;
    tell(`${found.fault}; left out`);
    const value = raw[property];
    if (Array.isArray(value) && value.length > 1 && item !== undefined) {
      raw[property] = value.filter((_, at) => at !== Number(item));
    } else delete raw[property];
  }
}

/** A property named `_ref` or `_refs` without STIX ids (STIX 2.1 section 2.9). Custom properties are checked as well. */
function refFault(raw: JsonObject): SchemaFault | null {
  for (const [name, value] of Object.entries(raw)) {
    const isBad = name.endsWith('_ref')
      ? !isStixId(value)
      : name.endsWith('_refs') && !(Array.isArray(value) && value.every((ref) => isStixId(ref)));
    if (isBad) return { path: [name], fault: `${name}: ${shorten(value)} is no STIX id` };
  }
  return null;
}

/** The text of a row as a rejection keeps it, cut to MAX_REJECTED_ROW. */
export function rowText(row: unknown): string {
  const text = typeof row === 'string' ? row : wholeText(row);
  return text.slice(0, MAX_REJECTED_ROW).toWellFormed();
}

/** The JSON of any value, uncut. Never throws. */
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
