import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { keepConfirmed } from '../../src/ingest/poll-state.ts';
import { MICROS_PER_DAY, MICROS_PER_SECOND, type Micros } from '../../src/model/clock.ts';
import type { Profile } from '../../src/model/definition.ts';
import { formatMillis, parseTimestamp } from '../../src/model/timestamp.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { openGateway, readAll } from '../helpers/gateway.ts';
import { type Bench, feed, journal, never, openBench } from '../helpers/journals.ts';
import { START, uuidOf } from '../helpers/store.ts';

// Hundreds of pulls, each history into a store of its own.
t.setTimeout(300_000);

const HOUR = 3600 * MICROS_PER_SECOND;
const MINUTE = 60 * MICROS_PER_SECOND;
const profiles: Profile[] = ['stix', 'elastic-agent'];
const addresses = [1, 2, 3, 4, 5].map((n) => ({ value: `198.51.100.${n}` }));

const values = async (bench: Bench): Promise<string[]> =>
  (await bench.indicators()).live.map(({ value }) => value.replace('198.51.100.', '')).sort();
const counts = async (bench: Bench) => {
  const { live, dead } = await bench.indicators();
  return [live.length, dead.length];
};
/** How long what is live says that it will be. */
const leastLeft = async (bench: Bench): Promise<Micros> => {
  const { live } = await bench.indicators();
  return Math.min(...live.map(({ validUntil }) => (validUntil ?? Number.POSITIVE_INFINITY) - bench.clock.now()));
};
/** Ticks as every minute of so many hours would, at the times that matter. */
async function pass(bench: Bench, hours: number, perHour = 4): Promise<void> {
  for (let i = 0; i < hours * perHour; i += 1) {
    bench.clock.set(bench.clock.now() + HOUR / perHour);
    await bench.tick();
  }
}

const writeFeed = (dir: string): void => {
  mkdirSync(join(dir, 'feed'), { recursive: true });
  const time = '2025-12-01T00:00:00.000Z';
  const objects = addresses.map(({ value }) => ({
    type: 'indicator',
    spec_version: '2.1',
    id: `indicator--${uuidOf(value)}`,
    created: time,
    modified: time,
    valid_from: time,
    pattern_type: 'stix',
    pattern: `[ipv4-addr:value = '${value}']`,
  }));
  writeFileSync(
    join(dir, 'feed', 'five.json'),
    JSON.stringify({ type: 'bundle', id: `bundle--${uuidOf('b')}`, objects }),
  );
};

