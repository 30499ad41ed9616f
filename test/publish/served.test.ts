import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import type { FeedItem } from '../../src/feeds/feed.ts';
import { MICROS_PER_DAY } from '../../src/model/clock.ts';
import type { CollectionDefinition, FeedDefinition, JournalDefinition } from '../../src/model/definition.ts';
import type { Claim } from '../../src/model/entry.ts';
import type { JsonObject } from '../../src/model/json.ts';
import type { ObservableType } from '../../src/model/observable.ts';
import { indexServed } from '../../src/model/served.ts';
import { formatMillis } from '../../src/model/timestamp.ts';
import { isWithin, type Tlp } from '../../src/model/tlp.ts';
import { markingId, objectMarkings } from '../../src/stix/marking.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { openGateway, type TestGateway } from '../helpers/gateway.ts';
import { type Bench, feed, journal, openBench } from '../helpers/journals.ts';
import { START, uuidOf } from '../helpers/store.ts';

/** What is served and what is left out, counted by the store as it changes and by a walk over all that it holds. */

type View = Pick<CollectionDefinition, 'id' | 'journal' | 'types'>;

/** What each feed says, and what each journal serves of it, found by reading every row and every entry. */
async function walkAll({ writer, entries }: Bench, feeds: readonly FeedDefinition[], journals: readonly string[]) {
  const held = new Map<string, { name: string; kind: string; tlp: Tlp; revoked: boolean; raw: string | null }[]>();
  await writer.transaction(async (tx) => {
    for (const { name, tlp } of feeds) {
      const keys = await tx.observedKeys([name], null, 10_000);
      const observations = await tx.observations([name], keys);
      const objects = await tx.objects([name], null, 10_000);
      held.set(name, [
        ...observations.map((one) => {
          const { type, value } = one.observable;
          return { name: value, kind: type, tlp: one.tlp ?? tlp, revoked: one.revoked, raw: null };
        }),
        ...objects.map(({ id, type, raw }) => {
          const kind = type === 'marking-definition' ? 'marking' : 'object';
          const revoked = raw['revoked'] === true;
          return { name: id, kind, tlp: objectMarkings(raw).tlp ?? tlp, revoked, raw: JSON.stringify(raw) };
        }),
      ]);
    }
  });
  /** `expanded`: how many live addresses name a feed's network. */
  type Live = { keys: Map<string, Set<string>>; objects: Map<string, string>; expanded: Map<string, number> };
  const served = new Map<string, Live>();
  for (const name of journals) {
    const keys = new Map<string, Set<string>>();
    const objects = new Map<string, string>();
    const expanded = new Map<string, number>();
    for (const entry of await entries(name)) {
      if (entry.kind === 'object') {
        if (JSON.parse(entry.raw).revoked !== true) objects.set(entry.objectId, entry.raw);
      } else if (!entry.revoked) {
        for (const claim of JSON.parse(entry.sources) as Claim[]) {
          if (claim.network !== undefined) {
            const name = `${claim.feed} ${claim.network}`;
            expanded.set(name, (expanded.get(name) ?? 0) + 1);
            continue;
          }
          keys.set(claim.feed, (keys.get(claim.feed) ?? new Set()).add(entry.key));
        }
      }
    }
    served.set(name, { keys, objects, expanded });
  }
  return { held, served };
}

