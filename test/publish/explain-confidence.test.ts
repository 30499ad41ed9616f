import fc from 'fast-check';
import t from 'tap';
import { MICROS_PER_DAY } from '../../src/model/clock.ts';
import type { FeedDefinition, JournalPolicy } from '../../src/model/definition.ts';
import type { Observation } from '../../src/model/observation.ts';
import { explainConfidence } from '../../src/publish/explain-confidence.ts';
import { merge } from '../../src/publish/merge.ts';
import { publishersOf } from '../../src/publish/publisher.ts';
import { feed, journal } from '../helpers/journals.ts';
import { observation, START } from '../helpers/store.ts';

interface Word {
  by: FeedDefinition;
  confidence: number | null;
  source?: string;
  more?: Partial<Observation>;
}

const explained = (...words: Word[]) => explainedIn({}, ...words);

function explainedIn(policy: Partial<JournalPolicy>, ...words: Word[]) {
  const feeds = words.map(({ by }) => by);
  const context = {
    definition: journal(policy),
    feeds: new Map(feeds.map((by) => [by.name, { definition: by, confirmedAt: null, unreadSince: null }])),
    publishers: publishersOf(new Set(feeds)),
    suppressors: [],
  };
  const said = words.map(({ by, confidence, source, more }) => {
    return {
      feed: by.name,
      observation: observation({ confidence, source: { feed_name: source ?? by.title }, ...more }),
    };
  });
  return { explanation: explainConfidence(said, context, START), ...merge(said, context, START) };
}

const inputs = (...words: Word[]) =>
  explained(...words).explanation.inputs.map(({ publisher, confidence, standing, of, added }) => {
    return [publisher, confidence, standing, of, added];
  });

const [one, two, three] = [
  feed('one', { title: 'One' }),
  feed('two', { title: 'Two' }),
  feed('three', { title: 'Three' }),
];
const copy = feed('copy', { title: 'Copy', republishes: ['One'] });

t.test('the surest gives its confidence, and each further publisher what it adds', (t) => {
  t.strictSame(inputs({ by: one, confidence: 60 }, { by: two, confidence: 85 }, { by: three, confidence: null }), [
    ['Two', 85, 'independent', null, 85],
    ['One', 60, 'independent', null, 5],
    ['Three', null, 'independent', null, 5],
  ]);
  t.strictSame(
    inputs({ by: one, confidence: 93 }, { by: two, confidence: 93 }, { by: three, confidence: 10 }).map(
      (row) => row[4],
    ),
    [93, 2, 0],
    'up to the cap',
  );
  t.strictSame(
    inputs({ by: one, confidence: null }, { by: two, confidence: null }).map((row) => row[4]),
    [0, 0],
  );
  t.end();
});

t.test('who repeats another is named with whom it repeats', (t) => {
  t.strictSame(
    inputs({ by: one, confidence: 50 }, { by: copy, confidence: 40 }, { by: two, confidence: 30, source: 'ONE' }),
    [
      ['One', 50, 'independent', null, 50],
      ['Copy', 40, 'copy', 'One', 0],
      ['ONE', 30, 'same publisher', 'One', 0],
    ],
  );
  t.strictSame(
    inputs({ by: one, confidence: 50 }, { by: copy, confidence: 90 }, { by: two, confidence: 30 }),
    [
      ['Copy', 90, 'copy', 'One', 90],
      ['One', 50, 'independent', null, 0],
      ['Two', 30, 'independent', null, 5],
    ],
    'a copy that is surer speaks for its source',
  );
  t.strictSame(inputs({ by: copy, confidence: 90 }), [['Copy', 90, 'independent', null, 90]]);
  t.end();
});

t.test('a feed counts as far as it is trusted, and keeps what it said', (t) => {
  const half = feed('half', { title: 'Half', trust: 0.5 });
  const not = feed('not', { title: 'Not', trust: 0 });
  const { explanation, merged } = explained(
    { by: half, confidence: 85 },
    { by: one, confidence: 60 },
    { by: not, confidence: 100 },
  );
  t.match(explanation, {
    confidence: 65,
    publishers: 2,
    inputs: [
      { feed: 'one', said: 60, trust: 1, confidence: 60, standing: 'independent', added: 60 },
      { feed: 'half', said: 85, trust: 0.5, confidence: 43, standing: 'independent', added: 5 },
      { feed: 'not', said: 100, trust: 0, confidence: null, standing: 'not trusted', of: null, added: 0 },
    ],
  });
  t.strictSame(
    merged?.claims.map(({ feed, confidence }) => [feed, confidence]),
    [
      ['one', 60],
      ['half', 85],
      ['not', 100],
    ],
  );
  t.match(explained({ by: not, confidence: 100 }).explanation, { confidence: null, publishers: 0 });
  t.end();
});

