import t, { type Test } from 'tap';
import type { AnalystVerdict, AnalystVerdictKind } from '../../src/model/analyst-verdict.ts';
import { MICROS_PER_DAY, MICROS_PER_SECOND } from '../../src/model/clock.ts';
import type { FeedDefinition, JournalDefinition } from '../../src/model/definition.ts';
import { type Observable, observableKey } from '../../src/model/observable.ts';
import { formatMillis } from '../../src/model/timestamp.ts';
import { endVerdicts, giveVerdict } from '../../src/publish/analyst-verdicts.ts';
import type { Published } from '../../src/publish/changes.ts';
import { suppressorKinds } from '../../src/suppress/registry.ts';
import type { SuppressorKind } from '../../src/suppress/suppressor.ts';
import { type Bench, feed, journal, openBench } from '../helpers/journals.ts';

const one = feed('one', { confidence: 40 });
const a: Observable = { type: 'domain', value: 'a.example.com' };
const b: Observable = { type: 'domain', value: 'b.example.com' };
const rows = [{ value: 'a.example.com' }, { value: 'b.example.com' }];
const agent = journal({}, { name: 'collection:agent', profile: 'elastic-agent' });
const DAY_MS = 86_400_000;

type More = Partial<Pick<AnalystVerdict, 'until' | 'seenAt' | 'pool'>>;

async function give(
  bench: Bench,
  kind: AnalystVerdictKind,
  observable: Observable,
  more: More = {},
): Promise<Published> {
  const published = { entries: 0, withdrawn: 0 };
  const rest = { by: 'ann', note: null, at: bench.clock.now(), seenAt: null, until: null };
  const verdict = { pool: 'main', key: observableKey(observable), observable, kind, ...rest, ...more };
  await bench.writer.transaction((tx) => giveVerdict(tx, bench.journals, verdict, published));
  return published;
}

async function end(bench: Bench, observable: Observable): Promise<Published> {
  const published = { entries: 0, withdrawn: 0 };
  await bench.writer.transaction(async (tx) => {
    const standing = await tx.standingVerdicts('main', [observableKey(observable)]);
    await endVerdicts(tx, bench.journals, standing, { at: bench.clock.now(), by: 'bob' }, published);
  });
  return published;
}

async function values(bench: Bench, name?: string): Promise<string[]> {
  return (await bench.indicators(name)).live.map(({ value }) => value).sort();
}

async function entryOf(bench: Bench, { value }: Observable, name?: string) {
  return (await bench.indicators(name)).live.find((entry) => entry.value === value);
}

async function leftOut(bench: Bench, name = 'pool:main', of = 'one'): Promise<[string, string][]> {
  return (await bench.writer.leftOut(name, of, 100)).map(({ value, reason }) => [value, reason]);
}

const bench = (t: Test, feeds: FeedDefinition[] = [one], definitions: JournalDefinition[] = [journal(), agent]) =>
  openBench(t, feeds, definitions);

t.test('a false positive leaves every journal of its pool in the same commit, and stays out', async (t) => {
  let gateway = await bench(t);
  await gateway.pull(one, rows);
  const before = await entryOf(gateway, a);
  t.strictSame(await give(gateway, 'false-positive', a), { entries: 2, withdrawn: 2 });
  for (const name of ['pool:main', 'collection:agent']) {
    t.strictSame(await values(gateway, name), ['b.example.com']);
    const { dead } = await gateway.indicators(name);
    t.match(dead, [{ value: 'a.example.com', reason: 'false-positive' }]);
    t.strictSame(await leftOut(gateway, name), [['a.example.com', 'false-positive']]);
  }
  t.equal((await gateway.indicators()).dead[0]?.objectId, before?.objectId, 'a tombstone of what was told');

  t.match(await gateway.pull(one, rows), { entries: 0 }, 'the feed says it again');
  t.match(await gateway.pull(one, [{ value: 'a.example.com', confidence: 90 }, ...rows.slice(1)]), { entries: 0 });
  await gateway.pull(one, rows.slice(1));
  t.strictSame(await leftOut(gateway), [], 'the feed says it no more');
  await gateway.pull(one, rows);
  t.strictSame(await values(gateway), ['b.example.com'], 'and again');
  gateway = await openBench(t, [one], [journal({ minConfidence: 1 }), agent], gateway);
  await gateway.tick();
  t.strictSame(await values(gateway), ['b.example.com'], 'after a new start, with another policy');

  t.strictSame(await end(gateway, a), { entries: 2, withdrawn: 0 });
  t.strictSame(await values(gateway, 'collection:agent'), ['a.example.com', 'b.example.com']);
  const again = await entryOf(gateway, a);
  t.not(again?.objectId, before?.objectId, 'what comes back is a new indicator');
  t.strictSame(await leftOut(gateway), []);
  t.strictSame(await give(gateway, 'false-positive', a, { pool: 'other' }), { entries: 0, withdrawn: 0 });
});