/** Throws where read, live and left out don't add up, for any feed, journal or collection. */
async function requireSum(
  bench: Bench,
  feeds: readonly FeedDefinition[],
  journals: readonly JournalDefinition[],
  views: readonly View[],
): Promise<void> {
  const { writer } = bench;
  const { held, served } = await walkAll(
    bench,
    feeds,
    journals.map(({ name }) => name),
  );
  const counts = await writer.served();
  const same = (what: string, actual: unknown, expected: unknown): void => {
    const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
    if (a !== b) throw new Error(`${what}: ${a}, not ${b}`);
  };
  for (const { name: feed } of feeds) {
    const all = held.get(feed) ?? [];
    const state = await writer.feedState(feed);
    const refused = (await writer.rejections(feed, 0)).counts
      .filter(({ isNote }) => !isNote)
      .reduce((sum, { count }) => sum + count, 0);
    same(`${feed} holds`, state.observations + state.objects, all.length);
    same(`${feed} reads`, state.read + state.split, all.length + state.folded + state.gone + refused);
    for (const { name, policy } of journals) {
      const leftOut = await writer.leftOut(name, feed, 10_000);
      const out = new Set(leftOut.map(({ value }) => value));
      const { keys, objects, expanded } = served.get(name) as NonNullable<ReturnType<typeof served.get>>;
      for (const { value, reason } of leftOut.filter(({ value }) => value.includes('/') && !value.includes(':'))) {
        const inside = 2 ** (32 - Number(value.split('/')[1]));
        if (reason === 'expanded') same(`${value} of ${feed} in ${name}`, expanded.get(`${feed} ${value}`), inside);
      }
      const known = await writer.transaction((tx) => tx.observedKeys([feed], null, 10_000));
      const values = new Map(
        (await writer.transaction((tx) => tx.observations([feed], known))).map((o) => [o.key, o.observable.value]),
      );
      const live = [
        ...[...(keys.get(feed) ?? [])].map((key) => values.get(key) ?? `gone ${key}`),
        // In the same words another feed may say it to fewer.
        ...all
          .filter(({ name, raw, tlp }) => raw !== null && objects.get(name) === raw && isWithin(tlp, policy.tlp))
          .map((one) => one.name),
      ];
      same(`${feed} in ${name}`, [...live, ...out].sort(), all.map((one) => one.name).sort());
      for (const one of all) {
        const reason = leftOut.find(({ value }) => value === one.name)?.reason ?? null;
        const isUntaken = one.kind === 'object' && policy.objects === 'indicators';
        same(`${one.name} is taken`, reason === 'objects-not-taken', isUntaken);
        if (isUntaken) continue;
        same(`${one.name} is too secret`, reason === 'above-ceiling', !isWithin(one.tlp, policy.tlp));
        same(`${one.name} is revoked`, reason === 'revoked', isWithin(one.tlp, policy.tlp) && one.revoked);
      }
      const kindOf = new Map(all.map(({ name, kind }) => [name, kind]));
      const tally = new Map<string, number>();
      const add = (kind: string, reason: string) =>
        tally.set(`${kind} ${reason}`, (tally.get(`${kind} ${reason}`) ?? 0) + 1);
      for (const value of live) add(kindOf.get(value) ?? '', 'null');
      for (const { kind, reason } of leftOut) add(kind, reason);
      const counted = counts.filter((count) => count.journal === name && count.feed === feed);
      same(
        `${feed} counted in ${name}`,
        counted.map(({ kind, reason, rows }) => [`${kind} ${reason}`, rows]).sort(),
        [...tally].sort(),
      );
      for (const view of views.filter((view) => view.journal === name)) {
        const { live: inView, leftOut: beside } = indexServed(counts)(feed, view);
        const isShown = ({ kind }: { kind: string }): boolean =>
          view.types === null || kind === 'marking' || view.types.includes(kind as ObservableType);
        same(`${feed} in ${view.id}`, inView, live.filter((v) => isShown({ kind: kindOf.get(v) ?? '' })).length);
        same(`${feed} of ${view.id}`, inView + beside.reduce((sum, { rows }) => sum + rows, 0), all.length);
      }
    }
  }
  const strange = counts.filter(
    ({ feed, journal }) => !feeds.some(({ name }) => name === feed) && journals.some(({ name }) => name === journal),
  );
  same('other feeds', strange, []);
}

