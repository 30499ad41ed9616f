import type { Test } from 'tap';
import { ecsDestination } from '../../../src/ecs/data-stream.ts';
import { MICROS_PER_DAY } from '../../../src/model/clock.ts';
import type { ElasticsearchNode } from '../../helpers/elasticsearch.ts';
import { few, HASH, held, liveIn, openPushing, rowsOf, searchNames, sinkOf, URL_VALUE } from '../../helpers/pushing.ts';
import { START } from '../../helpers/store.ts';

/** `latest` from an empty cluster on: set up, found by every field, changed, withdrawn, rebuilt. */
export async function proveLatest(t: Test, node: ElasticsearchNode): Promise<void> {
  const { name: alias, index } = ecsDestination({ target: 'latest' });
  const gateway = await openPushing(t, node, sinkOf('siem', 'collections: [all, agent]'));
  const { side, write, clock } = gateway;
  await write(few);
  await t.rejects(side.deliver('siem'), { code: 'sink-refused', message: /sluice sink setup/ }, 'nothing is guessed');
  t.match((await node.ask('GET', `/${alias}`)).status, 404, 'and no index of another kind was made');
  for (const time of ['first', 'again']) {
    for (const step of await side.setUpSink('siem', false))
      t.match(step.outcome, /^(?:done|was there|left out)/, `${time}: ${step.name}`);
  }
  const made = (await node.ask('GET', `/${index}`)).body[index];
  t.equal(alias, 'logs-ti_sluice_latest.indicator');
  t.ok(made.aliases[alias], 'a plain index behind an alias, whatever the built-in template says');
  t.equal(made.data_stream, undefined);

  t.match(await side.deliver('siem'), { refused: 0 });
  const all = { term: { 'sluice.collection': 'all' } };
  const find = (query: object) => searchNames(node, alias, { bool: { must: [all, query] } });
  t.same(await find({ term: { 'threat.indicator.ip': '198.51.100.7' } }), ['198.51.100.7']);
  t.same(await find({ term: { 'threat.indicator.ip': '198.51.100.0/24' } }), ['198.51.100.7', '198.51.100.8']);
  t.same(await find({ term: { 'threat.indicator.file.hash.sha256': HASH } }), [HASH]);
  t.same(await find({ term: { 'threat.indicator.url.domain': 'login.evil.co.uk' } }), ['login.evil.co.uk']);
  t.same(await find({ term: { 'threat.indicator.url.full': URL_VALUE } }), [URL_VALUE]);
  const network = { term: { 'sluice.network': '203.0.113.77' } };
  t.same(await find(network), ['203.0.113.0/24'], 'a network by an address in it');
  for (const collection of ['all', 'agent']) {
    t.same(await held(node, 'indicator', collection), await liveIn(gateway, collection), collection);
  }

  const rows = await rowsOf(node, 'latest.esql');
  for (const ip of rows === null ? [] : ['198.51.100.7', '198.51.100.8']) {
    const row = [2, ip, 'High'];
    t.ok(
      rows?.some((each) => JSON.stringify(each) === JSON.stringify(row)),
      `${ip}, once in each collection`,
    );
  }

  const indexed = async (): Promise<number> =>
    (await node.ask('GET', `/${index}/_stats/indexing`)).body._all.primaries.indexing.index_total;
  const before = await indexed();
  t.match(await side.deliver('siem'), { written: 0, unchanged: 0 }, 'a second run has nothing to say');
  t.equal(await indexed(), before);
  const standing = await find({ match_all: {} });
  const again = await side.rebuildSink('siem');
  t.match(again, { unchanged: 0, refused: 0, swept: 0 }, 'a rebuild writes all of it again');
  t.ok(again.written >= few.length);
  t.same(await find({ match_all: {} }), standing, 'and changes nothing');

  await clock.advance(5000);
  await write([...few.slice(1, 5).map((object, i) => (i === 0 ? { ...object, confidence: 10 } : object))]);
  await side.deliver('siem');
  t.same(await find({ term: { 'threat.indicator.ip': '198.51.100.7' } }), [], 'withdrawn is gone');
  t.same(await find({ term: { 'threat.indicator.confidence': 'Low' } }), ['198.51.100.8'], 'changed is changed');
  t.same(await held(node, 'indicator', 'agent'), await liveIn(gateway, 'agent'), 'a re-issue is no withdrawal');

  clock.set(START + 24 * MICROS_PER_DAY);
  await side.poll('drop');
  await side.tick();
  await side.deliver('siem');
  t.same(await held(node, 'indicator', 'agent'), await liveIn(gateway, 'agent'), 'nor is one by age');

  await node.ask('PUT', `/${alias}/_doc/stray?version=1&version_type=external&refresh=true`, {
    sluice: { collection: 'all' },
    stix: { id: 'indicator--from-a-life-before' },
    threat: { indicator: { name: 'stray' } },
  });
  t.match(await side.rebuildSink('siem'), { swept: 1 });
  t.same(await held(node, 'indicator', 'all'), await liveIn(gateway, 'all'), 'what nothing live stands for leaves');

  await side.close();
  const less = await openPushing(t, node, sinkOf('siem', 'collections: [agent]'), { dir: gateway.dir, clock });
  t.match(await less.side.deliver('siem'), { swept: 4 }, 'a collection that is taken out of the sink');
  t.same(await held(node, 'indicator', 'all'), []);
  t.same(await held(node, 'indicator', 'agent'), await liveIn(less, 'agent'));
}

/** A mapping that is not ours makes documents of one kind unwelcome. */
export async function proveRefusals(t: Test, node: ElasticsearchNode): Promise<void> {
  const { name: alias, index } = ecsDestination({ target: 'latest', stream: 'refusals' });
  const gateway = await openPushing(t, node, sinkOf('siem', 'collections: [ips], stream: refusals'));
  const { side, write } = gateway;
  await side.setUpSink('siem', false);
  await node.ask('DELETE', `/${index}`);
  const mappings = { properties: { sluice: { properties: { type: { type: 'ip' } } } } };
  await node.ask('PUT', `/${index}`, { mappings, aliases: { [alias]: {} } });
  await write(few);
  t.match(await side.deliver('siem'), { written: 0, refused: 2 }, 'they are kept, and the rest goes on');
  const letters = await side.deadLetters('siem', 10);
  t.equal(letters.length, 2);
  t.match(letters[0], { attempts: 1, reason: /document_parsing_exception|mapper_parsing_exception/ });
  t.match(await side.retrySink('siem'), { refused: 2 });
  t.match(await side.deadLetters('siem', 10), [{ attempts: 2 }, { attempts: 2 }]);
  await node.ask('DELETE', `/${index}`);
  await side.setUpSink('siem', false);
  t.match(await side.retrySink('siem'), { written: 2, refused: 0 }, 'mended, they are taken');
  t.same(await side.deadLetters('siem', 10), []);
  t.same(await held(node, 'refusals', 'ips'), await liveIn(gateway, 'ips'));
}
