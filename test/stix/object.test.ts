import { createHash } from 'node:crypto';
import t from 'tap';
import type { JsonObject } from '../../src/model/json.ts';
import type { ExternalReference, Observation } from '../../src/model/observation.ts';
import { tlpLevels } from '../../src/model/tlp.ts';
import { normaliseReference, referenceUrl, sourceReferences } from '../../src/stix/external-reference.ts';
import {
  collectionIdOf,
  identityId,
  isStixId,
  isUuid,
  objectIdOf,
  STIX_SCO_NAMESPACE,
  uuidV5,
} from '../../src/stix/id.ts';
import { producingIdentity } from '../../src/stix/identity.ts';
import { markingId, markingsUpTo, objectMarkings, tlpOfId, tlpOfLabels } from '../../src/stix/marking.ts';
import { tlpOfDefinition } from '../../src/stix/marking-definition.ts';
import { checkStixObject, MAX_STIX_OBJECT } from '../../src/stix/validate.ts';
import { CREATED, NAMESPACE } from '../helpers/entry.ts';
import { judgeStix } from '../helpers/judge-stix.ts';

const UUID = '28bb3599-77cd-4a82-a950-b5bc3caf07c4';

t.test('UUIDv5 agrees with RFC 9562 and with the STIX observable ids of other libraries', async (t) => {
  const DNS = '6ba7b810-9dad-11d1-80b4-00c04fd430c8';
  t.equal(uuidV5(DNS, 'www.example.com'), '2ed6657d-e927-568b-95e1-2665a8aea6a2', 'RFC 9562 appendix A.4');
  // The namespace may be used to compute an observable's id; these are the ids that stix2 3.0.2 gives.
  t.equal(uuidV5(STIX_SCO_NAMESPACE, '{"value":"198.51.100.3"}'), '28bb3599-77cd-5a82-a950-b5bc3caf07c4');
  t.equal(uuidV5(STIX_SCO_NAMESPACE, '{"value":"http://example.com/"}'), '3013563b-9e18-5ef6-917a-204463f5f419');
  t.equal(uuidV5(STIX_SCO_NAMESPACE, '{"value":"example.com"}'), 'bedb4899-d24b-5401-bc86-8f6b4cc18ec7');
  for (const name of ['ü🎣', 'x'.repeat(1365), 'x'.repeat(1366), '🎣'.repeat(5000)]) {
    const bytes = Buffer.concat([Buffer.from(DNS.replaceAll('-', ''), 'hex'), Buffer.from(name)]);
    const digest = createHash('sha1').update(bytes).digest('hex');
    t.equal(uuidV5(DNS, name).replaceAll('-', '').slice(0, 12), digest.slice(0, 12), `${name.length} characters`);
    t.ok(isUuid(uuidV5(DNS, name)));
  }
  t.throws(() => uuidV5('not-a-uuid', 'x'), { code: 'internal' });
});

t.test('an object id is the same for the same journal, subject and generation, and for nothing else', async (t) => {
  const id = objectIdOf(NAMESPACE, 'pool:main', '[a:b = 1]', 5, 'indicator');
  t.equal(id, objectIdOf(NAMESPACE, 'pool:main', '[a:b = 1]', 5, 'indicator'));
  const others = [
    objectIdOf(UUID, 'pool:main', '[a:b = 1]', 5, 'indicator'),
    objectIdOf(NAMESPACE, 'pool:other', '[a:b = 1]', 5, 'indicator'),
    objectIdOf(NAMESPACE, 'pool:main', '[a:b = 2]', 5, 'indicator'),
    objectIdOf(NAMESPACE, 'pool:main', '[a:b = 1]', 6, 'indicator'),
    identityId(NAMESPACE),
  ];
  t.equal(new Set([id, ...others]).size, 6);
  t.ok(isStixId(id, 'indicator'));
  t.ok(isStixId(objectIdOf(NAMESPACE, 'j', 'CVE-2024-1234', 5, 'vulnerability'), 'vulnerability'));
  t.throws(
    () => objectIdOf(STIX_SCO_NAMESPACE, 'j', 's', 1, 'indicator'),
    { code: 'internal' },
    'STIX 2.1 section 2.9',
  );
  t.throws(() => identityId(STIX_SCO_NAMESPACE), { code: 'internal' });
});

