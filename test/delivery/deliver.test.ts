// slow (9 s): random histories of deliveries
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { findCheckpoint } from '../../src/delivery/checkpoint.ts';
import type { DeliveryContext } from '../../src/delivery/context.ts';
import { deliver } from '../../src/delivery/deliver.ts';
import { Delivery } from '../../src/delivery/delivery.ts';
import { removeDroppedCollections } from '../../src/delivery/dropped-collections.ts';
import { rebuild } from '../../src/delivery/rebuild.ts';
import { redeliver } from '../../src/delivery/redeliver.ts';
import type { FeedItem } from '../../src/feeds/feed.ts';
import type { DeliveredCollection, Profile } from '../../src/model/definition.ts';
import type { ObservableType } from '../../src/model/observable.ts';
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
const collectionOf = (types: ObservableType[] | null = null): DeliveredCollection => ({
  id: '00000000-0000-4000-8000-000000000001',
  alias: 'all',
  title: 'All',
  description: null,
  journal: 'pool:main',
  types,
  tlp: 'amber',
  strict: false,
  feed: { name: 'All', reference: null, description: null },
});

interface Stage {
  bench: Bench;
  server: ElasticServer;
  sink: Sink;
  parts: DeliveryContext;
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
  | { do: 'refuse'; value: string | null; status: number };

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
    arbitrary: fc.record({
      do: fc.constant('refuse' as const),
      value: fc.option(fc.constantFrom(...pool)),
      status: fc.constantFrom(400, 500),
    }),
  },
);

t.test(
  'what lives without a change is written again before rules stop looking at it, and what is gone is not',
  async (t) => {
    for (const target of ['latest', 'stream'] as const) {
      const { bench, server, parts, say } = await setStage(t, 'stix', { target });
      const days = (count: number): Promise<void> => bench.clock.advance(count * 86_400_000);
      const ages = (): number[] => {
        const youngest = new Map<string, number>();
        for (const { source } of server.documents.values()) {
          if (source.stix.revoked) continue;
          const age = bench.clock.now() / 86_400_000_000 - Date.parse(source['@timestamp']) / 86_400_000;
          const { name } = source.threat.indicator;
          youngest.set(name, Math.min(age, youngest.get(name) ?? age));
        }
        return [...youngest.values()];
      };
      await say(['a.example'], ['b.example'], ['198.51.100.1']);
      await deliver(parts);
      const first = server.requests.length;
      await days(1.1);
      await deliver(parts);
      t.equal(server.requests.length, first, `${target}: young documents are left alone`);
      for (let day = 2; day < 100; day += 1) {
        await days(1);
        await deliver(parts);
        t.ok(Math.max(...ages()) < 17, `${target}, day ${day}: ${ages()}`);
      }
      // Six periods of three documents, and the first time.
      const bulks = server.requests.filter(({ path }) => path.endsWith('_bulk')).map(({ body }) => String(body));
      const written = bulks.join('').match(/^\{"(?:index|create)"/gm)?.length;
      t.equal(written, 7 * 3, `${target}: no more often than a period`);
      await say(['a.example']);
      await days(20);
      server.faults = ['half', { status: 503 }];
      await deliver(parts).catch(() => undefined);
      await deliver(parts).catch(() => undefined);
      await deliver(parts);
      t.ok(Math.max(...ages().slice(0, 1)) < 17, `${target}: a walk that failed is made again`);
      if (target === 'latest') t.same(server.live(), ['a.example'], 'a withdrawal stays one');
    }
  },
);

t.test('renewals go on after a clock was set back', async (t) => {
  const { bench, server, parts, say } = await setStage(t);
  await bench.clock.advance(400 * 86_400_000);
  await deliver(parts);
  bench.clock.set(bench.clock.now() - 390 * 86_400_000_000);
  await say(['a.example']);
  await deliver(parts);
  await bench.clock.advance(16 * 86_400_000);
  await deliver(parts);
  const [source] = [...server.documents.values()].map((each) => each.source);
  t.not(source['@timestamp'], source.stix.modified);
});

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
      await bench.tick();
    } else if (each.do === 'view') parts.collection = collectionOf(each.types);
    else if (each.do === 'refuse') {
      server.refuse = ({ source }) =>
        each.value !== null && source?.document?.threat.indicator.name === each.value
          ? { status: each.status, type: 'document_parsing_exception', reason: 'no' }
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
  await bench.tick();
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
    { name: 'siem', kind: 'elasticsearch', sink, collections: [collectionOf()], elsewhere: new Set(), every: 5000 },
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
  const of = { name: 'siem', collection: collectionOf(), sink };
  while ((await findCheckpoint(store, of)) === null) await new Promise((resolve) => setImmediate(resolve));
  stop.abort();
  await running;
  t.same(server.live('all'), await live());
  t.same(reported, [], 'an outage is no fault of ours');
});

