import type { Test } from 'tap';
import { jsonText } from '../../../src/model/json.ts';
import type { LeftOut, LeftOutReason, ServedCount } from '../../../src/model/served.ts';
import type { StoreEngine } from '../../../src/store/engine.ts';
import {
  appendEntries,
  indicatorEntry,
  objectEntry,
  observation,
  openJournalStore,
  stixObject,
} from '../../helpers/store.ts';

/** What journals serve, and what they leave out. */
export async function proveVerdicts(t: Test, engine: StoreEngine): Promise<void> {
  const [a, b, c] = ['a.example', 'b.example', 'c.example'].map((value) => observation({ value })) as [
    ReturnType<typeof observation>,
    ReturnType<typeof observation>,
    ReturnType<typeof observation>,
  ];
  const ip = observation({ type: 'ipv4', value: '198.51.100.1' });
  const out = (feed: string, { key, observable }: typeof a, reason: LeftOutReason): LeftOut => {
    return { feed, key, type: observable.type, reason };
  };
  const open = async (t: Test) => {
    const store = await openJournalStore(t, engine);
    await store.writer.transaction(async (tx) => {
      await tx.openJournal({ name: 'other', pool: 'main', keepVersions: 'last' });
      for (const feed of ['one', 'two']) {
        const pull = await store.writer.beginPull(feed);
        await tx.observe(pull, [a, b, c, ip]);
        await tx.observeObjects(pull, [stixObject({ name: 'x' }), stixObject({ name: 'y' })]);
      }
    });
    const counts = async () => (await store.reader.served()).map(textOf).sort();
    return { ...store, counts };
  };
  const textOf = ({ journal, feed, kind, reason, rows }: ServedCount) =>
    `${journal} ${feed} ${kind} ${reason ?? 'live'} ${rows}`;
  const all = [a, b, c, ip].map(({ key }) => key);

  t.test('what is judged stands until it is judged anew, by feed and journal', async (t) => {
    const { writer, reader, counts } = await open(t);
    t.strictSame(await counts(), []);
    await writer.transaction((tx) =>
      tx.judge('pool:main', all, [
        out('one', a, 'expired'),
        out('one', b, 'expired'),
        out('two', a, 'revoked'),
        out('one', ip, 'type-not-taken'),
      ]),
    );
    await writer.transaction((tx) => tx.judge('other', [a.key], [out('one', a, 'above-ceiling')]));
    t.strictSame(await counts(), [
      'other one domain above-ceiling 1',
      'pool:main one domain expired 2',
      'pool:main one ipv4 type-not-taken 1',
      'pool:main two domain revoked 1',
    ]);
    const rows = await reader.leftOut('pool:main', 'one', 10);
    t.same(
      rows.sort((x, y) => (x.value < y.value ? -1 : 1)),
      [
        { kind: 'ipv4', value: '198.51.100.1', reason: 'type-not-taken' },
        { kind: 'domain', value: 'a.example', reason: 'expired' },
        { kind: 'domain', value: 'b.example', reason: 'expired' },
      ],
    );
    t.equal((await reader.leftOut('pool:main', 'one', 2)).length, 2);
    t.strictSame(await reader.leftOut('pool:main', 'one', 0), []);
    t.strictSame(await reader.leftOut('pool:main', 'nobody', 5), []);
    t.strictSame(await reader.leftOut('nowhere', 'one', 5), []);

    await writer.transaction((tx) => tx.judge('pool:main', [a.key, c.key], [out('one', a, 'too-few-sources')]));
    t.strictSame(
      await counts(),
      [
        'other one domain above-ceiling 1',
        'pool:main one domain expired 1',
        'pool:main one domain too-few-sources 1',
        'pool:main one ipv4 type-not-taken 1',
      ],
      'another reason, and nothing of a feed that is not named; other keys and journals stay',
    );
    await writer.transaction((tx) => tx.judge('pool:main', [a.key], [out('one', a, 'too-few-sources')]));
    t.equal((await counts()).length, 4, 'the same once more changes nothing');
    await writer.transaction((tx) => tx.judge('pool:main', all, []));
    t.strictSame(await counts(), ['other one domain above-ceiling 1']);
    await t.rejects(
      writer.transaction((tx) => tx.judge('nowhere', all, [])),
      { code: 'internal' },
      'in a journal that there is',
    );
  });

  t.test('what is undone was never judged', async (t) => {
    const { writer, counts } = await open(t);
    await t.rejects(
      writer.transaction(async (tx) => {
        await tx.judge('pool:main', all, [out('one', a, 'expired')]);
        throw new Error('cut');
      }),
    );
    t.strictSame(await counts(), []);
  });

  t.test('objects are judged by their ids, live ones too', async (t) => {
    const { writer, reader, counts } = await open(t);
    const [x, y] = [stixObject({ name: 'x' }).id, stixObject({ name: 'y' }).id];
    await writer.transaction(async (tx) => {
      await tx.judge('pool:main', all, [out('one', a, 'expired')]);
      await tx.judgeObjects(
        'pool:main',
        [x, y],
        [
          { feed: 'one', id: x, kind: 'object', reason: null },
          { feed: 'two', id: x, kind: 'object', reason: 'superseded' },
          { feed: 'one', id: y, kind: 'marking', reason: 'above-ceiling' },
        ],
      );
    });
    t.strictSame(await counts(), [
      'pool:main one domain expired 1',
      'pool:main one marking above-ceiling 1',
      'pool:main one object live 1',
      'pool:main two object superseded 1',
    ]);
    t.strictSame(
      await reader.leftOut('pool:main', 'one', 10),
      [
        { kind: 'domain', value: 'a.example', reason: 'expired' },
        { kind: 'marking', value: y, reason: 'above-ceiling' },
      ],
      'what is live is not listed',
    );
    await writer.transaction(async (tx) => {
      await tx.judge('pool:main', all, []);
      await tx.judgeObjects('pool:main', [x], [{ feed: 'two', id: x, kind: 'object', reason: null }]);
    });
    t.strictSame(await counts(), ['pool:main one marking above-ceiling 1', 'pool:main two object live 1']);
  });

  t.test('a verdict leaves with what it is on, whatever takes that out of the store', async (t) => {
    const { writer, counts } = await open(t);
    const ids = [stixObject({ name: 'x' }).id, stixObject({ name: 'y' }).id];
    await writer.transaction(async (tx) => {
      for (const journal of ['pool:main', 'other']) {
        await tx.judge(
          journal,
          all,
          ['one', 'two'].flatMap((feed) => [a, b, c].map((o) => out(feed, o, 'expired'))),
        );
        const verdicts = ids.map((id) => ({ feed: 'one', id, kind: 'object', reason: null }) as const);
        await tx.judgeObjects(journal, ids, verdicts);
      }
      await tx.removeObservations('one', [a.key]);
    });
    t.ok((await counts()).includes('other one domain expired 2'));
    t.ok((await counts()).includes('pool:main two domain expired 3'), 'of its own feed only');
    const { gone, observations } = await writer.feedState('one');
    t.strictSame([gone, observations], [1, 3], 'what is removed so is counted');
    await writer.transaction(async (tx) => {
      const pull = await writer.beginPull('one');
      await tx.observe(pull, [b]);
      await tx.observeObjects(pull, [stixObject({ name: 'y' })]);
      await tx.removeUnseen(pull, 10);
      await tx.removeUnseenObjects(pull, 10);
    });
    t.strictSame(
      (await counts()).filter((text) => text.includes(' one ')),
      ['other', 'pool:main'].flatMap((journal) => [`${journal} one domain expired 1`, `${journal} one object live 1`]),
    );
    await writer.transaction((tx) => tx.removeFeed('one'));
    t.strictSame(await counts(), ['other two domain expired 3', 'pool:main two domain expired 3']);
  });

  t.test('verdicts on feeds that are none of a journal’s are forgotten, a few at a time', async (t) => {
    const { writer, counts } = await open(t);
    await writer.transaction(async (tx) => {
      for (const journal of ['pool:main', 'other']) {
        await tx.judge(
          journal,
          all,
          ['one', 'two'].flatMap((feed) => [a, b, c].map((o) => out(feed, o, 'expired'))),
        );
      }
    });
    const forget = () => writer.transaction((tx) => tx.forgetVerdicts('pool:main', ['two', 'nobody'], 2));
    t.strictSame([await forget(), await forget(), await forget()], [2, 1, 0]);
    t.strictSame(await counts(), [
      'other one domain expired 3',
      'other two domain expired 3',
      'pool:main two domain expired 3',
    ]);
    t.equal(await writer.transaction((tx) => tx.forgetVerdicts('pool:main', [], 10)), 3);
    t.equal(await writer.transaction((tx) => tx.forgetVerdicts('nowhere', [], 10)), 0);
  });

  for (const keepVersions of ['last', 'all'] as const) {
    t.test(`live indicators are counted for each feed that they name (versions kept: ${keepVersions})`, async (t) => {
      const { writer, reader } = await openJournalStore(t, engine, keepVersions);
      const counts = async () => (await reader.served()).map(textOf).sort();
      const sources = (...feeds: string[]) => jsonText(feeds.map((feed) => ({ feed, feed_name: feed })));
      const append = (entries: Parameters<typeof appendEntries>[2], replaces: number[] = []) =>
        writer.transaction((tx) => appendEntries(tx, 'pool:main', entries, replaces));
      const [first, second] = await append([
        indicatorEntry({ value: 'a.example', sources: sources('one', 'it"s {"feed":"two"}') }),
        indicatorEntry({ type: 'ipv4', value: '198.51.100.1', sources: sources('one') }),
        indicatorEntry({ value: 'dead.example', revoked: true, reason: 'vanished', sources: sources('one') }),
        objectEntry(),
      ]);
      t.strictSame(await counts(), [
        'pool:main it"s {"feed":"two"} domain live 1',
        'pool:main one domain live 1',
        'pool:main one ipv4 live 1',
      ]);
      await append(
        [
          indicatorEntry({ value: 'a.example', sources: sources('two') }),
          indicatorEntry({ type: 'ipv4', value: '198.51.100.1', revoked: true, reason: 'expired' }),
        ],
        [first?.dateAdded ?? 0, second?.dateAdded ?? 0],
      );
      t.strictSame(await counts(), ['pool:main two domain live 1']);
      await writer.transaction((tx) => tx.purge('pool:main', [first?.dateAdded ?? 0]));
      t.strictSame(await counts(), ['pool:main two domain live 1'], 'what is superseded was counted out already');
      await writer.transaction((tx) => tx.removeFeed('two'));
      t.strictSame(await counts(), ['pool:main two domain live 1'], 'as long as it is served');
    });
  }
}