t.test('a verdict on what no feed says yet holds when one does', async (t) => {
  const gateway = await bench(t);
  t.strictSame(await give(gateway, 'false-positive', a), { entries: 0, withdrawn: 0 });
  t.strictSame(await give(gateway, 'confirmed', b), { entries: 0, withdrawn: 0 });
  t.strictSame(await values(gateway), [], 'a verdict creates nothing');
  await gateway.pull(one, rows);
  t.strictSame(await values(gateway), ['b.example.com']);
  t.equal((await entryOf(gateway, b))?.confidence, 95);
});

t.test('a verdict ends at its date with the next tick', async (t) => {
  for (const profile of ['stix', 'elastic-agent'] as const) {
    const gateway = await bench(t, [one], [journal({}, { profile })]);
    await gateway.pull(one, rows);
    const until = gateway.clock.now() + MICROS_PER_DAY;
    await give(gateway, 'false-positive', a, { until });
    gateway.clock.set(until - 1);
    await gateway.tick();
    t.strictSame(await values(gateway), ['b.example.com']);
    gateway.clock.set(until);
    await gateway.tick();
    t.strictSame(await values(gateway), ['a.example.com', 'b.example.com']);
    const query = { pool: null, keys: null, withEnded: true, before: null, limit: 10 };
    t.match(await gateway.writer.analystVerdicts(query), [{ ended: { at: until, by: null } }]);
    gateway.clock.set(until - 3600 * MICROS_PER_SECOND);
    await gateway.tick();
    t.strictSame(await values(gateway), ['b.example.com'], 'the clock was ahead: it stands again');
    gateway.clock.set(until + 29 * MICROS_PER_DAY);
    await gateway.tick();
    t.equal((await gateway.writer.analystVerdicts(query)).length, 1);
    gateway.clock.set(until + 31 * MICROS_PER_DAY);
    await gateway.tick();
    t.strictSame(await gateway.writer.analystVerdicts(query), [], 'it is forgotten when its tombstone is');
  }
});

t.test('more verdicts than one transaction takes end at their date', async (t) => {
  const gateway = await bench(t, [one], [journal()]);
  const many = Array.from({ length: 251 }, (_, i) => `${i}.example.com`);
  const until = gateway.clock.now() + MICROS_PER_DAY;
  for (const value of many) await give(gateway, 'false-positive', { type: 'domain', value }, { until });
  await gateway.pull(
    one,
    many.map((value) => ({ value })),
  );
  t.equal((await values(gateway)).length, 0);
  gateway.clock.set(until);
  await gateway.tick();
  t.equal((await values(gateway)).length, 251);
});

