import { isJsonObject, type Json, type JsonObject, sortMembers } from '../../model/json.ts';
import { STIX_SCO_NAMESPACE, uuidV5 } from '../../stix/id.ts';

/** Most observables that one observed-data is taken apart for. */
const MAX_OBSERVABLES = 256;

/** Gives an object of STIX 2.0 the form of STIX 2.1 where that takes more than a repair (stix/repair.ts); any other as it is. */
export function lift(object: JsonObject): JsonObject[] {
  const { type, pattern } = object;
  if (type === 'observed-data') return liftObserved(object);
  if (type !== 'indicator' || typeof pattern !== 'string' || !OLD_TIMES.test(pattern)) return [object];
  return [{ ...object, pattern: pattern.replaceAll(new RegExp(OLD_TIMES, 'g'), '$1t$2t$3') }];
}

/** STIX 2.0 writes the times of a qualifier as texts (2.0 part 5, section 4.1), STIX 2.1 as times (section 9.3). */
const OLD_TIMES = /([\])]\s*START\s+)('[^']*'\s+STOP\s+)('[^']*')/;

/**
 * An observed-data of STIX 2.0 holds its observables in itself (2.0 part 2, section 2.8). STIX 2.1 has them beside it, each with an id,
 * and `object_refs` to them (2.1 section 4.14). Returns these objects; any other object as it is.
 */
function liftObserved(object: JsonObject): JsonObject[] {
  const { type, id, objects, ...rest } = object;
  if (
    type !== 'observed-data' ||
    typeof id !== 'string' ||
    !isJsonObject(objects) ||
    object['object_refs'] !== undefined
  ) {
    return [object];
  }
  const keys = Object.keys(objects);
  if (keys.length === 0 || keys.length > MAX_OBSERVABLES) return [object];
  const lifted = new Map<string, JsonObject | null>();
  const lift = (key: string): JsonObject | null => {
    const known = lifted.get(key);
    if (known !== undefined) return known;
    // An observable that refers to itself, by way of others, has no id to refer to yet.
    lifted.set(key, null);
    const made = liftOne(objects[key], `${id} ${key}`, (name) => (Object.hasOwn(objects, name) ? lift(name) : null));
    lifted.set(key, made);
    return made;
  };
  const observables = keys.map(lift);
  // What can't be taken apart whole is left to the validator, which says why.
  if (observables.some((one) => one === null)) return [object];
  const whole = observables.filter((one) => one !== null);
  return [...whole, { type, id, ...rest, object_refs: whole.map((one) => one['id'] as string) }];
}

/** Null for what is no observable. */
function liftOne(value: Json | undefined, place: string, of: (key: string) => JsonObject | null): JsonObject | null {
  if (!isJsonObject(value) || typeof value['type'] !== 'string') return null;
  const { type, ...given } = value;
  const properties = withRefs(given, of);
  if (type === 'process' && properties['binary_ref'] !== undefined) {
    properties['image_ref'] ??= properties['binary_ref'];
    delete properties['binary_ref'];
  }
  return { type, id: `${type}--${uuidOf(type, properties, place)}`, spec_version: '2.1', ...properties };
}

/** Keys of other observables become their ids; a reference to what is not there is left out. */
function withRefs(properties: JsonObject, of: (key: string) => JsonObject | null): JsonObject {
  const entries = Object.entries(properties).map(([name, value]): [string, Json | undefined] => {
    if (name.endsWith('_ref') && typeof value === 'string') return [name, of(value)?.['id']];
    if (name.endsWith('_refs') && Array.isArray(value)) {
      return [name, value.flatMap((key) => (typeof key === 'string' ? (of(key)?.['id'] ?? []) : []))];
    }
    if (Array.isArray(value)) return [name, value.map((one) => (isJsonObject(one) ? withRefs(one, of) : one))];
    return [name, isJsonObject(value) ? withRefs(value, of) : value];
  });
  return Object.fromEntries(entries.filter((entry): entry is [string, Json] => entry[1] !== undefined));
}

/** What the id of an observable is made from (STIX 2.1 section 2.9 and chapter 6). */
const contributing: Record<string, readonly string[]> = {
  artifact: ['hashes', 'payload_bin'],
  'autonomous-system': ['number'],
  directory: ['path'],
  'domain-name': ['value'],
  'email-addr': ['value'],
  'email-message': ['from_ref', 'subject', 'body'],
  file: ['hashes', 'name', 'extensions', 'parent_directory_ref'],
  'ipv4-addr': ['value'],
  'ipv6-addr': ['value'],
  'mac-addr': ['value'],
  mutex: ['name'],
  'network-traffic': ['start', 'end', 'src_ref', 'dst_ref', 'src_port', 'dst_port', 'protocols', 'extensions'],
  software: ['name', 'cpe', 'swid', 'vendor', 'version'],
  url: ['value'],
  'user-account': ['account_type', 'user_id', 'account_login'],
  'windows-registry-key': ['key', 'values'],
  'x509-certificate': ['hashes', 'serial_number'],
};

const HASHES = ['MD5', 'SHA-1', 'SHA-256', 'SHA-512'];

function uuidOf(type: string, properties: JsonObject, place: string): string {
  const names = Object.hasOwn(contributing, type) ? (contributing[type] ?? []) : [];
  const said = names
    .filter((name) => properties[name] !== undefined)
    .map((name) => [name, partOf(name, properties[name])]);
  if (said.length > 0) return uuidV5(STIX_SCO_NAMESPACE, JSON.stringify(sortMembers(Object.fromEntries(said))));
  // Without them it is version 4 in form, the same whenever this object comes.
  const uuid = uuidV5(STIX_SCO_NAMESPACE, `observable ${place}`);
  return `${uuid.slice(0, 14)}4${uuid.slice(15)}`;
}

/** Of several hashes, one counts (section 2.9). */
function partOf(name: string, value: Json | undefined): Json | undefined {
  if (name !== 'hashes' || !isJsonObject(value)) return value;
  const chosen = HASHES.find((hash) => Object.hasOwn(value, hash)) ?? Object.keys(value).sort()[0];
  return chosen === undefined ? value : { [chosen]: value[chosen] as Json };
}
