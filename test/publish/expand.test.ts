import t from 'tap';
import { ecsContext } from '../../src/ecs/data-stream.ts';
import { ecsDocument } from '../../src/ecs/document.ts';
import { MICROS_PER_DAY } from '../../src/model/clock.ts';
import { type JournalDefinition, type JournalPolicy, profiles } from '../../src/model/definition.ts';
import type { Claim, IndicatorEntry } from '../../src/model/entry.ts';
import { formatMillis } from '../../src/model/timestamp.ts';
import { markingId } from '../../src/stix/marking.ts';
import { type Bench, feed, journal, openBench } from '../helpers/journals.ts';
import { START, uuidOf } from '../helpers/store.ts';

/** Networks that a pool tells as their addresses. */

const expanding = (policy: Partial<JournalPolicy> = {}, more: Partial<JournalDefinition> = {}): JournalDefinition =>
  journal({ expandCidr: 24, ...policy }, more);

const liveValues = async (bench: Bench, name?: string) =>
  (await bench.indicators(name)).live.map(({ value }) => value).sort();
const liveOf = async (bench: Bench, value: string, name?: string): Promise<IndicatorEntry> => {
  const found = (await bench.indicators(name)).live.find((entry) => entry.value === value);
  if (found === undefined) throw new Error(`${value} is not live`);
  return found;
};
const claimsOf = ({ sources }: IndicatorEntry): [string, string | undefined][] =>
  (JSON.parse(sources) as Claim[]).map(({ feed, network }) => [feed, network]);
const fates = async ({ writer }: Bench, of = 'one', name = 'pool:main') =>
  Object.fromEntries((await writer.leftOut(name, of, 100)).map(({ value, reason }) => [value, reason]));
const reasons = async (bench: Bench) => [...new Set((await bench.indicators()).dead.map(({ reason }) => reason))];
const range = (prefix: string, count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => `${prefix}${from + i}`).sort();

t.test(
  'a small network is served as its addresses, first and last among them, a larger one as what it is',
  async (t) => {
    for (const profile of profiles) {
      const one = feed('one', { confidence: 70 });
      const bench = await openBench(t, [one], [expanding({}, { profile })]);
      const rows = ['198.51.100.0/24', '203.0.112.0/23', '2001:db8::ff00/120', '2001:db8:1::/119', 'a.example.com'];
      const items = rows.map((value) => ({ value, labels: ['botnet'] }));
      await bench.pull(one, items);
      const wide = profile === 'stix' ? ['2001:db8:1::/119', '203.0.112.0/23'] : [];
      const six = Array.from({ length: 256 }, (_, i) => `2001:db8::${(0xff00 + i).toString(16)}`);
      t.strictSame(
        await liveValues(bench),
        [...range('198.51.100.', 256), ...six, ...wide, 'a.example.com'].sort(),
        profile,
      );
      const first = await liveOf(bench, '198.51.100.0');
      t.match(first, { type: 'ipv4', confidence: 70, labels: '["botnet","network:198.51.100.0/24"]' });
      t.strictSame(claimsOf(first), [['one', '198.51.100.0/24']]);
      t.match(await liveOf(bench, '2001:db8::ffff'), { labels: /"network:2001:db8::ff00\/120"/ });
      const left =
        profile === 'stix' ? {} : { '203.0.112.0/23': 'not-for-elastic', '2001:db8:1::/119': 'not-for-elastic' };
      t.strictSame(await fates(bench), { '198.51.100.0/24': 'expanded', '2001:db8::ff00/120': 'expanded', ...left });
      // The field that Elastic's rules match addresses on.
      const context = ecsContext({ target: 'latest', collection: { alias: 'all', title: 'All' } });
      t.match(ecsDocument(await liveOf(bench, '198.51.100.255'), context), {
        threat: { indicator: { ip: '198.51.100.255', type: 'ipv4-addr' } },
      });

      const told = (await bench.entries()).length;
      t.match(await bench.pull(one, items), { entries: 0, withdrawn: 0 }, 'said again, nothing is told');
      t.equal((await bench.entries()).length, told);
    }
  },
);

