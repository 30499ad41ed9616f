import type { Test } from 'tap';
import type { ElasticsearchNode } from '../../helpers/elasticsearch.ts';
import { count, few, openPushing, type Pushing, rowsOf, searchNames, sinkOf } from '../../helpers/pushing.ts';
import { runPython } from '../../helpers/python.ts';

const GUIDE = 'logs-ti.socdefenders-default';

/** The data stream: every version once, withdrawals as one more. */
export async function proveStream(t: Test, node: ElasticsearchNode): Promise<void> {
  const stream = 'logs-ti_sluice.indicator-proof';
  const gateway = await openPushing(t, node, sinkOf('stream', 'collections: [all], target: stream, namespace: proof'));
  const { side, write, clock } = gateway;
  await write(few);
  await side.setUpSink('stream', false);
  t.match(await side.deliver('stream'), { written: 6, refused: 0 });
  t.equal(await count(node, stream), 6);
  t.match(await side.rebuildSink('stream'), { written: 0, unchanged: 6 }, 'a repeat is a conflict, and harmless');
  await clock.advance(5000);
  await write(few.slice(1));
  t.match(await side.deliver('stream'), { written: 1 }, 'a withdrawal is one more version');
  t.same(await searchNames(node, stream, { term: { 'stix.revoked': true } }), ['198.51.100.7']);
  t.ok((await dataStreams(node)).includes(stream));
}

/** The guide's index where no template claims its name: a plain index that the first write makes. */
export async function proveGuideOnBareIndex(t: Test, node: ElasticsearchNode): Promise<void> {
  const gateway = await openPushing(t, node, sinkOf('guide', 'collections: [ips], target: compat'));
  await proveGuide(t, node, gateway);
  t.notOk((await dataStreams(node)).includes(GUIDE), 'an index');
  await node.ask('DELETE', `/${GUIDE}`);
}

/** The same where a template makes it a data stream, as Elastic's own does on every real cluster. */
export async function proveGuideOnDataStream(t: Test, node: ElasticsearchNode): Promise<void> {
  const gateway = await openPushing(t, node, sinkOf('guide', 'collections: [ips], target: compat'));
  await gateway.side.setUpSink('guide', false);
  await proveGuide(t, node, gateway);
  t.ok((await dataStreams(node)).includes(GUIDE), 'a data stream');
}

/** Sluice and the guide's own poller write side by side, and the guide's query finds what both wrote. */
async function proveGuide(t: Test, node: ElasticsearchNode, { side, write, listen, key }: Pushing): Promise<void> {
  await write(few);
  t.match(await side.deliver('guide'), { written: 2, refused: 0 });
  t.match(await side.rebuildSink('guide'), { written: 0, unchanged: 2 }, 'all conflicts');
  const script = new URL('../../fixtures/seeds/poll_and_index.py', import.meta.url);
  const polled = await runPython(t, script, [await listen(), key, node.url]);
  if (polled !== null) {
    t.match(polled, { code: 0, stdout: 'Indexed 3 indicators.\n' }, polled.stderr);
    t.equal(await count(node, GUIDE), 5);
  }
  const datasets = ['event.dataset', 'data_stream.dataset'];
  const filter = datasets.map((field) => ({ match: { [field]: 'ti.socdefenders' } }));
  const ours = ['198.51.100.7', '198.51.100.8'];
  t.same(await searchNames(node, GUIDE, { bool: { filter } }), ours, 'what the guide filters by');
  const rows = await rowsOf(node, 'seed.esql');
  if (rows === null) return;
  // One vocabulary: what both wrote of an address is one group of the guide's query.
  t.equal(rows.length, polled === null ? 2 : 3, JSON.stringify(rows));
  for (const ip of ours)
    t.ok(
      rows.some((row) => JSON.stringify(row) === JSON.stringify([polled === null ? 1 : 2, ip, 'high'])),
      ip,
    );
}

async function dataStreams(node: ElasticsearchNode): Promise<string[]> {
  const { body } = await node.ask('GET', '/_resolve/index/logs-ti*');
  return body.data_streams.map(({ name }: { name: string }) => name);
}
