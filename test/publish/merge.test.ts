import fc from 'fast-check';
import t from 'tap';
import { MICROS_PER_DAY, type Micros } from '../../src/model/clock.ts';
import type { FeedDefinition, JournalPolicy } from '../../src/model/definition.ts';
import type { Observation } from '../../src/model/observation.ts';
import { formatMillis } from '../../src/model/timestamp.ts';
import { type FeedObservation, type MergeResult, merge } from '../../src/publish/merge.ts';
import { publishersOf } from '../../src/publish/publisher.ts';
import { feed, journal } from '../helpers/journals.ts';
import { observation, START } from '../helpers/store.ts';

/** What one feed says; its title stands for the source unless a source is named. */
type Word = Partial<Omit<Observation, 'source'>> & { by: FeedDefinition; source?: string };

function together(words: Word[], policy: Partial<JournalPolicy> = {}, now = START): MergeResult {
  const observations = words.map(({ by, source, ...rest }): FeedObservation => {
    return { feed: by.name, observation: observation({ ...rest, source: { feed_name: source ?? by.title } }) };
  });
  const feeds = new Map(words.map(({ by }) => [by.name, { definition: by, confirmedAt: null, unreadSince: null }]));
  const publishers = publishersOf(words.map(({ by }) => by));
  return merge(observations, { definition: journal(policy), feeds, publishers, suppressors: [] }, now);
}

function merged(...words: Word[]) {
  const result = together(words);
  if (result.merged === null) throw new Error(`nothing is left: ${result.leftOut.map(({ reason }) => reason)}`);
  return result.merged;
}

/** Nothing is left, for these reasons. */
const nothing = (...reasons: string[]) => ({
  merged: null,
  leftOut: reasons.map((reason, n) => ({ feed: `f${n}`, reason })),
});

const feeds = (count: number): FeedDefinition[] => Array.from({ length: count }, (_, n) => feed(`f${n}`));
/** As many feeds as there are confidences, each a publisher of its own. */
const confident = (...confidences: (number | null)[]) =>
  merged(...feeds(confidences.length).map((by, n): Word => ({ by, confidence: confidences[n] ?? null }))).confidence;

t.test('each further publisher adds five to the best confidence, up to 95, and takes nothing away', (t) => {
  for (const [confidences, expected] of [
    [[60], 60],
    [[60, 40], 65],
    [[40, 60], 65],
    [[60, 60, 60], 70],
    [[89, 10], 94],
    [[90, 10], 95],
    [[91, 10], 95],
    [[95, 10], 95],
    [[96, 96], 96],
    [[100, 100, 100], 100],
    [[100], 100],
    [[0, 0], 5],
    [[50, null], 55],
    [[null, 50], 55],
    [[null, null], null],
    [Array.from({ length: 30 }, () => 10), 95],
  ] as const) {
    t.equal(confident(...confidences), expected, JSON.stringify(confidences));
  }
  t.end();
});

t.test('a feed’s own confidence counts for rows that say none, in the order of the sources as well', (t) => {
  const [low, high] = [feed('low', { confidence: 20 }), feed('high', { confidence: 70 })];
  const both = merged({ by: low, confidence: null }, { by: high, confidence: null });
  t.equal(both.confidence, 75);
  t.match(both.claims, [
    { feed: 'high', confidence: 70 },
    { feed: 'low', confidence: 20 },
  ]);
  t.equal(merged({ by: low, confidence: null }).confidence, 20);
  t.end();
});

