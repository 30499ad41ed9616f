// slow (11 s): every door, level and order in which markings come
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { JournalDefinition } from '../../src/model/definition.ts';
import type { JsonObject } from '../../src/model/json.ts';
import { type Tlp, tlpLevels } from '../../src/model/tlp.ts';
import { markingId, markingsUpTo } from '../../src/stix/marking.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { openGateway, readAll, type TestGateway } from '../helpers/gateway.ts';
import { feed, journal, openBench } from '../helpers/journals.ts';
import { START, uuidOf } from '../helpers/store.ts';

const TIME = '2025-11-20T03:04:05.000Z';
const OPENCTI_AMBER_STRICT = 'marking-definition--826578e1-40ad-459f-bc73-ede076f81f37';
const TLP2 = 'extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d';

const definition = (name: string, over: JsonObject): JsonObject => ({
  type: 'marking-definition',
  spec_version: '2.1',
  id: `marking-definition--${uuidOf(name)}`,
  created: TIME,
  ...over,
});
const level = (name: string, tlp: string): JsonObject =>
  definition(name, { definition_type: 'tlp', definition: { tlp }, name: `TLP:${tlp.toUpperCase()}` });
const statement = (name: string, over: JsonObject = {}): JsonObject =>
  definition(name, { definition_type: 'statement', definition: { statement: `Copyright ${name}` }, ...over });
const refTo = (name: string): string => `marking-definition--${uuidOf(name)}`;
const object = (type: string, name: string, over: JsonObject): JsonObject => ({
  type,
  spec_version: '2.1',
  id: `${type}--${uuidOf(name)}`,
  created: TIME,
  modified: TIME,
  name,
  ...over,
});
const malware = (name: string, over: JsonObject = {}) => object('malware', name, { is_family: false, ...over });
const indicator = (name: string, over: JsonObject = {}) =>
  object('indicator', name, {
    pattern: `[domain-name:value = '${name}.example.com']`,
    pattern_type: 'stix',
    valid_from: TIME,
    ...over,
  });

/** Ways to say a level, each with the definitions that it needs to come along. */
const waysOf = (tlp: Tlp): Record<string, { over: JsonObject; needs?: JsonObject }> => ({
  standard: { over: { object_marking_refs: [markingId(tlp)] } },
  label: { over: { labels: [`tlp:${tlp}`] } },
  own: { over: { object_marking_refs: [refTo(`own ${tlp}`)] }, needs: level(`own ${tlp}`, tlp) },
  'own-extension': {
    over: { object_marking_refs: [refTo(`extension ${tlp}`)] },
    needs: definition(`extension ${tlp}`, {
      extensions: { [TLP2]: { extension_type: 'property-extension', tlp_2_0: tlp } },
    }),
  },
  opencti: {
    over: { object_marking_refs: [refTo(`opencti ${tlp}`)] },
    needs: statement(`opencti ${tlp}`, {
      x_opencti_definition_type: 'TLP',
      x_opencti_definition: `TLP:${tlp.toUpperCase()}`,
    }),
  },
  'on-a-part': {
    over: { granular_markings: [{ selectors: ['created'], marking_ref: refTo(`own ${tlp}`) }] },
    needs: level(`own ${tlp}`, tlp),
  },
  'loose-id': {
    over: { object_marking_refs: [`marking-definition--own-${tlp.replace('+', '-')}`] },
    needs: level('', tlp),
  },
});

interface Said {
  name: string;
  tlp: Tlp;
}

/** An indicator, a malware and a statement marking of every level in every way, and the definitions that explain them. */
function corpus(): { said: Said[]; objects: JsonObject[]; definitions: JsonObject[] } {
  const said: Said[] = [];
  const objects: JsonObject[] = [];
  const definitions = new Map<string, JsonObject>();
  for (const tlp of tlpLevels) {
    for (const [way, { over, needs }] of Object.entries(waysOf(tlp))) {
      const id = `marking-definition--own-${tlp.replace('+', '-')}`;
      const sent = way === 'loose-id' ? { ...needs, id } : needs;
      if (sent !== undefined) definitions.set(String(sent['id']), sent);
      const name = `${way}-${tlp.replace('+', '-')}`;
      said.push({ name: `i-${name}`, tlp }, { name: `m-${name}`, tlp }, { name: `s-${name}`, tlp });
      objects.push(indicator(`i-${name}`, over), malware(`m-${name}`, over), statement(`s-${name}`, over));
    }
  }
  return { said, objects, definitions: [...definitions.values()] };
}

