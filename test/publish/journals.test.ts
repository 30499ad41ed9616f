import fc from 'fast-check';
import t from 'tap';
import type { ConfiguredFeed, FeedItem } from '../../src/feeds/feed.ts';
import { stix } from '../../src/feeds/stix.ts';
import { poll } from '../../src/ingest/poll.ts';
import { keepPace } from '../../src/ingest/poll-state.ts';
import { MICROS_PER_DAY } from '../../src/model/clock.ts';
import type { FeedDefinition } from '../../src/model/definition.ts';
import type { IndicatorEntry } from '../../src/model/entry.ts';
import { GatewayError } from '../../src/model/error.ts';
import type { JsonObject } from '../../src/model/json.ts';
import type { ObservableType } from '../../src/model/observable.ts';
import { formatMillis } from '../../src/model/timestamp.ts';
import type { JournalsParts } from '../../src/publish/journals.ts';
import { producingIdentity } from '../../src/stix/identity.ts';
import { markingsUpTo } from '../../src/stix/marking.ts';
import { type Bench, feed, journal, never, openBench, type Script } from '../helpers/journals.ts';
import { START, uuidOf } from '../helpers/store.ts';

const malware = (name: string, more: JsonObject = {}): FeedItem => ({
  stix: {
    type: 'malware',
    spec_version: '2.1',
    id: `malware--${uuidOf(name)}`,
    created: '2025-12-01T00:00:00.000Z',
    modified: '2025-12-01T00:00:00.000Z',
    name,
    is_family: true,
    ...more,
  },
});

t.test('one observable in two batches of a pull is one observation, and the next pull changes nothing', async (t) => {
  const one = feed('one');
  const bench = await openBench(t, [one], [journal()]);
  const rows: Script = [
    [{ value: '198.51.100.1', labels: ['a'], confidence: 30 }, { value: '198.51.100.2' }],
    [{ value: '198.51.100.1', labels: ['b'], confidence: 70 }],
    [{ value: '198.51.100.1', labels: ['c'], confidence: 10 }],
  ];
  await bench.pull(one, ...rows);
  const { live } = await bench.indicators();
  const both = live.find(({ value }) => value === '198.51.100.1');
  t.equal(both?.labels, '["a","b","c"]');
  t.equal(both?.confidence, 70);
  for (let i = 0; i < 3; i += 1) t.match(await bench.pull(one, ...rows), { outcome: 'whole', entries: 0 });
  t.match(await bench.pull(one, rows[0] as FeedItem[]), { outcome: 'whole', withdrawn: 0 });
});

t.test('an observation reads the same when it is read back, however its members were ordered', async (t) => {
  const [one, two] = [feed('one'), feed('two', { confidence: 20 })];
  const bench = await openBench(t, [one, two], [journal()]);
  const indicator: FeedItem = {
    stix: {
      type: 'indicator',
      spec_version: '2.1',
      id: `indicator--${uuidOf('one')}`,
      created: '2025-12-01T00:00:00.000Z',
      modified: '2025-12-01T00:00:00.000Z',
      pattern: "[domain-name:value = 'a.example']",
      pattern_type: 'stix',
      valid_from: '2025-12-01T00:00:00.000Z',
      lang: 'en',
      kill_chain_phases: [{ phase_name: 'delivery', kill_chain_name: 'lockheed-martin-cyber-kill-chain' }],
      indicator_types: ['malicious-activity'],
      object_marking_refs: [`marking-definition--${uuidOf('licence')}`],
      external_references: [{ url: 'https://a.example/report', external_id: '7', source_name: 'Vendor' }],
    },
  };
  const row = {
    type: 'domain',
    value: 'b.example',
    source: { origin: 'feed', feed_name: 'URLhaus' },
    references: ['https://b.example/1'],
  };
  const licence: FeedItem = {
    stix: {
      type: 'marking-definition',
      spec_version: '2.1',
      id: `marking-definition--${uuidOf('licence')}`,
      created: '2025-12-01T00:00:00.000Z',
      definition_type: 'statement',
      definition: { statement: 'CC-BY' },
    },
  };
  await bench.pull(one, [licence, indicator, row]);
  const [b, a] = (await bench.indicators()).live;
  t.same(JSON.parse(a?.references ?? ''), [
    { source_name: 'Feed one', external_id: `indicator--${uuidOf('one')}` },
    { source_name: 'Vendor', url: 'https://a.example/report', external_id: '7' },
  ]);
  t.same(JSON.parse(b?.references ?? ''), [{ source_name: 'URLhaus', url: 'https://b.example/1' }], 'links are served');
  // Another policy has every observation read back and merged anew.
  const other = await openBench(t, [one, two], [journal({ tlp: 'red' })], bench);
  t.same((await other.indicators()).live, [b, a], 'and nothing is said twice');
  await other.pull(two, [{ type: 'domain', value: 'b.example', confidence: 20 }]);
  t.equal((await other.pull(one, [licence, indicator, row])).entries, 0);
});

