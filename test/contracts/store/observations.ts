import type { Test } from 'tap';
import { observableTypes } from '../../../src/model/observable.ts';
import type { Observation, StixObject } from '../../../src/model/observation.ts';
import type { StoreEngine } from '../../../src/store/engine.ts';
import type { Transaction } from '../../../src/store/store.ts';
import { scriptedClock } from '../../helpers/clock.ts';
import { observation, openTemporaryStore, START, stixObject, storeIn, uuidOf } from '../../helpers/store.ts';

export async function proveObservations(t: Test, engine: StoreEngine): Promise<void> {
  const open = (t: Test) => openTemporaryStore(t, scriptedClock(START), engine);
  const named = (...values: string[]) => values.map((value) => observation({ value }));
  const keysOf = (observations: readonly Observation[]) => observations.map(({ key }) => key);

  t.test('what a feed says is found by each of the objects that say it, and by no other', async (t) => {
    const { writer } = await open(t);
    // Alike in what an index may go by: the end of their UUIDs.
    const [a, b, c] = ['1', '2', '3'].map((n) => `indicator--0000000${n}-0000-4000-8000-000000000001`) as [
      string,
      string,
      string,
    ];
    const others = [{ id: b, version: START, validUntil: START + 9, reportedAt: START + 2 }];
    const [first, second, row] = [
      observation({ value: 'a.example', sourceId: a, version: START + 1, others }),
      observation({ value: 'b.example', sourceId: a, version: null }),
      observation({ value: 'c.example', sourceId: 'a row' }),
    ];
    await writer.transaction(async (tx) => {
      await tx.observe(await writer.beginPull('one'), [first, second, row]);
      await tx.observe(await writer.beginPull('two'), [observation({ value: 'd.example', sourceId: a })]);
    });
    const found = (ids: string[]) =>
      writer.transaction(async (tx) => (await tx.saidBy('one', ids)).map(({ observable }) => observable.value).sort());
    t.strictSame(await found([a]), ['a.example', 'b.example']);
    t.strictSame(await found([b]), ['a.example']);
    t.strictSame(await found([c]), []);
    t.strictSame(await found([a, b, a, 'a row']), ['a.example', 'b.example']);
    t.strictSame(await writer.transaction((tx) => tx.saidBy('one', [b])), [{ feed: 'one', ...first }]);
    await writer.transaction((tx) =>
      tx.amend('one', [{ ...first, sourceId: c, others: [{ id: a, version: 1, validUntil: null, reportedAt: 1 }] }]),
    );
    t.strictSame(
      [await found([a]), await found([b]), await found([c])],
      [['a.example', 'b.example'], [], ['a.example']],
    );
    await writer.transaction((tx) => tx.removeObservations('one', [first.key]));
    t.strictSame([await found([a]), await found([c])], [['b.example'], []]);
  });

  t.test(
    'versions in which objects ended are kept per feed, the last that was given, until they are forgotten',
    async (t) => {
      const { writer } = await open(t);
      const [a, b, c] = ['a', 'b', 'c'].map((name) => `indicator--${uuidOf(name)}`) as [string, string, string];
      const ended = (feed: string) =>
        writer.transaction(async (tx) => Object.fromEntries(await tx.endedVersions(feed, [c, b, a, a])));
      t.strictSame(await ended('one'), {});
      await writer.transaction(async (tx) => {
        await tx.rememberEnded(
          'one',
          [
            { id: a, version: START },
            { id: b, version: START + 1 },
          ],
          START + 10,
        );
        await tx.rememberEnded(
          'one',
          [
            { id: a, version: START - 1 },
            { id: c, version: null },
          ],
          START + 20,
        );
        await tx.rememberEnded('two', [{ id: c, version: START + 3 }], START);
      });
      t.strictSame(await ended('one'), { [a]: START - 1, [b]: START + 1 });
      t.strictSame(await ended('two'), { [c]: START + 3 });
      const forget = (before: number, limit: number) =>
        writer.transaction((tx) => tx.forgetEnded('one', before, limit));
      t.equal(await forget(START + 10, 9), 0, 'what was heard then is younger');
      t.equal(await forget(START + 99, 1), 1, 'the oldest first');
      t.strictSame(await ended('one'), { [a]: START - 1 });
      t.equal(await forget(START + 99, 9), 1);
      t.strictSame([await ended('one'), await ended('two')], [{}, { [c]: START + 3 }]);
      await writer.transaction((tx) => tx.removeFeed('two'));
      t.strictSame(await ended('two'), {});
    },
  );

  t.test('when a feed was heard is kept with what is new, and makes nothing new', async (t) => {
    const { writer } = await open(t);
    const said = observation({ reportedAt: START });
    const say = async (one: Observation) => {
      const pull = await writer.beginPull('one');
      return writer.transaction((tx) => tx.observe(pull, [one]));
    };
    const reportedAt = async () =>
      (await writer.transaction((tx) => tx.observations(['one'], [said.key]))).map((one) => one.reportedAt);
    await say(said);
    t.strictSame((await say({ ...said, reportedAt: START + 5 })).changed, []);
    t.strictSame(await reportedAt(), [START]);
    t.strictSame((await say({ ...said, version: 7, reportedAt: START + 6 })).changed, [said.key], 'a version is new');
    t.strictSame(await reportedAt(), [START + 6]);
  });

  t.test('objects leave by their ids, and come in the order in which feeds first said them', async (t) => {
    const { writer } = await open(t);
    const [worm, virus] = [stixObject({ name: 'worm' }), stixObject({ name: 'virus' })];
    await writer.transaction(async (tx) => {
      await tx.observeObjects(await writer.beginPull('z'), [worm, virus]);
      await tx.observeObjects(await writer.beginPull('a'), [worm]);
    });
    const feeds = () =>
      writer.transaction(async (tx) => (await tx.objectsById(['a', 'z'], [worm.id])).map(({ feed }) => feed));
    t.strictSame(await feeds(), ['z', 'a']);
    t.strictSame(await writer.transaction((tx) => tx.removeObjects('z', [worm.id, 'malware--unknown'])), [worm.id]);
    t.strictSame(await feeds(), ['a']);
    t.match(await writer.transaction(async (tx) => tx.unseen(await writer.beginPull('z'))), { total: 1 });
  });

  t.test('an observation comes back with all that the feed said, whatever the type', async (t) => {
    const { writer } = await open(t);
    const said = [
      ...observableTypes.map((type, i) => observation({ type, value: `value ${i} 'é\u0000😀` })),
      observation({
        value: 'full.example',
        confidence: 0,
        tlp: 'amber+strict',
        validFrom: START,
        validUntil: START + 1,
        revoked: true,
        sourceId: 'id',
        source: {
          feed_name: 'F',
          category: 'c',
          origin: 'article',
          article_id: '1',
          article_title: 't',
          article_url: 'u',
        },
        name: '',
        description: 'd',
        labels: ['a', 'b'],
        references: [{ source_name: 's', url: 'u', external_id: 'e', description: 'd' }],
        techniques: ['T1059.001'],
        kept: JSON.parse('{"z":1,"a":[{"y":null,"b":2}],"__proto__":{"x":1}}'),
      }),
      observation({ value: 'bare.example', confidence: null, firstSeen: null, lastSeen: null, labels: [] }),
    ];
    await writer.transaction(async (tx) => {
      const pull = await writer.beginPull('house');
      t.strictSame((await tx.observe(pull, said)).changed, keysOf(said));
      const kept = await tx.observations(['house'], keysOf(said));
      t.strictSame(
        kept.toSorted((a, b) => (a.key < b.key ? -1 : 1)),
        said.map((one) => ({ feed: 'house', ...one })).toSorted((a, b) => (a.key < b.key ? -1 : 1)),
      );
      const full = kept.find(({ observable }) => observable.value === 'full.example');
      t.equal(JSON.stringify(full?.kept), '{"__proto__":{"x":1},"a":[{"b":2,"y":null}],"z":1}');
      t.equal(JSON.stringify(full?.references), '[{"source_name":"s","url":"u","external_id":"e","description":"d"}]');
    });
  });

  t.test('observe answers what is new or differs in any property, and nothing for the rest', async (t) => {
    const { writer } = await open(t);
    const base = observation({ kept: { a: 1, b: { c: 2, d: 3 } }, references: [{ source_name: 's', url: 'u' }] });
    const changes: Partial<Observation>[] = [
      { confidence: 81 },
      { confidence: null },
      { tlp: 'red' },
      { firstSeen: START },
      { lastSeen: null },
      { validFrom: START },
      { validUntil: START },
      { revoked: true },
      { sourceId: 'x' },
      { source: { feed_name: 'Other', category: 'malware' } },
      { source: { feed_name: 'URLhaus' } },
      { name: 'n' },
      { description: 'd' },
      { labels: [] },
      { references: [] },
      { techniques: ['T1'] },
      { kept: { a: 1 } },
      { kept: null },
    ];
    const observe = (tx: Transaction, ...said: Observation[]) =>
      writer.beginPull('house').then((pull) => tx.observe(pull, said));
    await writer.transaction(async (tx) => {
      t.strictSame(await observe(tx), { changed: [], again: [] });
      t.strictSame(await observe(tx, base), { changed: [base.key], again: [] });
      for (const change of changes) {
        const what = JSON.stringify(change);
        t.strictSame(await observe(tx, { ...base, ...change }), { changed: [base.key], again: [] }, what);
        t.strictSame(await tx.observations(['house'], [base.key]), [{ feed: 'house', ...base, ...change }], what);
        t.strictSame(await observe(tx, base), { changed: [base.key], again: [] }, `${what}, and back`);
      }
      const reordered = { ...base, kept: { b: { d: 3, c: 2 }, a: 1 }, references: [{ url: 'u', source_name: 's' }] };
      t.strictSame((await observe(tx, reordered)).changed, [], 'the order of members is no property');
    });
    t.equal((await writer.feedState('house')).observations, 1);
  });

  t.test('of a repeated row in one batch the last counts', async (t) => {
    const { writer } = await open(t);
    const pull = await writer.beginPull('house');
    const [a, b] = [observation({ confidence: 1 }), observation({ confidence: 2 })];
    await writer.transaction(async (tx) => {
      t.strictSame((await tx.observe(pull, [a, b])).changed, [a.key]);
      t.strictSame((await tx.observe(pull, [a, b])).changed, []);
      t.strictSame(await tx.observations(['house'], [a.key]), [{ feed: 'house', ...b }]);
    });
  });

  t.test('what one pull says again is left to amend, and the next pull compares with what came first', async (t) => {
    const { writer } = await open(t);
    const [first, second] = [observation({ labels: ['a'] }), observation({ labels: ['b'] })];
    const both = { ...first, labels: ['a', 'b'] };
    const held = (tx: Transaction) => tx.observations(['house'], [first.key]);
    await writer.transaction(async (tx) => {
      const pull = await writer.beginPull('house');
      await tx.observe(pull, [first]);
      t.strictSame(await tx.observe(pull, [first]), { changed: [], again: [] }, 'the same once more is nothing');
      t.strictSame(await tx.observe(pull, [second]), { changed: [], again: [first.key] });
      t.strictSame(await held(tx), [{ feed: 'house', ...first }], 'not written');
      t.strictSame(await tx.amend('house', [both]), [first.key]);
      t.strictSame(await tx.amend('house', [both]), [], 'no change');
      t.strictSame(await held(tx), [{ feed: 'house', ...both }]);
    });
    await writer.transaction(async (tx) => {
      const next = await writer.beginPull('house');
      t.strictSame(await tx.observe(next, [first]), { changed: [], again: [] }, 'it says what it said');
      t.strictSame(await tx.observe(next, [second]), { changed: [], again: [first.key] });
      t.strictSame(await tx.amend('house', [both]), []);
      const third = await writer.beginPull('house');
      t.strictSame((await tx.observe(third, [second])).changed, [first.key], 'now it begins with something else');
      t.strictSame(await held(tx), [{ feed: 'house', ...second }]);
    });
    await t.rejects(
      writer.transaction((tx) => tx.amend('house', [observation({ value: 'never.example' })])),
      { code: 'internal' },
    );
  });

  t.test('what is said in the very words that are kept is confirmed, and all else answered', async (t) => {
    const { writer } = await open(t);
    const [a, b, c] = named('a', 'b', 'c') as [Observation, Observation, Observation];
    const other = { ...b, confidence: 1 };
    await writer.transaction(async (tx) => tx.observe(await writer.beginPull('house'), [a, b]));
    const pull = await writer.beginPull('house');
    await writer.transaction(async (tx) => {
      t.strictSame(await tx.confirm(pull, []), { fresh: [], different: [] });
      t.strictSame(await tx.confirm(pull, [a, other, c]), { fresh: [c], different: [other] });
      t.strictSame(await tx.unseen(pull), { unseen: 1, total: 2 }, 'nothing is written, and only the same marked');
      t.strictSame((await tx.observe(pull, [c, { ...other, confidence: 2 }])).changed.sort(), keysOf([b, c]).sort());
      t.strictSame(await tx.confirm(pull, [{ ...other, confidence: 2 }, c]), { fresh: [], different: [] });
      t.strictSame(await tx.confirm(await writer.beginPull('nobody'), [a]), { fresh: [a], different: [] });
    });
  });

  t.test('what was amended is confirmed by nothing, though observed by what came first', async (t) => {
    const { writer } = await open(t);
    const [first, both] = [observation({ labels: ['a'] }), observation({ labels: ['a', 'b'] })];
    await writer.transaction(async (tx) => {
      await tx.observe(await writer.beginPull('house'), [first]);
      await tx.amend('house', [both]);
      const pull = await writer.beginPull('house');
      t.strictSame(await tx.confirm(pull, [first]), { fresh: [], different: [first] });
      t.strictSame(await tx.confirm(pull, [both]), { fresh: [], different: [both] });
      t.strictSame(await tx.observe(pull, [first]), { changed: [], again: [] });
      t.strictSame(await tx.amend('house', [first]), [first.key], 'and may be amended to what came first');
      t.strictSame(await tx.observations(['house'], [first.key]), [{ feed: 'house', ...first }]);
      t.strictSame(await tx.observe(await writer.beginPull('house'), [first]), { changed: [], again: [] });
      t.strictSame((await tx.observe(await writer.beginPull('house'), [both])).changed, [first.key]);
      t.strictSame(await tx.confirm(pull, [both]), { fresh: [], different: [] });
    });
  });

  t.test('two feeds say their own about one observable', async (t) => {
    const { writer } = await open(t);
    const [house, other] = [observation({ confidence: 10 }), observation({ confidence: 90, tlp: 'red' })];
    await writer.transaction(async (tx) => {
      t.strictSame((await tx.observe(await writer.beginPull('house'), [house])).changed, [house.key]);
      t.strictSame((await tx.observe(await writer.beginPull('other'), [other])).changed, [house.key]);
      const both = await tx.observations(['house', 'other', 'nobody', 'house'], [house.key, house.key]);
      t.strictSame(
        both.toSorted((a, b) => (a.feed < b.feed ? -1 : 1)),
        [
          { feed: 'house', ...house },
          { feed: 'other', ...other },
        ],
      );
      t.strictSame(await tx.observations(['other'], [house.key]), [{ feed: 'other', ...other }]);
      t.strictSame(await tx.observations([], [house.key]), []);
      await tx.removeObservations('house', [house.key, 'f'.repeat(32)]);
      t.strictSame(await tx.observations(['house', 'other'], [house.key]), [{ feed: 'other', ...other }]);
      t.strictSame((await tx.feedState('house')).observations, 0);
      t.strictSame(await tx.knownFeeds(), ['other']);
    });
  });

  t.test('keys of several feeds are walked together, ascending, each once', async (t) => {
    const { writer } = await open(t);
    await writer.transaction(async (tx) => {
      await tx.observe(await writer.beginPull('one'), named('a', 'b', 'c'));
      await tx.observe(await writer.beginPull('two'), named('c', 'd', 'e'));
      await tx.observe(await writer.beginPull('three'), named('f'));
      const expected = keysOf(named('a', 'b', 'c', 'd', 'e')).sort();
      for (const limit of [1, 2, 10]) {
        const walked: string[] = [];
        for (;;) {
          const keys = await tx.observedKeys(['one', 'two', 'nobody'], walked.at(-1) ?? null, limit);
          t.ok(keys.length <= limit);
          if (keys.length === 0) break;
          walked.push(...keys);
        }
        t.strictSame(walked, expected, `limit ${limit}`);
      }
      t.strictSame(await tx.observedKeys([], null, 10), []);
    });
  });

  t.test('a whole pull finds what it has not seen and removes it piece by piece', async (t) => {
    const { writer } = await open(t);
    const all = named('a', 'b', 'c', 'd', 'e', 'f', 'g');
    await writer.transaction(async (tx) => tx.observe(await writer.beginPull('house'), all));
    await writer.transaction(async (tx) => tx.observe(await writer.beginPull('other'), all));
    const pull = await writer.beginPull('house');
    await writer.transaction((tx) => tx.observe(pull, all.slice(0, 2)));
    await writer.transaction((tx) => tx.observe(pull, [...all.slice(1, 3), observation({ value: 'new' })]));
    const vanished = keysOf(all.slice(3)).sort();
    await writer.transaction(async (tx) => {
      t.strictSame(await tx.unseen(pull), { unseen: 4, total: 8 });
      const removed: string[] = [];
      for (const expected of [3, 1, 0, 0]) {
        const keys = await tx.removeUnseen(pull, 3);
        t.equal(keys.length, expected);
        removed.push(...keys);
      }
      t.strictSame(removed.sort(), vanished);
      t.strictSame(await tx.unseen(pull), { unseen: 0, total: 4 });
    });
    t.equal((await writer.feedState('house')).observations, 4);
    t.equal((await writer.feedState('other')).observations, 7, 'another feed keeps its own');
  });

  t.test('a removal that was undone can be repeated', async (t) => {
    const { writer } = await open(t);
    const all = named('a', 'b', 'c');
    await writer.transaction(async (tx) => tx.observe(await writer.beginPull('house'), all));
    const pull = await writer.beginPull('house');
    const undone = writer.transaction(async (tx) => {
      t.equal((await tx.removeUnseen(pull, 2)).length, 2);
      throw new Error('undo');
    });
    await t.rejects(undone, { message: 'undo' });
    await writer.transaction(async (tx) => {
      t.strictSame(await tx.unseen(pull), { unseen: 3, total: 3 });
      t.strictSame((await tx.removeUnseen(pull, 10)).toSorted(), keysOf(all).sort());
    });
  });

  t.test('a pull that stops half way keeps its rows and withdraws nothing', async (t) => {
    const location = t.testdir();
    const all = named('a', 'b', 'c');
    const before = await storeIn(location, engine).openWriter(scriptedClock(START));
    await before.transaction(async (tx) => tx.observe(await before.beginPull('house'), all));
    const interrupted = await before.beginPull('house');
    await before.transaction((tx) => tx.observe(interrupted, named('a', 'z')));
    await before.close();
    const writer = await storeIn(location, engine).openWriter(scriptedClock(START));
    t.teardown(() => writer.close());
    const repeated = await writer.beginPull('house');
    await writer.transaction(async (tx) => {
      t.strictSame(await tx.unseen(repeated), { unseen: 4, total: 4 }, 'the marks of the interrupted pull are gone');
      t.strictSame((await tx.observe(repeated, named('a', 'z', 'b'))).changed, []);
      t.strictSame(await tx.removeUnseen(repeated, 10), keysOf(named('c')));
    });
    await t.rejects(
      writer.transaction((tx) => tx.observe(interrupted, all)),
      { code: 'internal' },
      'and its pull belongs to no open store',
    );
  });

  t.test('a pull knows which keys it has seen, and versions of objects are found by id', async (t) => {
    const { writer } = await open(t);
    const [a, b] = named('a.example', 'b.example') as [Observation, Observation];
    const object = stixObject({ name: 'a' });
    const first = await writer.beginPull('house');
    await writer.transaction(async (tx) => {
      await tx.observe(first, [a, b]);
      await tx.observeObjects(first, [object]);
    });
    const second = await writer.beginPull('house');
    await writer.transaction(async (tx) => {
      await tx.observe(second, [b]);
      const keys = [a.key, b.key, observation({ value: 'c.example' }).key];
      t.strictSame(await tx.seenKeys(second, keys), new Set([b.key]));
      t.strictSame(await tx.seenKeys(await writer.beginPull('other'), keys), new Set());
      t.strictSame(await tx.objectVersions('house', [object.id, 'x--y']), new Map([[object.id, object.version]]));
      t.strictSame(await tx.objectVersions('other', [object.id]), new Map());
    });
  });

  t.test('a row that is removed during a pull does not leave its mark to another', async (t) => {
    const { writer } = await open(t);
    const [pull, other] = [await writer.beginPull('house'), await writer.beginPull('house')];
    await writer.transaction((tx) => tx.observe(pull, named('a', 'b')));
    await writer.transaction((tx) => tx.removeObservations('house', keysOf(named('a', 'b'))));
    await writer.transaction((tx) => tx.observe(other, named('c', 'd')));
    await writer.transaction(async (tx) => {
      t.strictSame(await tx.unseen(pull), { unseen: 2, total: 2 });
      t.strictSame(await tx.unseen(other), { unseen: 0, total: 2 });
    });
  });

  t.test('objects that pass verbatim live the same life, by id', async (t) => {
    const { writer } = await open(t);
    const [a, b, c] = ['a', 'b', 'c'].map((name) => stixObject({ name })) as [any, any, any];
    const pull = await writer.beginPull('house');
    await writer.transaction(async (tx) => {
      t.strictSame(await tx.observeObjects(pull, [a, b]), [a, b]);
      t.strictSame(await tx.observeObjects(pull, [a, { ...b, raw: { id: b.id, name: 'b', type: 'malware' } }, c]), [c]);
      const changed = { ...a, raw: { ...a.raw, name: 'changed' } };
      t.strictSame(await tx.observeObjects(pull, [changed]), [changed]);
      const versioned = { ...b, version: null };
      t.strictSame(await tx.observeObjects(pull, [b, versioned]), [versioned], 'the last of a repeated one');
      t.strictSame(await tx.knownFeeds(), ['house']);
    });
    const next = await writer.beginPull('house');
    await writer.transaction(async (tx) => {
      await tx.observeObjects(next, [c]);
      await tx.observe(next, [observation()]);
      t.strictSame(await tx.unseen(next), { unseen: 2, total: 4 }, 'unseen objects count like unseen observations');
      t.strictSame(await tx.removeUnseen(next, 10), []);
      t.strictSame((await tx.removeUnseenObjects(next, 1)).length, 1);
      t.strictSame((await tx.removeUnseenObjects(next, 10)).length, 1);
      t.strictSame(await tx.objects(['house'], null, 10), [{ feed: 'house', ...c }]);
    });
  });

  t.test('a walk over the objects of several feeds loses none that two of them have', async (t) => {
    const { writer } = await open(t);
    const objects = ['a', 'b', 'c', 'd'].map((name) => stixObject({ name }));
    const ids = objects.map(({ id }) => id).sort();
    await writer.transaction(async (tx) => {
      await tx.observeObjects(await writer.beginPull('one'), objects);
      await tx.observeObjects(await writer.beginPull('two'), objects.slice(1));
      await tx.observeObjects(await writer.beginPull('three'), objects);
      const walked: { feed: string; id: string }[] = [];
      for (;;) {
        const page = await tx.objects(['two', 'one'], walked.at(-1)?.id ?? null, 2);
        if (page.length === 0) break;
        walked.push(...page);
      }
      t.strictSame(
        walked.map(({ id }) => id),
        walked.map(({ id }) => id).toSorted(),
      );
      for (const feed of ['one', 'two']) {
        const own = walked.filter((object) => object.feed === feed).map(({ id }) => id);
        t.strictSame(own, feed === 'one' ? ids : ids.filter((id) => id !== objects[0]?.id), feed);
      }
      t.strictSame(await tx.objects([], null, 2), []);
      const [a, b] = objects as [StixObject, StixObject];
      const found = await tx.objectsById(['one', 'two', 'nobody'], [a.id, b.id, a.id, 'malware--unknown']);
      t.strictSame(
        found.map(({ feed, id }) => `${feed} ${id}`).sort(),
        [`one ${a.id}`, `one ${b.id}`, `two ${b.id}`].sort(),
        'by id, each feed its own',
      );
      t.strictSame(await tx.objectsById([], [a.id]), []);
    });
  });

  t.test('a pull counts each observation and object that it has seen once, and none that was undone', async (t) => {
    const { writer } = await open(t);
    const pull = await writer.beginPull('house');
    const marked = () => writer.transaction((tx) => tx.marked(pull));
    t.equal(await marked(), 0);
    await writer.transaction(async (tx) => {
      await tx.observe(pull, [observation(), observation({ value: 'b.example' })]);
      await tx.observeObjects(pull, [stixObject()]);
    });
    t.equal(await marked(), 3);
    await writer.transaction((tx) => tx.observe(pull, [observation()]));
    await writer.transaction((tx) => tx.confirm(pull, [observation()]));
    t.equal(await marked(), 3, 'the same again');
    await t.rejects(
      writer.transaction(async (tx) => {
        await tx.observe(pull, [observation({ value: 'c.example' })]);
        throw new Error('cut');
      }),
    );
    t.equal(await marked(), 3);
    t.equal(await writer.transaction(async (tx) => tx.marked(await writer.beginPull('house'))), 0, 'of its own');
  });

  t.test('what bears a marking is walked by the markings, for each feed apart', async (t) => {
    const { writer } = await open(t);
    const [licence, level, other] = ['licence', 'level', 'other'].map((name) => `marking-definition--${uuidOf(name)}`);
    const marked = (value: string, ...refs: unknown[]) =>
      observation({ value, kept: { lang: 'en', object_marking_refs: refs as string[] } });
    const both = marked('both.example', licence, level);
    const one = marked('one.example', licence);
    const others = [marked('other.example', other), observation({ value: 'none.example', kept: { lang: 'en' } })];
    const raw = { type: 'malware', object_marking_refs: [level as string] };
    const onPart = { type: 'malware', granular_markings: [{ selectors: ['name'], marking_ref: licence as string }] };
    const objects = [
      stixObject({ name: 'whole', raw }),
      stixObject({ name: 'part', raw: onPart }),
      stixObject({ name: 'none' }),
    ];
    const [whole, part] = objects.map(({ id }) => id);
    await writer.transaction(async (tx) => {
      const pull = await writer.beginPull('house');
      await tx.observe(pull, [both, one, ...others]);
      await tx.observe(await writer.beginPull('elsewhere'), [one]);
      await tx.observeObjects(pull, objects);
      const walk = async (...markings: unknown[]) => {
        const keys: string[] = [];
        for (;;) {
          const page = await tx.markedKeys('house', markings as string[], keys.at(-1) ?? null, 1);
          if (page.length === 0) return keys;
          keys.push(...page);
        }
      };
      t.strictSame(await walk(licence), keysOf([both, one]).toSorted(), 'ascending, one at a time');
      t.strictSame(await walk(level), keysOf([both]));
      t.strictSame(await walk(level, licence), keysOf([both, one]).toSorted(), 'each once');
      t.strictSame(await walk(`marking-definition--${uuidOf('unknown')}`), []);
      t.strictSame(await walk(), []);
      t.strictSame(await tx.markedKeys('nobody', [licence as string], null, 10), []);
      t.strictSame(await tx.markedObjects('house', [licence as string], null, 10), [part]);
      t.strictSame(await tx.markedObjects('house', [licence, level] as string[], null, 10), [whole, part].toSorted());
      t.strictSame(await tx.markedObjects('elsewhere', [level as string], null, 10), []);
      await tx.observe(await writer.beginPull('house'), [{ ...both, kept: null }]);
      await tx.amend('house', [{ ...one, kept: { object_marking_refs: [level as string] } }]);
      t.strictSame(await walk(licence), [], 'as they stand now');
      t.strictSame(await walk(level), keysOf([one]));
    });
  });

  t.test('a feed that is removed leaves nothing behind', async (t) => {
    const { writer } = await open(t);
    const rejection = { reason: 'bad-value' as const, detail: 'd', row: 'r' };
    await writer.transaction(async (tx) => {
      for (const feed of ['house', 'other']) {
        await tx.observe(await writer.beginPull(feed), [observation()]);
        await tx.observeObjects(await writer.beginPull(feed), [stixObject()]);
        await tx.saveFeedState(feed, { cursor: 'c' });
        await tx.reject(await writer.beginPull(feed), [rejection], START);
      }
      t.strictSame(await tx.knownFeeds(), ['house', 'other']);
      await tx.removeFeed('house');
      await tx.removeFeed('nobody');
      t.strictSame(await tx.knownFeeds(), ['other']);
      t.strictSame((await tx.observations(['house', 'other'], [observation().key])).length, 1);
      t.strictSame((await tx.objects(['house', 'other'], null, 10)).length, 1);
      t.equal((await tx.feedState('house')).cursor, null);
      t.strictSame(await tx.rejections('house', 10), { counts: [], rows: [] });
      t.equal((await tx.rejections('other', 10)).rows.length, 1);
      t.strictSame(
        (await tx.observe(await writer.beginPull('house'), [observation()])).changed,
        [observation().key],
        'it begins anew',
      );
    });
  });
}
