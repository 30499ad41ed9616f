import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { LATEST_ALIAS, LATEST_INDEX } from '../../src/ecs/data-stream.ts';
import { MICROS_PER_DAY } from '../../src/model/clock.ts';
import { type ScriptedClock, scriptedClock } from '../helpers/clock.ts';
import {
  type ElasticsearchNode,
  type ElasticsearchVersion,
  elasticsearchVersions,
  startElasticsearch,
} from '../helpers/elasticsearch.ts';
import { openGateway, readAll, type TestGateway } from '../helpers/gateway.ts';
import { runPython } from '../helpers/python.ts';
import { START } from '../helpers/store.ts';

/** Elastic's built-in template claims `logs-*-*` for data streams on every real cluster; bare nodes get a look-alike of it. */
const BUILT_IN = {
  index_patterns: ['logs-*-*'],
  data_stream: {},
  priority: 100,
  template: { mappings: { properties: { '@timestamp': { type: 'date' } } } },
};

const indicator = (n: number, pattern: string, more: object = {}) => ({
  type: 'indicator',
  spec_version: '2.1',
  id: `indicator--00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
  created: '2025-12-01T00:00:00.000Z',
  modified: '2025-12-01T00:00:00.000Z',
  valid_from: '2025-12-01T00:00:00.000Z',
  pattern,
  pattern_type: 'stix',
  ...more,
});
const HASH = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const URL_VALUE = 'https://dl.evil.example.com:8443/a%20b/run.exe?id=1#top';
const few = [
  indicator(1, "[ipv4-addr:value = '198.51.100.7']"),
  indicator(2, "[ipv4-addr:value = '198.51.100.8']"),
  indicator(3, `[file:hashes.'SHA-256' = '${HASH}']`),
  indicator(4, "[domain-name:value = 'login.evil.co.uk']"),
  indicator(5, `[url:value = '${URL_VALUE}']`),
  indicator(6, "[ipv4-addr:value = '203.0.113.0/24']"),
];
const addresses = (count: number) =>
  Array.from({ length: count }, (_, n) =>
    indicator(1000 + n, `[ipv4-addr:value = '100.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}']`),
  );

/** A gateway whose one feed is a file, and its sinks on the node. Other profile, other index content: one per subtest. */
async function openPushing(
  t: Test,
  node: ElasticsearchNode,
  sinks: string,
  options: { dir?: string; clock?: ScriptedClock } = {},
) {
  const dir = options.dir ?? t.testdir();
  mkdirSync(join(dir, 'drop'), { recursive: true });
  const clock = options.clock ?? scriptedClock(START, { auto: true });
  const yaml = `
data: ./data
feeds: { drop: { format: stix, path: ./drop, tlp: green, confidence: 80, shrink_guard: "off" } }
pools: { main: { feeds: [drop], profile: elastic-agent } }
collections:
  all: { pool: main, profile: stix }
  agent: { pool: main, title: For the agent }
  ips: { pool: main, types: [ipv4] }
sinks:
${sinks.replaceAll('NODE', node.url)}
`;
  const gateway = await openGateway(t, dir, yaml, { clock });
  const write = async (objects: object[]): Promise<void> => {
    const bundle = { type: 'bundle', id: 'bundle--00000000-0000-4000-8000-000000000000', objects };
    writeFileSync(join(dir, 'drop', 'bundle.json'), JSON.stringify(bundle));
    const { outcome, error } = await gateway.side.poll('drop');
    if (outcome !== 'whole') throw new Error(`${outcome}: ${error?.message}`);
  };
  return { ...gateway, dir, clock, write };
}

async function searchIds(node: ElasticsearchNode, index: string, query: object): Promise<string[]> {
  await node.ask('POST', `/${index}/_refresh`);
  const { status, body } = await node.ask('POST', `/${index}/_search?size=10000&_source=threat.indicator.name`, {
    query,
  });
  if (status !== 200) throw new Error(JSON.stringify(body));
  return body.hits.hits.map((hit: any) => hit._source.threat.indicator.name).sort();
}

const held = (node: ElasticsearchNode, collection: string): Promise<string[]> =>
  searchIds(node, LATEST_ALIAS, { term: { 'sluice.collection': collection } });

async function count(node: ElasticsearchNode, index: string): Promise<number> {
  await node.ask('POST', `/${index}/_refresh`);
  return (await node.ask('GET', `/${index}/_count`)).body.count;
}

async function liveIn(gateway: TestGateway, collection: string): Promise<string[]> {
  const objects = await readAll(gateway, collection);
  return objects
    .filter(({ type, revoked }) => type === 'indicator' && revoked !== true)
    .map(({ pattern }) => /= '(.*)'\]$/.exec(pattern)?.[1] ?? '')
    .sort();
}

const sinkOf = (name: string, rest: string): string => `  ${name}: { type: elasticsearch, node: "NODE", ${rest} }\n`;

async function proveLatest(t: Test, node: ElasticsearchNode): Promise<void> {
  const gateway = await openPushing(t, node, sinkOf('siem', 'collections: [all, agent]'));
  const { side, write, clock } = gateway;
  await write(few);
  await t.rejects(side.deliver('siem'), { code: 'sink-refused', message: /sluice sink setup/ }, 'nothing is guessed');
  t.match((await node.ask('GET', `/${LATEST_ALIAS}`)).status, 404, 'and no index of another kind was made');
  for (const step of await side.setUpSink('siem', false))
    t.match(step.outcome, /^(?:done|was there|left out)/, step.name);
  for (const step of await side.setUpSink('siem', false))
    t.match(step.outcome, /^(?:done|was there|left out)/, 'again');
  const index = (await node.ask('GET', `/${LATEST_INDEX}`)).body[LATEST_INDEX];
  t.ok(index.aliases[LATEST_ALIAS], 'a plain index behind an alias, whatever the built-in template says');
  t.equal(index.data_stream, undefined);

  t.match(await side.deliver('siem'), { refused: 0 });
  const all = { bool: { must: [{ term: { 'sluice.collection': 'all' } }] } };
  const find = (term: object) => searchIds(node, LATEST_ALIAS, { bool: { must: [...all.bool.must, term] } });
  t.same(await find({ term: { 'threat.indicator.ip': '198.51.100.7' } }), ['198.51.100.7']);
  t.same(await find({ term: { 'threat.indicator.ip': '198.51.100.0/24' } }), ['198.51.100.7', '198.51.100.8']);
  t.same(await find({ term: { 'threat.indicator.file.hash.sha256': HASH } }), [HASH]);
  t.same(await find({ term: { 'threat.indicator.url.domain': 'login.evil.co.uk' } }), ['login.evil.co.uk']);
  t.same(await find({ term: { 'threat.indicator.url.full': URL_VALUE } }), [URL_VALUE]);
  t.same(
    await find({ term: { 'sluice.network': '203.0.113.77' } }),
    ['203.0.113.0/24'],
    'a network by an address in it',
  );
  t.same(await held(node, 'all'), await liveIn(gateway, 'all'));
  t.same(await held(node, 'agent'), await liveIn(gateway, 'agent'));

  const before = (await node.ask('GET', `/${LATEST_INDEX}/_stats/indexing`)).body._all.primaries.indexing;
  t.match(await side.deliver('siem'), { written: 0, unchanged: 0 }, 'a second run has nothing to say');
  const again = await side.rebuildSink('siem');
  t.match(again, { written: 0, refused: 0, swept: 0 }, 'and saying all of it again changes nothing');
  t.ok(again.unchanged >= few.length);
  const after = (await node.ask('GET', `/${LATEST_INDEX}/_stats/indexing`)).body._all.primaries.indexing;
  t.equal(after.index_total, before.index_total);

  await clock.advance(5000);
  await write([...few.slice(1, 5).map((object, i) => (i === 0 ? { ...object, confidence: 10 } : object))]);
  await side.deliver('siem');
  t.same(await find({ term: { 'threat.indicator.ip': '198.51.100.7' } }), [], 'withdrawn is gone');
  t.same(await find({ term: { 'threat.indicator.confidence': 'Low' } }), ['198.51.100.8'], 'changed is changed');
  t.same(await held(node, 'agent'), await liveIn(gateway, 'agent'), 'a re-issue is no withdrawal');

  clock.set(START + 24 * MICROS_PER_DAY);
  await side.poll('drop');
  await side.tick();
  await side.deliver('siem');
  t.same(await held(node, 'agent'), await liveIn(gateway, 'agent'), 'nor is one by age');

  await node.ask('PUT', `/${LATEST_ALIAS}/_doc/stray?version=1&version_type=external&refresh=true`, {
    sluice: { collection: 'all' },
    stix: { id: 'indicator--from-a-life-before' },
    threat: { indicator: { name: 'stray' } },
  });
  t.match(await side.rebuildSink('siem'), { swept: 1 });
  t.same(await held(node, 'all'), await liveIn(gateway, 'all'), 'what nothing live stands for is taken out');
}

async function proveRefusals(t: Test, node: ElasticsearchNode): Promise<void> {
  const gateway = await openPushing(t, node, sinkOf('siem', 'collections: [ips]'));
  const { side, write } = gateway;
  await side.setUpSink('siem', false);
  // Another mapping of one field, as a user's own template may bring it, makes documents of one kind unwelcome.
  await node.ask('DELETE', `/${LATEST_INDEX}`);
  const mappings = { properties: { sluice: { properties: { type: { type: 'ip' } } } } };
  await node.ask('PUT', `/${LATEST_INDEX}`, { mappings, aliases: { [LATEST_ALIAS]: {} } });
  await write(few);
  t.match(await side.deliver('siem'), { written: 0, refused: 2 }, 'they are kept, and the rest goes on');
  const letters = await side.deadLetters('siem', 10);
  t.equal(letters.length, 2);
  t.match(letters[0], { attempts: 1, reason: /document_parsing_exception|mapper_parsing_exception/ });
  t.match(await side.retrySink('siem'), { refused: 2 });
  t.match(await side.deadLetters('siem', 10), [{ attempts: 2 }, { attempts: 2 }]);
  await node.ask('DELETE', `/${LATEST_INDEX}`);
  await side.setUpSink('siem', false);
  t.match(await side.retrySink('siem'), { written: 2, refused: 0 }, 'mended, they are taken');
  t.same(await side.deadLetters('siem', 10), []);
  t.same(await held(node, 'ips'), await liveIn(gateway, 'ips'));
}

async function proveOutage(t: Test, node: ElasticsearchNode): Promise<void> {
  const sinks = sinkOf('siem', 'collections: [ips], flush_bytes: 400000, concurrency: 1');
  const first = await openPushing(t, node, sinks);
  await first.side.setUpSink('siem', false);
  await first.write(addresses(12_000));
  const pushing = first.side.deliver('siem').then(
    () => 'delivered',
    (error) => error.code,
  );
  for (;;) {
    const { body } = await node.ask('GET', `/${LATEST_INDEX}/_stats/indexing`);
    if (body._all.primaries.indexing.index_total > 1000) break;
  }
  await node.kill();
  t.equal(await pushing, 'sink-unavailable', 'killed in mid-push');
  await t.rejects(first.side.deliver('siem'), { code: 'sink-unavailable' }, 'and down');
  t.match((await first.side.status()).sinks, [{ failures: 2, error: { code: 'sink-unavailable' } }]);
  // Half are withdrawn and some come new while it is down, and the gateway starts anew as well.
  await first.write([...addresses(12_000).slice(6000), ...few]);
  await first.side.close();

  await node.restart();
  const second = await openPushing(t, node, sinks, { dir: first.dir, clock: first.clock });
  await second.side.deliver('siem');
  t.same(await held(node, 'ips'), await liveIn(second, 'ips'));
  t.equal((await held(node, 'ips')).length, 6002);
}

async function proveStreams(t: Test, node: ElasticsearchNode): Promise<void> {
  const gateway = await openPushing(
    t,
    node,
    sinkOf('stream', 'collections: [all], target: stream, namespace: proof') +
      sinkOf('guide', 'collections: [ips], target: compat'),
  );
  const { side, write, clock } = gateway;
  await write(few);
  for (const name of ['stream', 'guide']) await side.setUpSink(name, false);
  t.match(await side.deliver('stream'), { written: 6, refused: 0 });
  t.match(await side.deliver('guide'), { written: 2, refused: 0 });
  t.equal(await count(node, 'logs-ti_sluice.indicator-proof'), 6);
  t.match(await side.rebuildSink('stream'), { written: 0, unchanged: 6 }, 'a repeat is a conflict, and harmless');
  t.match(await side.rebuildSink('guide'), { written: 0, unchanged: 2 });
  await clock.advance(5000);
  await write(few.slice(1));
  t.match(await side.deliver('stream'), { written: 1 }, 'a withdrawal is one more version');
  const revoked = await searchIds(node, 'logs-ti_sluice.indicator-proof', { term: { 'stix.revoked': true } });
  t.same(revoked, ['198.51.100.7']);
  const resolved = (await node.ask('GET', '/_resolve/index/logs-ti*')).body;
  t.match(
    resolved.data_streams.map(({ name }: any) => name).sort(),
    ['logs-ti.socdefenders-default', 'logs-ti_sluice.indicator-proof'],
    'both are data streams',
  );

  const url = await gateway.listen();
  const script = new URL('../fixtures/seeds/poll_and_index.py', import.meta.url);
  const polled = await runPython(t, script, [url, gateway.key, node.url]);
  if (polled !== null) {
    t.match(polled, { code: 0, stdout: 'Indexed 2 indicators.\n' }, polled.stderr);
    t.equal(await count(node, 'logs-ti.socdefenders-default'), 4);
  }
  if (node.version !== '8.19.21') return;
  const query = `FROM logs-ti.socdefenders-default
| WHERE threat.indicator.type == "ipv4-addr"
| STATS count = COUNT(*) BY threat.indicator.ip, threat.indicator.confidence
| SORT count DESC
| LIMIT 50`;
  const { status, body } = await node.ask('POST', '/_query', { query });
  t.equal(status, 200, JSON.stringify(body));
  t.ok(
    body.values.some((row: unknown[]) => row.includes('198.51.100.8')),
    'the guide’s query finds the rows',
  );
}

for (const version of Object.keys(elasticsearchVersions) as ElasticsearchVersion[]) {
  t.test(`Elasticsearch ${version}`, async (t) => {
    const node = await startElasticsearch(t, version);
    if (node === null) return;
    await node.ask('PUT', '/_index_template/logs', BUILT_IN);
    await t.test('latest: the live set, found by every field, and nothing else', (t) => proveLatest(t, node));
    await node.ask('DELETE', `/${LATEST_INDEX}`);
    await t.test('what is refused is kept with its reason and taken when mended', (t) => proveRefusals(t, node));
    await node.ask('DELETE', `/${LATEST_INDEX}`);
    await t.test('killed in mid-push, both: the live set in the end', (t) => proveOutage(t, node));
    await t.test('stream and compat: every version once, and the guide’s own poller and query', (t) =>
      proveStreams(t, node),
    );
  });
}
