import t from 'tap';
import { defaultReach, type JournalPolicy, type Profile, profiles } from '../../src/model/definition.ts';
import type { SuppressorKind, Verdict } from '../../src/suppress/suppressor.ts';
import { type Bench, feed, journal, openBench } from '../helpers/journals.ts';

/** Private addresses are the ones that a company owns. */
const one = feed('one', { reach: { ...defaultReach, reserved: true } });
const rows = ['10.1.2.3', '203.0.113.9', 'www.example.com', 'https://example.com/x', 'other.example.org'];
const items = rows.map((value) => ({ value }));

async function values(bench: Bench): Promise<{ live: string[]; dead: string[] }> {
  const { live, dead } = await bench.indicators();
  return { live: live.map(({ value }) => value).sort(), dead: dead.map(({ value }) => value).sort() };
}

async function suppressedIn(bench: Bench): Promise<string[]> {
  const rows = await bench.writer.leftOut('pool:main', 'one', 100);
  return rows
    .filter(({ reason }) => reason === 'suppressed')
    .map(({ value }) => value)
    .sort();
}

const journalWith = (profile: Profile, policy: Partial<JournalPolicy>) => journal(policy, { profile });

t.test('what a policy suppresses never enters, and is counted', async (t) => {
  for (const profile of profiles) {
    const bench = await openBench(t, [one], [journalWith(profile, { suppress: ['10.0.0.0/8', 'example.com'] })]);
    t.match(await bench.pull(one, items), { entries: 2, withdrawn: 0 });
    t.strictSame(await values(bench), { live: ['203.0.113.9', 'other.example.org'], dead: [] });
    t.strictSame(await suppressedIn(bench), ['10.1.2.3', 'https://example.com/x', 'www.example.com']);
    t.match(await bench.pull(one, items), { entries: 0, withdrawn: 0 }, 'nor does it when it is said again');
  }
});

t.test('a changed list withdraws what it names now, and brings back what it no longer names', async (t) => {
  for (const profile of profiles) {
    let bench = await openBench(t, [one], [journalWith(profile, {})]);
    await bench.pull(one, items);
    const before = await bench.indicators();
    bench = await openBench(t, [one], [journalWith(profile, { suppress: ['10.0.0.0/8', 'example.com'] })], bench);
    const own = ['10.1.2.3', 'https://example.com/x', 'www.example.com'];
    t.strictSame(await values(bench), { live: ['203.0.113.9', 'other.example.org'], dead: own });
    const { dead } = await bench.indicators();
    const idOf = (value: string) => before.live.find((entry) => entry.value === value)?.objectId;
    for (const entry of dead) {
      t.match(
        entry,
        { reason: 'suppressed', revoked: true, objectId: idOf(entry.value) },
        'a tombstone of what was told',
      );
    }
    bench = await openBench(t, [one], [journalWith(profile, { suppress: ['example.com'] })], bench);
    const { live } = await values(bench);
    t.strictSame(live, ['10.1.2.3', '203.0.113.9', 'other.example.org']);
    t.strictSame(await suppressedIn(bench), ['https://example.com/x', 'www.example.com']);
    const again = (await bench.indicators()).live.find(({ value }) => value === '10.1.2.3');
    t.not(again?.objectId, idOf('10.1.2.3'), 'what comes back is a new indicator');
  }
});

t.test('of a network that is expanded only the own addresses are left out', async (t) => {
  const bench = await openBench(t, [one], [journal({ expandCidr: 24, suppress: ['198.51.100.2'] })]);
  await bench.pull(one, [{ value: '198.51.100.0/30' }]);
  t.strictSame((await values(bench)).live, ['198.51.100.0', '198.51.100.1', '198.51.100.3']);
});

const dropped: Verdict = {
  mode: 'drop',
  rule: 'toy',
  entry: '203.',
  reason: 'It is a toy.',
  admit: 'Take the toy away.',
  labels: [],
};

t.test('any suppressor of the registry is asked', async (t) => {
  const toy: SuppressorKind = {
    open: () => ({ match: ({ value }) => (value.startsWith('203.') ? dropped : null) }),
  };
  const bench = await openBench(t, [one], [journal()], undefined, { suppressors: { toy } });
  await bench.pull(one, items);
  t.strictSame(await suppressedIn(bench), ['203.0.113.9']);
  t.equal((await values(bench)).live.length, rows.length - 1);
});
