import t from 'tap';
import { ecsContext } from '../../src/ecs/data-stream.ts';
import { ecsDocument } from '../../src/ecs/document.ts';
import type { FeedRow } from '../../src/feeds/feed.ts';
import type { Observation } from '../../src/model/observation.ts';
import { parseTimestamp } from '../../src/model/timestamp.ts';
import { normalise } from '../../src/normalise/normalise.ts';
import { iocOf } from '../../src/outputs/ioc.ts';
import { renderEntry } from '../../src/stix/render.ts';
import { feed, journal, openBench } from '../helpers/journals.ts';
import { START } from '../helpers/store.ts';

const IDENTITY = 'identity--7a0e3ff7-8b0c-4f0a-9c53-3d6d9a4f7b1e';

t.test('port, protocol, malware family and end of a row reach REST, STIX and ECS', async (t) => {
  const news = feed('news');
  const bench = await openBench(t, [news], [journal()]);
  const row: FeedRow = {
    value: '198.51.100.7',
    labels: ['c2'],
    port: '443',
    protocol: 'TCP',
    malwareFamily: 'Emotet',
    expires: '2026-09-01',
  };
  await bench.pull(news, [row]);
  const [entry] = (await bench.indicators()).live;
  if (entry === undefined) throw new Error('nothing is live');

  const ioc = iocOf(entry);
  const details = { port: 443, protocol: 'tcp', malware_family: 'Emotet' };
  t.match(ioc, { source: details, sources: [details], valid_until: '2026-09-01T00:00:00.000Z' });
  t.match(JSON.parse(renderEntry(entry, { identityId: IDENTITY })), {
    labels: ['tlp:green', 'c2', 'malware-family:Emotet', 'port:443', 'protocol:tcp'],
    valid_until: '2026-09-01T00:00:00.000Z',
  });
  const context = ecsContext({ target: 'latest', collection: { alias: 'all', title: 'All' } });
  t.match(ecsDocument(entry, context), {
    threat: { indicator: { port: 443 }, software: { name: 'Emotet', type: 'Malware' } },
  });

  await bench.pull(news, [{ ...row, port: 8443 }]);
  const [changed] = (await bench.indicators()).live;
  t.match(iocOf(changed ?? entry).source, { port: 8443 }, 'a change of one of them is a new version');
});

t.test('properties that a row lacks, or that can’t be read, are absent', async (t) => {
  const read = (row: Partial<FeedRow>): { observation: Observation; note: string | undefined } => {
    const result = normalise({ value: '198.51.100.7', ...row }, feed('news'), START);
    if (result.kind !== 'observations') throw new Error('rejected');
    return { observation: result.observations[0] as Observation, note: result.notes?.[0]?.detail };
  };
  for (const row of [{}, { port: null, protocol: '', malwareFamily: null, expires: '' }]) {
    t.match(read(row), { observation: { labels: [], validUntil: null }, note: undefined });
    t.strictSame(read(row).observation.source, { feed_name: feed('news').title });
  }
  const bad = read({ port: 65_536, protocol: 'a b', malwareFamily: {}, expires: 'soon' });
  t.strictSame(bad.observation.source, { feed_name: feed('news').title });
  for (const property of ['port: 65536', 'protocol: a b', 'malwareFamily: {}', 'expires: soon']) {
    t.match(bad.note, property);
  }
  t.match(read({ value: '198.51.100.7:8080' }).observation, { source: { port: 8080 }, labels: ['port:8080'] });
  t.match(read({ value: '198.51.100.7:8080', port: 443 }).observation, { source: { port: 443 }, labels: ['port:443'] });
  t.equal(read({ expires: 1_800_000_000 }).observation.validUntil, parseTimestamp('2027-01-15T08:00:00Z'));
  const long = read({ malwareFamily: 'x'.repeat(300), labels: Array.from({ length: 64 }, (_, n) => `label ${n}`) });
  t.equal(long.observation.labels.length, 64);
  t.ok(long.observation.labels.every((label) => label.length <= 200));
});