const collections = tlpLevels.map((tlp) => `  c-${tlp.replace('+', '-')}: { pool: main, objects: all, tlp: ${tlp} }`);
const yaml = (sinks = '') => `
data: ./data
feeds:
  acme: { format: stix, path: ./in, tlp: clear, lifetime: 3650d }
pools:
  main: { feeds: [acme], tlp: red }
collections:
${collections.join('\n')}
${sinks}`;

async function openFiles(t: Test, sinks = '') {
  const dir = t.testdir({ in: {} });
  const clock = scriptedClock(START, { auto: true });
  const gateway = await openGateway(t, dir, yaml(sinks), { clock });
  const rate = { max: 1_000_000, per: 60_000 };
  const keys = new Map<Tlp, string>();
  for (const tlp of tlpLevels) {
    const { key } = await gateway.side.addClient({
      name: `up-to-${tlp.replace('+', '-')}`,
      collections: null,
      tlp,
      rate,
    });
    keys.set(tlp, key as string);
  }
  const write = (name: string, objects: JsonObject[]) =>
    writeFileSync(join(dir, 'in', name), JSON.stringify({ type: 'bundle', id: `bundle--${uuidOf(name)}`, objects }));
  return { dir, gateway, keys, write };
}

/** All that a client gets at any door of a collection, as one text; null when the collection isn't there for it. */
async function everythingOf(gateway: TestGateway, key: string, alias: string, ids: string[]): Promise<string | null> {
  const texts: string[] = [];
  const headers = { authorization: `Bearer ${key}` };
  const root = `/api/taxii2/api/collections/${alias}`;
  const versions = 'match[version]=all';
  const urls = [
    `${root}/objects/?limit=5000&${versions}`,
    `${root}/manifest/?limit=5000&${versions}`,
    ...['json', 'csv', 'txt', 'ndjson'].map((format) => `/api/v1/iocs?collection=${alias}&limit=1000&format=${format}`),
    `/api/v1/iocs/stix?collection=${alias}`,
    `/api/v1/iocs/stix?collection=${alias}&limit=1000`,
    ...ids.flatMap((id) => [`${root}/objects/${id}/?${versions}`, `${root}/objects/${id}/versions/`]),
  ];
  for (const url of urls) {
    const reply = await gateway.app.inject({ url, headers });
    if (reply.statusCode === 200) texts.push(reply.body);
    else if (url === urls[0]) return null;
  }
  const lookup = await gateway.app.inject({
    method: 'POST',
    url: '/api/v1/lookup',
    headers,
    payload: { collection: alias, values: [...corpus().said].map(({ name }) => `${name}.example.com`).slice(0, 100) },
  });
  texts.push(lookup.body.replace(/"(?:value|query|asked)":"[^"]*"/g, ''));
  return texts.join('\n');
}

t.test('no object above a ceiling leaves by any door, whatever says its level and whenever that comes', async (t) => {
  const { said, objects, definitions } = corpus();
  const sinks = `sinks:\n${tlpLevels
    .map((tlp) => tlp.replace('+', '-'))
    .map((tlp) => `  f-${tlp}: { type: file, path: ./out-${tlp}, format: stix, collections: [c-${tlp}], tlp: red }`)
    .join('\n')}\n`;
  for (const order of ['before', 'behind', 'earlier poll']) {
    await t.test(`definitions come ${order}`, async (t) => {
      const { dir, gateway, keys, write } = await openFiles(t, sinks);
      if (order === 'earlier poll') {
        write('a.json', definitions);
        t.match(await gateway.side.poll('acme'), { outcome: 'whole' });
      }
      const all = {
        before: [...definitions, ...objects],
        behind: [...objects, ...definitions],
        'earlier poll': objects,
      }[order];
      write('a.json', all as JsonObject[]);
      t.match(await gateway.side.poll('acme'), { outcome: 'whole', rejected: 0 });
      for (const tlp of tlpLevels) await gateway.side.deliver(`f-${tlp.replace('+', '-')}`);
      for (const ceiling of tlpLevels) {
        const alias = `c-${ceiling.replace('+', '-')}`;
        const rank = tlpLevels.indexOf(ceiling);
        const ids = objects.map(({ id }) => String(id));
        const text = await everythingOf(gateway, keys.get('red') as string, alias, ids);
        t.ok(text !== null);
        for (const { name, tlp } of said) {
          const isHere = text?.includes(`${name}`) === true;
          if (isHere !== tlpLevels.indexOf(tlp) <= rank) t.fail(`${name} ${isHere ? 'is' : 'is not'} in ${alias}`);
        }
        const served = await readAll({ ...gateway, key: keys.get('red') as string }, alias, 'limit=5000');
        const known = new Set(served.map(({ id }) => id));
        for (const { id, object_marking_refs: refs = [], granular_markings: parts = [] } of served) {
          for (const ref of [...refs, ...parts.map((part: JsonObject) => part['marking_ref'])]) {
            if (!known.has(ref)) t.fail(`${id} in ${alias} refers to ${ref}, which is not there`);
          }
        }
        for (const own of definitions) t.notOk(text?.includes(String(own['id'])), 'no level of the publisher’s own');
        for (const [client, key] of keys) {
          const may = tlpLevels.indexOf(client) >= rank;
          t.equal((await everythingOf(gateway, key, alias, [])) !== null, may, `${client} reads ${alias}: ${may}`);
        }
        const file = readFileSync(join(dir, `out-${ceiling.replace('+', '-')}`, `${alias}.ndjson`), 'utf8');
        for (const { name, tlp } of said.filter((one) => one.name.startsWith('i-'))) {
          if (file.includes(`${name}.`) !== tlpLevels.indexOf(tlp) <= rank) t.fail(`${name} in the file of ${alias}`);
        }
      }
    });
  }
});

const names = async (gateway: TestGateway, collection = 'c-amber') =>
  (await readAll(gateway, collection))
    .filter(({ type, revoked }) => /^(?:indicator|malware)$/.test(type) && revoked !== true)
    .map(({ name }) => name)
    .sort();

t.test(
  'the fixed id that OpenCTI gives AMBER+STRICT is known without its definition, and written as TLP 2',
  async (t) => {
    const { gateway, keys, write } = await openFiles(t);
    const over = { object_marking_refs: [OPENCTI_AMBER_STRICT] };
    write('a.json', [indicator('i', over), malware('m', over)]);
    t.match(await gateway.side.poll('acme'), { outcome: 'whole', accepted: 2, rejected: 0 });
    t.same(await names(gateway), []);
    const reader = { ...gateway, key: keys.get('red') as string };
    t.same(await names(reader, 'c-amber-strict'), ['i', 'm']);
    for (const { type, object_marking_refs: refs } of await readAll(reader, 'c-amber-strict')) {
      if (type === 'indicator' || type === 'malware') t.same(refs, [markingId('amber+strict')], type);
    }
  },
);

t.test('a marking whose definition never came is red until it comes, which a note says', async (t) => {
  const { gateway, keys, write } = await openFiles(t);
  const over = { object_marking_refs: [refTo('licence')] };
  write('a.json', [indicator('i', over), indicator('plain'), malware('m', over)]);
  await gateway.side.poll('acme');
  t.same(await names(gateway), ['plain']);
  const reader = { ...gateway, key: keys.get('red') as string };
  t.same(await names(reader, 'c-red'), ['i', 'm', 'plain']);
  for (const { name, object_marking_refs: refs } of await readAll(reader, 'c-red')) {
    if (name === 'i' || name === 'm') t.same([...refs].sort(), [refTo('licence'), markingId('red')].sort(), name);
  }
  t.match(await gateway.side.rejections('acme', 10), {
    counts: [{ reason: 'not-served', count: 1 }],
    rows: [{ row: refTo('licence'), detail: /^2 bear a marking whose definition never came along/ }],
  });
  write('b.json', [statement('licence')]);
  await gateway.side.poll('acme');
  t.same(await names(gateway), ['i', 'm', 'plain']);
  const served = (await readAll(gateway, 'c-amber')).filter(({ name }) => name === 'i' || name === 'm');
  for (const { object_marking_refs: refs } of served) t.ok(refs.includes(refTo('licence')));
});

t.test('a definition that changes takes with it what bears it, in the same commit, and back', async (t) => {
  const { gateway, write } = await openFiles(t);
  const over = { object_marking_refs: [refTo('own')] };
  const objects = [indicator('i', over), malware('m', over), indicator('plain')];
  write('b.json', objects);
  for (const [tlp, live] of [
    ['amber', ['i', 'm', 'plain']],
    ['red', ['plain']],
    ['green', ['i', 'm', 'plain']],
    ['puce', ['plain']],
  ] as const) {
    write('a.json', [level('own', tlp)]);
    t.match(await gateway.side.poll('acme'), { outcome: 'whole' });
    t.same(await names(gateway), live, tlp);
  }
  write('a.json', [statement('own')]);
  await gateway.side.poll('acme');
  t.ok(
    (await readAll(gateway, 'c-amber')).some(({ id }) => id === refTo('own')),
    'a statement is passed on',
  );
  write('a.json', [level('own', 'green')]);
  await gateway.side.poll('acme');
  t.notOk(
    (await readAll(gateway, 'c-amber')).some(({ id }) => id === refTo('own')),
    'a level is not',
  );
});

t.test('a statement marking above the ceiling leaves with what may be said of it', async (t) => {
  const { gateway, write } = await openFiles(t);
  const isThere = async () => (await readAll(gateway, 'c-amber')).some(({ id }) => id === refTo('licence'));
  write('a.json', [statement('licence'), indicator('i', { object_marking_refs: [refTo('licence')] })]);
  await gateway.side.poll('acme');
  t.ok(await isThere());
  write('a.json', [indicator('j')]);
  await gateway.side.poll('acme');
  t.ok(await isThere(), 'it binds those who were shown what bears it');
  write('a.json', [indicator('j'), statement('licence', { labels: ['tlp:red'] })]);
  await gateway.side.poll('acme');
  t.notOk(await isThere());
});

t.test('what one feed says of a marking explains nothing that another feed says', async (t) => {
  const [one, two] = [feed('one', { tlp: 'clear' }), feed('two', { tlp: 'clear' })];
  const bench = await openBench(t, [one, two], [journal({ objects: 'all' })]);
  const over = { object_marking_refs: [refTo('own')] };
  await bench.pull(one, [{ stix: level('own', 'red') }, { stix: indicator('a', over) }, { stix: malware('x', over) }]);
  await bench.pull(two, [
    { stix: level('own', 'green') },
    { stix: indicator('b', over) },
    { stix: malware('y', over) },
  ]);
  const { live } = await bench.indicators();
  t.match(live, [{ name: 'b', tlp: 'green' }]);
  t.equal(live.length, 1);
  const objects = (await bench.entries()).flatMap((entry) => (entry.kind === 'object' ? [JSON.parse(entry.raw)] : []));
  t.match(objects, [{ name: 'y', object_marking_refs: [markingId('green')] }]);
  t.equal(objects.length, 1);
});

t.test('two rows on one value: a marking of the one doesn’t loosen what the other leaves to the feed', async (t) => {
  const own = { object_marking_refs: [refTo('own')] };
  const [a, b] = [indicator('a', own), { ...indicator('a'), id: `indicator--${uuidOf('b')}` }];
  for (const batches of [
    [[level('own', 'green'), a, b]],
    [[b, a, level('own', 'green')]],
    [[a], [b, level('own', 'green')]],
  ]) {
    const one = feed('one', { tlp: 'amber' });
    const bench = await openBench(t, [one], [journal({ tlp: 'red' })]);
    await bench.pull(one, ...batches.map((batch) => batch.map((stix) => ({ stix }))));
    t.match((await bench.indicators()).live, [{ tlp: 'amber' }]);
  }
  const one = feed('one', { tlp: 'amber' });
  const bench = await openBench(t, [one], [journal()]);
  await bench.pull(one, [{ stix: a }, { stix: level('own', 'green') }]);
  t.match((await bench.indicators()).live, [{ tlp: 'green' }], 'alone it says what it says');
});

t.test(
  'tlp_version 1: objects refer to TLP 1 markings, which stand in the collection; amber+strict is red there',
  async (t) => {
    const dir = t.testdir({ in: {} });
    const clock = scriptedClock(START, { auto: true });
    const config = `
data: ./data
feeds:
  acme: { format: stix, path: ./in, tlp: clear, lifetime: 3650d }
pools:
  main: { feeds: [acme], tlp: red }
collections:
  two: { pool: main }
  one: { pool: main, objects: all, tlp_version: 1 }
sinks:
  files: { type: file, path: ./out, format: stix, collections: [one], tlp: red }
`;
    const gateway = await openGateway(t, dir, config, { clock });
    const rate = { max: 1_000_000, per: 60_000 };
    const { key } = await gateway.side.addClient({ name: 'all', collections: null, tlp: 'red', rate });
    const reader = { ...gateway, key: key as string };
    const marked = tlpLevels.flatMap((tlp) => {
      const over = { object_marking_refs: [markingId(tlp)] };
      const name = tlp.replace('+', '-');
      return [indicator(`i-${name}`, over), malware(`m-${name}`, over)];
    });
    const old = { object_marking_refs: [markingId('red', 1)] };
    writeFileSync(
      join(dir, 'in', 'a.json'),
      JSON.stringify({ type: 'bundle', objects: [...marked, malware('old', old)] }),
    );
    await gateway.side.poll('acme');
    const served = await readAll(reader, 'one');
    const wanted = { clear: 'clear', green: 'green', amber: 'amber', 'amber-strict': 'red', red: 'red' } as const;
    for (const [name, tlp] of Object.entries(wanted)) {
      for (const kind of ['i', 'm']) {
        const found = served.find((one) => one['name'] === `${kind}-${name}`);
        t.same(found?.['object_marking_refs'], [markingId(tlp, 1)], `${kind}-${name}`);
      }
    }
    t.same(served.find(({ name }) => name === 'old')?.['object_marking_refs'], [markingId('red', 1)]);
    const definitions = served.filter(({ type }) => type === 'marking-definition').map(({ id }) => id);
    t.same(definitions, [...new Set(tlpLevels.map((tlp) => markingId(tlp, 1)))]);
    const refsIn = (text: string) => [...new Set(text.match(/marking-definition--[0-9a-f-]{36}/g))].sort();
    const versionOne = [...definitions].sort();
    for (const query of ['', '&limit=1000']) {
      const url = `/api/v1/iocs/stix?collection=one${query}`;
      const { body } = await gateway.app.inject({ url, headers: { authorization: `Bearer ${key}` } });
      t.same(refsIn(body), versionOne, url);
    }
    const lines = await gateway.app.inject({
      url: '/api/v1/iocs/stix?collection=one&format=ndjson',
      headers: { authorization: `Bearer ${key}` },
    });
    t.same(refsIn(lines.body), versionOne);
    await gateway.side.deliver('files');
    t.same(refsIn(readFileSync(join(dir, 'out', 'one.ndjson'), 'utf8')), versionOne, 'files');
    const two = await readAll(reader, 'two');
    t.same(refsIn(JSON.stringify(two)), tlpLevels.map((tlp) => markingId(tlp)).sort());
  },
);

t.test('another ceiling or version of TLP brings its markings, and the former leave', async (t) => {
  const one = feed('one', { tlp: 'clear' });
  const producerObjectsOf = ({ policy }: JournalDefinition) => markingsUpTo(policy.tlp, policy.tlpVersion);
  let bench = await openBench(t, [one], [journal({ tlp: 'red' })], undefined, { producerObjectsOf });
  const held = async () =>
    (await bench.entries()).flatMap((entry) => (entry.kind === 'object' ? [entry.objectId] : [])).sort();
  const idsUpTo = (tlp: Tlp, version: 1 | 2) =>
    markingsUpTo(tlp, version)
      .map(({ id }) => id)
      .sort();
  t.same(await held(), idsUpTo('red', 2));
  bench = await openBench(t, [one], [journal({ tlp: 'green' })], bench, { producerObjectsOf });
  t.same(await held(), idsUpTo('green', 2));
  bench = await openBench(t, [one], [journal({ tlp: 'amber', tlpVersion: 1 })], bench, { producerObjectsOf });
  t.same(await held(), idsUpTo('amber', 1));
});

t.test('of more markings than are kept one may be a level: the value that bears them is red', async (t) => {
  const licences = Array.from({ length: 65 }, (_, n) => statement(`licence ${n}`));
  const marked = licences.map(({ id }, n) => ({
    ...indicator('a', { object_marking_refs: [id as string] }),
    id: `indicator--${uuidOf(`i${n}`)}`,
  }));
  const one = feed('one', { tlp: 'clear' });
  const bench = await openBench(t, [one], [journal({ tlp: 'red' })]);
  const items = (count: number) => [...licences, ...marked.slice(0, count)].map((stix) => ({ stix }));
  await bench.pull(one, items(64));
  t.match((await bench.indicators()).live, [{ tlp: 'clear' }]);
  await bench.pull(one, items(65));
  t.match((await bench.indicators()).live, [{ tlp: 'red' }]);
});