t.test(
  'what is confirmed counts as said by one more publisher who is sure, and no list of others suppresses it',
  async (t) => {
    const toy: SuppressorKind = {
      open: ({ name }) =>
        name === 'pool:main' ? { match: ({ value }) => (value === a.value ? verdict : null) } : null,
    };
    const verdict = { mode: 'drop', rule: 'toy', entry: 'a', reason: '', admit: '', labels: [] } as const;
    const definitions = [
      journal(),
      journal({ suppress: ['a.example.com'] }, { name: 'collection:own' }),
      journal({ minSources: 2 }, { name: 'collection:agreed' }),
      journal({ minConfidence: 90 }, { name: 'collection:sure' }),
      journal({ tlp: 'clear' }, { name: 'collection:clear' }),
    ];
    const suppressors = { own: suppressorKinds['own'] as SuppressorKind, toy };
    const gateway = await openBench(t, [one], definitions, undefined, { suppressors });
    await gateway.pull(one, rows);
    t.strictSame(await values(gateway), ['b.example.com']);
    await give(gateway, 'confirmed', a);
    t.strictSame(await values(gateway, 'collection:own'), ['b.example.com'], 'own assets stay out');
    t.strictSame(await values(gateway), ['a.example.com', 'b.example.com']);
    const entry = await entryOf(gateway, a);
    t.match(entry, { confidence: 95, labels: '["analyst:confirmed"]' });
    t.notMatch(JSON.stringify(await gateway.indicators()), /ann/, 'nobody is named');
    t.match(JSON.parse(entry?.sources ?? ''), [{ feed: 'one', confidence: 40 }]);
    t.strictSame(await values(gateway, 'collection:agreed'), ['a.example.com']);
    t.strictSame(await values(gateway, 'collection:sure'), ['a.example.com']);
    t.strictSame(await values(gateway, 'collection:clear'), [], 'the ceiling rules');
    await gateway.pull(one, rows.slice(1));
    t.strictSame(await values(gateway), ['b.example.com'], 'what no feed says any more leaves');
    await gateway.pull(one, [{ value: 'a.example.com', confidence: 99 }]);
    t.equal((await entryOf(gateway, a))?.confidence, 99);
    await give(gateway, 'false-positive', a);
    t.strictSame(await values(gateway), [], 'the last verdict counts');
    await give(gateway, 'confirmed', a);
    await end(gateway, a);
    t.strictSame(await leftOut(gateway), [['a.example.com', 'suppressed']]);
    t.strictSame(await values(gateway, 'collection:agreed'), []);
  },
);

t.test('what an analyst saw is not old', async (t) => {
  const delta = feed('one', { mode: 'delta', lifetime: { default: 10 * DAY_MS }, outageLimit: 0 });
  for (const profile of ['stix', 'elastic-agent'] as const) {
    const gateway = await bench(t, [delta], [journal({}, { profile })]);
    const begun = gateway.clock.now();
    await gateway.pull(delta, [...rows, { value: 'never.example.com' }]);
    gateway.clock.set(begun + 8 * MICROS_PER_DAY);
    const seenAt = begun + 7 * MICROS_PER_DAY;
    t.match(await give(gateway, 'sighted', a, { seenAt }), { withdrawn: 0 });
    t.match(await entryOf(gateway, a), { lastSeen: seenAt, labels: null }, 'readers are told at once');
    t.match((await entryOf(gateway, a))?.sources, formatMillis(begun), 'its feed saw it earlier');
    t.strictSame(await give(gateway, 'sighted', b, { seenAt: begun - 1 }), { entries: 0, withdrawn: 0 }, 'no news');
    t.strictSame(await give(gateway, 'sighted', { type: 'domain', value: 'c.example.com' }, { seenAt }), {
      entries: 0,
      withdrawn: 0,
    });
    gateway.clock.set(begun + 12 * MICROS_PER_DAY);
    await gateway.tick();
    await gateway.tick();
    t.strictSame(await values(gateway), ['a.example.com']);
    gateway.clock.set(begun + 16 * MICROS_PER_DAY);
    await gateway.tick();
    t.strictSame(await values(gateway), ['a.example.com'], 'though its feed has let it go');
    gateway.clock.set(begun + 18 * MICROS_PER_DAY);
    await gateway.tick();
    t.strictSame(await values(gateway), [], 'until its lifetime is over');
    gateway.clock.set(begun + 19 * MICROS_PER_DAY);
    await gateway.tick();
    t.equal((await gateway.writer.feedState('one')).observations, 0);
  }
});

