import t from 'tap';
import type { ObjectEntry } from '../../src/model/entry.ts';
import type { JsonObject } from '../../src/model/json.ts';
import { type Bench, feed, journal, openBench } from '../helpers/journals.ts';
import { uuidOf } from '../helpers/store.ts';

/** What publishers ask of those who pass their data on: it travels with every indicator, and with nothing else. */

const VALUE = '198.51.100.7';
const time = '2025-12-01T00:00:00.000Z';
const object = (type: string, over: JsonObject): JsonObject => ({
  type,
  spec_version: '2.1',
  id: `${type}--${uuidOf(type)}`,
  created: time,
  modified: time,
  ...over,
});
const indicator = object('indicator', {
  valid_from: time,
  pattern_type: 'stix',
  pattern: `[ipv4-addr:value = '${VALUE}']`,
  external_references: [{ source_name: 'Report', url: 'https://report.example/1' }],
});
const malware = object('malware', { name: 'X', is_family: false });
const NO = 'not to be passed on outside of the organisation that reads it';

/** The references of the one live indicator. */
async function references(bench: Bench): Promise<Record<string, string>[]> {
  const { live } = await bench.indicators();
  if (live.length !== 1) throw new Error(`${live.length} are live`);
  return JSON.parse(live[0]?.references ?? '[]');
}
const credits = async (bench: Bench) =>
  (await references(bench)).filter(({ url, external_id: id }) => url === undefined && id === undefined);

t.test(
  'indicators of a STIX feed carry the credit behind their own references; objects stay as they came',
  async (t) => {
    const taxii = feed('taxii', { mode: 'delta', title: 'Vendor', attribution: 'Vendor, Inc.' });
    const bench = await openBench(t, [taxii], [journal({ objects: 'all' })]);
    await bench.pull(taxii, [{ stix: indicator }, { stix: malware }]);
    t.strictSame((await references(bench)).at(-1), { source_name: 'Vendor', description: 'Vendor, Inc.' });
    t.match(await references(bench), [{}, { url: 'https://report.example/1' }, {}]);
    const passed = (await bench.entries()).find((entry): entry is ObjectEntry => entry.objectId === malware['id']);
    t.same(JSON.parse(passed?.raw ?? 'null'), malware);
  },
);

t.test('every feed that says it has its credit, and a publisher of several feeds has one', async (t) => {
  const [a, b] = ['a', 'b'].map((name) => feed(name, { title: 'One', attribution: 'The One' }));
  const [c, d] = [
    feed('c', { redistribution: 'no' }),
    feed('d', { attribution: 'D', redistribution: 'non-commercial' }),
  ];
  const silent = feed('e', { redistribution: 'yes' });
  const all = [a, b, c, d, silent].filter((one) => one !== undefined);
  const bench = await openBench(t, all, [journal()]);
  for (const one of all) await bench.pull(one, [{ value: VALUE }]);
  t.strictSame(await credits(bench), [
    { source_name: 'One', description: 'The One' },
    { source_name: 'Feed c', description: NO },
    { source_name: 'Feed d', description: 'D; not to be passed on for money' },
  ]);
  if (c === undefined) throw new Error('c is a feed');
  await bench.pull(c, []);
  t.notMatch(JSON.stringify(await credits(bench)), NO, 'who no longer says it asks for nothing');
});

t.test('what a row says of its source itself is not said twice', async (t) => {
  const house = feed('house', { title: 'House', attribution: 'By House' });
  const bench = await openBench(t, [house], [journal()]);
  await bench.pull(house, [{ value: VALUE, references: [{ source_name: 'House', description: 'By House' }] }]);
  t.strictSame(await credits(bench), [{ source_name: 'House', description: 'By House' }]);
});

t.test('a source called cve or capec is credited under a name that STIX does not keep for ids', async (t) => {
  const house = feed('house', { title: 'cve', attribution: 'CVE Program' });
  const bench = await openBench(t, [house], [journal()]);
  await bench.pull(house, [{ value: VALUE }]);
  t.strictSame(await credits(bench), [{ source_name: 'CVE', description: 'CVE Program' }]);
});

t.test('a credit that the configuration names later comes to what is served already, without a poll', async (t) => {
  const before = feed('house');
  const bench = await openBench(t, [before], [journal()]);
  await bench.pull(before, [{ value: VALUE }]);
  t.strictSame(await credits(bench), []);
  const after = await openBench(t, [feed('house', { attribution: 'House' })], [journal()], bench);
  t.strictSame(await credits(after), [{ source_name: 'Feed house', description: 'House' }]);
  const limited = await openBench(
    t,
    [feed('house', { attribution: 'House', redistribution: 'no' })],
    [journal()],
    after,
  );
  t.match(await credits(limited), [{ description: `House; ${NO}` }]);
});
