import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { Test } from 'tap';
import type { Entry, IndicatorEntry } from '../../../src/model/entry.ts';
import type { EntryFilter } from '../../../src/model/entry-filter.ts';
import { GatewayError } from '../../../src/model/error.ts';
import { jsonText } from '../../../src/model/json.ts';
import type { ObservableType } from '../../../src/model/observable.ts';
import type { StoreEngine } from '../../../src/store/engine.ts';
import type { PageQuery, Reader, Transaction, Writer } from '../../../src/store/store.ts';
import { scriptedClock } from '../../helpers/clock.ts';
import {
  appendEntries,
  entryFilter,
  indicatorEntry,
  objectEntry,
  openJournalStore,
  START,
  storeIn,
  uuidOf,
} from '../../helpers/store.ts';

/** Follows the pages to the end; `between` runs after each. */
async function walk(reader: Reader, filter: EntryFilter, limit: number, between = async () => {}): Promise<Entry[]> {
  const seen: Entry[] = [];
  let after = 0;
  for (;;) {
    const page = await reader.page({ ...filter, after, limit });
    if (page.entries.length > limit) throw new Error('more than the limit');
    if (page.more && page.entries.length < limit) throw new Error('a short page before the end');
    seen.push(...page.entries);
    after = page.entries.at(-1)?.dateAdded ?? after;
    if (!page.more) return seen;
    await between();
  }
}