const tlps: (Tlp | undefined)[] = [undefined, 'clear', 'green', 'amber', 'red'];
const values = [
  '198.51.100.1',
  '198.51.100.2',
  'a.example.com',
  'hxxp://b[.]example/x',
  '203.0.113.0/24',
  '198.51.100.0/30',
  '198.51.100.0/31',
  'CVE-2026-1234',
  'a'.repeat(128),
];
const row: fc.Arbitrary<FeedItem> = fc.record({
  value: fc.constantFrom(...values, '198[.]51[.]100[.]1', 'A.EXAMPLE.COM', 'no such thing', ''),
  tlp: fc.constantFrom(...tlps),
  confidence: fc.constantFrom(undefined, 10, 60, 'nonsense'),
  revoked: fc.constantFrom(undefined, undefined, true),
  lastSeen: fc.constantFrom(undefined, '2025-12-31', '2025-01-01'),
  validUntil: fc.constantFrom(undefined, undefined, '2025-12-01', '2026-01-05', '2026-03-01'),
});
const time = (day: number) => formatMillis(START - 30 * MICROS_PER_DAY + day * MICROS_PER_DAY);
const common = (type: string, name: string, day: number, tlp: Tlp | undefined): JsonObject => ({
  type,
  spec_version: '2.1',
  id: `${type}--${uuidOf(name)}`,
  created: time(0),
  ...(type === 'marking-definition' ? {} : { modified: time(day) }),
  ...(tlp === undefined ? {} : { object_marking_refs: [markingId(tlp)] }),
});
const object: fc.Arbitrary<FeedItem> = fc
  .record({
    name: fc.constantFrom('x', 'y'),
    what: fc.constantFrom('malware', 'marking', 'relation', 'indicator', 'several', 'pattern'),
    day: fc.constantFrom(1, 2),
    revoked: fc.constantFrom(false, false, true),
    tlp: fc.constantFrom(...tlps),
  })
  .map(({ name, what, day, revoked, tlp }): FeedItem => {
    const end = revoked ? { revoked } : {};
    if (what === 'malware') return { stix: { ...common('malware', name, day, tlp), ...end, name, is_family: true } };
    if (what === 'marking') {
      const definition = { definition_type: 'statement', definition: { statement: `© ${name}` } };
      return { stix: { ...common('marking-definition', name, day, undefined), ...definition } };
    }
    if (what === 'relation') {
      const ends = { source_ref: `indicator--${uuidOf(name)}`, target_ref: `malware--${uuidOf(name)}` };
      return { stix: { ...common('relationship', name, day, tlp), ...ends, relationship_type: 'indicates' } };
    }
    const patterns: Record<string, string> = {
      indicator: `[domain-name:value = '${name}.example']`,
      several: `[domain-name:value = '${name}.example' OR domain-name:value = 'z.example']`,
      pattern: "[file:name = 'a' AND file:size = 1]",
    };
    const pattern = patterns[what] ?? '';
    const rest = { pattern_type: 'stix', pattern, valid_from: time(0) };
    return { stix: { ...common('indicator', `${what} ${name}`, day, tlp), ...end, ...rest } };
  });

const policies: JournalDefinition[][] = [
  [journal({ objects: 'all' }), journal({ tlp: 'green' }, { name: 'collection:elastic', profile: 'elastic-agent' })],
  [
    journal({ tlp: 'red', objects: 'all' }, { keepVersions: 'all' }),
    journal({ minSources: 2, minConfidence: 30 }, { name: 'collection:elastic' }),
    journal({ types: ['ipv4', 'cve'], objects: 'all' }, { name: 'collection:ips' }),
  ],
  [journal({ tlp: 'clear', minConfidence: 50 })],
  [
    journal({ expandCidr: 30, tlp: 'green' }, { profile: 'elastic-agent' }),
    journal({ expandCidr: 31, tlp: 'red', objects: 'all' }, { name: 'collection:elastic', keepVersions: 'all' }),
    journal({ expandCidr: 30, minSources: 2, minConfidence: 30 }, { name: 'collection:ips' }),
  ],
];
const views: View[] = [
  { id: 'all', journal: 'pool:main', types: null },
  { id: 'names', journal: 'pool:main', types: ['domain', 'url'] },
  { id: 'none', journal: 'collection:elastic', types: ['email'] },
];
const pools = [
  ['one', 'two', 'news'],
  ['one', 'news'],
  ['two', 'news'],
];
type Step =
  | { do: 'pull'; feed: number; batches: FeedItem[][]; cut: boolean }
  | { do: 'wait'; days: number }
  | { do: 'start'; policy: number; pool: number };
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('pull' as const),
      feed: fc.nat(2),
      batches: fc.array(fc.array(fc.oneof(row, object), { maxLength: 6 }), { minLength: 1, maxLength: 3 }),
      cut: fc.constantFrom(false, false, true),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), days: fc.constantFrom(0.1, 1, 5, 40) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('start' as const), policy: fc.nat(3), pool: fc.nat(2) }),
  },
);