for (const profile of profiles) {
  for (const [lifetime, every, away] of [
    ['lifetime: 1m, ', '1s', 200],
    ['', '1m', 40 * 86_400],
  ] as const) {
    t.test(
      `${profile}: a directory that is away for ${away} s empties nothing (${lifetime || 'defaults'})`,
      async (t) => {
        const dir = t.testdir();
        writeFeed(dir);
        const clock = scriptedClock(START, { auto: true });
        const yaml = `
data: ./data
feeds: { one: { format: stix, path: ./feed, ${lifetime}every: ${every} } }
pools: { main: { feeds: [one], profile: ${profile} } }
collections: { all: { pool: main } }
`;
        const gateway = await openGateway(t, dir, yaml, { clock });
        const { side } = gateway;
        const living = async () =>
          (await readAll(gateway, 'all')).filter(
            ({ type, revoked, valid_until: until }) =>
              type === 'indicator' && !revoked && (until === undefined || (parseTimestamp(until) ?? 0) > clock.now()),
          ).length;
        t.match(await side.poll('one'), { outcome: 'whole' });
        t.equal(await living(), 5);
        renameSync(join(dir, 'feed'), join(dir, 'away'));
        for (let i = 0; i < 20; i += 1) {
          await clock.advance((away * 1000) / 20);
          t.match(await side.poll('one'), { outcome: 'failed' });
          await side.tick();
          t.equal(await living(), 5, `after ${i + 1} failures`);
        }
        renameSync(join(dir, 'away'), join(dir, 'feed'));
        t.match(await side.poll('one'), { outcome: 'unchanged' });
        await side.tick();
        t.equal(await living(), 5, 'the feed is back');
      },
    );
  }

  t.test(`${profile}: a stop longer than the lifetime empties nothing, and what is gone then ends`, async (t) => {
    const one = feed('one', { lifetime: { default: 60_000 }, every: 1000 });
    const bench = await openBench(t, [one], [journal({}, { profile })]);
    await bench.pull(one, addresses);
    bench.clock.set(START + 90 * MICROS_PER_SECOND);
    const again = await openBench(t, [one], [journal({}, { profile })], bench);
    await again.tick();
    t.same(await values(again), ['1', '2', '3', '4', '5']);
    t.ok((await leastLeft(again)) > MINUTE, 'for readers who go by valid_until as well');
    await again.pullUnchanged(one);
    t.equal((await again.indicators()).live.length, 5);
    await again.pull(one, addresses.slice(1));
    t.same(await values(again), ['2', '3', '4', '5']);
  });

  t.test(
    `${profile}: rows of a healthy feed expire at their age, and come back when the feed says them again`,
    async (t) => {
      const one = feed('one', { lifetime: { default: 60_000 }, every: 3_600_000 });
      const bench = await openBench(t, [one], [journal({}, { profile })]);
      await bench.pull(one, addresses);
      const head = (await bench.entries()).length;
      for (let i = 1; i <= 2; i += 1) {
        bench.clock.set(START + i * 30.5 * MICROS_PER_SECOND);
        await bench.tick();
      }
      t.same(await counts(bench), [0, 5]);
      t.equal((await bench.entries()).length, head, 'without another version before');
      t.match((await bench.indicators()).dead, [{ reason: 'expired' }]);
      const old = (await bench.indicators()).dead.map(({ objectId }) => objectId);

      bench.clock.set(START + HOUR);
      t.match(await bench.pullUnchanged(one), { outcome: 'unchanged', entries: 5, withdrawn: 0 });
      const { live } = await bench.indicators();
      t.equal(live.length, 5);
      t.ok(
        live.every(({ objectId }) => !old.includes(objectId)),
        'as new indicators',
      );
      t.equal((await bench.writer.feedState('one')).lapsedAt, null);
      t.match(await bench.pullUnchanged(one), { entries: 0 });

      bench.clock.set(START + HOUR + 2 * MINUTE);
      await bench.tick();
      t.equal((await bench.indicators()).live.length, 0);
      t.match(await bench.pull(one, addresses), { outcome: 'whole', entries: 5 }, 'a whole pull confirms as well');
      t.equal((await bench.indicators()).live.length, 5);
    },
  );

  t.test(`${profile}: what a poll confirmed comes back after a crash between the two`, async (t) => {
    const one = feed('one', { lifetime: { default: 60_000 }, every: 3_600_000 });
    const bench = await openBench(t, [one], [journal({}, { profile })]);
    await bench.pull(one, addresses);
    bench.clock.set(START + 2 * MINUTE);
    await bench.tick();
    t.equal((await bench.indicators()).live.length, 0);
    bench.clock.set(START + HOUR);
    await keepConfirmed(one, bench.clock.now(), null, { ...bench, signal: never });
    const again = await openBench(t, [one], [journal({}, { profile })], bench);
    t.equal((await again.indicators()).live.length, 5);
    t.equal((await again.writer.feedState('one')).lapsedAt, null);
  });

  t.test(
    `${profile}: a delta feed that can’t be read holds what would age, and lets it go when it is back`,
    async (t) => {
      const news = feed('news', { mode: 'delta', lifetime: { default: 86_400_000 }, every: 3_600_000 });
      const bench = await openBench(t, [news], [journal({}, { profile })]);
      const seen = (n: number, at: Micros) => ({ value: `198.51.100.${n}`, lastSeen: formatMillis(at) });
      const ends = { ...seen(3, START), expires: formatMillis(START + 25 * HOUR) };
      await bench.pull(news, [seen(1, START), seen(2, START), ends]);
      await bench.fail(news);
      await pass(bench, 24);
      const before = (await bench.indicators()).dead.length;
      t.equal(before, profile === 'stix' ? 0 : 2, 'reissued where a version is a new indicator');
      await pass(bench, 1);
      t.same(await values(bench), ['1', '2'], 'but its own word is its own word');
      t.ok((await leastLeft(bench)) > 27 * MICROS_PER_DAY, 'readers are told in time');
      const again = await openBench(t, [news], [journal({}, { profile })], bench);
      await again.fail(news);
      await pass(again, 5);
      t.same(await values(again), ['1', '2'], 'after a new start');
      t.equal((await again.indicators()).dead.length, before + 1, 'and one more version is enough');
      await again.pull(news, [seen(1, again.clock.now())]);
      t.same(await values(again), ['1']);
      t.match(
        (await again.indicators()).dead.find(({ value, reason }) => value.endsWith('.2') && reason !== 'reissued'),
        {
          reason: 'expired',
        },
      );
      await pass(again, 23);
      t.same(await values(again), ['1'], 'which lives as long as it says');
    },
  );

  t.test(`${profile}: an outage holds nothing beyond its limit`, async (t) => {
    const one = feed('one', {
      lifetime: { default: 86_400_000 },
      every: 3_600_000,
      outageLimit: 3 * 86_400_000,
    });
    const bench = await openBench(t, [one], [journal({}, { profile })]);
    await bench.pull(one, addresses);
    await bench.fail(one);
    await pass(bench, 71);
    t.equal((await bench.indicators()).live.length, 5);
    await pass(bench, 2);
    t.equal((await bench.indicators()).live.length, 0);
    await bench.pullUnchanged(one);
    t.equal((await bench.indicators()).live.length, 5, 'until it is back');
  });
}