t.test('a collection id is a version 4 UUID in form, fixed per name', async (t) => {
  const names = ['all', 'ips', 'hashes', 'cves', 'ü'];
  const ids = names.map(collectionIdOf);
  for (const id of ids) t.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  t.equal(new Set(ids).size, names.length);
  t.equal(collectionIdOf('all'), ids[0]);
  t.equal(collectionIdOf('all'), '61d4a7bf-7978-4756-a4c5-00b7f909fdd1', 'never changes between releases');
});

t.test('ids are told from what only looks like one', async (t) => {
  t.ok(isUuid(UUID) && isUuid(UUID.toUpperCase()));
  for (const bad of ['', UUID.slice(1), `${UUID}0`, UUID.replaceAll('-', ''), '00000000-0000-0000-0000-000000000000']) {
    t.notOk(isUuid(bad), bad);
  }
  t.ok(isStixId(`x-my-type--${UUID}`));
  t.notOk(isStixId(`identity--${UUID}`, 'indicator'));
  for (const bad of [
    'identity--socdefenders',
    `Identity--${UUID}`,
    `identity-${UUID}`,
    `--${UUID}`,
    `-a--${UUID}`,
    7,
    null,
  ]) {
    t.notOk(isStixId(bad), String(bad));
  }
});

t.test('markings of both TLP versions are read; the strictest wins, on the whole or on a part', async (t) => {
  const tlpOf = (...refs: unknown[]) => objectMarkings({ object_marking_refs: refs as string[] }).tlp;
  for (const tlp of tlpLevels) t.equal(tlpOf(markingId(tlp)), tlp);
  for (const tlp of ['clear', 'green', 'amber', 'red'] as const) t.equal(tlpOf(markingId(tlp, 1)), tlp);
  t.equal(tlpOf(markingId('amber+strict', 1)), 'red', 'never milder where TLP 1 has no such level');
  t.equal(tlpOf(markingId('green'), markingId('amber+strict'), markingId('amber', 1)), 'amber+strict');
  t.equal(tlpOf('marking-definition--826578e1-40ad-459f-bc73-ede076f81f37'), 'amber+strict', "OpenCTI's");
  t.equal(tlpOf(markingId('red').toUpperCase()), 'red');
  t.equal(tlpOf('TLP:GREEN'), 'green', 'a level in the place of an id');
  t.equal(tlpOf(), null);
  const own = `marking-definition--${UUID}`;
  t.same(objectMarkings({ object_marking_refs: [own, markingId('green'), own, null] }), {
    tlp: 'green',
    others: [own],
    unreadable: [],
  });
  t.same(objectMarkings({}), { tlp: null, others: [], unreadable: [] });
  const granular = [
    { selectors: ['description'], marking_ref: markingId('red') },
    { lang: 'en', selectors: ['name'] },
  ];
  t.equal(objectMarkings({ object_marking_refs: [markingId('green')], granular_markings: granular }).tlp, 'red');
  t.same(objectMarkings({ granular_markings: [{ selectors: ['name'], marking_ref: own }] }).others, [own]);
  t.same(objectMarkings({ object_marking_refs: own }).others, [own], 'one reference where a list belongs');
  for (const unreadable of [['no marking'], [3], { tlp: 'red' }, ['marking-definition--'], 7] as never[]) {
    t.equal(objectMarkings({ object_marking_refs: unreadable }).tlp, 'red', JSON.stringify(unreadable));
  }
  t.equal(objectMarkings({ granular_markings: [1] }).tlp, 'red');
  const many = Array.from({ length: 65 }, (_, i) => `marking-definition--${i}`);
  t.match(objectMarkings({ object_marking_refs: many }), {
    tlp: 'red',
    others: many.slice(0, 64),
    unreadable: many.slice(64),
  });
  t.equal(tlpOfLabels(['x', 'tlp:green', { name: 'TLP:AMBER' }, 7]), 'amber');
  t.equal(tlpOfLabels('tlp:purple'), 'red');
  t.equal(tlpOfLabels(['x']), null);
  t.ok(tlpOfId(markingId('clear')) === 'clear' && tlpOfId(own) === null);
});