t.test('rows with one id are versions of one row, and the newer stands, whatever their order', async (t) => {
  for (const order of [
    [0, 1],
    [1, 0],
  ] as const) {
    const one = feed('one', { mode: 'delta' });
    const bench = await openBench(t, [one], [journal()]);
    const versions: FeedItem[] = [
      { value: 'a.example', id: 'x', lastSeen: '2025-12-01T00:00:00Z' },
      { value: 'a.example', id: 'x', lastSeen: '2025-12-02T00:00:00Z', revoked: true },
    ];
    await bench.pull(one, ...order.map((i) => [versions[i] as FeedItem]));
    t.equal((await bench.indicators()).live.length, 0, `${order}`);
    await bench.pull(
      one,
      order.map((i) => versions[i] as FeedItem),
    );
    t.equal((await bench.indicators()).live.length, 0, `${order} in one batch`);
  }
});

t.test(
  'a feed’s own TLP and confidence count for rows that say nothing, from the moment they are configured',
  async (t) => {
    const before = feed('one', { mode: 'delta', tlp: 'green', confidence: 40 });
    const first = await openBench(t, [before], [journal()]);
    await first.pull(before, [{ value: '198.51.100.1' }, { value: '198.51.100.2', tlp: 'clear', confidence: 90 }]);
    const seen = async (bench: Bench) =>
      (await bench.indicators()).live.map(({ value, tlp, confidence }) => `${value} ${tlp} ${confidence}`).sort();
    t.same(await seen(first), ['198.51.100.1 green 40', '198.51.100.2 clear 90']);

    const raised = feed('one', { mode: 'delta', tlp: 'green', confidence: 60 });
    const second = await openBench(t, [raised], [journal()], first);
    t.same(await seen(second), ['198.51.100.1 green 60', '198.51.100.2 clear 90']);

    const secret = feed('one', { mode: 'delta', tlp: 'red', confidence: 60 });
    const third = await openBench(t, [secret], [journal()], second);
    t.same(await seen(third), ['198.51.100.2 clear 90'], 'what became too secret is withdrawn');
    t.match((await third.indicators()).dead, [{ value: '198.51.100.1', reason: 'above-ceiling' }]);
  },
);

t.test(
  'what a publisher says through two feeds is one source, from the moment that the names are configured',
  async (t) => {
    const aggregator = feed('aggregator', { title: 'Aggregator' });
    const own = (title: string) => feed('abuse', { title });
    const both = journal({ minSources: 2 });
    const rows: FeedItem[] = [{ value: 'a.example.com', source: 'URLhaus' }, { value: 'b.example.com' }];
    const values = async (bench: Bench) => (await bench.indicators()).live.map(({ value }) => value).sort();
    const unknown = await openBench(t, [aggregator, own('A list')], [both]);
    await unknown.pull(aggregator, rows);
    await unknown.pull(own('A list'), [{ value: 'a.example.com', source: 'URL haus' }, { value: 'b.example.com' }]);
    t.strictSame(await values(unknown), ['b.example.com'], 'one name, two spellings');
    await unknown.pull(own('A list'), [{ value: 'a.example.com' }, { value: 'b.example.com' }]);
    t.strictSame(await values(unknown), ['a.example.com', 'b.example.com'], 'nobody can know that this is URLhaus');
    const feeds = [aggregator, feed('abuse', { title: 'A list', aliases: ['URLhaus'] })];
    const known = await openBench(t, feeds, [both], unknown);
    t.strictSame(await values(known), ['b.example.com'], 'until the configuration says so');
  },
);

