import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { FeedItem } from '../../src/feeds/feed.ts';
import type { CollectionDefinition, Profile } from '../../src/model/definition.ts';
import type { ObservableType } from '../../src/model/observable.ts';
import { type DeliverParts, deliver, findCheckpoint, rebuild, redeliver } from '../../src/pipeline/deliver.ts';
import { Delivery } from '../../src/pipeline/delivery.ts';
import { sinkKinds } from '../../src/sinks/registry.ts';
import type { Sink } from '../../src/sinks/sink.ts';
import { openSink } from '../contracts/sink.contract.ts';
import { type ElasticFault, type ElasticServer, startElasticServer } from '../helpers/elastic-server.ts';
import { type Bench, feed, journal, never, openBench } from '../helpers/journals.ts';

const options = {
  target: 'latest',
  stream: 'indicator',
  namespace: 'default',
  ioc_expiration_duration: 90 * 86_400_000,
  flush_bytes: 20_000,
  concurrency: 2,
  timeout: 5000,
};
const KEEP_MS = 30 * 86_400_000;
const collectionOf = (types: ObservableType[] | null = null): CollectionDefinition => ({
  id: '00000000-0000-4000-8000-000000000001',
  alias: 'all',
  title: 'All',
  description: null,
  journal: 'pool:main',
  types,
  tlp: 'amber',
  strict: false,
});

interface Stage {
  bench: Bench;
  server: ElasticServer;
  sink: Sink;
  parts: DeliverParts;
  say(...values: [string, number?][]): Promise<void>;
  /** Values live in the journal. */
  live(types?: ObservableType[] | null): Promise<string[]>;
}

const house = feed('house', { lifetime: {} });

async function setStage(t: Test, profile: Profile = 'stix', more: object = {}): Promise<Stage> {
  const bench = await openBench(t, [house], [journal({}, { profile, keep: KEEP_MS })]);
  const server = await startElasticServer(t);
  const sink = openSink(sinkKinds.elasticsearch, { ...options, node: server.url, ...more }, '.');
  t.teardown(() => sink.close());
  const { clock, writer: store } = bench;
  const parts = { clock, store, name: 'siem', sink, collection: collectionOf(), keep: KEEP_MS, signal: never, page: 3 };
  return {
    bench,
    server,
    sink,
    parts,
    async say(...values) {
      const typeOf = (value: string): string =>
        value.startsWith('http') ? 'url' : /^\d/.test(value) ? 'ipv4' : 'domain';
      const rows: FeedItem[] = values.map(([value, confidence = 50]) => ({ value, confidence, type: typeOf(value) }));
      const { outcome } = await bench.pull(house, rows);
      if (outcome !== 'whole') throw new Error(outcome);
      await bench.clock.advance(1000);
    },
    async live(types = null) {
      const { live } = await bench.indicators();
      return live
        .filter(({ type }) => types === null || types.includes(type))
        .map(({ value }) => value)
        .sort();
    },
  };
}

const pool = [
  '198.51.100.1',
  '198.51.100.2',
  '203.0.113.0/24',
  'a.example',
  'b.example',
  'c.example',
  'http://a.example/x',
];
type Step =
  | { do: 'say'; rows: [string, number][] }
  | { do: 'wait'; days: number }
  | { do: 'deliver'; fault: ElasticFault | 'lost-checkpoint' | null }
  | { do: 'rebuild'; fault: ElasticFault | null }
  | { do: 'view'; types: ObservableType[] | null }
  | { do: 'retry'; fault: ElasticFault | null }
  | { do: 'refuse'; value: string | null };

const fault = fc.option(
  fc.constantFrom<ElasticFault>('drop', 'reset', 'half', { status: 503 }, { status: 429 }, { status: 401 }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('say' as const),
      rows: fc.uniqueArray(fc.tuple(fc.constantFrom(...pool), fc.constantFrom(10, 50, 90)), { selector: ([v]) => v }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), days: fc.constantFrom(0.01, 5, 26, 45) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('deliver' as const),
      fault: fc.oneof(fault, fc.constant('lost-checkpoint' as const)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('rebuild' as const), fault }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('retry' as const), fault }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('view' as const),
      types: fc.constantFrom<ObservableType[] | null>(null, ['ipv4'], ['domain', 'url']),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('refuse' as const), value: fc.option(fc.constantFrom(...pool)) }),
  },
);

