import t from 'tap';
import { MICROS_PER_DAY } from '../../src/model/clock.ts';
import { type JournalPolicy, type Profile, profiles } from '../../src/model/definition.ts';
import { formatMillis } from '../../src/model/timestamp.ts';
import { type Bench, feed, journal, openBench } from '../helpers/journals.ts';
import { START } from '../helpers/store.ts';

const DAY = 86_400_000;
const daysAgo = (days: number): string => formatMillis(START - days * MICROS_PER_DAY);

async function values(bench: Bench): Promise<{ live: string[]; dead: string[] }> {
  const { live, dead } = await bench.indicators();
  return {
    live: live.map(({ value }) => value).sort(),
    dead: dead.map(({ value, reason }) => `${value} ${reason}`).sort(),
  };
}

const journalWith = (profile: Profile, policy: Partial<JournalPolicy>) => journal(policy, { profile });

t.test('labels: any asks for one of them, none refuses each of them, in any case and by how they start', async (t) => {
  const one = feed('one');
  const items = [
    { value: 'plain.example.com' },
    { value: 'phish.example.com', labels: ['Phishing'] },
    { value: 'bot.example.com', labels: ['malware:bot', 'c2'] },
    { value: 'kit.example.com', labels: ['malware:kit', 'phishing-kit'] },
  ];
  for (const [labels, taken] of [
    [{ any: ['phishing'] }, ['phish.example.com']],
    [{ any: ['phishing*'] }, ['kit.example.com', 'phish.example.com']],
    [{ any: ['malware:*'], none: ['phishing-kit'] }, ['bot.example.com']],
    [{ none: ['malware:*'] }, ['phish.example.com', 'plain.example.com']],
    [{ none: ['malware'] }, ['bot.example.com', 'kit.example.com', 'phish.example.com', 'plain.example.com']],
    [{ any: ['*'] }, ['bot.example.com', 'kit.example.com', 'phish.example.com']],
    [{ any: ['c2', 'phishing'] }, ['bot.example.com', 'phish.example.com']],
  ] as const) {
    const bench = await openBench(t, [one], [journal({ labels })]);
    await bench.pull(one, items);
    t.strictSame((await values(bench)).live, taken, JSON.stringify(labels));
    const left = await bench.writer.leftOut('pool:main', 'one', 10);
    t.equal(left.length, items.length - taken.length);
    t.ok(left.every(({ reason }) => reason === 'label-not-taken'));
  }
});

t.test('labels are those of all sources together, so that another source brings an indicator in or out', async (t) => {
  for (const profile of profiles) {
    const [one, two] = [feed('one'), feed('two')];
    const policy = { labels: { any: ['c2'], none: ['sinkhole'] } };
    const bench = await openBench(t, [one, two], [journalWith(profile, policy)]);
    await bench.pull(one, [{ value: 'a.example.com', labels: ['botnet'] }]);
    t.strictSame((await values(bench)).live, []);
    await bench.pull(two, [{ value: 'a.example.com', labels: ['c2'] }]);
    t.strictSame((await values(bench)).live, ['a.example.com']);
    await bench.pull(one, [{ value: 'a.example.com', labels: ['Sinkhole'] }]);
    t.strictSame(await values(bench), { live: [], dead: ['a.example.com label-not-taken'] });
  }
});