t.test('read = live + left out, for every feed, journal and collection, whatever happens', async (t) => {
  const every: FeedDefinition[] = [
    feed('one', { tlp: 'green' }),
    feed('two', { tlp: 'amber', confidence: 60, lifetime: { default: 3 * 86_400_000 } }),
    feed('news', { mode: 'delta', lifetime: { default: 10 * 86_400_000, cve: 86_400_000 } }),
  ];
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async (steps) => {
      let journals = policies[0] as JournalDefinition[];
      let feeds = every;
      let bench = await openBench(t, feeds, journals, undefined, { collections: views });
      for (const one of steps) {
        if (one.do === 'pull') {
          const of = every[one.feed] as FeedDefinition;
          // One that is not in the configuration is not polled.
          if (!feeds.includes(of)) continue;
          await (one.cut ? bench.pullCut : bench.pull)(of, ...one.batches);
        } else if (one.do === 'wait') {
          bench.clock.set(bench.clock.now() + one.days * MICROS_PER_DAY);
          await bench.tick();
        } else {
          journals = policies[one.policy] as JournalDefinition[];
          feeds = every.filter(({ name }) => pools[one.pool]?.includes(name));
          bench = await openBench(t, feeds, journals, bench, { collections: views });
        }
        await requireSum(bench, feeds, journals, views);
      }
    }),
    { numRuns: 60 },
  );
});

const reasonsOf = async ({ writer }: Bench, name = 'pool:main', of = 'one') =>
  Object.fromEntries((await writer.leftOut(name, of, 100)).map(({ value, reason }) => [value, reason]));

t.test('each row that is left out has its reason, the first that applies', async (t) => {
  const one = feed('one', { lifetime: { domain: 86_400_000 }, outageLimit: 0 });
  const elastic = journal({}, { name: 'collection:elastic', profile: 'elastic-agent' });
  const narrow = journal({ types: ['domain'], minConfidence: 50 }, { name: 'collection:narrow' });
  const sure = journal({ minSources: 2, objects: 'all' }, { name: 'collection:sure' });
  const bench = await openBench(t, [one], [journal(), elastic, narrow, sure]);
  const malware: JsonObject = { ...common('malware', 'x', 1, undefined), name: 'x', is_family: true };
  const rule = (name: string, language: string, pattern: string): JsonObject => ({
    ...common('indicator', name, 1, undefined),
    pattern_type: language,
    pattern,
    valid_from: time(0),
  });
  const and = rule('and', 'stix', "[file:name = 'a' AND file:size = 1]");
  const yara = rule('yara', 'yara', 'rule a { condition: true }');
  await bench.pull(one, [
    { value: '198.51.100.1', confidence: 90 },
    { value: '198.51.100.2', tlp: 'red', revoked: true },
    { value: '198.51.100.3', revoked: true, expires: '2025-12-01' },
    { value: '198.51.100.4', expires: '2025-12-01' },
    { value: '203.0.113.0/24' },
    { value: 'CVE-2026-1234' },
    { value: 'a'.repeat(128) },
    { value: 'a.example.com' },
    { value: 'b.example.com', confidence: 50 },
    { stix: malware },
    { stix: and },
    { stix: yara },
  ]);
  const always = {
    '198.51.100.2': 'above-ceiling',
    '198.51.100.3': 'revoked',
    '198.51.100.4': 'expired',
  };
  // Of an indicator that is no single comparison as well.
  const ids = [malware, and, yara].map(({ id }) => String(id));
  const objects = Object.fromEntries(ids.map((id) => [id, 'objects-not-taken']));
  t.strictSame(await reasonsOf(bench), { ...always, ...objects });
  t.same(await reasonsOf(bench, 'collection:elastic'), {
    ...always,
    '203.0.113.0/24': 'not-for-elastic',
    'CVE-2026-1234': 'not-for-elastic',
    ['a'.repeat(128)]: 'not-for-elastic',
    ...objects,
  });
  t.same(await reasonsOf(bench, 'collection:narrow'), {
    ...always,
    '198.51.100.1': 'type-not-taken',
    '203.0.113.0/24': 'type-not-taken',
    'CVE-2026-1234': 'type-not-taken',
    ['a'.repeat(128)]: 'type-not-taken',
    'a.example.com': 'below-confidence',
    ...objects,
  });
  const few = ['198.51.100.1', '203.0.113.0/24', 'CVE-2026-1234', 'a'.repeat(128), 'a.example.com', 'b.example.com'];
  t.same(await reasonsOf(bench, 'collection:sure'), {
    ...always,
    ...Object.fromEntries(few.map((value) => [value, 'too-few-sources'])),
  });
  const { counts: refusals } = await bench.writer.rejections('one', 10);
  t.same(
    refusals.filter(({ isNote }) => !isNote),
    [],
    'none of them was refused',
  );

  bench.clock.set(START + 2 * MICROS_PER_DAY);
  await bench.tick();
  t.match(await reasonsOf(bench), { 'a.example.com': 'expired', 'b.example.com': 'expired' }, 'as time goes by');
  const counts = await bench.writer.served();
  const view = { journal: 'pool:main', types: ['ipv4', 'domain'] as ObservableType[] };
  t.strictSame(indexServed(counts)('one', view), {
    live: 2,
    leftOut: [
      { reason: 'above-ceiling', kind: 'ipv4', rows: 1 },
      { reason: 'revoked', kind: 'ipv4', rows: 1 },
      { reason: 'expired', kind: 'domain', rows: 2 },
      { reason: 'expired', kind: 'ipv4', rows: 1 },
      { reason: 'type-not-taken', kind: 'cve', rows: 1 },
      { reason: 'type-not-taken', kind: 'sha512', rows: 1 },
      { reason: 'objects-not-taken', kind: 'object', rows: 3 },
    ],
  });
});