t.test(
  'a marking definition is read in every way that publishers write TLP; what claims it and says nothing is red',
  async (t) => {
    const extension = 'extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d';
    const definitions: [JsonObject, string | null][] = [
      [{ definition_type: 'tlp', definition: { tlp: 'green' } }, 'green'],
      [{ definition_type: 'TLP', definition: { TLP: 'TLP:AMBER+STRICT' } }, 'amber+strict'],
      [{ definition_type: 'tlp', definition: { tlp: 'white' }, name: 'TLP:WHITE' }, 'clear'],
      [{ definition_type: 'tlp', definition: { tlp: 'green' }, name: 'TLP:RED' }, 'red'],
      [{ definition_type: 'tlp', definition: { tlp: 'chartreuse' } }, 'red'],
      [{ definition_type: 'tlp', definition: { tlp: 7 } }, 'red'],
      [{ definition_type: 'tlp' }, 'red'],
      [{ definition_type: 'tlp', name: 'TLP:AMBER' }, 'amber'],
      [{ definition_type: 'tlp', definition: 'amber' }, 'amber'],
      [{ definition_type: 'statement', definition: { tlp: 'amber' } }, 'amber'],
      [{ definition_type: 'statement', definition: { statement: 'TLP:AMBER' } }, 'amber'],
      [{ definition_type: 'statement', definition: { statement: 'TLP:CLEAR for members only' } }, 'red'],
      [{ definition_type: 'statement', definition: { statement: 'Copyright ACME. No TLP.' } }, null],
      [
        { extensions: { [extension]: { extension_type: 'property-extension', tlp_2_0: 'amber+strict' } } },
        'amber+strict',
      ],
      [{ extensions: { [extension]: { extension_type: 'property-extension' } } }, 'red'],
      [{ extensions: { [`extension-definition--${UUID}`]: { tlp_2_0: 'green' } } }, 'green'],
      [{ name: 'TLP Green' }, 'green'],
      [{ name: 'tlp:something' }, 'red'],
      [{ name: 'Terms of use', definition_type: 'statement', definition: { statement: 'x' } }, null],
      [{ labels: ['tlp:red'], definition_type: 'statement', definition: { statement: 'x' } }, null],
      [
        { x_opencti_definition_type: 'TLP', x_opencti_definition: 'TLP:AMBER+STRICT', definition_type: 'statement' },
        'amber+strict',
      ],
      [{ x_opencti_definition_type: 'TLP' }, 'red'],
      [{ x_opencti_definition_type: 'PAP', x_opencti_definition: 'PAP:RED' }, null],
      [{ x_opencti_definition: 'TLP:GREEN' }, 'green'],
      [{ id: markingId('amber'), definition_type: 'tlp', definition: { tlp: 'white' } }, 'amber'],
      [{ id: 'marking-definition--826578e1-40ad-459f-bc73-ede076f81f37' }, 'amber+strict'],
      [{}, null],
    ];
    for (const [definition, level] of definitions)
      t.equal(tlpOfDefinition(definition), level, JSON.stringify(definition));
  },
);

t.test('the markings up to a ceiling are those that OASIS publishes', async (t) => {
  const names = (ceiling: 'green' | 'red', version: 1 | 2) =>
    markingsUpTo(ceiling, version).map(({ raw }) => raw['name']);
  t.same(names('red', 2), ['TLP:CLEAR', 'TLP:GREEN', 'TLP:AMBER', 'TLP:AMBER+STRICT', 'TLP:RED']);
  t.same(names('green', 2), ['TLP:CLEAR', 'TLP:GREEN']);
  t.same(names('red', 1), ['TLP:WHITE', 'TLP:GREEN', 'TLP:AMBER', 'TLP:RED']);
  t.same(markingsUpTo('red', 2)[3], {
    id: 'marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003',
    type: 'marking-definition',
    version: '2022-10-01T00:00:00.000Z',
    raw: {
      type: 'marking-definition',
      spec_version: '2.1',
      id: 'marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003',
      created: '2022-10-01T00:00:00.000Z',
      name: 'TLP:AMBER+STRICT',
      extensions: {
        'extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d': {
          extension_type: 'property-extension',
          tlp_2_0: 'amber+strict',
        },
      },
    },
  });
});