t.test('sources of named feeds: only what these say counts, and each publisher among them once', async (t) => {
  const [one, two, other] = [feed('one'), feed('two'), feed('other')];
  const copy = feed('copy', { republishes: ['one'] });
  const row = { value: 'a.example.com' };
  const feeds = [one, two, other, copy];
  const agreed = async (least: number, of: string[], saying: typeof feeds, items = [row]) => {
    const bench = await openBench(t, feeds, [journal({ minSources: least, sourcesOf: of })]);
    for (const each of saying) await bench.pull(each, items);
    return (await values(bench)).live.length === 1;
  };
  t.equal(await agreed(2, ['one', 'two'], [one, two]), true);
  t.equal(await agreed(2, ['one', 'two'], [one, other]), false, 'another feed does not count');
  t.equal(await agreed(2, ['one', 'two'], [one, two, other]), true, 'and does no harm');
  t.equal(await agreed(2, ['one', 'copy'], [one, copy]), false, 'a copy is no second source');
  t.equal(await agreed(2, ['two', 'copy'], [one, two, copy]), true, 'it stands for its source where that is not named');
  t.equal(await agreed(1, ['one'], [other]), false, 'one of one');
  t.equal(await agreed(1, ['one'], [one]), true);
  const forged = [{ value: 'a.example.com', source: { origin: 'feed', feed_name: 'one' } }];
  t.equal(await agreed(1, ['one'], [other], forged as (typeof row)[]), false, 'a row of another feed that names it');
});

t.test('max_age: what was seen, confirmed or reported within it, to the microsecond', async (t) => {
  const rows = [
    { value: 'fresh.example.com', lastSeen: daysAgo(1) },
    { value: 'old.example.com', lastSeen: daysAgo(4) },
    { value: 'undated.example.com' },
    { value: 'ends.example.com', lastSeen: daysAgo(1), expires: daysAgo(-1) },
    { value: 'long.example.com', lastSeen: daysAgo(1), expires: daysAgo(-300) },
  ];
  for (const profile of profiles) {
    const delta = feed('one', { mode: 'delta', every: 300 * DAY, lifetime: { default: 300 * DAY } });
    const bench = await openBench(t, [delta], [journalWith(profile, { maxAge: 3 * DAY })]);
    await bench.pull(delta, rows);
    const pulled = bench.clock.now();
    t.strictSame((await values(bench)).live, [
      'ends.example.com',
      'fresh.example.com',
      'long.example.com',
      'undated.example.com',
    ]);
    const endOf = async (value: string) =>
      (await bench.indicators()).live.find((entry) => entry.value === value)?.validUntil;
    t.equal(await endOf('fresh.example.com'), START + 2 * MICROS_PER_DAY);
    t.equal(await endOf('ends.example.com'), START + MICROS_PER_DAY, 'its source ends it sooner');
    t.equal(await endOf('long.example.com'), START + 2 * MICROS_PER_DAY, 'its source would not have ended it');
    t.match(await bench.writer.leftOut('pool:main', 'one', 10), [{ value: 'old.example.com', reason: 'expired' }]);
    bench.clock.set(START + 2 * MICROS_PER_DAY - 1);
    await bench.tick();
    t.strictSame((await values(bench)).live, ['fresh.example.com', 'long.example.com', 'undated.example.com']);
    bench.clock.set(START + 2 * MICROS_PER_DAY);
    await bench.tick();
    t.strictSame((await values(bench)).live, ['undated.example.com'], 'counted from when it came');
    await bench.pull(delta, [{ value: 'fresh.example.com', lastSeen: formatMillis(bench.clock.now()) }]);
    t.strictSame((await values(bench)).live, ['fresh.example.com', 'undated.example.com'], 'a sighting brings it back');
    bench.clock.set(pulled + 3 * MICROS_PER_DAY);
    await bench.tick();
    t.strictSame((await values(bench)).live, ['fresh.example.com']);
  }
});

t.test('max_age: what a snapshot still holds is confirmed with each pull, and held while there is none', async (t) => {
  const every = 3_600_000;
  // Without a lifetime of its own: age counts all the same.
  const list = feed('list', { every, outageLimit: 10 * DAY });
  const bench = await openBench(t, [list], [journal({ maxAge: DAY })]);
  const rows = [{ value: 'a.example.com', lastSeen: daysAgo(700) }];
  await bench.pull(list, rows);
  for (let hours = 1; hours <= 72; hours += 1) {
    bench.clock.set(START + hours * (MICROS_PER_DAY / 24));
    await bench.pullUnchanged(list);
    await bench.tick();
  }
  t.strictSame(await values(bench), { live: ['a.example.com'], dead: [] });
  for (let days = 4; days < 13; days += 1) {
    bench.clock.set(START + days * MICROS_PER_DAY);
    await bench.fail(list);
    await bench.tick();
    t.strictSame(await values(bench), { live: ['a.example.com'], dead: [] }, `away for ${days - 3} days`);
  }
  bench.clock.set(START + 14 * MICROS_PER_DAY);
  await bench.tick();
  t.strictSame(await values(bench), { live: [], dead: ['a.example.com expired'] }, 'the outage limit');
  await bench.pullUnchanged(list);
  await bench.tick();
  t.strictSame((await values(bench)).live, ['a.example.com'], 'the next good poll has it back');
});