t.test('an address in a network merges with what others say of it, and of networks over and in that', async (t) => {
  for (const profile of profiles) {
    const feeds = [feed('one', { confidence: 60 }), feed('two', { confidence: 70 }), feed('three', { confidence: 50 })];
    const [one, two, three] = feeds as [(typeof feeds)[0], (typeof feeds)[0], (typeof feeds)[0]];
    const agreed = expanding({ minSources: 2 }, { name: 'collection:agreed', profile });
    const bench = await openBench(t, feeds, [expanding({}, { profile }), agreed]);
    // Before and after: which comes first makes no difference.
    await bench.pull(two, [{ value: '198.51.100.7' }]);
    await bench.pull(one, [{ value: '198.51.100.0/29' }, { value: '198.51.100.7' }, { value: '198.51.100.4/30' }]);
    await bench.pull(three, [{ value: '198.51.100.6' }]);
    const both = await liveOf(bench, '198.51.100.7');
    t.equal(both.confidence, 75, 'two publishers: that one of them says it thrice counts once');
    t.strictSame(claimsOf(both), [
      ['two', undefined],
      ['one', undefined],
      ['one', '198.51.100.0/29'],
      ['one', '198.51.100.4/30'],
    ]);
    t.equal((await liveOf(bench, '198.51.100.6')).confidence, 65);
    t.strictSame(await liveValues(bench, 'collection:agreed'), ['198.51.100.6', '198.51.100.7']);
    t.equal((await liveOf(bench, '198.51.100.1')).confidence, 60);
    t.strictSame(await fates(bench), { '198.51.100.0/29': 'expanded', '198.51.100.4/30': 'expanded' });
    t.strictSame(
      await fates(bench, 'one', 'collection:agreed'),
      { '198.51.100.0/29': 'too-few-sources', '198.51.100.4/30': 'too-few-sources' },
      'a network by itself is said by one',
    );
    // Row by row as it stands: the addresses are none of the feed's rows.
    const live = (await bench.writer.served()).filter(
      ({ reason, journal }) => reason === null && journal === 'pool:main',
    );
    t.strictSame(Object.fromEntries(live.map(({ feed, rows }) => [feed, rows])), { one: 1, two: 1, three: 1 });

    await bench.pull(one, [{ value: '198.51.100.4/30' }]);
    t.strictSame(await liveValues(bench), range('198.51.100.', 4, 4), 'what another network holds stays');
    await bench.pull(one, []);
    t.strictSame(await liveValues(bench), ['198.51.100.6', '198.51.100.7'], 'and what another feed says');
    t.strictSame(claimsOf(await liveOf(bench, '198.51.100.7')), [['two', undefined]]);
    t.strictSame(await liveValues(bench, 'collection:agreed'), []);
    await bench.pull(two, []);
    await bench.pull(three, []);
    t.strictSame(await liveValues(bench), []);
    const dead = (await reasons(bench)).sort();
    t.strictSame(dead, profile === 'stix' ? ['vanished'] : ['reissued', 'vanished']);
  }
});

t.test('addresses are spelt as everywhere else, so they merge; two kinds of networks of 1024 addresses', async (t) => {
  const [one, two] = [feed('one'), feed('two')];
  const bench = await openBench(t, [one, two], [expanding({ expandCidr: 22, minSources: 2 })]);
  const addresses = ['198.51.100.0', '198.51.101.1', '198.51.103.255', '2001:db8::', '2001:db8::1', '2001:db8::3ff'];
  const more = ['2001:db8:0:1:1:1:0:5', '2001:db8:0:1:1:1:0:100'];
  await bench.pull(one, [
    { value: '198.51.100.0/22' },
    { value: '2001:db8::/118' },
    { value: '2001:db8:0:1:1:1::/118' },
  ]);
  await bench.pull(
    two,
    [...addresses, ...more, '198.51.104.0', '198.51.99.255', '2001:db8::400'].map((value) => ({ value })),
  );
  const outside = ['198.51.104.0', '198.51.99.255', '2001:db8::400'];
  t.strictSame(await liveValues(bench), [...addresses, ...more].sort());
  t.strictSame(await fates(bench, 'two'), Object.fromEntries(outside.map((value) => [value, 'too-few-sources'])));
});

