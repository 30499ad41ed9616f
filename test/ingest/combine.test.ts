import t from 'tap';
import { combineRows } from '../../src/ingest/combine.ts';
import { MICROS_PER_DAY } from '../../src/model/clock.ts';
import type { Observation } from '../../src/model/observation.ts';
import { MAX_LABELS, MAX_REFERENCES } from '../../src/normalise/property.ts';
import { observation, START, uuidOf } from '../helpers/store.ts';

const feed = { confidence: 50, tlp: 'amber' } as const;
const plain = { confidence: null, tlp: null, firstSeen: null, lastSeen: null, labels: [] };
const day = (n: number) => START + n * MICROS_PER_DAY;

/** What one feed says whose pull holds these rows on one observable, in this order and in the other. */
function both(a: Partial<Observation>, b: Partial<Observation>, check: (one: Observation, order: string) => void) {
  for (const [order, rows] of Object.entries({ 'a b': [a, b], 'b a': [b, a] })) {
    const combined = [
      ...combineRows(
        rows.map((row) => observation({ ...plain, ...row })),
        feed,
      ).values(),
    ];
    if (combined.length !== 1) throw new Error(`${combined.length} observations`);
    check(combined[0] as Observation, order);
  }
}

t.test('of two rows on one observable one that is revoked ends itself only', async (t) => {
  both({ revoked: true }, {}, ({ revoked }, order) => t.equal(revoked, false, order));
  both({ revoked: true }, { revoked: true }, ({ revoked }, order) => t.equal(revoked, true, order));
});

t.test(
  'rows with one id are versions of a row: the newer stands whole, of equals the one that came last',
  async (t) => {
    const [older, newer] = [
      { sourceId: 'x', lastSeen: day(1), confidence: 90, labels: ['old'] },
      { sourceId: 'x', lastSeen: day(2), confidence: 10, labels: ['new'], revoked: true },
    ];
    both(older, newer, (one, order) => t.match(one, { revoked: true, confidence: 10, labels: ['new'] }, order));
    both({ ...older, lastSeen: null }, newer, (one, order) => t.match(one, { revoked: true }, order));
    const rows = [older, { ...newer, lastSeen: day(1) }].map((row) => observation({ ...plain, ...row }));
    t.match([...combineRows(rows, feed).values()], [{ revoked: true }]);
    t.match([...combineRows(rows.toReversed(), feed).values()], [{ revoked: false, confidence: 90 }]);
    both({ revoked: true, lastSeen: day(2) }, { lastSeen: day(1) }, ({ revoked }) => t.equal(revoked, false, 'no ids'));
  },
);

t.test('the stronger row says what only one can say; what it leaves open the weaker says', async (t) => {
  const strong = { confidence: 51, name: 'strong', description: null, sourceId: 'b', kept: { lang: 'en' } };
  const weak = { name: 'weak', description: 'weak', sourceId: 'a', kept: { lang: 'de' } };
  both(strong, weak, (one, order) => {
    t.match(one, { confidence: 51, name: 'strong', description: 'weak', sourceId: 'b', kept: { lang: 'en' } }, order);
  });
  // A row without a confidence has its feed's.
  both({ ...strong, confidence: 49 }, weak, (one, order) => t.match(one, { name: 'weak', confidence: null }, order));
  both({ ...strong, kept: null }, weak, ({ kept }) => t.strictSame(kept, { lang: 'de' }));
  both({ ...strong, name: null }, weak, ({ name }) => t.equal(name, 'weak'));
  both({ ...strong, name: null }, { ...weak, name: null }, ({ name }) => t.equal(name, null));
});

t.test('of equally strong rows it is the same one whatever their order', async (t) => {
  both({ sourceId: 'b', name: 'b' }, { sourceId: 'a', name: 'a' }, ({ name }, order) => t.equal(name, 'a', order));
  both({ sourceId: 'b', confidence: 50, name: 'b' }, { sourceId: 'a', name: 'a' }, ({ name }, order) => {
    t.equal(name, 'a', `the feed's own confidence is equal as well, ${order}`);
  });
  const [first] = combineRows([observation({ name: 'first' }), observation({ name: 'then' })], feed).values();
  t.equal(first?.name, 'first', 'without ids the one that came first');
  const unsure = { confidence: null, tlp: 'amber' } as const;
  const rows = [observation({ confidence: null, name: 'silent' }), observation({ confidence: 0, name: 'zero' })];
  for (const order of [rows, rows.toReversed()]) {
    t.equal([...combineRows(order, unsure).values()][0]?.name, 'zero', 'to say zero is more than to say nothing');
  }
});