t.test('one entry that the target can never take is found, kept with its reason, and holds up nothing', async (t) => {
  const bad = 'http://a.example/x';
  const faults: [string, (server: ElasticServer) => void][] = [
    ['an item 500', (server) => failing(server, bad, 500, 'illegal_state_exception')],
    ['an item 503', (server) => failing(server, bad, 503, 'exception')],
    ['a body 500', (server) => poisoned(server, bad, { status: 500 })],
    ['a body 502', (server) => poisoned(server, bad, { status: 502 })],
    ['a body 403, as filters in front of clusters answer', (server) => poisoned(server, bad, { status: 403 })],
    ['a body 400', (server) => poisoned(server, bad, { status: 400 })],
  ];
  for (const [name, breakIt] of faults) {
    for (const page of [2, 100]) {
      await t.test(`${name}, ${page} a page`, async (t) => {
        const { bench, server, parts, say, live } = await setStage(t, 'stix', { flush_bytes: 1_000_000 });
        const all = pool.map((value): [string] => [value]);
        await say(...all);
        breakIt(server);
        t.match(await deliver({ ...parts, page }), { refused: 1 });
        const rest = (await live()).filter((value) => value !== bad);
        t.same(server.live('all'), rest, 'on the first way');
        const [letter] = await bench.writer.deadLetters('siem', null, 10);
        t.match(letter, { attempts: 1, reason: /500|502|503|403|400|exception/ });
        await say(...all.slice(1), [bad, 90]);
        t.match(await deliver({ ...parts, page }), { refused: 1 }, 'alone in a page');
        t.same(server.live('all'), rest.slice(1));
        server.refuse = null;
        server.poison = null;
        t.match(await redeliver(parts), { written: 1, refused: 0 });
        t.same(server.live('all'), await live());
        t.equal(await bench.writer.deadLetterCount('siem'), 0);
      });
    }
  }
});

function failing(server: ElasticServer, value: string, status: number, type: string): void {
  server.refuse = ({ source }) =>
    source?.document?.threat.indicator.name === value ? { status, type, reason: 'because' } : null;
}

function poisoned(server: ElasticServer, text: string, fault: ElasticFault): void {
  server.poison = { text, fault };
}

t.test('a target that is down or busy never turns into dead letters', async (t) => {
  const states: [string, (server: ElasticServer) => void][] = [
    ['no answer', (server) => Object.assign(server, { down: 'drop' })],
    ['503', (server) => Object.assign(server, { down: { status: 503 } })],
    ['502 of a proxy', (server) => Object.assign(server, { down: { status: 502 } })],
    ['500 to everything', (server) => Object.assign(server, { down: { status: 500 } })],
    ['403 to everything', (server) => Object.assign(server, { down: { status: 403 } })],
    [
      'a shard that is away',
      (server) => Object.assign(server, { refuse: only('b.example', 503, 'unavailable_shards_exception') }),
    ],
    [
      'a queue that is full',
      (server) => Object.assign(server, { refuse: only('b.example', 429, 'es_rejected_execution_exception') }),
    ],
    [
      'every item fails',
      (server) => Object.assign(server, { refuse: () => ({ status: 500, type: 'x', reason: 'y' }) }),
    ],
  ];
  for (const [name, breakIt] of states) {
    await t.test(name, async (t) => {
      const { bench, server, parts, say, live } = await setStage(t);
      await say(['a.example']);
      await deliver(parts);
      await say(...pool.map((value): [string] => [value]));
      breakIt(server);
      for (let n = 0; n < 3; n += 1) await t.rejects(deliver(parts), { code: /^sink-/ });
      t.equal(await bench.writer.deadLetterCount('siem'), 0);
      Object.assign(server, { down: null, refuse: null });
      t.match(await deliver(parts), { refused: 0 });
      t.same(server.live('all'), await live(), 'and afterwards it gets everything');
    });
  }
});

const only =
  (value: string, status: number, type: string): ElasticServer['refuse'] =>
  ({ source }) =>
    source?.document?.threat.indicator.name === value ? { status, type, reason: 'later' } : null;

