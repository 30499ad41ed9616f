import type { Test } from 'tap';
import { startElasticsearch } from '../../helpers/elasticsearch.ts';
import type { ElasticsearchVersion } from '../../helpers/elasticsearch-home.ts';
import { proveDocuments } from './documents.ts';
import { proveLatest, proveRefusals } from './latest.ts';
import { proveOutage, proveRoles } from './outage.ts';
import { proveGuideOnBareIndex, proveGuideOnDataStream, proveStream } from './streams.ts';

/** Elastic's built-in template claims `logs-*-*` for data streams on every real cluster; bare nodes get a look-alike of it. */
const BUILT_IN = {
  index_patterns: ['logs-*-*'],
  data_stream: {},
  priority: 100,
  template: { mappings: { properties: { '@timestamp': { type: 'date' } } } },
};

/** All that is proven on a node of this version: one node for all of it, and index names of its own for each part. */
export async function proveVersion(t: Test, version: ElasticsearchVersion): Promise<void> {
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
}