t.test('times are the widest that the rows say, and an end counts only where all have one', async (t) => {
  const early = { firstSeen: day(1), lastSeen: day(2), validFrom: day(3), validUntil: day(10) };
  const late = { firstSeen: day(4), lastSeen: day(5), validFrom: day(6), validUntil: day(20) };
  both(early, late, (one, order) => {
    t.match(one, { firstSeen: day(1), lastSeen: day(5), validFrom: day(3), validUntil: day(20) }, order);
  });
  both(early, {}, (one, order) => {
    t.strictSame([one.firstSeen, one.lastSeen, one.validFrom, one.validUntil], [day(1), day(2), day(3), null], order);
  });
});

t.test('the stricter mark holds, the feed’s own for a row without one', async (t) => {
  both({ tlp: 'green' }, { tlp: 'red' }, ({ tlp }, order) => t.equal(tlp, 'red', order));
  both({ tlp: 'green' }, { tlp: null }, ({ tlp }, order) => t.equal(tlp, 'amber', order));
  both({ tlp: null }, { tlp: null }, ({ tlp }, order) => t.equal(tlp, null, `what the feed says may change, ${order}`));
});

t.test('lists are united, each member once, and bounded the same way in any order', async (t) => {
  const reference = (n: number) => ({ source_name: 's', external_id: `e${String(n).padStart(3, '0')}` });
  both(
    { labels: ['b', 'a'], techniques: ['T2', 'T1'], references: [reference(1), reference(2)] },
    {
      labels: ['c', 'a'],
      techniques: ['T1'],
      references: [reference(2), { ...reference(2), url: 'https://x.example/' }],
    },
    (one, order) => {
      t.strictSame(
        [one.labels, one.techniques],
        [
          ['a', 'b', 'c'],
          ['T1', 'T2'],
        ],
        order,
      );
      t.equal(one.references.length, 3, order);
    },
  );
  const many = (from: number, count: number) => ({
    labels: Array.from({ length: count }, (_, i) => `l${String(from + i).padStart(3, '0')}`),
    references: Array.from({ length: count }, (_, i) => reference(from + i)),
  });
  const [full, more] = [many(0, MAX_LABELS), many(MAX_LABELS, 3)];
  both({ ...more, references: [] }, { ...full, references: [] }, ({ labels }, order) =>
    t.strictSame(labels, full.labels, order),
  );
  const links = many(0, MAX_REFERENCES).references;
  both({ references: links }, { references: [reference(900)] }, ({ references }, order) =>
    t.strictSame(references, links, order),
  );
  both({ references: links.slice(1) }, { references: links.slice(0, 1) }, ({ references }) =>
    t.equal(references.length, MAX_REFERENCES),
  );
  const ordered = links.toReversed();
  both({ references: ordered }, { references: ordered }, ({ references }) =>
    t.strictSame(references, ordered, 'in their own order up to the bound'),
  );
});

t.test('statement markings of every row stay', async (t) => {
  const marked = (id: string) => ({ kept: { object_marking_refs: [`marking-definition--${uuidOf(id)}`] } });
  both({ ...marked('a'), confidence: 90 }, marked('b'), ({ kept }, order) => {
    t.strictSame(
      kept?.['object_marking_refs'],
      ['a', 'b'].map((id) => `marking-definition--${uuidOf(id)}`).sort(),
      order,
    );
  });
});

t.test('rows on different observables stay apart', async (t) => {
  const combined = combineRows([observation(), observation({ value: 'b.example' }), observation()], feed);
  t.strictSame(
    [...combined.values()].map(({ observable }) => observable.value),
    ['a.example', 'b.example'],
  );
});

t.test('of more objects than are kept apart, the latest end counts, whatever their order', async (t) => {
  // The later by their ids end later: those that are not told apart have the last ends.
  const objects = Array.from({ length: 40 }, (_, n) =>
    observation({
      ...plain,
      sourceId: `indicator--0000${1000 + n}-0000-4000-8000-000000000000`,
      validUntil: day(n),
      reportedAt: START + n,
    }),
  );
  const endless = { ...(objects[30] as Observation), validUntil: null };
  for (const order of [objects, objects.toReversed()]) {
    const [one] = combineRows(order, feed).values();
    t.equal(one?.others.length, 15);
    t.match(one?.others.at(-1), { validUntil: day(39), reportedAt: START + 39 });
    const [other] = combineRows(
      order.map((one) => (one === objects[30] ? endless : one)),
      feed,
    ).values();
    t.match(other?.others.at(-1), { validUntil: null });
  }
});
