import fc from 'fast-check';
import t from 'tap';
import type { FeedItem } from '../../src/feeds/feed.ts';
import { MICROS_PER_DAY, MICROS_PER_SECOND } from '../../src/model/clock.ts';
import type { FeedMode } from '../../src/model/definition.ts';
import type { JsonObject } from '../../src/model/json.ts';
import { formatMillis } from '../../src/model/timestamp.ts';
import { type Bench, feed, journal, openBench } from '../helpers/journals.ts';
import { START, uuidOf } from '../helpers/store.ts';

// Hundreds of pulls, each into a store of its own.
t.setTimeout(300_000);

const minute = (n: number): string => formatMillis(START - MICROS_PER_DAY + n * 60 * MICROS_PER_SECOND);
const FUTURE = formatMillis(START + 3000 * MICROS_PER_DAY);

/** An indicator `id` on the address 198.51.100.`n`, in the version of that minute. */
const said = (id: string, n: number, version: number | string, over: JsonObject = {}): FeedItem => ({
  stix: {
    type: 'indicator',
    spec_version: '2.1',
    id: `indicator--${uuidOf(id)}`,
    created: minute(0),
    modified: typeof version === 'number' ? minute(version) : version,
    pattern: `[ipv4-addr:value = '198.51.100.${n}']`,
    pattern_type: 'stix',
    valid_from: minute(0),
    ...over,
  },
});

const values = async (bench: Bench): Promise<string> =>
  (await bench.indicators()).live
    .map(({ value }) => value.replace('198.51.100.', ''))
    .sort()
    .join(' ');

for (const mode of ['delta', 'snapshot'] as FeedMode[]) {
  for (const profile of ['stix', 'elastic-agent'] as const) {
    const one = feed('one', { mode });
    const open = (t: Parameters<typeof openBench>[0]) => openBench(t, [one], [journal({}, { profile })]);

    t.test(`${mode}, ${profile}: a later version with another value withdraws the old value`, async (t) => {
      const bench = await open(t);
      await bench.pull(one, [said('a', 1, 1), said('c', 3, 1)]);
      t.equal(await values(bench), '1 3');
      const again = mode === 'snapshot' ? [said('c', 3, 1)] : [];
      await bench.pull(one, [said('a', 77, 2), ...again]);
      t.equal(await values(bench), '3 77');
      t.match(await bench.pull(one, [said('a', 77, 2), ...again]), { entries: 0 });
      await bench.pull(one, [said('a', 1, 3), ...again]);
      t.equal(await values(bench), '1 3', 'and back');
    });

    t.test(`${mode}, ${profile}: versions of one pull, in whatever order and however paged`, async (t) => {
      for (const batches of [
        [[said('a', 1, 1), said('a', 2, 2)]],
        [[said('a', 2, 2), said('a', 1, 1)]],
        [[said('a', 1, 1)], [said('c', 3, 1)], [said('a', 2, 2)]],
        [[said('a', 2, 2)], [said('c', 3, 1)], [said('a', 1, 1)]],
      ]) {
        const bench = await open(t);
        const rest = batches.length === 1 ? '2' : '2 3';
        await bench.pull(one, ...batches);
        t.equal(await values(bench), rest);
        for (let i = 0; i < 2; i += 1) {
          t.match(await bench.pull(one, ...batches), { outcome: 'whole', entries: 0 }, 'nothing is told twice');
        }
        t.equal(await values(bench), rest);
      }
    });

    t.test(`${mode}, ${profile}: a value that others say stays, and loses the id`, async (t) => {
      const bench = await open(t);
      await bench.pull(one, [said('a', 1, 1)], [said('b', 1, 2)]);
      await bench.pull(one, [said('a', 2, 3), ...(mode === 'snapshot' ? [said('b', 1, 2)] : [])]);
      t.equal(await values(bench), '1 2');
      const [first] = (await bench.indicators()).live.filter(({ value }) => value.endsWith('.1'));
      t.notMatch(first?.references, uuidOf('a'));
      t.match(first?.references, uuidOf('b'));
      await bench.pull(one, [said('b', 1, 4, { revoked: true }), ...(mode === 'snapshot' ? [said('a', 2, 3)] : [])]);
      t.equal(await values(bench), '2');
    });

    t.test(`${mode}, ${profile}: a newer version replaces all that the older one said`, async (t) => {
      const bench = await open(t);
      // One object that speaks on several observables.
      await bench.pull(one, [said('a', 1, 1), said('a', 2, 1), said('a', 3, 1)]);
      t.equal(await values(bench), '1 2 3');
      await bench.pull(one, [said('a', 3, 2), said('a', 4, 2)]);
      t.equal(await values(bench), '3 4');
      await bench.pull(one, [said('a', 4, 3, { revoked: true })]);
      t.equal(await values(bench), '');
    });

    t.test(`${mode}, ${profile}: a newer version that can’t be read ends the older one`, async (t) => {
      for (const over of [
        { pattern: 'no pattern' },
        { pattern: 'alert tcp any', pattern_type: 'snort' },
        { pattern: "[mutex:name = 'x'] AND [file:name = 'y']" },
        { pattern: "[ipv4-addr:value = 'nowhere']" },
        { revoked: true, pattern: 'no pattern' },
      ] as JsonObject[]) {
        const bench = await open(t);
        await bench.pull(one, [said('a', 1, 1), said('c', 3, 1)]);
        const rest = mode === 'snapshot' ? [said('c', 3, 1)] : [];
        await bench.pull(one, [said('a', 0, 3, over), ...rest]);
        t.equal(await values(bench), '3', JSON.stringify(over));
        if (mode === 'snapshot') continue;
        await bench.pull(one, [said('a', 1, 2)]);
        t.equal(await values(bench), '3', 'and no older one brings it back');
        await bench.pull(one, [said('a', 1, 4)]);
        t.equal(await values(bench), '1 3', 'while a newer one does');
      }
    });

    t.test(`${mode}, ${profile}: a version dated in the future does not freeze its id`, async (t) => {
      const bench = await open(t);
      await bench.pull(one, [said('a', 1, FUTURE)]);
      t.equal(await values(bench), '1');
      await bench.pull(one, [said('a', 2, 5)]);
      t.equal(await values(bench), '2');
      await bench.pull(one, [said('a', 1, '9999-01-01T00:00:00Z')]);
      t.equal(await values(bench), '1');
      await bench.pull(one, [said('a', 2, 6, { confidence: 50 })]);
      t.equal(await values(bench), '2');
      await bench.pull(one, [said('a', 2, FUTURE, { confidence: 60 })]);
      await bench.pull(one, [said('a', 2, 7, { confidence: 70 })]);
      t.match((await bench.indicators()).live, [{ confidence: 70 }]);
    });
  }
}