t.test('one publisher under several names counts once, whoever names it', (t) => {
  const urlhaus = feed('abuse', { title: 'URLhaus' });
  const aggregator = feed('aggregator', { title: 'Aggregator' });
  const other = feed('other', { title: 'Other' });
  const count = (...words: Word[]): number => {
    const { publishers, confidence } = merged(...words.map((word) => ({ ...word, confidence: 50 })));
    t.equal(confidence, 50 + 5 * (publishers - 1), 'for the confidence as well');
    return publishers;
  };
  for (const source of ['URLhaus', 'urlhaus', 'URL haus', ' Url-Haus! ', 'ＵＲＬｈａｕｓ', 'abuse']) {
    t.equal(count({ by: urlhaus }, { by: aggregator, source }), 1, source);
    t.equal(count({ by: aggregator, source }, { by: urlhaus }), 1, `${source}, the other way round`);
    t.equal(count({ by: aggregator, source }, { by: other, source: 'URLhaus' }, { by: urlhaus }), 1);
  }
  t.equal(count({ by: urlhaus }, { by: aggregator }), 2);
  t.equal(count({ by: urlhaus }, { by: aggregator, source: 'ThreatFox' }), 2);
  t.equal(count({ by: aggregator, source: 'ThreatFox' }, { by: other, source: 'threatfox' }), 1);
  t.equal(count({ by: aggregator, source: 'ThreatFox' }, { by: other, source: 'ThreatFox 2' }), 2);
  t.equal(
    count({ by: aggregator, source: '!!' }, { by: other, source: '??' }),
    2,
    'a name without a letter is one too',
  );
  t.equal(count({ by: aggregator, source: 'Кибер' }, { by: other, source: 'кибер' }), 1, 'in any script');
  t.equal(count({ by: aggregator, source: 'Кибер' }, { by: other, source: '脅威' }), 2);

  const named = feed('URLhaus', { title: 'A list' });
  t.equal(count({ by: named }, { by: aggregator, source: 'urlhaus' }), 1, 'by the name that the file gives it');
  const preset = feed('x', { title: 'Our copy', aliases: ['urlhaus-csv', 'URLhaus'] });
  t.equal(count({ by: preset }, { by: aggregator, source: 'URLhaus' }), 1, 'by its preset');
  t.equal(count({ by: named }, { by: preset }, { by: urlhaus }), 1);
  t.equal(count({ by: feed('a', { title: 'Same' }) }, { by: feed('b', { title: 'same' }) }), 1, 'feeds of one title');
  t.end();
});

t.test('names that share a publisher by way of a third feed are one, in whatever order they stand', (t) => {
  const named = (name: string, title: string) => ({ name, title, aliases: [] });
  const chain = [named('a', 'One'), named('b', 'Two'), named('one', 'Two'), named('c', 'Three')];
  for (const order of [chain, chain.toReversed(), [chain[2], chain[0], chain[3], chain[1]]]) {
    const { keyOf } = publishersOf(order as typeof chain);
    t.equal(new Set(['a', 'One', 'b', 'TWO'].map(keyOf)).size, 1);
    t.equal(new Set(['a', 'c', 'x'].map(keyOf)).size, 3);
    t.equal(keyOf('c'), keyOf('three'));
  }
  t.end();
});

t.test('what a feed republishes it is no further publisher of, as long as one of those says it', (t) => {
  const urlhaus = feed('abuse', { title: 'URLhaus', aliases: ['urlhaus-csv'] });
  const threatfox = feed('fox', { title: 'ThreatFox' });
  const copy = feed('copy', { title: 'Copy', republishes: ['URL haus', 'fox'] });
  const other = feed('other', { title: 'Other' });
  const count = (...words: Word[]): number => {
    const publishers = publishersOf([urlhaus, threatfox, copy, other]);
    return publishers.countOf(words.map(({ by, source }) => source ?? by.title));
  };
  t.equal(count({ by: copy }, { by: urlhaus }), 1);
  t.equal(count({ by: urlhaus }, { by: copy }), 1, 'in any order');
  t.equal(count({ by: copy }, { by: other, source: 'urlhaus-csv' }), 1, 'whoever names the source');
  t.equal(count({ by: copy }), 1, 'nobody else says it any more');
  t.equal(count({ by: copy }, { by: other }), 2, 'it is no copy of this one');
  t.equal(
    count({ by: copy }, { by: urlhaus }, { by: threatfox }),
    2,
    'a copy makes its sources no copies of each other',
  );
  t.equal(count({ by: copy, source: 'A third' }, { by: urlhaus }), 2, 'the row says itself whose it is');
  t.equal(count({ by: other, source: 'copy' }, { by: urlhaus }), 1, 'a copy of a copy');
  const both = together([
    { by: copy, confidence: 50 },
    { by: urlhaus, confidence: 50 },
  ]);
  t.equal(both.merged?.publishers, 1);
  t.equal(both.merged?.confidence, 50, 'and adds no confidence');
  t.equal(both.merged?.claims.length, 2, 'both are named');
  t.end();
});