export async function provePages(t: Test, engine: StoreEngine): Promise<void> {
  t.test('more is true exactly when the filter has entries behind the page', async (t) => {
    const { writer, reader } = await openJournalStore(t, engine);
    const kept = await writer.transaction((tx) =>
      appendEntries(tx, 'pool:main', [
        indicatorEntry({ type: 'ipv4', value: '1' }),
        indicatorEntry({ type: 'ipv4', value: '2' }),
        indicatorEntry({ type: 'url', value: '3' }),
      ]),
    );
    const page = async (filter: Partial<EntryFilter>, after: number, limit: number) => {
      const { entries, more } = await reader.page({ ...entryFilter(filter), after, limit });
      return [entries.map(({ dateAdded }) => kept.findIndex((entry) => entry.dateAdded === dateAdded)), more];
    };
    t.strictSame(await page({}, 0, 2), [[0, 1], true]);
    t.strictSame(await page({}, 0, 3), [[0, 1, 2], false]);
    t.strictSame(await page({ observableTypes: ['ipv4'] }, 0, 2), [[0, 1], false]);
    t.strictSame(await page({ observableTypes: ['ipv4'] }, 0, 1), [[0], true]);
    t.strictSame(await page({}, kept[0]?.dateAdded ?? 0, 5), [[1, 2], false], 'strictly after');
    t.strictSame(await page({}, (kept[0]?.dateAdded ?? 0) - 1, 1), [[0], true]);
    t.strictSame(await page({}, kept[2]?.dateAdded ?? 0, 5), [[], false]);
    for (const limit of [0, -1, 1.5, Number.NaN]) {
      await t.rejects(reader.page({ ...entryFilter(), after: 0, limit }), { code: 'internal' });
    }
  });

  t.test('a page is visited as it is read', async (t) => {
    const { writer, reader } = await openJournalStore(t, engine);
    const kept = await writer.transaction((tx) =>
      appendEntries(tx, 'pool:main', [indicatorEntry({ type: 'ipv4', value: '1' }), indicatorEntry(), objectEntry()]),
    );
    const visited = async (query: PageQuery) => {
      const entries: Entry[] = [];
      return { ...(await reader.visitPage(query, (entry) => entries.push(entry))), entries };
    };
    for (const limit of [1, 2, 3, 4]) {
      const query = { ...entryFilter(), after: 0, limit };
      const page = await visited(query);
      t.strictSame(page, await reader.page(query));
      t.strictSame(page.entries, kept.slice(0, limit), 'the one that decides about more is not shown');
    }
    t.strictSame((await visited({ ...entryFilter({ journal: 'pool:nowhere' }), after: 0, limit: 1 })).entries, []);
    const refuse = () => {
      throw new GatewayError('internal', 'no');
    };
    await t.rejects(reader.visitPage({ ...entryFilter(), after: 0, limit: 3 }, refuse), { code: 'internal' });
    t.strictSame((await visited({ ...entryFilter(), after: 0, limit: 9 })).entries, kept, 'and the store goes on');
  });

  t.test('a walk beside a busy writer sees no entry twice and the newest version of everything', async (t) => {
    const { writer, reader, clock } = await openJournalStore(t, engine);
    const values = Array.from({ length: 300 }, (_, i) => `v${i}`);
    await writer.transaction((tx) =>
      appendEntries(
        tx,
        'pool:main',
        values.map((value) => indicatorEntry({ value })),
      ),
    );
    let round = 0;
    const disturb = async () => {
      round += 1;
      if (round > 60) return;
      await clock.advance(10);
      await writer.transaction(async (tx) => {
        const keys = values.slice(round * 4, round * 4 + 3).map((value) => indicatorEntry({ value }).key);
        const old = await tx.liveEntries('pool:main', keys);
        const changed = old.map((entry) => ({ ...entry, version: clock.now(), confidence: round }));
        const added = indicatorEntry({ value: `added ${round}`, version: clock.now() });
        await appendEntries(
          tx,
          'pool:main',
          [...changed, added],
          old.map(({ dateAdded }) => dateAdded),
        );
      });
    };
    const seen = await walk(reader, entryFilter(), 7, disturb);
    t.equal(new Set(seen.map(({ dateAdded }) => dateAdded)).size, seen.length, 'no entry twice');
    const dates = seen.map(({ dateAdded }) => dateAdded);
    t.strictSame(
      dates,
      dates.toSorted((a, b) => a - b),
      'in order',
    );
    const newest = new Map(seen.map((entry) => [entry.objectId, entry]));
    const standing = (await reader.page({ ...entryFilter(), after: 0, limit: 5000 })).entries;
    t.equal(standing.length, 360);
    t.strictSame(
      standing.filter((entry) => newest.get(entry.objectId)?.dateAdded !== entry.dateAdded),
      [],
      'nothing missed',
    );
  });

  t.test('pages of the same query with the same validity hold the same entries', async (t) => {
    const { writer, reader, clock } = await openJournalStore(t, engine);
    const kept = await writer.transaction((tx) =>
      appendEntries(
        tx,
        'pool:main',
        Array.from({ length: 10_000 }, (_, i) => indicatorEntry({ value: `v${i}` })),
      ),
    );
    const first = { ...entryFilter(), after: 0, limit: 100 };
    const last = { ...entryFilter(), after: kept[9990]?.dateAdded ?? 0, limit: 100 };
    const validity = async (query: typeof first) => (await reader.page(query)).validity;
    const [firstBefore, lastBefore] = [await validity(first), await validity(last)];

    await clock.advance(10);
    await writer.transaction((tx) => appendEntries(tx, 'pool:main', [objectEntry()]));
    t.equal((await validity(first)).changes, firstBefore.changes, 'appending changes no full page');
    t.not((await validity(last)).head, lastBefore.head, 'but the head, which the last page depends on');

    const lastNow = await validity(last);
    await writer.transaction((tx) => appendEntries(tx, 'pool:main', [indicatorEntry()], [kept[50]?.dateAdded ?? 0]));
    const replaced = await validity(first);
    t.not(replaced.changes, firstBefore.changes, 'an entry inside was replaced');
    t.equal((await validity(last)).changes, lastNow.changes, 'which changes nothing at the other end');
    await writer.transaction((tx) => tx.purge('pool:main', [kept[60]?.dateAdded ?? 0]));
    t.not((await validity(first)).changes, replaced.changes, 'an entry inside was purged');

    const unchanged = await validity(first);
    await writer.transaction((tx) => tx.setDue('pool:main', [{ dateAdded: kept[70]?.dateAdded ?? 0, due: START }]));
    await writer.transaction((tx) => tx.purge('pool:main', [kept[60]?.dateAdded ?? 0]));
    t.strictSame(await validity(first), unchanged, 'a due time is nothing that readers see, nor is a purge of nothing');

    const page = await reader.page(first);
    t.strictSame(await reader.validity('pool:main', 0, page.entries.at(-1)?.dateAdded ?? null), page.validity);
    t.strictSame(await reader.validity('pool:main', last.after, null), await validity(last));
  });

  t.test('a page of first versions is no longer valid when another version becomes the first', async (t) => {
    const { writer, reader, clock } = await openJournalStore(t, engine, 'all');
    const filler = (from: number) => Array.from({ length: 5000 }, (_, i) => indicatorEntry({ value: `f${from + i}` }));
    const [two] = await writer.transaction((tx) =>
      appendEntries(tx, 'pool:main', [objectEntry({ version: START + 2 })]),
    );
    await writer.transaction((tx) => appendEntries(tx, 'pool:main', filler(0)));
    const query = {
      ...entryFilter({ versions: { last: false, first: true, all: false, exact: [] } }),
      after: 0,
      limit: 1,
    };
    const before = await reader.page(query);
    t.equal(before.entries[0]?.dateAdded, two?.dateAdded);
    await clock.advance(50);
    const [one] = await writer.transaction((tx) =>
      appendEntries(tx, 'pool:main', [objectEntry({ version: START + 1, superseded: true })]),
    );
    const after = await reader.page(query);
    t.not(after.entries[0]?.dateAdded, two?.dateAdded);
    t.not(after.validity.changes, before.validity.changes, 'an older version arrived');
    const again = await reader.validity('pool:main', 0, two?.dateAdded ?? 0);
    await writer.transaction((tx) => tx.purge('pool:main', [one?.dateAdded ?? 0]));
    t.equal((await reader.page(query)).entries[0]?.dateAdded, two?.dateAdded);
    t.strictNotSame(await reader.validity('pool:main', 0, two?.dateAdded ?? 0), again, 'and left');
  });

  t.test('in a large journal a filter finds what stands far apart, from either end', (t) =>
    proveLargeJournal(t, engine),
  );

  for (const keepVersions of ['last', 'all'] as const) {
    t.test(`pages agree with a plain model of the journal (versions kept: ${keepVersions})`, (t) =>
      proveAgainstModel(t, engine, keepVersions),
    );
  }
}