t.test('several pages are under way at once, and no checkpoint stands before what it stands for', async (t) => {
  const { bench, server, parts, say, live } = await setStage(t, 'stix', { concurrency: 3 });
  await deliver(parts);
  await say(...pool.map((value): [string] => [value]));
  const most = { now: 0, ever: 0 };
  const sink = { ...parts.sink };
  let failed = false;
  sink.push = async (collection, entries, ...rest) => {
    most.now += 1;
    most.ever = Math.max(most.ever, most.now);
    try {
      await new Promise((resolve) => setImmediate(resolve));
      // The second page fails while the third arrives.
      if (!failed && entries[0]?.value === (await live())[1]) {
        failed = true;
        throw new Error('cut');
      }
      return await parts.sink.push(collection, entries, ...rest);
    } finally {
      most.now -= 1;
    }
  };
  await t.rejects(deliver({ ...parts, sink, page: 1 }), { message: 'cut' });
  t.ok(most.ever > 1 && most.ever <= 3, `${most.ever} at once`);
  t.equal(most.now, 0, 'nothing is under way when the next attempt begins');
  const at = await findCheckpoint(bench.writer, parts);
  const entries = await bench.entries('pool:main', at?.dateAdded);
  const missing = entries.flatMap((entry) => (entry.kind === 'indicator' ? entry.value : []));
  for (const value of await live()) {
    t.ok(server.live('all').includes(value) || missing.includes(value), `${value} is there, or still to come`);
  }
  await deliver(parts);
  t.same(server.live('all'), await live());
});

t.test('a collection that means something else for a while is whole again afterwards', async (t) => {
  const { server, parts, say, live } = await setStage(t);
  await say(...pool.map((value): [string] => [value]));
  await deliver(parts);
  await deliver({ ...parts, collection: collectionOf(['ipv4']) });
  t.same(server.live('all'), await live(['ipv4']));
  await deliver(parts);
  t.same(server.live('all'), await live());
});

t.test('a collection that is taken out of a sink leaves the target, with what was refused of it', async (t) => {
  const { bench, server, parts, say, live } = await setStage(t);
  await say(...pool.map((value): [string] => [value]));
  const ips = { ...collectionOf(['ipv4']), alias: 'ips' };
  server.refuse = only('203.0.113.0/24', 400, 'document_parsing_exception');
  await deliver(parts);
  await deliver({ ...parts, collection: ips });
  t.equal(server.live('ips').length, 2);
  t.equal(await bench.writer.deadLetterCount('siem'), 2);

  t.equal(await removeDroppedCollections(parts, [parts.collection, ips], new Set()), 0, 'what is configured stays');
  server.down = 'drop';
  await t.rejects(removeDroppedCollections(parts, [parts.collection], new Set()), { code: 'sink-unavailable' });
  server.down = null;
  t.equal(await removeDroppedCollections(parts, [parts.collection], new Set()), 2, 'once it can be reached');
  t.same(server.live('ips'), []);
  t.match(await bench.writer.deadLetters('siem', null, 10), [{ scope: 'all pool:main *' }]);
  t.equal(await bench.writer.deadLetterCount('siem'), 1);
  t.same(server.live('all').length, 6, 'nothing else did');
  t.equal(await removeDroppedCollections(parts, [parts.collection], new Set()), 0, 'and no more than once');

  server.refuse = null;
  await deliver({ ...parts, collection: ips });
  t.same(server.live('ips'), await live(['ipv4']), 'back again, it is whole');
  t.equal(
    await removeDroppedCollections(parts, [parts.collection], new Set(['ips'])),
    0,
    'another sink delivers it there',
  );
  t.equal(server.live('ips').length, 3);
});

t.test('a first delivery that was cut leaves nothing behind when its collection is taken out', async (t) => {
  const { server, parts, say } = await setStage(t);
  await say(...pool.map((value): [string] => [value]));
  const sink = dying(parts.sink);
  await t.rejects(deliver({ ...parts, sink }));
  t.ok(server.live('all').length > 0);
  t.equal(await findCheckpoint(parts.store, parts), null, 'it counts as not begun');
  t.ok((await removeDroppedCollections(parts, [], new Set())) > 0);
  t.same(server.live(), []);
});

t.test('a rebuild settles what was refused before and is taken now', async (t) => {
  const { bench, server, parts, say } = await setStage(t);
  await say(['a.example'], ['b.example']);
  server.refuse = only('b.example', 400, 'document_parsing_exception');
  await deliver(parts);
  t.equal(await bench.writer.deadLetterCount('siem'), 1);
  await bench.clock.advance(1000);
  t.match(await rebuild(parts), { refused: 1 });
  t.equal(await bench.writer.deadLetterCount('siem'), 1, 'still refused');
  server.refuse = null;
  await bench.clock.advance(1000);
  t.match(await rebuild(parts), { written: 2, refused: 0 });
  t.equal(await bench.writer.deadLetterCount('siem'), 0);
});