t.test('a changed policy brings in and takes out what it decides differently, and back', async (t) => {
  const [one, two] = [feed('one', { mode: 'delta' }), feed('two', { mode: 'delta' })];
  const changes: [string, Partial<JournalPolicy>, string][] = [
    ['labels', { labels: { none: ['tor'] } }, 'label-not-taken'],
    ['sources', { minSources: 1, sourcesOf: ['two'] }, 'too-few-sources'],
    ['max_age', { maxAge: 2 * DAY }, 'expired'],
  ];
  for (const [name, policy, reason] of changes) {
    for (const profile of profiles) {
      let bench = await openBench(t, [one, two], [journalWith(profile, {})]);
      await bench.pull(one, [{ value: 'a.example.com', labels: ['tor'], lastSeen: daysAgo(3) }]);
      await bench.pull(two, [{ value: 'b.example.com', labels: ['c2'] }]);
      const before = await bench.indicators();
      bench = await openBench(t, [one, two], [journalWith(profile, policy)], bench);
      t.strictSame(
        await values(bench),
        { live: ['b.example.com'], dead: [`a.example.com ${reason}`] },
        `${name} ${profile}`,
      );
      const b = (await bench.indicators()).live[0];
      t.equal(
        b?.objectId,
        before.live.find(({ value }) => value === 'b.example.com')?.objectId,
        'what stays keeps its id',
      );
      bench = await openBench(t, [one, two], [journalWith(profile, policy)], bench);
      t.equal((await bench.entries()).length, 2, 'a restart changes nothing');
      bench = await openBench(t, [one, two], [journalWith(profile, {})], bench);
      t.strictSame((await values(bench)).live, ['a.example.com', 'b.example.com'], `${name} ${profile} taken back`);
      const again = (await bench.indicators()).live.find(({ value }) => value === 'a.example.com');
      t.notOk(
        before.live.some(({ objectId }) => objectId === again?.objectId),
        'what comes back is a new indicator',
      );
    }
  }
});

t.test('a feed that is not trusted is shown, and is no source; how far it is trusted may change', async (t) => {
  const [one, two] = [feed('one'), feed('two', { confidence: 90 })];
  const row = { value: 'a.example.com' };
  for (const [policy, alone, beside] of [
    [{}, true, true],
    [{ minConfidence: 1 }, false, true],
    [{ minSources: 2 }, false, false],
    [{ sourcesOf: ['two'] }, false, false],
  ] as [Partial<JournalPolicy>, boolean, boolean][]) {
    const open = (trust: number | null, from?: Bench) =>
      openBench(t, [one, trust === null ? two : { ...two, trust }], [journal(policy)], from);
    let bench = await open(0);
    await bench.pull({ ...two, trust: 0 }, [row]);
    t.equal((await values(bench)).live.length === 1, alone, JSON.stringify(policy));
    await bench.pull(one, [{ ...row, confidence: 40 }]);
    t.equal((await values(bench)).live.length === 1, beside, JSON.stringify(policy));
    bench = await open(null, bench);
    t.match((await bench.indicators()).live, [{ confidence: 95 }]);
    bench = await open(0.5, bench);
    t.match((await bench.indicators()).live, [{ confidence: 50 }]);
    bench = await open(0, bench);
    t.equal((await values(bench)).live.length === 1, beside, `${JSON.stringify(policy)} and back`);
    if (beside) t.match((await bench.indicators()).live, [{ confidence: 40 }]);
  }
});