/** 24,000 entries: a mixed end on either side of a long stretch of one type, each with a few of another in the middle. */
async function proveLargeJournal(t: Test, engine: StoreEngine): Promise<void> {
  const { writer, reader, clock } = await openJournalStore(t, engine);
  const typeAt = (i: number): ObservableType => {
    if (i < 6000 || i >= 18_000) return i % 2 === 0 ? 'url' : 'ipv4';
    return i % 3000 === 0 ? 'domain' : 'ipv6';
  };
  const kept: IndicatorEntry[] = [];
  for (let from = 0; from < 24_000; from += 8000) {
    const batch = Array.from({ length: 8000 }, (_, i) =>
      indicatorEntry({ type: typeAt(from + i), value: `v${from + i}`, confidence: i % 100 }),
    );
    kept.push(...(await writer.transaction((tx) => appendEntries(tx, 'pool:main', batch))));
    await clock.advance(1000);
  }
  const datesOf = (entries: readonly Entry[]) => entries.map(({ dateAdded }) => dateAdded);
  for (const observableTypes of [
    ['url', 'ipv4'],
    ['url'],
    ['domain'],
    ['ipv6', 'domain'],
    ['cve'],
  ] as ObservableType[][]) {
    const expected = kept.filter(({ type }) => observableTypes.includes(type));
    const filter = entryFilter({ observableTypes });
    t.strictSame(datesOf(await walk(reader, filter, 997)), datesOf(expected), `pages of ${observableTypes}`);
    for (const at of [5990, 6000, 12_000, 17_990, 23_990]) {
      const after = kept[at]?.dateAdded ?? 0;
      const page = await reader.page({ ...filter, after, limit: 10 });
      const behind = expected.filter(({ dateAdded }) => dateAdded > after);
      t.strictSame(datesOf(page.entries), datesOf(behind.slice(0, 10)), `${observableTypes} after ${at}`);
      t.equal(page.more, behind.length > 10);
      const bounds = { since: null, before: after, minConfidence: null, maxConfidence: null, offset: 0, limit: 10 };
      const live = await reader.live({ journal: 'pool:main', observableTypes, ...bounds });
      const ahead = expected.filter(({ dateAdded }) => dateAdded < after).toReversed();
      t.strictSame(datesOf(live.entries), datesOf(ahead.slice(0, 10)), `${observableTypes} before ${at}`);
      t.equal(live.more, ahead.length > 10);
      const since = kept[4000]?.dateAdded ?? 0;
      const between = await reader.live({ journal: 'pool:main', observableTypes, ...bounds, since, limit: 5000 });
      const inner = ahead.filter(({ dateAdded }) => dateAdded > since);
      t.strictSame(datesOf(between.entries), datesOf(inner.slice(0, 5000)));
    }
  }
}

