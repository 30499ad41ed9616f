import { isJsonObject, type Json, type JsonObject } from '../model/json.ts';
import { parseTimestamp } from '../model/timestamp.ts';
import { isUuid } from './id.ts';
import { characterSets, languages, mediaTypes, type SchemaFault, softwareLanguages } from './schema.ts';

/** The rules of STIX 2.1 that no JSON schema expresses: the checks of OASIS' stix2-validator 3.3.2 beside its schemas. */

/** Properties that are timestamps (STIX 2.1 sections 4 to 6), beside those of all objects. */
const timesByType: Record<string, readonly string[]> = {
  campaign: ['first_seen', 'last_seen'],
  directory: ['ctime', 'mtime', 'atime'],
  'email-message': ['date'],
  file: ['ctime', 'mtime', 'atime'],
  indicator: ['valid_from', 'valid_until'],
  infrastructure: ['first_seen', 'last_seen'],
  'intrusion-set': ['first_seen', 'last_seen'],
  'language-content': ['object_modified'],
  malware: ['first_seen', 'last_seen'],
  'malware-analysis': ['submitted', 'analysis_started', 'analysis_ended'],
  'network-traffic': ['start', 'end'],
  'observed-data': ['first_observed', 'last_observed'],
  process: ['created_time'],
  relationship: ['start_time', 'stop_time'],
  report: ['published'],
  sighting: ['first_seen', 'last_seen'],
  'threat-actor': ['first_seen', 'last_seen'],
  'user-account': [
    'account_created',
    'account_expires',
    'credential_last_changed',
    'account_first_login',
    'account_last_login',
  ],
  'windows-registry-key': ['modified_time'],
  'x509-certificate': ['validity_not_before', 'validity_not_after'],
};

export function timesOf(type: string): readonly string[] {
  return ['created', 'modified', ...(Object.hasOwn(timesByType, type) ? (timesByType[type] as string[]) : [])];
}

/** Timestamps inside extensions (sections 6.7.6 and 6.18.3). */
const INNER_TIME = /^(?:time_date_stamp|private_key_usage_period_not_(?:before|after))$/;

/** The first violation of a rule; null for none. The object has to be valid by its schema. */
export function ruleFault(raw: JsonObject): SchemaFault | null {
  return timeFault(raw) ?? orderFault(raw) ?? markingFault(raw) ?? valueFault(raw) ?? identityFault(raw);
}

function timeFault(raw: JsonObject): SchemaFault | null {
  for (const name of timesOf(String(raw['type']))) {
    if (raw[name] !== undefined && !isTime(raw[name]))
      return { path: [name], fault: `${name} is no date that there is` };
  }
  for (const name of ['extensions', 'x509_v3_extensions']) {
    if (!innerTimes(raw[name]).every(isTime)) return { path: [name], fault: `${name} holds a date that there isn't` };
  }
  return null;
}

function innerTimes(value: Json | undefined): Json[] {
  if (!isJsonObject(value)) return [];
  return Object.entries(value).flatMap(([name, member]) => (INNER_TIME.test(name) ? [member] : innerTimes(member)));
}

/** False for a leap second as well: it is a time, but date libraries of readers refuse it. */
function isTime(value: Json | undefined): boolean {
  return typeof value === 'string' && parseTimestamp(value) !== undefined && !/:60(?:\.|Z)/.test(value);
}

/** Pairs of times: the first must not be later than the second, and must be earlier with `strictly`. */
const orders: readonly (readonly [string, string, strictly?: true])[] = [
  ['created', 'modified'],
  ['first_seen', 'last_seen'],
  ['first_observed', 'last_observed'],
  ['valid_from', 'valid_until', true],
  ['start_time', 'stop_time', true],
  ['start', 'end'],
];

function orderFault(raw: JsonObject): SchemaFault | null {
  const times = timesOf(String(raw['type']));
  for (const [first, second, strictly] of orders) {
    if (!times.includes(first) || raw[first] === undefined || raw[second] === undefined) continue;
    const [from, to] = [parseTimestamp(String(raw[first])) ?? 0, parseTimestamp(String(raw[second])) ?? 0];
    if (from > to || (strictly && from === to)) return { path: [first], fault: `${second} before ${first}` };
  }
  return null;
}