t.test('when one of several sources expires, what the others say together is published at once', async (t) => {
  for (const profile of ['stix', 'elastic-agent'] as const) {
    const [one, two, three] = [feed('one'), feed('two'), feed('three')];
    const agreed = journal({ minSources: 2 }, { name: 'collection:agreed', profile });
    const bench = await openBench(t, [one, two, three], [journal({}, { profile }), agreed]);
    const until = (days: number) => formatMillis(START + days * MICROS_PER_DAY);
    await bench.pull(one, [{ value: 'a.example.com', confidence: 60 }]);
    await bench.pull(two, [{ value: 'a.example.com', confidence: 50, expires: until(9) }]);
    const confidence = async () => (await bench.indicators()).live.map((entry) => entry.confidence);
    const stands = async () => (await bench.indicators('collection:agreed')).live.length;
    t.strictSame([await confidence(), await stands()], [[65], 1]);
    // It joins what stands, and ends before the others.
    await bench.pull(three, [{ value: 'a.example.com', confidence: 50, expires: until(4) }]);
    t.strictSame([await confidence(), await stands()], [[70], 1]);
    for (const [days, expected] of [
      [3.9, [[70], 1]],
      [4, [[65], 1]],
      [8.9, [[65], 1]],
      [9, [[60], 0]],
    ] as const) {
      bench.clock.set(START + days * MICROS_PER_DAY);
      await bench.tick();
      t.strictSame([await confidence(), await stands()], expected, `${profile}, after ${days} days`);
    }
  }
});

t.test('aged rows of a delta feed leave the store once every journal has withdrawn them', async (t) => {
  const news = feed('news', { mode: 'delta', lifetime: { default: 2 * 86_400_000 }, outageLimit: 0 });
  const bench = await openBench(t, [news], [journal()]);
  await bench.pull(news, [{ value: '198.51.100.1' }, { value: '198.51.100.2', expires: '2026-06-01' }]);
  const held = async () => (await bench.writer.feedState('news')).observations;
  await bench.tick();
  bench.clock.set(START + 2.5 * MICROS_PER_DAY);
  await bench.tick();
  t.match(await bench.indicators(), { live: [{ value: '198.51.100.2' }], dead: [{ reason: 'expired' }] });
  t.equal(await held(), 2, 'within a day it may still be asked why');
  bench.clock.set(START + 4 * MICROS_PER_DAY);
  // As after a new start: a process that never lives for long must get on with it as well.
  const reopened = await openBench(t, [news], [journal()], bench);
  await reopened.tick();
  t.equal(await held(), 1);
  t.equal((await bench.indicators()).live.length, 1);
});

t.test('a sweep goes on where it stopped, and round again', async (t) => {
  const news = feed('news', { mode: 'delta', lifetime: { default: 86_400_000 }, outageLimit: 0 });
  const bench = await openBench(t, [news], [journal()]);
  const rows = (from: number): FeedItem[] =>
    Array.from({ length: 6000 }, (_, i) => ({ type: 'domain', value: `h${from + i}.example` }));
  t.match(await bench.pull(news, rows(0)), { accepted: 6000 });
  bench.clock.set(START + 3 * MICROS_PER_DAY);
  const left: number[] = [];
  for (let i = 0; i < 2; i += 1) {
    await bench.tick();
    left.push((await bench.writer.feedState('news')).observations);
  }
  t.strictSame(left, [1000, 0]);
  t.match(
    await bench.writer.lookup(
      'pool:main',
      (await bench.indicators()).dead.slice(0, 1).map(({ key }) => key),
    ),
    [{ reason: 'expired' }],
  );
  await bench.pull(news, rows(6000));
  bench.clock.set(START + 6 * MICROS_PER_DAY);
  for (let i = 0; i < 2; i += 1) await bench.tick();
  t.equal((await bench.writer.feedState('news')).observations, 0);
});