/** A sink whose process ends after a push, before anything of it is remembered. */
function dying(sink: Sink): Sink {
  return {
    ...sink,
    push: async (...args) => {
      await sink.push(...args);
      throw new Error('killed');
    },
  };
}

async function play(stage: Stage, steps: readonly Step[]): Promise<ObservableType[] | null> {
  const { bench, server, parts } = stage;
  const quietly = (work: Promise<unknown>): Promise<unknown> => work.catch(() => undefined);
  for (const each of steps) {
    server.faults = 'fault' in each && each.fault !== null && each.fault !== 'lost-checkpoint' ? [each.fault] : [];
    if (each.do === 'say') await stage.say(...each.rows);
    else if (each.do === 'wait') {
      await bench.clock.advance(each.days * 86_400_000);
      await bench.journals.tick(never);
    } else if (each.do === 'view') parts.collection = collectionOf(each.types);
    else if (each.do === 'refuse') {
      server.refuse = ({ source }) =>
        each.value !== null && source?.document?.threat.indicator.name === each.value
          ? { status: 400, type: 'document_parsing_exception', reason: 'no' }
          : null;
    } else if (each.do === 'rebuild') await quietly(rebuild(parts));
    else if (each.do === 'retry') await quietly(redeliver(parts));
    else await quietly(deliver(each.fault === 'lost-checkpoint' ? { ...parts, sink: dying(stage.sink) } : parts));
  }
  return parts.collection.types;
}

const RUNS = 40;
for (const profile of ['stix', 'elastic-agent'] as const) {
  t.test(`${profile}: whatever happens on the way, the target ends as the live set`, async (t) => {
    const stories = fc.sample(fc.array(step, { minLength: 5, maxLength: 25 }), { numRuns: RUNS, seed: 20261124 });
    for (const [i, story] of stories.entries()) {
      await t.test(`story ${i}`, async (t) => {
        const stage = await setStage(t, profile);
        const types = await play(stage, story);
        stage.server.faults = [];
        stage.server.refuse = null;
        await deliver(stage.parts);
        await redeliver(stage.parts);
        t.same(stage.server.live('all'), await stage.live(types), JSON.stringify(story));
        t.same(await stage.bench.writer.deadLetters('siem', null, 1000), []);
        const before = stage.server.requests.length;
        t.match(await deliver(stage.parts), { written: 0, unchanged: 0, refused: 0 });
        t.equal(stage.server.requests.length, before, 'and then there is nothing to say');
      });
    }
  });
}

t.test('a retry that meets a dead cluster keeps its letters', async (t) => {
  const { server, parts, say, bench } = await setStage(t);
  await say(['a.example'], ['b.example']);
  server.refuse = () => ({ status: 400, type: 'document_parsing_exception', reason: 'no' });
  t.match(await deliver(parts), { refused: 2 });
  server.down = 'drop';
  await t.rejects(redeliver(parts), { code: 'sink-unavailable' });
  t.equal(await bench.writer.deadLetterCount('siem'), 2);
  server.down = null;
  t.match(await redeliver(parts), { refused: 2 });
  t.match(await bench.writer.deadLetters('siem', null, 10), [{ attempts: 2 }, { attempts: 2 }]);
  server.refuse = null;
  t.match(await redeliver(parts), { written: 2, refused: 0 });
  t.equal(await bench.writer.deadLetterCount('siem'), 0);
});

t.test('another place under the same name is filled from the start', async (t) => {
  const { server, parts, say, live } = await setStage(t);
  await say(['a.example'], ['b.example']);
  await deliver(parts);
  const moved = await startElasticServer(t);
  const sink = openSink(sinkKinds.elasticsearch, { ...options, node: moved.url }, '.');
  t.teardown(() => sink.close());
  await deliver({ ...parts, sink });
  t.same(moved.live('all'), await live());
  t.same(server.live('all'), await live());
});