function markingFault(raw: JsonObject): SchemaFault | null {
  const { type, id, object_marking_refs: refs, granular_markings: parts } = raw;
  const partRefs = Array.isArray(parts) ? parts.map((part) => (isJsonObject(part) ? part['marking_ref'] : null)) : [];
  const all = [...(Array.isArray(refs) ? refs : []), ...partRefs];
  if (type === 'marking-definition' && all.includes(id ?? null))
    return { path: [], fault: 'a marking that marks itself' };
  for (const part of Array.isArray(parts) ? parts : []) {
    const selectors = isJsonObject(part) && Array.isArray(part['selectors']) ? part['selectors'] : [];
    const bad = selectors.find((selector) => !selects(raw, String(selector)));
    if (bad !== undefined) return { path: ['granular_markings'], fault: `selector ${bad} selects nothing` };
  }
  return null;
}

/** True when the selector of a granular marking selects something (section 7.2.3). */
function selects(raw: JsonObject, selector: string): boolean {
  let value: Json | undefined = raw;
  for (const part of selector.split('.')) {
    const index = /^\[(\d+)\]$/.exec(part)?.[1];
    if (index !== undefined) value = Array.isArray(value) ? value[Number(index)] : undefined;
    else value = isJsonObject(value) && Object.hasOwn(value, part) ? value[part] : undefined;
    if (value === undefined) return false;
  }
  return true;
}

const CPE_PART = String.raw`(?:[\w.?*~!"#$%&'()+,/;<=>@[\]^{|}\x60\\-]|\\:)+`;
const CPE = new RegExp(String.raw`^cpe:2\.3:[aho*-](?::${CPE_PART}){10}$`);
const MAX_CPE = 1000;

function valueFault(raw: JsonObject): SchemaFault | null {
  const { type, lang, mime_type: media, path_enc, name_enc, languages: spoken, cpe } = raw;
  const fault = (name: string, what: string): SchemaFault => ({ path: [name], fault: `${name} is no ${what}` });
  if (lang !== undefined && !languages.has(String(lang))) return fault('lang', 'known language');
  if (type === 'artifact' && media !== undefined && !mediaTypes.has(String(media)))
    return fault('mime_type', 'media type');
  for (const [name, value] of Object.entries({ path_enc, name_enc })) {
    if (value !== undefined && !characterSets.has(String(value))) return fault(name, 'character set');
  }
  if (type === 'software' && Array.isArray(spoken) && !spoken.every((one) => softwareLanguages.has(String(one))))
    return fault('languages', 'list of known languages');
  if (cpe !== undefined && (String(cpe).length > MAX_CPE || !CPE.test(String(cpe))))
    return fault('cpe', 'CPE 2.3 name');
  // `objects` is of STIX 2.0's observed-data and deprecated (section 4.14); readers treat it so in other types as well.
  if (raw['objects'] !== undefined)
    return {
      path: type === 'observed-data' ? [] : ['objects'],
      fault: 'objects: STIX 2.1 has object_refs in its place',
    };
  return type === 'language-content' ? contentsFault(raw['contents']) : null;
}

function contentsFault(contents: Json | undefined): SchemaFault | null {
  if (!isJsonObject(contents)) return { path: [], fault: 'contents is no dictionary' };
  for (const [language, texts] of Object.entries(contents)) {
    const isSound = isJsonObject(texts) && Object.keys(texts).every((name) => /^[a-z0-9_]{3,250}$/.test(name));
    if (!languages.has(language) || !isSound) return { path: [], fault: `contents.${language} can't be read` };
  }
  return null;
}

/** Properties that ids of these observables are made from (section 2.9). With none of them, the id is a random UUID. */
const contributing: Record<string, readonly string[]> = {
  artifact: ['hashes', 'payload_bin'],
  'email-message': ['from_ref', 'subject', 'body'],
  process: [],
  'user-account': ['account_type', 'user_id', 'account_login'],
  'windows-registry-key': ['key', 'values'],
  'x509-certificate': ['hashes', 'serial_number'],
};

function identityFault({ type, id, ...raw }: JsonObject): SchemaFault | null {
  const names = Object.hasOwn(contributing, String(type)) ? contributing[String(type)] : undefined;
  if (names === undefined || names.some((name) => raw[name] !== undefined)) return null;
  const uuid = String(id).slice(-36);
  return isUuid(uuid) && uuid[14] === '4'
    ? null
    : { path: [], fault: `${type} without what its id is made from needs a UUID of version 4` };
}