t.test('what a collection admits from now on is appended again for its readers, once', async (t) => {
  const one = feed('one');
  const view = (types: ObservableType[] | null) => ({ collections: [{ id: 'ips', journal: 'pool:main', types }] });
  const first = await openBench(t, [one], [journal()], undefined, view(['ipv4']));
  const rows = [
    { value: '198.51.100.1' },
    { value: 'a.example.com' },
    { value: 'b.example.com' },
    { value: 'CVE-2026-1234' },
  ];
  await first.pull(one, rows);
  await first.pull(one, rows.slice(0, 2).concat(rows.slice(3)));
  const standing = async ({ indicators }: Bench) => {
    const { live, dead } = await indicators();
    return new Map([...live, ...dead].map((entry) => [entry.value, entry]));
  };
  const moved = (a: Map<string, IndicatorEntry>, b: Map<string, IndicatorEntry>) =>
    [...b].filter(([value, { dateAdded }]) => a.get(value)?.dateAdded !== dateAdded).map(([value]) => value);
  const before = await standing(first);
  const head = Math.max(...[...before.values()].map(({ dateAdded }) => dateAdded));

  const wider = await openBench(t, [one], [journal()], first, view(['ipv4', 'domain']));
  const after = await standing(wider);
  t.strictSame(moved(before, after), ['a.example.com'], 'what is live, and nothing else');
  const [was, is] = [before.get('a.example.com'), after.get('a.example.com')];
  t.ok((is?.dateAdded ?? 0) > head, 'behind all that a reader has seen');
  t.strictSame({ ...is, dateAdded: 0 }, { ...was, dateAdded: 0 }, 'as it was');
  t.match(await wider.pull(one, rows.slice(0, 2)), { entries: 1, withdrawn: 1 }, 'and goes on from there');

  const now = await standing(wider);
  for (const types of [['ipv4', 'domain'], ['ipv4']] as ObservableType[][]) {
    t.strictSame(
      moved(now, await standing(await openBench(t, [one], [journal()], first, view(types)))),
      [],
      `${types}`,
    );
  }
  const whole = await openBench(t, [one], [journal()], first, view(null));
  t.strictSame(moved(now, await standing(whole)), ['a.example.com'], 'all types');
  const other = await openBench(t, [one], [journal()], first, {
    collections: [...view(null).collections, { id: 'new', journal: 'pool:main', types: null }],
  });
  t.strictSame(moved(await standing(whole), await standing(other)), [], 'a new collection has no readers yet');
});

t.test(
  'all journals say who issues them in the same version, and a new name or a higher ceiling is told',
  async (t) => {
    const one = feed('one');
    const block = journal({ minConfidence: 50 }, { name: 'collection:block' });
    const namespace = uuidOf('namespace');
    const by = (name: string, contact: string | null = null): Partial<JournalsParts> => ({
      producerObjectsOf: ({ policy }) => [
        producingIdentity(namespace, { name, description: null, contact }, clock()),
        ...markingsUpTo(policy.tlp),
      ],
    });
    let clock = (): number => START;
    const first = await openBench(t, [one], [journal()], undefined, by('Sluice'));
    clock = () => first.clock.now() + 5_000_000;
    const raws = async (bench: Bench, name: string) =>
      (await bench.entries(name)).flatMap((entry) => (entry.kind === 'object' ? [JSON.parse(entry.raw)] : []));
    const identity = async (bench: Bench, name: string) =>
      (await raws(bench, name)).filter(({ type }) => type === 'identity');

    const second = await openBench(t, [one], [journal(), block], first, by('Sluice'));
    const [issued] = await identity(second, 'pool:main');
    t.strictSame(await identity(second, 'collection:block'), [issued], 'a journal made later holds the same object');
    const head = (await second.entries()).at(-1)?.dateAdded ?? 0;
    await openBench(t, [one], [journal(), block], first, by('Sluice'));
    t.equal((await second.entries()).at(-1)?.dateAdded, head, 'a start like the last one tells nothing');

    const third = await openBench(
      t,
      [one],
      [journal({ tlp: 'red' }), block],
      first,
      by('Corp SOC', 'soc@corp.example'),
    );
    const [renamed] = await identity(third, 'pool:main');
    t.match(renamed, {
      id: issued.id,
      created: issued.created,
      name: 'Corp SOC',
      contact_information: 'soc@corp.example',
    });
    t.ok(renamed.modified > issued.modified);
    t.strictSame(await identity(third, 'collection:block'), [renamed]);
    const news = (await third.entries('pool:main', head)).map(({ objectId }) => objectId);
    const marked = markingsUpTo('red')
      .slice(3)
      .map(({ id }) => id);
    t.strictSame(
      news.toSorted(),
      [issued.id, ...marked].toSorted(),
      'with the markings that were lacking, and no others',
    );
  },
);