t.test('objects: all feeds that say what is served stand behind it, others were overtaken', async (t) => {
  const feeds = [feed('one'), feed('two'), feed('three')] as const;
  const [one, two, three] = feeds;
  const bench = await openBench(t, [...feeds], [journal({ objects: 'all' })]);
  const malware = (day: number): FeedItem => ({
    stix: { ...common('malware', 'x', day, undefined), name: 'x', is_family: true },
  });
  for (const [each, day] of [
    [one, 2],
    [two, 2],
    [three, 1],
  ] as const)
    await bench.pull(each, [malware(day)]);
  const fates = async () =>
    (await bench.writer.served()).map(({ feed, kind, reason, rows }) => `${feed} ${kind} ${reason} ${rows}`).sort();
  t.strictSame(await fates(), ['one object null 1', 'three object superseded 1', 'two object null 1']);
  await bench.pull(one, []);
  t.strictSame(await fates(), ['three object superseded 1', 'two object null 1']);
  await bench.pull(two, []);
  t.strictSame(await fates(), ['three object null 1']);
});

t.test('a tombstone says what became of the source that was served, not of one that never was', async (t) => {
  const [one, two] = [feed('one', { confidence: 80 }), feed('two', { confidence: 20 })];
  const bench = await openBench(t, [one, two], [journal()]);
  const value = '198.51.100.1';
  const secret = { value: '198.51.100.2', tlp: 'red' };
  await bench.pull(two, [{ value, tlp: 'red' }, secret]);
  await bench.pull(one, [{ value }, { value: '198.51.100.2' }]);
  await bench.pull(one, [{ value, revoked: true }]);
  const reasons = async () => (await bench.indicators()).dead.map((entry) => [entry.value, entry.reason]).sort();
  t.strictSame(await reasons(), [
    [value, 'revoked'],
    ['198.51.100.2', 'vanished'],
  ]);
  await bench.pull(one, [{ value }]);
  await openBench(t, [two], [journal()], bench);
  t.strictSame(
    (await reasons())
      .filter(([of]) => of === value)
      .map(([, reason]) => reason)
      .sort(),
    ['feed-removed', 'revoked'],
  );
});

t.test('where one source ages out beside another, the indicator names it no longer', async (t) => {
  const [one, news] = [feed('one'), feed('news', { mode: 'delta', lifetime: { default: 86_400_000 }, outageLimit: 0 })];
  const bench = await openBench(t, [one, news], [journal()]);
  for (const each of [one, news]) await bench.pull(each, [{ value: '198.51.100.1' }]);
  bench.clock.set(START + 3 * MICROS_PER_DAY);
  await bench.tick();
  const [live] = (await bench.indicators()).live;
  t.strictSame(
    (JSON.parse(live?.sources ?? '[]') as Claim[]).map((claim) => claim.feed),
    ['one'],
  );
  t.match(await bench.writer.feedState('news'), { read: 1, observations: 0, gone: 1 });
});