t.test('publishers are counted as the definition says, whoever republishes whom', (t) => {
  const size = 6;
  const edges = fc.uniqueArray(fc.tuple(fc.nat(size - 1), fc.nat(size - 1)), { maxLength: 12, selector: String });
  const saying = fc.uniqueArray(fc.nat(size - 1), { minLength: 1 });
  const property = fc.property(edges, saying, fc.boolean(), (arrows, said, isReversed) => {
    const defined = Array.from({ length: size }, (_, n) => {
      const republishes = arrows.filter(([from]) => from === n).map(([, to]) => `p${to}`);
      return { name: `p${n}`, title: `p${n}`, aliases: [], republishes };
    });
    // By the definition: who passes on whom, through how many hands so ever (Warshall's closure).
    const passes = Array.from({ length: size }, (_, a) =>
      Array.from({ length: size }, (_, b) => arrows.some(([from, to]) => from === a && to === b)),
    );
    const from = (a: number, b: number): boolean => passes[a]?.[b] === true;
    for (let via = 0; via < size; via += 1)
      for (let a = 0; a < size; a += 1)
        for (let b = 0; b < size; b += 1) if (from(a, via) && from(via, b)) (passes[a] as boolean[])[b] = true;
    // Those who republish each other are one: each such circle counts unless one of it passes on somebody outside who says it.
    const circles = new Set(
      said.map((a) =>
        said
          .filter((b) => a === b || (from(a, b) && from(b, a)))
          .sort()
          .join(),
      ),
    );
    const counted = [...circles].filter((circle) => {
      const members = circle.split(',').map(Number);
      return !said.some((b) => !members.includes(b) && members.some((a) => from(a, b)));
    });
    const publishers = publishersOf(isReversed ? defined.toReversed() : defined);
    return publishers.countOf(said.flatMap((n) => [`p${n}`, `P ${n}`])) === counted.length;
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 1000 }));
  t.end();
});

t.test('what is left out says why', (t) => {
  const [one] = feeds(1) as [FeedDefinition];
  const expired = { by: one, validUntil: START - 1 };
  t.strictSame(together([{ by: one, tlp: 'red' }]), nothing('above-ceiling'));
  t.strictSame(together([{ by: one, revoked: true }]), nothing('revoked'));
  t.strictSame(together([{ by: one, revoked: true, tlp: 'red' }]), nothing('above-ceiling'), 'and is told no more');
  t.strictSame(together([expired]), nothing('expired'));
  t.strictSame(together([]), nothing());
  const gone = [{ feed: 'gone', observation: observation() }];
  const empty = { suppressors: [], definition: journal(), feeds: new Map(), publishers: publishersOf([]) };
  t.strictSame(merge(gone, empty, START), nothing(), 'who is not in the pool has no part in it');
  t.end();
});

t.test('of two feeds, one that expires takes only its own observation with it', (t) => {
  const [one, two] = feeds(2) as [FeedDefinition, FeedDefinition];
  const kept = { by: two, confidence: 40, labels: ['kept'] };
  for (const gone of [
    { by: one, revoked: true },
    { by: one, validUntil: START },
    { by: one, tlp: 'red' },
  ] satisfies Word[]) {
    for (const words of [
      [gone, kept],
      [kept, gone],
    ]) {
      t.match(merged(...words), { publishers: 1, confidence: 40, labels: ['kept'], claims: [{ feed: 'f1' }] });
    }
  }
  t.strictSame(
    together([
      { by: one, revoked: true },
      { by: two, revoked: true },
    ]),
    nothing('revoked', 'revoked'),
  );
  t.end();
});

t.test('an end that is reached has passed, one that lies ahead has not', (t) => {
  const [one] = feeds(1) as [FeedDefinition];
  t.match(together([{ by: one, validUntil: START + 1 }]), { merged: { validUntil: START + 1 } });
  t.strictSame(together([{ by: one, validUntil: START }]), nothing('expired'));
  t.end();
});