t.test('an unforeseen error is reported with its cause, and as internal in the report', async (t) => {
  const one = feed('one');
  const { clock, writer, journals } = await openBench(t, [one], [journal()]);
  const cause = new TypeError('x is not a function');
  const reported: unknown[] = [];
  const upstream = { internal: false, proxy: 'off', refreshOnRead: true } as const;
  const configured: ConfiguredFeed = { definition: one, format: stix, options: { path: '.' }, upstream };
  const parts = { clock, writer, journals, signal: never, report: (error: unknown) => void reported.push(error) };
  const failing = (error: Error) => poll(configured, { ...parts, openUpstream: () => Promise.reject(error) });
  t.match(await failing(cause), { outcome: 'failed', error: { code: 'internal', message: /unforeseen/ } });
  t.match(await failing(new GatewayError('upstream-failed', 'Away.')), { error: { code: 'upstream-failed' } });
  t.strictSame(reported, [cause], 'and what was foreseen is not');
});

t.test(
  'a changed pace counts from the last good poll; after a failure the time that stands has its reason',
  async (t) => {
    const slow = feed('one', { every: 86_400_000 });
    const { writer, pull } = await openBench(t, [slow], [journal()]);
    await keepPace(slow, { writer });
    t.equal((await writer.feedState('one')).nextPollAt, null, 'never polled: due at once');
    await pull(slow, [{ value: '198.51.100.1' }]);
    const { attemptedAt } = await writer.feedState('one');
    const next = async (): Promise<number> => ((await writer.feedState('one')).nextPollAt ?? 0) - (attemptedAt ?? 0);
    t.equal(await next(), MICROS_PER_DAY);
    await keepPace({ ...slow, every: 300_000 }, { writer });
    t.equal(await next(), 300_000_000);
    await keepPace(slow, { writer });
    t.equal(await next(), MICROS_PER_DAY);
    await writer.transaction((tx) => tx.saveFeedState('one', { attemptedAt: (attemptedAt ?? 0) + 1_000_000_000 }));
    await keepPace({ ...slow, every: 300_000 }, { writer });
    t.equal(await next(), MICROS_PER_DAY, 'a poll was cut off');
    const error = { code: 'upstream-rate-limited', message: '', at: attemptedAt ?? 0 } as const;
    await writer.transaction((tx) => tx.saveFeedState('one', { attemptedAt, error }));
    await keepPace({ ...slow, every: 300_000 }, { writer });
    t.equal(await next(), MICROS_PER_DAY, 'the upstream asked to wait');
  },
);

t.test('hundreds of objects on one observable are one observation of bounded size, whatever their order', async (t) => {
  const one = feed('one');
  // More markings than are read may hide a level: the indicator is red.
  const bench = await openBench(t, [one], [journal({ tlp: 'red' })]);
  const objects = Array.from({ length: 500 }, (_, n): FeedItem => {
    const time = '2025-12-01T00:00:00.000Z';
    return {
      stix: {
        type: 'indicator',
        spec_version: '2.1',
        id: `indicator--${uuidOf(`i${n}`)}`,
        created: time,
        modified: time,
        valid_from: time,
        pattern_type: 'stix',
        pattern: "[domain-name:value = 'a.example']",
        labels: [`label-${n}`],
        object_marking_refs: [`marking-definition--${uuidOf(`m${n}`)}`],
      },
    };
  });
  t.match(await bench.pull(one, objects), { accepted: 500, entries: 1 });
  const [indicator] = (await bench.indicators()).live;
  const [said] = await bench.writer.transaction((tx) => tx.observations(['one'], [indicator?.key ?? '']));
  t.equal(said?.references.length, 32);
  t.equal(JSON.parse(indicator?.labels ?? '[]').length, 64);
  t.equal(JSON.parse(indicator?.kept ?? '{}').object_marking_refs.length, 64);
  t.equal(indicator?.tlp, 'red');
  t.match(await bench.pull(one, objects.toReversed()), { accepted: 500, entries: 0 });
});