t.test('what an analyst saw last counts, and what a feed saw later counts more', async (t) => {
  const gateway = await bench(t, [one], [journal()]);
  const now = gateway.clock.now() + MICROS_PER_DAY;
  const last = '2026-01-01T12:00:00Z';
  await gateway.pull(one, [{ value: 'a.example.com', lastSeen: last }]);
  const seen = (await entryOf(gateway, a))?.lastSeen;
  gateway.clock.set(now);
  t.strictSame(await give(gateway, 'sighted', a, { seenAt: (seen ?? 0) - 1 }), { entries: 0, withdrawn: 0 });
  t.equal((await entryOf(gateway, a))?.lastSeen, seen);
  t.strictSame(await give(gateway, 'sighted', a, { seenAt: now }), { entries: 1, withdrawn: 0 });
  t.strictSame(await give(gateway, 'false-positive', a), { entries: 1, withdrawn: 1 }, 'seen, and no threat');
  t.strictSame(await end(gateway, a), { entries: 1, withdrawn: 0 });
});

t.test(
  'in a pool that expands networks, a verdict reaches what is said of a network, or one address of it',
  async (t) => {
    const two = feed('two');
    const gateway = await bench(t, [one, two], [journal({ expandCidr: 24 })]);
    await gateway.pull(one, [{ value: '198.51.100.0/30' }]);
    await gateway.pull(two, [{ value: '198.51.100.2' }]);
    const address = (last: number): Observable => ({ type: 'ipv4', value: `198.51.100.${last}` });
    const all = [0, 1, 2, 3].map((last) => address(last).value);
    t.strictSame(await values(gateway), all);
    t.strictSame(await give(gateway, 'false-positive', address(1)), { entries: 1, withdrawn: 1 });
    t.strictSame(await values(gateway), [all[0], all[2], all[3]]);
    await gateway.pull(one, [{ value: '198.51.100.0/30', confidence: 50 }]);
    t.strictSame(await values(gateway), [all[0], all[2], all[3]]);
    t.strictSame(await end(gateway, address(1)), { entries: 1, withdrawn: 0 }, 'an address that nobody says by itself');
    t.strictSame(await values(gateway), all);

    const network: Observable = { type: 'ipv4', value: '198.51.100.0/30' };
    await give(gateway, 'confirmed', address(3));
    t.match(await give(gateway, 'false-positive', network), { withdrawn: 2 });
    t.strictSame(await values(gateway), [all[2], all[3]], 'but for what is said of an address, and what is confirmed');
    t.match((await gateway.indicators()).dead.at(-1), { reason: 'false-positive' });
    t.strictSame(await leftOut(gateway), [['198.51.100.0/30', 'false-positive']]);
    await give(gateway, 'confirmed', network);
    t.strictSame(await values(gateway), all);
    t.strictSame(
      (await gateway.indicators()).live.map(({ confidence }) => confidence),
      [95, 95, 95, 95],
    );
    await gateway.clock.advance(1000);
    await give(gateway, 'sighted', network, { seenAt: gateway.clock.now() });
    t.equal((await gateway.indicators()).live.filter(({ lastSeen }) => lastSeen !== null).length, 4);
    await end(gateway, network);
    t.strictSame((await entryOf(gateway, address(0)))?.confidence, 50);
  },
);

t.test('the word of an analyst does not decay', async (t) => {
  const decay = { speed: { default: 1 }, threshold: 0 };
  const old = feed('one', { mode: 'delta', confidence: 90, decay, lifetime: { default: 10 * DAY_MS }, outageLimit: 0 });
  const gateway = await bench(t, [old], [journal({ minConfidence: 80 })]);
  const begun = gateway.clock.now();
  await gateway.pull(old, rows);
  await give(gateway, 'confirmed', a);
  t.equal((await entryOf(gateway, a))?.confidence, 95);
  gateway.clock.set(begun + 9 * MICROS_PER_DAY);
  await gateway.tick();
  t.strictSame(await values(gateway), ['a.example.com']);
  t.match(await end(gateway, a), { withdrawn: 1 });
});