t.test('the account of a snapshot is of its last whole pull, and of what was added since', async (t) => {
  const one = feed('one');
  const bench = await openBench(t, [one], [journal()]);
  const accountOf = async () => {
    const { read, split, folded, gone, observations, objects } = await bench.writer.feedState('one');
    const refused = (await bench.writer.rejections('one', 0)).counts;
    return { read, split, folded, gone, held: observations + objects, refused };
  };
  const bad: FeedItem[] = [{ value: '' }, { value: 'no such thing' }, { value: 'no such thing' }];
  const good: FeedItem[] = [{ value: 'a.example.com' }, { value: 'A.EXAMPLE.COM' }, { value: 'b.example.com' }];
  const whole = {
    read: 6,
    split: 0,
    folded: 2,
    gone: 0,
    held: 2,
    refused: [
      { reason: 'no-value', count: 1, isNote: false },
      { reason: 'unknown-type', count: 1, isNote: false },
    ],
  };
  for (let poll = 0; poll < 3; poll += 1) {
    await bench.pull(one, good, bad);
    t.match(await accountOf(), { ...whole, refused: [{ count: 1 }, { count: 1 }] }, 'the same each time');
  }
  await bench.pullCut(one, [{ value: 'c.example.com' }, { value: 'a.example.com' }, { value: 'nor this' }]);
  t.match(await accountOf(), { read: 8, folded: 2, held: 3 }, 'a pull that was cut off adds to it');
  await bench.pull(one, good.slice(0, 1), bad.slice(0, 1));
  t.strictSame(
    await accountOf(),
    {
      read: 2,
      split: 0,
      folded: 0,
      gone: 0,
      held: 1,
      refused: [{ reason: 'no-value', count: 1, isNote: false }],
    },
    'rows that were mended upstream are no longer counted',
  );
  t.equal((await bench.writer.rejections('one', 10)).rows.length, 1, 'nor listed');
});

t.test('what one row says of several values is counted as split', async (t) => {
  const one = feed('one');
  const bench = await openBench(t, [one], [journal()]);
  const pattern = "[domain-name:value = 'a.example' OR domain-name:value = 'b.example']";
  const both = { ...common('indicator', 'both', 1, undefined), pattern_type: 'stix', pattern, valid_from: time(0) };
  t.match(await bench.pull(one, [{ stix: both }, { type: 'domain', value: 'a.example' }]), {
    accepted: 2,
    rejected: 0,
  });
  t.match(await bench.writer.feedState('one'), { read: 2, split: 1, folded: 1, observations: 2 });
});

t.test('the account of a delta feed runs on', async (t) => {
  const news = feed('news', { mode: 'delta', lifetime: { default: 86_400_000 }, outageLimit: 0 });
  const bench = await openBench(t, [news], [journal()]);
  await bench.pull(news, [{ value: 'a.example.com' }, { value: 'b.example.com' }, { value: '' }]);
  await bench.pull(news, [{ value: 'a.example.com' }, { value: '' }, { value: 'c.example.com' }]);
  t.match(await bench.writer.feedState('news'), { read: 6, folded: 2, gone: 0, observations: 3 });
  t.strictSame((await bench.writer.rejections('news', 0)).counts, [{ reason: 'no-value', count: 1, isNote: false }]);
  bench.clock.set(START + 3 * MICROS_PER_DAY);
  await bench.tick();
  t.match(await bench.writer.feedState('news'), { read: 6, folded: 2, gone: 3, observations: 0 });
});

t.test('a journal that was away from the configuration misses nothing when it comes back', async (t) => {
  const one = feed('one');
  const block = journal({ types: ['domain'] }, { name: 'collection:block' });
  const first = await openBench(t, [one], [journal(), block]);
  await first.pull(one, [{ value: 'a.example.com' }, { value: '198.51.100.1' }]);
  const without = await openBench(t, [one], [journal()], first);
  t.strictSame(
    (await without.writer.served()).filter(({ journal, reason }) => journal !== 'pool:main' && reason),
    [],
  );
  await without.pull(one, [{ value: 'b.example.com' }, { value: '198.51.100.2' }]);
  const back = await openBench(t, [one], [journal(), block], without);
  t.strictSame(
    (await back.indicators('collection:block')).live.map(({ value }) => value),
    ['b.example.com'],
  );
  t.strictSame(await reasonsOf(back, 'collection:block'), { '198.51.100.2': 'type-not-taken' });
});

