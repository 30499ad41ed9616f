import t from 'tap';
import { defaultReach, type JournalPolicy, type Profile, profiles } from '../../src/model/definition.ts';
import { own } from '../../src/suppress/own.ts';
import type { SuppressorKind, Verdict } from '../../src/suppress/suppressor.ts';
import { warningLists } from '../../src/suppress/warning-lists.ts';
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

const two = feed('two');

t.test('what a feed suppresses is not its word, and still that of others', async (t) => {
  const silent = feed('one', { suppress: ['203.0.113.0/24', 'example.com'], confidence: 90 });
  let bench = await openBench(t, [silent, two], [journal()]);
  await bench.pull(silent, items);
  t.strictSame((await values(bench)).live, ['10.1.2.3', 'other.example.org']);
  t.strictSame(await suppressedIn(bench), ['203.0.113.9', 'https://example.com/x', 'www.example.com']);
  await bench.pull(two, [{ value: '203.0.113.9' }]);
  const served = (await bench.indicators()).live.find(({ value }) => value === '203.0.113.9');
  t.strictSame(
    (JSON.parse(served?.sources ?? '[]') as { feed: string }[]).map((claim) => claim.feed),
    ['two'],
  );
  t.equal(served?.confidence, null, 'nor does its confidence count');

  bench = await openBench(t, [feed('one', { confidence: 90 }), two], [journal()], bench);
  t.equal((await values(bench)).live.length, rows.length, 'without the list all of it counts again');
});

t.test('what a feed admits is served as its word, and warning lists leave out what others say of it', async (t) => {
  const inside = feed('one', { admit: ['10.0.0.0/8'], confidence: 90 });
  const lists = { 'private-networks': 'drop', cloudflare: 'lower' } as const;
  const said = ['10.1.2.3', '192.168.0.1', '104.16.0.1'].map((value) => ({ value, labels: ['seen'] }));
  let bench = await openBench(t, [inside, two], [journal({ warningLists: lists })]);
  await bench.pull(two, said);
  t.strictSame((await values(bench)).live, ['104.16.0.1'], 'no feed that says it admits it');
  await bench.pull(inside, said);
  const { live } = await bench.indicators();
  const served = live.find(({ value }) => value === '10.1.2.3');
  t.match(served, { confidence: 90, labels: '["seen"]' });
  t.strictSame(
    (JSON.parse(served?.sources ?? '[]') as { feed: string }[]).map((claim) => claim.feed),
    ['one'],
  );
  t.strictSame(live.map(({ value }) => value).sort(), ['10.1.2.3', '104.16.0.1']);
  t.match(
    live.find(({ value }) => value === '104.16.0.1'),
    {
      confidence: 29,
      labels: '["seen","warning-list:cloudflare"]',
    },
  );

  const admitsAll = feed('one', { admit: ['10.0.0.0/8', '104.16.0.0/13'], confidence: 90 });
  bench = await openBench(t, [admitsAll, two], [journal({ warningLists: lists })], bench);
  const lifted = (await bench.indicators()).live.find(({ value }) => value === '104.16.0.1');
  t.match(lifted, { confidence: 95, labels: '["seen"]' }, 'what one of its feeds admits has no label');

  bench = await openBench(t, [admitsAll, two], [journal({ warningLists: lists, suppress: ['10.1.2.3'] })], bench);
  t.strictSame((await values(bench)).live, ['104.16.0.1'], 'an own asset of the pool is not served, whoever admits it');
});

t.test('a list that comes to name what is served makes a new version of it, or withdraws it', async (t) => {
  let bench = await openBench(t, [two], [journal()]);
  await bench.pull(two, [{ value: '104.16.0.1' }, { value: '8.8.8.8' }]);
  const before = await bench.indicators();
  const modes = { cloudflare: 'tag', 'public-resolvers': 'drop' } as const;
  bench = await openBench(t, [two], [journal({ warningLists: modes })], bench);
  const { live, dead } = await bench.indicators();
  const first = before.live.find(({ value }) => value === '104.16.0.1');
  t.match(live, [{ value: '104.16.0.1', objectId: first?.objectId, labels: '["warning-list:cloudflare"]' }]);
  t.match(dead, [{ value: '8.8.8.8', reason: 'suppressed' }]);
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

t.test('a changed entry of a list costs what it covers, and all of it is decided again', async (t) => {
  let asked: string[] = [];
  const counting: SuppressorKind = {
    open: () => ({
      match: ({ value }) => {
        asked.push(value);
        return null;
      },
    }),
  };
  const suppressors = { counting, own, 'warning-lists': warningLists };
  const many = [
    ...Array.from({ length: 200 }, (_, i) => ({ value: `198.51.100.${i}` })),
    ...['10.1.2.3', '10.1.0.0/16', '10.0.0.0/8', 'http://10.1.9.9/x', 'a.example.com', 'x@example.com'].map(
      (value) => ({
        value,
      }),
    ),
    { value: 'http://www.example.com/y' },
    { value: 'https://other.example/z' },
    { value: 'd41d8cd98f00b204e9800998ecf8427e' },
  ];
  const policies: [Partial<JournalPolicy>, string[] | null][] = [
    [{ suppress: ['10.1.0.0/16'] }, ['10.1.0.0/16', '10.1.2.3', 'http://10.1.9.9/x']],
    [
      { suppress: ['example.com'] },
      ['10.1.0.0/16', '10.1.2.3', 'a.example.com', 'http://10.1.9.9/x', 'http://www.example.com/y', 'x@example.com'],
    ],
    [{ suppress: ['example.com', 'https://other.example/z'] }, ['https://other.example/z']],
    [
      { suppress: ['example.com', 'https://other.example/z', 'd41d8cd98f00b204e9800998ecf8427e', 'x@example.com'] },
      ['d41d8cd98f00b204e9800998ecf8427e', 'x@example.com'],
    ],
    [{ suppress: ['example.com'], warningLists: { 'private-networks': 'drop' } }, null],
    [{ suppress: ['example.com'], warningLists: { 'private-networks': 'drop' }, admit: ['10.1.2.3'] }, ['10.1.2.3']],
    [{ suppress: ['example.com'], warningLists: { 'private-networks': 'drop' } }, ['10.1.2.3']],
  ];
  let bench = await openBench(t, [one], [journal()], undefined, { suppressors });
  await bench.pull(one, many);
  for (const [policy, expected] of policies) {
    asked = [];
    bench = await openBench(t, [one], [journal(policy)], bench, { suppressors });
    const looked = [...new Set(asked)].sort();
    if (expected === null) t.equal(looked.length, many.length, 'another change looks at all of it');
    else t.strictSame(looked, expected);
    const anew = await openBench(t, [one], [journal(policy)], undefined, { suppressors });
    await anew.pull(one, many);
    t.strictSame((await values(bench)).live, (await values(anew)).live, 'as if the policy had always been so');
  }
});

t.test('any suppressor of the registry is asked', async (t) => {
  const toy: SuppressorKind = {
    open: () => ({ match: ({ value }) => (value.startsWith('203.') ? dropped : null) }),
  };
  const bench = await openBench(t, [one], [journal()], undefined, { suppressors: { toy } });
  await bench.pull(one, items);
  t.strictSame(await suppressedIn(bench), ['203.0.113.9']);
  t.equal((await values(bench)).live.length, rows.length - 1);
});