t.test("a network's marking, its own end and its withdrawal are those of its addresses", async (t) => {
  const news = feed('one', { mode: 'delta' });
  const low = expanding({ tlp: 'green' }, { name: 'collection:low' });
  const bench = await openBench(t, [news], [expanding({ tlp: 'red' }), low]);
  const until = formatMillis(START + 2 * MICROS_PER_DAY);
  await bench.pull(news, [
    { value: '198.51.100.0/31', tlp: 'amber' },
    { value: '198.51.100.4/31', expires: until },
    { value: '198.51.100.6/31' },
  ]);
  t.strictSame(await liveValues(bench, 'collection:low'), range('198.51.100.', 4, 4));
  t.match(await fates(bench, 'one', 'collection:low'), { '198.51.100.0/31': 'above-ceiling' });
  t.match(await liveOf(bench, '198.51.100.1'), { tlp: 'amber' });

  bench.clock.set(START + 2 * MICROS_PER_DAY);
  await bench.tick();
  t.strictSame(await liveValues(bench, 'collection:low'), range('198.51.100.', 2, 6));
  t.strictSame(await reasons(bench), ['expired']);
  t.match(await fates(bench), { '198.51.100.4/31': 'expired', '198.51.100.6/31': 'expanded' });

  await bench.pull(news, [{ value: '198.51.100.6/31', revoked: true }]);
  t.strictSame(await liveValues(bench, 'collection:low'), []);
  t.strictSame((await reasons(bench)).sort(), ['expired', 'revoked']);
});

t.test(
  'what one feed says of an address and of networks over it has one order, and each its own verdict',
  async (t) => {
    const news = feed('one', { mode: 'delta' });
    const bench = await openBench(t, [news], [expanding({ tlp: 'green' })]);
    const until = formatMillis(START + 2 * MICROS_PER_DAY);
    await bench.pull(news, [
      { value: '198.51.100.4/30' },
      { value: '198.51.100.5' },
      { value: '198.51.100.4/31' },
      { value: '203.0.113.1' },
      { value: '203.0.113.0/31', tlp: 'red' },
      { value: '203.0.113.9', revoked: true },
      { value: '203.0.113.8/31', expires: until },
    ]);
    t.strictSame(claimsOf(await liveOf(bench, '198.51.100.5')), [
      ['one', undefined],
      ['one', '198.51.100.4/30'],
      ['one', '198.51.100.4/31'],
    ]);
    t.strictSame(await fates(bench), {
      '198.51.100.4/30': 'expanded',
      '198.51.100.4/31': 'expanded',
      '203.0.113.0/31': 'above-ceiling',
      '203.0.113.9': 'revoked',
      '203.0.113.8/31': 'expanded',
    });
    t.strictSame(claimsOf(await liveOf(bench, '203.0.113.1')), [['one', undefined]]);
    t.strictSame(claimsOf(await liveOf(bench, '203.0.113.9')), [['one', '203.0.113.8/31']]);
    bench.clock.set(START + 2 * MICROS_PER_DAY);
    await bench.tick();
    t.strictSame(await reasons(bench), ['expired'], 'the fate of what was served');
  },
);

t.test('a delta feed forgets a network, and an object becomes another: the addresses go as well', async (t) => {
  const news = feed('one', { mode: 'delta', lifetime: { default: 2 * 86_400_000 }, outageLimit: 0 });
  const other = feed('two');
  const bench = await openBench(t, [news, other], [expanding({}, { profile: 'elastic-agent' })]);
  await bench.pull(news, [{ value: '198.51.100.0/31' }]);
  await bench.pull(other, [{ value: '198.51.100.1' }]);
  const indicator = (pattern: string, day: number) => ({
    stix: {
      type: 'indicator',
      spec_version: '2.1',
      id: `indicator--${uuidOf('x')}`,
      created: formatMillis(START - 9 * MICROS_PER_DAY),
      modified: formatMillis(START - day * MICROS_PER_DAY),
      valid_from: formatMillis(START - 9 * MICROS_PER_DAY),
      pattern_type: 'stix',
      pattern,
      object_marking_refs: [markingId('green')],
    },
  });
  await bench.pull(news, [indicator("[ipv4-addr:value = '203.0.113.0/31']", 2)]);
  t.strictSame(await liveValues(bench), [...range('198.51.100.', 2), ...range('203.0.113.', 2)]);
  await bench.pull(news, [indicator("[ipv4-addr:value = '203.0.113.8/31']", 1)]);
  t.strictSame(await liveValues(bench), [...range('198.51.100.', 2), ...range('203.0.113.', 2, 8)]);
  for (const days of [2.1, 4, 6]) {
    bench.clock.set(START + days * MICROS_PER_DAY);
    await bench.tick();
  }
  t.strictSame(await liveValues(bench), ['198.51.100.1']);
  t.strictSame(claimsOf(await liveOf(bench, '198.51.100.1')), [['two', undefined]], 'who forgot is no longer named');
});

