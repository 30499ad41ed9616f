import type { Json, JsonObject } from '../../src/model/json.ts';
import { uuidOf } from './store.ts';

/** STIX objects of every type, sound ones and what upstreams make of them. */

const TIME = '2025-11-20T03:04:05.000Z';
const LATER = '2025-11-20T03:04:06.000Z';
const ref = (type: string): string => `${type}--${uuidOf(`ref ${type}`)}`;

const domainObjects: Record<string, JsonObject> = {
  'attack-pattern': { name: 'a', kill_chain_phases: [{ kill_chain_name: 'k', phase_name: 'p' }] },
  campaign: { name: 'c', first_seen: TIME, last_seen: LATER, aliases: ['x'] },
  'course-of-action': { name: 'c' },
  grouping: { context: 'suspicious-activity', object_refs: [ref('malware')] },
  identity: { name: 'i', identity_class: 'organization' },
  incident: { name: 'i' },
  indicator: {
    pattern: "[mutex:name = 'a'] FOLLOWEDBY [file:name = 'b']",
    pattern_type: 'stix',
    valid_from: TIME,
    valid_until: LATER,
  },
  infrastructure: { name: 'i', first_seen: TIME, last_seen: LATER },
  'intrusion-set': { name: 'i', goals: ['g'] },
  location: { region: 'western-europe', latitude: 48.1, longitude: 11.5, precision: 10 },
  malware: { name: 'm', is_family: true, capabilities: ['evades-av'] },
  'malware-analysis': { product: 'p', result: 'benign', submitted: TIME },
  note: { content: 'c', object_refs: [ref('malware')] },
  'observed-data': { first_observed: TIME, last_observed: LATER, number_observed: 1, object_refs: [ref('ipv4-addr')] },
  opinion: { opinion: 'agree', object_refs: [ref('malware')] },
  report: { name: 'r', published: TIME, object_refs: [ref('malware')] },
  'threat-actor': { name: 't', roles: ['agent'] },
  tool: { name: 't', tool_version: '1' },
  vulnerability: { name: 'v' },
  relationship: {
    relationship_type: 'uses',
    source_ref: ref('malware'),
    target_ref: ref('tool'),
    start_time: TIME,
    stop_time: LATER,
  },
  sighting: { sighting_of_ref: ref('malware'), count: 1, first_seen: TIME, last_seen: LATER },
  'marking-definition': { definition_type: 'statement', definition: { statement: 's' } },
  'language-content': { object_ref: ref('malware'), contents: { de: { name: 'Name' } } },
  'extension-definition': {
    name: 'e',
    schema: 's',
    version: '1.0.0',
    extension_types: ['property-extension'],
    created_by_ref: ref('identity'),
  },
  'x-acme-thing': { name: 'x', x_acme_score: 1 },
};

const observableObjects: Record<string, JsonObject> = {
  artifact: { mime_type: 'image/png', payload_bin: 'VBORw0K=' },
  'autonomous-system': { number: 64496, name: 'AS' },
  directory: { path: '/tmp', path_enc: 'UTF-8' },
  'domain-name': { value: 'a.example.com' },
  'email-addr': { value: 'a@example.com' },
  'email-message': { is_multipart: false, subject: 's', body: 'b', date: TIME },
  file: { name: 'f', hashes: { MD5: 'd41d8cd98f00b204e9800998ecf8427e' } },
  'ipv4-addr': { value: '198.51.100.1' },
  'ipv6-addr': { value: '2001:db8::1' },
  'mac-addr': { value: 'd2:fb:49:24:37:18' },
  mutex: { name: 'm' },
  'network-traffic': { src_ref: ref('ipv4-addr'), protocols: ['tcp'], start: TIME, end: LATER, is_active: false },
  process: { pid: 1 },
  software: { name: 's', cpe: 'cpe:2.3:a:microsoft:word:2000:*:*:*:*:*:*:*', languages: ['en'] },
  url: { value: 'https://example.com/' },
  'user-account': { user_id: 'u', account_created: TIME },
  'windows-registry-key': { key: 'hkey_local_machine\\x', modified_time: TIME },
  'x509-certificate': { serial_number: '36', validity_not_before: TIME },
};

