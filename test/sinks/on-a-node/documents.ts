import type { Test } from 'tap';
import { ecsContext, ecsDestination } from '../../../src/ecs/data-stream.ts';
import { writeEcs } from '../../../src/ecs/document.ts';
import { ecsMappings } from '../../../src/ecs/mapping.ts';
import { type JsonObject, jsonText } from '../../../src/model/json.ts';
import { readGoldens } from '../../helpers/ecs.ts';
import type { ElasticsearchNode } from '../../helpers/elasticsearch.ts';
import { indicatorEntry } from '../../helpers/entry.ts';
import { openPushing, sinkOf } from '../../helpers/pushing.ts';

/** Every golden document under the templates that setup installs: taken whole, found as analysts look, nothing mapped by accident. */
export async function proveDocuments(t: Test, node: ElasticsearchNode): Promise<void> {
  const context = ecsContext({ target: 'latest', collection: { alias: 'all', title: 'All indicators' } });
  const { index } = ecsDestination({ target: 'latest', stream: 'golden' });
  const { side } = await openPushing(t, node, sinkOf('siem', 'collections: [all], stream: golden'));
  await side.setUpSink('siem', false);
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
  const { body: bulk } = await node.ask('POST', `/${index}/_bulk?refresh=true`, lines.join(''));
  t.equal(bulk.errors, false, 'every document is taken');

  const search = async (query: JsonObject, more: JsonObject = {}): Promise<any[]> =>
    (await node.ask('POST', `/${index}/_search?size=100`, { query, ...more })).body.hits.hits;
  const idsOf = async (query: JsonObject): Promise<string> =>
    (await search(query))
      .map(({ _id }) => _id)
      .sort()
      .join(' ');
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
  const named = { term: { 'threat.indicator.name': '203.0.113.0/24' } };
  const [found] = await search(named, { fields: ['sluice.network'] });
  t.same(found.fields['sluice.network'], ['203.0.113.0/24'], 'a rule reads the CIDR as it was written');
  const match = { match: { 'threat.indicator.ip': { query: '198.51.100.0/24' } } };
  t.equal(await idsOf(match), 'bare ipv4', 'and a CIDR asks for the addresses in it');
  t.equal(await idsOf({ match: { 'sluice.network': { query: '203.0.113.77' } } }), 'ipv4-network');

  const { mappings } = (await node.ask('GET', `/${index}/_mapping`)).body[index];
  const { event, ...rest } = ecsMappings({ plain: true })['properties'] as JsonObject;
  const ingested = { properties: { ...(event as { properties: JsonObject }).properties, ingested: { type: 'date' } } };
  t.same(mappings.properties, { ...rest, event: ingested }, 'the mapping is what setup put there, and stays it');
}