t.test(
  'a pool that begins, changes or stops to expand is brought up to it, and a restart changes nothing',
  async (t) => {
    for (const profile of profiles) {
      const one = feed('one');
      const whole = ['198.51.100.0/30', '198.51.100.8/31'];
      const start = (expandCidr: number | null, from?: Bench) =>
        openBench(t, [one], [journal({ expandCidr }, { profile })], from);
      const plain = await start(null);
      await plain.pull(
        one,
        [...whole, '198.51.100.2'].map((value) => ({ value })),
      );
      const asNetworks = profile === 'stix' ? ['198.51.100.0/30', '198.51.100.2', '198.51.100.8/31'] : ['198.51.100.2'];
      t.strictSame(await liveValues(plain), asNetworks);
      const begun = await start(30, plain);
      const addresses = [...range('198.51.100.', 4), ...range('198.51.100.', 2, 8)];
      t.strictSame(await liveValues(begun), addresses);
      t.strictSame(await fates(begun), { '198.51.100.0/30': 'expanded', '198.51.100.8/31': 'expanded' });
      if (profile === 'stix') t.strictSame(await reasons(begun), ['expanded']);
      const told = await begun.entries();
      t.strictSame(await (await start(30, begun)).entries(), told, 'after a restart');
      const longer = await start(31, begun);
      const partly = [...asNetworks.filter((value) => !value.endsWith('/31')), ...range('198.51.100.', 2, 8)].sort();
      t.strictSame(await liveValues(longer), partly);
      const stopped = await start(null, longer);
      t.strictSame(await liveValues(stopped), asNetworks);
      t.match(await fates(stopped), profile === 'stix' ? {} : { '198.51.100.0/30': 'not-for-elastic' });
    }
  },
);

t.test('a pull that was cut off withdraws no address', async (t) => {
  const one = feed('one');
  const bench = await openBench(t, [one], [expanding()]);
  await bench.pull(one, [{ value: '198.51.100.0/31' }, { value: '203.0.113.0/31' }]);
  await bench.pullCut(one, [{ value: '203.0.113.0/31' }]);
  t.equal((await liveValues(bench)).length, 4);
  await bench.pull(one, [{ value: '203.0.113.0/31' }]);
  t.strictSame(await liveValues(bench), range('203.0.113.', 2));
  const { observations } = await bench.writer.feedState('one');
  t.equal(observations, 1);
});

t.test('many networks are brought in slices: no call holds all their addresses', async (t) => {
  const one = feed('one');
  const bench = await openBench(t, [one], [expanding()]);
  const items = Array.from({ length: 20 }, (_, i) => ({ value: `10.0.${i}.0/24` }));
  const sizes: number[] = [];
  const transaction = bench.writer.transaction.bind(bench.writer);
  t.intercept(bench.writer, 'transaction', {
    value: (body: Parameters<typeof transaction>[0]) =>
      transaction((tx) => {
        const append = tx.append.bind(tx);
        return body(
          new Proxy(tx, {
            get: (target, name) => {
              if (name !== 'append') return Reflect.get(target, name) as unknown;
              return (journal: string, entries: Parameters<typeof append>[1]) => {
                sizes.push(entries.length);
                return append(journal, entries);
              };
            },
          }),
        );
      }),
  });
  await bench.pull(one, items);
  t.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    20 * 256,
  );
  t.ok(Math.max(...sizes) <= 1000);
});