t.test('objects: the newest version that any feed of the pool holds, until none of them does', async (t) => {
  const [one, two] = [feed('one'), feed('two')];
  const bench = await openBench(t, [one, two], [journal({ objects: 'all' })]);
  const newer = malware('worm', { modified: '2025-12-05T00:00:00.000Z', description: 'newer' });
  await bench.pull(one, [newer]);
  await bench.pull(two, [malware('worm')]);
  const standing = async () =>
    (await bench.entries()).flatMap((entry) => (entry.kind === 'object' ? [JSON.parse(entry.raw)] : []));
  t.match(await standing(), [{ description: 'newer' }], 'an older version does not replace a newer');
  await bench.pull(one, []);
  t.match(await standing(), [{ modified: '2025-12-01T00:00:00.000Z' }], 'the other feed still holds it');
  await bench.pull(two, []);
  t.match(await standing(), [{ revoked: true }]);
  t.equal((await standing()).length, 1);
});

t.test('objects: a change of policy, of a feed’s marking or of the pool brings them in and out', async (t) => {
  const [one, two] = [feed('one'), feed('two')];
  const plain = journal({ objects: 'indicators' });
  const all = journal({ objects: 'all' });
  let bench = await openBench(t, [one, two], [plain]);
  await bench.pull(one, [malware('worm'), { value: '198.51.100.1' }]);
  await bench.pull(two, [malware('virus')]);
  const names = async () =>
    (await bench.entries())
      .flatMap((entry) => (entry.kind === 'object' ? [JSON.parse(entry.raw)] : []))
      .map(({ name, revoked }) => `${name}${revoked ? ' gone' : ''}`)
      .sort();
  t.same(await names(), []);
  bench = await openBench(t, [one, two], [all], bench);
  t.same(await names(), ['virus', 'worm']);
  bench = await openBench(t, [one, feed('two', { tlp: 'red' })], [all], bench);
  t.same(await names(), ['virus gone', 'worm']);
  bench = await openBench(t, [two], [all], bench);
  t.same(await names(), ['virus', 'worm gone'], 'the feed is no longer in the pool');
  bench = await openBench(t, [two], [plain], bench);
  t.same(await names(), ['virus gone', 'worm gone']);
  t.equal((await bench.indicators()).dead.length, 1);
});

/** What a reader that asks for news from time to time believes. */
function openReader(bench: Bench) {
  const known = new Map<string, IndicatorEntry>();
  let cursor = 0;
  return {
    known,
    async catchUp(): Promise<IndicatorEntry[]> {
      const news = (await bench.entries('pool:main', cursor)).filter((entry) => entry.kind === 'indicator');
      cursor = news.at(-1)?.dateAdded ?? cursor;
      for (const entry of news) known.set(entry.objectId, entry);
      return news;
    },
    live: () => [...known.values()].filter(({ revoked }) => !revoked).map(({ value }) => value),
  };
}

type Held = Map<string, { tlp: 'green' | 'red'; revoked: boolean; until: number | null; confidence: number }>;

const row = fc.record({
  value: fc.nat(5).map((n) => `198.51.100.${n}`),
  tlp: fc.constantFrom('green', 'green', 'green', 'red') as fc.Arbitrary<'green' | 'red'>,
  revoked: fc.constantFrom(false, false, false, true),
  days: fc.option(fc.integer({ min: 1, max: 40 }), { freq: 1 }),
  confidence: fc.constantFrom(20, 80),
});
const step = fc.oneof(
  fc.record({
    do: fc.constant('pull' as const),
    feed: fc.nat(1),
    rows: fc.array(row, { maxLength: 6 }),
    cut: fc.nat(6),
  }),
  fc.record({ do: fc.constant('wait' as const), days: fc.double({ min: 0.01, max: 12, noNaN: true }) }),
);