t.test('no lifetime is held for a feed that is switched off', async (t) => {
  const one = feed('one', { lifetime: { default: 86_400_000 }, every: 3_600_000 });
  const bench = await openBench(t, [one], [journal()]);
  await bench.pull(one, addresses);
  await bench.fail(one);
  const off = await openBench(t, [one], [journal()], bench, { idle: new Set(['one']) });
  await pass(off, 23);
  t.equal((await off.indicators()).live.length, 5);
  await pass(off, 2);
  t.equal((await off.indicators()).live.length, 0);
  // What was held ends as soon as nobody waits any more.
  const on = await openBench(t, [one], [journal()], off);
  await on.pullUnchanged(one);
  await on.fail(one);
  await pass(on, 30);
  t.equal((await on.indicators()).live.length, 5);
  const offAgain = await openBench(t, [one], [journal()], on, { idle: new Set(['one']) });
  t.equal((await offAgain.indicators()).live.length, 0);
});

t.test('one failure, or a poll that is a little late, is no reason to end or to renew anything', async (t) => {
  const one = feed('one', { lifetime: { default: 86_400_000 }, every: 3_600_000 });
  const bench = await openBench(t, [one], [journal()]);
  await bench.pull(one, addresses);
  const head = (await bench.entries()).at(-1)?.dateAdded;
  await pass(bench, 2);
  await bench.fail(one);
  await pass(bench, 20);
  t.equal((await bench.entries()).at(-1)?.dateAdded, head);
  t.equal((await bench.writer.feedState('one')).lapsedAt, null);
  t.match(await bench.pullUnchanged(one), { entries: 0 });
});

t.test('what ended before an outage began is not brought back by it', async (t) => {
  const news = feed('news', { mode: 'delta', lifetime: { default: 86_400_000 }, every: 3_600_000 });
  const bench = await openBench(t, [news], [journal()]);
  await bench.pull(news, addresses);
  bench.clock.set(START + 25 * HOUR);
  await bench.pull(news, []);
  await bench.tick();
  t.equal((await bench.indicators()).live.length, 0);
  await bench.fail(news);
  // Another policy has everything looked at again.
  const again = await openBench(t, [news], [journal({ tlp: 'red' })], bench);
  t.equal((await again.indicators()).live.length, 0);
});

t.test('without dates of sightings a lifetime counts from arrival, and what is new is an arrival', async (t) => {
  const news = feed('news', { mode: 'delta', lifetime: { default: 10 * 86_400_000 }, outageLimit: 0 });
  const bench = await openBench(t, [news], [journal()]);
  const indicator = (modified: string) => ({
    stix: {
      type: 'indicator',
      spec_version: '2.1',
      id: `indicator--${uuidOf('old')}`,
      created: '2020-01-01T00:00:00.000Z',
      modified,
      pattern: "[ipv4-addr:value = '198.51.100.1']",
      pattern_type: 'stix',
      valid_from: '2020-01-01T00:00:00.000Z',
    },
  });
  const dated = { value: '198.51.100.2', lastSeen: '2020-01-01T00:00:00Z' };
  await bench.pull(news, [indicator('2020-01-01T00:00:00.000Z'), dated]);
  t.same(await values(bench), ['1'], 'an old sighting is old when it comes');
  const { live } = await bench.indicators();
  t.match(live, [{ lastSeen: null, validUntil: START + 10 * MICROS_PER_DAY }]);
  bench.clock.set(START + 6 * MICROS_PER_DAY);
  await bench.pull(news, [indicator('2021-01-01T00:00:00.000Z')]);
  bench.clock.set(START + 12 * MICROS_PER_DAY);
  await bench.tick();
  t.same(await values(bench), ['1']);
  bench.clock.set(START + 17 * MICROS_PER_DAY);
  await bench.tick();
  t.same(await values(bench), []);
});