t.test('several feeds say together: the widest times, the strictest mark, the strongest words', (t) => {
  const [one, two, three] = feeds(3) as [FeedDefinition, FeedDefinition, FeedDefinition];
  const day = (n: number) => START + n * MICROS_PER_DAY;
  const words: Word[] = [
    {
      by: one,
      confidence: 30,
      tlp: 'amber',
      firstSeen: day(-9),
      lastSeen: day(-5),
      validFrom: day(-7),
      validUntil: day(3),
      name: 'weak',
      description: 'weak',
      labels: ['b', 'a'],
      techniques: ['T1566'],
      references: [{ source_name: 'Vendor', url: 'https://vendor.example/1' }],
    },
    {
      by: two,
      confidence: 80,
      tlp: 'clear',
      firstSeen: day(-3),
      lastSeen: day(-1),
      validFrom: null,
      validUntil: day(2),
      name: null,
      description: 'strong',
      labels: ['c', 'a'],
      sourceId: 'row-7',
      references: [
        { source_name: 'vendor', url: 'https://vendor.example/1' },
        { source_name: 'Vendor', url: 'https://vendor.example/2' },
      ],
    },
    {
      by: three,
      confidence: null,
      firstSeen: day(-4),
      lastSeen: null,
      validFrom: day(-8),
      validUntil: day(1),
      labels: [],
    },
  ];
  for (const order of [words, words.toReversed(), [words[1], words[0], words[2]] as Word[]]) {
    const all = merged(...order);
    t.match(all, {
      publishers: 3,
      confidence: 90,
      tlp: 'amber',
      firstSeen: day(-9),
      lastSeen: day(-1),
      validFrom: day(-8),
      validUntil: day(3),
      name: 'weak',
      description: 'strong',
    });
    t.strictSame(all.labels, ['a', 'b', 'c']);
    t.strictSame(
      all.claims.map((claim) => [claim.feed, claim.confidence, claim.id, claim.first_seen, claim.last_seen]),
      [
        ['f1', 80, 'row-7', formatMillis(day(-3)), formatMillis(day(-1))],
        ['f0', 30, undefined, formatMillis(day(-9)), formatMillis(day(-5))],
        ['f2', undefined, undefined, formatMillis(day(-4)), undefined],
      ],
    );
    t.strictSame(
      all.claims.map((claim) => claim.techniques),
      [undefined, ['T1566'], undefined],
    );
    t.strictSame(
      all.references,
      [
        { source_name: 'Feed f1', external_id: 'row-7' },
        { source_name: 'vendor', url: 'https://vendor.example/1' },
        { source_name: 'Vendor', url: 'https://vendor.example/2' },
        { source_name: 'mitre-attack', url: 'https://attack.mitre.org/techniques/T1566/', external_id: 'T1566' },
      ],
      'nothing twice, however a source is spelt',
    );
  }
  t.end();
});

t.test('an end counts only where every source has one; equals stand in the order of their names', (t) => {
  const [one, two] = feeds(2) as [FeedDefinition, FeedDefinition];
  const ends = { by: one, confidence: 50, validUntil: START + 5 };
  t.equal(merged(ends, { by: two, confidence: 50 }).validUntil, null);
  for (const words of [
    [ends, { by: two, confidence: 50 }],
    [{ by: two, confidence: 50 }, ends],
  ]) {
    t.match(merged(...words).claims, [{ feed: 'f0' }, { feed: 'f1' }]);
  }
  const [silent, doubtful] = [
    { by: one, confidence: null, validUntil: START + 5 },
    { by: two, confidence: 0 },
  ];
  for (const words of [
    [silent, doubtful],
    [doubtful, silent],
  ]) {
    const { claims, name, description } = merged(...words);
    t.match(claims, [{ feed: 'f1' }, { feed: 'f0' }], 'to say zero is more than to say nothing');
    t.strictSame([name, description], [null, null]);
  }
  t.equal(
    merged(ends, { by: two, validUntil: START + 7 }, { by: feed('f2'), validUntil: START + 6 }).validUntil,
    START + 7,
  );
  t.end();
});

t.test('what one feed says is merged whole, and changes when it expires', (t) => {
  const [one] = feeds(1) as [FeedDefinition];
  const vendor = { source_name: 'Vendor', url: 'https://vendor.example/1' };
  const told = merged({ by: one, sourceId: 'row-7', references: [vendor], firstSeen: null, validUntil: START + 5 });
  t.strictSame(told.references, [{ source_name: 'Feed f0', external_id: 'row-7' }, vendor]);
  t.strictSame(told.claims, [
    { feed: 'f0', feed_name: 'Feed f0', id: 'row-7', confidence: 80, last_seen: formatMillis(START) },
  ]);
  t.equal(told.changesAt, START + 5);
  t.equal(merged({ by: one }).changesAt, null);
  t.end();
});