t.test('status accounts for the rows of every feed and collection, an idle feed among them', async (t) => {
  const dir = t.testdir();
  const objects = [
    "ipv4-addr:value = '198.51.100.1'",
    "ipv4-addr:value = '203.0.113.0/24'",
    "domain-name:value = 'a.example.com'",
    "domain-name:value = 'A.example.com'",
  ].map((comparison, n) => ({
    ...common('indicator', `${n}`, 1, undefined),
    pattern_type: 'stix',
    pattern: `[${comparison}]`,
    valid_from: time(0),
  }));
  const broken = { ...objects[0], id: `indicator--${uuidOf('broken')}`, pattern: 'none' };
  const bundle = { type: 'bundle', id: `bundle--${uuidOf('b')}`, objects: [...objects, broken] };
  const yaml = (feed: string, pool: string) => `
data: ./data
feeds:
  one: { format: stix, path: one.json${feed} }
  two: { format: stix, path: two.json, enabled: false }
pools: { main: { feeds: [${pool}], profile: elastic-agent } }
collections:
  all: { pool: main }
  ips: { pool: main, types: [ipv4] }
  sure: { pool: main, sources: 2 }
`;
  const clock = scriptedClock(START, { auto: true });
  const open = (feed: string, pool = 'one, two') => openGateway(t, dir, yaml(feed, pool), { clock });
  const first = await open('');
  for (let poll = 0; poll < 3; poll += 1) {
    // The same in another text, so that it is read again.
    await writeFile(join(dir, 'one.json'), JSON.stringify(bundle, null, poll));
    t.match(await first.side.poll('one'), { outcome: 'whole' });
  }
  const expected = {
    feed: 'one',
    read: 5,
    split: 0,
    observations: 3,
    objects: 0,
    folded: 1,
    refused: [{ reason: 'unsupported-pattern', count: 1, isNote: false }],
    unaccounted: 0,
    served: [
      { collection: 'all', live: 2, leftOut: [{ reason: 'not-for-elastic', kind: 'ipv4', rows: 1 }], unaccounted: 0 },
      {
        collection: 'ips',
        live: 1,
        leftOut: [
          { reason: 'type-not-taken', kind: 'domain', rows: 1 },
          { reason: 'not-for-elastic', kind: 'ipv4', rows: 1 },
        ],
        unaccounted: 0,
      },
      {
        collection: 'sure',
        live: 0,
        leftOut: [
          { reason: 'not-for-elastic', kind: 'ipv4', rows: 1 },
          { reason: 'too-few-sources', kind: 'domain', rows: 1 },
          { reason: 'too-few-sources', kind: 'ipv4', rows: 1 },
        ],
        unaccounted: 0,
      },
    ],
  };
  const stateOf = async ({ side }: TestGateway) => (await side.status()).feeds.find(({ feed }) => feed === 'one');
  t.match(await stateOf(first), expected);
  const { rows, leftOut, served } = await first.side.rejections('one', 10);
  t.match(rows, [{ reason: 'unsupported-pattern', count: 3 }], 'refused three times, and one row');
  t.same(served, expected.served);
  t.same(
    leftOut.find(({ reason }) => reason === 'not-for-elastic'),
    { kind: 'ipv4', value: '203.0.113.0/24', reason: 'not-for-elastic', collections: ['all', 'ips', 'sure'] },
  );
  t.equal((await first.side.rejections('one', 1)).leftOut.length, 1);

  const idle = await open(', enabled: false');
  t.match(await stateOf(idle), { ...expected, idle: 'disabled' }, 'as after any other start');
  const apart = await open('', 'two');
  t.match(await stateOf(apart), { read: 5, observations: 3, unaccounted: 0, served: [] });
  t.strictSame(
    (await apart.reader.served()).filter(({ feed }) => feed === 'one'),
    [],
    'taken out of the pool',
  );
  const again = await open('');
  t.match(await stateOf(again), expected, 'and back');
});