const types: ObservableType[] = ['ipv4', 'domain', 'cve'];

/** One of few objects, so that versions, tombstones and purges meet. */
const change = fc.record({
  object: fc.integer({ min: 0, max: 11 }),
  action: fc.constantFrom('add', 'add', 'add', 'revoke', 'purge'),
  version: fc.integer({ min: 1, max: 4 }),
});

const filters = fc.record({
  observableTypes: fc.option(fc.subarray(types)),
  stixTypes: fc.option(fc.subarray(['indicator', 'vulnerability', 'identity', 'x-raw'])),
  objects: fc.option(fc.array(fc.integer({ min: 0, max: 13 }), { maxLength: 6 })),
  versions: fc.record({
    last: fc.boolean(),
    first: fc.boolean(),
    all: fc.constantFrom(false, false, false, true),
    exact: fc.array(
      fc.integer({ min: 0, max: 7 }).map((n) => START + n),
      { maxLength: 2 },
    ),
  }),
  limit: fc.integer({ min: 1, max: 5 }),
});

/** Objects 0 to 5 are indicators, 6 to 9 raw, 10 and 11 the producer objects. */
function build(object: number, version: number, revoked: boolean): Entry {
  const type = types[object % 3] ?? 'ipv4';
  if (object < 6) {
    const reason = revoked ? 'vanished' : null;
    return indicatorEntry({
      type,
      value: `o${object}`,
      version: START + version,
      confidence: version,
      revoked,
      reason,
    });
  }
  const stixType = object < 10 ? 'x-raw' : 'identity';
  const objectId = `${stixType}--${uuidOf(`o${object}`)}`;
  return objectEntry({
    stixType,
    objectId,
    isProducerObject: object >= 10,
    version: START + version,
    raw: jsonText({ object, version }),
  });
}

async function proveAgainstModel(t: Test, engine: StoreEngine, keepVersions: 'last' | 'all'): Promise<void> {
  const root = t.testdir();
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(change, { maxLength: 8 }), { maxLength: 6 }),
      fc.array(filters, { minLength: 5, maxLength: 10 }),
      async (batches, queries) => {
        run += 1;
        const clock = scriptedClock(START);
        const writer = await storeIn(`${root}/${run}`, engine).openWriter(clock);
        await writer.transaction((tx) => tx.openJournal({ name: 'pool:main', pool: 'main', keepVersions }));
        let model: Entry[] = [];
        for (const batch of batches) {
          await clock.advance(1);
          await writer.transaction(async (tx) => {
            for (const each of batch) model = await apply(tx, model, each, keepVersions);
          });
        }
        for (const query of queries) await compare(writer, model, query);
        await compareLive(writer, model);
        await writer.close();
      },
    ),
    { numRuns: 100 },
  );
}