for (const mode of ['delta', 'snapshot'] as FeedMode[]) {
  for (const inPages of [false, true]) {
    t.test(
      `${mode}, ${inPages ? 'pages' : 'one page'}: each object ends for itself what it says on a value`,
      async (t) => {
        const ends = (days: number): JsonObject => ({ valid_until: formatMillis(START + days * MICROS_PER_DAY) });
        const one = feed('one', { mode });
        // Both, the one that stays, and the end of what is left: a later one counts, and none is the last.
        for (const [both, left, stays, leaves] of [
          [70, 2, ends(2), ends(70)],
          [70, 70, ends(70), ends(2)],
          [null, 2, ends(2), {}],
          [null, null, {}, ends(2)],
        ] as [number | null, number | null, JsonObject, JsonObject][]) {
          for (const isFirst of [true, false]) {
            for (const over of [{}, { revoked: true }, { pattern: 'no pattern' }] as JsonObject[]) {
              const bench = await openBench(t, [one], [journal()]);
              const until = async () =>
                (await bench.indicators()).live
                  .filter(({ value }) => value.endsWith('.1'))
                  .map(({ validUntil }) => (validUntil === null ? null : (validUntil - START) / MICROS_PER_DAY));
              const [a, b] = [said('a', 1, isFirst ? 1 : 2, stays), said('b', 1, isFirst ? 2 : 1, leaves)];
              const items = isFirst ? [a, b] : [b, a];
              await bench.pull(one, ...(inPages ? items.map((item) => [item]) : [items]));
              t.strictSame(await until(), [both]);
              await bench.pull(one, [said('b', 2, 3, over), ...(mode === 'snapshot' ? [a] : [])]);
              t.strictSame(await until(), [left], JSON.stringify({ isFirst, stays, leaves, over }));
            }
          }
        }
        // A later version that moves its end only.
        const bench = await openBench(t, [one], [journal()]);
        const [a, b] = [said('a', 1, 1, ends(2)), said('b', 1, 5, ends(3))];
        await bench.pull(one, ...(inPages ? [[a], [b]] : [[a, b]]));
        const moved = said('a', 1, 2, ends(9));
        await bench.pull(one, ...(inPages ? [[moved], [b]] : [[moved, b]]));
        bench.clock.set(START + 4 * MICROS_PER_DAY);
        await bench.tick();
        t.equal(await values(bench), '1', 'the last of them ends it');
        bench.clock.set(START + 10 * MICROS_PER_DAY);
        await bench.tick();
        t.equal(await values(bench), '');
      },
    );
  }

  t.test(`${mode}: a page behind one with a newer version that can’t be read brings no older one`, async (t) => {
    const one = feed('one', { mode });
    const bench = await openBench(t, [one], [journal()]);
    await bench.pull(one, [said('a', 0, 2, { pattern: 'no pattern' })], [said('a', 1, 1), said('c', 3, 1)]);
    t.equal(await values(bench), '3');
  });
}

