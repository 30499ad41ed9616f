import t from 'tap';
import { startElasticsearch } from '../helpers/elasticsearch.ts';
import { proveDocuments } from './on-a-node/documents.ts';
import { proveLatest, proveRefusals } from './on-a-node/latest.ts';
import { proveOutage, proveRoles } from './on-a-node/outage.ts';
import { proveGuideOnBareIndex, proveGuideOnDataStream, proveStream } from './on-a-node/streams.ts';

/** Elastic's built-in template claims `logs-*-*` for data streams on every real cluster; bare nodes get a look-alike of it. */
const BUILT_IN = {
  index_patterns: ['logs-*-*'],
  data_stream: {},
  priority: 100,
  template: { mappings: { properties: { '@timestamp': { type: 'date' } } } },
};

// One node a version for all of it, and names of its own for each part.
for (const version of ['9.5.3', '8.19.21'] as const) {
  t.test(`Elasticsearch ${version}`, async (t) => {
    const node = await startElasticsearch(t, version);
    if (node === null) return;
    await t.test('compat where no template claims the name', (t) => proveGuideOnBareIndex(t, node));
    await node.ask('PUT', '/_index_template/logs', BUILT_IN);
    await t.test('compat where a template makes it a data stream', (t) => proveGuideOnDataStream(t, node));
    await t.test('latest: the live set, found by every field, and nothing else', (t) => proveLatest(t, node));
    await t.test('documents of every type under the installed mapping', (t) => proveDocuments(t, node));
    await t.test('what is refused is kept with its reason and taken when mended', (t) => proveRefusals(t, node));
    await t.test('stream: every version once', (t) => proveStream(t, node));
    await t.test('killed in mid-push, both: the live set in the end', (t) => proveOutage(t, node));
    await t.test('the roles that setup shows are enough, and no more than that', (t) => proveRoles(t, node));
  });
}