t.test('markings and the producing identity stand before the OASIS validator', async (t) => {
  const identity = producingIdentity(
    NAMESPACE,
    { name: 'Sluice "gateway"', description: null, contact: 'soc@corp.example' },
    CREATED,
  );
  t.equal(identity.id, identityId(NAMESPACE));
  t.equal(identity.raw['created'], '2026-11-20T10:11:12.345Z');
  t.equal(identity.raw['identity_class'], 'organization');
  const company = [identity, ...markingsUpTo('red', 2), ...markingsUpTo('red', 1)];
  for (const object of company) t.same(checkStixObject(object.raw), object, 'and before our own check');
  const findings = await judgeStix(
    t,
    company.map(({ raw }) => JSON.stringify(raw)),
  );
  for (const finding of findings ?? []) {
    t.same(finding.errors, [], finding.id);
    t.equal(finding.parse, null, finding.id);
  }
});

const malware = (changes: JsonObject = {}): JsonObject => ({
  type: 'malware',
  spec_version: '2.1',
  id: `malware--${UUID}`,
  created: '2024-05-01T10:00:00.000Z',
  modified: '2024-05-02T10:00:00.123456Z',
  name: 'X',
  is_family: true,
  ...changes,
});

t.test('a STIX object passes as it came, but for nulls, empty lists and what it stands without', async (t) => {
  t.same(checkStixObject(malware()), {
    id: `malware--${UUID}`,
    type: 'malware',
    version: '2024-05-02T10:00:00.123456Z',
    raw: malware(),
  });
  const loose = malware({
    labels: [],
    aliases: null,
    x_deep: { a: [null], b: { c: [] }, d: 1 },
    created_by_ref: 'identity--acme',
    sample_ref: 'x',
    'Bad Name': 1,
    kill_chain_phases: [{ kill_chain_name: 'k' }, { kill_chain_name: 'k', phase_name: 'p' }],
    first_seen: '2024-05-03T10:00:00Z',
    last_seen: '2024-05-02T10:00:00Z',
    lang: 'klingon',
  });
  const told: string[] = [];
  t.same(
    checkStixObject(loose, (fault) => told.push(fault)),
    {
      ...(checkStixObject(malware()) as object),
      raw: malware({
        x_deep: { b: {}, d: 1 },
        kill_chain_phases: [{ kill_chain_name: 'k', phase_name: 'p' }],
        last_seen: '2024-05-02T10:00:00Z',
      }),
    },
  );
  for (const name of ['created_by_ref', 'sample_ref', 'Bad Name', 'kill_chain_phases', 'first_seen', 'lang'])
    t.equal(told.filter((fault) => fault.includes(name)).length, 1, name);
  t.equal(told.length, 6);
  t.same(loose['labels'], [], 'what was handed in stays as it was');
  const address = { type: 'ipv4-addr', id: `ipv4-addr--${UUID}`, value: '1.2.3.4' };
  t.match(checkStixObject(address), { version: null, raw: address }, 'observables need neither version nor times');
  const custom = { type: 'x-acme', spec_version: '2.1', id: `x-acme--${UUID}` };
  t.match(checkStixObject(custom), { version: null });
});