t.test('what several feeds say changes when the first of them ends', (t) => {
  const [one, two, three] = feeds(3) as [FeedDefinition, FeedDefinition, FeedDefinition];
  const said = [{ by: one, validUntil: START + 7 }, { by: two }, { by: three, validUntil: START + 5 }];
  for (const words of [said, said.toReversed()]) t.equal(merged(...words).changesAt, START + 5);
  t.equal(merged({ by: one }, { by: two }).changesAt, null);
  const described = [
    { by: one, confidence: 80, description: null },
    { by: two, confidence: 10, description: 'weak' },
  ];
  t.equal(merged(...described).description, 'weak', 'the strongest who describes it');
  t.end();
});

t.test('feeds whose lifetime for it is over, or held, are named for their next good poll', (t) => {
  const by = feed('old', { lifetime: { default: 3_600_000 } });
  const lapsedOf = (said: Partial<Observation>, unreadSince: Micros | null = null): string[] => {
    const lapsed = new Set<string>();
    const view = { definition: by, confirmedAt: null, unreadSince };
    const around = {
      suppressors: [],
      definition: journal(),
      feeds: new Map([[by.name, view]]),
      publishers: publishersOf([by]),
    };
    merge([{ feed: by.name, observation: observation(said) }], around, START, lapsed);
    return [...lapsed];
  };
  const old = { lastSeen: START - MICROS_PER_DAY };
  t.strictSame(lapsedOf(old), ['old'], 'it has expired');
  t.strictSame(lapsedOf(old, START - MICROS_PER_DAY), ['old'], 'it is held while the feed cannot be read');
  t.strictSame(lapsedOf({}), [], 'it lasts');
  t.strictSame(lapsedOf({ ...old, revoked: true }), [], 'a poll would not bring it back');
  t.strictSame(lapsedOf({ ...old, tlp: 'red' }), []);
  t.end();
});

t.test('what is said of networks over an address names them, behind what is said of itself', (t) => {
  const [one] = feeds(1) as [FeedDefinition];
  const networks = ['10.0.0.0/25', '10.0.0.0/24', undefined, '10.0.0.0/26'];
  const around = {
    suppressors: [],
    definition: journal(),
    feeds: new Map([[one.name, { definition: one, confirmedAt: null, unreadSince: null }]]),
    publishers: publishersOf([one]),
  };
  const said = (more: Partial<Observation>) =>
    networks.map((network): FeedObservation => {
      return { feed: one.name, observation: observation(more), ...(network === undefined ? {} : { network }) };
    });
  t.strictSame(
    merge(said({}), around, START).merged?.claims.map((claim) => ['network' in claim, claim.network]),
    [
      [false, undefined],
      [true, '10.0.0.0/24'],
      [true, '10.0.0.0/25'],
      [true, '10.0.0.0/26'],
    ],
  );
  t.strictSame(
    merge(said({ revoked: true }), around, START).leftOut,
    networks.map((network) => ({ feed: 'f0', reason: 'revoked', ...(network === undefined ? {} : { network }) })),
  );
  t.end();
});

t.test('what only STIX has is kept while one feed says it; statements are kept for all', (t) => {
  const [one, two] = feeds(2) as [FeedDefinition, FeedDefinition];
  const marked = (id: string) => ({ object_marking_refs: [`marking-definition--${id}`], lang: 'en' });
  t.strictSame(merged({ by: one, kept: marked('a') }).kept, marked('a'));
  t.equal(merged({ by: one }).kept, null);
  const unsorted = { object_marking_refs: ['marking-definition--b', 'marking-definition--a'] };
  t.strictSame(merged({ by: one, kept: unsorted }).kept, {
    object_marking_refs: ['marking-definition--a', 'marking-definition--b'],
  });
  t.strictSame(merged({ by: one, kept: marked('b') }, { by: two, kept: marked('a') }).kept, {
    object_marking_refs: ['marking-definition--a', 'marking-definition--b'],
  });
  t.end();
});

t.test('a policy’s bounds are met by what reaches them', (t) => {
  const [one] = feeds(1) as [FeedDefinition];
  t.match(together([{ by: one, tlp: 'amber' }], { tlp: 'amber' }), { merged: { tlp: 'amber' } });
  t.strictSame(together([{ by: one, tlp: 'amber+strict' }], { tlp: 'amber' }), nothing('above-ceiling'));
  const green = feed('green', { tlp: 'green' });
  t.match(together([{ by: green, tlp: null }], { tlp: 'green' }), { merged: { tlp: 'green' } });
  t.strictSame(together([{ by: green, tlp: null }], { tlp: 'clear' }), {
    merged: null,
    leftOut: [{ feed: 'green', reason: 'above-ceiling' }],
  });
  t.end();
});