/** A sound object of each type, all under other ids. */
export function soundObjects(name: string): JsonObject[] {
  const id = (type: string): string => {
    const uuid = uuidOf(`${name} ${type}`);
    return `${type}--${uuid.slice(0, 14)}4${uuid.slice(15)}`;
  };
  const common = { spec_version: '2.1', created: TIME, modified: LATER };
  const own = Object.entries(domainObjects).map(([type, more]): JsonObject => {
    const { modified: _, ...marking } = common;
    return { type, id: id(type), ...(type === 'marking-definition' ? marking : common), ...more };
  });
  const observed = Object.entries(observableObjects).map(([type, more]) => ({ type, id: id(type), ...more }));
  return [...own, ...observed];
}

const deep = (depth: number): Json => (depth === 0 ? 1 : { a: deep(depth - 1) });

/** What is done to a sound object, by a name that tells it apart. */
export const harms: Record<string, (object: JsonObject) => JsonObject> = {
  none: (object) => object,
  'bad id': (object) => ({ ...object, id: `${object['type']}--no-uuid` }),
  'id of another type': (object) => ({ ...object, id: `tool--${uuidOf(JSON.stringify(object))}` }),
  'old version': ({ spec_version: _, ...object }) => object,
  'version 2.0': (object) => ({ ...object, spec_version: '2.0', labels: ['trojan', 'hacker'] }),
  'version 3': (object) => ({ ...object, spec_version: '3.0' }),
  'nothing but its name': ({ type, id, created, modified, spec_version }) =>
    ({ type, id, created, modified, spec_version }) as JsonObject,
  'no modified': ({ modified: _, ...object }) => object,
  'no created': ({ created: _, ...object }) => object,
  'time order': (object) => ({ ...object, created: LATER, modified: TIME, first_seen: LATER, last_seen: TIME }),
  'times swapped': (object) =>
    map(object, (value, name) =>
      name === 'created' ? value : value === TIME ? LATER : value === LATER ? TIME : value,
    ),
  'time offset': (object) => map(object, (value) => (value === TIME ? '2025-11-20T04:04:05+01:00' : value)),
  'time without fraction': (object) => map(object, (value) => (value === TIME ? '2025-11-20T03:04:05Z' : value)),
  'time too fine': (object) => map(object, (value) => (value === TIME ? '2025-11-20T03:04:05.123456789Z' : value)),
  'no such day': (object) =>
    map(object, (value, name) => (value === TIME && name !== 'created' ? '2025-02-30T03:04:05.000Z' : value)),
  'leap second': (object) =>
    map(object, (value, name) => (value === TIME && name !== 'created' ? '2016-12-31T23:59:60.000Z' : value)),
  'time that is none': (object) =>
    map(object, (value, name) => (value === TIME && name !== 'created' ? 'yesterday' : value)),
  'year before 1970': (object) => map(object, (value) => (value === TIME ? '1969-01-01T00:00:00.000Z' : value)),
  numbers: (object) => map(object, (value, name) => (typeof value === 'string' && !decisive.has(name) ? 7 : value)),
  texts: (object) =>
    map(object, (value) => (typeof value === 'number' || typeof value === 'boolean' ? String(value) : value)),
  'texts for lists': (object) => map(object, (value) => (Array.isArray(value) ? String(value[0]) : value)),
  'lists for texts': (object) =>
    map(object, (value, name) => (typeof value === 'string' && !decisive.has(name) ? [value] : value)),
  'empty lists': (object) => map(object, (value) => (Array.isArray(value) ? [] : value)),
  'nulls inside': (object) => ({ ...object, labels: [null, 'a'], x_acme: { a: null, b: [null] }, aliases: null }),
  'empty texts': (object) =>
    map(object, (value, name) => (typeof value === 'string' && !decisive.has(name) ? '' : value)),
  'bad references': (object) =>
    map(object, (value, name) => (/_refs?$/.test(name) ? (Array.isArray(value) ? ['x'] : 'x') : value)),
  'references to anything': (object) =>
    map(object, (value, name) => {
      const other = ref('marking-definition');
      return /_refs?$/.test(name) && name !== 'object_marking_refs' ? (Array.isArray(value) ? [other] : other) : value;
    }),
  'bad common': (object) => ({
    ...object,
    confidence: 101,
    lang: 'xx-klingon',
    labels: 'x',
    revoked: 'maybe',
    created_by_ref: 'acme',
    external_references: [
      { source_name: 'cve', external_id: 'soon' },
      { source_name: 'x', url: 'not a link' },
      { source_name: 'capec', external_id: 'CAPEC-1' },
      { url: 'https://a.example/' },
      { source_name: 'x', url: 'https://a.example/ü[', description: 'd' },
    ],
  }),
  'reserved names': (object) => ({ ...object, severity: 1, action: 'x', username: 'x', phone_numbers: ['1'] }),
  'bad names': (object) => ({
    ...object,
    x_vendorId: '1',
    'Bad Name': 1,
    a: 1,
    '': 1,
    __proto: 1,
    'x-y': 2,
    '1abc': 3,
    x_BIN: 'x',
  }),
  'bad binary': (object) => ({
    ...object,
    x_acme_bin: 'not base64!',
    x_acme_hex: 'xyz',
    hashes: { md5: 'x', 'bad key!': 'y' },
  }),
  'lone surrogates': (object) => ({
    ...object,
    description: 'a\ud800b',
    'x_\udfff': 1,
    x_text: { '\ud800': ['\udc00'] },
  }),
  'turned text': (object) => ({
    ...object,
    name: 'gpj\u202efdp.exe',
    description: '\u2066a\u0000b\u0007',
    labels: ['\u202ex'],
  }),
  'too deep': (object) => ({ ...object, x_deep: deep(100) }),
  'deep enough': (object) => ({ ...object, x_deep: deep(20) }),
  'marks itself': (object) => ({ ...object, object_marking_refs: [object['id'] as Json] }),
  'bad markings': (object) => ({ ...object, object_marking_refs: ['TLP:AMBER'] }),
  'selectors of nothing': (object) => ({
    ...object,
    granular_markings: [
      { selectors: ['nothing.[3]', 'type'], marking_ref: 'marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487' },
    ],
  }),
  'selectors that are none': (object) => ({
    ...object,
    granular_markings: [
      { selectors: ['Bad Selector'], marking_ref: 'marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487' },
    ],
  }),
  'a part in a language': (object) => ({ ...object, granular_markings: [{ selectors: ['type'], lang: 'de' }] }),
  'bad extensions': (object) => ({
    ...object,
    extensions: { 'my ext': { a: 1 }, [`extension-definition--${uuidOf('e')}`]: { b: 1 } },
  }),
  'good extension': (object) => ({
    ...object,
    extensions: { [`extension-definition--${uuidOf('e')}`]: { extension_type: 'property-extension', rank: 5 } },
  }),
  'old observation': (object) => ({
    ...object,
    objects: { '0': { type: 'ipv4-addr', value: '1.2.3.4' } },
    object_refs: null,
  }),
  'bad pattern': (object) => ({ ...object, pattern: '[foo]', pattern_type: 'stix' }),
  'pattern of nonsense': (object) => ({ ...object, pattern: "[file:name = 'a' AND]", pattern_type: 'stix' }),
  'another language of patterns': (object) => ({
    ...object,
    pattern: 'rule x { condition: true }',
    pattern_type: 'yara',
  }),
  'open words': (object) => ({
    ...object,
    malware_types: ['no-such-word'],
    opinion: 'whatever',
    context: '',
    relationship_type: 'Uses That',
    identity_class: 7,
    number_observed: 0,
    count: -1,
    latitude: 100,
    definition_type: 'licence',
    protocols: ['TCP IP'],
    pid: 'x',
    mime_type: 'x',
    name_enc: '???',
    path_enc: '?',
    cpe: 'cpe:/a:x',
    languages: ['klingon'],
    contents: { xx: { 'Bad Name': 1 } },
  }),
};

const decisive: ReadonlySet<string> = new Set(['type', 'id', 'spec_version', 'created', 'modified', 'pattern_type']);

/** Each property of an object, and each member of the objects inside of it, through `change`. */
function map(object: JsonObject, change: (value: Json, name: string) => Json): JsonObject {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value, name)]));
}