t.test('a snapshot with two versions of an object beside another says nothing new the second time', async (t) => {
  const one = feed('one');
  const bench = await openBench(t, [one], [journal()]);
  const pages = [[said('a', 1, 1)], [said('b', 1, 1)], [said('a', 1, 2, { confidence: 70 })]];
  await bench.pull(one, ...pages);
  for (let i = 0; i < 3; i += 1) t.match(await bench.pull(one, ...pages), { entries: 0 });
  t.match((await bench.indicators()).live, [{ confidence: 70 }]);
});

t.test('what a snapshot held back and then said in a newer version elsewhere is not taken up', async (t) => {
  const one = feed('one');
  const bench = await openBench(t, [one], [journal()]);
  await bench.pull(one, [said('a', 1, 1)]);
  await bench.pull(one, [said('c', 1, 1)], [said('c', 2, 2)]);
  t.equal(await values(bench), '2');
});

t.test('an older version that comes again in a delta feed changes nothing, whatever the newer one named', async (t) => {
  const one = feed('one', { mode: 'delta' });
  const bench = await openBench(t, [one], [journal()]);
  await bench.pull(one, [said('a', 1, 1)]);
  await bench.pull(one, [said('a', 2, 2)]);
  t.match(await bench.pull(one, [said('a', 1, 1)]), { entries: 0 });
  await bench.pull(one, [said('a', 2, 3, { revoked: true })]);
  await bench.pull(one, [said('a', 1, 1), said('a', 2, 2)]);
  t.equal(await values(bench), '');
  // Beside another object on its new value as well.
  await bench.pull(one, [said('b', 5, 1)]);
  await bench.pull(one, [said('b', 6, 2)], [said('x', 6, 9)]);
  await bench.pull(one, [said('b', 5, 1)]);
  t.equal(await values(bench), '6');
  // What was taken back is remembered for a year.
  bench.clock.set(START + 370 * MICROS_PER_DAY);
  await bench.tick();
  t.equal((await bench.writer.feedState('one')).observations, 1);
});

t.test('what ended in a delta stays ended when another object says the same value', async (t) => {
  const one = feed('one', { mode: 'delta' });
  for (const over of [{ revoked: true }, { pattern: 'no pattern' }] as JsonObject[]) {
    for (const known of [true, false]) {
      const bench = await openBench(t, [one], [journal({ objects: 'all' })]);
      if (known) await bench.pull(one, [said('a', 1, 1)]);
      await bench.pull(one, [said('a', 1, 5, over)]);
      await bench.pull(one, [said('b', 1, 1)]);
      // Neither beside the other, nor alone once that has moved on, nor on another value.
      for (const version of [1, 4]) {
        t.match(await bench.pull(one, [said('a', 1, version)]), { entries: 0 });
        t.match(await bench.pull(one, [said('a', 2, version, { revoked: version === 4 })]), { entries: 0 });
      }
      await bench.pull(one, [said('b', 3, 2)]);
      t.match(await bench.pull(one, [said('a', 1, 4), said('a', 2, 3)]), { entries: 0 });
      t.equal(await values(bench), '3', JSON.stringify(over));
      const complex = said('a', 1, 2, { pattern: "[mutex:name = 'x'] AND [file:name = 'y']" });
      t.match(await bench.pull(one, [complex]), { entries: 0 }, 'nor as an object that passes verbatim');
      await bench.pull(one, [said('a', 1, 6)]);
      t.equal(await values(bench), '1 3', 'while a newer version counts');
    }
  }
});

