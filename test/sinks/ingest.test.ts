import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { Secret } from '../../src/model/secret.ts';
import { sinkKinds } from '../../src/sinks/registry.ts';
import { collection, entryOf, openSink } from '../contracts/sink.contract.ts';
import { administrator, type ElasticsearchNode, startElasticsearch } from '../helpers/elasticsearch.ts';
import { samples } from '../helpers/observables.ts';

/**
 * What bare nodes can't show: ingest processors and API keys, on Elasticsearch 9.4.3 with the modules that SonarQube ships, a
 * download of 947 MB. `SLUICE_TEST_INGEST=1 tap test/sinks/ingest.test.ts`.
 */
const never = new AbortController().signal;
const options = {
  ...{ stream: 'ingest', namespace: 'default', ioc_expiration_duration: 90 * 86_400_000 },
  ...{ flush_bytes: 1_000_000, concurrency: 1, timeout: 30_000 },
};

function open(t: Test, node: ElasticsearchNode, target: string, more: object = {}) {
  const sink = openSink(sinkKinds.elasticsearch, { ...options, node: node.url, target, ...more }, '.');
  t.teardown(() => sink.close());
  return sink;
}

/** The pipelines that setup installs, and a hook of somebody's own in them. */
async function provePipelines(t: Test, node: ElasticsearchNode): Promise<void> {
  await node.ask('PUT', '/_ingest/pipeline/ti_sluice@custom', {
    processors: [{ set: { field: 'tags', value: 'hooked', if: "ctx.threat.indicator.type == 'domain-name'" } }],
  });
  for (const target of ['latest', 'stream']) {
    const sink = open(t, node, target);
    const outcomes = new Map<string, string>();
    for (const step of sink.setup().filter(({ byHand }) => byHand !== true)) {
      outcomes.set(step.name, await sink.install(step, never));
    }
    t.equal(outcomes.get('ingest pipeline'), 'done', 'whole, processors and all');
    if (target === 'stream') t.equal(outcomes.get('ingest pipeline of the transform'), 'done');
    t.match(await sink.push(collection, [entryOf(1)], never), { written: 1, refused: [] });
    const index = target === 'latest' ? 'logs-ti_sluice_latest.ingest' : 'logs-ti_sluice.ingest-default';
    await node.ask('POST', `/${index}/_refresh`);
    const { hits } = (await node.ask('GET', `/${index}/_search`)).body.hits;
    t.match(hits[0]._source, { event: { ingested: /^\d{4}-/ }, tags: 'hooked' }, target);
  }
  const transform = await node.ask('POST', '/_ingest/pipeline/ti_sluice-1-transform/_simulate', {
    docs: [{ _source: { labels: { is_ioc_transform_source: 'true', other: 'x' } } }],
  });
  t.same(transform.body.docs[0].doc._source, { labels: { other: 'x' } }, 'no rule leaves out what the transform makes');
}

/** `examples/elastic/`: what the integration leaves out. */
async function proveHook(t: Test, node: ElasticsearchNode): Promise<void> {
  const { sha512 } = samples;
  const docs = [
    { threat: { indicator: { type: 'url', url: { original: ['http://evil.example/a?b=1'] } } } },
    { threat: { indicator: { type: 'domain-name', url: { original: ['evil.example'] } } } },
    { stix: { pattern: `[file:hashes.'SHA-512' = '${sha512}']` }, threat: { indicator: { type: 'file' } } },
    { threat: { indicator: { type: 'ipv4-addr', ip: ['198.51.100.3'] } } },
    {
      stix: { pattern: `[file:hashes.'SHA-512' = '${sha512}']` },
      threat: { indicator: { type: 'file' } },
      related: { hash: ['x'] },
    },
  ];
  const hook = new URL('../../examples/elastic/logs-ti_custom.indicator@custom.json', import.meta.url);
  const pipeline = JSON.parse(readFileSync(hook, 'utf8'));
  const body = { pipeline, docs: docs.map((_source) => ({ _source })) };
  const answer = await node.ask('POST', '/_ingest/pipeline/_simulate', body);
  const [url, domain, hash, address, another] = answer.body.docs.map(({ doc }: any) => doc._source);
  t.match(url, { threat: { indicator: { url: { full: ['http://evil.example/a?b=1'], domain: 'evil.example' } } } });
  t.match(domain, { threat: { indicator: { url: { domain: ['evil.example'] } } } });
  t.match(hash, { threat: { indicator: { file: { hash: { sha512 } } } }, related: { hash: [sha512] } });
  t.same(address, docs[3], 'what it is not about stays as it was');
  t.same(another.related.hash, ['x', sha512], 'beside what is there');
}

/** The API key that the dry run shows may push, and nothing else. */
async function proveKeys(t: Test, node: ElasticsearchNode): Promise<void> {
  const indices = { latest: 'logs-ti_sluice_latest.ingest', stream: 'logs-ti_sluice.ingest-default' };
  for (const [target, index] of Object.entries(indices)) {
    const step = open(t, node, target)
      .setup()
      .find(({ path }) => path === '/_security/api_key');
    const made = await node.ask('POST', '/_security/api_key', step?.body);
    t.equal(made.status, 200, 'made as it is shown');
    const sink = open(t, node, target, { api_key: new Secret(made.body.encoded) });
    t.match(await sink.push(collection, [entryOf(2)], never), { written: 1, refused: [] }, target);
    if (target === 'latest') t.equal(await sink.sweep(collection, async () => new Set(), never), 2);
    const [first] = sink.setup();
    if (first !== undefined) await t.rejects(sink.install(first, never), { code: 'sink-refused' });
    const headers = { authorization: `ApiKey ${made.body.encoded}` };
    const search = await fetch(`${node.url}/${index}/_search`, { headers });
    t.equal(search.status, target === 'latest' ? 200 : 403, 'a stream is written to, not read');
    t.equal((await fetch(`${node.url}/other/_search`, { headers })).status, 403);
    await node.ask('DELETE', '/_security/api_key', { ids: [made.body.id] });
    await t.rejects(sink.push(collection, [entryOf(3)], never), { code: 'sink-refused', message: /credentials/ });
  }
  const user = { username: administrator.username, password: new Secret(administrator.password) };
  t.match(await open(t, node, 'latest', user).push(collection, [entryOf(4)], never), { written: 1 });
}

t.test('Elasticsearch 9.4.3 with ingest processors and API keys', async (t) => {
  if (!process.env['SLUICE_TEST_INGEST']) {
    t.comment('opt-in, not run: SLUICE_TEST_INGEST is not set (a download of 947 MB)');
    return;
  }
  const node = await startElasticsearch(t, '9.4.3');
  if (node === null) return;
  await t.test('the pipelines that setup installs', (t) => provePipelines(t, node));
  await t.test('the ingest hook of the examples', (t) => proveHook(t, node));
  await node.kill();
  await node.restart({});
  await t.test('API keys', (t) => proveKeys(t, node));
});
