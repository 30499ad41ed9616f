import t from 'tap';
import type { JournalDefinition } from '../../src/model/definition.ts';
import { explainObservable } from '../../src/publish/explain.ts';
import { storeEngines } from '../../src/store/registry.ts';
import { type Bench, feed, journal, openBench } from '../helpers/journals.ts';

const [one, good] = [feed('one'), feed('good')];
const pools = [{ name: 'main', feeds: ['one'] }];
const guarded = journal({ suppressFeeds: ['good'] });
const items = [
  '198.51.100.7',
  '198.51.100.0/25',
  '198.51.0.0/16',
  'http://198.51.100.9/x',
  'a.cdn.example.org',
  'x@cdn.example.org',
  'https://cdn.example.org/x',
  'other.example.org',
  'd41d8cd98f00b204e9800998ecf8427e',
].map((value) => ({ value }));
const all = items.map(({ value }) => value).sort();
const unlisted = ['198.51.0.0/16', 'other.example.org'];
const list = ['198.51.100.0/24', 'cdn.example.org', 'd41d8cd98f00b204e9800998ecf8427e'].map((value) => ({ value }));

const open = (t: Parameters<typeof openBench>[0], from?: Bench, definition: JournalDefinition = guarded, more = {}) =>
  openBench(t, [one, good], [definition], from, { pools, ...more });

async function live(bench: Bench): Promise<string[]> {
  return (await bench.indicators()).live.map(({ value }) => value).sort();
}

async function sealOf({ writer }: Bench): Promise<string> {
  return (await writer.journals()).find(({ name }) => name === 'pool:main')?.policyHash ?? '';
}

t.test('entries of a suppress feed keep out what they cover, before it comes and after', async (t) => {
  for (const engine of [storeEngines.memory, storeEngines.sqlite]) {
    const bench = await open(t, undefined, guarded, { engine });
    await bench.pull(good, list);
    await bench.pull(one, items);
    t.strictSame(await live(bench), unlisted);
    await bench.pull(good, [{ value: 'cdn.example.org' }]);
    t.strictSame(
      await live(bench),
      all.filter((value) => !value.includes('cdn.')),
      'what left the list is served again',
    );
    t.match(await bench.pullUnchanged(good), { outcome: 'unchanged', entries: 0 });
    await bench.pull(good, list);
    t.strictSame(await live(bench), unlisted, 'what was served is withdrawn');
    t.ok((await bench.indicators()).dead.every(({ reason }) => reason === 'suppressed'));
    t.match(await bench.pull(good, list), { entries: 0, withdrawn: 0 });
    t.notMatch(await sealOf(bench), /^behind/);
  }
});

t.test('in the pools that name it only, and admit lifts it', async (t) => {
  const free = await open(t, undefined, journal());
  await free.pull(good, list);
  await free.pull(one, items);
  t.strictSame(await live(free), all);
  const bench = await open(t, free, journal({ suppressFeeds: ['good'], admit: ['198.51.100.7'] }));
  t.strictSame(await live(bench), [...unlisted, '198.51.100.7'].sort());
});

t.test('a changed entry costs what it covers', async (t) => {
  const asked: string[] = [];
  const counting = {
    open: () => ({
      match: ({ value }: { value: string }) => {
        asked.push(value);
        return null;
      },
    }),
  };
  const bench = await open(t, undefined, guarded, { suppressors: { counting } });
  await bench.pull(one, items);
  await bench.pull(good, [{ value: '203.0.113.0/24' }]);
  asked.length = 0;
  await bench.pull(good, [{ value: '198.51.100.7' }]);
  t.strictSame([...new Set(asked)], [], 'what is suppressed is asked about no further');
  t.match(await live(bench), { length: all.length - 1 });
  await bench.pull(good, []);
  t.strictSame([...new Set(asked)], ['198.51.100.7']);
});

t.test('more changed entries than are looked up one by one bring the whole pool up to date', async (t) => {
  const bench = await open(t);
  await bench.pull(one, items);
  const many = Array.from({ length: 1200 }, (_, i) => ({ value: `h${i}.example.net` }));
  await bench.pull(good, [...many, ...list]);
  t.strictSame(await live(bench), unlisted);
});

t.test('a process that ends between the list and what it covers is made up for at the next start', async (t) => {
  let bench = await open(t);
  await bench.pull(one, items);
  await bench.pullCut(good, list);
  t.strictSame(await live(bench), all);
  t.match(await sealOf(bench), /^behind/);
  bench = await open(t, bench);
  t.strictSame(await live(bench), unlisted);
  t.notMatch(await sealOf(bench), /^behind/);
});

t.test(
  'what a pull that was cut off changed is followed by the next good one, though nothing changed since',
  async (t) => {
    const bench = await open(t);
    await bench.pull(one, items);
    await bench.pullCut(good, list);
    await bench.pullUnchanged(good);
    t.strictSame(await live(bench), unlisted);
    t.notMatch(await sealOf(bench), /^behind/);
  },
);

t.test('addresses of expanded networks, IPv6 and aged entries of a delta feed', async (t) => {
  const delta = feed('good', { mode: 'delta', lifetime: { default: 3_600_000 } });
  const expanding = journal({ suppressFeeds: ['good'], expandCidr: 24 });
  const bench = await openBench(t, [one, delta], [expanding], undefined, { pools });
  await bench.pull(one, [{ value: '198.51.100.0/30' }, { value: '2001:4860::1' }]);
  await bench.pull(delta, [{ value: '198.51.100.2' }, { value: '2001:4860::/32' }]);
  t.strictSame(await live(bench), ['198.51.100.0', '198.51.100.1', '198.51.100.3']);
  await bench.clock.sleep(3 * 86_400_000);
  await bench.pull(delta);
  await bench.pull(delta, []);
  await bench.tick();
  t.strictSame(await live(bench), ['198.51.100.0', '198.51.100.1', '198.51.100.2', '198.51.100.3', '2001:4860::1']);
});

t.test('an explanation names the feed, its entry, and what admits it', async (t) => {
  const bench = await open(t);
  await bench.pull(good, list);
  await bench.pull(one, items);
  const explained = await bench.writer.transaction(async (tx) => {
    const context = await bench.journals.context(tx, guarded, bench.clock.now());
    return explainObservable(tx, context, { type: 'ipv4', value: '198.51.100.7' }, bench.clock.now());
  });
  t.match(explained, {
    refused: 'suppressed',
    verdict: { rule: 'suppress feed good', entry: '198.51.100.0/24', admit: /pools\.main\.admit/ },
  });
});
