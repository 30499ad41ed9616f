import { readFileSync } from 'node:fs';
import t from 'tap';
import { lift } from '../../src/feeds/stix/lift.ts';
import { stix } from '../../src/feeds/stix.ts';
import type { JsonObject } from '../../src/model/json.ts';
import { normalise } from '../../src/normalise/normalise.ts';
import { openFeedBench, pull } from '../helpers/feed.ts';
import { feed as feedOf } from '../helpers/journals.ts';

const NOW = Date.UTC(2026, 10, 28) * 1000;

t.test('a bundle of STIX 2.0 is read as STIX 2.1, and nothing of it is refused', async (t) => {
  const text = readFileSync(new URL('../fixtures/feeds/stix/bundle-2.0.json', import.meta.url));
  const bench = await openFeedBench(t, stix, { path: './bundle.json' }, { base: t.testdir({ 'bundle.json': text }) });
  const { items, rejected, error } = await pull(stix, bench.context());
  t.equal(error, null);
  t.strictSame(rejected, []);
  const normalised = items.map((item) => normalise(item, feedOf('one'), NOW));
  const refused = normalised.flatMap((one) => (one.kind === 'rejection' ? [one.rejection] : []));
  t.strictSame(refused, []);
  const values = normalised.flatMap((one) =>
    one.kind === 'observations' ? one.observations.map(({ observable, tlp }) => [observable.type, tlp]) : [],
  );
  t.strictSame(values, [['sha256', 'green']]);
  const objects = normalised.flatMap((one) => (one.kind === 'object' ? [one.object] : []));
  t.strictSame(
    objects.map(({ id }) => id.split('--')[0]),
    ['identity', 'indicator', 'ipv4-addr', 'observed-data', 'marking-definition'],
  );
  t.match(objects[1]?.raw['pattern'], "START t'2016-01-01T00:00:00Z' STOP t'2026-12-31T00:00:00Z'");
  t.strictSame(objects[3]?.raw['object_refs'], [objects[2]?.id]);
  t.equal(objects[3]?.raw['objects'], undefined);
});

const observed = (objects: JsonObject, more: JsonObject = {}): JsonObject => ({
  type: 'observed-data',
  id: 'observed-data--b67d30ff-02ac-498a-92f9-32f845f448cf',
  objects,
  ...more,
});

t.test(
  'observables in an observed-data get the ids that STIX 2.1 gives them, and refer to each other by them',
  async (t) => {
    const lifted = lift(
      observed({
        '0': { type: 'ipv4-addr', value: '198.51.100.3' },
        '1': { type: 'network-traffic', src_ref: '0', dst_ref: '9', protocols: ['tcp'] },
        '2': { type: 'file', hashes: { 'SHA-256': 'b', MD5: 'a' }, contains_refs: ['3', '7'] },
        '3': { type: 'process', binary_ref: '4' },
        '4': { type: 'file', name: 'x', extensions: { 'ntfs-ext': { alternate_data_streams: [{ parent_ref: '0' }] } } },
      }),
    );
    const byType = (type: string) => lifted.filter((one) => one['type'] === type);
    // The ids that python-stix2 makes.
    t.equal(
      lift(observed({ a: { type: 'ipv4-addr', value: '198.51.100.3' } }))[0]?.['id'],
      'ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4',
    );
    const [network, file] = lift(
      observed({
        c: { type: 'network-traffic', src_ref: 'a', protocols: ['tcp'], src_port: 80 },
        b: {
          type: 'file',
          name: 'x',
          hashes: {
            'SHA-256': '4bac27393bdd9777ce02453256c5577cd02275510b2227f473d03f533924f877',
            MD5: '0cc175b9c0f1b6a831c399e269772661',
          },
        },
        a: { type: 'ipv4-addr', value: '198.51.100.3' },
      }),
    );
    t.equal(network?.['id'], 'network-traffic--31dd1c48-b807-50d3-acd2-7b6f9738ebf2');
    t.equal(file?.['id'], 'file--afa807a6-f921-57a1-8177-2f9d77e75e49');
    const address = byType('ipv4-addr')[0]?.['id'];
    t.match(byType('network-traffic')[0], { src_ref: address, dst_ref: undefined });
    const [process] = byType('process');
    t.match(String(process?.['id']), /^process--[0-9a-f]{8}-[0-9a-f]{4}-4/);
    t.match(process, { image_ref: byType('file')[1]?.['id'], binary_ref: undefined });
    t.match(byType('file')[0], { contains_refs: [process?.['id']] });
    t.match(byType('file')[1], { extensions: { 'ntfs-ext': { alternate_data_streams: [{ parent_ref: address }] } } });
    t.strictSame(
      byType('observed-data')[0]?.['object_refs'],
      lifted.slice(0, -1).map((one) => one['id']),
    );
    t.equal(lifted.length, 6);
  },
);

t.test('what can not be taken apart stays as it came', async (t) => {
  const many = Object.fromEntries(
    Array.from({ length: 257 }, (_, n) => [`${n}`, { type: 'url', value: `http://a.example/${n}` }]),
  );
  const cases: JsonObject[] = [
    observed({}),
    observed({ '0': 'text' }),
    observed({ '0': { value: 'x' } }),
    observed(many),
    observed({ '0': { type: 'url', value: 'http://a.example/' } }, { object_refs: ['url--x'] }),
    observed({ '0': { type: 'url', value: 'http://a.example/' } }, { type: 'report' }),
  ];
  for (const one of cases) t.equal(lift(one)[0], one, JSON.stringify(one).slice(0, 80));
  const circle = lift(observed({ a: { type: 'x-a', b_ref: 'b' }, b: { type: 'x-b', a_ref: 'a' } }));
  t.equal(circle.length, 3, 'a circle is opened');
});