async function apply(
  tx: Transaction,
  model: Entry[],
  { object, action, version }: { object: number; action: string; version: number },
  keepVersions: 'last' | 'all',
): Promise<Entry[]> {
  const { objectId } = build(object, 0, false);
  const last = model.find((entry) => entry.objectId === objectId && !entry.superseded);
  if (action === 'purge') {
    const gone = model.filter((entry) => entry.objectId === objectId)[version % 2];
    if (gone === undefined) return model;
    await tx.purge('pool:main', [gone.dateAdded]);
    return model.filter((entry) => entry !== gone);
  }
  const isLate = last !== undefined && last.version > START + version;
  if (isLate && keepVersions === 'last') return model;
  const entry = { ...build(object, version, action === 'revoke'), superseded: isLate };
  const replaces = last !== undefined && !isLate ? last.dateAdded : null;
  const [kept] = await appendEntries(tx, 'pool:main', [entry], [replaces]);
  const rest = replaces === null ? model : model.filter((other) => other !== last);
  const marked = replaces !== null && last !== undefined && keepVersions === 'all';
  const standing = marked ? [...rest, { ...last, superseded: true, due: null }] : rest;
  return [...standing, kept as Entry].sort((a, b) => a.dateAdded - b.dateAdded);
}

async function compare(
  writer: Writer,
  model: Entry[],
  query: typeof filters extends fc.Arbitrary<infer Q> ? Q : never,
): Promise<void> {
  const { observableTypes, stixTypes, objects, versions, limit } = query;
  const objectIds = objects?.map((object) => build(object, 0, false).objectId) ?? null;
  const filter = entryFilter({ observableTypes, stixTypes, objectIds, versions });
  const inView = model.filter((entry) => {
    const isCompany = entry.kind === 'object' && entry.isProducerObject;
    const type = entry.objectId.slice(0, entry.objectId.indexOf('--'));
    return (
      (observableTypes === null || isCompany || (entry.kind === 'indicator' && observableTypes.includes(entry.type))) &&
      (stixTypes === null || stixTypes.includes(type)) &&
      (objectIds === null || objectIds.includes(entry.objectId))
    );
  });
  const isFirst = (entry: Entry) =>
    !model.some(
      (other) =>
        other.objectId === entry.objectId &&
        (other.version < entry.version || (other.version === entry.version && other.dateAdded < entry.dateAdded)),
    );
  const expected = inView.filter(
    (entry) =>
      versions.all ||
      (versions.last && !entry.superseded) ||
      (versions.first && isFirst(entry)) ||
      versions.exact.includes(entry.version),
  );
  same(await walk(writer, filter, limit), expected, 'page');
  same(await writer.newest(filter), expected.at(-1)?.dateAdded ?? null, 'newest');
  same(await writer.holds(filter), inView.length > 0, 'holds');
  same(
    (await writer.versions(filter, 0, 100)).entries,
    inView.map(({ version, dateAdded }) => ({ version, dateAdded })),
    'versions',
  );
}

async function compareLive(writer: Writer, model: Entry[]): Promise<void> {
  const live = model.filter((entry) => entry.kind === 'indicator' && !entry.revoked && !entry.superseded);
  const newestFirst = live.toReversed();
  const query = { journal: 'pool:main', observableTypes: null, since: null, before: null, offset: 0, limit: 100 };
  const all = await writer.live({ ...query, minConfidence: null, maxConfidence: null });
  same(all.entries, newestFirst, 'live');
  const some = await writer.live({ ...query, observableTypes: ['ipv4'], minConfidence: 2, maxConfidence: 4 });
  const within = ({ type, confidence }: { type: string; confidence: number | null }) =>
    type === 'ipv4' && confidence !== null && confidence >= 2 && confidence <= 4;
  same(
    some.entries,
    newestFirst.filter((entry) => entry.kind === 'indicator' && within(entry)),
    'live with bounds',
  );
  const counts = await writer.countLive('pool:main');
  for (const type of types) {
    same(counts[type] ?? 0, live.filter((entry) => entry.kind === 'indicator' && entry.type === type).length, type);
  }
}

function same(found: unknown, wanted: unknown, what: string): void {
  if (isDeepStrictEqual(found, wanted)) return;
  throw new Error(`${what}: found ${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}`);
}