t.test('what ended in a delta is remembered for a year', async (t) => {
  const one = feed('one', { mode: 'delta' });
  const bench = await openBench(t, [one], [journal()]);
  await bench.pull(one, [said('a', 0, 5, { pattern: 'no pattern' })]);
  const remembered = () =>
    bench.writer.transaction(async (tx) => (await tx.endedVersions('one', [`indicator--${uuidOf('a')}`])).size);
  for (const [days, size] of [
    [300, 1],
    [370, 0],
  ] as const) {
    bench.clock.set(START + days * MICROS_PER_DAY);
    await bench.tick();
    t.equal(await remembered(), size);
  }
});

t.test(
  'a snapshot with an old and an ended version beside another object says nothing new the next time',
  async (t) => {
    const one = feed('one');
    for (const over of [{ revoked: true }, { pattern: 'no pattern' }] as JsonObject[]) {
      const [old, other, ended] = [said('a', 1, 1), said('b', 1, 3), said('a', 1, 2, over)];
      for (const pages of [
        [[old], [other], [ended]],
        [[ended], [other], [old]],
        [[other], [ended], [old]],
        [[old, other], [ended]],
        [[ended], [old, other]],
      ]) {
        const bench = await openBench(t, [one], [journal()]);
        await bench.pull(one, ...pages);
        for (let i = 0; i < 4; i += 1) {
          t.match(await bench.pull(one, ...pages), { entries: 0 });
          const [only] = (await bench.indicators()).live;
          t.notMatch(only?.references, uuidOf('a'));
        }
        bench.clock.set(START + MICROS_PER_DAY);
        await bench.pull(one, [old], [other]);
        t.match((await bench.indicators()).live, [{ references: new RegExp(uuidOf('a')) }], 'it says the old again');
        const left = await bench.writer.transaction((tx) => tx.endedVersions('one', [`indicator--${uuidOf('a')}`]));
        t.equal(left.size, 0, 'and nothing is kept that it has not said again');
      }
    }
  },
);

t.test(
  'what a snapshot said the last time is over once it says a newer version, on whatever page it comes',
  async (t) => {
    const one = feed('one');
    const bench = await openBench(t, [one], [journal()]);
    await bench.pull(one, [said('b', 1, 6)]);
    for (let i = 0; i < 3; i += 1) {
      await bench.pull(one, [said('b', 2, 7)], [said('b', 1, 6)]);
      t.equal(await values(bench), '2');
    }
  },
);

t.test(
  'an object that passed verbatim leaves once it is an indicator of one comparison, and the other way round',
  async (t) => {
    const one = feed('one', { mode: 'delta' });
    const bench = await openBench(t, [one], [journal({ objects: 'all' })]);
    const complex = { pattern: "[mutex:name = 'x'] AND [file:name = 'y']" };
    const standing = async () =>
      (await bench.entries()).flatMap((entry) =>
        entry.kind === 'object' && entry.stixType === 'indicator' && JSON.parse(entry.raw).revoked !== true
          ? ['x']
          : [],
      ).length;
    await bench.pull(one, [said('a', 0, 1, complex)]);
    const isPassed = (await standing()) === 1;
    await bench.pull(one, [said('a', 1, 2)]);
    t.equal(await standing(), 0);
    t.equal(await values(bench), '1');
    await bench.pull(one, [said('a', 0, 1, complex)]);
    t.equal(await standing(), 0, 'in an older version it does not come back');
    await bench.pull(one, [said('a', 0, 3, complex)]);
    t.equal(await standing(), isPassed ? 1 : 0);
    t.equal(await values(bench), '');
    await bench.pull(one, [said('a', 1, 2)]);
    t.equal(await values(bench), '');
  },
);