for (const profile of ['stix', 'elastic-agent'] as const) {
  t.test(
    `${profile}: whatever feeds say and however long it takes, a reader of the news believes what is live`,
    async (t) => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 20 }), async (steps) => {
          const feeds = [feed('one'), feed('two')] as const;
          const bench = await openBench(t, [...feeds], [journal({}, { profile })]);
          const reader = openReader(bench);
          const held: [Held, Held] = [new Map(), new Map()];
          const over = new Set<string>();
          for (const one of steps) {
            if (one.do === 'wait') bench.clock.set(bench.clock.now() + Math.round(one.days * MICROS_PER_DAY));
            else
              await pullInto(bench, feeds[one.feed] as FeedDefinition, held[one.feed] as Held, one.rows, one.cut === 0);
            await bench.tick();

            let last = 0;
            for (const entry of await reader.catchUp()) {
              if (entry.dateAdded <= last) throw new Error('dates do not rise');
              last = entry.dateAdded;
              if (over.has(entry.objectId)) throw new Error(`${entry.objectId} came back after its tombstone`);
              if (entry.revoked) over.add(entry.objectId);
              if (entry.validFrom > entry.created && !entry.revoked) throw new Error('valid_from after created');
              if (entry.validUntil !== null && entry.validUntil <= entry.validFrom) throw new Error('no validity');
            }
            const now = bench.clock.now();
            const expected = new Set(
              held.flatMap((rows) =>
                [...rows].flatMap(([value, { tlp, revoked, until }]) =>
                  tlp === 'green' && !revoked && (until === null || until > now) ? [value] : [],
                ),
              ),
            );
            t.same(reader.live().sort(), [...expected].sort());
            if (profile === 'elastic-agent') {
              for (const { revoked, created } of reader.known.values()) {
                if (!revoked && now - created > 25 * MICROS_PER_DAY) throw new Error('older than Elastic matches');
              }
            }
          }
        }),
        { numRuns: 40 },
      );
    },
  );
}

/** A pull of these rows, in batches of two, and the same once more, which must change nothing. */
async function pullInto(
  bench: Bench,
  definition: FeedDefinition,
  held: Held,
  rows: { value: string; tlp: 'green' | 'red'; revoked: boolean; days: number | null; confidence: number }[],
  isCut: boolean,
): Promise<void> {
  const unique = [...new Map(rows.map((one) => [one.value, one])).values()];
  const now = bench.clock.now();
  const untilOf = (days: number | null) => (days === null ? null : now + days * MICROS_PER_DAY);
  const items = unique.map(({ days, ...said }) => {
    const until = untilOf(days);
    return { ...said, ...(until === null ? {} : { validUntil: formatMillis(until) }) };
  });
  const batches: Script = [];
  for (let i = 0; i < items.length; i += 2) batches.push(items.slice(i, i + 2));
  if (batches.length === 0) batches.push([]);
  if (isCut) {
    const { outcome, withdrawn } = await bench.pullCut(definition, ...batches);
    if (outcome !== 'failed') throw new Error(`${outcome}, ${withdrawn} withdrawn: a pull that never ended`);
  } else {
    const report = await bench.pull(definition, ...batches);
    if (report.outcome !== 'whole') throw new Error(report.error?.message);
    const again = await bench.pull(definition, ...batches);
    if (again.entries !== 0) throw new Error(`${again.entries} entries for an unchanged feed`);
    held.clear();
  }
  for (const { value, tlp, revoked, days, confidence } of unique) {
    held.set(value, { tlp, revoked, until: untilOf(days), confidence });
  }
}

t.test(
  'a copy does not make two of its source; it counts once its source is silent, and with a new configuration',
  async (t) => {
    const row = { value: '198.51.100.1' };
    const [source, other] = [feed('source'), feed('other')];
    const copy = feed('copy', { republishes: ['source'] });
    const two = journal({ minSources: 2 });
    const bench = await openBench(t, [source, copy, other], [two]);
    const live = async (on = bench) => (await on.indicators()).live.length;
    await bench.pull(source, [row]);
    await bench.pull(copy, [row]);
    t.equal(await live(), 0, 'the source and its copy');
    await bench.pull(other, [row]);
    t.equal(await live(), 1);
    await bench.pull(source, []);
    t.equal(await live(), 1, 'the copy counts by itself');
    await bench.pull(source, [row]);
    await bench.pull(other, []);
    t.equal(await live(), 0);
    const plain = await openBench(t, [source, feed('copy'), other], [two], bench);
    t.equal(await live(plain), 1, 'it is no copy any more');
  },
);