t.test('a sink that catches up slowly counts as away until it has caught up', async (t) => {
  const { bench, server, parts, say, live } = await setStage(t);
  await say(...pool.map((value): [string] => [value]));
  await deliver(parts);
  await bench.clock.advance(20 * 86_400_000);
  await say(...pool.slice(0, 2).map((value): [string] => [value]));
  // A part of the way back, then down again for longer than the withdrawals that are still untold stand.
  const dyingAtSecond = { ...parts.sink };
  let pushes = 0;
  dyingAtSecond.push = async (...args) => {
    pushes += 1;
    if (pushes > 1) throw new Error('down');
    return parts.sink.push(...args);
  };
  await t.rejects(deliver({ ...parts, sink: dyingAtSecond, page: 2 }));
  await bench.clock.advance(25 * 86_400_000);
  await bench.clock.advance(10 * 86_400_000);
  await bench.journals.tick(never);
  await deliver(parts);
  t.same(server.live('all'), await live());
});

t.test('too many refusals stop a sink before they fill the store, and nothing is passed over', async (t) => {
  const { server, parts, bench, live } = await setStage(t);
  const many: FeedItem[] = Array.from({ length: 10_500 }, (_, n) => ({
    value: `host-${n}.example`,
    type: 'domain',
    confidence: 50,
  }));
  await bench.pull(house, many);
  server.refuse = () => ({ status: 400, type: 'document_parsing_exception', reason: 'no' });
  await t.rejects(deliver({ ...parts, page: 1000 }), { code: 'sink-refused', message: /sink retry siem/ });
  t.ok((await bench.writer.deadLetterCount('siem')) <= 10_000);
  server.refuse = null;
  await deliver({ ...parts, page: 5000 });
  await redeliver({ ...parts, page: 5000 });
  t.equal(server.documents.size, 10_500);
  t.equal((await live()).length, 10_000, 'as many as the helper shows');
});

t.test('a stream hears of a withdrawal that came during its first filling', async (t) => {
  const { bench, server, parts, say } = await setStage(t, 'stix', { target: 'stream' });
  await say(['a.example'], ['b.example'], ['c.example'], ['198.51.100.1']);
  const sink = { ...parts.sink };
  let pushes = 0;
  sink.push = async (...args) => {
    const report = await parts.sink.push(...args);
    pushes += 1;
    if (pushes === 1) await say(['b.example'], ['c.example'], ['198.51.100.1']);
    return report;
  };
  await rebuild({ ...parts, sink, page: 2 });
  await deliver(parts);
  const revoked = [...server.documents.values()].filter(({ source }) => source.stix.revoked);
  t.same(
    revoked.map(({ source }) => source.threat.indicator.name),
    ['a.example'],
  );
  t.equal((await bench.indicators()).dead.length, 1);
});

t.test('a cluster that is down blocks nobody, is asked ever more rarely, and then gets everything', async (t) => {
  const { bench, server, sink, say, live } = await setStage(t);
  const stop = new AbortController();
  const { clock, writer: store } = bench;
  const reported: unknown[] = [];
  const delivery = new Delivery(
    { name: 'siem', kind: 'elasticsearch', sink, collections: [collectionOf()], every: 5000 },
    { clock, store, keepOf: () => KEEP_MS, report: (error) => reported.push(error), signal: stop.signal },
  );
  await say(['a.example']);
  server.down = { status: 503, headers: { 'retry-after': '120' } };
  const started = clock.now();
  const running = delivery.run();
  while (server.requests.length < 20) await new Promise((resolve) => setImmediate(resolve));
  t.ok(clock.now() - started >= 19 * 60 * 1_000_000, 'waits grow, and Retry-After is heard');
  await say(['a.example'], ['b.example']);
  t.match(await delivery.status(), { error: { code: 'sink-unavailable', message: /503/ }, failed: 0 });
  server.down = null;
  const of = { collection: collectionOf(), sink };
  while ((await findCheckpoint(store, 'siem', of)) === null) await new Promise((resolve) => setImmediate(resolve));
  stop.abort();
  await running;
  t.same(server.live('all'), await live());
  t.same(reported, [], 'an outage is no fault of ours');
});