t.test('one feed ends nothing that another says under the same id', async (t) => {
  const [one, two] = [feed('one', { mode: 'delta' }), feed('two', { mode: 'delta' })];
  const bench = await openBench(t, [one, two], [journal()]);
  await bench.pull(one, [said('a', 1, 1)]);
  await bench.pull(two, [said('a', 1, 9, { revoked: true })]);
  await bench.pull(two, [said('a', 2, 10)]);
  t.equal(await values(bench), '1 2');
});

const malware = (over: JsonObject): FeedItem => ({
  stix: {
    type: 'malware',
    spec_version: '2.1',
    id: `malware--${uuidOf('worm')}`,
    created: minute(0),
    modified: minute(1),
    name: 'first',
    is_family: true,
    ...over,
  },
});

t.test('objects: only their creator makes versions of them', async (t) => {
  const [acme, evil] = [`identity--${uuidOf('acme')}`, `identity--${uuidOf('evil')}`];
  const feeds = ['one', 'two', 'three'].map((name) => feed(name, { mode: 'delta' }));
  const [one, two, three] = feeds as [(typeof feeds)[0], (typeof feeds)[0], (typeof feeds)[0]];
  const names = async (bench: Bench) =>
    (await bench.entries())
      .flatMap((entry) => (entry.kind === 'object' && entry.stixType === 'malware' ? [JSON.parse(entry.raw)] : []))
      .map(({ name, revoked }) => `${name}${revoked ? ' revoked' : ''}`);
  for (const own of [{}, { created_by_ref: acme }] as JsonObject[]) {
    const bench = await openBench(t, feeds, [journal({ objects: 'all' })]);
    await bench.pull(one, [malware(own)]);
    for (const foreign of [{}, { created_by_ref: evil }] as JsonObject[]) {
      for (const over of [{ modified: minute(9) }, { modified: FUTURE }, { modified: minute(9), revoked: true }]) {
        await bench.pull(two, [malware({ name: 'replaced', ...foreign, ...over })]);
        t.same(await names(bench), ['first'], JSON.stringify({ own, foreign, over }));
      }
    }
    await bench.pull(one, [malware({ ...own, modified: minute(3), name: 'third' })]);
    t.same(await names(bench), ['third'], 'it goes on by its own versions');
  }
  const bench = await openBench(t, feeds, [journal({ objects: 'all' })]);
  await bench.pull(one, [malware({ created_by_ref: acme, modified: minute(5), name: 'fifth' })]);
  await bench.pull(three, [malware({ created_by_ref: acme, modified: minute(4), name: 'fourth' })]);
  t.same(await names(bench), ['fifth'], 'another way to the same creator brings no older version');
  await bench.pull(three, [malware({ created_by_ref: acme, modified: minute(6), name: 'sixth' })]);
  t.same(await names(bench), ['sixth'], 'but a newer one');
  await bench.pull(three, [malware({ created_by_ref: acme, modified: FUTURE, name: 'future' })]);
  await bench.pull(one, [malware({ created_by_ref: acme, modified: minute(7), name: 'seventh' })]);
  t.same(await names(bench), ['seventh'], 'and none waits for the future');
});

t.test(
  'an object that ends on a page between is not combined with what a later page says on the same value',
  async (t) => {
    const one = feed('one');
    const bench = await openBench(t, [one], [journal()]);
    const pages = [[said('b', 1, 0)], [said('b', 1, 1, { pattern: 'x' })], [said('a', 1, 0)]];
    await bench.pull(one, [said('a', 1, 0)]);
    t.equal((await bench.pull(one, ...pages)).entries, 0, 'what a says stands as it was');
    t.equal((await bench.pull(one, ...pages)).entries, 0);
  },
);

/** Thrown, so that fast-check looks for the least that fails. */
function same(found: unknown, expected: unknown): void {
  if (found !== expected) throw new Error(`${found} for ${expected}`);
}

/** Versions of three ids on four values, as they come. */
const version = fc.record({
  id: fc.constantFrom('a', 'b', 'c'),
  values: fc.uniqueArray(fc.nat(3), { minLength: 1, maxLength: 2 }),
  minute: fc.nat(12),
  kind: fc.constantFrom('live', 'live', 'live', 'revoked', 'unreadable'),
});

