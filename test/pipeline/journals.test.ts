import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import Type from 'typebox';
import type { FeedBatch, FeedFormat, FeedItem } from '../../src/feeds/feed.ts';
import { MICROS_PER_DAY } from '../../src/model/clock.ts';
import type { FeedDefinition, JournalDefinition, JournalPolicy } from '../../src/model/definition.ts';
import type { Entry, IndicatorEntry } from '../../src/model/entry.ts';
import type { JsonObject } from '../../src/model/json.ts';
import { Journals } from '../../src/pipeline/journals.ts';
import { type ConfiguredFeed, poll } from '../../src/pipeline/poll.ts';
import { storeEngines } from '../../src/store/registry.ts';
import type { Writer } from '../../src/store/store.ts';
import { type ScriptedClock, scriptedClock } from '../helpers/clock.ts';
import { START, uuidOf } from '../helpers/store.ts';

const never = new AbortController().signal;

/** What the next pull of a feed brings, batch by batch. */
type Script = FeedItem[][];

interface Bench {
  clock: ScriptedClock;
  writer: Writer;
  journals: Journals;
  /** Polls a feed that brings these batches and says that it is whole. */
  pull(feed: FeedDefinition, ...batches: Script): Promise<Awaited<ReturnType<typeof poll>>>;
  entries(journal?: string): Promise<Entry[]>;
  /** Live indicators, then tombstones. */
  indicators(journal?: string): Promise<{ live: IndicatorEntry[]; dead: IndicatorEntry[] }>;
}

const feed = (name: string, more: Partial<FeedDefinition> = {}): FeedDefinition => ({
  name,
  format: 'scripted',
  mode: 'snapshot',
  title: `Feed ${name}`,
  every: 60_000,
  confidence: null,
  tlp: 'green',
  lifetime: {},
  shrinkGuard: null,
  emptyAllowed: true,
  ...more,
});

const journal = (policy: Partial<JournalPolicy> = {}, more: Partial<JournalDefinition> = {}): JournalDefinition => ({
  name: 'pool:main',
  pool: 'main',
  profile: 'stix',
  policy: { tlp: 'amber', minConfidence: 0, minSources: 1, types: null, objects: 'indicators', ...policy },
  keep: 30 * 86_400_000,
  keepVersions: 'last',
  ...more,
});

async function openBench(
  t: Test,
  feeds: FeedDefinition[],
  definitions: JournalDefinition[],
  from?: Bench,
): Promise<Bench> {
  const clock = from?.clock ?? scriptedClock(START, { auto: true });
  const location = join(t.testdir(), 'store');
  let writer = from?.writer;
  if (writer === undefined) {
    mkdirSync(location, { recursive: true });
    const opened = await storeEngines.sqlite.openWriter(location, clock);
    t.teardown(() => opened.close());
    writer = opened;
  }
  const journals = new Journals({
    clock,
    writer,
    feeds,
    pools: [{ name: 'main', feeds: feeds.map(({ name }) => name) }],
    journals: definitions,
    namespace: uuidOf('namespace'),
    companyOf: () => [],
  });
  await journals.reconcile(never);
  const own = writer;
  const entries = async (name = 'pool:main'): Promise<Entry[]> => {
    const versions = { last: true, first: false, all: false, exact: [] };
    const filter = { journal: name, observableTypes: null, stixTypes: null, objectIds: null, versions };
    return (await own.page({ ...filter, after: 0, limit: 10_000 })).entries;
  };
  return {
    clock,
    writer,
    journals,
    entries,
    async pull(definition, ...batches) {
      const script: FeedBatch[] = batches.map((items, i) => {
        return { items, rejected: [], cursor: null, last: i === batches.length - 1 };
      });
      const format: FeedFormat = {
        name: 'scripted',
        title: 'Scripted rows',
        options: Type.Object({}),
        defaults: () => ({ title: '', mode: 'snapshot', every: 60_000, emptyAllowed: true }),
        account: () => null,
        async *read() {
          yield* script;
        },
      };
      const configured: ConfiguredFeed = { definition, format, options: {} };
      return poll(configured, {
        clock,
        writer: own,
        journals,
        signal: never,
        openUpstream: async () => ({
          fetch: () => Promise.reject(new Error('no network here')),
          files: () => Promise.reject(new Error('no disk here')),
          requests: () => 0,
          isUnchanged: () => false,
          validators: () => ({ etag: null, lastModified: null, bodyHash: null }),
        }),
      });
    },
    async indicators(name) {
      const all = (await entries(name)).filter((entry) => entry.kind === 'indicator');
      return { live: all.filter(({ revoked }) => !revoked), dead: all.filter(({ revoked }) => revoked) };
    },
  };
}

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
    t.match((await third.indicators()).dead, [{ value: '198.51.100.1', reason: 'below-the-bar' }]);
  },
);

t.test('what a delta feed said long ago leaves the store once every reader was told', async (t) => {
  const news = feed('news', { mode: 'delta', lifetime: { default: 2 * 86_400_000 } });
  const bench = await openBench(t, [news], [journal()]);
  await bench.pull(news, [{ value: '198.51.100.1' }, { value: '198.51.100.2', validUntil: '2026-06-01' }]);
  const held = async () => (await bench.writer.feedState('news')).observations;
  await bench.journals.tick(never);
  bench.clock.set(START + 2.5 * MICROS_PER_DAY);
  await bench.journals.tick(never);
  t.match(await bench.indicators(), { live: [{ value: '198.51.100.2' }], dead: [{ reason: 'expired' }] });
  t.equal(await held(), 2, 'within a day it may still be asked why');
  bench.clock.set(START + 4 * MICROS_PER_DAY);
  await bench.journals.tick(never);
  t.equal(await held(), 1);
  t.equal((await bench.indicators()).live.length, 1);
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