t.test('a score says what decay has left', (t) => {
  const decays = { lifetime: { default: 864_000_000 }, decay: { speed: { default: 1 }, threshold: 0 } };
  const old = { lastSeen: START - 5 * MICROS_PER_DAY };
  const words = [
    { by: feed('aged', { title: 'Aged', ...decays }), confidence: 80, more: old },
    { by: one, confidence: 30, more: old },
  ];
  const { explanation } = explained(...words);
  t.match(explanation, {
    confidence: 85,
    score: 45,
    inputs: [
      { confidence: 80, score: 40 },
      { confidence: 30, score: 30 },
    ],
  });
  t.end();
});

t.test('the explanation is that of the confidence that merging gives, whoever says it', (t) => {
  const names = ['a', 'b', 'c', 'd', 'e'];
  const one = fc.record({
    name: fc.constantFrom(...names),
    title: fc.constantFrom('A', 'B', 'C', 'D', 'E'),
    republishes: fc.option(fc.subarray(['a', 'b', 'c', 'd', 'e'], { minLength: 1 }), { freq: 1 }),
    trust: fc.option(fc.constantFrom(0, 0.3, 0.5, 1), { freq: 1 }),
    confidence: fc.option(fc.nat(100), { freq: 6 }),
    own: fc.option(fc.nat(100), { freq: 3 }),
    source: fc.option(fc.constantFrom('a', 'B', 'x', 'Y'), { freq: 1 }),
  });
  const some = fc.uniqueArray(one, { minLength: 1, maxLength: 5, selector: ({ name }) => name });
  const property = fc.property(some, (said) => {
    const { explanation, merged } = explained(
      ...said.map(({ name, title, republishes, trust, confidence, own, source }): Word => {
        const by = feed(name, {
          title,
          confidence: own,
          ...(republishes === null ? {} : { republishes }),
          ...(trust === null ? {} : { trust }),
        });
        return { by, confidence, ...(source === null ? {} : { source }) };
      }),
    );
    const { confidence, publishers, inputs } = explanation;
    if (confidence !== merged?.confidence || publishers !== merged.publishers) return false;
    if (inputs.length !== said.length || inputs.some(({ added }) => added < 0)) return false;
    if (inputs.some(({ standing, of }) => (of === null) === (standing === 'copy' || standing === 'same publisher'))) {
      return false;
    }
    if (
      merged.claims.some(
        (claim, i) => claim.feed !== inputs[i]?.feed || claim.confidence !== (inputs[i]?.said ?? undefined),
      )
    ) {
      return false;
    }
    return inputs.reduce((sum, { added }) => sum + added, 0) === (confidence ?? 0);
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 5000 }));
  t.end();
});

t.test('the example of docs/curation.md', (t) => {
  const day = 86_400_000;
  const urlhaus = feed('urlhaus', {
    title: 'URLhaus',
    lifetime: { url: 60 * day },
    decay: { speed: { default: 1 }, threshold: 0 },
  });
  const words = [
    { by: urlhaus, confidence: 75 },
    { by: feed('bundle', { republishes: ['urlhaus'], trust: 0.5 }), confidence: 90 },
    { by: feed('house', { confidence: 60, lifetime: { default: 365 * day } }), confidence: null },
    { by: feed('rumours', { confidence: 100, trust: 0 }), confidence: null },
  ].map((word) => ({ ...word, more: { observable: { type: 'url' as const, value: 'http://bad.example/x' } } }));
  const { explanation, merged } = explainedIn({ minConfidence: 70, minSources: 2 }, ...words);
  t.match(explanation, { confidence: 80, publishers: 2 });
  t.strictSame(
    explanation.inputs.map(({ feed, said, confidence, added, standing }) => [feed, said, confidence, added, standing]),
    [
      ['urlhaus', 75, 75, 75, 'independent'],
      ['house', 60, 60, 5, 'independent'],
      ['bundle', 90, 45, 0, 'copy'],
      ['rumours', 100, null, 0, 'not trusted'],
    ],
  );
  t.equal(merged?.validUntil, START + 8 * MICROS_PER_DAY);
  t.end();
});
