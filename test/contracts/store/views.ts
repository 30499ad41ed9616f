import type { Test } from 'tap';
import type { EntryFilter } from '../../../src/model/entry-filter.ts';
import { jsonText } from '../../../src/model/json.ts';
import { observableTypes } from '../../../src/model/observable.ts';
import { tlpLevels } from '../../../src/model/tlp.ts';
import type { StoreEngine } from '../../../src/store/engine.ts';
import type { LiveQuery, Reader } from '../../../src/store/store.ts';
import {
  appendEntries,
  entryFilter,
  indicatorEntry,
  liveQuery,
  objectEntry,
  openJournalStore,
  START,
} from '../../helpers/store.ts';

const LIVE = liveQuery();

async function read(reader: Pick<Reader, 'page'>, filter: Partial<EntryFilter> = {}) {
  return (await reader.page({ ...entryFilter(filter), after: 0, limit: 1000 })).entries;
}

const versions = (parts: Partial<EntryFilter['versions']>) => ({
  versions: { last: false, first: false, all: false, exact: [], ...parts },
});

/** What a journal shows of its entries, and to whom. */
export async function proveViews(t: Test, engine: StoreEngine): Promise<void> {
  t.test('rendered rows of every type and raw objects come back exactly as they were appended', async (t) => {
    const { writer, reader } = await openJournalStore(t, engine);
    const kept = await writer.transaction((tx) =>
      appendEntries(tx, 'pool:main', [
        objectEntry({ stixType: 'identity', isProducerObject: true, name: 'producer' }),
        ...observableTypes.map((type, i) => indicatorEntry({ type, value: `value ${i} 'é\u0000😀`, confidence: i })),
        ...tlpLevels.map((tlp) => indicatorEntry({ tlp, value: tlp })),
        indicatorEntry({
          value: 'nothing.example',
          validUntil: null,
          confidence: null,
          firstSeen: null,
          lastSeen: null,
          name: null,
          labels: null,
        }),
        indicatorEntry({
          value: 'everything.example',
          description: 'd',
          references: jsonText([{ source_name: 's' }]),
          kept: jsonText({ x_a: 1 }),
          due: START,
          generation: START - 5,
        }),
        indicatorEntry({ value: 'gone.example', revoked: true, reason: 'vanished' }),
        objectEntry({ name: 'raw', due: START }),
      ]),
    );
    t.strictSame(await read(reader), kept);
  });

  t.test('a view by observable types keeps the producer objects and nothing else', async (t) => {
    const { writer, reader } = await openJournalStore(t, engine);
    const [identity, ip, cve, raw] = await writer.transaction((tx) =>
      appendEntries(tx, 'pool:main', [
        objectEntry({ stixType: 'identity', isProducerObject: true, name: 'producer' }),
        indicatorEntry({ type: 'ipv4', value: '192.0.2.1' }),
        indicatorEntry({ type: 'cve', value: 'CVE-2026-1' }),
        objectEntry({ stixType: 'identity', name: 'somebody' }),
      ]),
    );
    t.strictSame(await read(reader), [identity, ip, cve, raw]);
    t.strictSame(await read(reader, { observableTypes: ['ipv4', 'ipv6'] }), [identity, ip]);
    t.strictSame(await read(reader, { observableTypes: ['cve'] }), [identity, cve]);
    t.strictSame(await read(reader, { observableTypes: [] }), [identity]);
    t.strictSame(
      await read(reader, { stixTypes: ['indicator'] }),
      [ip],
      'match[type] leaves out the producer objects too',
    );
    t.strictSame(await read(reader, { stixTypes: ['vulnerability', 'identity'] }), [identity, cve, raw]);
    t.strictSame(await read(reader, { stixTypes: ['identity'], observableTypes: ['ipv4'] }), [identity]);
    t.strictSame(await read(reader, { stixTypes: ['no-such-type'] }), []);
    t.strictSame(await read(reader, { stixTypes: [] }), []);
  });

  t.test('match[id] finds objects by their whole id, whatever their number and order', async (t) => {
    const { writer, reader } = await openJournalStore(t, engine);
    const ip = indicatorEntry({ type: 'ipv4', value: '192.0.2.1' });
    const twin = objectEntry({ objectId: ip.objectId.replace('indicator', 'malware'), stixType: 'malware' });
    const [a, b, c] = await writer.transaction((tx) => appendEntries(tx, 'pool:main', [ip, twin, indicatorEntry()]));
    t.strictSame(
      await read(reader, { objectIds: [ip.objectId] }),
      [a],
      'the same UUID under another type is another object',
    );
    t.strictSame(await read(reader, { objectIds: [c?.objectId ?? '', ip.objectId, ip.objectId] }), [a, c]);
    t.strictSame(await read(reader, { objectIds: [twin.objectId], stixTypes: ['indicator'] }), []);
    t.strictSame(await read(reader, { objectIds: [ip.objectId], observableTypes: ['domain'] }), []);
    t.strictSame(await read(reader, { objectIds: [] }), []);
    t.strictSame(await read(reader, { objectIds: ['nonsense', '', '--', "indicator--' OR 1=1"] }), []);
    t.equal(await reader.holds(entryFilter({ objectIds: [twin.objectId] })), true);
    t.equal(await reader.holds(entryFilter({ objectIds: [twin.objectId], observableTypes: ['ipv4'] })), false);
    t.equal(await reader.newest(entryFilter({ observableTypes: ['ipv4'] })), a?.dateAdded);
    t.equal(await reader.newest(entryFilter()), c?.dateAdded);
    t.equal(await reader.newest(entryFilter({ stixTypes: ['malware'] })), b?.dateAdded);
    t.equal(await reader.newest(entryFilter({ stixTypes: ['tool'] })), null);
  });

  t.test('where the last versions are kept, a replaced entry is gone for every match[version]', async (t) => {
    const { writer, reader } = await openJournalStore(t, engine);
    const [old] = await writer.transaction((tx) => appendEntries(tx, 'pool:main', [indicatorEntry()]));
    const kept = await writer.transaction((tx) =>
      appendEntries(tx, 'pool:main', [indicatorEntry({ version: START + 1000 })], [old?.dateAdded ?? 0]),
    );
    for (const part of [{ last: true }, { first: true }, { all: true }, { exact: [START + 1000] }]) {
      t.strictSame(await read(reader, versions(part)), kept, JSON.stringify(part));
    }
    t.strictSame(await read(reader, versions({ exact: [START] })), []);
    t.strictSame(await read(reader, versions({})), [], 'a filter without a part admits nothing');
  });

  t.test(
    'where all versions are kept, match[version] is the union of its parts, by version and not by arrival',
    async (t) => {
      const { writer, reader } = await openJournalStore(t, engine, 'all');
      const version = (n: number, superseded = false) =>
        objectEntry({ version: START + n, superseded, raw: jsonText({ n }) });
      const other = indicatorEntry({ version: START + 2 });
      const [two] = await writer.transaction((tx) => appendEntries(tx, 'pool:main', [version(2), other]));
      const [four] = await writer.transaction((tx) =>
        appendEntries(tx, 'pool:main', [version(4)], [two?.dateAdded ?? 0]),
      );
      // Versions 1 and 3 arrive late: a later one stands already.
      await writer.transaction((tx) => appendEntries(tx, 'pool:main', [version(1, true), version(3, true)]));
      const shown = async (filter: Partial<EntryFilter>) =>
        (await read(reader, { stixTypes: ['relationship'], ...filter })).map((entry) => entry.version - START);
      t.strictSame(await shown(versions({ last: true })), [4]);
      t.strictSame(await shown(versions({ first: true })), [1]);
      t.strictSame(await shown(versions({ all: true })), [2, 4, 1, 3], 'in order of arrival');
      t.strictSame(await shown(versions({ exact: [START + 3, START + 2, 7] })), [2, 3]);
      t.strictSame(await shown(versions({ last: true, first: true })), [4, 1]);
      t.strictSame(await shown(versions({ last: true, exact: [START + 2] })), [2, 4]);
      t.equal((await read(reader, versions({ first: true }))).length, 2, 'each object has its own first version');
      t.equal((await read(reader, versions({ last: true })))[1]?.superseded, false);
      t.equal((await read(reader, versions({ all: true })))[0]?.superseded, true);

      const filter = entryFilter({ objectIds: [four?.objectId ?? ''], ...versions({ last: true }) });
      const listed = await reader.versions(filter, 0, 10);
      t.strictSame(
        listed.entries.map((entry) => entry.version - START),
        [2, 4, 1, 3],
        'versions() lists all of them in order of date, whatever match[version] says',
      );
      const part = await reader.versions(filter, listed.entries[0]?.dateAdded ?? 0, 2);
      t.strictSame(part, { entries: listed.entries.slice(1, 3), more: true });
      t.strictSame(await reader.versions(filter, part.entries[1]?.dateAdded ?? 0, 2), {
        entries: listed.entries.slice(3),
        more: false,
      });
      t.strictSame(await reader.versions(entryFilter({ objectIds: ['tool--x'] }), 0, 2), { entries: [], more: false });
      t.equal(await reader.holds(filter), true);
    },
  );

  t.test(
    'a tombstone is an entry like any other, ends the life of its object, and leaves without a word',
    async (t) => {
      const { writer, reader, clock } = await openJournalStore(t, engine);
      const [live] = await writer.transaction((tx) => appendEntries(tx, 'pool:main', [indicatorEntry()]));
      await clock.advance(1000);
      const tombstone = indicatorEntry({ revoked: true, reason: 'vanished', version: START + 5000 });
      const [dead] = await writer.transaction((tx) =>
        appendEntries(tx, 'pool:main', [tombstone], [live?.dateAdded ?? 0]),
      );
      t.strictSame(await read(reader), [dead]);
      t.strictSame((await reader.live(LIVE)).entries, []);
      t.strictSame(await reader.countLive('pool:main'), {});
      t.strictSame(await reader.lookup('pool:main', [tombstone.key]), [dead]);
      await clock.advance(1000);
      // The value comes back: a new generation, so a new object.
      const [again] = await writer.transaction((tx) => {
        const objectId = indicatorEntry({ value: 'generation two' }).objectId;
        return appendEntries(tx, 'pool:main', [indicatorEntry({ objectId, generation: clock.now() })]);
      });
      t.strictSame(
        await reader.lookup('pool:main', [tombstone.key]),
        [dead, again],
        'tombstones and the live entry, by date',
      );
      await writer.transaction(async (tx) => {
        t.strictSame(await tx.liveEntries('pool:main', [tombstone.key, tombstone.key]), [again]);
        await tx.purge('pool:main', [dead?.dateAdded ?? 0, 17]);
        await tx.purge('pool:main', [dead?.dateAdded ?? 0]);
      });
      t.strictSame(await reader.lookup('pool:main', [tombstone.key]), [again]);
      t.equal(await reader.holds(entryFilter({ objectIds: [tombstone.objectId] })), false);
      t.strictSame(await reader.countLive('pool:main'), { domain: 1 });
    },
  );

  t.test('live() shows living indicators, newest first, between its bounds', async (t) => {
    const { writer, reader } = await openJournalStore(t, engine);
    const [, a, b, c, d] = await writer.transaction((tx) =>
      appendEntries(tx, 'pool:main', [
        objectEntry({ stixType: 'identity', isProducerObject: true }),
        indicatorEntry({ type: 'ipv4', value: '192.0.2.1', confidence: 10 }),
        indicatorEntry({ type: 'domain', value: 'b.example', confidence: 50 }),
        indicatorEntry({ type: 'ipv4', value: '192.0.2.3', confidence: 90 }),
        indicatorEntry({ type: 'url', value: 'http://d.example/', confidence: null }),
        indicatorEntry({ value: 'dead.example', revoked: true, reason: 'expired' }),
      ]),
    );
    const live = async (query: Partial<LiveQuery>) => {
      const { entries } = await reader.live({ ...LIVE, ...query });
      t.equal(await reader.countMatching({ ...LIVE, ...query }), entries.length, 'and as many are counted');
      return entries;
    };
    t.strictSame(await live({}), [d, c, b, a]);
    t.equal(await reader.countMatching({ ...LIVE, limit: 3 }), 3, 'no further than asked');
    t.equal(await reader.countMatching({ ...LIVE, journal: 'none' }), 0);
    t.strictSame(await live({ observableTypes: ['ipv4'] }), [c, a]);
    t.strictSame(await live({ observableTypes: [] }), []);
    t.strictSame(await live({ minConfidence: 50 }), [c, b]);
    t.strictSame(await live({ minConfidence: 10, maxConfidence: 50 }), [b, a]);
    t.strictSame(await live({ maxConfidence: 50 }), [b, a], 'an unknown confidence is within no bound');
    t.strictSame(await live({ since: a?.dateAdded ?? 0, before: d?.dateAdded ?? 0 }), [c, b], 'strictly between');
    t.strictSame(await reader.live({ ...LIVE, limit: 2 }), { entries: [d, c], more: true });
    t.strictSame(await reader.live({ ...LIVE, offset: 2, limit: 2 }), { entries: [b, a], more: false });
    t.strictSame(await live({ offset: 4 }), []);
    t.strictSame(await reader.countLive('pool:main'), { ipv4: 2, domain: 1, url: 1 });
    for (const wrong of [{ limit: 0 }, { limit: -1 }, { offset: -1 }, { limit: 1.5 }]) {
      await t.rejects(reader.live({ ...LIVE, ...wrong }), { code: 'internal' });
      await t.rejects(reader.countMatching({ ...LIVE, ...wrong }), { code: 'internal' });
    }
  });

  t.test('live keys are walked in order, each once, tombstones and raw objects left out', async (t) => {
    const { writer } = await openJournalStore(t, engine);
    const values = ['a', 'b', 'c', 'd', 'e'];
    await writer.transaction(async (tx) => {
      await appendEntries(tx, 'pool:main', [
        ...values.map((value) => indicatorEntry({ value })),
        // Being re-issued: the next generation stands, the tombstone of this one follows.
        indicatorEntry({ value: 'c', objectId: indicatorEntry({ value: 'c again' }).objectId }),
        indicatorEntry({ value: 'dead', revoked: true, reason: 'expired' }),
        objectEntry(),
      ]);
      const expected = values.map((value) => indicatorEntry({ value }).key).sort();
      t.strictSame(await tx.liveKeys('pool:main', null, 10), expected);
      t.strictSame(await tx.liveKeys('pool:main', null, 2), expected.slice(0, 2));
      t.strictSame(await tx.liveKeys('pool:main', expected[1] ?? '', 10), expected.slice(2));
      t.strictSame(await tx.liveKeys('pool:main', 'f'.repeat(32), 10), []);
    });
  });

  t.test('a snapshot shows the store as it was, whatever is committed meanwhile', async (t) => {
    const { writer, reader } = await openJournalStore(t, engine);
    const append = (value: string) =>
      writer.transaction((tx) => appendEntries(tx, 'pool:main', [indicatorEntry({ value })]));
    await append('a.example');
    const snapshot = await reader.snapshot();
    const before = await snapshot.validity('pool:main', 0, null);
    await append('b.example');
    t.equal((await reader.live(LIVE)).entries.length, 2);
    t.strictSame(
      (await snapshot.live(LIVE)).entries.map(({ value }) => value),
      ['a.example'],
    );
    t.strictSame(await snapshot.validity('pool:main', 0, null), before);
    const later = await reader.snapshot();
    t.equal((await later.live(LIVE)).entries.length, 2, 'each is of its own moment');
    await snapshot.close();
    await later.close();
    t.equal((await reader.live(LIVE)).entries.length, 2, 'the reader stays open');
    await t.rejects(snapshot.live(LIVE), { code: 'store-failed' });
  });
}
