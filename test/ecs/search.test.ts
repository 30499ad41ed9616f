import t from 'tap';
import { ecsContext, ecsIndexOf } from '../../src/ecs/data-stream.ts';
import { writeEcs } from '../../src/ecs/document.ts';
import { ecsMappings } from '../../src/ecs/mapping.ts';
import { type JsonObject, jsonText } from '../../src/model/json.ts';
import { readGoldens } from '../helpers/ecs.ts';
import { indicatorEntry } from '../helpers/entry.ts';

/**
 * The documents on a real Elasticsearch: taken whole, found the ways analysts look, and unchanged in their mapping. Needs a loopback
 * node without security, named by SLUICE_TEST_ELASTICSEARCH; a bare one will do.
 */
const node = process.env['SLUICE_TEST_ELASTICSEARCH'];
const context = ecsContext({ target: 'latest', collection: { alias: 'all', title: 'All indicators' } });
// A name of its own for each run: tests share a node.
const index = `${ecsIndexOf(context)}-${process.pid}`;

async function ask(method: string, path: string, body?: unknown): Promise<any> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const type = typeof body === 'string' ? 'application/x-ndjson' : 'application/json';
  const answer = await fetch(new URL(path, node), {
    method,
    headers: { 'content-type': type },
    ...(body === undefined ? {} : { body: text }),
  });
  return answer.json();
}

const idsOf = async (query: JsonObject): Promise<string> =>
  (await ask('POST', `/${index}/_search?size=100`, { query })).hits.hits
    .map(({ _id }: { _id: string }) => _id)
    .sort()
    .join(' ');

t.test('documents on a real node', async (t) => {
  if (node === undefined) {
    const reason = 'SLUICE_TEST_ELASTICSEARCH names no loopback node';
    t.comment(`opt-in, not run: ${reason}; test/sinks/elasticsearch.test.ts starts its own nodes`);
    return;
  }
  t.ok(['127.0.0.1', 'localhost', '[::1]'].includes(new URL(node).hostname), 'only loopback is contacted');
  const mappings = ecsMappings({ plain: true });
  const made = await ask('PUT', `/${index}`, { settings: { number_of_replicas: 0 }, mappings });
  t.equal(made.acknowledged, true, JSON.stringify(made));
  t.teardown(() => ask('DELETE', `/${index}`));

  // As long as anything that a feed may send: above Lucene's 32,766 bytes a term.
  const long = indicatorEntry(
    { type: 'url', value: `http://long.example/${'a'.repeat(4000)}` },
    {
      description: 'ü'.repeat(60_000),
      references: jsonText([{ source_name: 'x', description: 'y'.repeat(60_000) }]),
      labels: jsonText(['z'.repeat(60_000)]),
    },
  );
  const lines = [...readGoldens(), { name: 'long', entry: long }].map(
    ({ name, entry }) => `{"index":{"_id":"${name}"}}\n${writeEcs(entry, context)}\n`,
  );
  const bulk = await ask('POST', `/${index}/_bulk?refresh=true`, lines.join(''));
  t.equal(bulk.errors, false, 'every document is taken');

  const term = (field: string, value: string): Promise<string> => idsOf({ term: { [field]: value } });
  t.equal(await term('threat.indicator.ip', '198.51.100.3'), 'ipv4', 'an address');
  t.equal(await term('threat.indicator.ip', '198.51.100.0/24'), 'bare ipv4', 'addresses in a CIDR, and no network');
  t.equal(await term('sluice.network', '203.0.113.77'), 'ipv4-network', 'the network that holds an address');
  t.equal(await term('sluice.network', '2001:db8::99'), 'ipv6-network');
  t.equal(await term('sluice.network', '203.0.114.1'), '', 'and no other');
  const within = { gte: '203.0.0.0', lte: '203.0.255.255', relation: 'within' };
  t.equal(await idsOf({ range: { 'sluice.network': within } }), 'ipv4-network', 'networks in a range');
  const url = String(readGoldens().find(({ name }) => name === 'url')?.entry.value);
  t.equal(await term('threat.indicator.url.full', url), 'url', 'a full URL');
  t.equal(await term('threat.indicator.url.full', long.value), 'long', 'also the longest');
  t.equal(await term('threat.indicator.url.domain', 'login.evil.co.uk'), 'domain');
  t.equal(await term('threat.indicator.file.hash.sha1', 'da39a3ee5e6b4b0d3255bfef95601890afd80709'), 'sha1');
  t.equal(await term('sluice.certificate.sha1', '28F9A8E7601F5338BF6E194151A718608C0124A8'), 'x509-sha1');
  t.equal(await term('vulnerability.id', 'CVE-2024-12345'), 'cve');
  t.equal(await term('related.ip', '2001:db8::7'), 'url-address-6', 'the address in a URL');
  t.equal(await term('stix.external_references.external_id', 'f-1'), 'ipv4', 'an upstream id');
  t.equal(await term('stix.revoked', 'true'), 'withdrawn withdrawn-elastic-agent');

  // What an indicator match rule asks: an indicator's value of the events, or an event's value of the indicators.
  const found = await ask('POST', `/${index}/_search`, {
    query: { term: { 'threat.indicator.name': '203.0.113.0/24' } },
    fields: ['sluice.network'],
  });
  t.same(found.hits.hits[0].fields['sluice.network'], ['203.0.113.0/24'], 'a rule reads the CIDR as it was written');
  const match = { match: { 'threat.indicator.ip': { query: '198.51.100.0/24' } } };
  t.equal(await idsOf(match), 'bare ipv4', 'and a CIDR asks for the addresses in it');
  t.equal(await idsOf({ match: { 'sluice.network': { query: '203.0.113.77' } } }), 'ipv4-network');

  const after = (await ask('GET', `/${index}/_mapping`))[index].mappings;
  t.same(after.properties, mappings['properties'], 'nothing was mapped by accident');
});