t.test('whatever versions come in whatever order, the newest of each id is what it says', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.array(version, { minLength: 1, maxLength: 4 }), fc.boolean()), { maxLength: 6 }),
      async (pulls) => {
        const one = feed('one', { mode: 'delta' });
        const bench = await openBench(t, [one], [journal()]);
        const newest = new Map<string, { minute: number; values: number[] }>();
        const used = new Set<string>();
        for (const [versions, inPages] of pulls) {
          const items: FeedItem[][] = [];
          for (const { id, values: on, minute: at, kind } of versions) {
            // A version has one content.
            if (used.has(`${id} ${at}`)) continue;
            used.add(`${id} ${at}`);
            const over = kind === 'revoked' ? { revoked: true } : kind === 'unreadable' ? { pattern: 'x' } : {};
            items.push(on.map((n) => said(id, n, at, over)));
            if ((newest.get(id)?.minute ?? -1) < at) newest.set(id, { minute: at, values: kind === 'live' ? on : [] });
          }
          await bench.pull(one, ...(inPages && items.length > 0 ? items : [items.flat()]));
          const expected = new Set([...newest.values()].flatMap(({ values }) => values));
          same(await values(bench), [...expected].sort().join(' '));
        }
      },
    ),
    { numRuns: 25 },
  );
});

/** Snapshots that were once read wrong: each pull is its versions, and whether each comes on a page of its own. */
type Version = { id: string; values: number[]; minute: number; kind: string };
const v = (id: string, minute: number, values: number[], kind = 'live'): Version => ({ id, minute, values, kind });
const foundBefore: [[Version[], boolean][]][] = [
  // An object that was held back ended on the page before the one that wrote it.
  [
    [
      [[v('a', 0, [0])], false],
      [[v('b', 0, [0]), v('b', 1, [0], 'unreadable'), v('a', 0, [0])], true],
    ],
  ],
  // An older end took the place of a newer one, which the same pull says later.
  [[[[v('c', 0, [0], 'unreadable'), v('a', 0, [0]), v('c', 1, [0]), v('c', 2, [0], 'unreadable')], true]]],
  // The end of what was only held back was not remembered.
  [
    [
      [[v('c', 0, [3, 0])], false],
      [[v('a', 0, [3]), v('a', 1, [0], 'unreadable'), v('c', 0, [3]), v('c', 1, [0])], true],
    ],
  ],
  // What was held back was lost when the observation it waited for ended.
  [
    [
      [[v('a', 0, [2])], false],
      [[v('c', 6, [2]), v('a', 0, [0], 'unreadable'), v('b', 0, [2]), v('b', 1, [0])], true],
    ],
  ],
  // An older end took back what the newer version says.
  [
    [
      [[v('c', 2, [0], 'unreadable'), v('c', 3, [0]), v('a', 0, [1])], true],
      [[v('c', 2, [0], 'unreadable'), v('a', 0, [0], 'revoked')], true],
    ],
  ],
];

t.test('whatever versions a snapshot holds in whatever order, the newest of each id is what it says', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.array(version, { minLength: 1, maxLength: 5 }), fc.boolean()), { maxLength: 6 }),
      async (pulls) => {
        const one = feed('one');
        const bench = await openBench(t, [one], [journal()]);
        for (const [versions, inPages] of pulls) {
          // No two pulls are at the same time.
          bench.clock.set(bench.clock.now() + 60_000_000);
          const once = [...new Map(versions.map((one) => [`${one.id} ${one.minute}`, one])).values()];
          const newest = new Map<string, { minute: number; values: number[] }>();
          const items = once.map(({ id, values: on, minute: at, kind }) => {
            if ((newest.get(id)?.minute ?? -1) < at) newest.set(id, { minute: at, values: kind === 'live' ? on : [] });
            const over = kind === 'revoked' ? { revoked: true } : kind === 'unreadable' ? { pattern: 'x' } : {};
            return on.map((n) => said(id, n, at, over));
          });
          const batches = inPages ? items : [items.flat()];
          await bench.pull(one, ...batches);
          const expected = [...new Set([...newest.values()].flatMap(({ values }) => values))].sort().join(' ');
          same(await values(bench), expected);
          await bench.pull(one, ...batches);
          // Said again and again it changes nothing.
          same((await bench.pull(one, ...batches)).entries, 0);
          same(await values(bench), expected);
        }
      },
    ),
    { numRuns: 25, examples: foundBefore },
  );
});