t.test('an object that readers of TAXII could not take is refused with its reason', async (t) => {
  let deep: JsonObject = {};
  for (let i = 0; i < 5000; i += 1) deep = { a: deep };
  const faults: [JsonObject, string, RegExp][] = [
    [{}, 'bad-stix', /no valid type/],
    [malware({ type: 'Malware' }), 'bad-stix', /type/],
    [malware({ type: 'bundle' }), 'bad-stix', /bundle/],
    [malware({ id: 'malware--emotet' }), 'bad-stix', /malware--emotet/],
    [malware({ id: `tool--${UUID}` }), 'bad-stix', /is not malware--/],
    [malware({ spec_version: '3.0' }), 'bad-stix', /spec_version/],
    [malware({ created: '2024-02-30T10:00:00.000Z' }), 'bad-stix', /created/],
    [malware({ modified: 'yesterday' }), 'bad-stix', /modified/],
    [malware({ created: null }), 'bad-stix', /no created/],
    [malware({ modified: '2024-04-01T10:00:00.000Z' }), 'bad-stix', /before/],
    [malware({ object_marking_refs: ['TLP:RED'] }), 'bad-stix', /TLP:RED/],
    [malware({ object_marking_refs: 'TLP:RED' }), 'bad-stix', /TLP:RED/],
    [malware({ deep }), 'bad-stix', /nested/],
    // A tag as MISP's JSON has it is no label of STIX, and without it the object would go further than it may.
    [malware({ labels: [{ name: 'tlp:red' }, 'x'] }), 'bad-stix', /TLP level/],
    // Their patterns alone would take hours.
    [{ type: 'ipv6-addr', id: `ipv6-addr--${UUID}`, value: `::%${'s'.repeat(500_000)}\n` }, 'bad-stix', /value/],
    [{ type: `${'a'.repeat(200)}!`, id: `a--${UUID}` }, 'bad-stix', /type/],
    [malware({ description: 'x'.repeat(MAX_STIX_OBJECT) }), 'too-long', /1000/],
  ];
  for (const [object, reason, detail] of faults) {
    const rejection = checkStixObject(object);
    t.match(rejection, { reason, detail });
    t.ok('row' in rejection && rejection.row.length <= 2000);
  }
  const polluting = JSON.parse(`{"__proto__": {"polluted": true}, "type": "malware"}`);
  t.match(checkStixObject(polluting), { reason: 'bad-stix' });
  t.equal(({} as JsonObject)['polluted'], undefined);
});

t.test('a link in a reference is RFC 3986 text, http or https, and carries no password', async (t) => {
  const links: [string, string | null][] = [
    ['https://a.example/x?y=1#z', 'https://a.example/x?y=1#z'],
    [' HTTPS://A.example ', 'https://a.example/'],
    [
      'https://a.example/a|b^c{d}[e]`"<>\\é 🎣',
      'https://a.example/a%7Cb%5Ec%7Bd%7D%5Be%5D%60%22%3C%3E/%C3%A9%20%F0%9F%8E%A3',
    ],
    ['https://a.example/100%', 'https://a.example/100%25'],
    ['https://a.example/#a#b[c]', 'https://a.example/#a%23b%5Bc%5D'],
    ['http://[2001:db8::1]:8080/x', 'http://[2001:db8::1]:8080/x'],
    ['ftp://a.example/', null],
    ['javascript:alert(1)', null],
    ['//a.example/', null],
    ['not a link', null],
    ['https://user:secret@a.example/', null],
    ['https://key@a.example/', null],
    ["http://a'b.example/", null],
    [`https://a.example/${'x'.repeat(3000)}`, null],
    [`https://a.example/${'ü'.repeat(1000)}`, null],
  ];
  for (const [text, url] of links) t.equal(referenceUrl(text), url, text.slice(0, 60));
});

t.test('a reference says something, and cve and capec name only their own ids', async (t) => {
  const tidy: [ExternalReference, ExternalReference | null][] = [
    [{ source_name: 'x' }, null],
    [{ source_name: 'x', url: 'gopher://x' }, null],
    [
      { source_name: 'x', url: 'gopher://x', description: 'd' },
      { source_name: 'x', description: 'd' },
    ],
    [
      { source_name: 'NVD', external_id: 'CVE-2024-1234' },
      { source_name: 'cve', external_id: 'CVE-2024-1234' },
    ],
    [
      { source_name: 'MITRE', external_id: 'CAPEC-66' },
      { source_name: 'capec', external_id: 'CAPEC-66' },
    ],
    [
      { source_name: 'cve', external_id: 'soon' },
      { source_name: 'CVE', external_id: 'soon' },
    ],
    [
      { source_name: 'cve', url: 'https://cve.org/' },
      { source_name: 'CVE', url: 'https://cve.org/' },
    ],
  ];
  for (const [sent, kept] of tidy) t.same(normaliseReference(sent), kept);
  const observation = {
    source: { feed_name: 'KEV', article_title: 'Title', article_url: 'https://a.example/1' },
    sourceId: 'CVE-2024-1234',
    techniques: ['T1059.001'],
  } as Observation;
  t.same(sourceReferences(observation), [
    { source_name: 'cve', description: 'Title', url: 'https://a.example/1', external_id: 'CVE-2024-1234' },
    {
      source_name: 'mitre-attack',
      url: 'https://attack.mitre.org/techniques/T1059/001/',
      external_id: 'T1059.001',
    },
  ]);
});