t.test('without a lifetime an object without valid_until has no end', async (t) => {
  const news = feed('news', { mode: 'delta' });
  const bench = await openBench(t, [news], [journal()]);
  await bench.pull(news, [...addresses, { value: '198.51.100.9', expires: formatMillis(START + HOUR) }]);
  bench.clock.set(START + 4000 * MICROS_PER_DAY);
  await bench.tick();
  t.same(await values(bench), ['1', '2', '3', '4', '5']);
});

const days = fc.double({ min: 0.01, max: 8, noNaN: true });
const event = fc.oneof(
  fc.record({ do: fc.constant('say' as const), feed: fc.nat(1), rows: fc.uniqueArray(fc.nat(4), { maxLength: 4 }) }),
  fc.record({ do: fc.constantFrom('fail' as const, 'confirm' as const, 'cut' as const), feed: fc.nat(1) }),
  fc.record({ do: fc.constantFrom('wait' as const, 'restart' as const, 'jump' as const, 'jump back' as const), days }),
);

for (const profile of profiles) {
  t.test(`${profile}: after any downtime what is served is what the sources last said and did not end`, async (t) => {
    const feeds = [
      feed('list', { lifetime: { default: 2 * 86_400_000 }, every: 3_600_000 }),
      feed('news', {
        mode: 'delta',
        lifetime: { default: 5 * 86_400_000 },
        every: 3_600_000,
        outageLimit: 3650 * 86_400_000,
      }),
    ] as const;
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 1, maxLength: 14 }), async (events) => {
        let bench = await openBench(t, [...feeds], [journal({}, { profile })]);
        const list = new Set<number>();
        const news = new Map<number, Micros>();
        /** The latest time at which aged rows may have left the store. */
        let latest: Micros = START;
        const say = async (n: number, rows: readonly number[]): Promise<void> => {
          const now = bench.clock.now();
          const items = rows.map((r) =>
            n === 0 ? { value: `198.51.100.${r}` } : { value: `192.0.2.${r}`, lastSeen: formatMillis(now) },
          );
          await bench.pull(feeds[n] as (typeof feeds)[0], items);
          if (n === 0) list.clear();
          for (const r of rows)
            if (n === 0) list.add(r);
            else news.set(r, now);
        };
        for (const one of events) {
          if (one.do === 'say') await say(one.feed, one.rows);
          else if (one.do === 'fail') await bench.fail(feeds[one.feed] as (typeof feeds)[0]);
          else if (one.do === 'cut') await bench.pullCut(feeds[one.feed] as (typeof feeds)[0], []);
          else if (one.do === 'confirm') await bench.pullUnchanged(feeds[one.feed] as (typeof feeds)[0]);
          else if ('days' in one) {
            const sign = one.do === 'jump back' ? -1 : 1;
            const target = bench.clock.now() + sign * Math.round(one.days * MICROS_PER_DAY);
            bench.clock.set(Math.max(START, target));
            if (one.do === 'restart') bench = await openBench(t, [...feeds], [journal({}, { profile })], bench);
            if (one.do !== 'jump') await bench.tick();
            latest = Math.max(latest, bench.clock.now());
          }
        }
        // All is well again: each feed has its say.
        await bench.pullUnchanged(feeds[0]);
        await bench.pull(feeds[1], []);
        await bench.tick();
        const now = bench.clock.now();
        const standing = [...news].filter(([, at]) => at + 5 * MICROS_PER_DAY > now);
        // A day behind its end a row leaves the store: a clock that was ahead by more than that can't bring it back.
        const kept = standing.filter(([, at]) => at + 6 * MICROS_PER_DAY > latest);
        const allowed = new Set([...list].map((r) => `198.51.100.${r}`));
        const required = [...allowed, ...kept.map(([r]) => `192.0.2.${r}`)];
        for (const [r] of standing) allowed.add(`192.0.2.${r}`);
        const found = (await bench.indicators()).live.map(({ value }) => value);
        const isRight = found.every((value) => allowed.has(value)) && required.every((value) => found.includes(value));
        if (!isRight) throw new Error(`${found} for ${required} of ${[...allowed]}`);
      }),
      { numRuns: 25 },
    );
  });
}
